/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One tunnel's memberships: the RFC's tables row by row, timers, older hosts, SSM, limits. */
#include "unit/unit.h"

#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/counters.h"
#include "proto/membership.h"

#define GMI    260
#define ROW(x) (sizeof(x) / sizeof((x)[0]))

/* What is under test, with a mirror of group 1 built from the changes alone. */
struct bed {
	struct membership *m;
	struct membership_config config;
	bool ipv6, ssm;
	uint64_t now;
	unsigned int calls;
	bool exclude;
	enum source_wish wish[128];
	unsigned int refuse_after, asked; /* admit */
	bool refuse_any;
};

static struct amt_addr address(const char *text)
{
	struct amt_addr out;

	assert_int_equal(addr_parse(text, &out), 0);
	return out;
}

static struct amt_addr bed_group(const struct bed *bed, unsigned int n)
{
	struct amt_addr group = bed->ssm ? address(bed->ipv6 ? "ff3e::8000:0" : "232.1.1.0")
					 : address(bed->ipv6 ? "ff1e::8000:0" : "239.1.1.0");

	group.bytes[14] = (uint8_t)(n >> 8);
	group.bytes[15] = (uint8_t)n;
	return group;
}

/* Source 'a', 'b', ... */
static struct amt_addr bed_source(const struct bed *bed, char letter)
{
	struct amt_addr source = address(bed->ipv6 ? "2001:db8::" : "192.0.2.0");

	source.bytes[15] = (uint8_t)letter;
	return source;
}

static void take_change(void *arg, const struct wish_change *change)
{
	struct bed *bed = arg;
	unsigned int i;

	bed->calls++;
	if (change->group.bytes[15] != 1)
		return;
	assert_int_equal(change->exclude_before, bed->exclude);
	bed->exclude = change->exclude_after;
	for (i = 0; i < change->nsources; i++) {
		const struct wish_source *source = &change->sources[i];
		enum source_wish *wish = &bed->wish[source->addr.bytes[15] & 127];

		assert_int_not_equal(source->before, source->after);
		assert_int_equal(source->before, *wish);
		assert_true(source->before != WISH_EXCLUDED || change->exclude_before);
		assert_true(source->before != WISH_INCLUDED || !change->exclude_before);
		assert_true(source->after != WISH_EXCLUDED || change->exclude_after);
		assert_true(source->after != WISH_INCLUDED || !change->exclude_after);
		*wish = source->after;
	}
}

struct text {
	const struct bed *bed;
	char buf[1024];
	enum source_wish wish[128];
	bool exclude;
};

static void say_group(void *arg, const struct membership_view *view)
{
	struct text *text = arg;
	unsigned int left = (unsigned int)((view->expires - text->bed->now) / NSEC_PER_SEC);

	text->exclude = view->exclude;
	if (view->exclude)
		sprintf(text->buf + strlen(text->buf), "E%u", left);
	else
		sprintf(text->buf + strlen(text->buf), "I");
}

static void say_source(void *arg, const struct membership_view *view,
		       const struct membership_source_view *source)
{
	struct text *text = arg;
	char letter = (char)source->source.bytes[15];

	if (source->excluded) {
		sprintf(text->buf + strlen(text->buf), " -%c", letter);
		text->wish[letter & 127] = WISH_EXCLUDED;
		return;
	}
	sprintf(text->buf + strlen(text->buf), " %c%u", letter,
		(unsigned int)((source->expires - text->bed->now) / NSEC_PER_SEC));
	text->wish[letter & 127] = view->exclude ? WISH_NONE : WISH_INCLUDED;
}

/* "I a260 b100": INCLUDE, seconds left. "E260 x100 -y": EXCLUDE, group timer, X, Y. "": nothing.
 * Also compares with what the changes told. For beds that have no other group than group 1. */
static const char *said(const struct bed *bed)
{
	static struct text text;

	memset(&text, 0, sizeof(text));
	text.bed = bed;
	membership_walk(bed->m, say_group, say_source, &text);
	assert_memory_equal(text.wish, bed->wish, sizeof(text.wish));
	assert_int_equal(text.exclude, bed->exclude);
	return text.buf;
}

