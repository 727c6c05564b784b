/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Blocks and the lists that name them: taking, filling, freeing after the grace period, and the
 * single stores by which the packet path sees a change. Called by fanout.c and fanout_adopt.c.
 */
#include "datapath/fanout_blocks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void seen(struct fanout *f)
{
	if (f->callbacks.stored)
		f->callbacks.stored(f->callbacks.arg);
}

/* ---- lanes ---- */

static struct lane *lane_find(struct fanout *f, uint32_t set, uint32_t endpoint, uint16_t cpu)
{
	struct fanout_set *s = &f->set[set];
	unsigned int i;

	for (i = 0; i < s->nlanes; i++)
		if (s->lanes[i].endpoint == endpoint && s->lanes[i].cpu == cpu)
			return &s->lanes[i];
	return NULL;
}

struct lane *lane_get(struct fanout *f, uint32_t set, const struct fanout_place *place,
		      uint16_t cpu)
{
	struct fanout_set *s = &f->set[set];
	struct lane *lane = lane_find(f, set, place->endpoint, cpu), *lanes;

	if (!lane) {
		lanes = realloc(s->lanes, (s->nlanes + 1u) * sizeof(*lanes));
		if (!lanes)
			return NULL;
		s->lanes = lanes;
		lane = &lanes[s->nlanes++];
		*lane = (struct lane){
			.endpoint = (uint16_t)place->endpoint, .cpu = cpu, .open = CHAIN_EMPTY};
	}
	lane->block_max = place->block_max;
	return lane;
}

/* A large set is too much for one CPU; to wake another for a few blocks costs more than it gains.
 */
static uint16_t choose_cpu(struct fanout *f, uint32_t set, const struct fanout_place *place)
{
	if (!place->cpus)
		return 0;
	if (!place->spread || f->map.group_blocks[set].count < AMT_RECIRCULATE_MAX)
		return (uint16_t)(set % place->cpus);
	return (uint16_t)((set + ++f->set[set].turn) % place->cpus);
}

struct lane *lane_choose(struct fanout *f, uint32_t set, const struct fanout_place *place)
{
	struct fanout_set *s = &f->set[set];
	unsigned int i;

	for (i = 0; i < s->nlanes; i++)
		if (s->lanes[i].endpoint == place->endpoint && s->lanes[i].open.head != CHAIN_END)
			return &s->lanes[i];
	return lane_get(f, set, place, choose_cpu(f, set, place));
}

struct lane *lane_of(struct fanout *f, uint32_t block)
{
	return lane_find(f, f->block[block].set, f->map.blocks[block].endpoint,
			 f->map.blocks[block].cpu);
}

void lane_drop_if_empty(struct fanout *f, uint32_t set, struct lane *lane)
{
	struct fanout_set *s = &f->set[set];

	if (lane->blocks)
		return;
	*lane = s->lanes[--s->nlanes];
	if (!s->nlanes) {
		free(s->lanes);
		s->lanes = NULL;
	}
}

/* ---- blocks ---- */

uint32_t block_take(struct fanout *f, uint64_t now)
{
	uint32_t block = f->free_blocks.head;

	if (block != CHAIN_END && now >= f->block[block].free_ns) {
		chain_remove(&f->free_blocks, f->block_link, block);
		return block;
	}
	while (f->fresh_block < f->map.max_blocks && f->block[f->fresh_block].known)
		f->fresh_block++;
	return f->fresh_block < f->map.max_blocks ? f->fresh_block++ : FANOUT_NONE;
}

void block_claim(struct fanout *f, uint32_t block, uint32_t set, bool ipv6)
{
	f->block[block] =
		(struct fanout_block){.set = set, .used = true, .known = true, .ipv6 = ipv6};
	lane_of(f, block)->blocks++;
	f->blocks_used++;
}

void block_forget(struct fanout *f, uint32_t block)
{
	struct lane *lane = lane_of(f, block);
	uint32_t set = f->block[block].set;

	if (f->block[block].open)
		chain_remove(&lane->open, f->block_link, block);
	if (f->block[block].dirty)
		chain_remove(&f->dirty, f->dirty_link, block);
	lane->blocks--;
	f->blocks_used--;
	f->block[block] = (struct fanout_block){0};
	lane_drop_if_empty(f, set, lane);
}

