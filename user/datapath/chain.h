/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Doubly linked lists of array indices, for tables whose entries are known by number. Each list of
 * links belongs to one array; an index is in at most one chain of it.
 */
#ifndef AMT_DATAPATH_CHAIN_H
#define AMT_DATAPATH_CHAIN_H

#include <stdint.h>

#define CHAIN_END UINT32_MAX

struct chain {
	uint32_t head, tail;
};

struct chain_link {
	uint32_t next, prev;
};

#define CHAIN_EMPTY ((struct chain){CHAIN_END, CHAIN_END})

static inline void chain_push_tail(struct chain *chain, struct chain_link *links, uint32_t i)
{
	links[i] = (struct chain_link){CHAIN_END, chain->tail};
	if (chain->tail != CHAIN_END)
		links[chain->tail].next = i;
	else
		chain->head = i;
	chain->tail = i;
}

static inline void chain_push_head(struct chain *chain, struct chain_link *links, uint32_t i)
{
	links[i] = (struct chain_link){chain->head, CHAIN_END};
	if (chain->head != CHAIN_END)
		links[chain->head].prev = i;
	else
		chain->tail = i;
	chain->head = i;
}

static inline void chain_remove(struct chain *chain, struct chain_link *links, uint32_t i)
{
	struct chain_link link = links[i];

	if (link.prev != CHAIN_END)
		links[link.prev].next = link.next;
	else
		chain->head = link.next;
	if (link.next != CHAIN_END)
		links[link.next].prev = link.prev;
	else
		chain->tail = link.prev;
}

#endif
