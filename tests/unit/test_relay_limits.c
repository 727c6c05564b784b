/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every limit of the relay, with its counter (RFC 7450 5.3.3.8, 6.1). */
#include "unit/unit.h"
#include "unit/helper_relay.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include "relay/ratelimit.h"

/* A gateway with a tunnel, or one that did not get it. */
static struct fake_gateway join(struct world *w, const char *addr, uint16_t port)
{
	struct fake_gateway g = fake_at(w, addr, port, RELAY4);

	assert_true(fake_request(&g, false));
	fake_report(&g, RECORD_TO_EX, "239.1.1.1", "");
	return g;
}

/* */
static void tunnels(void **state)
{
	struct world *w = *state;
	struct fake_gateway a, b;

	w->options.max_tunnels = 2;
	world_start(w);
	a = join(w, GATEWAY4, 40000);
	assert_false(relay_at_limit(w->relay));
	join(w, GATEWAY4, 40001);
	assert_true(relay_at_limit(w->relay));
	b = join(w, GATEWAY4, 40002);
	assert_true(b.query.limit);
	assert_int_equal(world_tunnels(w), 2);
	assert_int_equal(counter_get(AMT_COUNT_TUNNEL_LIMIT), 1);
	assert_int_equal(counter_get(AMT_COUNT_QUERY_LIMIT_SET), 1);
	assert_int_equal(counter_get(AMT_COUNT_UPDATE_ACCEPTED), 2);
	/* who is in goes on, and whose place is free is taken */
	fake_report(&a, RECORD_TO_EX, "239.1.1.2", "");
	assert_true(fake_gets(&a, "198.51.100.1", "239.1.1.2"));
	fake_report(&a, RECORD_TO_IN, "239.1.1.1", "");
	fake_report(&a, RECORD_TO_IN, "239.1.1.2", "");
	fake_report(&b, RECORD_TO_EX, "239.1.1.1", "");
	assert_true(fake_gets(&b, "198.51.100.1", "239.1.1.1"));
}

/* A large group's new source is for the ticks to fill; nobody misses it meanwhile. */
static void members_in_one_tick(void **state)
{
	struct world *w = *state;
	struct fake_gateway first, g;
	unsigned int i;

	world_start(w);
	world_pass(w, NSEC_PER_SEC);
	first = join(w, GATEWAY4, 40000);
	for (i = 1; i < 300; i++)
		join(w, GATEWAY4, (uint16_t)(40000 + i));
	g = fake_at(w, "203.0.113.10", 40000, RELAY4);
	assert_true(fake_request(&g, false));
	fake_report(&g, RECORD_ALLOW, "239.1.1.1", "198.51.100.1");
	assert_false(fake_gets(&g, "198.51.100.1", "239.1.1.1"));
	assert_true(fake_gets(&first, "198.51.100.1", "239.1.1.1"));
	assert_true(relay_tick(w->relay, w->now) <= w->now);
	world_pass(w, NSEC_PER_MSEC);
	assert_true(fake_gets(&g, "198.51.100.1", "239.1.1.1"));
	assert_true(fake_gets(&first, "198.51.100.1", "239.1.1.1"));
}

/* */
static void tunnels_of_one_address(void **state)
{
	struct world *w = *state;

	w->options.max_tunnels_per_address = 2;
	world_start(w);
	join(w, GATEWAY4, 40000);
	join(w, GATEWAY4, 40001);
	join(w, GATEWAY4, 40002);
	assert_int_equal(world_tunnels(w), 2);
	assert_int_equal(counter_get(AMT_COUNT_TUNNEL_PER_ADDRESS_LIMIT), 1);
	join(w, "203.0.113.10", 40002);
	assert_int_equal(world_tunnels(w), 3);
	world_pass(w, SECONDS(300)); /* all gone: the address has room again */
	assert_int_equal(world_tunnels(w), 0);
	join(w, GATEWAY4, 40002);
	assert_int_equal(world_tunnels(w), 1);
}

/* additions are ignored, what is there goes on */
static void groups_of_one_tunnel(void **state)
{
	struct world *w = *state;
	struct fake_gateway g;

	w->options.max_groups_per_tunnel = 2;
	world_start(w);
	g = join(w, GATEWAY4, 40000);
	fake_report(&g, RECORD_TO_EX, "239.1.1.2", "");
	fake_report(&g, RECORD_TO_EX, "239.1.1.3", "");
	fake_report(&g, RECORD_ALLOW, "232.1.1.3", "198.51.100.1");
	assert_int_equal(counter_get(AMT_COUNT_GROUP_LIMIT), 2);
	assert_false(fake_gets(&g, "198.51.100.1", "239.1.1.3"));
	assert_true(fake_gets(&g, "198.51.100.1", "239.1.1.2"));
	fake_report(&g, RECORD_TO_EX, "239.1.1.1", "198.51.100.1");
	assert_false(fake_gets(&g, "198.51.100.1", "239.1.1.1"));
	assert_int_equal(counter_get(AMT_COUNT_UPDATE_ACCEPTED), 5);
}

