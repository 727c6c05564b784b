/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/idset.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define EMPTY	 UINT32_MAX
#define ROOM_MIN 4u

void idset_clear(struct idset *set)
{
	if (set->room)
		free(set->slots);
	memset(set, 0, sizeof(*set));
}

/* Where an id belongs: the upper bits of a product by the golden ratio. */
static uint32_t home(uint32_t room, uint32_t id)
{
	return (id * 2654435769u) >> (__builtin_clz(room) + 1);
}

/* The slot that holds id, or the empty one where it would go. */
static uint32_t find(const struct idset *set, uint32_t id)
{
	uint32_t at = home(set->room, id);

	while (set->slots[at] != id && set->slots[at] != EMPTY)
		at = (at + 1) & (set->room - 1);
	return at;
}

static uint32_t *word_of(const struct idset *set, uint32_t id)
{
	return &set->slots[id / 32];
}

bool idset_has(const struct idset *set, uint32_t id)
{
	if (!set->room)
		return set->n && set->one == id;
	if (set->dense)
		return id / 32 < set->room && *word_of(set, id) >> id % 32 & 1;
	return set->slots[find(set, id)] == id;
}

static void put(const struct idset *set, uint32_t id)
{
	if (set->dense)
		*word_of(set, id) |= 1u << id % 32;
	else
		set->slots[find(set, id)] = id;
}

static int reshape(struct idset *set, uint32_t room, bool dense)
{
	struct idset next = {.n = set->n, .room = room, .dense = dense};
	uint32_t at = 0, id;

	next.slots = malloc(room * sizeof(*next.slots));
	if (!next.slots)
		return -ENOMEM;
	memset(next.slots, dense ? 0 : 0xff, room * sizeof(*next.slots));
	if (set->dense && dense)
		memcpy(next.slots, set->slots, set->room * sizeof(*next.slots));
	else
		while (idset_next(set, &at, &id))
			put(&next, id);
	if (set->room)
		free(set->slots);
	*set = next;
	return 0;
}

static uint32_t power_above(uint32_t n)
{
	return n < ROOM_MIN ? ROOM_MIN : 2u << (31 - __builtin_clz(n));
}

/* Slots for n ids by open addressing, of which a quarter stays empty. */
static uint32_t slots_for(uint32_t n)
{
	return power_above(n + n / 3);
}

static uint32_t largest(const struct idset *set, uint32_t id)
{
	uint32_t at = 0, other;

	if (set->dense) /* or what it could be */
		return id / 32 < set->room ? set->room * 32 - 1 : id;
	while (idset_next(set, &at, &other))
		id = other > id ? other : id;
	return id;
}

/* For one more id: the smaller of the two shapes. */
static int grow(struct idset *set, uint32_t id)
{
	uint32_t slots = slots_for(set->n + 1), words = power_above(largest(set, id) / 32);

	return words <= slots ? reshape(set, words, true) : reshape(set, slots, false);
}

int idset_reserve(struct idset *set, uint32_t id)
{
	if (idset_has(set, id))
		return 0;
	if (!set->room)
		return set->n ? grow(set, id) : 0;
	if (set->dense ? id / 32 < set->room : set->n + 1 < set->room - set->room / 4)
		return 0;
	return grow(set, id);
}

int idset_insert(struct idset *set, uint32_t id)
{
	if (idset_has(set, id))
		return 0;
	if (idset_reserve(set, id))
		return -ENOMEM;
	if (set->room)
		put(set, id);
	else
		set->one = id;
	set->n++;
	return 0;
}

/* Closes the gap at a slot, so that no look-up ends too early. */
static void close_gap(struct idset *set, uint32_t gap)
{
	uint32_t mask = set->room - 1, at = gap;

	for (;;) {
		at = (at + 1) & mask;
		if (set->slots[at] == EMPTY)
			break;
		if (((at - home(set->room, set->slots[at])) & mask) < ((at - gap) & mask))
			continue;
		set->slots[gap] = set->slots[at];
		gap = at;
	}
	set->slots[gap] = EMPTY;
}

void idset_remove(struct idset *set, uint32_t id)
{
	if (!idset_has(set, id))
		return;
	set->n--;
	if (!set->room)
		return;
	if (set->dense)
		*word_of(set, id) &= ~(1u << id % 32);
	else
		close_gap(set, find(set, id));
	if (set->n == 0)
		idset_clear(set);
	else if (set->room > ROOM_MIN && set->n < set->room / 8)
		reshape(set, slots_for(set->n + 1), false); /* no memory: it stays large */
}

int idset_copy(struct idset *to, const struct idset *from)
{
	uint32_t *slots;

	if (!from->room) {
		*to = *from;
		return 0;
	}
	slots = malloc(from->room * sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	memcpy(slots, from->slots, from->room * sizeof(*slots));
	to->slots = slots;
	to->n = from->n;
	to->room = from->room;
	to->dense = from->dense;
	return 0;
}

/* From bit at on. */
static bool next_bit(const struct idset *set, uint32_t *at, uint32_t *id)
{
	for (; *at / 32 < set->room; *at = (*at | 31) + 1) {
		uint32_t bits = *word_of(set, *at) >> *at % 32;

		if (!bits)
			continue;
		*id = *at + (uint32_t)__builtin_ctz(bits);
		*at = *id + 1;
		return true;
	}
	return false;
}

bool idset_next(const struct idset *set, uint32_t *at, uint32_t *id)
{
	if (!set->room) {
		*id = set->one;
		return (*at)++ < set->n;
	}
	if (set->dense)
		return next_bit(set, at, id);
	for (; *at < set->room; (*at)++) {
		if (set->slots[*at] != EMPTY) {
			*id = set->slots[(*at)++];
			return true;
		}
	}
	return false;
}
