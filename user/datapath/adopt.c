/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Taking up the pinned state of a predecessor, and sweeping what nobody names again. Reads the
 * maps, writes none until the caller is done, so packets keep flowing. Called by datapath.c.
 */
#include "datapath/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>

#include "base/clock.h"
#include "base/log.h"

/* Which tunnel a copy belongs to: its addresses and ports, outside. */
struct address_key {
	struct amt_addr gateway, relay;
	__be16 gateway_port, relay_port;
};

struct by_address {
	struct address_key key;
	uint32_t id;
	UT_hash_handle hh;
};

struct adoption {
	struct datapath *dp;
	struct by_address *tunnels, *storage;
};

/* ---- tunnels ---- */

static void adopt_nexthop(struct datapath *dp, uint16_t id)
{
	struct amt_nexthop record;

	if (id && id < dp->options.max_nexthops && !nexthop_get(dp->nexthops, id, &record) &&
	    !maps_read(&dp->maps, MAP_NEXTHOPS, id, &record))
		nexthop_adopt(dp->nexthops, id, &record);
}

/* The route by which the predecessor served the tunnel: it stands until it has been looked up. */
static void adopt_route(struct datapath *dp, uint32_t id)
{
	const struct amt_tunnel *record = tunnel_record(dp, id);
	const struct amt_endpoint *at = &dp->endpoints[record->endpoint].record;
	struct amt_nexthop nexthop;

	adopt_nexthop(dp, (uint16_t)record->nexthop);
	if (!nexthop_get(dp->nexthops, (uint16_t)record->nexthop, &nexthop))
		return;
	dp->tunnels[id].route = (struct nexthop_route){
		.routed = true,
		.nexthop = (uint16_t)record->nexthop,
		.ifindex = at->uplink_ifindex,
		.logical = nexthop.ifindex,
		.vlan_proto = at->vlan_proto,
		.vlan_tci = at->vlan_tci,
		.mtu = record->mtu + tunnel_overhead(record),
	};
}

static void adopt_tunnel(struct adoption *a, uint32_t id, struct by_address *entry)
{
	struct datapath *dp = a->dp;
	struct amt_tunnel *record = tunnel_record(dp, id);
	struct tunnel *tunnel = &dp->tunnels[id];
	bool served = record->endpoint < AMT_ENDPOINTS_MAX &&
		      dp->endpoints[record->endpoint].record.flags & AMT_ENDPOINT_VALID;
	struct by_address *twin;

	*tunnel = (struct tunnel){.used = true, .endpoint = DATAPATH_NONE};
	dp->tunnels_used++;
	if (served) {
		tunnel->endpoint = record->endpoint;
		dp->endpoints[record->endpoint].users++;
		adopt_route(dp, id);
	}
	entry->id = id;
	entry->key = (struct address_key){record->gateway, record->relay, record->gateway_port,
					  record->relay_port};
	HASH_FIND(hh, a->tunnels, &entry->key, sizeof(entry->key), twin);
	if (!twin)
		HASH_ADD(hh, a->tunnels, key, sizeof(entry->key), entry);
}

static int adopt_tunnels(struct adoption *a)
{
	struct datapath *dp = a->dp;
	uint32_t id, n = 0, top = 0;

	for (id = 0; id < dp->options.max_tunnels; id++) {
		if (!(tunnel_record(dp, id)->flags & AMT_TUNNEL_VALID))
			continue;
		n++;
		top = id + 1;
	}
	a->storage = calloc(n ? n : 1, sizeof(*a->storage));
	if (!a->storage)
		return -ENOMEM;
	dp->tunnels_top = top;
	for (id = 0, n = 0; id < top; id++) {
		if (tunnel_record(dp, id)->flags & AMT_TUNNEL_VALID)
			adopt_tunnel(a, id, &a->storage[n++]);
		else
			chain_push_tail(&dp->free_tunnels, dp->tunnel_link, id);
	}
	return 0;
}

/* ---- sets ---- */

static bool place_of(void *arg, uint32_t endpoint, struct fanout_place *place, bool *ipv6)
{
	const struct adoption *a = arg;
	const struct amt_endpoint *record;

	if (endpoint >= AMT_ENDPOINTS_MAX)
		return false;
	record = &a->dp->endpoints[endpoint].record;
	place->block_max = record->block_max;
	*ipv6 = record->flags & AMT_ENDPOINT_IPV6;
	return record->flags & AMT_ENDPOINT_VALID && record->block_max >= 1 &&
	       record->block_max <= AMT_BLOCK_MEMBERS;
}

/* A copy that no tunnel asks for at this place, or a second one for the same, is nobody's: the
 * predecessor ended between two stores. */
static uint32_t resolve(void *arg, uint32_t set, uint32_t endpoint,
			const struct fanout_member *member)
{
	struct adoption *a = arg;
	const struct amt_endpoint *at = &a->dp->endpoints[endpoint].record;
	struct address_key key;
	struct by_address *found;
	struct amt_tunnel *record;
	uint32_t ref;

	memset(&key, 0, sizeof(key));
	key = (struct address_key){member->gateway, at->relay, member->port, at->port};
	HASH_FIND(hh, a->tunnels, &key, sizeof(key), found);
	if (!found || a->dp->tunnels[found->id].endpoint != endpoint ||
	    members_find(a->dp->members, set, found->id) != MEMBER_NONE)
		return FANOUT_NONE;
	ref = members_add(a->dp->members, set, found->id);
	if (ref == MEMBER_NONE)
		return FANOUT_NONE;
	record = tunnel_record(a->dp, found->id);
	if (member->nexthop != record->nexthop)
		record->nexthop = 0; /* so that its route rewrites all of them */
	set_count_mtu(a->dp, ref, record->mtu);
	return ref;
}