static bool admit(void *arg, const struct amt_addr *group, const struct amt_addr *source)
{
	struct bed *bed = arg;

	if (!source)
		return !bed->refuse_any;
	return bed->asked++ < bed->refuse_after;
}

static void bed_open(struct bed *bed, bool ipv6)
{
	memset(bed, 0, sizeof(*bed));
	bed->ipv6 = ipv6;
	bed->config.gmi_ns = GMI * NSEC_PER_SEC;
	bed->m = membership_new();
	assert_non_null(bed->m);
	counter_reset_all();
}

static void bed_close(struct bed *bed)
{
	membership_clear(bed->m, NULL, take_change, bed);
	assert_true(membership_is_empty(bed->m));
	assert_int_equal(membership_deadline(bed->m), TIME_NEVER);
	assert_string_equal(said(bed), "");
	membership_free(bed->m);
}

/* Applies a record with the sources of `letters`. */
static void put_raw(struct bed *bed, unsigned int group, enum record_type type, bool old_host,
		    const char *letters)
{
	uint8_t raw[16 * 128];
	size_t i, len = bed->ipv6 ? 16 : 4;
	struct report_record record = {.type = type,
				       .old_host = old_host,
				       .group = bed_group(bed, group),
				       .nsources = (unsigned int)strlen(letters),
				       .sources = raw,
				       .source_len = (unsigned int)len};
	unsigned int calls = bed->calls;

	for (i = 0; i < record.nsources; i++) {
		struct amt_addr source = bed_source(bed, letters[i]);

		memcpy(raw + i * len, source.bytes + 16 - len, len);
	}
	assert_int_equal(
		membership_apply(bed->m, &bed->config, bed->now, &record, take_change, bed), 0);
	assert_true(bed->calls <= calls + 1);
}

static void put(struct bed *bed, enum record_type type, const char *letters)
{
	put_raw(bed, 1, type, false, letters);
}

static uint64_t seconds(unsigned int s)
{
	return s * NSEC_PER_SEC;
}

/* The state at 0 s, then one record at 100 s. */
struct rule {
	const char *name;
	enum { IN_AB, EX_XY } before; /* INCLUDE (a,b); EXCLUDE (x, y) with x by ALLOW */
	enum record_type type;
	const char *sources;
	const char *after;
};

static const struct rule rules[] = {
	{"R-125", IN_AB, RECORD_IS_IN, "bc", "I a160 b260 c260"},
	{"R-125 nothing", IN_AB, RECORD_IS_IN, "", "I a160 b160"},
	{"R-126", IN_AB, RECORD_IS_EX, "bc", "E260 b160 -c"},
	{"R-126 nothing", IN_AB, RECORD_IS_EX, "", "E260"},
	{"R-127", EX_XY, RECORD_IS_IN, "ay", "E160 a260 x160 y260"},
	{"R-127 repeated", EX_XY, RECORD_IS_IN, "x", "E160 x260 -y"},
	{"R-128", EX_XY, RECORD_IS_EX, "axy", "E260 a260 x160 -y"},
	{"R-128 deletes", EX_XY, RECORD_IS_EX, "a", "E260 a260"},
	{"R-128 nothing", EX_XY, RECORD_IS_EX, "", "E260"},
	{"R-129", IN_AB, RECORD_ALLOW, "bc", "I a160 b260 c260"},
	{"R-130", IN_AB, RECORD_BLOCK, "bc", "I a160"},
	{"R-130 all", IN_AB, RECORD_BLOCK, "ab", ""},
	{"R-130 none", IN_AB, RECORD_BLOCK, "cd", "I a160 b160"},
	{"R-131", IN_AB, RECORD_TO_EX, "bc", "E260 -b -c"},
	{"R-131 nothing", IN_AB, RECORD_TO_EX, "", "E260"},
	{"R-132", IN_AB, RECORD_TO_IN, "bc", "I b260 c260"},
	{"R-132 others", IN_AB, RECORD_TO_IN, "cd", "I c260 d260"},
	{"R-132 leave", IN_AB, RECORD_TO_IN, "", ""},
	{"R-133", EX_XY, RECORD_ALLOW, "ay", "E160 a260 x160 y260"},
	{"R-134", EX_XY, RECORD_BLOCK, "a", "E160 -a x160 -y"},
	{"R-134 wanted", EX_XY, RECORD_BLOCK, "xy", "E160 -x -y"},
	{"R-135", EX_XY, RECORD_TO_EX, "axy", "E260 -a -x -y"},
	{"R-135 deletes", EX_XY, RECORD_TO_EX, "a", "E260 -a"},
	{"R-135 nothing", EX_XY, RECORD_TO_EX, "", "E260"},
	{"R-136", EX_XY, RECORD_TO_IN, "axy", "I a260 x260 y260"},
	{"R-136 deletes", EX_XY, RECORD_TO_IN, "a", "I a260"},
	{"R-136 leave", EX_XY, RECORD_TO_IN, "", ""},
};

