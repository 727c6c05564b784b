/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One gateway's side of the signalling (RFC 7450 5.2): discovery, a query cycle for each inner
 * family, joins, refreshes, leaves, Teardown. An engine without socket and clock: gateways.c is
 * its edge, and unit tests are.
 */
#ifndef AMT_LOAD_GATEWAY_H
#define AMT_LOAD_GATEWAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <amt/wire.h>
#include "base/addr.h"
#include "base/clock.h"
#include "load/channel.h"

struct gateway;

struct gateway_options {
	bool discover;	   /* ask relay by Relay Discovery first */
	bool ecn;	   /* E flag (RFC 9601) */
	bool linux_p;	   /* P at the Linux gateway's bit */
	bool old;	   /* IGMPv2 and MLDv1 reports */
	uint64_t retry_ns; /* first retransmission interval */
	uint64_t retry_max_ns;
	unsigned int refresh_s; /* query cycle, 0: as the relay's QQIC says */
};

struct gateway_edge {
	void *arg;
	void (*send)(void *arg, struct gateway *gateway, const struct amt_sockaddr *to,
		     const void *buf, size_t len);
	uint32_t (*random)(void *arg);
	/* The inner datagram of Multicast Data from the relay. */
	void (*data)(void *arg, struct gateway *gateway, const void *datagram, size_t len);
};

/* What happened, for one gateway; added up by the summary. */
struct gateway_counts {
	uint64_t discoveries, requests, queries, updates, teardowns;
	uint64_t limited; /* Queries with L */
	uint64_t retries; /* Discoveries and Requests sent again */
	uint64_t refused; /* messages that a gateway has to ignore, and Queries that are wrong */
	uint64_t foreign; /* Multicast Data from another address than the relay's */
};

/* The query cycle of one inner family. */
struct gateway_cycle {
	bool asked;    /* a Request waits for its Query */
	bool answered; /* nonce, mac, robustness, interval and self are those of a Query */
	uint32_t request_nonce, nonce;
	uint8_t mac[AMT_MAC_LEN];
	bool self_present; /* the Query had G: Teardown is possible */
	struct amt_sockaddr self;
	unsigned int robustness, interval_s;
	uint64_t due; /* next Request, TIME_NEVER: none */
	unsigned int tries;
	uint64_t asked_ns;
	enum report_kind repeat; /* state change sent again */
	unsigned int repeats_left;
	uint64_t repeat_due;
};

struct gateway {
	const struct gateway_options *options;
	const struct gateway_edge *edge;
	const struct subscriptions *wanted;
	struct amt_sockaddr discovery, relay;
	bool relay_known;
	bool joined; /* wants its channels; else it has left or not begun */
	uint32_t discovery_nonce;
	uint64_t discovery_due; /* TIME_NEVER: not discovering */
	unsigned int discovery_tries;
	struct gateway_cycle cycle[2]; /* inner IPv4, IPv6 */
	uint64_t round_trip_ns;	       /* of the first Request and its Query; 0: none yet */
	struct gateway_counts counts;
};

/* relay: of the relay, or to be asked by Discovery. All is kept by reference but relay. */
void load_gateway_init(struct gateway *gateway, const struct gateway_options *options,
		       const struct gateway_edge *edge, const struct subscriptions *wanted,
		       const struct amt_sockaddr *relay);

/* Lets go of what the last Queries gave, so that the next join begins with a handshake. Once its
 * Query is there, the relay has done all that was sent to it before. */
void load_gateway_forget(struct gateway *gateway);

/* Starts to want the channels: handshake where needed, else an Update at once. */
void load_gateway_join(struct gateway *gateway, uint64_t now);
/* Leaves all channels by an Update. */
void load_gateway_leave(struct gateway *gateway, uint64_t now);
/* Ends the tunnel: by Teardown where the relay gave what it takes, else by leaving. Returns
 * whether it was a Teardown. */
bool load_gateway_teardown(struct gateway *gateway, uint64_t now);

/* One UDP payload that came in. */
void load_gateway_receive(struct gateway *gateway, uint64_t now, const struct amt_sockaddr *from,
			  const void *buf, size_t len);

/* Acts on what is due; returns the next deadline. */
uint64_t load_gateway_tick(struct gateway *gateway, uint64_t now);

/* Joined, and every inner family in use has had its Query and sent its Update. */
bool load_gateway_established(const struct gateway *gateway);

#endif
