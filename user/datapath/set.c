/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Forwarding sets: their entries in `groups`, their members' places in the fan-out arrays and the
 * smallest tunnel MTU. Called by the relay service, tunnel.c, attach.c and adopt.c.
 */
#include "datapath/state.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>

#include "base/clock.h"

#define MTU_NO_MEMBER 65535 /* nobody is too small for it */

struct set *set_find(struct datapath *dp, const struct amt_group_key *key)
{
	struct set *set;

	HASH_FIND(hh, dp->by_key, key, sizeof(*key), set);
	return set;
}

static struct set *set_get(struct datapath *dp, uint32_t id)
{
	return id < dp->sets_top && dp->sets[id].used && !dp->sets[id].ended ? &dp->sets[id] : NULL;
}

/* ---- smallest MTU ---- */

static void count_mtu(struct set *set, uint32_t mtu, int change)
{
	struct mtu_count *grown;
	unsigned int i;

	for (i = 0; i < set->nmtus && set->mtus[i].mtu != mtu; i++)
		;
	if (i == set->nmtus && change > 0) {
		grown = realloc(set->mtus, (set->nmtus + 1) * sizeof(*grown));
		if (!grown)
			return; /* too big packets of this tunnel are dropped on the way */
		set->mtus = grown;
		set->mtus[set->nmtus++] = (struct mtu_count){.mtu = mtu};
	}
	if (i == set->nmtus)
		return;
	set->mtus[i].members += (uint32_t)change;
	if (!set->mtus[i].members)
		set->mtus[i] = set->mtus[--set->nmtus];
}

static uint32_t smallest_mtu(const struct set *set)
{
	uint32_t mtu = MTU_NO_MEMBER;
	unsigned int i;

	for (i = 0; i < set->nmtus; i++)
		if (set->mtus[i].mtu < mtu)
			mtu = set->mtus[i].mtu;
	return mtu;
}

void set_count_mtu(struct datapath *dp, uint32_t ref, uint32_t mtu)
{
	struct member *member = members_get(dp->members, ref);
	struct set *set = &dp->sets[member->set];

	if (member->mtu == mtu)
		return;
	if (mtu)
		count_mtu(set, mtu, 1);
	if (member->mtu)
		count_mtu(set, member->mtu, -1);
	member->mtu = (uint16_t)mtu;
}

/* ---- the entry ---- */

static const struct prospect nobody = {.endpoint = DATAPATH_NONE, .mtu = MTU_NO_MEMBER};

/* Writes the entry when it is not what it should be. */
static int set_write(struct datapath *dp, struct set *set, const struct prospect *prospect)
{
	struct amt_group record = {.id = set->id, .upstream_ifindex = set->upstream_ifindex};
	uint32_t mtu = smallest_mtu(set);

	record.path = path_choose(dp, set, prospect, &set->why);
	record.mtu = prospect->mtu < mtu ? prospect->mtu : mtu;
	record.flags = path_flags(dp, set, prospect);
	if (!set->published || !memcmp(&record, &set->record, sizeof(record)))
		return 0;
	if (bpf_map_update_elem(dp->maps.fd[MAP_GROUPS], &set->key, &record, BPF_ANY))
		return errno == E2BIG ? -ENOSPC : -errno;
	set->record = record;
	set->recirculated |= record.path == AMT_PATH_XDP_RECIRCULATED;
	return 0;
}

void set_refresh(struct datapath *dp, struct set *set)
{
	set_write(dp, set, &nobody);
}

void set_refresh_id(struct datapath *dp, uint32_t id)
{
	if (dp->sets[id].used)
		set_refresh(dp, &dp->sets[id]);
}

/* ---- members ---- */

static struct fanout_member fanout_member_of(struct datapath *dp, uint32_t ref)
{
	const struct amt_tunnel *record = tunnel_record(dp, members_get(dp->members, ref)->tunnel);

	return (struct fanout_member){
		.gateway = record->gateway,
		.port = record->gateway_port,
		.nexthop = (uint16_t)record->nexthop,
		.ref = ref,
	};
}

static struct fanout_place place_at(const struct datapath *dp, uint32_t endpoint)
{
	return (struct fanout_place){
		.endpoint = endpoint,
		.block_max = dp->endpoints[endpoint].record.block_max,
		.cpus = dp->config.cpus,
		.spread = dp->spread,
	};
}

