/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A gateway for one channel and a few seconds, all in user space: asks a relay from a UDP socket of
 * its own, joins, looks at what comes, and leaves. For amt-ctl verify where no amtd is asked.
 */
#ifndef AMT_GATEWAY_PROBE_H
#define AMT_GATEWAY_PROBE_H

#include "base/addr.h"
#include "base/error.h"
#include "gateway/arrival.h"
#include "gateway/gateway.h"

struct probe_options {
	const char *relay; /* address, name, or "anycast" */
	struct amt_addr source, group;
	unsigned int timeout_s; /* until the first packet */
	unsigned int watch_ms;	/* from there on */
};
struct probe_result {
	struct amt_addr relay;	  /* any: none has answered */
	enum gateway_state state; /* how far it came */
	uint64_t started_ns, ended_ns;
	struct arrival arrival;
};

/* Blocks. 0 or negative errno, when it could not even try. */
int probe_run(const struct probe_options *options, struct probe_result *out, struct error *err);

#endif
