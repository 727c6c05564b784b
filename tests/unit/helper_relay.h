/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A world for the relay engine without sockets, kernel and clock: what it sends is kept, its
 * forwarding sets are plain lists, and time is a number. And gateways that play against it.
 */
#ifndef AMT_TESTS_HELPER_RELAY_H
#define AMT_TESTS_HELPER_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/addr.h"
#include "base/clock.h"
#include "base/counters.h"
#include "proto/message.h"
#include "proto/report.h"
#include "relay/relay.h"
#include "unit/bytes.h"

#define WORLD_SETS    512
#define WORLD_TUNNELS 4096
#define RELAY4	      "192.0.2.1"
#define RELAY6	      "2001:db8::1"
#define GATEWAY4      "203.0.113.9"
#define GATEWAY6      "2001:db8:9::9"
#define SECONDS(n)    ((uint64_t)(n)*NSEC_PER_SEC)

struct world_tunnel {
	bool exists, ecn;
	struct amt_sockaddr gateway, relay;
	uint64_t expires_ns;
};

struct world_set {
	bool exists, published;
	struct amt_group_key key;
	bool said; /* while adopting: named again, and so is each member */
	uint8_t member[WORLD_TUNNELS / 8];
	uint8_t member_said[WORLD_TUNNELS / 8];
};

struct world {
	struct relay *relay;
	struct relay_options options;
	uint64_t now;
	uint64_t random; /* state of a small generator */
	struct amt_secret secrets[2];
	/* the last message sent */
	struct amt_sockaddr sent_from, sent_to;
	uint8_t sent[256];
	size_t sent_len;
	unsigned int nsent;
	struct world_tunnel tunnels[WORLD_TUNNELS];
	uint32_t room; /* of the packet path; more tunnels are -ENOSPC */
	struct world_set sets[WORLD_SETS];
	unsigned int upstream_changes;
	uint64_t rate; /* kbit/s of every channel; of a group as a whole twice that */
	bool adopting; /* sets and members are named again; none may change (datapath.h) */
};

/* Defaults, one second past the clock's start; world_start() makes the relay of w->options. */
struct world *world_new(void);
void world_start(struct world *w);
/* A new engine in the same world, as after a restart. */
void world_restart(struct world *w);
void world_free(struct world *w);
/* For cmocka: a world as the test's state. */
int world_setup(void **state);
int world_teardown(void **state);

void world_receive(struct world *w, const struct amt_sockaddr *local,
		   const struct amt_sockaddr *peer, const void *buf, size_t len);
/* Lets the time pass, with the relay's timers running. */
void world_pass(struct world *w, uint64_t ns);
unsigned int world_tunnels(const struct world *w);
unsigned int world_sets(const struct world *w);
/* The tunnel of an endpoint, or UINT32_MAX. */
uint32_t world_tunnel_of(const struct world *w, const struct amt_sockaddr *gateway,
			 const struct amt_addr *relay);
/* What the packet path would do: whether (source, group) goes to the tunnel. */
bool world_forwards(const struct world *w, uint32_t tunnel, const char *source, const char *group);

struct fake_gateway {
	struct world *w;
	struct amt_sockaddr local; /* the relay's */
	struct amt_sockaddr addr;
	uint32_t nonce;
	uint8_t mac[AMT_MAC_LEN];
	bool ecn;
	struct amt_message query; /* the last; its datagram is in w->sent */
};

struct fake_gateway fake_at(struct world *w, const char *addr, uint16_t port, const char *relay);
/* Sends a Request and takes in the Query; false: no answer. */
bool fake_request(struct fake_gateway *g, bool mld);
/* Sends an Update with one record; sources are separated by spaces, "" is none. */
void fake_report(struct fake_gateway *g, enum record_type type, const char *group,
		 const char *sources);
void fake_update(struct fake_gateway *g, const void *datagram, size_t len);
/* The 30 octets of a Teardown for the last Query, sent from another endpoint if from is given. */
void fake_teardown(struct fake_gateway *g, const struct amt_sockaddr *from);
uint32_t fake_tunnel(const struct fake_gateway *g);
bool fake_gets(const struct fake_gateway *g, const char *source, const char *group);

#endif
