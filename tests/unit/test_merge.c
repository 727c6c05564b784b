/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The merge call by call: which sets are made, in which order, and what a failing sink does. */
#include "unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "proto/merge.h"

/* A sink that writes down its calls: "newa=1 +1.7 pub1 -1.7 del1 up" is: set 1 for source a, tunnel
 * 7 in, published, tunnel 7 out, destroyed, upstream told. */
struct bed {
	struct merge *merge;
	char log[512];
	uint32_t next;
	int fail_create, fail_publish;
	uint32_t fail_member; /* + 1 */
};

static const struct amt_addr group = {.bytes = {[10] = 0xff, [11] = 0xff, 239, 1, 1, 1}};

static struct amt_addr source(char letter)
{
	return addr_from_ipv4((uint8_t[]){192, 0, 2, (uint8_t)letter});
}

static int create(void *arg, const struct amt_group_key *key, uint32_t *set)
{
	struct bed *bed = arg;
	char letter = addr_is_any(&key->source) ? '*' : (char)key->source.bytes[15];

	assert_true(addr_equal(&key->group, &group));
	if (bed->fail_create) {
		sprintf(bed->log + strlen(bed->log), "no%c ", letter);
		return bed->fail_create;
	}
	*set = bed->next++;
	sprintf(bed->log + strlen(bed->log), "new%c=%u ", letter, *set);
	return 0;
}

static int publish(void *arg, uint32_t set)
{
	struct bed *bed = arg;

	sprintf(bed->log + strlen(bed->log), "pub%u ", set);
	return bed->fail_publish;
}

static void destroy(void *arg, uint32_t set)
{
	struct bed *bed = arg;

	sprintf(bed->log + strlen(bed->log), "del%u ", set);
}

static int add(void *arg, uint32_t set, uint32_t tunnel)
{
	struct bed *bed = arg;

	if (tunnel + 1 == bed->fail_member)
		return -ENOSPC;
	sprintf(bed->log + strlen(bed->log), "+%u.%u ", set, tunnel);
	return 0;
}

static void take_out(void *arg, uint32_t set, uint32_t tunnel)
{
	struct bed *bed = arg;

	sprintf(bed->log + strlen(bed->log), "-%u.%u ", set, tunnel);
}

static void upstream(void *arg, const struct amt_addr *changed)
{
	struct bed *bed = arg;

	assert_true(addr_equal(changed, &group));
	strcat(bed->log, "up ");
}

static void bed_open(struct bed *bed)
{
	static const struct merge_sink sink = {create, publish, destroy, add, take_out, upstream};

	memset(bed, 0, sizeof(*bed));
	bed->merge = merge_new(&sink, bed);
	assert_non_null(bed->merge);
}

static enum source_wish letter_wish(char what)
{
	return what == '+' ? WISH_INCLUDED : what == '-' ? WISH_EXCLUDED : WISH_NONE;
}

/* modes "II", "IE", "EI", "EE"; wishes "a.+ b+." are source, before, after. The log of it must be
 * as said. */
static void change(struct bed *bed, uint32_t tunnel, const char *modes, const char *wishes,
		   const char *log)
{
	struct wish_source sources[8];
	struct wish_change it = {.group = group,
				 .exclude_before = modes[0] == 'E',
				 .exclude_after = modes[1] == 'E',
				 .sources = sources};

	for (; *wishes; wishes += wishes[3] ? 4 : 3)
		sources[it.nsources++] = (struct wish_source){
			source(wishes[0]), letter_wish(wishes[1]), letter_wish(wishes[2])};
	bed->log[0] = '\0';
	assert_int_equal(merge_apply(bed->merge, tunnel, &it), 0);
	assert_string_equal(bed->log, log);
}

/* "E a b", "I a", or "I": the merged state. */
static void merged(struct bed *bed, const char *expected)
{
	struct merge_upstream up;
	char text[64];
	unsigned int i;

	assert_int_equal(merge_upstream(bed->merge, &group, &up), 0);
	strcpy(text, up.exclude ? "E" : "I");
	for (i = 0; i < up.nsources; i++)
		sprintf(text + strlen(text), " %c", up.sources[i].bytes[15]);
	assert_string_equal(text, expected);
}

static void empty(struct bed *bed)
{
	assert_int_equal(merge_groups(bed->merge), 0);
	assert_int_equal(merge_channels(bed->merge), 0);
	merge_free(bed->merge);
}

static void include(void **state)
{
	struct bed bed;

	bed_open(&bed);
	change(&bed, 7, "II", "a.+", "newa=0 +0.7 pub0 up ");
	change(&bed, 8, "II", "a.+", "+0.8 ");
	change(&bed, 8, "II", "b.+", "newb=1 +1.8 pub1 up ");
	merged(&bed, "I a b");
	assert_int_equal(merge_channels(bed.merge), 2);
	change(&bed, 7, "II", "a+.", "-0.7 ");
	change(&bed, 8, "II", "a+. b+.", "-0.8 -1.8 del1 del0 up ");
	merged(&bed, "I");
	empty(&bed);
}

