/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "relay/deadlines.h"

#include <errno.h>
#include <stdlib.h>

static void put(struct deadlines *d, unsigned int slot, struct deadline *item)
{
	d->heap[slot] = item;
	item->slot = slot;
}

static void sift_up(struct deadlines *d, struct deadline *item)
{
	unsigned int slot = item->slot;

	while (slot > 1 && d->heap[slot / 2]->at > item->at) {
		put(d, slot, d->heap[slot / 2]);
		slot /= 2;
	}
	put(d, slot, item);
}

static void sift_down(struct deadlines *d, struct deadline *item)
{
	unsigned int slot = item->slot, child;

	while ((child = slot * 2) <= d->n) {
		if (child < d->n && d->heap[child + 1]->at < d->heap[child]->at)
			child++;
		if (d->heap[child]->at >= item->at)
			break;
		put(d, slot, d->heap[child]);
		slot = child;
	}
	put(d, slot, item);
}

void deadlines_free(struct deadlines *d)
{
	free(d->heap);
	*d = (struct deadlines){0};
}

int deadlines_add(struct deadlines *d, struct deadline *item, uint64_t at)
{
	if (d->n + 1 >= d->room) {
		unsigned int room = d->room ? d->room * 2 : 64;
		struct deadline **heap = realloc(d->heap, room * sizeof(*heap));

		if (!heap)
			return -ENOMEM;
		d->heap = heap;
		d->room = room;
	}
	item->at = at;
	put(d, ++d->n, item);
	sift_up(d, item);
	return 0;
}

void deadlines_move(struct deadlines *d, struct deadline *item, uint64_t at)
{
	item->at = at;
	sift_up(d, item);
	sift_down(d, item);
}

void deadlines_remove(struct deadlines *d, struct deadline *item)
{
	struct deadline *last;

	if (!item->slot)
		return;
	last = d->heap[d->n--];
	if (last != item) {
		put(d, item->slot, last);
		deadlines_move(d, last, last->at);
	}
	item->slot = 0;
}

struct deadline *deadlines_first(const struct deadlines *d)
{
	return d->n ? d->heap[1] : NULL;
}
