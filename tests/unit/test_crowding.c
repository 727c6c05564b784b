/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When blocks become smaller, and larger again. */
#include "unit/unit.h"

#include "base/clock.h"
#include "datapath/crowding.h"

static struct crowding crowding;
static uint64_t now, drops;

static void begin(uint64_t first)
{
	crowding = (struct crowding){0};
	now = 1000 * NSEC_PER_SEC;
	drops = first;
	assert_false(crowding_look(&crowding, now, drops));
}

/* Looks once a second; with drops in each of them, or none. Returns the seconds until a change. */
static unsigned int seconds_to_change(bool dropping, unsigned int most)
{
	unsigned int second;

	for (second = 1; second <= most; second++) {
		now += NSEC_PER_SEC;
		drops += dropping;
		if (crowding_look(&crowding, now, drops))
			return second;
	}
	return 0;
}

static void old_drops_do_not_matter(void **state)
{
	begin(12345);
	assert_int_equal(seconds_to_change(false, 10000), 0);
	assert_int_equal(crowding.halvings, 0);
}

static void halved_while_drops_go_on(void **state)
{
	begin(7);
	assert_int_equal(seconds_to_change(true, 10), 1);
	assert_int_equal(crowding.halvings, 1);
	assert_int_equal(seconds_to_change(true, 10), 5); /* the first had its time to work */
	assert_int_equal(seconds_to_change(true, 10), 5);
	assert_int_equal(crowding.halvings, CROWDING_HALVINGS_MAX);
	assert_int_equal(seconds_to_change(true, 10000), 0); /* no smaller */
}

static void grows_again_step_by_step(void **state)
{
	begin(0);
	seconds_to_change(true, 10);
	seconds_to_change(true, 10);
	assert_int_equal(crowding.halvings, 2);
	assert_int_equal(seconds_to_change(false, 1000), 60);
	assert_int_equal(crowding.halvings, 1);
	assert_int_equal(seconds_to_change(false, 1000), 60);
	assert_int_equal(crowding.halvings, 0);
	assert_int_equal(seconds_to_change(false, 10000), 0);
}

static void too_early_is_later_next_time(void **state)
{
	unsigned int i, calm, before = 60;

	begin(0);
	for (i = 0; i < 12; i++) {
		assert_int_equal(seconds_to_change(true, 10), i ? 5 : 1);
		calm = seconds_to_change(false, 10000);
		assert_true(i ? calm == 2 * before || calm > 3600 : calm == 60);
		before = calm;
	}
	assert_true(calm < 2 * 3600);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(old_drops_do_not_matter),
		cmocka_unit_test(halved_while_drops_go_on),
		cmocka_unit_test(grows_again_step_by_step),
		cmocka_unit_test(too_early_is_later_next_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
