/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memberships and merge without memory: every allocation of theirs may fail, at random; what
 * returned -ENOMEM must have changed nothing, and at the end nothing may be left anywhere.
 */
#include "unit/unit.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

static unsigned int fail_percent;
static uint32_t random_state = 1;

static uint32_t draw(uint32_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 17;
	random_state ^= random_state << 5;
	return random_state % below;
}

static void *scarce_malloc(size_t size)
{
	return draw(100) < fail_percent ? NULL : malloc(size);
}

static void *scarce_calloc(size_t n, size_t size)
{
	return draw(100) < fail_percent ? NULL : calloc(n, size);
}

static void *scarce_realloc(void *old, size_t size)
{
	return draw(100) < fail_percent ? NULL : realloc(old, size);
}

/* The code under test is built into this program, on memory that runs out. */
#define malloc	     scarce_malloc
#define calloc	     scarce_calloc
#define realloc	     scarce_realloc
#define compare_addr merge_compare_addr
#include "../../user/proto/idset.c"
#include "../../user/proto/merge_sets.c"
#include "../../user/proto/merge_view.c"
#include "../../user/proto/merge.c"
#undef compare_addr
#include "../../user/proto/membership.c"
#include "../../user/proto/membership_record.c"
#undef malloc
#undef calloc
#undef realloc

#define TUNNELS 9
#define STEPS	60000
#define SOURCES 100 /* more than stand on the stack */

struct world {
	struct membership *tunnel[TUNNELS];
	struct merge *merge;
	struct membership_config config;
	unsigned int changing, sets, lost;
	uint64_t now;
};

static int sink_create(void *arg, const struct amt_group_key *key, uint32_t *set)
{
	struct world *w = arg;

	*set = w->sets++;
	return 0;
}

static int sink_publish(void *arg, uint32_t set)
{
	return 0;
}

static void sink_destroy(void *arg, uint32_t set)
{
}

static int sink_add(void *arg, uint32_t set, uint32_t tunnel)
{
	return 0;
}

static void sink_remove(void *arg, uint32_t set, uint32_t tunnel)
{
}

static void sink_upstream(void *arg, const struct amt_addr *group)
{
	struct world *w = arg;
	struct merge_upstream upstream;
	int err = merge_upstream(w->merge, group, &upstream);

	assert_true(err == 0 || err == -ENOMEM);
}

static void take_change(void *arg, const struct wish_change *change)
{
	struct world *w = arg;
	int err = merge_apply(w->merge, w->changing, change);

	assert_true(err == 0 || err == -ENOMEM);
	w->lost += err != 0;
}

/* A sum over all that a walk shows. */
static void sum_group(void *arg, const struct membership_view *view)
{
	uint64_t *sum = arg;

	*sum = *sum * 31 + view->group.bytes[15] + view->exclude + view->expires + view->nsources +
	       view->old_host_until;
}

static void sum_source(void *arg, const struct membership_view *view,
		       const struct membership_source_view *source)
{
	uint64_t *sum = arg;

	*sum = *sum * 31 + source->source.bytes[15] + source->expires;
}

static uint64_t sum(const struct membership *m)
{
	uint64_t all = 0;

	membership_walk(m, sum_group, sum_source, &all);
	return all;
}

static bool step(struct world *w)
{
	uint8_t raw[4 * SOURCES];
	struct report_record record = {
		.type = (enum record_type)(1 + draw(6)), .sources = raw, .source_len = 4};
	struct membership *m;
	uint64_t before;
	unsigned int i;
	int err;

	w->changing = draw(TUNNELS);
	m = w->tunnel[w->changing];
	before = sum(m);
	if (draw(8) == 0) {
		w->now += draw(60) * NSEC_PER_SEC;
		assert_true(membership_expire(m, w->now, NULL, take_change, w) > w->now);
		merge_go_on(w->merge, draw(TUNNELS));
		return true;
	}
	record.group = addr_from_ipv4((uint8_t[]){239, 1, 1, (uint8_t)draw(7)});
	record.nsources = draw(5) ? draw(4) : draw(SOURCES);
	for (i = 0; i < record.nsources; i++)
		memcpy(raw + 4 * i, (uint8_t[]){192, 0, 2, (uint8_t)draw(SOURCES)}, 4);
	err = membership_apply(m, &w->config, w->now, &record, take_change, w);
	if (!err)
		return true;
	assert_int_equal(err, -ENOMEM);
	assert_int_equal(sum(m), before);
	return false;
}