static void sources_of_one_group(void **state)
{
	struct world *w = *state;
	struct fake_gateway g;

	w->options.max_sources_per_group = 2;
	world_start(w);
	g = fake_at(w, GATEWAY4, 40000, RELAY4);
	fake_request(&g, false);
	fake_report(&g, RECORD_ALLOW, "232.1.1.1", "198.51.100.1 198.51.100.2 198.51.100.3");
	assert_true(counter_get(AMT_COUNT_SOURCE_LIMIT) >= 1);
	assert_int_equal(world_sets(w), 2);
	assert_int_equal(world_tunnels(w), 1);
}

/* Over all tunnels, exactly, also within one record; what exists may be joined by others */
static void channels(void **state)
{
	struct world *w = *state;
	struct fake_gateway a, b;

	w->options.max_channels = 3;
	world_start(w);
	a = fake_at(w, GATEWAY4, 40000, RELAY4);
	fake_request(&a, false);
	fake_report(&a, RECORD_ALLOW, "232.1.1.1",
		    "198.51.100.1 198.51.100.2 198.51.100.3 198.51.100.4");
	assert_int_equal(world_sets(w), 3);
	assert_int_equal(counter_get(AMT_COUNT_CHANNEL_LIMIT), 1);
	fake_report(&a, RECORD_TO_EX, "239.1.1.1", "");
	assert_int_equal(counter_get(AMT_COUNT_CHANNEL_LIMIT), 2);
	b = fake_at(w, GATEWAY4, 40001, RELAY4);
	fake_request(&b, false);
	fake_report(&b, RECORD_ALLOW, "232.1.1.1", "198.51.100.1");
	assert_true(fake_gets(&b, "198.51.100.1", "232.1.1.1"));
	assert_int_equal(counter_get(AMT_COUNT_CHANNEL_LIMIT), 2);
	/* one channel less: room for one again */
	fake_report(&a, RECORD_BLOCK, "232.1.1.1", "198.51.100.2");
	fake_report(&b, RECORD_TO_EX, "239.1.1.1", "");
	assert_true(fake_gets(&b, "198.51.100.9", "239.1.1.1"));
	assert_int_equal(world_sets(w), 3);
}

/* The packet path's own bound */
static void packet_path_is_full(void **state)
{
	struct world *w = *state;

	w->room = 1;
	world_start(w);
	join(w, GATEWAY4, 40000);
	join(w, GATEWAY4, 40001);
	assert_int_equal(world_tunnels(w), 1);
	assert_int_equal(counter_get(AMT_COUNT_DATAPATH_FULL), 1);
	assert_int_equal(counter_get(AMT_COUNT_UPDATE_ACCEPTED), 1);
}

static void groups_that_are_not_permitted(void **state)
{
	struct world *w = *state;
	struct amt_prefix permitted[2];
	struct fake_gateway g;

	assert_int_equal(prefix_parse("232.1.0.0/16", &permitted[0]), 0);
	assert_int_equal(prefix_parse("239.1.1.0/24", &permitted[1]), 0);
	w->options.permit_groups = permitted;
	w->options.npermit_groups = 2;
	world_start(w);
	g = fake_at(w, GATEWAY4, 40000, RELAY4);
	fake_request(&g, false);
	fake_report(&g, RECORD_ALLOW, "232.2.1.1", "198.51.100.1");
	fake_report(&g, RECORD_TO_EX, "239.1.2.1", "");
	assert_int_equal(world_tunnels(w), 0);
	assert_int_equal(counter_get(AMT_COUNT_GROUP_NOT_PERMITTED), 2);
	fake_report(&g, RECORD_ALLOW, "232.1.1.1", "198.51.100.1");
	fake_report(&g, RECORD_TO_EX, "239.1.1.1", "");
	assert_true(fake_gets(&g, "198.51.100.1", "232.1.1.1"));
	assert_true(fake_gets(&g, "198.51.100.1", "239.1.1.1"));
}

