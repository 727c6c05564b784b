/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What time does to the relay: expiry, secrets, and the heap of deadlines. */
#include "unit/unit.h"
#include "unit/helper_relay.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include "relay/deadlines.h"

static struct fake_gateway asking(struct world *w, uint16_t port)
{
	struct fake_gateway g = fake_at(w, GATEWAY4, port, RELAY4);

	assert_true(fake_request(&g, false));
	return g;
}

/* one group membership interval after the last Update */
static void tunnels_expire(void **state)
{
	struct world *w = *state;
	struct fake_gateway a, b;

	world_start(w);
	assert_int_equal(relay_gmi(w->relay), SECONDS(260));
	a = asking(w, 40000);
	b = asking(w, 40001);
	fake_report(&a, RECORD_TO_EX, "239.1.1.1", "");
	fake_report(&b, RECORD_ALLOW, "232.1.1.1", "198.51.100.1");
	world_pass(w, SECONDS(200));
	fake_report(&b, RECORD_IS_IN, "232.1.1.1", "198.51.100.1");
	assert_int_equal(w->tunnels[fake_tunnel(&b)].expires_ns, w->now + SECONDS(260));
	world_pass(w, SECONDS(59));
	assert_true(fake_gets(&a, "198.51.100.1", "239.1.1.1"));
	world_pass(w, SECONDS(2));
	assert_int_equal(world_tunnels(w), 1);
	assert_true(fake_gets(&b, "198.51.100.1", "232.1.1.1"));
	world_pass(w, SECONDS(200));
	assert_int_equal(world_tunnels(w), 0);
	assert_int_equal(world_sets(w), 0);
	assert_int_equal(counter_get(AMT_COUNT_TUNNEL_EXPIRED), 2);
	assert_true(w->upstream_changes >= 4);
}

/* single groups and sources run out while the tunnel lives on */
static void subscriptions_expire_one_by_one(void **state)
{
	struct world *w = *state;
	struct fake_gateway g;

	world_start(w);
	g = asking(w, 40000);
	fake_report(&g, RECORD_ALLOW, "232.1.1.1", "198.51.100.1 198.51.100.2");
	fake_report(&g, RECORD_TO_EX, "239.1.1.1", "");
	world_pass(w, SECONDS(100));
	fake_report(&g, RECORD_IS_IN, "232.1.1.1", "198.51.100.2");
	world_pass(w, SECONDS(165));
	assert_int_equal(world_tunnels(w), 1);
	assert_false(fake_gets(&g, "198.51.100.1", "232.1.1.1"));
	assert_true(fake_gets(&g, "198.51.100.2", "232.1.1.1"));
	assert_false(fake_gets(&g, "198.51.100.1", "239.1.1.1"));
	assert_int_equal(counter_get(AMT_COUNT_TUNNEL_EXPIRED), 0);
	assert_true(counter_get(AMT_COUNT_MEMBERSHIP_EXPIRED) >= 2);
}

/* R-146, and one refresh a query interval keeps a tunnel for ever */
static void refreshed_tunnels_live_on(void **state)
{
	struct world *w = *state;
	struct fake_gateway g;
	struct amt_addr group = address("239.2.2.2");
	uint8_t buf[64];
	int i, len;

	world_start(w);
	g = fake_at(w, GATEWAY4, 40000, RELAY4);
	len = report_write_old(NULL, &group, false, buf, sizeof(buf)); /* IGMPv2 */
	assert_true(len > 0);
	for (i = 0; i < 1000; i++) {
		assert_true(fake_request(&g, false));
		fake_update(&g, buf, (size_t)len);
		world_pass(w, SECONDS(125));
		assert_true(fake_gets(&g, "198.51.100.1", "239.2.2.2"));
	}
	assert_int_equal(counter_get(AMT_COUNT_TUNNEL_CREATED), 1);
	assert_int_equal(counter_get(AMT_COUNT_BAD_MAC), 0);
}

/* A jump of the clock by a day ends all at once, in bounded steps */
static void time_jumps_end_everything(void **state)
{
	struct world *w = *state;
	struct fake_gateway g;
	unsigned int i, turns = 0;
	uint64_t next;

	world_start(w);
	for (i = 0; i < 1000; i++) {
		g = asking(w, (uint16_t)(40000 + i));
		fake_report(&g, RECORD_TO_EX, "239.1.1.1", "");
	}
	assert_int_equal(world_tunnels(w), 1000);
	w->now += SECONDS(86400);
	do {
		next = relay_tick(w->relay, w->now);
		turns++;
	} while (next <= w->now);
	assert_true(turns >= 3); /* bounded work a call */
	assert_int_equal(world_tunnels(w), 0);
	assert_int_equal(counter_get(AMT_COUNT_TUNNEL_EXPIRED), 1000);
}

