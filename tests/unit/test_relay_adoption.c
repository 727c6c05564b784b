/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From forwarding sets back to tunnels and wishes, after a restart of amtd. */
#include "unit/unit.h"
#include "unit/helper_relay.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "relay/adoption.h"

static int setup(void **state)
{
	*state = world_new();
	srand(1);
	return 0;
}

struct expected {
	uint32_t tunnel;
	const char *group;
	bool exclude;
	const char *sources; /* as printed, with a space behind each */
};

struct check {
	const struct expected *rows;
	unsigned int n, seen;
};

static void check_row(void *arg, uint32_t tunnel, const struct amt_addr *group, bool exclude,
		      const struct amt_addr *sources, unsigned int nsources)
{
	struct check *check = arg;
	const struct expected *row = &check->rows[check->seen];
	char text[256] = "", buf[AMT_ADDR_STRLEN];
	unsigned int i;

	assert_true(check->seen++ < check->n);
	assert_int_equal(tunnel, row->tunnel);
	assert_string_equal(addr_print(group, buf), row->group);
	assert_int_equal(exclude, row->exclude);
	for (i = 0; i < nsources; i++) {
		strcat(text, addr_print(&sources[i], buf));
		strcat(text, " ");
	}
	assert_string_equal(text, row->sources);
}

static struct amt_group_key key(const char *source, const char *group)
{
	struct amt_group_key out = {.group = address(group)};

	if (source)
		out.source = address(source);
	return out;
}

