/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The gateway's packet path as the rest of amtd sees it: from which relay data is taken, where it
 * is put, and which groups are wanted. Lives in the same struct datapath, pins and interfaces as
 * the relay's (datapath.h); a restart finds everything as it was.
 */
#ifndef AMT_DATAPATH_DECAP_H
#define AMT_DATAPATH_DECAP_H

#include <stdbool.h>
#include <stdint.h>
#include <amt/maps.h>
#include "base/addr.h"
#include "base/error.h"
#include "datapath/datapath.h"

/* Attaches an interface in the gateway role: data from relays is decapsulated there. As
 * datapath_attach() in modes, adoption, foreign programs and errors; datapath_detach() ends it. */
int datapath_attach_gateway(struct datapath *dp, const char *name, enum datapath_mode mode,
			    bool runtime, struct error *err);

/* Where decapsulated datagrams go: the peer of the pseudo-interface. 0: nowhere (dropped). */
int datapath_decap_target(struct datapath *dp, uint32_t peer_ifindex);

/* A relay that we hold a tunnel with: data is ours when its outer source is relay and its outer
 * destination is local (our port; the address the kernel chose towards that relay). */
struct datapath_decap_relay {
	struct amt_sockaddr relay, local;
	bool ecn; /* RFC 6040: outer ECN is meaningful */
};
/* Adds or changes; at most AMT_DECAP_RELAYS_MAX at once (make before break). */
int datapath_decap_relay_add(struct datapath *dp, const struct datapath_decap_relay *relay);
void datapath_decap_relay_remove(struct datapath *dp, const struct amt_sockaddr *relay,
				 const struct amt_sockaddr *local);
void datapath_decap_relay_walk(struct datapath *dp,
			       void (*fn)(void *arg, const struct datapath_decap_relay *relay,
					  uint64_t packets, uint64_t bytes, uint64_t last_ns),
			       void *arg);

/* What is wanted: an entry for (source, group) or, source any, for (*,G). The packet path
 * looks up (S,G) first, then (*,G); excluded entries and absent ones drop. */
int datapath_decap_wanted_set(struct datapath *dp, const struct amt_group_key *key, bool excluded);
void datapath_decap_wanted_remove(struct datapath *dp, const struct amt_group_key *key);
struct datapath_decap_group {
	struct amt_group_key key;
	bool excluded;
	uint64_t packets, bytes, last_ns;
};
void datapath_decap_wanted_walk(struct datapath *dp,
				void (*fn)(void *arg, const struct datapath_decap_group *group),
				void *arg);

/* Nothing is taken from any relay, wanted, or put anywhere. */
void datapath_decap_clear(struct datapath *dp);

/* Packets put into the pseudo-interface so far, all groups. */
uint64_t datapath_decap_packets(struct datapath *dp);

/* A small pinned record of the gateway's own (its handshake, candidates of a run-time attach): the
 * packet path does not read it. size at most AMT_GATEWAY_STATE_MAX; zeros when never written. */
int datapath_gateway_state_get(struct datapath *dp, void *state, uint32_t size);
/* The same without opening: what the packet path of an instance holds. -ENOENT: there is none. */
int datapath_gateway_state_peek(const char *instance, void *state, uint32_t size);
int datapath_gateway_state_set(struct datapath *dp, const void *state, uint32_t size);

#endif
