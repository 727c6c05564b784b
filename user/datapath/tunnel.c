/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tunnels: their records, and what a route, an uplink or the E flag means for their members: which
 * endpoint's blocks they stand in, with which next hop and MTU. Called by the relay service, by
 * nexthop.c with routes, and by attach.c when uplinks change.
 */
#include "datapath/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <amt/wire.h>

#include "base/log.h"

#define RETRIES_A_TICK 256
#define MTU_MAX	       65535

struct amt_tunnel *tunnel_record(struct datapath *dp, uint32_t id)
{
	return (struct amt_tunnel *)dp->maps.memory[MAP_TUNNELS] + id;
}

int tunnels_new(struct datapath *dp)
{
	uint32_t max = dp->options.max_tunnels;

	dp->free_tunnels = dp->retry = CHAIN_EMPTY;
	dp->tunnels = calloc(max, sizeof(*dp->tunnels));
	dp->tunnel_link = calloc(max, sizeof(*dp->tunnel_link));
	return dp->tunnels && dp->tunnel_link ? 0 : -ENOMEM;
}

static bool exists(const struct datapath *dp, uint32_t id)
{
	return id < dp->tunnels_top && dp->tunnels[id].used;
}

const struct amt_tunnel *datapath_tunnel(const struct datapath *dp, uint32_t id)
{
	return exists(dp, id) ? (const struct amt_tunnel *)dp->maps.memory[MAP_TUNNELS] + id : NULL;
}

/* ---- accounting: a tunnel's traffic is that of its groups while it is in them ---- */

void tunnel_count(struct datapath *dp, uint32_t id, const struct amt_group_counters *counters,
		  bool join)
{
	struct amt_tunnel *record = tunnel_record(dp, id);

	record->packets_offset += join ? -counters->packets : counters->packets;
	record->bytes_offset += join ? -counters->bytes : counters->bytes;
}

void tunnel_account(struct datapath *dp, uint32_t id, uint32_t set, bool join)
{
	struct amt_group_counters counters;

	if (!dp->sets[set].published)
		return; /* no packet has met it yet: zero */
	group_counters_read(dp, set, &counters);
	tunnel_count(dp, id, &counters, join);
}

void datapath_tunnel_traffic(struct datapath *dp, uint32_t id, uint64_t *packets, uint64_t *bytes)
{
	const struct amt_tunnel *record = datapath_tunnel(dp, id);
	struct amt_group_counters counters;
	uint32_t ref;

	*packets = *bytes = 0;
	if (!record)
		return;
	*packets = record->packets_offset;
	*bytes = record->bytes_offset;
	for (ref = members_of_tunnel(dp->members, id); ref != MEMBER_NONE;
	     ref = members_next_of_tunnel(dp->members, ref)) {
		const struct member *member = members_get(dp->members, ref);

		if (member->block == MEMBER_NONE)
			continue;
		group_counters_read(dp, member->set, &counters);
		*packets += counters.packets;
		*bytes += counters.bytes;
	}
}

/* ---- where copies go ---- */

static bool is_ipv6(const struct amt_tunnel *record)
{
	return !addr_is_ipv4(&record->gateway);
}

uint32_t tunnel_overhead(const struct amt_tunnel *record)
{
	return is_ipv6(record) ? AMT_OVERHEAD6 : AMT_OVERHEAD4;
}

/* Largest inner datagram, not below the configured floor. */
static uint32_t tunnel_mtu(const struct datapath *dp, uint32_t id)
{
	uint32_t overhead = tunnel_overhead(
			 (const struct amt_tunnel *)dp->maps.memory[MAP_TUNNELS] + id),
		 mtu = dp->tunnels[id].route.mtu;

	if (dp->options.tunnel_mtu)
		return dp->options.tunnel_mtu;
	mtu = mtu > overhead ? mtu - overhead : 0;
	if (mtu < dp->options.tunnel_mtu_min)
		mtu = dp->options.tunnel_mtu_min;
	return mtu < 1 ? 1 : mtu > MTU_MAX ? MTU_MAX : mtu;
}

void tunnel_mark_retry(struct datapath *dp, uint32_t id)
{
	if (dp->tunnels[id].retry)
		return;
	dp->tunnels[id].retry = true;
	chain_push_tail(&dp->retry, dp->tunnel_link, id);
}

static void forget_retry(struct datapath *dp, uint32_t id)
{
	if (!dp->tunnels[id].retry)
		return;
	dp->tunnels[id].retry = false;
	chain_remove(&dp->retry, dp->tunnel_link, id);
}

