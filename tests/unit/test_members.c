/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The relation of sets and tunnels against a plain matrix. */
#include "unit/unit.h"

#include <stdlib.h>
#include "datapath/members.h"

#define SETS	12
#define TUNNELS 70

static struct members *members;
static uint32_t ref_of[SETS][TUNNELS]; /* MEMBER_NONE: not in */

static void check_walks(void)
{
	uint32_t set, tunnel, ref, n, expected;

	for (set = 0; set < SETS; set++) {
		for (n = expected = 0, tunnel = 0; tunnel < TUNNELS; tunnel++)
			expected += ref_of[set][tunnel] != MEMBER_NONE;
		for (ref = members_of_set(members, set); ref != MEMBER_NONE;
		     ref = members_next_of_set(members, ref), n++)
			assert_int_equal(ref_of[set][members_get(members, ref)->tunnel], ref);
		assert_int_equal(n, expected);
		assert_int_equal(members_in_set(members, set), expected);
	}
	for (tunnel = 0; tunnel < TUNNELS; tunnel++) {
		for (n = expected = 0, set = 0; set < SETS; set++)
			expected += ref_of[set][tunnel] != MEMBER_NONE;
		for (ref = members_of_tunnel(members, tunnel); ref != MEMBER_NONE;
		     ref = members_next_of_tunnel(members, ref), n++)
			assert_int_equal(ref_of[members_get(members, ref)->set][tunnel], ref);
		assert_int_equal(n, expected);
	}
}

static void same_as_a_matrix(void **state)
{
	uint32_t set, tunnel, *ref;
	unsigned int i;

	members = members_new(SETS, TUNNELS);
	assert_non_null(members);
	for (i = 0; i < SETS * TUNNELS; i++)
		ref_of[i / TUNNELS][i % TUNNELS] = MEMBER_NONE;
	assert_int_equal(members_find(members, 0, 0), MEMBER_NONE);
	srandom(7450);
	for (i = 0; i < 20000; i++) {
		set = (uint32_t)random() % SETS;
		tunnel = (uint32_t)random() % TUNNELS;
		ref = &ref_of[set][tunnel];
		assert_int_equal(members_find(members, set, tunnel), *ref);
		if (*ref == MEMBER_NONE) {
			*ref = members_add(members, set, tunnel);
			assert_int_not_equal(*ref, MEMBER_NONE);
			assert_int_equal(members_get(members, *ref)->block, MEMBER_NONE);
		} else if (random() % 3) {
			members_remove(members, *ref);
			*ref = MEMBER_NONE;
		}
		if (i % 100 == 0)
			check_walks();
	}
	members_free(members);
}

/* Each is found at every number of pairs that there is on the way up. */
static void found_while_it_grows(void **state)
{
	enum { MANY = 3000 };
	struct members *m = members_new(1, MANY);
	uint32_t i, known;

	assert_non_null(m);
	for (i = 0; i < MANY; i++) {
		assert_int_equal(members_find(m, 0, i), MEMBER_NONE);
		assert_int_equal(members_add(m, 0, i), i);
		for (known = i % 7; known <= i; known += 7)
			assert_int_equal(members_find(m, 0, known), known);
	}
	for (i = 0; i < MANY; i += 2)
		members_remove(m, i);
	for (i = 0; i < MANY; i++)
		assert_int_equal(members_find(m, 0, i), i % 2 ? i : MEMBER_NONE);
	members_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_as_a_matrix),
		cmocka_unit_test(found_while_it_grows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
