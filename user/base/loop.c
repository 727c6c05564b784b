/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/loop.h"

#include <time.h>
#include <event2/event.h>
#include "base/clock.h"

#define LONG_NS (2 * NSEC_PER_MSEC)

static const uint32_t bounds_us[LOOP_BOUNDS] = {LOOP_BOUNDS_US};
static struct loop_stats stats;
static uint64_t turn_began; /* by cpu_now(); 0: the loop does not run */

static uint64_t cpu_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

uint64_t loop_bound(unsigned int i)
{
	return bounds_us[i] * 1000ull;
}

static void note(uint64_t ns)
{
	unsigned int i;

	for (i = 0; i < LOOP_BOUNDS && ns > loop_bound(i); i++)
		;
	stats.turn[i]++;
	stats.turns++;
	stats.busy_ns += ns;
	if (ns > stats.longest_ns)
		stats.longest_ns = ns;
}

void loop_run(struct event_base *base)
{
	uint64_t now;
	int ret;

	turn_began = cpu_now();
	do {
		ret = event_base_loop(base, EVLOOP_ONCE);
		now = cpu_now();
		note(now - turn_began);
		turn_began = now;
	} while (!ret && !event_base_got_break(base) && !event_base_got_exit(base));
	turn_began = 0;
}

void loop_stats(struct loop_stats *out)
{
	*out = stats;
}

bool loop_turn_is_long(void)
{
	return turn_began && cpu_now() - turn_began >= LONG_NS;
}
