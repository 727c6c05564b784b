/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Control answers as people read them: one function an answer. The names are those of the JSON;
 * a member that is not there prints as "-", so that amt-ctl can ask an older or newer amtd.
 */
#ifndef AMT_CONTROL_RENDER_H
#define AMT_CONTROL_RENDER_H

#include <jansson.h>
#include <stdio.h>

void render_status(const json_t *answer, FILE *out);
void render_tunnels(const json_t *answer, FILE *out);
void render_groups(const json_t *answer, FILE *out);
void render_relays(const json_t *answer, FILE *out);
/* What render_status() and render_groups() print of a gateway. */
void render_gateway_status(const json_t *answer, FILE *out);
void render_gateway_groups(const json_t *answer, FILE *out);
void render_stats(const json_t *answer, FILE *out);
void render_maps(const json_t *answer, FILE *out);
void render_interfaces(const json_t *answer, FILE *out);
/* One screen of top: what changed between two answers to status and two to groups, seconds apart.
 * At most so many lines of groups. */
struct render_sample {
	json_t *status, *groups;
};
void render_top(const struct render_sample *before, const struct render_sample *after,
		double seconds, unsigned int lines, FILE *out);

#endif
