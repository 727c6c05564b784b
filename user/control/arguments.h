/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The words behind each command of amt-ctl: what they ask amtd for, in the members of its request,
 * and what is for amt-ctl itself. Each returns false after it has said what is wrong.
 */
#ifndef AMT_CONTROL_ARGUMENTS_H
#define AMT_CONTROL_ARGUMENTS_H

#include <jansson.h>
#include <stdbool.h>

struct arguments {
	unsigned int top_count; /* screens; 0: until interrupted */
	unsigned int drain_s;
	unsigned int timeout_s; /* of verify */
	const char *relay;	/* of verify; NULL: the instance's */
};

/* Says format, with what in it, to standard error, and returns false. */
bool arguments_error(const char *format, const char *what);

bool arguments_nothing(struct arguments *arguments, int argc, char **argv, json_t *request);
bool arguments_tunnels(struct arguments *arguments, int argc, char **argv, json_t *request);
bool arguments_groups(struct arguments *arguments, int argc, char **argv, json_t *request);
bool arguments_stats(struct arguments *arguments, int argc, char **argv, json_t *request);
bool arguments_attach(struct arguments *arguments, int argc, char **argv, json_t *request);
bool arguments_detach(struct arguments *arguments, int argc, char **argv, json_t *request);
bool arguments_verify(struct arguments *arguments, int argc, char **argv, json_t *request);
bool arguments_top(struct arguments *arguments, int argc, char **argv, json_t *request);
bool arguments_shutdown(struct arguments *arguments, int argc, char **argv, json_t *request);

#endif
