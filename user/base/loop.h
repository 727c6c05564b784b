/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The event loop's turns: how long each works, so that nobody has to believe that the loop never
 * pauses, and a measure by which work that can wait is put off to the next turn. A turn is what
 * happens between two waits for events. It is measured in CPU time of this thread: a busy machine
 * that gives us none for a while is not our pause. What a kernel without IRQ_TIME_ACCOUNTING does
 * in interrupts meanwhile, such as receiving packets, counts as ours all the same. One loop a
 * process, one thread.
 */
#ifndef AMT_BASE_LOOP_H
#define AMT_BASE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct event_base;

/* Upper bounds of the histogram, in microseconds; turns above the last are counted behind it. */
#define LOOP_BOUNDS_US 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000
#define LOOP_BOUNDS    10

struct loop_stats {
	uint64_t turns;
	uint64_t busy_ns;		/* of all turns */
	uint64_t longest_ns;		/* of one */
	uint64_t turn[LOOP_BOUNDS + 1]; /* by length; the last: longer than all bounds */
};

/* Runs the loop until event_base_loopbreak() or event_base_loopexit(). */
void loop_run(struct event_base *base);
void loop_stats(struct loop_stats *out);
/* In nanoseconds. */
uint64_t loop_bound(unsigned int i);

/* Whether this turn has worked for 2 ms. Whoever has more to do than one small step asks after each
 * few of them, and goes on in the next turn. Never true outside of loop_run(). */
bool loop_turn_is_long(void);

#endif