static void begin(struct bed *bed, bool ipv6, int before)
{
	bed_open(bed, ipv6);
	if (before == IN_AB) {
		put(bed, RECORD_ALLOW, "ba"); /* order does not matter */
		assert_string_equal(said(bed), "I a260 b260");
		return;
	}
	put(bed, RECORD_TO_EX, "yx");
	put(bed, RECORD_ALLOW, "x");
	assert_string_equal(said(bed), "E260 x260 -y");
}

/* R-125..R-136, and R-139: repeated, each record leaves what it made, timers included. */
static void table(void **state)
{
	struct bed bed;
	size_t i;
	int ipv6, again;

	for (i = 0; i < ROW(rules) * 2; i++) {
		const struct rule *rule = &rules[i / 2];

		ipv6 = i % 2;
		begin(&bed, ipv6, rule->before);
		bed.now = seconds(100);
		for (again = 0; again < 3; again++) {
			unsigned int calls = bed.calls;

			put(&bed, rule->type, rule->sources);
			if (strcmp(said(&bed), rule->after) != 0)
				fail_msg("%s: '%s' instead of '%s'", rule->name, said(&bed),
					 rule->after);
			if (again)
				assert_int_equal(bed.calls, calls);
		}
		bed_close(&bed);
	}
}

/* A record with a source twice is as one with it once. */
static void duplicate_sources(void **state)
{
	struct bed bed;

	bed_open(&bed, false);
	put(&bed, RECORD_ALLOW, "cacab");
	assert_string_equal(said(&bed), "I a260 b260 c260");
	put(&bed, RECORD_BLOCK, "ccb");
	assert_string_equal(said(&bed), "I a260");
	bed_close(&bed);
}

/* */
static void timers_include(void **state)
{
	struct bed bed;

	bed_open(&bed, false);
	put(&bed, RECORD_ALLOW, "a");
	assert_int_equal(membership_deadline(bed.m), seconds(260));
	bed.now = seconds(100);
	put(&bed, RECORD_ALLOW, "b");
	bed.now = seconds(260) - 1;
	assert_int_equal(membership_expire(bed.m, bed.now, NULL, take_change, &bed), seconds(260));
	assert_int_equal(bed.calls, 2);
	bed.now = seconds(260);
	assert_int_equal(membership_expire(bed.m, bed.now, NULL, take_change, &bed), seconds(360));
	assert_string_equal(said(&bed), "I b100");
	assert_int_equal(membership_deadline(bed.m), seconds(360));
	bed.now = seconds(360);
	assert_int_equal(membership_expire(bed.m, bed.now, NULL, take_change, &bed), TIME_NEVER);
	assert_string_equal(said(&bed), "");
	assert_true(membership_is_empty(bed.m));
	assert_int_equal(counter_get(AMT_COUNT_MEMBERSHIP_EXPIRED), 2);
	bed_close(&bed);
}

static void timers_exclude(void **state)
{
	struct bed bed;

	begin(&bed, false, EX_XY);
	bed.now = seconds(100);
	put(&bed, RECORD_ALLOW, "a");
	bed.now = seconds(150);
	put(&bed, RECORD_IS_EX, "axy"); /* group timer anew; a, x keep theirs */
	assert_string_equal(said(&bed), "E260 a210 x110 -y");
	bed.now = seconds(260); /* x ends: stays, excluded */
	assert_int_equal(membership_expire(bed.m, bed.now, NULL, take_change, &bed), seconds(360));
	assert_string_equal(said(&bed), "E150 a100 -x -y");
	bed.now = seconds(300);
	put(&bed, RECORD_ALLOW, "b");
	bed.now = seconds(410); /* group timer ends: INCLUDE (X) */
	assert_int_equal(membership_expire(bed.m, bed.now, NULL, take_change, &bed), seconds(560));
	assert_string_equal(said(&bed), "I b150");
	bed_close(&bed);
	/* X empty: the group goes */
	begin(&bed, true, EX_XY);
	bed.now = seconds(260);
	assert_int_equal(membership_expire(bed.m, bed.now, NULL, take_change, &bed), TIME_NEVER);
	assert_string_equal(said(&bed), "");
	assert_int_equal(counter_get(AMT_COUNT_MEMBERSHIP_EXPIRED), 1);
	bed_close(&bed);
}

