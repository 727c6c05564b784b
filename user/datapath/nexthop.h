/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Next hops: from a gateway's address to (interface, VLAN, MAC addresses, MTU), by rtnetlink
 * through libmnl, deduplicated into ids and followed by notifications. No FIB look-up per packet.
 * Knows nothing of BPF maps: it tells its user what to write.
 */
#ifndef AMT_DATAPATH_NEXTHOP_H
#define AMT_DATAPATH_NEXTHOP_H

#include <stdbool.h>
#include <stdint.h>
#include <amt/maps.h>
#include "base/addr.h"
#include "base/error.h"

struct event_base;
struct nexthops;

/* Where copies for a tunnel go. */
struct nexthop_route {
	bool routed;	   /* false: no route; the other fields are zero */
	uint16_t nexthop;  /* id; 0 is never used */
	uint32_t ifindex;  /* device that frames are handed to: below a VLAN device */
	uint32_t logical;  /* the route's own device: equal to ifindex but for a VLAN device */
	__be16 vlan_proto; /* 0: no tag */
	__be16 vlan_tci;
	uint32_t mtu; /* smaller of the route's MTU (path MTU included) and the device's */
};

struct nexthop_callbacks {
	/* A next hop's record is new or changed (MAC known, changed, or gone): write it. */
	void (*write)(void *arg, uint16_t id, const struct amt_nexthop *record);
	/* The tunnel's route is known or changed. Called from nexthop_track() itself too. Many
	 * tunnels at once come in bounded batches, one loop turn a batch. */
	void (*route)(void *arg, uint32_t tunnel, const struct nexthop_route *route);
	/* A link appeared, vanished, or changed its state or MTU. */
	void (*link)(void *arg, uint32_t ifindex, const char *name, bool present, uint32_t mtu);
	void *arg;
};

/* max: ids run from 1 to max - 1. */
int nexthops_open(struct nexthops **out, uint32_t max, uint32_t max_tunnels,
		  struct event_base *base, const struct nexthop_callbacks *callbacks,
		  struct error *err);
void nexthops_close(struct nexthops *nexthops);

/* Follows the route from relay (source address) to gateway for a tunnel id. Tracking again with
 * other addresses replaces. Resolution of a neighbour not yet known is started at once and
 * repeated (bounded) until it answers. */
int nexthop_track(struct nexthops *nexthops, uint32_t tunnel, const struct amt_addr *gateway,
		  const struct amt_addr *relay);
/* While adopting: the same, but looks up and tells in a later turn of the loop. Until then the
 * tunnel goes on with what it has. */
int nexthop_track_later(struct nexthops *nexthops, uint32_t tunnel, const struct amt_addr *gateway,
			const struct amt_addr *relay);
void nexthop_untrack(struct nexthops *nexthops, uint32_t tunnel);

/* While adopting: takes up an id from the pinned map, so that ids stay the same. */
void nexthop_adopt(struct nexthops *nexthops, uint16_t id, const struct amt_nexthop *record);
/* After adoption: ids that no tunnel uses are free, as soon as all tunnels have been told. */
void nexthop_adopt_done(struct nexthops *nexthops);

/* A packet met an unresolved next hop: resolve now (rate-limited inside). */
void nexthop_kick(struct nexthops *nexthops, uint16_t id);

bool nexthop_get(const struct nexthops *nexthops, uint16_t id, struct amt_nexthop *record);

#endif
