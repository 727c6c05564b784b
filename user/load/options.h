/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Values on amt-load's command line: numbers with k, M, G, times in seconds, addresses. Every
 * mistake is one line that names the option.
 */
#ifndef AMT_LOAD_OPTIONS_H
#define AMT_LOAD_OPTIONS_H

#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include "base/addr.h"
#include "base/error.h"
#include "load/receiver.h"

#define EXIT_USAGE  2
#define OPTION_LONG 256 /* from here on: options without a letter */

/* "1500", "20M", "1.5G" (decimal prefixes), within min and max. */
int option_number(const char *option, const char *text, uint64_t min, uint64_t max, uint64_t *out,
		  struct error *err);
/* Seconds, with a fraction if need be; nanoseconds out. */
int option_seconds(const char *option, const char *text, uint64_t *ns, struct error *err);

struct addr_list {
	struct amt_addr *list;
	unsigned int n;
};
int option_addr(const char *option, const char *text, struct addr_list *out, struct error *err);
/* An address, or with "xN" behind it N in a row, into the list of its family: IPv4, IPv6. */
int option_addrs(const char *option, const char *text, struct addr_list out[2], struct error *err);

/* The command line of one command of amt-load. */
struct option_table {
	const char *command;
	const char *letters; /* of getopt_long(), ':' first */
	const struct option *options;
	/* Takes optarg; -ENOTSUP: it knows no such option. */
	int (*take)(void *to, int option, struct error *err);
	void (*usage)(FILE *out);
};

/* Takes all options, up to optind; opterr has to be 0. --help prints and exits. */
int options_read(const struct option_table *table, void *to, int argc, char **argv,
		 struct error *err);

/* Maps the file that streams are compared to. */
int option_reference(const char *path, struct reference *out, struct error *err);

#endif