/* A refresh every 125 s keeps everything for ever, and changes nothing; v2 too. */
static void refresh(void **state)
{
	static const struct {
		enum record_type type;
		bool old_host;
		const char *sources, *after;
	} row[] = {
		{RECORD_IS_IN, false, "ab", "I a260 b260"},
		{RECORD_IS_EX, false, "", "E260"},
		{RECORD_IS_EX, true, "", "E260"},
	};
	struct bed bed;
	unsigned int i, t;

	for (i = 0; i < ROW(row); i++) {
		bed_open(&bed, i % 2);
		for (t = 0; t < 125 * 100; t += 125) {
			bed.now = seconds(t);
			membership_expire(bed.m, bed.now, NULL, take_change, &bed);
			put_raw(&bed, 1, row[i].type, row[i].old_host, row[i].sources);
			assert_string_equal(said(&bed), row[i].after);
		}
		assert_int_equal(bed.calls, 1);
		assert_true(membership_deadline(bed.m) <= bed.now + seconds(GMI));
		bed.now += seconds(GMI);
		assert_int_equal(membership_expire(bed.m, bed.now, NULL, take_change, &bed),
				 TIME_NEVER);
		bed_close(&bed);
	}
}

/* */
static void nothing_from_nothing(void **state)
{
	struct bed bed;

	bed_open(&bed, false);
	put(&bed, RECORD_IS_IN, "");
	put(&bed, RECORD_TO_IN, "");
	put(&bed, RECORD_ALLOW, "");
	put(&bed, RECORD_BLOCK, "a");
	put_raw(&bed, 1, RECORD_TO_IN, true, "");
	assert_true(membership_is_empty(bed.m));
	assert_int_equal(bed.calls, 0);
	bed_close(&bed);
}

/* Applies a record given whole, with raw sources. */
static void put_record(struct bed *bed, const char *group, enum record_type type, unsigned int len,
		       unsigned int n, const void *raw)
{
	struct report_record record = {.type = type,
				       .group = address(group),
				       .nsources = n,
				       .sources = raw,
				       .source_len = len};

	assert_int_equal(
		membership_apply(bed->m, &bed->config, bed->now, &record, take_change, bed), 0);
}

/* */
static void bad_groups(void **state)
{
	static const struct {
		const char *group;
		unsigned int len;
	} row[] = {
		{"224.0.0.5", 4},	{"224.0.0.255", 4},	  {"192.0.2.1", 4},
		{"255.255.255.255", 4}, {"0.0.0.0", 4},		  {"ff02::1:3", 16},
		{"ff01::1", 16},	{"ff00::1", 16},	  {"ff12::1", 16},
		{"2001:db8::", 16},	{"::ffff:239.1.1.1", 16},
	};
	static const uint8_t source[16] = {0x20, 1, 0xd, 0xb8, [15] = 9};
	struct bed bed;
	unsigned int i;

	bed_open(&bed, false);
	for (i = 0; i < ROW(row); i++) {
		put_record(&bed, row[i].group, RECORD_IS_EX, row[i].len, 0, source);
		put_record(&bed, row[i].group, RECORD_ALLOW, row[i].len, 1, source);
		assert_int_equal(counter_get(AMT_COUNT_RECORD_BAD_GROUP), 2 * (i + 1));
	}
	assert_true(membership_is_empty(bed.m));
	bed_close(&bed);
}

