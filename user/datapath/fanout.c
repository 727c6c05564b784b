/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Joins, leaves and moves of members (design 4.1): a join is one write and one store of the count,
 * a leave writes a fresh block and stores its id over the old one's, so that a packet on its way
 * finds every other member exactly once. Called by set.c and tunnel.c; see fanout.h.
 */
#include "datapath/fanout_blocks.h"

#include <errno.h>
#include <stdlib.h>

#include "base/addr.h"

#define PARTNERS_TRIED 4  /* open blocks looked at for a merge */
#define TICK_BLOCKS    16 /* that one fanout_tick() looks at */

uint32_t fanout_list_slots(uint32_t max_blocks)
{
	return 1u << slots_order(4 * max_blocks);
}

struct fanout *fanout_new(const struct fanout_arrays *arrays, const struct fanout_grace *grace,
			  const struct fanout_callbacks *callbacks)
{
	struct fanout *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->map = *arrays;
	f->callbacks = *callbacks;
	f->grace = *grace;
	f->life_ns = grace->ns;
	f->free_sets = f->free_blocks = f->dirty = f->retired_segments = CHAIN_EMPTY;
	f->set = calloc(arrays->max_sets, sizeof(*f->set));
	f->set_link = calloc(arrays->max_sets, sizeof(*f->set_link));
	f->block = calloc(arrays->max_blocks, sizeof(*f->block));
	f->block_link = calloc(arrays->max_blocks, sizeof(*f->block_link));
	f->dirty_link = calloc(arrays->max_blocks, sizeof(*f->dirty_link));
	f->ref = calloc((size_t)arrays->max_blocks * AMT_BLOCK_MEMBERS, sizeof(*f->ref));
	f->slots = slots_new(arrays->list_slots);
	f->retired = calloc(arrays->list_slots, sizeof(*f->retired));
	f->retired_link = calloc(arrays->list_slots, sizeof(*f->retired_link));
	if (f->set && f->set_link && f->block && f->block_link && f->dirty_link && f->ref &&
	    f->slots && f->retired && f->retired_link)
		return f;
	fanout_free(f);
	return NULL;
}

void fanout_free(struct fanout *f)
{
	uint32_t i;

	if (!f)
		return;
	for (i = 0; f->set && i < f->map.max_sets; i++)
		free(f->set[i].lanes);
	free(f->set);
	free(f->set_link);
	free(f->block);
	free(f->block_link);
	free(f->dirty_link);
	free(f->ref);
	slots_free(f->slots);
	free(f->retired);
	free(f->retired_link);
	free(f);
}

/* ---- sets ---- */

int fanout_set_new(struct fanout *f, uint64_t now, uint32_t *set)
{
	uint32_t id = f->free_sets.head;

	if (id != CHAIN_END && now >= f->set[id].free_ns) {
		chain_remove(&f->free_sets, f->set_link, id);
	} else {
		while (f->fresh_set < f->map.max_sets && f->set[f->fresh_set].known)
			f->fresh_set++;
		if (f->fresh_set == f->map.max_sets)
			return -ENOSPC;
		id = f->fresh_set++;
	}
	f->set[id] = (struct fanout_set){.used = true, .known = true};
	f->map.group_blocks[id] = (struct amt_group_blocks){0};
	*set = id;
	return 0;
}

void fanout_set_free(struct fanout *f, uint64_t now, uint32_t set)
{
	const struct amt_group_blocks list = f->map.group_blocks[set];
	uint32_t i;

	list_retire(f, now, set);
	for (i = 0; i < list.count; i++)
		block_retire(f, now, f->map.block_list[list.first + i].block);
	f->set[set] = (struct fanout_set){.known = true, .free_ns = fanout_free_at(f, now)};
	chain_push_tail(&f->free_sets, f->set_link, set);
}

void fanout_size(const struct fanout *f, uint32_t set, uint32_t *blocks, uint32_t *members)
{
	*blocks = f->map.group_blocks[set].count;
	*members = f->set[set].members;
}

