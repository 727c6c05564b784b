/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the gateway lets through, from the reports of the host's stack. */
#include "unit/unit.h"

#include <errno.h>
#include <string.h>
#include "base/clock.h"
#include "base/counters.h"
#include "gateway/joined.h"
#include "proto/report.h"

#define SECONDS(n) ((uint64_t)(n)*NSEC_PER_SEC)

static struct joined *joined;
static unsigned int changes;
static bool watched_lost; /* the watched packet was not wanted in the middle of a change */
static struct amt_addr watched_source, watched_group;
static bool watching;

/* The packet path's map, kept by nothing but the calls. */
static struct joined_entry map[64];
static unsigned int nmap;

static enum joined_verdict map_find(const struct amt_addr *source, const struct amt_addr *group)
{
	unsigned int i;

	for (i = 0; i < nmap; i++)
		if (addr_equal(&map[i].key.source, source) && addr_equal(&map[i].key.group, group))
			return map[i].verdict;
	return JOINED_NO;
}

static bool map_wants(const struct amt_addr *source, const struct amt_addr *group)
{
	static const struct amt_addr any;
	enum joined_verdict verdict = map_find(source, group);

	return verdict == JOINED_WANTED ||
	       (verdict == JOINED_NO && map_find(&any, group) == JOINED_WANTED);
}

static void on_change(void *arg, const struct amt_group_key *key, enum joined_verdict verdict)
{
	unsigned int i;

	changes++;
	for (i = 0; i < nmap && memcmp(&map[i].key, key, sizeof(*key)) != 0; i++)
		;
	assert_true(i < sizeof(map) / sizeof(map[0]));
	if (verdict == JOINED_NO) {
		assert_true(i < nmap);
		map[i] = map[--nmap];
	} else {
		map[i] = (struct joined_entry){*key, verdict};
		nmap += i == nmap;
	}
	if (watching && !map_wants(&watched_source, &watched_group))
		watched_lost = true;
}

static struct amt_addr addr(const char *text)
{
	struct amt_addr out;

	assert_int_equal(addr_parse(text, &out), 0);
	return out;
}

static int setup(void **state)
{
	joined = joined_new(on_change, NULL);
	nmap = 0;
	changes = 0;
	watching = false;
	watched_lost = false;
	return joined ? 0 : -1;
}

static int teardown(void **state)
{
	joined_free(joined);
	return 0;
}

/* Sources end with NULL. */
static void report(uint64_t now, enum record_type type, const char *group,
		   const char *const *sources)
{
	struct amt_addr list[8];
	struct report_build build = {.type = type, .group = addr(group), .sources = list};
	uint8_t buf[512];
	int len;

	for (; sources && sources[build.nsources]; build.nsources++)
		list[build.nsources] = addr(sources[build.nsources]);
	len = report_write(!addr_is_ipv4(&build.group), NULL, &build, 1, buf, sizeof(buf));
	assert_true(len > 0);
	assert_int_equal(joined_report(joined, now, buf, (size_t)len), 0);
}

#define from(...) ((const char *const[]){__VA_ARGS__, NULL})

static bool wants(const char *source, const char *group)
{
	struct amt_addr s = addr(source), g = addr(group);
	bool answer = joined_wants(joined, &s, &g);

	assert_int_equal(answer, map_wants(&s, &g));
	return answer;
}

static void test_nothing_joined(void **state)
{
	assert_false(wants("192.0.2.1", "239.1.1.1"));
	assert_int_equal(joined_tick(joined, SECONDS(1)), TIME_NEVER);
	assert_int_equal(joined_groups(joined), 0);
}

static void test_any_source(void **state)
{
	report(SECONDS(1), RECORD_TO_EX, "239.1.1.1", NULL);
	report(SECONDS(1), RECORD_TO_EX, "ff0e::1", NULL);
	assert_true(wants("192.0.2.1", "239.1.1.1"));
	assert_false(wants("192.0.2.1", "239.1.1.2"));
	assert_true(wants("2001:db8::1", "ff0e::1"));
	assert_int_equal(joined_groups(joined), 2);
	report(SECONDS(2), RECORD_TO_IN, "239.1.1.1", NULL);
	assert_false(wants("192.0.2.1", "239.1.1.1"));
	assert_int_equal(nmap, 1);
}