void block_return(struct fanout *f, uint32_t block)
{
	block_forget(f, block);
	f->block[block].known = true;
	chain_push_head(&f->free_blocks, f->block_link, block);
}

void block_wait(struct fanout *f, uint64_t now, uint32_t block)
{
	f->block[block] = (struct fanout_block){.known = true, .free_ns = fanout_free_at(f, now)};
	chain_push_tail(&f->free_blocks, f->block_link, block);
}

void block_retire(struct fanout *f, uint64_t now, uint32_t block)
{
	block_forget(f, block);
	block_wait(f, now, block);
}

void block_sort(struct fanout *f, uint32_t block)
{
	struct fanout_block *b = &f->block[block];
	struct lane *lane = lane_of(f, block);
	uint32_t count = f->map.blocks[block].count;

	if (b->open)
		chain_remove(&lane->open, f->block_link, block);
	b->open = count < lane->block_max;
	if (b->open && count <= lane->block_max / 2u)
		chain_push_head(&lane->open, f->block_link, block);
	else if (b->open)
		chain_push_tail(&lane->open, f->block_link, block);
}

void block_mark_dirty(struct fanout *f, uint32_t block)
{
	if (f->block[block].dirty)
		return;
	f->block[block].dirty = true;
	chain_push_tail(&f->dirty, f->dirty_link, block);
}

void block_write(struct fanout *f, uint32_t block, uint32_t i, const struct fanout_member *member)
{
	uint32_t at = block * AMT_BLOCK_MEMBERS + i;

	if (f->block[block].ipv6) {
		struct amt_member6 m = {.port = member->port, .nexthop = member->nexthop};

		memcpy(m.gateway, member->gateway.bytes, sizeof(m.gateway));
		f->map.fanout6[at] = m;
	} else {
		struct amt_member4 m = {.port = member->port, .nexthop = member->nexthop};

		memcpy(m.gateway, member->gateway.bytes + AMT_ADDR_V4_OFFSET, sizeof(m.gateway));
		f->map.fanout4[at] = m;
	}
	f->ref[at] = member->ref;
}

void block_copy(struct fanout *f, uint32_t to, uint32_t from, uint32_t first)
{
	uint32_t n = f->map.blocks[to].count, i;

	for (i = first; i < f->map.blocks[from].count; i++) {
		uint32_t src = from * AMT_BLOCK_MEMBERS + i, dst = to * AMT_BLOCK_MEMBERS + n;

		if (f->ref[src] == FANOUT_NONE)
			continue;
		if (f->block[from].ipv6)
			f->map.fanout6[dst] = f->map.fanout6[src];
		else
			f->map.fanout4[dst] = f->map.fanout4[src];
		f->ref[dst] = f->ref[src];
		n++;
	}
	f->map.blocks[to].count = n;
}

void block_fill(struct fanout *f, uint32_t to, uint32_t from)
{
	block_copy(f, to, from, 0);
}

void block_announce(struct fanout *f, uint32_t block)
{
	uint32_t i;

	for (i = 0; i < f->map.blocks[block].count; i++)
		if (f->ref[block * AMT_BLOCK_MEMBERS + i] != FANOUT_NONE)
			f->callbacks.moved(f->callbacks.arg, f->ref[block * AMT_BLOCK_MEMBERS + i],
					   block);
}

void block_store_count(struct fanout *f, uint32_t block, uint32_t count)
{
	__atomic_store_n(&f->map.blocks[block].count, count, __ATOMIC_RELEASE);
	seen(f);
}

/* ---- lists ---- */

static void store_ref(struct fanout *f, uint32_t slot, uint32_t block)
{
	__atomic_store_n(&f->map.block_list[slot].block, block, __ATOMIC_RELEASE);
	seen(f);
}

/* first and count change together: one 8-byte store. */
static void store_list(struct fanout *f, uint32_t set, uint32_t first, uint32_t count)
{
	struct amt_group_blocks value = {.first = first, .count = count};
	uint64_t both;

	memcpy(&both, &value, sizeof(both));
	__atomic_store_n((uint64_t *)(void *)&f->map.group_blocks[set], both, __ATOMIC_RELEASE);
	seen(f);
}

