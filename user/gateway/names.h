/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names of relays to addresses, without waiting: /etc/hosts and the name servers of
 * /etc/resolv.conf, read again when a question is asked and no other is open, so that a host that
 * changes its network is served. Each question ends, with an answer or without.
 */
#ifndef AMT_GATEWAY_NAMES_H
#define AMT_GATEWAY_NAMES_H

#include <stdint.h>
#include "base/addr.h"

#define NAMES_ADDRS_MAX 16

struct event_base;
struct names;

struct names_options {
	const char *resolv_conf; /* NULL: /etc/resolv.conf */
	const char *hosts;	 /* NULL: /etc/hosts */
	unsigned int timeout_ms; /* of one try with one server; 0: 2000 */
	unsigned int attempts;	 /* 0: 3 */
	unsigned int total_ms;	 /* of the whole question; 0: 10000 */
};

/* naddrs unicast addresses, IPv4 and IPv6 in the order of the answer, no address twice; 0 of them:
 * failed, and why says how (else NULL). Never called inside names_resolve(). */
typedef void (*names_fn)(void *arg, unsigned int id, const struct amt_addr *addrs,
			 unsigned int naddrs, const char *why);

/* options NULL: all defaults. Returns NULL without memory. */
struct names *names_new(struct event_base *base, const struct names_options *options, names_fn fn,
			void *arg);
/* Open questions get no answer any more; their memory is freed when the loop turns again. */
void names_free(struct names *names);

/* Asks; an address in text form is its own answer. id comes back with it; a question of the same id
 * that is still open is given up in silence. 0 or -ENOMEM. */
int names_resolve(struct names *names, unsigned int id, const char *name);
void names_cancel(struct names *names, unsigned int id);

#endif
