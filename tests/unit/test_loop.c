/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The event loop's own account: turns are counted by their work, not by their waiting. */
#include "unit/unit.h"

#include <time.h>
#include <event2/event.h>
#include "base/clock.h"
#include "base/loop.h"

static struct event_base *base;
static struct event *timer;
static uint64_t work_ns;
static unsigned int calls;
static bool long_after;

static uint64_t cpu_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

static void after_ms(long ms)
{
	struct timeval tv = {.tv_usec = ms * 1000};

	evtimer_add(timer, &tv);
}

/* Waits 20 ms, works, and once more; then ends. */
static void on_time(evutil_socket_t fd, short what, void *arg)
{
	uint64_t until = cpu_now() + work_ns;

	while (cpu_now() < until)
		;
	long_after = loop_turn_is_long();
	if (++calls == 2)
		event_base_loopbreak(base);
	else
		after_ms(20);
}

static uint64_t turns_above(const struct loop_stats *stats, uint64_t ns)
{
	uint64_t turns = stats->turn[LOOP_BOUNDS];
	unsigned int i;

	for (i = 0; i < LOOP_BOUNDS; i++)
		if (loop_bound(i) > ns)
			turns += stats->turn[i];
	return turns;
}

static void run(uint64_t ns)
{
	work_ns = ns;
	calls = 0;
	base = event_base_new();
	timer = evtimer_new(base, on_time, NULL);
	after_ms(20);
	loop_run(base);
	event_free(timer);
	event_base_free(base);
}

static void work_is_counted_and_waiting_is_not(void **state)
{
	struct loop_stats before, after;
	unsigned int i;
	uint64_t turns = 0;

	loop_stats(&before);
	assert_int_equal(before.turns, 0);
	assert_false(loop_turn_is_long());
	run(12 * NSEC_PER_MSEC);
	loop_stats(&after);
	assert_int_equal(calls, 2);
	assert_true(after.turns >= 2);
	assert_true(after.longest_ns >= 12 * NSEC_PER_MSEC);
	assert_true(after.busy_ns >= 24 * NSEC_PER_MSEC);
	assert_true(turns_above(&after, 10 * NSEC_PER_MSEC) >= 2);
	for (i = 0; i <= LOOP_BOUNDS; i++)
		turns += after.turn[i];
	assert_int_equal(turns, after.turns);
	/* two turns that only wait: 40 ms have passed, and hardly any work was done */
	before = after;
	run(0);
	loop_stats(&after);
	assert_int_equal(turns_above(&after, 20 * NSEC_PER_MSEC),
			 turns_above(&before, 20 * NSEC_PER_MSEC));
}

static void a_turn_gets_long(void **state)
{
	run(3 * NSEC_PER_MSEC);
	assert_true(long_after);
	assert_false(loop_turn_is_long()); /* the loop has ended */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(work_is_counted_and_waiting_is_not),
		cmocka_unit_test(a_turn_gets_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
