/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside of the gateway engine, for its own files only. selection.c chooses whom to ask,
 * discovery.c asks for the relay's address, cycle.c sends Requests and answer.c takes in Queries,
 * report.c carries the host's reports, farewell.c leaves relays, absence.c misses data; gateway.c
 * is the outside and passes time and messages on to them.
 */
#ifndef AMT_GATEWAY_ENGINE_H
#define AMT_GATEWAY_ENGINE_H

#include "gateway/gateway.h"
#include "proto/message.h"

enum { CYCLE_IGMP, CYCLE_MLD, CYCLES };

#define REMEMBERED 16 /* relays whose habits and hold-downs are kept */
#define FAREWELLS  4  /* Teardowns being repeated */
/* Of the datagram in an Update. The host's stack fills the pseudo-interface's MTU, which an
 * Update's own headers do not fit into as well (RFC 7450 has no rule for it). The Update, of 12
 * octets, then has 1,280 with the outer headers, which is what every IPv6 path takes (RFC 8200 5),
 * and less over IPv4: no fragments, which many NATs and firewalls do not let through. */
#define UPDATE_DATAGRAM_MAX (1280 - AMT_IPV6_HLEN - AMT_UDP_HLEN - AMT_UPDATE_DATAGRAM)

/* ---- a relay and what it gave us ---- */

/* Of a Query: what Updates and the Teardown carry. */
struct credentials {
	bool valid;
	bool endpoint_known; /* it had G */
	bool ecn, linux_p;   /* of the Request that it answered */
	uint32_t nonce;
	uint8_t mac[AMT_MAC_LEN];
	struct amt_sockaddr endpoint;
};

enum cycle_phase {
	CYCLE_OFF,
	CYCLE_WAITING,	/* for a Query */
	CYCLE_ANSWERED, /* due is the query timer */
	CYCLE_SILENT,	/* no Query after all retries, but the relay answers the other cycle */
};

/* Request and Query of one protocol. */
struct cycle {
	enum cycle_phase phase;
	uint64_t due;
	/* the Request that waits, or was the last answered */
	uint32_t nonce;
	bool ecn, linux_p;
	unsigned int sends; /* of this form */
	unsigned int spent; /* of forms that got no answer before it */
	uint64_t sent_ns;
	/* the last Query */
	struct credentials given;
	unsigned int robustness, interval_s;
};

struct link {
	bool known;
	bool up; /* a Query was received */
	bool limit;
	struct amt_sockaddr relay;
	unsigned int candidate;
	struct amt_addr asked; /* which led to it */
	struct cycle cycle[CYCLES];
	unsigned int answered;	     /* the cycle of the last Query */
	struct credentials reported; /* of the last Update; valid: the relay keeps groups for us */
	struct amt_sockaddr endpoint;
	uint64_t handshake_ns;
};

/* ---- candidates ---- */

struct hold {
	uint64_t until; /* 0: none */
	const char *why;
	bool soft; /* it gave no answer: may be tried sooner when there is no other */
};

/* An address to ask. */
struct target {
	struct amt_addr addr;
	struct amt_addr relay; /* what it led to last */
	struct hold hold;
};

struct candidate {
	struct target targets[GATEWAY_NAME_ADDRESSES];
	unsigned int n;
	struct hold unresolved; /* of a name */
	uint64_t resolved_ns;	/* 0: never */
};

enum habit { HABIT_UNKNOWN, HABIT_YES, HABIT_NO };

/* What is known of a relay whoever led to it. */
struct memory {
	struct amt_addr relay; /* any: free */
	struct hold hold;
	enum habit ecn;	    /* answers Requests with E */
	enum habit linux_p; /* wants P where the Linux driver has it */
	uint64_t used_ns;
};

/* A Teardown that is sent again. */
struct farewell {
	unsigned int left; /* 0: free */
	uint64_t due;
	struct amt_sockaddr relay;
	struct credentials credentials;
};

struct absence {
	bool waiting, probed;
	uint64_t due;
	uint64_t packets;
	unsigned int turns; /* relays left in a row */
};

struct gateway {
	struct gateway_options options;
	struct gateway_edge edge;
	enum gateway_state state;
	uint64_t due;		  /* of IDLE, RESOLVING and DISCOVERY */
	unsigned int unreachable; /* ICMP errors since something was answered */
	unsigned int rounds;	  /* times in a row that no candidate was left to try */

	struct candidate *candidates;
	unsigned int candidate; /* being resolved, asked or in use */
	struct amt_addr asked;
	uint32_t discovery_nonce;
	unsigned int discovery_sends;