static void bad_sources(void **state)
{
	static const uint8_t v4[][4] = {{0, 0, 0, 0},	{239, 1, 1, 1},	      {127, 0, 0, 1},
					{192, 0, 2, 7}, {255, 255, 255, 255}, {240, 0, 0, 1}};
	static const uint8_t v6[][16] = {
		{0}, {[15] = 1}, {0xff, 0x0e, [15] = 1}, {[10] = 0xff, [11] = 0xff, 192, 0, 2, 1}};
	struct bed bed;

	bed_open(&bed, false);
	put_record(&bed, "239.1.1.1", RECORD_ALLOW, 4, ROW(v4), v4);
	assert_int_equal(counter_get(AMT_COUNT_RECORD_BAD_SOURCE), ROW(v4) - 1);
	bed.ipv6 = true;
	put_record(&bed, "ff1e::1", RECORD_ALLOW, 16, ROW(v6), v6);
	assert_int_equal(counter_get(AMT_COUNT_RECORD_BAD_SOURCE), ROW(v4) - 1 + ROW(v6));
	assert_int_equal(membership_groups(bed.m), 1);
	bed_close(&bed);
}

/* a v2 report is IS_EX({}), a leave TO_IN({}); in between BLOCK and TO_EX lists count for
 * nothing, until the older host has been silent for one GMI. */
static void old_hosts(void **state)
{
	struct bed bed;
	int ipv6;

	for (ipv6 = 0; ipv6 < 2; ipv6++) {
		bed_open(&bed, ipv6);
		put_raw(&bed, 1, RECORD_IS_EX, true, "");
		assert_string_equal(said(&bed), "E260");
		bed.now = seconds(100);
		put(&bed, RECORD_BLOCK, "a");
		assert_string_equal(said(&bed), "E160");
		put(&bed, RECORD_TO_EX, "a");
		assert_string_equal(said(&bed), "E260");
		put(&bed, RECORD_ALLOW, "a");
		assert_string_equal(said(&bed), "E260 a260");
		bed.now = seconds(259);
		membership_expire(bed.m, bed.now, NULL, take_change, &bed);
		put(&bed, RECORD_BLOCK, "a");
		assert_string_equal(said(&bed), "E101 a101");
		bed.now = seconds(260); /* the older host is gone */
		membership_expire(bed.m, bed.now, NULL, take_change, &bed);
		put(&bed, RECORD_BLOCK, "a");
		assert_string_equal(said(&bed), "E100 -a");
		put(&bed, RECORD_TO_EX, "bc");
		assert_string_equal(said(&bed), "E260 -b -c");
		put_raw(&bed, 1, RECORD_IS_EX, true, "");
		assert_string_equal(said(&bed), "E260");
		put_raw(&bed, 1, RECORD_TO_IN, true, "");
		assert_string_equal(said(&bed), "");
		put(&bed, RECORD_ALLOW, "a"); /* a new beginning */
		put(&bed, RECORD_BLOCK, "a");
		assert_string_equal(said(&bed), "");
		bed_close(&bed);
	}
}

/* R-148..R-151, R-157 */
static void ssm(void **state)
{
	struct amt_prefix own[1];
	struct bed bed;
	int ipv6;

	for (ipv6 = 0; ipv6 < 2; ipv6++) {
		bed_open(&bed, ipv6);
		bed.ssm = true;
		put(&bed, RECORD_IS_EX, "");
		put(&bed, RECORD_TO_EX, "a");
		assert_int_equal(counter_get(AMT_COUNT_RECORD_SSM_EXCLUDE), 2);
		assert_string_equal(said(&bed), "");
		put(&bed, RECORD_ALLOW, "a");
		put_raw(&bed, 1, RECORD_IS_EX, true, "");
		put_raw(&bed, 1, RECORD_TO_IN, true, ""); /* leaves nothing either */
		assert_int_equal(counter_get(AMT_COUNT_RECORD_SSM_OLD), 2);
		put(&bed, RECORD_TO_EX, "");
		assert_string_equal(said(&bed), "I a260");
		put(&bed, RECORD_IS_IN, "b");
		put(&bed, RECORD_TO_IN, "c");
		assert_string_equal(said(&bed), "I c260");
		bed_close(&bed);
	}
	/* a range of one's own takes the place of IANA's */
	bed_open(&bed, false);
	assert_int_equal(prefix_parse("239.0.0.0/8", &own[0]), 0);
	bed.config.ssm = own;
	bed.config.nssm = 1;
	put(&bed, RECORD_IS_EX, "");
	assert_string_equal(said(&bed), "");
	bed.ssm = true;
	put(&bed, RECORD_IS_EX, "");
	assert_string_equal(said(&bed), "E260");
	bed_close(&bed);
}