static void test_sources(void **state)
{
	report(SECONDS(1), RECORD_ALLOW, "232.1.1.1", from("192.0.2.1", "192.0.2.2"));
	assert_true(wants("192.0.2.1", "232.1.1.1"));
	assert_false(wants("192.0.2.3", "232.1.1.1"));
	report(SECONDS(1), RECORD_BLOCK, "232.1.1.1", from("192.0.2.1"));
	assert_false(wants("192.0.2.1", "232.1.1.1"));
	assert_true(wants("192.0.2.2", "232.1.1.1"));
	assert_int_equal(nmap, 1);
}

static void test_excluded_sources(void **state)
{
	report(SECONDS(1), RECORD_TO_EX, "239.1.1.1", from("192.0.2.1"));
	assert_false(wants("192.0.2.1", "239.1.1.1"));
	assert_true(wants("192.0.2.2", "239.1.1.1"));
	report(SECONDS(2), RECORD_TO_EX, "239.1.1.1", NULL);
	assert_true(wants("192.0.2.1", "239.1.1.1"));
}

/* A program that joined any source of an SSM group gets what comes. */
static void test_ssm_range_has_no_rules(void **state)
{
	report(SECONDS(1), RECORD_TO_EX, "232.1.1.1", NULL);
	assert_true(wants("192.0.2.1", "232.1.1.1"));
}

static void test_link_local_is_left_out(void **state)
{
	counter_reset_all();
	report(SECONDS(1), RECORD_IS_EX, "224.0.0.251", NULL);
	report(SECONDS(1), RECORD_IS_EX, "ff02::fb", NULL);
	assert_int_equal(nmap, 0);
	assert_int_equal(joined_groups(joined), 0);
	/* every host has them: no mistake of anybody */
	assert_int_equal(counter_get(AMT_COUNT_RECORD_BAD_GROUP), 0);
}

static void test_refresh_tells_nothing(void **state)
{
	report(SECONDS(1), RECORD_TO_EX, "239.1.1.1", NULL);
	report(SECONDS(1), RECORD_ALLOW, "232.1.1.1", from("192.0.2.1"));
	changes = 0;
	report(SECONDS(100), RECORD_IS_EX, "239.1.1.1", NULL);
	report(SECONDS(100), RECORD_IS_IN, "232.1.1.1", from("192.0.2.1"));
	assert_int_equal(changes, 0);
}

/* Robustness x query interval + 10 s after the last answer. */
static void test_what_is_not_told_again_ends(void **state)
{
	joined_set_timing(joined, false, 2, 30);
	report(SECONDS(1), RECORD_TO_EX, "239.1.1.1", NULL);
	report(SECONDS(1), RECORD_ALLOW, "232.1.1.1", from("192.0.2.1"));
	report(SECONDS(40), RECORD_IS_EX, "239.1.1.1", NULL);
	assert_true(joined_tick(joined, SECONDS(70)) <= SECONDS(71));
	assert_true(wants("192.0.2.1", "232.1.1.1"));
	joined_tick(joined, SECONDS(71) + 1);
	assert_false(wants("192.0.2.1", "232.1.1.1"));
	assert_true(wants("192.0.2.1", "239.1.1.1"));
	joined_tick(joined, SECONDS(110) + 1);
	assert_false(wants("192.0.2.1", "239.1.1.1"));
	assert_int_equal(joined_groups(joined), 0);
	assert_int_equal(nmap, 0);
}

/* A relay may ask more seldom than once in the default lifetime; the longer of both protocols
 * counts, which are asked at different times. */
static void test_lives_as_long_as_queries_say(void **state)
{
	joined_set_timing(joined, false, 2, 3000);
	joined_set_timing(joined, true, 2, 30);
	report(SECONDS(1), RECORD_TO_EX, "239.1.1.1", NULL);
	joined_tick(joined, SECONDS(6010));
	assert_true(wants("192.0.2.1", "239.1.1.1"));
	joined_tick(joined, SECONDS(6011) + 1);
	assert_false(wants("192.0.2.1", "239.1.1.1"));
	joined_set_timing(joined, false, 0, 0); /* as good as not said: the defaults */
	report(SECONDS(7000), RECORD_TO_EX, "239.1.1.1", NULL);
	joined_tick(joined, SECONDS(7259));
	assert_true(wants("192.0.2.1", "239.1.1.1"));
	joined_tick(joined, SECONDS(7260) + 1);
	assert_false(wants("192.0.2.1", "239.1.1.1"));
}