static void gateways_that_are_not_permitted(void **state)
{
	struct world *w = *state;
	struct amt_prefix permitted;
	struct fake_gateway in, out;

	assert_int_equal(prefix_parse("203.0.113.0/28", &permitted), 0);
	w->options.permit_gateways = &permitted;
	w->options.npermit_gateways = 1;
	world_start(w);
	in = fake_at(w, GATEWAY4, 40000, RELAY4);
	out = fake_at(w, "203.0.113.16", 40000, RELAY4);
	assert_true(fake_request(&in, false));
	assert_false(fake_request(&out, false));
	assert_int_equal(counter_get(AMT_COUNT_GATEWAY_NOT_PERMITTED), 1);
	out.addr.addr = in.addr.addr; /* nobody can be answered at port 0 */
	out.addr.port = 0;
	assert_false(fake_request(&out, false));
	assert_int_equal(counter_get(AMT_COUNT_GATEWAY_NOT_PERMITTED), 2);
}

/* */
static void requests_of_one_address(void **state)
{
	struct world *w = *state;
	struct fake_gateway g, other;
	int i;

	w->options.requests_per_second = 5;
	w->options.requests_burst = 10;
	world_start(w);
	g = fake_at(w, GATEWAY4, 40000, RELAY4);
	other = fake_at(w, GATEWAY6, 40000, RELAY6);
	for (i = 0; i < 100; i++) {
		g.addr.port++; /* by address, not by port */
		fake_request(&g, false);
	}
	assert_int_equal(w->nsent, 10);
	assert_int_equal(counter_get(AMT_COUNT_REQUEST_RATE_LIMITED), 90);
	assert_true(fake_request(&other, false));
	w->now += SECONDS(1);
	for (i = 0; i < 100; i++)
		fake_request(&g, false);
	assert_int_equal(w->nsent, 10 + 1 + 5);
}

/* L in every Query, who is in goes on, nobody new */
static void draining(void **state)
{
	struct world *w = *state;
	struct fake_gateway old, new;

	world_start(w);
	old = join(w, GATEWAY4, 40000);
	relay_set_draining(w->relay, true);
	new = join(w, GATEWAY4, 40001);
	assert_true(new.query.limit);
	assert_int_equal(world_tunnels(w), 1);
	assert_true(fake_request(&old, false));
	assert_true(old.query.limit);
	fake_report(&old, RECORD_TO_EX, "239.1.1.2", "");
	assert_true(fake_gets(&old, "198.51.100.1", "239.1.1.2"));
	assert_int_equal(counter_get(AMT_COUNT_TUNNEL_LIMIT), 1);
	relay_set_draining(w->relay, false);
	new = join(w, GATEWAY4, 40001);
	assert_int_equal(world_tunnels(w), 2);
}

/* what a tunnel has joined, and what one report adds to it, is not more than it may have. */
static void rate_of_one_tunnel(void **state)
{
	struct world *w = *state;
	struct fake_gateway g, other;

	w->options.max_tunnel_rate = 1000;
	w->rate = 300;
	world_start(w);
	g = join(w, GATEWAY4, 40000); /* 600, any source of a group */
	assert_true(fake_gets(&g, "198.51.100.1", "239.1.1.1"));
	fake_report(&g, RECORD_ALLOW, "232.1.1.1", "198.51.100.1 198.51.100.2");
	assert_true(fake_gets(&g, "198.51.100.1", "232.1.1.1"));
	assert_false(fake_gets(&g, "198.51.100.2", "232.1.1.1"));
	assert_int_equal(counter_get(AMT_COUNT_TUNNEL_RATE), 1);
	fake_report(&g, RECORD_TO_EX, "239.1.1.2", "");
	assert_false(fake_gets(&g, "198.51.100.1", "239.1.1.2"));
	assert_int_equal(counter_get(AMT_COUNT_TUNNEL_RATE), 2);
	/* a refresh is no join, and others have their own */
	fake_report(&g, RECORD_IS_EX, "239.1.1.1", "");
	assert_true(fake_gets(&g, "198.51.100.1", "239.1.1.1"));
	other = join(w, GATEWAY4, 40001);
	assert_true(fake_gets(&other, "198.51.100.1", "239.1.1.1"));
	assert_int_equal(counter_get(AMT_COUNT_TUNNEL_RATE), 2);
	/* who leaves has room again */
	fake_report(&g, RECORD_TO_IN, "239.1.1.1", "");
	fake_report(&g, RECORD_ALLOW, "232.1.1.1", "198.51.100.2");
	assert_true(fake_gets(&g, "198.51.100.2", "232.1.1.1"));
}

/* ---- other options while tunnels are served ---- */