static void exclude(void **state)
{
	struct bed bed;

	bed_open(&bed);
	change(&bed, 1, "IE", "", "new*=0 +0.1 pub0 up ");
	change(&bed, 2, "IE", "", "+0.2 ");
	merged(&bed, "E");
	/* an INCLUDE beside it: complete before packets see it; upstream has all already */
	change(&bed, 3, "II", "a.+", "newa=1 +1.1 +1.2 +1.3 pub1 ");
	change(&bed, 3, "II", "a+.", "-1.3 del1 ");
	change(&bed, 2, "EE", "a.-", "newa=2 +2.1 pub2 ");
	change(&bed, 2, "EE", "a-.", "+2.2 del2 ");
	change(&bed, 1, "EI", "", "-0.1 ");
	change(&bed, 2, "EI", "", "-0.2 del0 up ");
	empty(&bed);
}

/* A tunnel that changes its mode keeps what it wants before and after at every moment. */
static void modes(void **state)
{
	struct bed bed;

	bed_open(&bed);
	change(&bed, 1, "II", "a.+", "newa=0 +0.1 pub0 up ");
	change(&bed, 2, "II", "a.+ b.+", "+0.2 newb=1 +1.2 pub1 up ");
	/* joins (*,G), so a and b as well */
	change(&bed, 3, "IE", "", "+0.3 +1.3 new*=2 +2.3 pub2 up ");
	change(&bed, 2, "IE", "a+- b+.", "-0.2 +2.2 del1 ");
	merged(&bed, "E");
	change(&bed, 3, "EI", "b.+", "-0.3 newb=3 +3.2 +3.3 pub3 -2.3 ");
	change(&bed, 2, "EI", "a-. c.+", "-3.2 newc=4 +4.2 pub4 -2.2 del2 up ");
	merged(&bed, "I a b c");
	change(&bed, 1, "II", "a+.", "-0.1 del0 up ");
	change(&bed, 2, "II", "c+.", "-4.2 del4 up ");
	change(&bed, 3, "II", "b+.", "-3.3 del3 up ");
	empty(&bed);
}

/* what all EXCLUDE tunnels exclude and nobody includes. */
static void merged_state(void **state)
{
	struct bed bed;

	bed_open(&bed);
	change(&bed, 1, "IE", "a.- b.-", "newa=0 pub0 newb=1 pub1 new*=2 +2.1 pub2 up ");
	merged(&bed, "E a b");
	change(&bed, 2, "IE", "b.- c.-", "+0.2 newc=3 +3.1 pub3 +2.2 up ");
	merged(&bed, "E b");
	change(&bed, 3, "II", "b.+", "+1.3 up ");
	merged(&bed, "E");
	change(&bed, 3, "II", "b+.", "-1.3 up ");
	merged(&bed, "E b");
	change(&bed, 1, "EE", "a-.", "+0.1 del0 ");
	change(&bed, 2, "EI", "b-. c-.", "-2.2 del3 ");
	merged(&bed, "E b");
	change(&bed, 1, "EI", "b-. d.+", "newd=4 +4.1 pub4 -2.1 del2 del1 up ");
	merged(&bed, "I d");
	change(&bed, 1, "II", "d+.", "-4.1 del4 up ");
	empty(&bed);
}

static void set_refused(void **state)
{
	struct amt_group_key key = {.source = source('a'), .group = group};
	struct bed bed;

	bed_open(&bed);
	bed.fail_create = -ENOSPC;
	change(&bed, 1, "II", "a.+", "noa up ");
	assert_false(merge_has_channel(bed.merge, &key));
	assert_int_equal(merge_channels(bed.merge), 0);
	change(&bed, 2, "II", "a.+", "noa ");
	change(&bed, 2, "II", "a+.", "");
	bed.fail_create = 0; /* the next who names it gets it for all */
	change(&bed, 2, "II", "a.+", "newa=0 +0.1 +0.2 pub0 ");
	assert_true(merge_has_channel(bed.merge, &key));
	bed.fail_publish = -E2BIG;
	change(&bed, 3, "IE", "", "+0.3 new*=1 +1.3 pub1 del1 up ");
	bed.fail_publish = 0;
	change(&bed, 4, "II", "b.+", "newb=2 +2.3 +2.4 pub2 ");
	change(&bed, 5, "IE", "", "+0.5 +2.5 new*=3 +3.5 pub3 +3.3 ");
	change(&bed, 5, "EI", "", "-0.5 -2.5 -3.5 ");
	change(&bed, 3, "EI", "", "-0.3 -2.3 -3.3 del3 up ");
	change(&bed, 4, "II", "b+.", "-2.4 del2 up ");
	change(&bed, 2, "II", "a+.", "-0.2 ");
	change(&bed, 1, "II", "a+.", "-0.1 del0 up ");
	empty(&bed);
}

