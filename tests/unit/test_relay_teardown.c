/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Teardown (RFC 7450 5.3.3.5). */
#include "unit/unit.h"
#include "unit/helper_relay.h"

#include <arpa/inet.h>
#include <stdio.h>

static struct fake_gateway joined(struct world *w, const char *addr, uint16_t port,
				  const char *relay)
{
	struct fake_gateway g = fake_at(w, addr, port, relay);

	g.ecn = true;
	assert_true(fake_request(&g, false));
	fake_report(&g, RECORD_TO_EX, "239.1.1.1", "");
	fake_report(&g, RECORD_ALLOW, "232.1.1.1", "198.51.100.1");
	assert_int_not_equal(fake_tunnel(&g), UINT32_MAX);
	return g;
}

/* R-80, in each mode that has it */
static void ends_the_tunnel_at_once(void **state)
{
	static const enum teardown_mode modes[] = {TEARDOWN_AUTO, TEARDOWN_ON};
	struct world *w = *state;
	struct fake_gateway g;
	int i;

	world_start(w);
	for (i = 0; i < 2; i++) {
		w->options.teardown = modes[i];
		world_restart(w);
		g = joined(w, i ? GATEWAY6 : GATEWAY4, 40000, i ? RELAY6 : RELAY4);
		fake_teardown(&g, NULL);
		assert_int_equal(world_tunnels(w), 0);
		assert_int_equal(world_sets(w), 0);
		assert_int_equal(counter_get(AMT_COUNT_TEARDOWN_ACCEPTED), (uint64_t)i + 1);
	}
	fake_teardown(&g, NULL); /* it may be repeated */
	assert_int_equal(counter_get(AMT_COUNT_TEARDOWN_UNKNOWN), 1);
}

static void is_ignored_when_switched_off(void **state)
{
	struct world *w = *state;
	struct fake_gateway g;

	w->options.teardown = TEARDOWN_OFF;
	world_start(w);
	g = joined(w, GATEWAY4, 40000, RELAY4);
	assert_false(g.query.gateway_present);
	fake_teardown(&g, NULL);
	assert_int_equal(world_tunnels(w), 1);
	assert_int_equal(counter_get(AMT_COUNT_TEARDOWN_RECEIVED), 1);
	assert_int_equal(counter_get(AMT_COUNT_TEARDOWN_ACCEPTED), 0);
}

/* the NAT gave the gateway another endpoint; the old tunnel ends, the new one stays */
static void works_after_rebinding(void **state)
{
	struct world *w = *state;
	struct fake_gateway old, new;

	world_start(w);
	old = joined(w, GATEWAY4, 40000, RELAY4);
	new = joined(w, "203.0.113.77", 41000, RELAY4);
	fake_teardown(&old, &new.addr);
	assert_int_equal(world_tunnels(w), 1);
	assert_int_equal(fake_tunnel(&old), UINT32_MAX);
	assert_true(fake_gets(&new, "198.51.100.1", "239.1.1.1"));
}

/* by nobody who has not its MAC */
static void needs_the_right_mac(void **state)
{
	struct world *w = *state;
	struct fake_gateway victim, attacker;

	world_start(w);
	victim = joined(w, GATEWAY4, 40000, RELAY4);
	attacker = joined(w, "203.0.113.66", 40000, RELAY4);
	attacker.addr = victim.addr; /* its own MAC with the other's endpoint */
	fake_teardown(&attacker, NULL);
	assert_int_equal(world_tunnels(w), 2);
	assert_int_equal(counter_get(AMT_COUNT_TEARDOWN_BAD_MAC), 1);
	victim.mac[0] ^= 0x80;
	fake_teardown(&victim, NULL);
	assert_int_equal(world_tunnels(w), 2);
	assert_int_equal(counter_get(AMT_COUNT_TEARDOWN_BAD_MAC), 2);
}

static void may_have_the_previous_secret(void **state)
{
	struct world *w = *state;
	struct fake_gateway g, late;

	world_start(w);
	world_pass(w, SECONDS(3590));
	g = joined(w, GATEWAY4, 40000, RELAY4);
	late = joined(w, GATEWAY4, 40001, RELAY4);
	world_pass(w, SECONDS(200));
	fake_teardown(&g, NULL);
	assert_int_equal(counter_get(AMT_COUNT_TEARDOWN_ACCEPTED), 1);
	assert_int_equal(counter_get(AMT_COUNT_UPDATE_PREVIOUS_SECRET), 0);
	world_pass(w, SECONDS(55));
	assert_int_equal(world_tunnels(w), 1);
	world_pass(w, SECONDS(6));
	fake_teardown(&late, NULL);
	assert_int_equal(counter_get(AMT_COUNT_TEARDOWN_BAD_MAC), 1);
}