/* Serves the member, when its tunnel has a route. */
int set_place(struct datapath *dp, uint32_t ref)
{
	struct member *member = members_get(dp->members, ref);
	const struct fanout_member copy = fanout_member_of(dp, ref);
	struct set *set = &dp->sets[member->set];
	struct prospect prospect = {dp->tunnels[member->tunnel].endpoint,
				    tunnel_record(dp, member->tunnel)->mtu};
	struct fanout_place place;
	int ret;

	if (set->ended || prospect.endpoint == DATAPATH_NONE || member->block != MEMBER_NONE)
		return 0;
	place = place_at(dp, prospect.endpoint);
	set_write(dp, set, &prospect);
	tunnel_account(dp, member->tunnel, set->id, true);
	ret = fanout_join(dp->fanout, clock_now(), set->id, &place, &copy);
	if (ret)
		tunnel_account(dp, member->tunnel, set->id, false);
	else
		set_count_mtu(dp, ref, prospect.mtu);
	set_refresh(dp, set);
	return ret;
}

void set_unplace(struct datapath *dp, uint32_t ref)
{
	struct member *member = members_get(dp->members, ref);
	struct set *set = &dp->sets[member->set];

	if (member->block == MEMBER_NONE)
		return;
	if (!set->ended)
		fanout_leave(dp->fanout, clock_now(), member->block, ref);
	member->block = MEMBER_NONE;
	tunnel_account(dp, member->tunnel, member->set, false);
	set_count_mtu(dp, ref, 0);
	set_refresh(dp, set);
}

/* To another endpoint's blocks. */
void set_move(struct datapath *dp, uint32_t ref, uint32_t endpoint)
{
	struct member *member = members_get(dp->members, ref);
	const struct fanout_member copy = fanout_member_of(dp, ref);
	const struct fanout_place place = place_at(dp, endpoint);
	struct set *set = &dp->sets[member->set];
	const struct prospect prospect = {endpoint, tunnel_record(dp, member->tunnel)->mtu};

	set_write(dp, set, &prospect);
	if (fanout_move(dp->fanout, clock_now(), member->block, &place, &copy)) {
		set_unplace(dp, ref);
		tunnel_mark_retry(dp, member->tunnel);
		return;
	}
	set_count_mtu(dp, ref, prospect.mtu);
	set_refresh(dp, set);
}

void member_drop(struct datapath *dp, uint32_t ref)
{
	set_unplace(dp, ref);
	members_remove(dp->members, ref);
}

int datapath_member_add(struct datapath *dp, uint32_t id, uint32_t tunnel)
{
	struct set *set = set_get(dp, id);
	uint32_t ref;
	int ret;

	if (!set || !datapath_tunnel(dp, tunnel))
		return -ENOENT;
	ref = members_find(dp->members, id, tunnel);
	if (ref != MEMBER_NONE) {
		members_get(dp->members, ref)->said = true;
		return 0;
	}
	ref = members_add(dp->members, id, tunnel);
	if (ref == MEMBER_NONE)
		return -ENOMEM;
	members_get(dp->members, ref)->said = true;
	ret = set_place(dp, ref);
	if (ret)
		members_remove(dp->members, ref);
	return ret;
}

void datapath_member_remove(struct datapath *dp, uint32_t id, uint32_t tunnel)
{
	uint32_t ref = set_get(dp, id) ? members_find(dp->members, id, tunnel) : MEMBER_NONE;

	if (ref != MEMBER_NONE)
		member_drop(dp, ref);
}

/* ---- sets ---- */

static int clear_counters(const struct datapath *dp, uint32_t id)
{
	void *zero = calloc(dp->maps.cpus, sizeof(struct amt_group_counters));
	int ret = zero ? maps_write(&dp->maps, MAP_GROUP_COUNTERS, id, zero) : -ENOMEM;

	free(zero);
	return ret;
}

static int set_new(struct datapath *dp, const struct amt_group_key *key, uint32_t *id)
{
	struct set *set;
	int ret = fanout_set_new(dp->fanout, clock_now(), id);

	if (ret)
		return ret;
	if (*id >= dp->sets_top)
		dp->sets_top = *id + 1;
	set = &dp->sets[*id];
	if (set->ended) /* it has been for a grace period: not much is left */
		set_end_some(dp, *id, UINT_MAX);
	*set = (struct set){
		.key = *key,
		.used = true,
		.id = *id,
		.said = true,
		.why = "",
		.rate = DATAPATH_NONE,
	};
	HASH_ADD(hh, dp->by_key, key, sizeof(set->key), set);
	ret = clear_counters(dp, *id);
	if (ret)
		datapath_set_destroy(dp, *id);
	return ret;
}