static void out_of_memory(void **state)
{
	static const struct merge_sink sink = {sink_create, sink_publish, sink_destroy,
					       sink_add,    sink_remove,  sink_upstream};
	struct world w = {.config = {.gmi_ns = 260 * NSEC_PER_SEC}};
	unsigned int i, refused = 0;

	fail_percent = 0;
	w.merge = merge_new(&sink, &w);
	assert_non_null(w.merge);
	for (i = 0; i < TUNNELS; i++) {
		w.tunnel[i] = membership_new();
		assert_non_null(w.tunnel[i]);
	}
	fail_percent = 15;
	for (i = 0; i < STEPS; i++)
		refused += !step(&w);
	assert_true(refused > 100);
	assert_true(w.lost > 100);
	fail_percent = 100; /* leaving needs no memory */
	for (w.changing = 0; w.changing < TUNNELS; w.changing++) {
		membership_clear(w.tunnel[w.changing], NULL, take_change, &w);
		assert_true(membership_is_empty(w.tunnel[w.changing]));
		membership_free(w.tunnel[w.changing]);
	}
	assert_int_equal(merge_groups(w.merge), 0);
	assert_int_equal(merge_channels(w.merge), 0);
	merge_free(w.merge);
	assert_null(membership_new());
	assert_null(merge_new(&sink, &w));
}

/* The set of ids against an array; stride: how far apart they are. */
static void check_ids(uint32_t stride)
{
	static bool in[5000];
	struct idset set = {0}, copy = {0};
	unsigned int step, n = 0, phase;
	uint32_t at, id;

	fail_percent = 10;
	memset(in, 0, sizeof(in));
	for (step = 0; step < 200000; step++) {
		phase = (step / 20000) % 2; /* grows, shrinks */
		id = draw(step < 100000 ? 5000 : 40);
		if (draw(10) < (phase ? 2 : 8)) {
			if (idset_insert(&set, id * stride) == 0 && !in[id]) {
				in[id] = true;
				n++;
			}
		} else {
			idset_remove(&set, id * stride);
			n -= in[id];
			in[id] = false;
		}
		assert_int_equal(set.n, n);
		assert_int_equal(idset_has(&set, id * stride), in[id]);
		if (step % 1000)
			continue;
		for (id = 0; id < 5000; id++)
			assert_int_equal(idset_has(&set, id * stride), in[id]);
		if (idset_copy(&copy, &set))
			continue;
		for (at = 0, n = 0; idset_next(&copy, &at, &id); n++)
			assert_true(id % stride == 0 && in[id / stride]);
		assert_int_equal(n, set.n);
		idset_clear(&copy);
	}
	idset_clear(&set);
	assert_int_equal(set.n, 0);
}

static void ids(void **state)
{
	check_ids(1);
	check_ids(1009);
}

/* What was reserved is there, whatever else goes meanwhile. */
static void ids_reserved(void **state)
{
	struct idset set = {0};
	uint32_t n, id, left;

	for (n = 0; n < 600; n++) {
		fail_percent = 0;
		for (id = 0; id < n; id++)
			assert_int_equal(idset_insert(&set, id * 7), 0);
		for (left = n; left; left--) {
			fail_percent = 0;
			assert_int_equal(idset_reserve(&set, 5000), 0);
			fail_percent = 100;
			idset_remove(&set, (left - 1) * 7);
			assert_int_equal(idset_insert(&set, 5000), 0);
			idset_remove(&set, 5000);
		}
		assert_int_equal(set.n, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(out_of_memory),
		cmocka_unit_test(ids),
		cmocka_unit_test(ids_reserved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