/* at a limit everything goes on but additions. */
static void limits(void **state)
{
	struct bed bed;

	bed_open(&bed, false);
	bed.config.max_sources = 3;
	put(&bed, RECORD_ALLOW, "ab");
	put(&bed, RECORD_ALLOW, "bcd");
	assert_string_equal(said(&bed), "I a260 b260 c260");
	assert_int_equal(counter_get(AMT_COUNT_SOURCE_LIMIT), 1);
	bed.now = seconds(10);
	put(&bed, RECORD_IS_IN, "abcd");
	assert_string_equal(said(&bed), "I a260 b260 c260");
	put(&bed, RECORD_TO_IN, "cxyz"); /* what stays comes before what is new */
	assert_string_equal(said(&bed), "I c260 x260 y260");
	assert_int_equal(counter_get(AMT_COUNT_SOURCE_LIMIT), 3);
	put(&bed, RECORD_TO_EX, "abcd");
	assert_string_equal(said(&bed), "E260 -a -b -c");
	put(&bed, RECORD_BLOCK, "d");
	assert_string_equal(said(&bed), "E260 -a -b -c");
	bed.config.max_sources = 1; /* lowered later: what is there stays */
	put(&bed, RECORD_ALLOW, "a");
	assert_string_equal(said(&bed), "E260 a260 -b -c");
	put(&bed, RECORD_TO_IN, "");
	bed.config.max_groups = 2;
	put_raw(&bed, 2, RECORD_ALLOW, false, "");
	put_raw(&bed, 2, RECORD_IS_EX, true, "");
	put_raw(&bed, 3, RECORD_IS_EX, true, "");
	put_raw(&bed, 4, RECORD_IS_EX, true, "");
	put_raw(&bed, 5, RECORD_IS_IN, false, "");
	assert_int_equal(counter_get(AMT_COUNT_GROUP_LIMIT), 1);
	assert_int_equal(membership_groups(bed.m), 2);
	put_raw(&bed, 2, RECORD_TO_IN, true, "");
	put_raw(&bed, 4, RECORD_IS_EX, true, "");
	assert_int_equal(membership_groups(bed.m), 2);
	put_raw(&bed, 3, RECORD_TO_IN, true, "");
	put_raw(&bed, 4, RECORD_TO_IN, true, "");
	bed_close(&bed);
}

static void admission(void **state)
{
	struct bed bed;

	bed_open(&bed, false);
	bed.config.admit = admit;
	bed.config.admit_arg = &bed;
	put(&bed, RECORD_ALLOW, "a");
	assert_string_equal(said(&bed), "");
	assert_int_equal(bed.asked, 1);
	bed.refuse_after = 3;
	put(&bed, RECORD_ALLOW, "abc");
	assert_string_equal(said(&bed), "I a260 b260");
	bed.now = seconds(10);
	put(&bed, RECORD_IS_IN, "ab"); /* there already: nobody is asked */
	assert_string_equal(said(&bed), "I a260 b260");
	bed.refuse_any = true;
	put(&bed, RECORD_TO_EX, "a");
	assert_string_equal(said(&bed), "I a260 b260");
	bed.refuse_any = false;
	put(&bed, RECORD_TO_EX, "ac");
	assert_string_equal(said(&bed), "E260 -a");
	bed.refuse_any = true;
	bed.now = seconds(20);
	put(&bed, RECORD_IS_EX, "a");
	assert_string_equal(said(&bed), "E260 -a");
	bed_close(&bed);
}