static void wishes_follow_from_sets(void **state)
{
	static const struct expected rows[] = {
		{1, "239.1.1.1", true, "198.51.100.1 "},
		{2, "239.1.1.1", true, ""},
		{3, "232.1.1.1", false, "198.51.100.7 198.51.100.8 "},
		{3, "239.1.1.1", false, "198.51.100.2 "},
		{4, "239.1.1.1", true, "198.51.100.1 198.51.100.2 "},
	};
	const struct amt_group_key any = key(NULL, "239.1.1.1");
	const struct amt_group_key s1 = key("198.51.100.1", "239.1.1.1");
	const struct amt_group_key s2 = key("198.51.100.2", "239.1.1.1");
	const struct amt_group_key s7 = key("198.51.100.7", "232.1.1.1");
	const struct amt_group_key s8 = key("198.51.100.8", "232.1.1.1");
	const struct {
		const struct amt_group_key *key;
		uint32_t tunnel;
	} members[] = {{&s8, 3}, {&any, 4}, {&any, 2}, {&s1, 2}, {&s2, 2},
		       {&s2, 1}, {&s7, 3},  {&s2, 3},  {&any, 1}};
	struct check check = {rows, sizeof(rows) / sizeof(rows[0]), 0};
	struct adoption adoption = {0};
	size_t i;

	assert_int_equal(adoption_resolve(&adoption, check_row, &check), 0); /* nothing at all */
	adoption_add_set(&adoption, &s8);
	adoption_add_set(&adoption, &s2);
	adoption_add_set(&adoption, &any);
	adoption_add_set(&adoption, &s1);
	adoption_add_set(&adoption, &s7);
	for (i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		adoption_add_member(&adoption, members[i].key, members[i].tunnel);
	assert_int_equal(adoption_resolve(&adoption, check_row, &check), 0);
	assert_int_equal(check.seen, check.n);
	adoption_free(&adoption);
}

static const char *const groups[] = {"239.1.1.1", "239.1.1.2", "232.1.1.1", "ff0e::1"};

static const char *source_text(bool ipv6, int i, char *buf)
{
	sprintf(buf, ipv6 ? "2001:db8:5::%d" : "198.51.100.%d", i);
	return buf;
}

static void random_report(struct fake_gateway *g)
{
	const char *group = groups[rand() % 4];
	enum record_type type = (enum record_type)(1 + rand() % 6);
	char sources[256] = "", buf[64];
	int i;

	for (i = 1; i <= 6; i++)
		if (rand() % 3 == 0) {
			strcat(sources, source_text(strchr(group, ':') != NULL, i, buf));
			strcat(sources, " ");
		}
	fake_report(g, type, group, sources);
}

/* What every tunnel gets of every source and group, as one text. */
static char *forwarding(const struct world *w)
{
	char *text = calloc(1, 1 << 20), *at = text, buf[64];
	uint32_t tunnel;
	int group, s;

	assert_non_null(text);
	for (tunnel = 0; tunnel < 64; tunnel++)
		for (group = 0; group < 4; group++)
			for (s = 1; s <= 8; s++)
				*at++ = world_forwards(w, tunnel, source_text(group == 3, s, buf),
						       groups[group])
						? '1'
						: '0';
	return text;
}

struct restore {
	struct world *w;
	uint32_t last;
};

static void restore_one(void *arg, uint32_t tunnel, const struct amt_addr *group, bool exclude,
			const struct amt_addr *sources, unsigned int nsources)
{
	struct restore *r = arg;
	const struct world_tunnel *old = &r->w->tunnels[tunnel];
	struct amt_tunnel record = {
		.gateway = old->gateway.addr,
		.gateway_port = old->gateway.port,
		.relay = old->relay.addr,
		.relay_port = old->relay.port,
		.flags = AMT_TUNNEL_VALID | (old->ecn ? AMT_TUNNEL_ECN : 0),
		.created_ns = 77,
	};

	if (tunnel != r->last)
		assert_int_equal(relay_restore_tunnel(r->w->relay, r->w->now, tunnel, &record), 0);
	r->last = tunnel;
	assert_int_equal(relay_restore_group(r->w->relay, r->w->now, tunnel, group, exclude,
					     sources, nsources),
			 0);
}

/* What nobody named again goes (datapath_adopt_done()). */
static void sweep(struct world *w)
{
	uint32_t i;

	for (i = 0; i < WORLD_SETS; i++) {
		w->sets[i].exists = w->sets[i].exists && w->sets[i].said;
		memcpy(w->sets[i].member, w->sets[i].member_said, sizeof(w->sets[i].member));
	}
	w->adopting = false;
}

/* Takes the sets of the world apart, as service_adopt() does with the packet path's. Meanwhile no
 * set and no member may come or go: packets are flowing. */
static void restart_out_of_sets(struct world *w)
{
	struct adoption adoption = {0};
	struct restore r = {w, UINT32_MAX};
	uint32_t i, tunnel;

	for (i = 0; i < WORLD_SETS; i++) {
		w->sets[i].said = false;
		memset(w->sets[i].member_said, 0, sizeof(w->sets[i].member_said));
		if (!w->sets[i].exists)
			continue;
		adoption_add_set(&adoption, &w->sets[i].key);
		for (tunnel = 0; tunnel < WORLD_TUNNELS; tunnel++)
			if (w->sets[i].member[tunnel / 8] >> tunnel % 8 & 1)
				adoption_add_member(&adoption, &w->sets[i].key, tunnel);
	}
	w->adopting = true;
	world_restart(w);
	assert_int_equal(adoption_resolve(&adoption, restore_one, &r), 0);
	adoption_free(&adoption);
	relay_restore_done(w->relay);
	sweep(w);
}

static void forwarding_is_the_same_after_a_restart(void **state)
{
	struct world *w = *state;
	struct fake_gateway g[64];
	char *before, *after;
	int i, round;

	world_start(w);
	for (i = 0; i < 64; i++)
		g[i] = fake_at(w, GATEWAY4, (uint16_t)(40000 + i), RELAY4);
	for (round = 0; round < 30; round++) {
		for (i = 0; i < 64; i++) {
			g[i].ecn = rand() % 2;
			fake_request(&g[i], false);
			random_report(&g[i]);
		}
		before = forwarding(w);
		restart_out_of_sets(w);
		after = forwarding(w);
		assert_string_equal(before, after);
		free(before);
		free(after);
		world_pass(w, SECONDS(60));
	}
	assert_true(counter_get(AMT_COUNT_ADOPTED_TUNNELS) > 1000);
}

static void restored_tunnels_live_on(void **state)
{
	struct world *w = *state;
	struct relay_tunnel_view view;
	struct fake_gateway g;

	world_start(w);
	g = fake_at(w, GATEWAY6, 40000, RELAY6);
	g.ecn = true;
	fake_request(&g, false);
	fake_report(&g, RECORD_TO_EX, "239.1.1.1", "198.51.100.1");
	fake_report(&g, RECORD_ALLOW, "232.1.1.1", "198.51.100.1");
	world_pass(w, SECONDS(250));
	restart_out_of_sets(w);
	assert_int_equal(counter_get(AMT_COUNT_ADOPTED_TUNNELS), 1);
	assert_true(relay_view(w->relay, fake_tunnel(&g), &view));
	assert_int_equal(view.created_ns, 77);
	assert_int_equal(view.groups, 2);
	assert_true(view.ecn);
	assert_int_equal(view.expires_ns, w->now + SECONDS(260)); /* the full time again */
	assert_int_equal(w->tunnels[view.id].expires_ns, view.expires_ns);
	world_pass(w, SECONDS(200));
	fake_report(&g, RECORD_IS_IN, "232.1.1.1", "198.51.100.1"); /* the same MAC */
	assert_int_equal(counter_get(AMT_COUNT_UPDATE_ACCEPTED), 3);
	world_pass(w, SECONDS(65));
	assert_true(fake_gets(&g, "198.51.100.1", "232.1.1.1"));
	assert_false(fake_gets(&g, "198.51.100.2", "239.1.1.1"));
	fake_teardown(&g, NULL);
	assert_int_equal(world_tunnels(w), 0);
}

/* Nothing is known yet that could be repeated: above all not a nonce and MAC of zeros */
static void restored_tunnels_have_no_last_mac(void **state)
{
	struct world *w = *state;
	struct fake_gateway g;

	world_start(w);
	g = fake_at(w, GATEWAY4, 40000, RELAY4);
	fake_request(&g, false);
	fake_report(&g, RECORD_TO_EX, "239.1.1.1", "");
	restart_out_of_sets(w);
	g.nonce = 0;
	memset(g.mac, 0, sizeof(g.mac));
	fake_report(&g, RECORD_TO_EX, "239.1.1.1", "");
	assert_int_equal(counter_get(AMT_COUNT_BAD_MAC), 1);
	assert_int_equal(counter_get(AMT_COUNT_UPDATE_REPEATED_MAC), 0);
}

/* Groups that the configuration no longer permits are not taken up; the tunnel then ends */
static void restore_obeys_the_new_configuration(void **state)
{
	struct world *w = *state;
	struct amt_prefix permitted;
	struct fake_gateway g;

	world_start(w);
	g = fake_at(w, GATEWAY4, 40000, RELAY4);
	fake_request(&g, false);
	fake_report(&g, RECORD_TO_EX, "239.1.1.1", "");
	assert_int_equal(prefix_parse("232.0.0.0/8", &permitted), 0);
	w->options.permit_groups = &permitted;
	w->options.npermit_groups = 1;
	restart_out_of_sets(w);
	assert_false(fake_gets(&g, "198.51.100.1", "239.1.1.1"));
	assert_int_equal(world_tunnels(w), 0);
	assert_int_equal(world_sets(w), 0);
	assert_int_equal(counter_get(AMT_COUNT_ADOPTED_TUNNELS), 0);
}

static void restoring_twice_is_refused(void **state)
{
	struct world *w = *state;
	struct amt_tunnel record = {
		.gateway = address(GATEWAY4),
		.gateway_port = htons(40000),
		.relay = address(RELAY4),
		.relay_port = htons(AMT_PORT),
	};
	struct amt_addr group = address("239.1.1.1");

	world_start(w);
	w->tunnels[5].exists = true;
	assert_int_equal(relay_restore_tunnel(w->relay, w->now, 5, &record), 0);
	assert_true(relay_restore_tunnel(w->relay, w->now, 5, &record) < 0);
	assert_true(relay_restore_tunnel(w->relay, w->now, 6, &record) < 0);
	assert_true(relay_restore_group(w->relay, w->now, 6, &group, true, NULL, 0) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, world_teardown)
		TEST(wishes_follow_from_sets),
		TEST(forwarding_is_the_same_after_a_restart),
		TEST(restored_tunnels_live_on),
		TEST(restored_tunnels_have_no_last_mac),
		TEST(restore_obeys_the_new_configuration),
		TEST(restoring_twice_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
