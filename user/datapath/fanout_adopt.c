/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Taking up a set that a predecessor left in the maps, without a store that a packet could see.
 * The predecessor may have died between any two stores, so nothing is believed unchecked. Called
 * by adopt.c while the data path opens.
 */
#include "datapath/fanout_blocks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct adoption {
	struct fanout *f;
	uint32_t set;
	const struct fanout_adopter *adopter;
};

static struct fanout_member read_member(const struct fanout *f, uint32_t block, uint32_t i)
{
	uint32_t at = block * AMT_BLOCK_MEMBERS + i;
	struct fanout_member member = {.ref = FANOUT_NONE};

	if (f->block[block].ipv6) {
		memcpy(member.gateway.bytes, f->map.fanout6[at].gateway, 16);
		member.port = f->map.fanout6[at].port;
		member.nexthop = f->map.fanout6[at].nexthop;
	} else {
		memset(member.gateway.bytes + 10, 0xff, 2); /* v4-mapped */
		memcpy(member.gateway.bytes + AMT_ADDR_V4_OFFSET, f->map.fanout4[at].gateway, 4);
		member.port = f->map.fanout4[at].port;
		member.nexthop = f->map.fanout4[at].nexthop;
	}
	return member;
}

static int claim_block(const struct adoption *a, uint32_t block, uint32_t position)
{
	struct fanout *f = a->f;
	struct fanout_place place;
	uint32_t count;
	bool ipv6;

	if (block >= f->map.max_blocks || f->block[block].used)
		return -EINVAL;
	count = f->map.blocks[block].count;
	place.endpoint = f->map.blocks[block].endpoint;
	if (count > AMT_BLOCK_MEMBERS ||
	    !a->adopter->place(a->adopter->arg, place.endpoint, &place, &ipv6))
		return -EINVAL;
	if (!lane_get(f, a->set, &place, f->map.blocks[block].cpu))
		return -ENOMEM;
	block_claim(f, block, a->set, ipv6);
	f->block[block].position = position;
	return 0;
}

static void adopt_members(const struct adoption *a, uint32_t block)
{
	struct fanout *f = a->f;
	uint32_t i;

	for (i = 0; i < f->map.blocks[block].count; i++) {
		struct fanout_member member = read_member(f, block, i);
		uint32_t ref = a->adopter->resolve(a->adopter->arg, a->set,
						   f->map.blocks[block].endpoint, &member);

		f->ref[block * AMT_BLOCK_MEMBERS + i] = ref;
		if (ref == FANOUT_NONE)
			f->block[block].dead++;
		else
			f->set[a->set].members++;
	}
	if (!block_live(f, block) || f->block[block].dead)
		block_mark_dirty(f, block);
	block_sort(f, block);
	block_announce(f, block);
}

int fanout_set_adopt(struct fanout *f, uint32_t set, const struct fanout_adopter *adopter)
{
	const struct adoption a = {f, set, adopter};
	struct amt_group_blocks list;
	uint32_t i, done;
	int err = 0;

	if (set >= f->map.max_sets || f->set[set].used)
		return -EINVAL;
	list = f->map.group_blocks[set];
	if (list.count > f->map.max_blocks || list.first >= f->map.list_slots ||
	    list.count > f->map.list_slots - list.first)
		return -EINVAL;
	f->set[set] = (struct fanout_set){.used = true, .known = true};
	if (!list.count)
		return 0;
	f->set[set].order = (uint8_t)slots_order(list.count);
	err = slots_take_at(f->slots, list.first, f->set[set].order);
	if (err)
		goto unused;
	f->set[set].has_segment = true;
	for (done = 0; !err && done < list.count; done++)
		err = claim_block(&a, f->map.block_list[list.first + done].block, done);
	if (!err) {
		for (i = 0; i < list.count; i++)
			adopt_members(&a, f->map.block_list[list.first + i].block);
		return 0;
	}
	for (i = 0; i + 1 < done; i++)
		block_forget(f, f->map.block_list[list.first + i].block);
	slots_give(f->slots, list.first, f->set[set].order);
unused:
	free(f->set[set].lanes);
	f->set[set] = (struct fanout_set){0};
	return err;
}

void fanout_adopt_rest(struct fanout *f, uint64_t now)
{
	uint32_t i;

	for (i = 0; i < f->map.max_blocks; i++)
		if (!f->block[i].used && f->map.blocks[i].count)
			block_wait(f, now, i);
	for (i = 0; i < f->map.list_slots; i++)
		if (f->map.block_list[i].written && !slots_take_at(f->slots, i, 0))
			segment_wait(f, now, i, 0);
}