static void warn_no_uplink(struct datapath *dp, uint32_t id)
{
	const struct nexthop_route *route = &dp->tunnels[id].route;
	char gateway[AMT_ADDR_STRLEN], name[IFNAMSIZ] = "?";

	if (dp->warned_ifindex == route->logical)
		return;
	dp->warned_ifindex = route->logical;
	if_indextoname(route->logical, name);
	log_warning("gateway %s is reached by %s, which is no uplink, so it gets nothing; try: "
		    "amt-ctl attach %s --uplink",
		    addr_print(&tunnel_record(dp, id)->gateway, gateway), name, name);
}

/* The endpoint for the tunnel's route, one use of it taken; DATAPATH_NONE: it is not served. */
static uint32_t take_endpoint(struct datapath *dp, uint32_t id)
{
	const struct amt_tunnel *record = tunnel_record(dp, id);
	const struct nexthop_route *route = &dp->tunnels[id].route;
	const struct interface *uplink = route->routed ? interface_of_route(dp, route) : NULL;
	struct amt_endpoint want = {
		.relay = record->relay,
		.port = record->relay_port,
		.flags = AMT_ENDPOINT_VALID,
	};
	uint32_t endpoint;

	if (route->routed && !uplink)
		warn_no_uplink(dp, id);
	if (!uplink)
		return DATAPATH_NONE;
	want.flags |= is_ipv6(record) ? AMT_ENDPOINT_IPV6 : 0;
	want.flags |= record->flags & AMT_TUNNEL_ECN ? AMT_ENDPOINT_ECN : 0;
	want.flags |= route->vlan_proto ? AMT_ENDPOINT_VLAN : 0;
	want.vlan_proto = route->vlan_proto;
	want.vlan_tci = route->vlan_tci;
	want.uplink = uplink->uplink;
	want.uplink_ifindex = route->ifindex;
	endpoint_limits(uplink, &want);
	endpoint = endpoint_get(dp, &want);
	if (endpoint == DATAPATH_NONE)
		tunnel_mark_retry(dp, id);
	return endpoint;
}

/* Brings one membership from where it is to what the tunnel's record says now. */
static void apply_member(struct datapath *dp, uint32_t ref, uint32_t old, uint32_t now)
{
	struct member *member = members_get(dp->members, ref);
	const struct amt_tunnel *record = tunnel_record(dp, member->tunnel);

	if (dp->sets[member->set].ended)
		return;
	if (now == DATAPATH_NONE) {
		set_unplace(dp, ref);
	} else if (member->block == MEMBER_NONE) {
		if (set_place(dp, ref))
			tunnel_mark_retry(dp, member->tunnel);
	} else if (old != now) {
		set_move(dp, ref, now);
	} else {
		fanout_set_nexthop(dp->fanout, member->block, ref, (uint16_t)record->nexthop);
		set_count_mtu(dp, ref, record->mtu);
		set_refresh(dp, &dp->sets[member->set]);
	}
}

/* Compares what the record says with what route, uplinks and E flag ask for, and applies it. */
static void tunnel_apply(struct datapath *dp, uint32_t id)
{
	struct amt_tunnel *record = tunnel_record(dp, id);
	struct tunnel *tunnel = &dp->tunnels[id];
	uint32_t old = tunnel->endpoint, now = take_endpoint(dp, id), mtu = tunnel_mtu(dp, id), ref;
	bool same = old == now && record->nexthop == tunnel->route.nexthop && record->mtu == mtu;

	if (old != DATAPATH_NONE && same) {
		endpoint_put(dp, now); /* taken once more above */
		return;
	}
	tunnel->endpoint = record->endpoint = now;
	record->nexthop = tunnel->route.nexthop;
	record->mtu = mtu;
	for (ref = members_of_tunnel(dp->members, id); ref != MEMBER_NONE;
	     ref = members_next_of_tunnel(dp->members, ref))
		apply_member(dp, ref, old, now);
	if (old != DATAPATH_NONE)
		endpoint_put(dp, old);
}

void tunnel_routed(struct datapath *dp, uint32_t id, const struct nexthop_route *route)
{
	if (!exists(dp, id))
		return;
	dp->tunnels[id].route = *route;
	tunnel_apply(dp, id);
}

void tunnel_reroute(struct datapath *dp, uint32_t id)
{
	if (dp->tunnels[id].used)
		tunnel_apply(dp, id);
}

