/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What `amt-load gateways` and `amt-load receive` share: how long they look at streams, by what
 * they judge them, and what they write down. Their options, files and verdict.
 */
#ifndef AMT_LOAD_WATCH_H
#define AMT_LOAD_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "load/options.h"
#include "load/receiver.h"
#include "load/summary.h"

struct watch_options {
	struct receiver_rules rules;
	struct reference reference;
	const char *output, *ready;
	uint64_t duration_ns, idle_ns; /* 0: never */
	bool in_order, json, list;
};

enum { WATCH_IN_ORDER = OPTION_LONG, WATCH_READY, WATCH_OPTIONS_END };

/* Of getopt_long(). */
#define WATCH_LETTERS "d:fE:i:C:O:lj"
/* clang-format off */
#define WATCH_LONG_OPTIONS \
	{"duration", required_argument, NULL, 'd'}, \
	{"complete", no_argument, NULL, 'f'}, \
	{"expect", required_argument, NULL, 'E'}, \
	{"idle", required_argument, NULL, 'i'}, \
	{"compare", required_argument, NULL, 'C'}, \
	{"output", required_argument, NULL, 'O'}, \
	{"in-order", no_argument, NULL, WATCH_IN_ORDER}, \
	{"list", no_argument, NULL, 'l'}, \
	{"json", no_argument, NULL, 'j'}, \
	{"ready", required_argument, NULL, WATCH_READY}
/* clang-format on */

/* Takes optarg of one of these; -ENOTSUP: option is none of them. */
int watch_take(struct watch_options *options, int option, struct error *err);
/* Once all are read: the defaults that hang on others. */
void watch_settle(struct watch_options *options);
void watch_free(struct watch_options *options);

/* Whether it ends once the streams are complete. */
bool watch_ends_complete(const struct watch_options *options);
/* The file that a stream is written to: *fd stays -1 if there is to be none. */
int watch_open_output(const struct watch_options *options, int *fd, struct error *err);
/* Says by its file that everything is joined. */
int watch_tell_ready(const struct watch_options *options, struct error *err);
/* Sums up, prints, and returns the exit status, or -ENOMEM. Joins, leaves and seconds of summary
 * are the caller's to set. */
int watch_report(const struct watch_options *options, struct summary *summary,
		 const struct summary_entry *entries, unsigned int n);

#endif
