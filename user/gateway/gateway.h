/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The gateway role: the state machine of RFC 7450 5.2.3 and the choice among relays. An engine
 * without sockets and clock: messages, reports of the host's own IGMP/MLD stack and the passing of
 * time come in; messages, queries for that stack and "take data from this relay" go out through
 * struct gateway_edge, so that unit tests play hours in milliseconds.
 */
#ifndef AMT_GATEWAY_GATEWAY_H
#define AMT_GATEWAY_GATEWAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/addr.h"
#include "base/clock.h"

/* One way to find a relay, in configured order. */
enum gateway_candidate_kind {
	CANDIDATE_ADDRESS, /* a relay's unicast address, asked by Relay Discovery all the same */
	CANDIDATE_ANYCAST, /* a discovery address (RFC 7450 4.1.5.2) */
	CANDIDATE_NAME,	   /* a DNS name; its addresses count as CANDIDATE_ADDRESS */
};

struct gateway_candidate {
	enum gateway_candidate_kind kind;
	struct amt_addr addr;
	char name[256];
};

/* Defaults by gateway_options_default(); times in seconds. */
struct gateway_options {
	unsigned int discovery_initial, discovery_max, discovery_retries; /* 1, 120, 3 */
	unsigned int request_initial, request_max, request_retries;	  /* 1, 120, 3 */
	unsigned int unreachable_retries; /* ICMP unreachables put up with */
	unsigned int keepalive;		  /* shorter query timer for NAT; 0: QQIC rules */
	unsigned int hold_down;		  /* of a relay that failed: 180 */
	unsigned int hold_down_limit;	  /* of a relay that set L: 600 */
	unsigned int data_timeout;     /* no data for wanted groups: next relay; 0: off */
	unsigned int teardown_repeats; /* 2 */
	uint16_t port;		       /* of relays, 2268 */
	bool ecn;		       /* RFC 6040 decapsulation: set E */
	bool ipv4_groups, ipv6_groups; /* request cycles to run */
	const struct gateway_candidate *candidates; /* kept by reference */
	unsigned int ncandidates;
};

void gateway_options_default(struct gateway_options *options);

/* A relay that we hold a tunnel with, as the packet path needs it. */
struct gateway_relay {
	struct amt_sockaddr relay;
	bool ecn; /* E was accepted: outer ECN is meaningful */
};

struct gateway_edge {
	void *arg;
	/* One UDP payload from our one port of the peer's family. 0, or negative errno. */
	int (*send)(void *arg, const struct amt_sockaddr *peer, const void *buf, size_t len);
	void (*random)(void *arg, void *buf, size_t len);
	/* Puts a general query into the pseudo-interface; the host's stack answers it. */
	void (*query)(void *arg, bool mld, const void *datagram, size_t len);
	/* From now on data is taken from this relay (NULL: from none). */
	void (*relay_changed)(void *arg, const struct gateway_relay *relay);
	/* Starts to resolve a candidate's name; ends with gateway_resolved(). */
	void (*resolve)(void *arg, unsigned int candidate, const char *name);
};

struct gateway;

struct gateway *gateway_new(const struct gateway_options *options, const struct gateway_edge *edge,
			    uint64_t now); /* NULL: no memory */
void gateway_free(struct gateway *gateway);

/* One UDP payload of types 2 or 4 that peer sent to our port; data (type 6) that reached the
 * socket is counted by the caller. Everything wrong with it is counted, and changes nothing. */
void gateway_receive(struct gateway *gateway, uint64_t now, const struct amt_sockaddr *peer,
		     const void *buf, size_t len);
/* One datagram that left the pseudo-interface. Reports go out as an Update (R-72..R-76); link-local
 * groups are cut out; everything else is ignored and counted. */
void gateway_report(struct gateway *gateway, uint64_t now, const void *datagram, size_t len);
/* The network said that peer cannot be reached. */
void gateway_unreachable(struct gateway *gateway, uint64_t now, const struct amt_addr *peer);
/* Packets of wanted groups taken from the relay so far; called about once a second. */
void gateway_data_seen(struct gateway *gateway, uint64_t now, uint64_t packets);
void gateway_resolved(struct gateway *gateway, uint64_t now, unsigned int candidate,
		      const struct amt_addr *addrs, unsigned int naddrs);
/* Our own address or routes changed: start a new query cycle at once. */
void gateway_network_changed(struct gateway *gateway, uint64_t now);
/* Acts on what is due; returns the next deadline. */
uint64_t gateway_tick(struct gateway *gateway, uint64_t now);
/* Leaves: Teardown when the relay gave G, else an Update that leaves all groups. */
void gateway_shutdown(struct gateway *gateway, uint64_t now);

/* ---- restart: what is pinned by the caller, so that a restart goes on with the same tunnel ----
 */

struct gateway_saved {
	struct amt_sockaddr relay;
	struct amt_sockaddr endpoint; /* as the relay sees it; port 0: unknown */
	uint32_t nonce;
	uint8_t mac[6];
	uint8_t ecn, linux_p;
	uint64_t next_query_ns;
};
bool gateway_save(const struct gateway *gateway, struct gateway_saved *saved);
int gateway_restore(struct gateway *gateway, uint64_t now, const struct gateway_saved *saved);

/* ---- for control ---- */

enum gateway_state {
	GATEWAY_IDLE,	   /* no candidate can be tried now */
	GATEWAY_RESOLVING, /* waiting for DNS */
	GATEWAY_DISCOVERY, /* waiting for an Advertisement */
	GATEWAY_REQUEST,   /* waiting for the first Query */
	GATEWAY_UP,	   /* a Query was received */
};
struct gateway_status {
	enum gateway_state state;
	struct amt_sockaddr relay;
	struct amt_sockaddr endpoint; /* G fields of the last Query; port 0: not told */
	uint64_t handshake_ns;	      /* round trip of the last Request and Query */
	uint64_t next_query_ns;	      /* when the next Request is due */
	bool limit;		      /* L of the last Query */
	bool ecn, linux_p;
	unsigned int candidate; /* index of the one in use */
};
void gateway_status(const struct gateway *gateway, struct gateway_status *out);
struct gateway_candidate_view {
	const struct gateway_candidate *candidate;
	struct amt_addr relay;	/* what it led to last; any: unknown */
	uint64_t held_until_ns; /* hold-down, 0: none */
	const char *why;	/* of the hold-down, static text, or "" */
	bool current;
};
void gateway_walk_candidates(const struct gateway *gateway,
			     void (*fn)(void *arg, const struct gateway_candidate_view *view),
			     void *arg);

#endif
