/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fan-out arrays that packets are copied by: sets (group_blocks), their lists of blocks
 * (block_list), blocks and members (fanout4, fanout6), changed by plain stores while the packet
 * path reads them. Pure: works on any memory laid out like the maps, with time as an argument.
 *
 * What a reader may rely on, after each single store: every member of the set that is not itself
 * being added, removed or moved is found exactly once. A reader that began earlier may go on for
 * the grace period with what it holds.
 */
#ifndef AMT_DATAPATH_FANOUT_H
#define AMT_DATAPATH_FANOUT_H

#include <stdbool.h>
#include <stdint.h>
#include <amt/maps.h>

#define FANOUT_NONE UINT32_MAX

/* The memory of the maps. list_slots is a power of two. */
struct fanout_arrays {
	struct amt_group_blocks *group_blocks;
	struct amt_block_ref *block_list;
	struct amt_block *blocks;
	struct amt_member4 *fanout4;
	struct amt_member6 *fanout6;
	uint32_t max_sets, max_blocks, list_slots;
};

struct fanout_callbacks {
	/* The member known to the caller as ref now stands in block (FANOUT_NONE: nowhere). */
	void (*moved)(void *arg, uint32_t ref, uint32_t block);
	/* For tests: called after each store that a reader can see. May be NULL. */
	void (*stored)(void *arg);
	void *arg;
};

/* One gateway of one set; ref is the caller's name for this pair. */
struct fanout_member {
	struct amt_addr gateway;
	__be16 port;
	uint16_t nexthop;
	uint32_t ref;
};

/* Which blocks a member belongs in. */
struct fanout_place {
	uint32_t endpoint;
	uint16_t block_max; /* members that a block is filled to, 1..AMT_BLOCK_MEMBERS */
	uint16_t cpus;	    /* that make copies; set % cpus makes those of a set's first blocks */
	bool spread;	    /* the others may make those of further blocks */
};

struct fanout;

/* Slots of block_list that max_blocks need: twice what a list can waste, once more for lists that
 * wait out the grace period. */
uint32_t fanout_list_slots(uint32_t max_blocks);

/* The grace period: no packet is under way for longer, since the packet path drops what comes to be
 * copied after the end of its life. Copies take their time, so it grows with the blocks that there
 * are. */
struct fanout_grace {
	uint64_t ns;	    /* a packet's life, at least */
	uint64_t block_ns;  /* and for each block in use */
	uint64_t most_ns;   /* but no more */
	uint64_t margin_ns; /* and to the end of the softirq that it ends in */
};

struct fanout *fanout_new(const struct fanout_arrays *arrays, const struct fanout_grace *grace,
			  const struct fanout_callbacks *callbacks); /* NULL: no memory */
void fanout_free(struct fanout *fanout);

/* A set without members. -ENOSPC: all ids are in use, or in their grace period. */
int fanout_set_new(struct fanout *fanout, uint64_t now, uint32_t *set);
/* Its id and blocks are free after the grace period. The caller sees to it that no new packet
 * finds the set; members still in it are gone without `moved`. */
void fanout_set_free(struct fanout *fanout, uint64_t now, uint32_t set);

/* Adds a member and tells its block by `moved`. 0, -ENOSPC or -ENOMEM. */
int fanout_join(struct fanout *fanout, uint64_t now, uint32_t set, const struct fanout_place *place,
		const struct fanout_member *member);
/* Never fails: where no fresh block can be had, the member goes on the next fanout_tick(). */
void fanout_leave(struct fanout *fanout, uint64_t now, uint32_t block, uint32_t ref);
/* To blocks of another place, by one store for the reader. -ENOSPC or -ENOMEM: it stays where it
 * is; try again after the grace period. */
int fanout_move(struct fanout *fanout, uint64_t now, uint32_t block,
		const struct fanout_place *place, const struct fanout_member *member);
/* Changes the next hop where the member stands. */
void fanout_set_nexthop(struct fanout *fanout, uint32_t block, uint32_t ref, uint16_t nexthop);
/* Blocks of the place's endpoint have another size from now on; those that hold more are split by
 * and by, at fanout_tick(). */
void fanout_resize(struct fanout *fanout, const struct fanout_place *place);
/* Retries what had to wait for the grace period, a bounded part of it; true: there is more. Cheap
 * when there is nothing. */
bool fanout_tick(struct fanout *fanout, uint64_t now);

/* The life of packets that come in from now on, for the caller to tell the packet path. */
uint64_t fanout_renew_life(struct fanout *fanout, uint64_t now);
/* Before anything is adopted: what a predecessor told it. */
void fanout_inherit_life(struct fanout *fanout, uint64_t life_ns);
/* When no packet is under way any more that came in before now. */
uint64_t fanout_free_at(const struct fanout *fanout, uint64_t now);

/* Blocks and members of a set (those that wait to be removed included). */
void fanout_size(const struct fanout *fanout, uint32_t set, uint32_t *blocks, uint32_t *members);
/* The set's endpoints: the i-th, or FANOUT_NONE behind the last. */
uint32_t fanout_endpoint(const struct fanout *fanout, uint32_t set, unsigned int i);
/* Blocks that hold members now, of all sets. */
uint32_t fanout_blocks_used(const struct fanout *fanout);

/* Taking up what a predecessor left in the arrays. Resolves a member to a ref; FANOUT_NONE: it
 * belongs to nobody and is removed by the next fanout_tick(). block_max comes from the caller. */
struct fanout_adopter {
	bool (*place)(void *arg, uint32_t endpoint, struct fanout_place *place, bool *ipv6);
	uint32_t (*resolve)(void *arg, uint32_t set, uint32_t endpoint,
			    const struct fanout_member *member);
	void *arg;
};
/* -EINVAL: the set's list contradicts itself or another set's; nothing of it is taken up. */
int fanout_set_adopt(struct fanout *fanout, uint32_t set, const struct fanout_adopter *adopter);
/* After the last set: what was in use and is no set's counts as freed now, since a packet of before
 * may still hold it. */
void fanout_adopt_rest(struct fanout *fanout, uint64_t now);

#endif