uint32_t fanout_endpoint(const struct fanout *f, uint32_t set, unsigned int i)
{
	return i < f->set[set].nlanes ? f->set[set].lanes[i].endpoint : FANOUT_NONE;
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

void fanout_inherit_life(struct fanout *f, uint64_t life_ns)
{
	f->life_ns = life_ns < f->grace.most_ns ? life_ns : f->grace.most_ns;
}

uint64_t fanout_renew_life(struct fanout *f, uint64_t now)
{
	f->horizon_ns = later(f->horizon_ns, now + f->life_ns);
	fanout_inherit_life(f, f->grace.ns + f->blocks_used * f->grace.block_ns);
	return f->life_ns;
}

uint64_t fanout_free_at(const struct fanout *f, uint64_t now)
{
	return later(f->horizon_ns, now + f->life_ns) + f->grace.margin_ns;
}

uint32_t fanout_blocks_used(const struct fanout *f)
{
	return f->blocks_used;
}

/* ---- joins ---- */

/* A fresh block of the lane, unseen. */
static uint32_t block_new(struct fanout *f, uint64_t now, uint32_t set, const struct lane *lane,
			  bool ipv6)
{
	uint32_t block = block_take(f, now);

	if (block == FANOUT_NONE)
		return FANOUT_NONE;
	f->map.blocks[block] = (struct amt_block){.endpoint = lane->endpoint, .cpu = lane->cpu};
	block_claim(f, block, set, ipv6);
	return block;
}

static uint32_t block_like(struct fanout *f, uint64_t now, uint32_t like)
{
	return block_new(f, now, f->block[like].set, lane_of(f, like), f->block[like].ipv6);
}

static void block_append(struct fanout *f, uint32_t block, const struct fanout_member *member)
{
	uint32_t count = f->map.blocks[block].count;

	block_write(f, block, count, member);
	block_store_count(f, block, count + 1);
	block_sort(f, block);
}

int fanout_join(struct fanout *f, uint64_t now, uint32_t set, const struct fanout_place *place,
		const struct fanout_member *member)
{
	struct lane *lane = lane_choose(f, set, place);
	uint32_t block;
	int err;

	if (!lane)
		return -ENOMEM;
	block = lane->open.head;
	if (block == CHAIN_END) {
		block = block_new(f, now, set, lane, !addr_is_ipv4(&member->gateway));
		if (block == FANOUT_NONE) {
			lane_drop_if_empty(f, set, lane);
			return -ENOSPC;
		}
		block_write(f, block, 0, member);
		f->map.blocks[block].count = 1;
		err = list_change(f, now, set, &(struct list_edit){FANOUT_NONE, block}, 1);
		if (err) {
			block_return(f, block);
			return err;
		}
		block_sort(f, block);
	} else {
		block_append(f, block, member);
	}
	f->set[set].members++;
	f->callbacks.moved(f->callbacks.arg, member->ref, block);
	return 0;
}

/* ---- leaves ---- */

static uint32_t find_ref(const struct fanout *f, uint32_t block, uint32_t ref)
{
	uint32_t i, base = block * AMT_BLOCK_MEMBERS;

	for (i = 0; i < f->map.blocks[block].count; i++)
		if (f->ref[base + i] == ref)
			return base + i;
	return FANOUT_NONE;
}

/* A block that the living members of this one fit into as well, so that lists stay short. */
static uint32_t find_partner(struct fanout *f, uint32_t block)
{
	struct lane *lane = lane_of(f, block);
	uint32_t live = block_live(f, block), other = lane->open.head;
	int tries;

	if (live > lane->block_max / 2u)
		return FANOUT_NONE;
	for (tries = 0; other != CHAIN_END && tries < PARTNERS_TRIED; tries++) {
		if (other != block && block_live(f, other) + live <= lane->block_max)
			return other;
		other = f->block_link[other].next;
	}
	return FANOUT_NONE;
}

/* Puts `to`, filled from block and partner, in their place. */
static int replace(struct fanout *f, uint64_t now, uint32_t to, uint32_t block, uint32_t partner)
{
	const struct list_edit edit[] = {{block, to}, {partner, FANOUT_NONE}};
	unsigned int n = partner == FANOUT_NONE ? 1 : 2;
	int err;

	block_fill(f, to, block);
	if (n == 2)
		block_fill(f, to, partner);
	err = list_change(f, now, f->block[block].set, edit, n);
	if (err) {
		f->map.blocks[to].count = 0;
		return err;
	}
	block_retire(f, now, block);
	if (n == 2)
		block_retire(f, now, partner);
	block_sort(f, to);
	block_announce(f, to);
	return 0;
}

static bool is_too_large(struct fanout *f, uint32_t block)
{
	return f->map.blocks[block].count > lane_of(f, block)->block_max;
}

/* The upper half of the members of a block that no reader can see goes to an empty one. */
static void halve(struct fanout *f, uint32_t block, uint32_t upper)
{
	uint32_t count = f->map.blocks[block].count;

	block_copy(f, upper, block, count / 2);
	f->map.blocks[block].count = count / 2;
}

/* A block that no list has come to name. */
static void block_abandon(struct fanout *f, uint32_t block)
{
	if (block == FANOUT_NONE)
		return;
	f->map.blocks[block].count = 0;
	block_return(f, block);
}

/* Halves a block into two new ones that take its place in the list; false: there is no room for
 * that. */
static bool block_divide(struct fanout *f, uint64_t now, uint32_t block, const uint32_t half[2])
{
	const struct list_edit edit[] = {{block, half[0]}, {FANOUT_NONE, half[1]}};

	if (half[0] == FANOUT_NONE || half[1] == FANOUT_NONE)
		return false;
	block_fill(f, half[0], block);
	halve(f, half[0], half[1]);
	return !list_change(f, now, f->block[block].set, edit, 2);
}

/* Puts two halves in the place of a block that holds more than it shall. */
static void block_split(struct fanout *f, uint64_t now, uint32_t block)
{
	const uint32_t half[] = {block_like(f, now, block), block_like(f, now, block)};
	unsigned int i;

	if (!block_divide(f, now, block, half)) {
		block_abandon(f, half[0]);
		block_abandon(f, half[1]);
		block_mark_dirty(f, block);
		return;
	}
	block_retire(f, now, block);
	for (i = 0; i < 2; i++) {
		block_sort(f, half[i]);
		block_announce(f, half[i]);
		if (is_too_large(f, half[i]))
			block_mark_dirty(f, half[i]);
	}
}

/* Removes a block's dead members, the block itself where none is left; splits one that has become
 * too large. */
static void block_settle(struct fanout *f, uint64_t now, uint32_t block)
{
	const struct list_edit drop = {block, FANOUT_NONE};
	uint32_t to, partner;

	if (!block_live(f, block) && !list_change(f, now, f->block[block].set, &drop, 1)) {
		block_retire(f, now, block);
		return;
	}
	if (block_live(f, block) && !f->block[block].dead) {
		if (is_too_large(f, block))
			block_split(f, now, block);
		return; /* else it waited for room, and somebody joined meanwhile */
	}
	to = f->block[block].dead ? block_like(f, now, block) : FANOUT_NONE;
	if (to == FANOUT_NONE) {
		block_mark_dirty(f, block);
		return;
	}
	partner = find_partner(f, block);
	if (partner == FANOUT_NONE || replace(f, now, to, block, partner))
		replace(f, now, to, block, FANOUT_NONE);
	if (!f->map.blocks[to].count || is_too_large(f, to))
		block_mark_dirty(f, to); /* no room for a shorter list yet, or to be split */
}

static void kill_member(struct fanout *f, uint32_t block, uint32_t at)
{
	f->ref[at] = FANOUT_NONE;
	f->block[block].dead++;
	f->set[f->block[block].set].members--;
}

static void revive_member(struct fanout *f, uint32_t block, uint32_t at, uint32_t ref)
{
	f->ref[at] = ref;
	f->block[block].dead--;
	f->set[f->block[block].set].members++;
}

void fanout_leave(struct fanout *f, uint64_t now, uint32_t block, uint32_t ref)
{
	uint32_t at = find_ref(f, block, ref);

	if (at == FANOUT_NONE)
		return;
	kill_member(f, block, at);
	block_settle(f, now, block);
}

bool fanout_tick(struct fanout *f, uint64_t now)
{
	uint32_t block, n = 0;
	bool more;

	for (block = f->dirty.head; block != CHAIN_END && n < TICK_BLOCKS;
	     block = f->dirty_link[block].next)
		n++;
	more = block != CHAIN_END;
	/* what still cannot be done goes to the end again: no more than once around */
	while (n-- && f->dirty.head != CHAIN_END) {
		block = f->dirty.head;
		chain_remove(&f->dirty, f->dirty_link, block);
		f->block[block].dirty = false;
		block_settle(f, now, block);
	}
	return more;
}

void fanout_resize(struct fanout *f, const struct fanout_place *place)
{
	uint32_t i, k;

	for (i = 0; i < f->map.max_sets; i++)
		for (k = 0; k < f->set[i].nlanes; k++)
			if (f->set[i].lanes[k].endpoint == place->endpoint)
				f->set[i].lanes[k].block_max = place->block_max;
	for (i = 0; i < f->map.max_blocks; i++) {
		if (!f->block[i].used || f->map.blocks[i].endpoint != place->endpoint)
			continue;
		block_sort(f, i);
		if (is_too_large(f, i))
			block_mark_dirty(f, i);
	}
}

void fanout_set_nexthop(struct fanout *f, uint32_t block, uint32_t ref, uint16_t nexthop)
{
	uint32_t at = find_ref(f, block, ref);

	if (at == FANOUT_NONE)
		return;
	if (f->block[block].ipv6)
		__atomic_store_n(&f->map.fanout6[at].nexthop, nexthop, __ATOMIC_RELEASE);
	else
		__atomic_store_n(&f->map.fanout4[at].nexthop, nexthop, __ATOMIC_RELEASE);
}

/* ---- moves ---- */

/* Both blocks of a move as they shall be, unseen. from_to may be NONE: nobody stays behind. */
struct move {
	uint32_t from, from_to;
	uint32_t into, into_to; /* into NONE: a new block */
};

static void move_undo(struct fanout *f, const struct move *m)
{
	if (m->from_to != FANOUT_NONE)
		block_return(f, m->from_to);
	if (m->into_to != FANOUT_NONE)
		block_return(f, m->into_to);
}

static int move_prepare(struct fanout *f, uint64_t now, struct move *m,
			const struct fanout_place *place, const struct fanout_member *member)
{
	uint32_t set = f->block[m->from].set;
	struct lane *lane = lane_choose(f, set, place);

	m->from_to = m->into_to = FANOUT_NONE;
	if (!lane)
		return -ENOMEM;
	m->into = lane->open.head == CHAIN_END ? FANOUT_NONE : lane->open.head;
	m->into_to = block_new(f, now, set, lane, !addr_is_ipv4(&member->gateway));
	if (m->into_to == FANOUT_NONE) {
		lane_drop_if_empty(f, set, lane);
		return -ENOSPC;
	}
	if (m->into != FANOUT_NONE)
		block_fill(f, m->into_to, m->into);
	block_write(f, m->into_to, f->map.blocks[m->into_to].count++, member);
	if (!block_live(f, m->from))
		return 0;
	m->from_to = block_like(f, now, m->from);
	if (m->from_to == FANOUT_NONE)
		return -ENOSPC;
	block_fill(f, m->from_to, m->from);
	return 0;
}

static int move_publish(struct fanout *f, uint64_t now, const struct move *m)
{
	const struct list_edit both[] = {{m->from, m->from_to}, {m->into, m->into_to}};
	const struct list_edit swap = {m->from, m->into_to};
	bool alone = m->into == FANOUT_NONE && m->from_to == FANOUT_NONE;

	return list_change(f, now, f->block[m->from].set, alone ? &swap : both, alone ? 1 : 2);
}

int fanout_move(struct fanout *f, uint64_t now, uint32_t block, const struct fanout_place *place,
		const struct fanout_member *member)
{
	uint32_t at = find_ref(f, block, member->ref), set = f->block[block].set;
	struct move m = {.from = block};
	int err;

	if (at == FANOUT_NONE)
		return -ENOENT;
	kill_member(f, block, at);
	err = move_prepare(f, now, &m, place, member);
	if (!err)
		err = move_publish(f, now, &m);
	if (err) {
		move_undo(f, &m);
		revive_member(f, block, at, member->ref);
		return err;
	}
	block_retire(f, now, block);
	if (m.into != FANOUT_NONE)
		block_retire(f, now, m.into);
	block_sort(f, m.into_to);
	block_announce(f, m.into_to);
	if (m.from_to != FANOUT_NONE) {
		block_sort(f, m.from_to);
		block_announce(f, m.from_to);
	}
	f->set[set].members++;
	return 0;
}
