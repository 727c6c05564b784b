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
#include <amt/wire.h>
#include "base/addr.h"
#include "base/clock.h"
#include "proto/membership.h"
#include "proto/query.h"

/* One way to find a relay, in configured order. */
enum gateway_candidate_kind {
	CANDIDATE_ADDRESS, /* a relay's unicast address: asked by Relay Discovery, and when that
			    * gets no answer by Request at once, since discovery is optional for a
			    * relay whose address is known (RFC 7450 4.2.1.1) */
	CANDIDATE_ANYCAST, /* a discovery address (RFC 7450 4.1.5.2) */
	CANDIDATE_NAME,	   /* a DNS name; each of its addresses counts as CANDIDATE_ADDRESS */
};

#define GATEWAY_NAME_ADDRESSES 8 /* of a name that are tried */

struct gateway_candidate {
	enum gateway_candidate_kind kind;
	struct amt_addr addr;
	char name[256];
};

/* Defaults by gateway_options_default(); times in seconds. */
struct gateway_options {
	unsigned int discovery_initial, discovery_max, discovery_retries; /* 1, 120, 3 */
	unsigned int request_initial, request_max, request_retries;	  /* 1, 120, 3 */
	unsigned int unreachable_retries; /* ICMP unreachables put up with: 2 */
	unsigned int keepalive;		  /* shorter query timer for NAT; 0: QQIC rules */
	/* Of a relay that failed: 180. Where there is no other to try, one that only gave
	 * no answer is tried again sooner, with the back-off of R-29. */
	unsigned int hold_down;
	unsigned int hold_down_limit; /* of a relay that set L: 600 */
	/* No data for wanted groups: a new query cycle after this time, the next relay after as
	 * long again, if there is one; longer at each turn, up to 120. 0: off. Default 30:
	 * longer than the 4 of RFC 8777 3.3.4.1, so that a slow but healthy stream changes no
	 * relay. */
	unsigned int data_timeout;
	unsigned int teardown_repeats; /* times that a Teardown is sent at most: 2 */
	uint16_t port;		       /* of relays, 2268 */
	bool ecn;		       /* RFC 6040 decapsulation: set E */
	bool ipv4_groups, ipv6_groups; /* request cycles to run */
	const struct gateway_candidate *candidates; /* kept by reference */
	unsigned int ncandidates;		    /* default: the two anycast addresses */
};

/* What a text of the configuration stands for: one, or for "anycast" the two addresses. Returns how
 * many. */
#define GATEWAY_CANDIDATES_OF_ONE 2
unsigned int gateway_candidates_of(const char *text,
				   struct gateway_candidate to[GATEWAY_CANDIDATES_OF_ONE]);
void gateway_options_default(struct gateway_options *options);

/* A relay that we hold a tunnel with, as the packet path needs it. */
struct gateway_relay {
	struct amt_sockaddr relay;
	bool ecn; /* E was accepted: outer ECN is meaningful */
};

/* What the engine needs of the world. None of these may call a gateway_* function. */
struct gateway_edge {
	void *arg;
	/* One UDP payload from our one port of the peer's family. 0, or negative errno. */
	int (*send)(void *arg, const struct amt_sockaddr *peer, const void *buf, size_t len);
	void (*random)(void *arg, void *buf, size_t len);
	/* Asks the host's stack what is joined: a Query has come. Nothing of its datagram is passed
	 * on but what it says of robustness and interval, in seconds. */
	void (*query)(void *arg, bool mld, unsigned int robustness, unsigned int interval_s);
	/* From now on data is taken from this relay and no other (NULL: from none). Comes again
	 * when ecn changes. A relay that is being replaced stays until the new one has answered,
	 * and for two more seconds if data still came from it. */
	void (*relay_changed)(void *arg, const struct gateway_relay *relay);
	/* Starts to resolve a candidate's name; ends with gateway_resolved(). */
	void (*resolve)(void *arg, unsigned int candidate, const char *name);
	/* A group's wanted sources changed, as the reports carried said. May be NULL. */
	void (*wanted)(void *arg, const struct wish_change *change);
};

struct gateway;

/* Nothing is sent before the first gateway_tick(). NULL: no memory. */
struct gateway *gateway_new(const struct gateway_options *options, const struct gateway_edge *edge,
			    uint64_t now);
void gateway_free(struct gateway *gateway);

/* One UDP payload that peer sent to our port. Everything wrong with it is counted, and changes
 * nothing. Multicast Data belongs to the packet path: what comes here is counted. */
