/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memberships and merge at size: 10,000 tunnels with 4 groups each. Asserts that the sink is called
 * in proportion to what changes; prints octets and nanoseconds a membership (of this machine and
 * build: no bound is asserted).
 */
#include "unit/unit.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "proto/membership.h"
#include "proto/merge.h"

#define TUNNELS 10000
#define GROUPS	4 /* a tunnel */

struct world {
	struct membership *tunnel[TUNNELS];
	struct merge *merge;
	struct membership_config config;
	uint32_t changing, next;
	unsigned int creates, publishes, destroys, adds, removes, upstream;
};

static int sink_create(void *arg, const struct amt_group_key *key, uint32_t *set)
{
	struct world *w = arg;

	w->creates++;
	*set = w->next++;
	return 0;
}

static int sink_publish(void *arg, uint32_t set)
{
	((struct world *)arg)->publishes++;
	return 0;
}

static void sink_destroy(void *arg, uint32_t set)
{
	((struct world *)arg)->destroys++;
}

static int sink_add(void *arg, uint32_t set, uint32_t tunnel)
{
	((struct world *)arg)->adds++;
	return 0;
}

static void sink_remove(void *arg, uint32_t set, uint32_t tunnel)
{
	((struct world *)arg)->removes++;
}

static void sink_upstream(void *arg, const struct amt_addr *group)
{
	((struct world *)arg)->upstream++;
}

static void take_change(void *arg, const struct wish_change *change)
{
	struct world *w = arg;

	assert_int_equal(merge_apply(w->merge, w->changing, change), 0);
}

static size_t heap_used(void)
{
	return mallinfo2().uordblks;
}

static struct world *world_new(void)
{
	static const struct merge_sink sink = {sink_create, sink_publish, sink_destroy,
					       sink_add,    sink_remove,  sink_upstream};
	struct world *w = calloc(1, sizeof(*w));
	unsigned int i;

	assert_non_null(w);
	w->config.gmi_ns = 260 * NSEC_PER_SEC;
	w->merge = merge_new(&sink, w);
	assert_non_null(w->merge);
	for (i = 0; i < TUNNELS; i++) {
		w->tunnel[i] = membership_new();
		assert_non_null(w->tunnel[i]);
	}
	return w;
}

static void world_free(struct world *w)
{
	unsigned int i;

	for (i = 0; i < TUNNELS; i++)
		membership_free(w->tunnel[i]);
	assert_int_equal(merge_groups(w->merge), 0);
	merge_free(w->merge);
	free(w);
}

/* Channel n: a group of its own, and one source. */
static void put(struct world *w, uint32_t tunnel, enum record_type type, unsigned int n)
{
	static const uint8_t raw[4] = {192, 0, 2, 1};
	struct report_record record = {
		.type = type,
		.group = addr_from_ipv4(
			(uint8_t[]){232, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n}),
		.nsources = 1,
		.sources = raw,
		.source_len = 4};

	w->changing = tunnel;
	assert_int_equal(
		membership_apply(w->tunnel[tunnel], &w->config, 0, &record, take_change, w), 0);
}

static void report(const char *what, unsigned int n, size_t octets, uint64_t ns)
{
	print_message("# %-36s %6zu octets and %6llu ns each of %u\n", what, octets / n,
		      (unsigned long long)(ns / n), n);
}

/* Every tunnel joins GROUPS of so many channels, then leaves them. */
static void ssm(unsigned int channels, const char *what)
{
	size_t heap = heap_used();
	struct world *w = world_new();
	unsigned int i, n = TUNNELS * GROUPS;
	uint64_t start = clock_now();

	for (i = 0; i < n; i++)
		put(w, i / GROUPS, RECORD_ALLOW, i % channels);
	heap = heap_used() ? heap_used() - heap - sizeof(*w) : 0; /* 0: sanitizers */
	report(what, n, heap, clock_now() - start);
	assert_int_equal(w->creates, channels);
	assert_int_equal(w->publishes, channels);
	assert_int_equal(w->adds, n);
	assert_int_equal(w->upstream, channels);
	assert_int_equal(merge_channels(w->merge), channels);
	start = clock_now();
	for (i = 0; i < n; i++) /* a refresh touches no set */
		put(w, i / GROUPS, RECORD_IS_IN, i % channels);
	report("  a refresh of it", n, 0, clock_now() - start);
	assert_int_equal(w->adds, n);
	assert_int_equal(w->removes, 0);
	start = clock_now();
	for (i = 0; i < n; i++)
		put(w, i / GROUPS, RECORD_BLOCK, i % channels);
	report("  a leave of it", n, 0, clock_now() - start);
	assert_int_equal(w->removes, n);
	assert_int_equal(w->destroys, channels);
	assert_int_equal(w->upstream, 2 * channels);
	world_free(w);
}

static void shared_channels(void **state)
{
	ssm(GROUPS, "join, the same 4 channels for all");
	ssm(1000, "join, 1,000 channels");
}

static void own_channels(void **state)
{
	ssm(TUNNELS * GROUPS, "join, a channel for each");
}

/* EXCLUDE beside named sources: a join of (*,G) goes into each of its (S,G), and nowhere else. */
static void any_source(void **state)
{
	struct world *w = world_new();
	struct report_record record = {.type = RECORD_TO_EX,
				       .group = addr_from_ipv4((uint8_t[]){239, 1, 1, 1}),
				       .source_len = 4};
	uint64_t start;
	uint8_t raw[4] = {192, 0, 2};
	unsigned int i, half = TUNNELS / 2, named = 20;

	for (i = 0; i < half; i++) {
		w->changing = i;
		membership_apply(w->tunnel[i], &w->config, 0, &record, take_change, w);
	}
	assert_int_equal(w->creates, 1);
	assert_int_equal(w->adds, half);
	record.nsources = 1;
	record.sources = raw;
	for (i = 0; i < named; i++) { /* who is in EXCLUDE mode is in each */
		raw[3] = (uint8_t)(i + 1);
		w->changing = half + i;
		record.type = RECORD_TO_IN;
		membership_apply(w->tunnel[half + i], &w->config, 0, &record, take_change, w);
		w->changing = i;
		record.type = RECORD_TO_EX;
		membership_apply(w->tunnel[i], &w->config, 0, &record, take_change, w);
	}
	assert_int_equal(w->creates, 1 + named);
	assert_int_equal(w->adds, half + named * (half + 1));
	assert_int_equal(w->removes, named);
	assert_int_equal(w->upstream, 1);
	record.nsources = 0;
	start = clock_now();
	for (i = half + named; i < TUNNELS; i++) {
		w->changing = i;
		membership_apply(w->tunnel[i], &w->config, 0, &record, take_change, w);
	}
	report("join of (*,G) with 20 (S,G)", TUNNELS - half - named, 0, clock_now() - start);
	assert_int_equal(w->adds,
			 half + named * (half + 1) + (TUNNELS - half - named) * (1 + named));
	for (i = 0; i < TUNNELS; i++) {
		w->changing = i;
		membership_clear(w->tunnel[i], NULL, take_change, w);
	}
	assert_int_equal(w->destroys, w->creates);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shared_channels),
		cmocka_unit_test(own_channels),
		cmocka_unit_test(any_source),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