/* Members that found no free block, tunnels that found no free endpoint: some come free with every
 * grace period. */
void tunnels_review(struct datapath *dp)
{
	unsigned int tries;
	uint32_t id, ref;

	for (tries = 0; tries < RETRIES_A_TICK && dp->retry.head != CHAIN_END; tries++) {
		id = dp->retry.head;
		forget_retry(dp, id);
		tunnel_apply(dp, id);
		for (ref = members_of_tunnel(dp->members, id); ref != MEMBER_NONE;
		     ref = members_next_of_tunnel(dp->members, ref))
			if (set_place(dp, ref))
				tunnel_mark_retry(dp, id);
		if (dp->tunnels[id].retry)
			return; /* still none */
	}
}

/* ---- tunnels come and go ---- */

static uint32_t take_id(struct datapath *dp)
{
	uint32_t id = dp->free_tunnels.head;

	if (id != CHAIN_END) {
		chain_remove(&dp->free_tunnels, dp->tunnel_link, id);
		return id;
	}
	return dp->tunnels_top < dp->options.max_tunnels ? dp->tunnels_top++ : DATAPATH_NONE;
}

int datapath_tunnel_add(struct datapath *dp, const struct datapath_tunnel *in, uint32_t *out)
{
	uint32_t id = take_id(dp);
	int ret;

	if (id == DATAPATH_NONE)
		return -ENOSPC;
	*tunnel_record(dp, id) = (struct amt_tunnel){
		.gateway = in->gateway.addr,
		.relay = in->relay.addr,
		.gateway_port = in->gateway.port,
		.relay_port = in->relay.port,
		.flags = AMT_TUNNEL_VALID | (in->ecn ? AMT_TUNNEL_ECN : 0),
		.endpoint = DATAPATH_NONE,
		.created_ns = in->created_ns,
		.expires_ns = in->expires_ns,
	};
	dp->tunnels[id] = (struct tunnel){.used = true, .said = true, .endpoint = DATAPATH_NONE};
	dp->tunnels_used++;
	*out = id;
	tunnel_record(dp, id)->mtu = tunnel_mtu(dp, id);
	ret = nexthop_track(dp->nexthops, id, &in->gateway.addr, &in->relay.addr);
	if (ret)
		datapath_tunnel_remove(dp, id);
	return ret;
}

void datapath_tunnel_remove(struct datapath *dp, uint32_t id)
{
	struct tunnel *tunnel = &dp->tunnels[id];
	uint32_t ref;

	if (!exists(dp, id))
		return;
	while ((ref = members_of_tunnel(dp->members, id)) != MEMBER_NONE)
		member_drop(dp, ref);
	nexthop_untrack(dp->nexthops, id);
	if (tunnel->endpoint != DATAPATH_NONE)
		endpoint_put(dp, tunnel->endpoint);
	forget_retry(dp, id);
	*tunnel = (struct tunnel){0};
	*tunnel_record(dp, id) = (struct amt_tunnel){0};
	chain_push_tail(&dp->free_tunnels, dp->tunnel_link, id);
	dp->tunnels_used--;
}

void datapath_tunnel_set_expiry(struct datapath *dp, uint32_t id, uint64_t expires_ns)
{
	if (exists(dp, id))
		tunnel_record(dp, id)->expires_ns = expires_ns;
}

int datapath_tunnel_set_ecn(struct datapath *dp, uint32_t id, bool ecn)
{
	struct amt_tunnel *record = tunnel_record(dp, id);

	if (!exists(dp, id))
		return -ENOENT;
	if (ecn == !!(record->flags & AMT_TUNNEL_ECN))
		return 0;
	record->flags ^= AMT_TUNNEL_ECN;
	tunnel_apply(dp, id);
	return 0;
}

void datapath_tunnel_nexthop(const struct datapath *dp, uint32_t id,
			     struct datapath_nexthop_view *out)
{
	const struct nexthop_route *route;
	struct amt_nexthop record;

	memset(out, 0, sizeof(*out));
	if (!exists(dp, id))
		return;
	route = &dp->tunnels[id].route;
	out->routed = route->routed;
	if (!route->routed)
		return;
	if (!if_indextoname(route->logical, out->interface))
		out->interface[0] = '\0';
	if (!nexthop_get(dp->nexthops, route->nexthop, &record))
		return;
	out->resolved = record.flags & AMT_NEXTHOP_VALID;
	out->address = record.address;
	memcpy(out->mac, record.dmac, sizeof(out->mac));
}
