/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line of `amt-load gateways`. */
#ifndef AMT_LOAD_GATEWAYS_OPTIONS_H
#define AMT_LOAD_GATEWAYS_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "load/channel.h"
#include "load/gateway.h"
#include "load/options.h"
#include "load/watch.h"

enum ending { ENDING_TEARDOWN, ENDING_LEAVE, ENDING_NONE };

struct gateways_options {
	struct addr_list relays, excluded;
	struct addr_list sources[2]; /* IPv4, IPv6 */
	struct channels channels;
	struct gateway_options gateway;
	struct watch_options watch;
	uint64_t port, source_port, gateways, each, start_rate, buffer;
	uint64_t churn, churn_ns; /* how many of them, and how long on average */
	uint64_t leave_ns;	  /* 0: never */
	uint64_t linger_ns;
	enum ending ending;
	bool quiet;
};

/* Returns 0 or a negative errno. --help prints and exits. */
int gateways_options_read(struct gateways_options *options, int argc, char **argv,
			  struct error *err);
void gateways_options_free(struct gateways_options *options);

#endif