/* One endpoint may have tunnels to several addresses of the relay */
static void ends_only_the_tunnel_of_the_address_it_was_sent_to(void **state)
{
	struct world *w = *state;
	struct fake_gateway a, b;

	world_start(w);
	a = joined(w, GATEWAY4, 40000, RELAY4);
	b = joined(w, GATEWAY4, 40000, "192.0.2.2");
	fake_teardown(&a, NULL);
	assert_int_equal(fake_tunnel(&a), UINT32_MAX);
	assert_int_not_equal(fake_tunnel(&b), UINT32_MAX);
}

#define MANY 400 /* groups: more than end in one step */

static struct fake_gateway joined_many(struct world *w)
{
	struct fake_gateway g = fake_at(w, GATEWAY4, 40000, RELAY4);
	char group[32];
	unsigned int i;

	w->options.max_groups_per_tunnel = 2 * MANY;
	world_start(w);
	assert_true(fake_request(&g, false));
	for (i = 0; i < MANY; i++) {
		snprintf(group, sizeof(group), "232.1.%u.%u", i / 256, i % 256);
		fake_report(&g, RECORD_ALLOW, group, "198.51.100.1");
	}
	assert_int_equal(world_sets(w), MANY);
	return g;
}

/* So that one gateway's end is not everybody's pause. */
static void a_long_list_ends_step_by_step(void **state)
{
	struct world *w = *state;
	struct fake_gateway g = joined_many(w);
	unsigned int before, sets = MANY;
	uint64_t next;

	fake_teardown(&g, NULL);
	assert_int_equal(counter_get(AMT_COUNT_TEARDOWN_ACCEPTED), 1);
	do {
		assert_int_equal(world_tunnels(w), 1);
		before = sets;
		sets = world_sets(w);
		assert_true(before > sets && before - sets < MANY / 2);
		next = relay_tick(w->relay, w->now);
		assert_true(sets < 128 || next <= w->now); /* at once */
	} while (world_sets(w));
	assert_int_equal(world_tunnels(w), 0);
	assert_true(relay_tick(w->relay, w->now) > w->now);
	relay_free(w->relay);
	joined_many(w); /* the same when nobody refreshes it */
	w->now += SECONDS(261);
	next = relay_tick(w->relay, w->now);
	assert_true(next <= w->now);
	assert_int_equal(world_tunnels(w), 1);
	assert_true(world_sets(w) > MANY / 2);
	world_pass(w, 0);
	assert_int_equal(world_tunnels(w), 0);
	assert_int_equal(world_sets(w), 0);
}

/* What comes while the old tunnel still ends is a new one's, and has no part of the old. */
static void a_gateway_may_come_back_while_it_ends(void **state)
{
	struct world *w = *state;
	struct fake_gateway g = joined_many(w);

	fake_teardown(&g, NULL);
	assert_int_equal(world_tunnels(w), 1);
	fake_teardown(&g, NULL); /* it is gone for whoever asks */
	assert_int_equal(counter_get(AMT_COUNT_TEARDOWN_UNKNOWN), 1);
	assert_true(fake_request(&g, false));
	fake_report(&g, RECORD_ALLOW, "232.1.0.7", "198.51.100.1");
	assert_int_equal(world_tunnels(w), 1);
	assert_int_equal(world_sets(w), 1);
	assert_true(fake_gets(&g, "198.51.100.1", "232.1.0.7"));
	world_pass(w, 0);
	assert_int_equal(world_tunnels(w), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
		TEST(ends_the_tunnel_at_once),
		TEST(is_ignored_when_switched_off),
		TEST(works_after_rebinding),
		TEST(needs_the_right_mac),
		TEST(may_have_the_previous_secret),
		TEST(ends_only_the_tunnel_of_the_address_it_was_sent_to),
		TEST(a_long_list_ends_step_by_step),
		TEST(a_gateway_may_come_back_while_it_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