int datapath_set_create(struct datapath *dp, const struct amt_group_key *key, uint32_t *id)
{
	struct set *set = set_find(dp, key);

	if (!set)
		return set_new(dp, key, id);
	if (!dp->adopting)
		return -EEXIST;
	set->said = true;
	*id = set->id;
	return 0;
}

int datapath_set_publish(struct datapath *dp, uint32_t id, uint32_t upstream_ifindex)
{
	struct set *set = set_get(dp, id);

	if (!set)
		return -ENOENT;
	set->upstream_ifindex = upstream_ifindex;
	set->published = true;
	return set_write(dp, set, &nobody);
}

/* Packets, and whoever asks for the key, see none from now on. Very many members go by and by. */
void datapath_set_destroy(struct datapath *dp, uint32_t id)
{
	struct set *set = set_get(dp, id);

	if (!set)
		return;
	if (set->published)
		bpf_map_delete_elem(dp->maps.fd[MAP_GROUPS], &set->key);
	set->published = false;
	HASH_DELETE(hh, dp->by_key, set);
	fanout_set_free(dp->fanout, clock_now(), id);
	set->ended = true;
	chain_push_tail(&dp->ended_sets, dp->set_link, id);
	sweep_ended(dp);
}

void set_end_some(struct datapath *dp, uint32_t id, unsigned int most)
{
	struct set *set = &dp->sets[id];
	struct amt_group_counters counters;
	uint32_t ref;

	group_counters_read(dp, id, &counters);
	while ((ref = members_of_set(dp->members, id)) != MEMBER_NONE) {
		const struct member *member = members_get(dp->members, ref);

		if (!most--)
			return;
		if (member->block != MEMBER_NONE)
			tunnel_count(dp, member->tunnel, &counters, false);
		members_remove(dp->members, ref);
	}
	chain_remove(&dp->ended_sets, dp->set_link, id);
	free(set->mtus);
	*set = (struct set){0};
}

void datapath_set_wanted_here(struct datapath *dp, uint32_t id, bool wanted)
{
	struct set *set = set_get(dp, id);

	if (!set || set->wanted_here == wanted)
		return;
	set->wanted_here = wanted;
	set_refresh(dp, set);
}

void datapath_set_measure(struct datapath *dp, uint32_t id, uint64_t now)
{
	struct set *set = set_get(dp, id);
	struct amt_group_counters counters;
	uint64_t past;

	if (!set || (set->measured_ns && now - set->measured_ns < NSEC_PER_SEC))
		return;
	group_counters_read(dp, id, &counters);
	past = (now - set->measured_ns) / NSEC_PER_MSEC;
	if (set->measured_ns) /* bits a millisecond */
		set->rate = (uint32_t)((counters.bytes - set->measured_bytes) * 8 / past);
	set->measured_ns = now;
	set->measured_bytes = counters.bytes;
}

uint32_t datapath_set_rate(const struct datapath *dp, uint32_t id)
{
	return id < dp->sets_top && dp->sets[id].used ? dp->sets[id].rate : DATAPATH_NONE;
}

int datapath_set_view(struct datapath *dp, uint32_t id, struct datapath_set_view *out)
{
	const struct set *set = set_get(dp, id);
	uint32_t served;

	if (!set)
		return -ENOENT;
	*out = (struct datapath_set_view){
		.key = set->key,
		.upstream_ifindex = set->upstream_ifindex,
		.members = members_in_set(dp->members, id),
		.path = set->record.path,
		.why = set->why,
		.mtu = smallest_mtu(set),
		.rate = set->rate,
	};
	fanout_size(dp->fanout, id, &out->blocks, &served);
	group_counters_read(dp, id, &out->counters);
	return 0;
}

bool datapath_set_has(struct datapath *dp, const struct amt_group_key *key, uint32_t tunnel)
{
	const struct set *set = set_find(dp, key);

	return set && members_find(dp->members, set->id, tunnel) != MEMBER_NONE;
}

unsigned int datapath_set_size(struct datapath *dp, const struct amt_group_key *key)
{
	const struct set *set = set_find(dp, key);

	return set ? members_in_set(dp->members, set->id) : 0;
}

void datapath_set_members(struct datapath *dp, const struct amt_group_key *key,
			  void (*fn)(void *arg, uint32_t tunnel), void *arg)
{
	const struct set *set = set_find(dp, key);
	uint32_t ref = set ? members_of_set(dp->members, set->id) : MEMBER_NONE;

	for (; ref != MEMBER_NONE; ref = members_next_of_set(dp->members, ref))
		fn(arg, members_get(dp->members, ref)->tunnel);
}
