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

bool idset_has(const struct idset *set, uint32_t id)
{
	if (!set->room)
		return set->n && set->one == id;
	return set->slots[find(set, id)] == id;
}

static int resize(struct idset *set, uint32_t room)
{
	struct idset next = {.n = set->n, .room = room};
	uint32_t at = 0, id;

	next.slots = malloc(room * sizeof(*next.slots));
	if (!next.slots)
		return -ENOMEM;
	memset(next.slots, 0xff, room * sizeof(*next.slots));
	while (idset_next(set, &at, &id))
		next.slots[find(&next, id)] = id;
	if (set->room)
		free(set->slots);
	*set = next;
	return 0;
}

int idset_reserve(struct idset *set, uint32_t id)
{
	if (idset_has(set, id))
		return 0;
	if (!set->room)
		return set->n ? resize(set, ROOM_MIN) : 0;
	if ((set->n + 1) * 4 <= set->room * 3)
		return 0;
	return resize(set, set->room * 2);
}

int idset_insert(struct idset *set, uint32_t id)
{
	if (idset_has(set, id))
		return 0;
	if (idset_reserve(set, id))
		return -ENOMEM;
	if (set->room)
		set->slots[find(set, id)] = id;
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
	close_gap(set, find(set, id));
	if (set->n == 0)
		idset_clear(set);
	else if (set->room > ROOM_MIN && set->n < set->room / 8)
		resize(set, set->room / 2); /* no memory: it stays large */
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
	return 0;
}

bool idset_next(const struct idset *set, uint32_t *at, uint32_t *id)
{
	if (!set->room) {
		*id = set->one;
		return (*at)++ < set->n;
	}
	for (; *at < set->room; (*at)++) {
		if (set->slots[*at] != EMPTY) {
			*id = set->slots[(*at)++];
			return true;
		}
	}
	return false;
}