void gateway_receive(struct gateway *gateway, uint64_t now, const struct amt_sockaddr *peer,
		     const void *buf, size_t len);
/* One datagram that left the pseudo-interface, from its IP header on. Reports go out as an Update
 * (R-72..R-76); link-local groups are cut out; everything else is ignored and counted. */
void gateway_report(struct gateway *gateway, uint64_t now, const void *datagram, size_t len);
/* The network said that peer cannot be reached. */
void gateway_unreachable(struct gateway *gateway, uint64_t now, const struct amt_addr *peer);
/* Packets of wanted groups taken from relays so far; called about once a second. */
void gateway_data_seen(struct gateway *gateway, uint64_t now, uint64_t packets);
/* naddrs 0: the name cannot be resolved. */
void gateway_resolved(struct gateway *gateway, uint64_t now, unsigned int candidate,
		      const struct amt_addr *addrs, unsigned int naddrs);
/* Our own address or routes changed: start a new query cycle at once. */
void gateway_network_changed(struct gateway *gateway, uint64_t now);
/* Acts on what is due; returns the next deadline, after a shutdown TIME_NEVER when all is said. */
uint64_t gateway_tick(struct gateway *gateway, uint64_t now);
/* Leaves: Teardown when the relay gave G, else Updates that leave all groups. gateway_tick()
 * repeats it; everything else is ignored from now on. */
void gateway_shutdown(struct gateway *gateway, uint64_t now);

/* ---- restart: what is pinned by the caller, so that a restart goes on with the same tunnel ----
 */

struct gateway_saved_query { /* what the last Query of one protocol gave */
	uint32_t nonce;
	uint8_t mac[AMT_MAC_LEN];
	uint8_t valid;
	uint8_t robustness;
	uint32_t interval_s;
};
struct gateway_saved {
	struct amt_sockaddr relay;
	struct amt_sockaddr endpoint;	     /* as the relay sees it; port 0: not told */
	struct amt_addr asked;		     /* the candidate's address that led there */
	struct gateway_saved_query query[2]; /* IGMP, MLD */
	uint32_t reported; /* which of both gave the MAC of the last Update; 2: none was sent */
	uint8_t ecn, linux_p;
};
/* false: there is no tunnel to go on with. */
bool gateway_save(const struct gateway *gateway, struct gateway_saved *saved);
/* Right after gateway_new(): takes data from that relay again, and starts a query cycle, which
 * tells us what the host has joined. 0; -ENOENT when no candidate leads there any more (the relay
 * is then left as soon as another has answered), -EINVAL for what gateway_save() never wrote. */
int gateway_restore(struct gateway *gateway, uint64_t now, const struct gateway_saved *saved);

/* ---- for control ---- */

enum gateway_state {
	GATEWAY_IDLE,	   /* no candidate can be tried now */
	GATEWAY_RESOLVING, /* waiting for DNS */
	GATEWAY_DISCOVERY, /* waiting for an Advertisement */
	GATEWAY_REQUEST,   /* waiting for the first Query */
	GATEWAY_UP,	   /* a Query was received */
	GATEWAY_STOPPED,   /* after gateway_shutdown() */
};
/* In one word. */
const char *gateway_state_name(enum gateway_state state);

struct gateway_status {
	enum gateway_state state;
	struct amt_sockaddr relay;    /* asked or in use; address any: none */
	struct amt_sockaddr endpoint; /* G fields of the last Query; port 0: not told */
	struct amt_sockaddr leaving;  /* a relay that data is still taken from; any: none */
	uint64_t handshake_ns;	      /* round trip of the last Request and Query */
	uint64_t next_query_ns;	      /* when the next Request is due; in IDLE when to try again */
	bool limit;		      /* L of the last Query */
	bool ecn, linux_p;
	bool answered[2];	/* IGMP, MLD: the relay answers Requests for it */
	unsigned int candidate; /* index of the one in use */
};
void gateway_status(const struct gateway *gateway, struct gateway_status *out);
/* What the host has joined, as the reports carried said. */
const struct membership *gateway_membership(const struct gateway *gateway);
struct gateway_candidate_view {
	const struct gateway_candidate *candidate;
	struct amt_addr relay;	/* what it led to last; any: unknown */
	uint64_t held_until_ns; /* hold-down, 0: none */
	const char *why;	/* of the hold-down, static text, or "" */
	bool current;
};
void gateway_walk_candidates(const struct gateway *gateway, uint64_t now,
			     void (*fn)(void *arg, const struct gateway_candidate_view *view),
			     void *arg);

#endif
