/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside of the relay engine, for its own files only: relay.c takes messages apart into
 * request.c, update.c and teardown.c; they share the tunnel table (tunnels.c), the secrets
 * (secrets.c), the intervals (timing.c) and what the configuration admits (admission.c).
 */
#ifndef AMT_RELAY_ENGINE_H
#define AMT_RELAY_ENGINE_H

#include "base/idtable.h"
#include "proto/message.h"
#include "proto/query.h"
#include "relay/deadlines.h"
#include "relay/ratelimit.h"
#include "relay/relay.h"

#define TUNNEL_NO_ID UINT32_MAX

/* What a tunnel is known by. Hashed and compared whole: no padding. */
struct tunnel_key {
	struct amt_addr gateway;
	struct amt_addr relay; /* the address that its Updates are sent to */
	__be16 port;	       /* of the gateway */
	uint16_t zero;
};

struct tunnel {
	struct tunnel_key key;
	uint32_t id;		  /* TUNNEL_NO_ID: not established, in no table */
	uint32_t prev, next;	  /* ids, among all tunnels of the same gateway address */
	struct deadline deadline; /* at or before the membership's next one: lazily moved */
	struct membership *membership;
	uint64_t created_ns, expires_ns, last_update_ns;
	uint32_t siblings; /* of the first of a gateway address: how many it has */
	uint32_t nonce;	   /* of the last Update accepted, with its MAC */
	uint8_t mac[AMT_MAC_LEN];
	bool mac_known; /* false after a restart, until the first Update */
	bool ecn;
	bool ending; /* nothing is added to it; what it had joined goes step by step */
	__be16 relay_port;
	uint16_t unreachable;	    /* seconds with ICMP errors since the last Update */
	uint8_t unreachable_second; /* of the last one, low bits */
};

struct relay {
	struct relay_options options;
	struct relay_edge edge;
	uint64_t gmi_ns;      /* group membership interval */
	uint64_t interval_ns; /* the longest query interval that a gateway goes by */
	uint64_t settle_at;   /* when both become the options'; TIME_NEVER: they are */
	uint8_t hash_key[16]; /* of the tables, so that no peer chooses who collides */
	struct tunnel **by_id;
	uint32_t by_id_room;
	struct idtable endpoints; /* ids by tunnel_key */
	struct idtable gateways;  /* ids of the first tunnel of each gateway address */
	struct deadlines deadlines;
	struct membership_config membership;
	struct merge *merge;
	unsigned int admitted;	      /* channels admitted since merge last heard of a change */
	uint64_t admitted_rate;	      /* the same as kbit/s */
	const struct tunnel *joining; /* whose Update is being applied */
	struct amt_secret current, previous;
	struct ratelimit *requests;
	struct amt_addr *addresses; /* what Advertisements carry */
	unsigned int naddresses;
	uint8_t igmp_query[QUERY_IGMP_LEN], mld_query[QUERY_MLD_LEN];
	bool draining;
};

/* One message with where it came from. */
struct receipt {
	uint64_t now;
	const struct amt_sockaddr *local, *peer;
	const uint8_t *buf; /* as long as its type demands */
	size_t len;
	struct amt_message msg;
};

/* ---- relay.c ---- */
void engine_send(struct relay *relay, const struct receipt *in, const struct amt_message *msg);

/* ---- request.c ---- */
void discovery_receive(struct relay *relay, const struct receipt *in);
void request_receive(struct relay *relay, const struct receipt *in);
/* Writes the two general queries once: they are the same for every gateway. */
void request_prepare(struct relay *relay);

/* ---- update.c ---- */
void update_receive(struct relay *relay, const struct receipt *in);

/* ---- teardown.c ---- */
void teardown_receive(struct relay *relay, const struct receipt *in);

/* ---- secrets.c ---- */
void secrets_load(struct relay *relay, uint64_t now);
/* Rotates when it is time; returns when to come again. */
uint64_t secrets_tick(struct relay *relay, uint64_t now);
/* How long a secret is good after the next was made. */
uint64_t secrets_previous_ns(const struct relay *relay);
/* Tries the current secret, then the previous while it lives; *ecn is the E flag. */
bool secrets_verify(const struct relay *relay, uint64_t now, const struct amt_sockaddr *gateway,
		    const struct amt_message *msg, bool *ecn);

/* ---- timing.c ---- */
/* The intervals become those of the options: at once, or by and by. */
void timing_settle(struct relay *relay);
void timing_change(struct relay *relay, uint64_t now);
uint64_t timing_tick(struct relay *relay, uint64_t now);

/* ---- admission.c ---- */
/* Ends what the options no longer permit. */
void admission_review(struct relay *relay, uint64_t now);
bool admission_gateway(const struct relay *relay, const struct amt_sockaddr *peer);
/* membership_config.admit; arg is the relay. */
bool admission_subscription(void *arg, const struct amt_addr *group, const struct amt_addr *source);

/* ---- tunnels.c ---- */
struct tunnel *tunnel_find(const struct relay *relay, const struct amt_sockaddr *gateway,
			   const struct amt_addr *local);
struct tunnel *tunnel_by_id(const struct relay *relay, uint32_t id);
/* The first of a gateway address, or NULL; the others follow by tunnel_next_of(). */
struct tunnel *tunnel_first_of(const struct relay *relay, const struct amt_addr *gateway);
struct tunnel *tunnel_next_of(const struct relay *relay, const struct tunnel *tunnel);
/* In no table yet; NULL: no memory. tunnel_discard() undoes it. */
struct tunnel *tunnel_new(const struct amt_sockaddr *gateway, const struct amt_sockaddr *local,
			  bool ecn);
void tunnel_discard(struct tunnel *tunnel);
/* Gives it an id of the packet path and puts it into the tables, or counts why not. */
int tunnel_establish(struct relay *relay, struct tunnel *tunnel, uint64_t now);
/* Puts it into the tables under the id it has. */
int tunnel_link(struct relay *relay, struct tunnel *tunnel, uint32_t id);
/* After an accepted Update: restarts its timer, or ends it when nothing is left joined. */
void tunnel_settle(struct relay *relay, struct tunnel *tunnel, uint64_t now);
/* Ends it with all it has joined, and frees it; a long list goes on at the next ticks. */
void tunnel_end(struct relay *relay, struct tunnel *tunnel);
/* A tunnel that a message concerns. One that is still ending ends at once, so that its endpoint can
 * begin anew: NULL then, and for NULL. */
struct tunnel *tunnel_living(struct relay *relay, struct tunnel *tunnel);
/* Acts on at most a bounded number of due tunnels; returns when to come again. */
uint64_t tunnels_tick(struct relay *relay, uint64_t now);
void tunnels_free(struct relay *relay);
/* membership_change_fn that merges the change; arg is struct tunnel_change. */
struct tunnel_change {
	struct relay *relay;
	struct tunnel *tunnel;
	uint64_t now;
	bool refused; /* the tunnel could not be established: changes go nowhere */
};
void tunnel_changed(void *arg, const struct wish_change *change);

#endif
