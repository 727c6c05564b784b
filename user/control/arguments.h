/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The words behind each command of amt-ctl: what they ask amtd for, in the members of its request,
 * and what is for amt-ctl itself. argv begins with the command. Each returns false after it has
 * said what is wrong, so that amtd is asked for nothing that could never be.
 */
#ifndef AMT_CONTROL_ARGUMENTS_H
#define AMT_CONTROL_ARGUMENTS_H

#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include "base/addr.h"

struct arguments {
	unsigned int top_count; /* screens; 0: until interrupted */
	unsigned int drain_s;
	/* of verify */
	unsigned int timeout_s;
	const char *relay;	       /* NULL: the instance's */
	struct amt_addr source, group; /* source any: any */
};

/* Says what is wrong to standard error, in one line, and returns false. */
bool arguments_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* getopt_long() that says what is wrong, and returns '?' then; see option_wrong(). */
int arguments_option(int argc, char **argv, const char *letters, const struct option *options);

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