/* */
static void previous_secret_is_good_for_two_query_intervals(void **state)
{
	struct world *w = *state;
	struct fake_gateway g, late, with_e;

	world_start(w);
	world_pass(w, SECONDS(3599));
	g = asking(w, 40000);
	late = asking(w, 40001);
	with_e = fake_at(w, GATEWAY4, 40002, RELAY4);
	with_e.ecn = true;
	fake_request(&with_e, false);
	assert_int_equal(counter_get(AMT_COUNT_SECRET_ROTATED), 1);
	world_pass(w, SECONDS(2));
	assert_int_equal(counter_get(AMT_COUNT_SECRET_ROTATED), 2);
	assert_true(relay_secret_age(w->relay, w->now) <= SECONDS(1));
	world_pass(w, SECONDS(247));
	fake_report(&g, RECORD_TO_EX, "239.1.1.1", "");
	fake_report(&with_e, RECORD_TO_EX, "239.1.1.1", "");
	assert_int_equal(world_tunnels(w), 2);
	assert_true(w->tunnels[fake_tunnel(&with_e)].ecn);
	assert_int_equal(counter_get(AMT_COUNT_UPDATE_PREVIOUS_SECRET), 2);
	world_pass(w, SECONDS(3));
	fake_report(&late, RECORD_TO_EX, "239.1.1.1", "");
	assert_int_equal(world_tunnels(w), 2);
	assert_int_equal(counter_get(AMT_COUNT_BAD_MAC), 1);
	assert_int_equal(w->secrets[1].installed_ns, 0); /* nothing left to steal */
}

/* Also before the timer has done away with it */
static void previous_secret_ends_on_time(void **state)
{
	struct world *w = *state;
	struct fake_gateway g, late;

	world_start(w);
	world_pass(w, SECONDS(3599));
	g = asking(w, 40000);
	late = asking(w, 40001);
	world_pass(w, SECONDS(2));
	w->now = w->secrets[0].installed_ns + SECONDS(250) - 1;
	fake_report(&g, RECORD_TO_EX, "239.1.1.1", "");
	assert_int_equal(world_tunnels(w), 1);
	w->now++;
	fake_report(&late, RECORD_TO_EX, "239.1.1.1", "");
	assert_int_equal(world_tunnels(w), 1);
	assert_int_equal(counter_get(AMT_COUNT_BAD_MAC), 1);
}

/* An Update that was recorded and is played again two secrets later */
static void replay_of_an_old_secret_is_refused(void **state)
{
	struct world *w = *state;
	struct fake_gateway g;

	world_start(w);
	g = asking(w, 40000);
	world_pass(w, SECONDS(2 * 3600 + 10));
	fake_report(&g, RECORD_TO_EX, "239.1.1.1", "");
	assert_int_equal(world_tunnels(w), 0);
	assert_int_equal(counter_get(AMT_COUNT_BAD_MAC), 1);
}

/* gateways notice nothing */
static void restart_keeps_the_secrets(void **state)
{
	struct world *w = *state;
	struct fake_gateway old, new;

	world_start(w);
	world_pass(w, SECONDS(3599));
	old = asking(w, 40000);
	world_pass(w, SECONDS(10));
	new = asking(w, 40001);
	world_restart(w);
	fake_report(&old, RECORD_TO_EX, "239.1.1.1", "");
	fake_report(&new, RECORD_TO_EX, "239.1.1.1", "");
	assert_int_equal(world_tunnels(w), 2);
	assert_int_equal(counter_get(AMT_COUNT_SECRET_ROTATED), 2);
}

/* Not one that has had its time, nor one of another clock */
static void restart_replaces_an_old_secret(void **state)
{
	struct world *w = *state;
	struct fake_gateway g;

	world_start(w);
	g = asking(w, 40000);
	w->now += SECONDS(5000);
	world_restart(w);
	assert_int_equal(counter_get(AMT_COUNT_SECRET_ROTATED), 2);
	fake_report(&g, RECORD_TO_EX, "239.1.1.1", ""); /* the previous one now */
	assert_int_equal(world_tunnels(w), 1);
	w->secrets[0].installed_ns = w->now + SECONDS(100);
	memset(&w->secrets[1], 0, sizeof(w->secrets[1]));
	for (uint32_t i = 0; i < WORLD_TUNNELS; i++)
		w->tunnels[i].exists = false;
	for (uint32_t i = 0; i < WORLD_SETS; i++)
		w->sets[i].exists = false;
	world_restart(w);
	assert_int_equal(counter_get(AMT_COUNT_SECRET_ROTATED), 3);
	assert_int_equal(w->secrets[0].installed_ns, w->now);
}

/* ---- other intervals while tunnels are served ---- */

