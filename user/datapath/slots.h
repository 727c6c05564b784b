/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A buddy allocator over the slots of an array: segments of 2^order slots, aligned to their size,
 * so that a restarted process finds a segment again from its first slot and length alone. Pure.
 */
#ifndef AMT_DATAPATH_SLOTS_H
#define AMT_DATAPATH_SLOTS_H

#include <stdint.h>

#define SLOTS_NONE   UINT32_MAX
#define SLOTS_ORDERS 32

struct slots;

/* All of total (a power of two) slots are free. NULL: no memory. */
struct slots *slots_new(uint32_t total);
void slots_free(struct slots *slots);

/* Smallest order whose segments hold n slots. */
unsigned int slots_order(uint32_t n);
/* First slot of a free segment, or SLOTS_NONE. */
uint32_t slots_take(struct slots *slots, unsigned int order);
/* Takes the segment that starts at first; 0, or -EBUSY where a part of it is taken already. */
int slots_take_at(struct slots *slots, uint32_t first, unsigned int order);
void slots_give(struct slots *slots, uint32_t first, unsigned int order);

#endif