	struct link link;      /* to the relay chosen; known from its address on */
	struct link old;       /* data is taken from it until link is up, or a little longer */
	bool old_alive;	       /* it still answers: better than none, if there is no other */
	bool old_flows;	       /* data came from it when it was left */
	uint64_t handover_due; /* link is up, and data is taken from old until then; 0: no such */
	struct memory memory[REMEMBERED];
	struct farewell farewells[FAREWELLS];
	unsigned int leaves_left; /* Updates that leave all, after shutdown without G */
	uint64_t leaves_due;

	struct membership *membership;
	struct membership_config membership_config;
	struct absence absence;
	uint8_t out[AMT_UPDATE_DATAGRAM + UPDATE_DATAGRAM_MAX];
};

/* ---- gateway.c ---- */

/* Writes and sends a message to the relay or discovery address; 0 or negative errno. */
int gateway_send(struct gateway *g, const struct amt_sockaddr *peer, const struct amt_message *msg);
uint32_t gateway_nonce(struct gateway *g); /* random, not zero */
/* Random in [initial, min(initial * 2^retry, max)], which are seconds, in ns. */
uint64_t gateway_backoff(struct gateway *g, unsigned int initial, unsigned int max,
			 unsigned int retry);
bool gateway_is_no_route(int err);

/* ---- selection.c ---- */

/* Starts with the best candidate that is not held down, or waits for one. */
void selection_start(struct gateway *g, uint64_t now);
/* What is due while no candidate is asked: the next round, or no answer of DNS. */
void selection_due(struct gateway *g, uint64_t now);
/* Holds down whoever is asked or in use. */
void selection_hold(struct gateway *g, uint64_t now, unsigned int seconds, const char *why,
		    bool soft);
/* Is there another that could be tried now? */
bool selection_other(const struct gateway *g, uint64_t now);
/* Lets go of hold-downs for want of an answer. */
void selection_forgive(struct gateway *g);
int selection_new(struct gateway *g);
/* The candidate that leads to this address, or -ENOENT. A name takes it as one of its own. */
int selection_adopt(struct gateway *g, const struct amt_addr *asked);
void selection_led_to(struct gateway *g, const struct amt_addr *relay);
/* Never NULL: the one longest unused makes room. */
struct memory *memory_of(struct gateway *g, uint64_t now, const struct amt_addr *relay);
bool hold_is_on(const struct hold *hold, uint64_t now);

/* ---- discovery.c ---- */
void discovery_start(struct gateway *g, uint64_t now);
void discovery_due(struct gateway *g, uint64_t now);
void advertisement_receive(struct gateway *g, uint64_t now, const struct amt_sockaddr *peer,
			   const struct amt_message *msg);

/* ---- cycle.c ---- */
bool cycle_wanted(const struct gateway *g, unsigned int which);
void cycle_start(struct gateway *g, uint64_t now, unsigned int which);
/* A new query cycle for each protocol. */
void cycles_start(struct gateway *g, uint64_t now);
void cycles_due(struct gateway *g, uint64_t now);
uint64_t cycles_deadline(const struct gateway *g);
/* Makes relay the one that is asked. */
void link_start(struct gateway *g, uint64_t now, const struct amt_addr *relay);
/* Gives up who is asked or in use, and goes on to the next. A relay that was up stays the one that
 * data is taken from until another has answered. soft: it gave no answer. */
void link_leave(struct gateway *g, uint64_t now, unsigned int hold, const char *why, bool soft);
void link_tell(struct gateway *g);
/* The first Query has come. */
void link_up(struct gateway *g, uint64_t now);
void link_due(struct gateway *g, uint64_t now);

/* ---- answer.c ---- */
void query_receive(struct gateway *g, uint64_t now, const struct amt_sockaddr *peer,
		   const struct amt_message *msg);

/* ---- report.c ---- */
int update_send(struct gateway *g, struct link *link, unsigned int which, const void *datagram,
		size_t len);
/* What is no longer wanted unless a report says so again ends one GMI after the last. */
void report_set_interval(struct gateway *g);
uint64_t report_tick(struct gateway *g, uint64_t now);

/* ---- farewell.c ---- */

/* Tells the relay that we are gone, if it keeps anything for us. The relay is told
 * again later, if by Teardown. */
void farewell_say(struct gateway *g, uint64_t now, struct link *link);
/* The same for the link in use, for good. */
void farewell_last(struct gateway *g, uint64_t now);
void farewells_due(struct gateway *g, uint64_t now);
uint64_t farewells_deadline(const struct gateway *g);

/* ---- absence.c ---- */
void absence_restart(struct gateway *g);

#endif