/* A program joins any source beside one that wants a single source, and leaves again. */
static void test_wanted_packets_are_never_lost_in_a_change(void **state)
{
	watched_source = addr("192.0.2.1");
	watched_group = addr("239.1.1.1");
	report(SECONDS(1), RECORD_ALLOW, "239.1.1.1", from("192.0.2.1", "192.0.2.2"));
	watching = true;
	report(SECONDS(2), RECORD_TO_EX, "239.1.1.1", NULL);
	report(SECONDS(3), RECORD_TO_EX, "239.1.1.1", from("192.0.2.7"));
	report(SECONDS(4), RECORD_TO_IN, "239.1.1.1", from("192.0.2.1"));
	assert_false(watched_lost);
	assert_int_equal(nmap, 1);
	report(SECONDS(5), RECORD_TO_IN, "239.1.1.1", NULL);
	assert_true(watched_lost); /* the check itself */
}

static void test_bad_reports(void **state)
{
	struct report_build build = {.type = RECORD_TO_EX, .group = addr("239.1.1.1")};
	uint8_t buf[128];
	int len = report_write(false, NULL, &build, 1, buf, sizeof(buf)), i;

	for (i = 0; i < len; i++)
		assert_int_equal(joined_report(joined, SECONDS(1), buf, (size_t)i), -EINVAL);
	for (i = 0; i < len; i++) {
		buf[i] ^= 0x55;
		joined_report(joined, SECONDS(1), buf, (size_t)len);
		buf[i] ^= 0x55;
	}
	assert_int_equal(joined_report(joined, SECONDS(1), buf, (size_t)len), 0);
}

static void collect(void *arg, const struct joined_entry *entry)
{
	struct joined_entry **at = arg;

	*(*at)++ = *entry;
}

static void test_adoption(void **state)
{
	struct joined_entry entries[16], *end = entries, swap;
	unsigned int n;

	report(SECONDS(1), RECORD_TO_EX, "239.1.1.1", from("192.0.2.1"));
	report(SECONDS(1), RECORD_ALLOW, "232.1.1.1", from("192.0.2.1", "192.0.2.2"));
	report(SECONDS(1), RECORD_TO_EX, "ff0e::1", NULL);
	joined_walk(joined, collect, &end);
	n = (unsigned int)(end - entries);
	assert_int_equal(n, 5);
	swap = entries[0]; /* any order */
	entries[0] = entries[4];
	entries[4] = swap;
	teardown(NULL);
	setup(NULL);
	assert_int_equal(joined_adopt(joined, SECONDS(1000), entries, n), 0);
	assert_int_equal(nmap, 5);
	assert_false(wants("192.0.2.1", "239.1.1.1"));
	assert_true(wants("192.0.2.2", "239.1.1.1"));
	assert_true(wants("192.0.2.2", "232.1.1.1"));
	assert_true(wants("2001:db8::1", "ff0e::1"));
	/* what the host does not report any more goes */
	report(SECONDS(1001), RECORD_IS_EX, "239.1.1.1", from("192.0.2.1"));
	joined_tick(joined, SECONDS(1000 + 260) + 1);
	assert_int_equal(nmap, 2);
	assert_true(wants("192.0.2.2", "239.1.1.1"));
	assert_int_equal(joined_adopt(joined, SECONDS(2000), NULL, 0), 0);
}

#define joined_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		joined_test(test_nothing_joined),
		joined_test(test_any_source),
		joined_test(test_sources),
		joined_test(test_excluded_sources),
		joined_test(test_ssm_range_has_no_rules),
		joined_test(test_link_local_is_left_out),
		joined_test(test_refresh_tells_nothing),
		joined_test(test_what_is_not_told_again_ends),
		joined_test(test_lives_as_long_as_queries_say),
		joined_test(test_wanted_packets_are_never_lost_in_a_change),
		joined_test(test_bad_reports),
		joined_test(test_adoption),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