/* TO_IN of a list longer than a report comes in parts, and again within a second. */
static void split_list(void **state)
{
	char letters[101], part[2][51];
	struct bed bed;
	int i;

	for (i = 0; i < 100; i++)
		letters[i] = (char)(i + 20);
	letters[100] = '\0';
	memcpy(part[0], letters, 50);
	memcpy(part[1], letters + 50, 50);
	part[0][50] = part[1][50] = '\0';
	bed_open(&bed, false);
	put(&bed, RECORD_TO_EX, "");
	put(&bed, RECORD_TO_IN, part[0]);
	put(&bed, RECORD_TO_IN, part[1]);
	bed.now = seconds(1);
	put(&bed, RECORD_TO_IN, part[0]);
	put(&bed, RECORD_TO_IN, part[1]);
	assert_int_equal(bed.calls, 3);
	for (i = 0; i < 100; i++)
		assert_int_equal(bed.wish[(int)letters[i]], WISH_INCLUDED);
	bed.now = seconds(10); /* another list takes its place */
	put(&bed, RECORD_TO_IN, "ab");
	assert_string_equal(said(&bed), "I a260 b260");
	put(&bed, RECORD_TO_IN, letters);
	put_raw(&bed, 1, RECORD_TO_IN, true, ""); /* a leave is a leave */
	assert_string_equal(said(&bed), "");
	bed_close(&bed);
}

/* Long lists, beyond what stands on the stack: timers, a leave, an end. */
static void long_lists(void **state)
{
	char letters[101];
	struct bed bed;
	int i;

	for (i = 0; i < 100; i++)
		letters[i] = (char)(120 - i);
	letters[100] = '\0';
	bed_open(&bed, true);
	put(&bed, RECORD_ALLOW, letters);
	bed.now = seconds(100);
	put(&bed, RECORD_ALLOW, "ab");
	bed.now = seconds(260);
	membership_expire(bed.m, bed.now, NULL, take_change, &bed);
	assert_string_equal(said(&bed), "I a100 b100");
	put(&bed, RECORD_TO_EX, letters);
	put(&bed, RECORD_ALLOW, "abc");
	bed_close(&bed);
}

/* Sixty-four groups: each by itself; all end. */
static void many_groups(void **state)
{
	struct bed bed;
	unsigned int i;

	bed_open(&bed, false);
	for (i = 0; i < 64; i++) {
		bed.now = seconds(i);
		put_raw(&bed, (i * 37) % 64, RECORD_IS_EX, true, "");
	}
	assert_int_equal(membership_groups(bed.m), 64);
	assert_int_equal(membership_deadline(bed.m), seconds(GMI));
	for (i = 0; i < 64; i++) {
		assert_int_equal(
			membership_expire(bed.m, seconds(GMI + i), NULL, take_change, &bed),
			i == 63 ? TIME_NEVER : seconds(GMI + i + 1));
		assert_int_equal(membership_groups(bed.m), 63 - i);
	}
	bed_close(&bed);
}

static void restore(void **state)
{
	struct bed bed;
	struct amt_addr group, list[3];

	bed_open(&bed, false);
	group = bed_group(&bed, 1);
	list[0] = bed_source(&bed, 'b');
	list[1] = bed_source(&bed, 'a');
	list[2] = address("239.0.0.1"); /* a pinned map is input, too */
	bed.now = seconds(5);
	assert_int_equal(membership_restore(bed.m, &bed.config, bed.now, &group, false, list, 3,
					    take_change, &bed),
			 0);
	assert_string_equal(said(&bed), "I a260 b260");
	assert_int_equal(membership_restore(bed.m, &bed.config, bed.now, &group, true, list, 1,
					    take_change, &bed),
			 0);
	assert_string_equal(said(&bed), "E260 -b");
	assert_int_equal(membership_restore(bed.m, &bed.config, bed.now, &group, true, NULL, 0,
					    take_change, &bed),
			 0);
	assert_string_equal(said(&bed), "E260");
	assert_int_equal(bed.calls, 3);
	bed_close(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),	  cmocka_unit_test(duplicate_sources),
		cmocka_unit_test(timers_include), cmocka_unit_test(timers_exclude),
		cmocka_unit_test(refresh),	  cmocka_unit_test(nothing_from_nothing),
		cmocka_unit_test(bad_groups),	  cmocka_unit_test(bad_sources),
		cmocka_unit_test(old_hosts),	  cmocka_unit_test(ssm),
		cmocka_unit_test(limits),	  cmocka_unit_test(admission),
		cmocka_unit_test(split_list),	  cmocka_unit_test(long_lists),
		cmocka_unit_test(many_groups),	  cmocka_unit_test(restore),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