/* Who is not concerned keeps what it has by (*,G) where there is no room for all in the new set. */
static void large_set_refused(void **state)
{
	struct bed bed;

	bed_open(&bed);
	change(&bed, 1, "IE", "", "new*=0 +0.1 pub0 up ");
	change(&bed, 2, "IE", "", "+0.2 ");
	bed.fail_member = 2 + 1;
	change(&bed, 3, "IE", "a.-", "newa=1 +1.1 del1 +0.3 ");
	bed.fail_member = 0;
	change(&bed, 3, "EE", "a-.", "");
	change(&bed, 3, "EE", "a.-", "newa=2 +2.1 +2.2 pub2 ");
	change(&bed, 3, "EI", "a-.", "-0.3 del2 ");
	change(&bed, 1, "EI", "", "-0.1 ");
	change(&bed, 2, "EI", "", "-0.2 del0 up ");
	empty(&bed);
}

static void go_on(struct bed *bed, unsigned int most, bool more, const char *log)
{
	bed->log[0] = '\0';
	assert_int_equal(merge_go_on(bed->merge, most), more);
	assert_string_equal(bed->log, log);
}

static void slices(void **state)
{
	struct bed bed;

	bed_open(&bed);
	change(&bed, 1, "IE", "", "new*=0 +0.1 pub0 up ");
	change(&bed, 2, "IE", "", "+0.2 ");
	change(&bed, 3, "IE", "", "+0.3 ");
	go_on(&bed, 1, false, "");
	/* whoever changes meanwhile is in or out at once */
	change(&bed, 4, "II", "a.+", "newa=1 +1.1 ");
	change(&bed, 5, "II", "a.+", "+1.5 ");
	change(&bed, 2, "EI", "", "-0.2 ");
	change(&bed, 3, "EI", "a.+", "+1.3 "); /* and stays in (*,G) for a */
	go_on(&bed, 1, true, "");
	go_on(&bed, 9, false, "+1.4 pub1 -0.3 ");
	/* nobody wants it any more before it is there */
	go_on(&bed, 0, false, "");
	change(&bed, 6, "II", "b.+", "newb=2 ");
	change(&bed, 6, "II", "b+.", "del2 ");
	change(&bed, 6, "II", "b.+", "newb=3 ");
	go_on(&bed, 99, false, "+3.1 +3.6 pub3 ");
	merge_free(bed.merge);
}

static void member_refused(void **state)
{
	struct bed bed;

	bed_open(&bed);
	change(&bed, 1, "IE", "", "new*=0 +0.1 pub0 up ");
	bed.fail_member = 2 + 1;
	change(&bed, 2, "IE", "", "");
	change(&bed, 3, "IE", "", "+0.3 ");
	bed.fail_member = 0;
	change(&bed, 4, "II", "a.+", "newa=1 +1.1 +1.2 +1.3 +1.4 pub1 ");
	change(&bed, 3, "EI", "", "-1.3 -0.3 +0.2 "); /* room for who was refused */
	bed.fail_member = 5 + 1;
	change(&bed, 5, "II", "a.+", "");
	change(&bed, 5, "II", "a+.", ""); /* never came in, is not taken out */
	change(&bed, 5, "II", "a.+", "");
	bed.fail_member = 0;
	change(&bed, 4, "II", "a+.", "-1.4 +1.5 ");
	change(&bed, 5, "II", "a+.", "-1.5 del1 ");
	change(&bed, 2, "EI", "", "-0.2 ");
	change(&bed, 1, "EI", "", "-0.1 del0 up ");
	empty(&bed);
}

/* A change that was lost does no harm to those that follow: the merge trusts its own lists. */
static void lost_change(void **state)
{
	struct bed bed;

	bed_open(&bed);
	change(&bed, 1, "II", "a+.", ""); /* was never told of a */
	change(&bed, 1, "EI", "a-.", "");
	change(&bed, 1, "II", "a.+", "newa=0 +0.1 pub0 up ");
	/* lost: "IE", "a+."; so (1, a) is still there when the mode changes back */
	change(&bed, 1, "EI", "b.+", "-0.1 newb=1 +1.1 pub1 del0 up ");
	/* lost: "IE"; a change inside EXCLUDE mode brings the mode with it */
	change(&bed, 1, "EE", "b+. c.-", "newc=2 pub2 new*=3 +3.1 pub3 del1 up ");
	merged(&bed, "E c");
	change(&bed, 1, "EI", "c-.", "-3.1 del3 del2 up ");
	empty(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(include),     cmocka_unit_test(exclude),
		cmocka_unit_test(modes),       cmocka_unit_test(merged_state),
		cmocka_unit_test(set_refused), cmocka_unit_test(large_set_refused),
		cmocka_unit_test(slices),      cmocka_unit_test(member_refused),
		cmocka_unit_test(lost_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
