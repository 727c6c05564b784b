/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memberships and merge together against brute force: random records of many tunnels and random
 * time, and after each step everything is computed anew from what membership_walk() says. The sink
 * also looks at every single call: nobody may see any difference but the tunnel that changes, and
 * that one only for sources that it wants from now on, or no longer. Where new sets are filled in
 * slices, nobody loses what it wants and has, or gets what it does not want, while they are; and
 * when they are whole, all is as computed.
 */
#include "unit/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "proto/membership.h"
#include "proto/merge.h"

#define TUNNELS	     13
#define GROUPS	     3
#define SOURCES	     6
#define OTHER	     SOURCES /* a source that nobody ever names */
#define SETS	     (GROUPS * (SOURCES + 1))
#define STEPS	     40000
#define FAILED_STEPS 20000

struct model_set {
	bool exists, published;
	unsigned int group, source; /* OTHER: (*,G) */
	bool member[TUNNELS];
};

struct world {
	struct membership *tunnel[TUNNELS];
	struct membership_config config;
	struct merge *merge;
	uint64_t now;
	uint32_t random;
	unsigned int changing;		      /* the tunnel whose change is being applied */
	bool before[OTHER + 1];		      /* what it wanted of the group that changes */
	bool settled;			      /* whether the model knows what it wants now */
	unsigned int fail;		      /* percent of calls that the sink refuses */
	bool slices;			      /* new sets are filled by merge_go_on() */
	bool filling[GROUPS];		      /* there is such a set, or was in this step */
	bool had[TUNNELS][GROUPS][OTHER + 1]; /* what reached the tunnel at the last moment */
	bool told[GROUPS];		      /* upstream_changed was called in this step */
	unsigned int told_calls;	      /* and how often in this merge_apply() */
	struct model_set sets[SETS];
	struct amt_addr group[GROUPS], source[SOURCES];
	/* by brute force */
	bool exclude[TUNNELS][GROUPS];
	enum source_wish wish[TUNNELS][GROUPS][SOURCES];
	bool merged_exclude[GROUPS], merged[GROUPS][SOURCES];
};

static uint32_t draw(struct world *w, uint32_t below)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 17;
	w->random ^= w->random << 5;
	return w->random % below;
}

static unsigned int group_index(const struct world *w, const struct amt_addr *addr)
{
	unsigned int g;

	for (g = 0; g < GROUPS; g++)
		if (addr_equal(addr, &w->group[g]))
			return g;
	fail_msg("a group that nobody named");
	return 0;
}

static unsigned int source_index(const struct world *w, const struct amt_addr *addr)
{
	unsigned int s;

	if (addr_is_any(addr))
		return OTHER;
	for (s = 0; s < SOURCES; s++)
		if (addr_equal(addr, &w->source[s]))
			return s;
	fail_msg("a source that nobody named");
	return 0;
}

/* ---- brute force ---- */

struct reader {
	struct world *w;
	unsigned int tunnel;
};

static void read_group(void *arg, const struct membership_view *view)
{
	struct reader *reader = arg;

	reader->w->exclude[reader->tunnel][group_index(reader->w, &view->group)] = view->exclude;
}

static void read_source(void *arg, const struct membership_view *view,
			const struct membership_source_view *source)
{
	struct reader *reader = arg;
	struct world *w = reader->w;
	enum source_wish wish =
		view->exclude ? (source->excluded ? WISH_EXCLUDED : WISH_NONE) : WISH_INCLUDED;

	w->wish[reader->tunnel][group_index(w, &view->group)][source_index(w, &source->source)] =
		wish;
}

static void read_tunnels(struct world *w)
{
	struct reader reader = {.w = w};

	memset(w->exclude, 0, sizeof(w->exclude));
	memset(w->wish, 0, sizeof(w->wish));
	for (reader.tunnel = 0; reader.tunnel < TUNNELS; reader.tunnel++)
		membership_walk(w->tunnel[reader.tunnel], read_group, read_source, &reader);
}

/* */
static bool wants(const struct world *w, unsigned int tunnel, unsigned int group,
		  unsigned int source)
{
	enum source_wish wish = source == OTHER ? WISH_NONE : w->wish[tunnel][group][source];

	return w->exclude[tunnel][group] ? wish != WISH_EXCLUDED : wish == WISH_INCLUDED;
}

static unsigned int count_wish(const struct world *w, unsigned int group, unsigned int source,
			       enum source_wish wish)
{
	unsigned int t, n = 0;

