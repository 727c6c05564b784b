/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The buddy allocator of block_list's slots; see slots.h. Called by fanout.c only. */
#include "datapath/slots.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NOT_FREE 0xff

/* A free segment is known by its first slot: which order, and its neighbours in that order's list.
 */
struct slots {
	uint32_t total;
	uint32_t head[SLOTS_ORDERS];
	uint32_t *next, *prev;
	uint8_t *order;
};

static void push(struct slots *s, uint32_t first, unsigned int order)
{
	s->order[first] = (uint8_t)order;
	s->prev[first] = SLOTS_NONE;
	s->next[first] = s->head[order];
	if (s->head[order] != SLOTS_NONE)
		s->prev[s->head[order]] = first;
	s->head[order] = first;
}

static void unlink_free(struct slots *s, uint32_t first)
{
	unsigned int order = s->order[first];

	if (s->prev[first] != SLOTS_NONE)
		s->next[s->prev[first]] = s->next[first];
	else
		s->head[order] = s->next[first];
	if (s->next[first] != SLOTS_NONE)
		s->prev[s->next[first]] = s->prev[first];
	s->order[first] = NOT_FREE;
}

struct slots *slots_new(uint32_t total)
{
	struct slots *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->total = total;
	s->next = calloc(total, sizeof(*s->next));
	s->prev = calloc(total, sizeof(*s->prev));
	s->order = malloc(total);
	if (!s->next || !s->prev || !s->order) {
		slots_free(s);
		return NULL;
	}
	memset(s->order, NOT_FREE, total);
	memset(s->head, 0xff, sizeof(s->head));
	push(s, 0, slots_order(total));
	return s;
}

void slots_free(struct slots *s)
{
	if (!s)
		return;
	free(s->next);
	free(s->prev);
	free(s->order);
	free(s);
}

unsigned int slots_order(uint32_t n)
{
	return n <= 1 ? 0 : 32 - (unsigned int)__builtin_clz(n - 1);
}

/* Halves the free segment until it has the wanted order, keeping the half that holds `keep`. */
static uint32_t split(struct slots *s, uint32_t first, unsigned int order, uint32_t keep)
{
	unsigned int have = s->order[first];

	unlink_free(s, first);
	while (have > order) {
		uint32_t half = 1u << --have;

		if (keep >= first + half) {
			push(s, first, have);
			first += half;
		} else {
			push(s, first + half, have);
		}
	}
	return first;
}

uint32_t slots_take(struct slots *s, unsigned int order)
{
	unsigned int have;

	for (have = order; have < SLOTS_ORDERS; have++)
		if (s->head[have] != SLOTS_NONE)
			return split(s, s->head[have], order, s->head[have]);
	return SLOTS_NONE;
}

int slots_take_at(struct slots *s, uint32_t first, unsigned int order)
{
	unsigned int have;

	if (order >= SLOTS_ORDERS || first >= s->total || first & ((1u << order) - 1))
		return -EINVAL;
	for (have = order; have < SLOTS_ORDERS; have++) {
		uint32_t whole = first & ~((1u << have) - 1);

		if (s->order[whole] == have) {
			split(s, whole, order, first);
			return 0;
		}
	}
	return -EBUSY;
}

void slots_give(struct slots *s, uint32_t first, unsigned int order)
{
	while ((1u << order) < s->total) {
		uint32_t buddy = first ^ (1u << order);

		if (s->order[buddy] != order)
			break;
		unlink_free(s, buddy);
		first &= ~(1u << order);
		order++;
	}
	push(s, first, order);
}
