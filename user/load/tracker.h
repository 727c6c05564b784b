/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which sequence numbers of one stream one receiver has seen: missing, duplicated, out of order.
 * A window of constant size, however long the stream runs. Pure.
 */
#ifndef AMT_LOAD_TRACKER_H
#define AMT_LOAD_TRACKER_H

#include <stdbool.h>
#include <stdint.h>

#define TRACKER_WINDOW 4096 /* sequence numbers a packet may be late and still be judged */

struct tracker {
	bool started, paused;
	uint64_t first, next; /* lowest seen, and one above the highest seen */
	uint64_t distinct;
	uint64_t duplicates;
	uint64_t reordered;	    /* came after one with a higher number */
	uint64_t stale;		    /* too old to tell whether they are duplicates */
	uint64_t excused;	    /* numbers that passed while the receiver did not listen */
	uint64_t gap_from, gap_end; /* the last of those */
	uint64_t seen[TRACKER_WINDOW / 64];
};

/* Returns true when it is the first packet with that number. */
bool tracker_add(struct tracker *tracker, uint64_t sequence);

/* The receiver stops listening: the numbers between the last packet of before and the first of
 * afterwards are not missing. That is the next gap, one and no more: packets of before may still
 * come, without a gap, when it listens again. */
void tracker_pause(struct tracker *tracker);

/* Missing between the first and the last packet seen. */
uint64_t tracker_missing(const struct tracker *tracker);

/* Missing of the numbers 0 .. total-1. */
uint64_t tracker_missing_of(const struct tracker *tracker, uint64_t total);

#endif
