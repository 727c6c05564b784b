/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Deadlines in order: a binary min-heap of items that live inside their owners, so that adding,
 * moving and removing one of n costs O(log n) and the earliest is always at hand.
 */
#ifndef AMT_RELAY_DEADLINES_H
#define AMT_RELAY_DEADLINES_H

#include <stdint.h>

struct deadline {
	uint64_t at;	   /* ns */
	unsigned int slot; /* place in the heap, from 1; 0: not in it */
};

/* All zero is an empty heap. */
struct deadlines {
	struct deadline **heap; /* heap[0] is unused */
	unsigned int n, room;
};

void deadlines_free(struct deadlines *d);
/* Returns 0 or -ENOMEM. The item must not be in the heap. */
int deadlines_add(struct deadlines *d, struct deadline *item, uint64_t at);
void deadlines_move(struct deadlines *d, struct deadline *item, uint64_t at);
/* Harmless for an item that is not in the heap. */
void deadlines_remove(struct deadlines *d, struct deadline *item);
/* The earliest, or NULL. */
struct deadline *deadlines_first(const struct deadlines *d);

#endif
