/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/idtable.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_MIN 64

void idtable_free(struct idtable *t)
{
	free(t->entries);
	free(t->buckets);
	memset(t, 0, sizeof(*t));
}

int idtable_reserve(struct idtable *t, uint32_t id)
{
	size_t room = t->room ? t->room : ROOM_MIN;
	struct idtable_entry *entries;
	uint32_t *buckets;

	if (id < t->room)
		return 0;
	while (room <= id)
		room += room / 2;
	entries = reallocarray(t->entries, room, sizeof(*entries));
	if (entries)
		t->entries = entries;
	buckets = reallocarray(t->buckets, room, sizeof(*buckets));
	if (buckets)
		t->buckets = buckets;
	if (!entries || !buckets)
		return -ENOMEM;
	t->room = (uint32_t)room;
	return 0;
}

/* With n buckets, 2^k <= n < 2^(k + 1): those below n - 2^k are split already. */
static uint32_t *bucket(const struct idtable *t, uint32_t hash)
{
	uint32_t mask = ~0u >> __builtin_clz(t->nbuckets), i = hash & mask;

	return &t->buckets[i < t->nbuckets ? i : i & mask >> 1];
}

static void push(struct idtable *t, uint32_t id)
{
	uint32_t *head = bucket(t, t->entries[id].hash);

	t->entries[id].next = *head;
	*head = id;
}

/* One bucket more: what belongs there leaves the one that it was part of. */
static void split_one(struct idtable *t)
{
	uint32_t new = t->nbuckets, old, id, next;

	t->buckets[new] = IDTABLE_NONE;
	t->nbuckets++;
	if (!new)
		return;
	old = new &((1u << (31 - __builtin_clz(new))) - 1);
	id = t->buckets[old];
	t->buckets[old] = IDTABLE_NONE;
	for (; id != IDTABLE_NONE; id = next) {
		next = t->entries[id].next;
		push(t, id);
	}
}

void idtable_add(struct idtable *t, uint32_t id, uint32_t hash)
{
	if (t->n++ == t->nbuckets)
		split_one(t);
	t->entries[id].hash = hash;
	push(t, id);
}

void idtable_remove(struct idtable *t, uint32_t id)
{
	uint32_t *at = bucket(t, t->entries[id].hash);

	while (*at != id)
		at = &t->entries[*at].next;
	*at = t->entries[id].next;
	t->n--;
}

/* The first with this hash from id on. */
static uint32_t same_hash(const struct idtable *t, uint32_t id, uint32_t hash)
{
	while (id != IDTABLE_NONE && t->entries[id].hash != hash)
		id = t->entries[id].next;
	return id;
}

uint32_t idtable_first(const struct idtable *t, uint32_t hash)
{
	return t->n ? same_hash(t, *bucket(t, hash), hash) : IDTABLE_NONE;
}

uint32_t idtable_next(const struct idtable *t, uint32_t id)
{
	return same_hash(t, t->entries[id].next, t->entries[id].hash);
}
