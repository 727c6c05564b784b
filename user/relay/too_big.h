/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What happens to a datagram over its group's MTU, which the packet path hands over instead of
 * sending it (RFC 7450 5.3.3.6.2, R-87..R-94): tunnels that can carry it get it whole; to the
 * others go fragments of the inner datagram (IPv4 without DF), or nothing, and then an SSM source
 * is told once what fits. Decides; sends through its edge.
 */
#ifndef AMT_RELAY_TOO_BIG_H
#define AMT_RELAY_TOO_BIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/addr.h"

struct too_big_options {
	const struct amt_prefix *ssm; /* NULL: IANA's ranges */
	unsigned int nssm;
	bool dscp_fixed; /* outer DSCP is dscp, not the inner one */
	uint8_t dscp;	 /* DSCP << 2 */
	uint8_t hash_key[16];
};

struct too_big_edge {
	void *arg;
	/* One Multicast Data message, whole UDP payload, in an outer packet with this TOS. */
	void (*send)(void *arg, const struct amt_sockaddr *local, const struct amt_sockaddr *peer,
		     uint8_t tos, const void *buf, size_t len);
	/* One ICMP or ICMPv6 message, by the family of the address. */
	void (*icmp)(void *arg, const struct amt_addr *to, const void *buf, size_t len);
};

/* A tunnel that wants the datagram. */
struct too_big_target {
	struct amt_sockaddr local, peer;
	uint32_t mtu; /* largest inner datagram (TMTU); 0: not known, gets nothing */
	bool ecn;     /* copy the inner ECN field */
};

struct too_big;

struct too_big *too_big_new(const struct too_big_options *options, const struct too_big_edge *edge);
void too_big_free(struct too_big *too_big);
/* Other options from now on; hash_key is not read. */
void too_big_set_options(struct too_big *too_big, const struct too_big_options *options);

/* A datagram on its way to its tunnels, one after the other. */
struct too_big_passage {
	const uint8_t *datagram; /* the caller's, until the end */
	size_t len;
	struct amt_addr source, group;
	uint8_t tos;
	bool may_fragment; /* IPv4 with DF=0 */
	bool fragmented;
	uint32_t smallest; /* MTU that it did not fit; 0: it did everywhere */
};

/* Bounded: a second takes so many copies; a datagram beyond them is dropped, counted as event_lost.
 * False: it goes nowhere. */
bool too_big_begin(struct too_big *too_big, uint64_t now, const void *datagram, size_t len,
		   struct too_big_passage *passage);
void too_big_send(struct too_big *too_big, struct too_big_passage *passage,
		  const struct too_big_target *target);
/* After the last target. */
void too_big_end(struct too_big *too_big, uint64_t now, const struct too_big_passage *passage);

#endif