void segment_wait(struct fanout *f, uint64_t now, uint32_t first, uint8_t order)
{
	f->retired[first] = (struct retired){.free_ns = fanout_free_at(f, now), .order = order};
	chain_push_tail(&f->retired_segments, f->retired_link, first);
}

static uint32_t take_segment(struct fanout *f, uint64_t now, unsigned int order)
{
	uint32_t first;

	while ((first = f->retired_segments.head) != CHAIN_END &&
	       now >= f->retired[first].free_ns) {
		chain_remove(&f->retired_segments, f->retired_link, first);
		slots_give(f->slots, first, f->retired[first].order);
	}
	return slots_take(f->slots, order);
}

void list_retire(struct fanout *f, uint64_t now, uint32_t set)
{
	uint32_t first = f->map.group_blocks[set].first;

	store_list(f, set, 0, 0);
	if (f->set[set].has_segment)
		segment_wait(f, now, first, f->set[set].order);
	f->set[set].has_segment = false;
}

/* Writes the changed list elsewhere; returns its length. */
static uint32_t write_copy(struct fanout *f, uint32_t set, uint32_t first,
			   const struct list_edit *edit, unsigned int n)
{
	const struct amt_group_blocks old = f->map.group_blocks[set];
	uint32_t i, count = 0;
	unsigned int e;

	for (i = 0; i < old.count; i++) {
		uint32_t block = f->map.block_list[old.first + i].block;

		for (e = 0; e < n; e++)
			if (edit[e].from == block)
				break;
		if (e < n)
			block = edit[e].to;
		if (block == FANOUT_NONE)
			continue;
		f->block[block].position = count;
		f->map.block_list[first + count++] = (struct amt_block_ref){block, 1};
	}
	for (e = 0; e < n; e++) {
		if (edit[e].from != FANOUT_NONE)
			continue;
		f->block[edit[e].to].position = count;
		f->map.block_list[first + count++] = (struct amt_block_ref){edit[e].to, 1};
	}
	return count;
}

static int list_rewrite(struct fanout *f, uint64_t now, uint32_t set, const struct list_edit *edit,
			unsigned int n)
{
	struct fanout_set *s = &f->set[set];
	uint32_t old_first = f->map.group_blocks[set].first, first, count;
	uint8_t order, old_order = s->order;
	bool had_segment = s->has_segment;
	unsigned int e;

	count = f->map.group_blocks[set].count;
	for (e = 0; e < n; e++)
		count = count + (edit[e].from == FANOUT_NONE) - (edit[e].to == FANOUT_NONE);
	order = (uint8_t)slots_order(count);
	first = take_segment(f, now, order);
	if (first == SLOTS_NONE)
		return -ENOSPC;
	count = write_copy(f, set, first, edit, n);
	s->order = order;
	s->has_segment = true;
	store_list(f, set, first, count);
	if (had_segment)
		segment_wait(f, now, old_first, old_order);
	return 0;
}

int list_change(struct fanout *f, uint64_t now, uint32_t set, const struct list_edit *edit,
		unsigned int n)
{
	const struct amt_group_blocks list = f->map.group_blocks[set];
	struct fanout_set *s = &f->set[set];
	uint32_t position;

	if (n == 1 && edit->from != FANOUT_NONE && edit->to != FANOUT_NONE) {
		position = f->block[edit->from].position;
		f->block[edit->to].position = position;
		store_ref(f, list.first + position, edit->to);
		return 0;
	}
	if (n == 1 && edit->from == FANOUT_NONE && s->has_segment && list.count < 1u << s->order) {
		f->block[edit->to].position = list.count;
		f->map.block_list[list.first + list.count] = (struct amt_block_ref){edit->to, 1};
		store_list(f, set, list.first, list.count + 1);
		return 0;
	}
	if (n == 1 && edit->to == FANOUT_NONE && f->block[edit->from].position + 1 == list.count) {
		store_list(f, set, list.first, list.count - 1);
		return 0;
	}
	return list_rewrite(f, now, set, edit, n);
}