static void set_intervals(struct world *w, unsigned int query, unsigned int response)
{
	w->options.query_interval_s = query;
	w->options.response_interval_s = response;
	relay_set_options(w->relay, &w->options, w->now);
}

/* A gateway that was told 125 s asks again after those, whatever the relay would like now. */
static void shorter_intervals_hold_by_and_by(void **state)
{
	struct world *w = *state;
	struct fake_gateway g;

	world_start(w);
	g = asking(w, 40000);
	fake_report(&g, RECORD_TO_EX, "239.1.1.1", "");
	world_pass(w, SECONDS(60));
	set_intervals(w, 10, 5);
	/* by a MAC of before, and with no new Query before its own time is over */
	fake_report(&g, RECORD_TO_EX, "239.1.1.2", "");
	world_pass(w, SECONDS(64));
	assert_true(fake_gets(&g, "198.51.100.1", "239.1.1.2"));
	assert_int_equal(relay_gmi(w->relay), SECONDS(260));
	assert_true(fake_request(&g, false)); /* says 10 s */
	assert_int_equal(w->sent[AMT_QUERY_DATAGRAM + 24 + 9], 10);
	fake_report(&g, RECORD_IS_EX, "239.1.1.1", "");
	fake_report(&g, RECORD_IS_EX, "239.1.1.2", "");
	world_pass(w, SECONDS(200));
	assert_int_equal(relay_gmi(w->relay), SECONDS(25));
	assert_int_equal(world_tunnels(w), 1);
	assert_true(fake_request(&g, false));
	fake_report(&g, RECORD_IS_EX, "239.1.1.1", "");
	world_pass(w, SECONDS(26));
	assert_false(fake_gets(&g, "198.51.100.1", "239.1.1.1"));
}

static void longer_intervals_hold_at_once(void **state)
{
	struct world *w = *state;
	struct fake_gateway g;

	w->options.query_interval_s = 10;
	w->options.response_interval_s = 5;
	world_start(w);
	g = asking(w, 40000);
	set_intervals(w, 100, 10);
	assert_int_equal(relay_gmi(w->relay), SECONDS(210));
	fake_report(&g, RECORD_TO_EX, "239.1.1.1", "");
	world_pass(w, SECONDS(209));
	assert_true(fake_gets(&g, "198.51.100.1", "239.1.1.1"));
	world_pass(w, SECONDS(2));
	assert_int_equal(world_tunnels(w), 0);
}

/* The previous secret lives as long as gateways may still go by it. */
static void shorter_intervals_keep_the_previous_secret(void **state)
{
	struct world *w = *state;
	struct fake_gateway g;

	world_start(w);
	world_pass(w, SECONDS(3590));
	g = asking(w, 40000);
	world_pass(w, SECONDS(15)); /* a new secret */
	set_intervals(w, 10, 5);
	world_pass(w, SECONDS(100));
	fake_report(&g, RECORD_TO_EX, "239.1.1.1", "");
	assert_int_equal(world_tunnels(w), 1);
	assert_int_equal(counter_get(AMT_COUNT_UPDATE_PREVIOUS_SECRET), 1);
}

/* Against the plain way of finding the least */
static void deadlines_come_in_order(void **state)
{
	struct deadlines heap = {0};
	struct deadline items[300] = {0};
	unsigned int i, round;
	uint64_t least;

	srand(7);
	for (round = 0; round < 20000; round++) {
		struct deadline *item = &items[rand() % 300];

		if (!item->slot)
			assert_int_equal(deadlines_add(&heap, item, (uint64_t)(rand() % 1000)), 0);
		else if (rand() % 2)
			deadlines_move(&heap, item, (uint64_t)(rand() % 1000));
		else
			deadlines_remove(&heap, item);
		for (i = 0, least = TIME_NEVER; i < 300; i++)
			if (items[i].slot && items[i].at < least)
				least = items[i].at;
		if (deadlines_first(&heap))
			assert_int_equal(deadlines_first(&heap)->at, least);
		else
			assert_int_equal(least, TIME_NEVER);
	}
	deadlines_free(&heap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
		TEST(tunnels_expire),
		TEST(subscriptions_expire_one_by_one),
		TEST(refreshed_tunnels_live_on),
		TEST(time_jumps_end_everything),
		TEST(previous_secret_is_good_for_two_query_intervals),
		TEST(previous_secret_ends_on_time),
		TEST(replay_of_an_old_secret_is_refused),
		TEST(restart_keeps_the_secrets),
		TEST(restart_replaces_an_old_secret),
		TEST(shorter_intervals_hold_by_and_by),
		TEST(longer_intervals_hold_at_once),
		TEST(shorter_intervals_keep_the_previous_secret),
		cmocka_unit_test(deadlines_come_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