static void permit(struct amt_prefix *prefix, const char *text)
{
	assert_int_equal(prefix_parse(text, prefix), 0);
}

static void new_limits_hold_for_what_comes(void **state)
{
	struct world *w = *state;
	struct fake_gateway a, b;

	world_start(w);
	a = join(w, GATEWAY4, 40000);
	b = join(w, GATEWAY4, 40001);
	w->options.max_tunnels_per_address = 1;
	w->options.max_groups_per_tunnel = 1;
	w->options.requests_per_second = 1;
	w->options.requests_burst = 1;
	relay_set_options(w->relay, &w->options, w->now);
	join(w, "203.0.113.10", 40002);
	assert_int_equal(world_tunnels(w), 3);
	fake_report(&a, RECORD_TO_EX, "239.1.1.2", "");
	assert_int_equal(counter_get(AMT_COUNT_GROUP_LIMIT), 1);
	assert_true(fake_gets(&a, "198.51.100.1", "239.1.1.1"));
	assert_true(fake_gets(&b, "198.51.100.1", "239.1.1.1"));
	world_pass(w, SECONDS(2));
	assert_true(fake_request(&a, false));
	assert_false(fake_request(&a, false));
}

static void what_is_no_longer_permitted_ends(void **state)
{
	struct world *w = *state;
	struct amt_prefix gateways, groups;
	struct fake_gateway a, b, c;

	permit(&gateways, "203.0.113.0/24");
	permit(&groups, "239.1.0.0/16");
	world_start(w);
	a = join(w, GATEWAY4, 40000);
	fake_report(&a, RECORD_ALLOW, "232.7.7.7", "198.51.100.1 198.51.100.2");
	fake_report(&a, RECORD_TO_EX, "239.2.2.2", "198.51.100.1");
	b = join(w, "198.51.100.77", 40000);
	c = fake_at(w, GATEWAY4, 40001, RELAY4);
	assert_true(fake_request(&c, false));
	fake_report(&c, RECORD_TO_EX, "239.2.2.2", "");
	assert_int_equal(world_tunnels(w), 3);
	w->options.permit_gateways = &gateways;
	w->options.npermit_gateways = 1;
	w->options.permit_groups = &groups;
	w->options.npermit_groups = 1;
	relay_set_options(w->relay, &w->options, w->now);
	assert_int_equal(world_tunnels(w), 1);
	assert_int_equal(counter_get(AMT_COUNT_TUNNEL_FORBIDDEN), 2);
	assert_true(fake_gets(&a, "198.51.100.1", "239.1.1.1"));
	assert_false(fake_gets(&a, "198.51.100.1", "232.7.7.7"));
	assert_false(fake_gets(&a, "198.51.100.2", "239.2.2.2"));
	assert_int_equal(world_tunnel_of(w, &b.addr, &b.local.addr), UINT32_MAX);
	assert_int_equal(world_sets(w), 1);
}

static uint64_t flood(struct ratelimit *limit, uint64_t now, const struct amt_addr *victim)
{
	struct amt_addr forged = {0};
	uint64_t given = 0;
	uint32_t i;

	for (i = 0; i < 1000000; i++) {
		memcpy(forged.bytes + 12, &i, sizeof(i));
		forged.bytes[0] = 0x20;
		assert_true(ratelimit_take(limit, now, &forged)); /* its first */
		if (i % 100 == 0)
			given += ratelimit_take(limit, now, victim);
	}
	return given;
}

/* A million forged addresses neither starve an honest one nor open the gate for a single one. */
static void rate_limit_under_forged_addresses(void **state)
{
	static const uint8_t key[16] = {1, 2, 3};
	struct ratelimit *limit = ratelimit_new(10, 10, key);
	struct amt_addr victim = address(GATEWAY4);
	uint64_t given;

	assert_non_null(limit);
	given = flood(limit, SECONDS(1), &victim);
	assert_int_equal(given, 10); /* of 10000 asked for: the bucket that says most stays */
	ratelimit_free(limit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
		TEST(tunnels),
		TEST(members_in_one_tick),
		TEST(tunnels_of_one_address),
		TEST(groups_of_one_tunnel),
		TEST(sources_of_one_group),
		TEST(channels),
		TEST(packet_path_is_full),
		TEST(groups_that_are_not_permitted),
		TEST(gateways_that_are_not_permitted),
		TEST(requests_of_one_address),
		TEST(draining),
		TEST(rate_of_one_tunnel),
		TEST(new_limits_hold_for_what_comes),
		TEST(what_is_no_longer_permitted_ends),
		cmocka_unit_test(rate_limit_under_forged_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