	for (t = 0; t < TUNNELS; t++)
		n += w->wish[t][group][source] == wish;
	return n;
}

static unsigned int count_exclude(const struct world *w, unsigned int group)
{
	unsigned int t, n = 0;

	for (t = 0; t < TUNNELS; t++)
		n += w->exclude[t][group];
	return n;
}

static bool is_named(const struct world *w, unsigned int group, unsigned int source)
{
	if (source == OTHER)
		return count_exclude(w, group) > 0;
	return count_wish(w, group, source, WISH_NONE) < TUNNELS;
}

/* ---- the sink ---- */

static const struct model_set *set_find(const struct world *w, unsigned int group,
					unsigned int source)
{
	unsigned int i;

	for (i = 0; i < SETS; i++)
		if (w->sets[i].exists && w->sets[i].group == group && w->sets[i].source == source)
			return &w->sets[i];
	return NULL;
}

/* Whether a packet of (source, group) reaches the tunnel at this very moment. */
static bool reaches(const struct world *w, unsigned int tunnel, unsigned int group,
		    unsigned int source)
{
	const struct model_set *set = set_find(w, group, source);

	if (!set || !set->published)
		set = set_find(w, group, OTHER);
	return set && set->published && set->member[tunnel];
}

static bool is_filling(const struct world *w, unsigned int group)
{
	unsigned int i;

	for (i = 0; i < SETS; i++)
		if (w->sets[i].exists && !w->sets[i].published && w->sets[i].group == group)
			return w->slices;
	return false;
}

/* Left EXCLUDE mode for a source whose set is not there yet. */
static bool is_late(const struct world *w, unsigned int tunnel, unsigned int group)
{
	const struct model_set *any = set_find(w, group, OTHER);

	return any && any->member[tunnel] && !w->exclude[tunnel][group];
}

/* What a tunnel that does not change may get and miss while sets are filled. */
static void check_filling(const struct world *w, unsigned int t, unsigned int group, unsigned int s,
			  bool reached)
{
	bool want = wants(w, t, group, s), had = w->had[t][group][s];

	if (want && had)
		assert_true(reached);
	if (reached && !want && t != w->changing)
		assert_true(had || is_late(w, t, group));
}

/* Everybody gets what it wants, no less and no more; of the tunnel that changes this is asked for
 * what it wanted before as well. */
static void check_moment(struct world *w, unsigned int group)
{
	unsigned int t, s;

	w->filling[group] |= is_filling(w, group);
	if (w->fail)
		return;
	for (t = 0; t < TUNNELS; t++) {
		for (s = 0; s <= OTHER; s++) {
			bool want = wants(w, t, group, s), reached = reaches(w, t, group, s);

			if (w->filling[group] && (t != w->changing || w->settled))
				check_filling(w, t, group, s, reached);
			else if (t != w->changing || (w->settled && w->before[s] == want))
				assert_int_equal(reached, want);
			w->had[t][group][s] = reached;
		}
	}
}

static bool refuses(struct world *w)
{
	return w->fail && draw(w, 100) < w->fail;
}

static struct model_set *set_get(struct world *w, uint32_t set)
{
	assert_true(set < SETS);
	assert_true(w->sets[set].exists);
	return &w->sets[set];
}

static int sink_create(void *arg, const struct amt_group_key *key, uint32_t *set)
{
	struct world *w = arg;
	struct model_set fresh = {.exists = true,
				  .group = group_index(w, &key->group),
				  .source = source_index(w, &key->source)};
	uint32_t i;

	assert_null(set_find(w, fresh.group, fresh.source));
	if (refuses(w))
		return -ENOSPC;
	for (i = 0; w->sets[i].exists; i++)
		assert_true(i < SETS - 1);
	w->sets[i] = fresh;
	*set = i;
	check_moment(w, fresh.group);
	return 0;
}

static int sink_publish(void *arg, uint32_t set)
{
	struct world *w = arg;
	struct model_set *it = set_get(w, set);

	assert_false(it->published);
	if (refuses(w))
		return -E2BIG;
	it->published = true;
	check_moment(w, it->group);
	return 0;
}

static void sink_destroy(void *arg, uint32_t set)
{
	struct world *w = arg;
	struct model_set *it = set_get(w, set);
	unsigned int group = it->group;

	it->exists = false;
	check_moment(w, group);
}