static int adopt_set(struct adoption *a, const struct amt_group_key *key)
{
	const struct fanout_adopter adopter = {place_of, resolve, a};
	struct datapath *dp = a->dp;
	struct amt_group record;
	struct set *set;
	int ret;

	if (bpf_map_lookup_elem(dp->maps.fd[MAP_GROUPS], key, &record))
		return -errno;
	if (record.id >= dp->options.max_groups || dp->sets[record.id].used)
		return -EINVAL;
	set = &dp->sets[record.id];
	*set = (struct set){
		.key = *key,
		.used = true,
		.published = true,
		.upstream_ifindex = record.upstream_ifindex,
		.record = record,
		.recirculated = record.path == AMT_PATH_XDP_RECIRCULATED,
		.wanted_here = record.flags & AMT_GROUP_HOST,
		.id = record.id,
		.why = "",
		.rate = DATAPATH_NONE,
	};
	ret = fanout_set_adopt(dp->fanout, record.id, &adopter);
	if (ret) {
		*set = (struct set){0};
		return ret;
	}
	if (record.id >= dp->sets_top)
		dp->sets_top = record.id + 1;
	HASH_ADD(hh, dp->by_key, key, sizeof(set->key), set);
	return 0;
}

/* All keys first: entries that cannot be adopted are deleted on the way. */
static int adopt_sets(struct adoption *a)
{
	int fd = a->dp->maps.fd[MAP_GROUPS];
	struct amt_group_key *keys = calloc(a->dp->options.max_groups, sizeof(*keys));
	uint32_t n = 0, i, lost = 0;

	if (!keys)
		return -ENOMEM;
	while (n < a->dp->options.max_groups &&
	       !bpf_map_get_next_key(fd, n ? &keys[n - 1] : NULL, &keys[n]))
		n++;
	for (i = 0; i < n; i++) {
		if (!adopt_set(a, &keys[i]))
			continue;
		bpf_map_delete_elem(fd, &keys[i]);
		lost++;
	}
	free(keys);
	if (lost)
		log_warning("%u groups of the predecessor were broken and are made anew", lost);
	return 0;
}

int adopt_state(struct datapath *dp, struct error *err)
{
	struct adoption a = {.dp = dp};
	struct amt_config before;
	int ret = maps_read(&dp->maps, MAP_CONFIG, 0, &before);

	if (!ret) {
		fanout_inherit_life(dp->fanout, before.copy_life_ns);
		dp->config.flags = before.flags & AMT_CONFIG_SPREAD;
		endpoints_adopt(dp);
		ret = adopt_tunnels(&a);
	}
	if (!ret)
		ret = adopt_sets(&a);
	HASH_CLEAR(hh, a.tunnels);
	free(a.storage);
	if (ret)
		return error_set(err, ret, "cannot adopt the pinned maps: %s", strerror(-ret));
	fanout_adopt_rest(dp->fanout, clock_now());
	fanout_tick(dp->fanout, clock_now()); /* removes what is nobody's */
	return 0;
}

/* With interfaces and next hops in place again: has every route looked up, in turns of the loop. */
void adopt_track(struct datapath *dp)
{
	uint32_t id;

	for (id = 0; id < dp->tunnels_top; id++) {
		const struct amt_tunnel *record = datapath_tunnel(dp, id);

		if (record &&
		    nexthop_track_later(dp->nexthops, id, &record->gateway, &record->relay))
			datapath_tunnel_remove(dp, id);
	}
}

/* ---- what the caller sees ---- */

bool datapath_adopted(const struct datapath *dp)
{
	return dp->adopted;
}

void datapath_walk_tunnels(struct datapath *dp,
			   void (*fn)(void *arg, uint32_t id, const struct amt_tunnel *tunnel),
			   void *arg)
{
	uint32_t id;

	for (id = 0; id < dp->tunnels_top; id++)
		if (dp->tunnels[id].used)
			fn(arg, id, tunnel_record(dp, id));
}

void datapath_walk_sets(struct datapath *dp,
			void (*fn)(void *arg, uint32_t set, const struct amt_group_key *key),
			void *arg)
{
	uint32_t id;

	for (id = 0; id < dp->sets_top; id++)
		if (dp->sets[id].used)
			fn(arg, id, &dp->sets[id].key);
}

void datapath_tunnel_adopted(struct datapath *dp, uint32_t id)
{
	if (datapath_tunnel(dp, id))
		dp->tunnels[id].said = true;
}

static void sweep_members(struct datapath *dp, uint32_t set)
{
	uint32_t ref, next;

	for (ref = members_of_set(dp->members, set); ref != MEMBER_NONE; ref = next) {
		next = members_next_of_set(dp->members, ref);
		if (!members_get(dp->members, ref)->said)
			member_drop(dp, ref);
	}
}

void datapath_adopt_done(struct datapath *dp)
{
	uint32_t id;

	if (!dp->adopting)
		return;
	dp->adopting = false;
	for (id = 0; id < dp->sets_top; id++) {
		if (dp->sets[id].used && !dp->sets[id].said)
			datapath_set_destroy(dp, id);
		else if (dp->sets[id].used)
			sweep_members(dp, id);
	}
	for (id = 0; id < dp->tunnels_top; id++)
		if (dp->tunnels[id].used && !dp->tunnels[id].said)
			datapath_tunnel_remove(dp, id);
	interfaces_sweep(dp);
	nexthop_adopt_done(dp->nexthops);
}
