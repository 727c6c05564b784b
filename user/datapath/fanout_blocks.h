/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside the fan-out allocator: what fanout.c (joins and leaves), fanout_blocks.c (blocks, lists,
 * grace period) and fanout_adopt.c share. Nobody else includes it.
 */
#ifndef AMT_DATAPATH_FANOUT_BLOCKS_H
#define AMT_DATAPATH_FANOUT_BLOCKS_H

#include "datapath/chain.h"
#include "datapath/fanout.h"
#include "datapath/slots.h"

/* The blocks of a set with one endpoint and CPU. Members never change their lane but by
 * fanout_move(). open: those with room, the emptiest ones first. */
struct lane {
	uint16_t endpoint, cpu;
	uint32_t blocks;
	uint16_t block_max;
	struct chain open;
};

struct fanout_set {
	bool used, known; /* as in struct fanout_block */
	bool has_segment;
	uint8_t order; /* of its segment of block_list */
	uint16_t nlanes;
	uint16_t turn; /* counts blocks, so that each CPU gets its turn */
	uint32_t members;
	struct lane *lanes;
	uint64_t free_ns;
};

/* What amtd knows of a block beyond the map's record. */
struct fanout_block {
	uint32_t set;
	uint32_t position; /* in the set's list */
	uint8_t dead;	   /* members that wait to be removed */
	bool used, open, dirty, ipv6;
	bool known;	  /* used or in free_blocks: not to be taken as fresh */
	uint64_t free_ns; /* from then on it may be taken */
};

/* A segment of block_list in its grace period, by its first slot. */
struct retired {
	uint64_t free_ns;
	uint8_t order;
};

struct fanout {
	struct fanout_arrays map;
	struct fanout_callbacks callbacks;
	struct fanout_grace grace;
	uint64_t life_ns;    /* of packets that come in now */
	uint64_t horizon_ns; /* when those from before it was renewed are gone */

	struct fanout_set *set;
	struct chain_link *set_link;
	struct chain free_sets; /* oldest first */
	uint32_t fresh_set;	/* from here on, unused ids were never used */

	struct fanout_block *block;
	struct chain_link *block_link; /* in free_blocks or in a lane's open */
	struct chain_link *dirty_link;
	struct chain free_blocks, dirty;
	uint32_t fresh_block, blocks_used;
	uint32_t *ref; /* of the member at the same place in fanout4/6; FANOUT_NONE: dead */

	struct slots *slots;
	struct retired *retired;
	struct chain_link *retired_link;
	struct chain retired_segments;
};

/* In a list: block from becomes block to. from NONE: to is new; to NONE: from goes. */
struct list_edit {
	uint32_t from, to;
};

/* Where a member with that place belongs: a lane with an open block, else one for a new block.
 * NULL: no memory. */
struct lane *lane_choose(struct fanout *f, uint32_t set, const struct fanout_place *place);
struct lane *lane_get(struct fanout *f, uint32_t set, const struct fanout_place *place,
		      uint16_t cpu);
struct lane *lane_of(struct fanout *f, uint32_t block);
void lane_drop_if_empty(struct fanout *f, uint32_t set, struct lane *lane);

/* A block that no reader can see, empty; FANOUT_NONE: none is free. */
uint32_t block_take(struct fanout *f, uint64_t now);
/* Makes it the set's. The map says its lane, which the set has. */
void block_claim(struct fanout *f, uint32_t block, uint32_t set, bool ipv6);
/* Gives back a block that no reader has seen. */
void block_return(struct fanout *f, uint32_t block);
/* Frees a block that readers may still hold. */
void block_retire(struct fanout *f, uint64_t now, uint32_t block);
/* Its two halves: nobody's and not yet free; free when those readers are done. */
void block_forget(struct fanout *f, uint32_t block);
void block_wait(struct fanout *f, uint64_t now, uint32_t block);
/* Puts it where its number of members says: among its lane's open blocks, or not. */
void block_sort(struct fanout *f, uint32_t block);
void block_mark_dirty(struct fanout *f, uint32_t block);
/* Behind the last member of a block that no reader can see, or will not before its count says. */
void block_write(struct fanout *f, uint32_t block, uint32_t i, const struct fanout_member *member);
/* Adds the living members of from, from its first-th place on, to an unseen block. */
void block_copy(struct fanout *f, uint32_t to, uint32_t from, uint32_t first);
void block_fill(struct fanout *f, uint32_t to, uint32_t from); /* all of them */
/* Tells the caller of all members of block where they are. */
void block_announce(struct fanout *f, uint32_t block);
/* Sets the number of members as readers see it. */
void block_store_count(struct fanout *f, uint32_t block, uint32_t count);

static inline uint32_t block_live(const struct fanout *f, uint32_t block)
{
	return f->map.blocks[block].count - f->block[block].dead;
}

/* Changes a set's list by one store that readers see; -ENOSPC leaves it as it was. One edit with
 * both from and to never fails. */
int list_change(struct fanout *f, uint64_t now, uint32_t set, const struct list_edit *edit,
		unsigned int n);
void list_retire(struct fanout *f, uint64_t now, uint32_t set);
/* A segment that readers may still hold is free when they are done. */
void segment_wait(struct fanout *f, uint64_t now, uint32_t first, uint8_t order);

#endif
