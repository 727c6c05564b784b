/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "load/tracker.h"

static uint64_t *word_of(struct tracker *t, uint64_t sequence)
{
	return &t->seen[sequence % TRACKER_WINDOW / 64];
}

static uint64_t bit_of(uint64_t sequence)
{
	return 1ull << (sequence % 64);
}

/* Moves the window so that it ends behind sequence; numbers that it takes in are unseen. */
static void advance(struct tracker *t, uint64_t sequence)
{
	uint64_t from = t->next;

	if (t->paused && sequence > t->next) {
		t->gap_from = t->next;
		t->gap_end = sequence;
		t->excused += sequence - t->next;
		t->paused = false;
	}
	if (sequence - from >= TRACKER_WINDOW)
		from = sequence - TRACKER_WINDOW + 1;
	for (; from <= sequence; from++)
		*word_of(t, from) &= ~bit_of(from);
	t->next = sequence + 1;
}

bool tracker_add(struct tracker *t, uint64_t sequence)
{
	if (!t->started) {
		t->started = true;
		t->paused = false;
		t->first = t->next = sequence;
	}
	if (sequence >= t->next) {
		advance(t, sequence);
	} else {
		if (t->next - sequence > TRACKER_WINDOW) {
			t->stale++;
			return false;
		}
		if (*word_of(t, sequence) & bit_of(sequence)) {
			t->duplicates++;
			return false;
		}
		t->reordered++;
		/* sent before the pause, come behind a packet of after it */
		if (sequence >= t->gap_from && sequence < t->gap_end)
			t->excused--;
	}
	*word_of(t, sequence) |= bit_of(sequence);
	t->distinct++;
	if (sequence < t->first)
		t->first = sequence;
	return true;
}

void tracker_pause(struct tracker *t)
{
	t->paused = true;
}

static uint64_t less(uint64_t all, const struct tracker *t)
{
	uint64_t there = t->distinct + t->excused;

	return all > there ? all - there : 0;
}

uint64_t tracker_missing(const struct tracker *t)
{
	return less(t->next - t->first, t);
}

uint64_t tracker_missing_of(const struct tracker *t, uint64_t total)
{
	return less(total, t);
}