static int sink_add(void *arg, uint32_t set, uint32_t tunnel)
{
	struct world *w = arg;
	struct model_set *it = set_get(w, set);

	assert_true(tunnel < TUNNELS);
	assert_false(it->member[tunnel]);
	if (refuses(w))
		return -ENOSPC;
	it->member[tunnel] = true;
	check_moment(w, it->group);
	return 0;
}

static void sink_remove(void *arg, uint32_t set, uint32_t tunnel)
{
	struct world *w = arg;
	struct model_set *it = set_get(w, set);

	assert_true(tunnel < TUNNELS);
	assert_true(it->member[tunnel]);
	it->member[tunnel] = false;
	check_moment(w, it->group);
}

static void sink_upstream(void *arg, const struct amt_addr *group)
{
	struct world *w = arg;

	assert_int_equal(w->told_calls++, 0);
	w->told[group_index(w, group)] = true;
}

static const struct merge_sink sink = {
	.set_create = sink_create,
	.set_publish = sink_publish,
	.set_destroy = sink_destroy,
	.member_add = sink_add,
	.member_remove = sink_remove,
	.upstream_changed = sink_upstream,
};

/* ---- checks after a step ---- */

static void check_set(struct world *w, unsigned int group, unsigned int source)
{
	const struct model_set *set = set_find(w, group, source);
	bool named = is_named(w, group, source);
	struct amt_group_key key = {.group = w->group[group]};
	bool filling = w->filling[group], late = filling && source == OTHER;
	unsigned int t;

	if (source != OTHER)
		key.source = w->source[source];
	assert_int_equal(merge_has_channel(w->merge, &key), set != NULL);
	if (!w->fail && named)
		assert_non_null(set);
	if (!set)
		return;
	assert_true(named || late);
	assert_true(set->published || filling);
	for (t = 0; t < TUNNELS; t++) {
		bool want = wants(w, t, group, source);

		if (set->member[t])
			assert_true(want || late);
		else if (!w->fail && set->published)
			assert_false(want);
	}
}

/* R-154, and that upstream_changed() was called exactly when it changed. */
static void check_merged(struct world *w, unsigned int group)
{
	struct merge_upstream got;
	bool exclude = count_exclude(w, group) > 0, changed = exclude != w->merged_exclude[group];
	unsigned int s, i, n = 0;

	assert_int_equal(merge_upstream(w->merge, &w->group[group], &got), 0);
	assert_int_equal(got.exclude, exclude);
	for (s = 0; s < SOURCES; s++) {
		unsigned int includes = count_wish(w, group, s, WISH_INCLUDED);
		unsigned int excludes = count_wish(w, group, s, WISH_EXCLUDED);
		bool listed = exclude ? !includes && excludes == count_exclude(w, group) : includes;

		changed |= listed != w->merged[group][s];
		w->merged[group][s] = listed;
		n += listed;
		for (i = 0; listed && i < got.nsources; i++)
			if (addr_equal(&got.sources[i], &w->source[s]))
				break;
		if (listed)
			assert_true(i < got.nsources);
	}
	assert_int_equal(got.nsources, n);
	assert_int_equal(w->told[group], changed);
	w->merged_exclude[group] = exclude;
	w->told[group] = false;
}

struct walked {
	struct world *w;
	unsigned int sets;
};

static void walk_set(void *arg, const struct amt_group_key *key, uint32_t set,
		     unsigned int includes, unsigned int excludes)
{
	struct walked *walked = arg;
	struct world *w = walked->w;
	unsigned int g = group_index(w, &key->group), s = source_index(w, &key->source);

	assert_ptr_equal(set_get(w, set), set_find(w, g, s));
	assert_int_equal(includes, s == OTHER ? 0 : count_wish(w, g, s, WISH_INCLUDED));
	assert_int_equal(excludes,
			 s == OTHER ? count_exclude(w, g) : count_wish(w, g, s, WISH_EXCLUDED));
	walked->sets++;
}

static void check_all(struct world *w)
{
	struct walked walked = {.w = w};
	unsigned int g, s, groups = 0, sets = 0;

	read_tunnels(w);
	for (g = 0; g < GROUPS; g++) {
		bool joined = false;

		w->filling[g] = is_filling(w, g);
		for (s = 0; s <= SOURCES; s++) {
			check_set(w, g, s);
			joined |= is_named(w, g, s);
			sets += set_find(w, g, s) != NULL;
		}
		check_merged(w, g);
		groups += joined;
	}
	assert_int_equal(merge_groups(w->merge), groups);
	assert_int_equal(merge_channels(w->merge), sets);
	merge_walk(w->merge, walk_set, &walked);
	assert_int_equal(walked.sets, sets);
}

/* ---- steps ---- */

static void take_change(void *arg, const struct wish_change *change)
{
	struct world *w = arg;
	unsigned int s, group = group_index(w, &change->group);

	for (s = 0; s <= OTHER; s++)
		w->before[s] = wants(w, w->changing, group, s);
	if (w->settled)
		read_tunnels(w);
	w->told_calls = 0;
	assert_int_equal(merge_apply(w->merge, w->changing, change), 0);
}

static void step_record(struct world *w)
{
	uint8_t raw[4 * 8];
	struct report_record record = {.type = (enum record_type)(1 + draw(w, 6)),
				       .old_host = draw(w, 8) == 0,
				       .group = w->group[draw(w, GROUPS)],
				       .nsources = draw(w, 5),
				       .sources = raw,
				       .source_len = 4};
	unsigned int i;

	if (record.old_host) {
		record.type = draw(w, 2) ? RECORD_IS_EX : RECORD_TO_IN;
		record.nsources = 0;
	}
	for (i = 0; i < record.nsources; i++)
		memcpy(raw + 4 * i, w->source[draw(w, SOURCES)].bytes + AMT_ADDR_V4_OFFSET, 4);
	assert_int_equal(membership_apply(w->tunnel[w->changing], &w->config, w->now, &record,
					  take_change, w),
			 0);
}

/* Somewhat, or until all is done. */
static void fill(struct world *w, bool all)
{
	unsigned int g;

	w->changing = TUNNELS;
	while (merge_go_on(w->merge, draw(w, 6)) && all)
		check_all(w);
	check_all(w);
	for (g = 0; all && g < GROUPS; g++)
		assert_false(w->filling[g]);
}

static void step(struct world *w)
{
	unsigned int what = draw(w, 1000);

	if (w->slices)
		fill(w, draw(w, 8) == 0);

	w->changing = draw(w, TUNNELS);
	w->settled = what >= 2;
	if (what < 2)
		membership_clear(w->tunnel[w->changing], NULL, take_change, w);
	else if (what < 900)
		step_record(w);
	else
		w->now += draw(w, what < 902 ? 300 : 30) * NSEC_PER_SEC;
	check_all(w);
	if (what < 900)
		return;
	for (w->changing = 0; w->changing < TUNNELS; w->changing++) {
		assert_true(membership_expire(w->tunnel[w->changing], w->now, NULL, take_change,
					      w) > w->now);
		check_all(w);
	}
}

static void run(uint32_t seed, unsigned int steps, unsigned int fail, bool slices)
{
	struct world w = {.random = seed, .fail = fail, .slices = slices};
	unsigned int i;

	w.config.gmi_ns = 260 * NSEC_PER_SEC;
	w.config.max_sources = 5;
	w.merge = merge_new(&sink, &w);
	assert_non_null(w.merge);
	for (i = 0; i < TUNNELS; i++) {
		w.tunnel[i] = membership_new();
		assert_non_null(w.tunnel[i]);
	}
	for (i = 0; i < GROUPS; i++)
		w.group[i] = addr_from_ipv4((uint8_t[]){239, 1, 1, (uint8_t)i});
	for (i = 0; i < SOURCES; i++)
		w.source[i] = addr_from_ipv4((uint8_t[]){192, 0, 2, (uint8_t)(i * 7 + 1)});
	for (i = 0; i < steps; i++)
		step(&w);
	w.settled = false;
	for (i = 0; i < TUNNELS; i++) {
		w.changing = i;
		membership_clear(w.tunnel[i], NULL, take_change, &w);
		check_all(&w);
	}
	for (i = 0; i < TUNNELS; i++)
		membership_free(w.tunnel[i]);
	assert_int_equal(merge_groups(w.merge), 0);
	assert_int_equal(merge_channels(w.merge), 0);
	merge_free(w.merge);
}

static void as_brute_force(void **state)
{
	run(20260101, STEPS, 0, false);
	run(77, STEPS, 0, false);
}

static void in_slices(void **state)
{
	run(1112, STEPS, 0, true);
	run(39, STEPS, 0, true);
}

static void with_a_failing_sink(void **state)
{
	run(4711, FAILED_STEPS, 20, false);
	run(3, FAILED_STEPS, 90, false);
	run(8, FAILED_STEPS, 10, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_brute_force),
		cmocka_unit_test(in_slices),
		cmocka_unit_test(with_a_failing_sink),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
