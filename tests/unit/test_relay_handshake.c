/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The relay's side of discovery, query and update, for both families outside and inside. */
#include "unit/unit.h"
#include "unit/helper_relay.h"

#include <arpa/inet.h>
#include <string.h>
#include "proto/merge.h"
#include "proto/query.h"

static void discover(struct world *w, const char *from, const char *to, struct amt_message *answer)
{
	const struct amt_message discovery = {.type = AMT_DISCOVERY, .nonce = 0xdeadbeef};
	const struct amt_sockaddr local = {address(to), htons(AMT_PORT)};
	const struct amt_sockaddr peer = {address(from), htons(5000)};
	uint8_t buf[AMT_DISCOVERY_LEN];

	message_write(&discovery, buf, sizeof(buf));
	world_receive(w, &local, &peer, buf, sizeof(buf));
	assert_int_equal(w->nsent, 1);
	/* back to where it came from, from where it was asked */
	assert_true(sockaddr_equal(&w->sent_to, &peer));
	assert_true(sockaddr_equal(&w->sent_from, &local));
	assert_int_equal(message_parse(w->sent, w->sent_len, answer), 0);
	assert_int_equal(answer->type, AMT_ADVERTISEMENT);
	assert_int_equal(answer->nonce, 0xdeadbeef); /* */
	w->nsent = 0;
}

/* */
static void discovery_of_either_family(void **state)
{
	struct world *w = *state;
	struct amt_addr relay4 = address(RELAY4), relay6 = address(RELAY6);
	struct amt_addr anycast = address(AMT_DISCOVERY_IPV4);
	struct amt_message answer;

	world_start(w);
	discover(w, GATEWAY4, AMT_DISCOVERY_IPV4, &answer); /* none configured: who was asked */
	assert_true(addr_equal(&answer.relay, &anycast));
	assert_int_equal(relay_add_address(w->relay, &relay6), 0);
	assert_int_equal(relay_add_address(w->relay, &relay4), 0);
	discover(w, GATEWAY4, AMT_DISCOVERY_IPV4, &answer);
	assert_true(addr_equal(&answer.relay, &relay4));
	assert_int_equal(w->sent_len, AMT_ADVERTISEMENT_LEN4);
	discover(w, GATEWAY6, AMT_DISCOVERY_IPV6, &answer);
	assert_true(addr_equal(&answer.relay, &relay6));
	assert_int_equal(w->sent_len, AMT_ADVERTISEMENT_LEN6);
	discover(w, GATEWAY4, RELAY4, &answer); /* by unicast: the same */
	assert_true(addr_equal(&answer.relay, &relay4));
	relay_remove_address(w->relay, &relay4);
	discover(w, GATEWAY4, AMT_DISCOVERY_IPV4, &answer);
	assert_true(addr_equal(&answer.relay, &anycast));
	assert_int_equal(counter_get(AMT_COUNT_DISCOVERY_RECEIVED), 5);
	assert_int_equal(counter_get(AMT_COUNT_ADVERTISEMENT_SENT), 5);
}

/* RFC 7450 5.3.3.2: every Discovery is answered; R-20 is the gateway's to obey */
static void discovery_with_nonce_zero_is_answered_and_counted(void **state)
{
	static const uint8_t discovery[AMT_DISCOVERY_LEN] = {AMT_DISCOVERY};
	struct world *w = *state;
	struct fake_gateway g;

	world_start(w);
	g = fake_at(w, GATEWAY4, 5000, RELAY4);
	world_receive(w, &g.local, &g.addr, discovery, sizeof(discovery));
	assert_int_equal(w->nsent, 1);
	assert_int_equal(counter_get(AMT_COUNT_ZERO_NONCE), 1);
}

static void query_answers_request(struct world *w, const char *gateway, const char *relay, bool mld)
{
	struct fake_gateway g = fake_at(w, gateway, 40000, relay);
	struct query_params params;
	bool is_mld;

	assert_true(fake_request(&g, mld));
	assert_true(sockaddr_equal(&w->sent_from, &g.local)); /* */
	assert_true(sockaddr_equal(&w->sent_to, &g.addr));
	assert_int_equal(w->sent_len, mld ? 88 : 48);
	assert_false(g.query.limit);
	assert_false(g.query.gateway_present);
	assert_int_equal(query_parse(g.query.datagram, g.query.datagram_len, &is_mld, &params),
			 mld ? QUERY_MLD_LEN : QUERY_IGMP_LEN);
	assert_int_equal(is_mld, mld); /* */
	assert_int_equal(params.interval_s, 125);
	assert_int_equal(params.robustness, 2);
	assert_int_equal(world_tunnels(w), 0); /* */
}

static void request_is_answered_in_all_combinations(void **state)
{
	struct world *w = *state;

	world_start(w);
	query_answers_request(w, GATEWAY4, RELAY4, false);
	query_answers_request(w, GATEWAY4, RELAY4, true);
	query_answers_request(w, GATEWAY6, RELAY6, false);
	query_answers_request(w, GATEWAY6, RELAY6, true);
	assert_int_equal(counter_get(AMT_COUNT_QUERY_SENT), 4);
}

static void joins_and_leaves(struct world *w, const char *gateway, const char *relay, bool mld)
{
	const char *ssm = mld ? "ff3e::8000:1" : "232.1.1.1", *asm_ = mld ? "ff0e::1" : "239.1.1.1";
	const char *s = mld ? "2001:db8:5::1" : "198.51.100.1";
	const char *t = mld ? "2001:db8:5::2" : "198.51.100.2";
	struct fake_gateway g = fake_at(w, gateway, 40000, relay);

	assert_true(fake_request(&g, mld));
	fake_report(&g, RECORD_ALLOW, ssm, s);
	assert_int_equal(world_tunnels(w), 1);
	assert_true(fake_gets(&g, s, ssm));
	assert_false(fake_gets(&g, t, ssm));
	fake_report(&g, RECORD_TO_EX, asm_, t);
	assert_true(fake_gets(&g, s, asm_));
	assert_false(fake_gets(&g, t, asm_)); /* */
	fake_report(&g, RECORD_BLOCK, ssm, s);
	assert_false(fake_gets(&g, s, ssm));
	assert_int_equal(world_tunnels(w), 1);
	fake_report(&g, RECORD_TO_IN, asm_, "");
	assert_int_equal(world_tunnels(w), 0); /* */
	assert_int_equal(world_sets(w), 0);
	assert_int_equal(merge_groups(relay_merge(w->relay)), 0);
}

static void update_makes_and_ends_a_tunnel_in_all_combinations(void **state)
{
	struct world *w = *state;

	world_start(w);
	joins_and_leaves(w, GATEWAY4, RELAY4, false);
	joins_and_leaves(w, GATEWAY4, RELAY4, true);
	joins_and_leaves(w, GATEWAY6, RELAY6, false);
	joins_and_leaves(w, GATEWAY6, RELAY6, true);
	assert_int_equal(counter_get(AMT_COUNT_TUNNEL_CREATED), 4);
	assert_int_equal(counter_get(AMT_COUNT_TUNNEL_LEFT), 4);
	assert_int_equal(counter_get(AMT_COUNT_UPDATE_ACCEPTED), 16);
}

/* each (address, port) is a tunnel of its own, and each relay address that it uses */
static void endpoints_are_told_apart(void **state)
{
	struct world *w = *state;
	struct fake_gateway a, b, c, d;

	world_start(w);
	a = fake_at(w, GATEWAY4, 40000, RELAY4);
	b = fake_at(w, GATEWAY4, 40001, RELAY4);
	c = fake_at(w, "203.0.113.10", 40000, RELAY4);
	d = fake_at(w, GATEWAY4, 40000, "192.0.2.2");
	fake_request(&a, false);
	fake_request(&b, false);
	fake_request(&c, false);
	fake_request(&d, false);
	fake_report(&a, RECORD_ALLOW, "232.1.1.1", "198.51.100.1");
	fake_report(&b, RECORD_ALLOW, "232.1.1.1", "198.51.100.2");
	fake_report(&c, RECORD_ALLOW, "232.1.1.1", "198.51.100.1");
	fake_report(&d, RECORD_ALLOW, "232.1.1.1", "198.51.100.1");
	assert_int_equal(world_tunnels(w), 4);
	assert_true(fake_gets(&a, "198.51.100.1", "232.1.1.1"));
	assert_false(fake_gets(&b, "198.51.100.1", "232.1.1.1"));
	fake_report(&a, RECORD_BLOCK, "232.1.1.1", "198.51.100.1");
	assert_false(fake_gets(&a, "198.51.100.1", "232.1.1.1"));
	assert_true(fake_gets(&c, "198.51.100.1", "232.1.1.1"));
	assert_true(fake_gets(&d, "198.51.100.1", "232.1.1.1"));
}

/* the E flag of the Request is known by the Update's MAC, and may change */
static void ecn_flag_is_learned_at_the_update(void **state)
{
	struct world *w = *state;
	struct fake_gateway g;

	world_start(w);
	g = fake_at(w, GATEWAY4, 40000, RELAY4);
	g.ecn = true;
	fake_request(&g, false);
	fake_report(&g, RECORD_ALLOW, "232.1.1.1", "198.51.100.1");
	assert_true(w->tunnels[fake_tunnel(&g)].ecn);
	g.ecn = false;
	fake_request(&g, false);
	fake_report(&g, RECORD_ALLOW, "232.1.1.1", "198.51.100.1");
	assert_false(w->tunnels[fake_tunnel(&g)].ecn);
	g.ecn = true;
	fake_request(&g, false);
	fake_report(&g, RECORD_IS_IN, "232.1.1.1", "198.51.100.1");
	assert_true(w->tunnels[fake_tunnel(&g)].ecn);
	assert_int_equal(world_tunnels(w), 1);
}

/* the response MAC is for one endpoint only */
static void update_from_another_port_is_refused(void **state)
{
	struct world *w = *state;
	struct fake_gateway g;

	world_start(w);
	g = fake_at(w, GATEWAY4, 40000, RELAY4);
	fake_request(&g, false);
	g.addr.port = htons(40001);
	fake_report(&g, RECORD_ALLOW, "232.1.1.1", "198.51.100.1");
	assert_int_equal(world_tunnels(w), 0);
	assert_int_equal(counter_get(AMT_COUNT_BAD_MAC), 1);
}

static void update_with_wrong_mac_or_nonce_is_refused(void **state)
{
	struct world *w = *state;
	struct fake_gateway g;

	world_start(w);
	g = fake_at(w, GATEWAY4, 40000, RELAY4);
	fake_request(&g, false);
	g.mac[5] ^= 1;
	fake_report(&g, RECORD_ALLOW, "232.1.1.1", "198.51.100.1");
	g.mac[5] ^= 1;
	g.nonce++;
	fake_report(&g, RECORD_ALLOW, "232.1.1.1", "198.51.100.1");
	assert_int_equal(world_tunnels(w), 0);
	assert_int_equal(counter_get(AMT_COUNT_BAD_MAC), 2);
	g.nonce--;
	fake_report(&g, RECORD_ALLOW, "232.1.1.1", "198.51.100.1");
	assert_int_equal(world_tunnels(w), 1);
}

/* no MAC is looked at for a report that can change nothing */
static void trivial_updates_of_strangers_cost_no_mac(void **state)
{
	struct world *w = *state;
	struct amt_addr group = address("239.1.1.1");
	struct fake_gateway g;
	uint8_t buf[128];
	int len;

	world_start(w);
	g = fake_at(w, GATEWAY4, 40000, RELAY4);
	len = report_write(false, NULL, NULL, 0, buf, sizeof(buf));
	assert_true(len > 0);
	fake_update(&g, buf, (size_t)len);
	len = report_write_old(NULL, &group, true, buf, sizeof(buf));
	assert_true(len > 0);
	fake_update(&g, buf, (size_t)len);
	assert_int_equal(counter_get(AMT_COUNT_BAD_MAC), 0);
	assert_int_equal(counter_get(AMT_COUNT_UPDATE_RECEIVED), 2);
	assert_int_equal(world_tunnels(w), 0);
}

/* reports that join nothing make no tunnel */
static void updates_without_subscription_make_nothing(void **state)
{
	struct world *w = *state;
	struct fake_gateway g;

	world_start(w);
	g = fake_at(w, GATEWAY4, 40000, RELAY4);
	fake_request(&g, false);
	fake_report(&g, RECORD_IS_IN, "239.1.1.1", "");
	fake_report(&g, RECORD_TO_IN, "239.1.1.1", "");
	fake_report(&g, RECORD_BLOCK, "239.1.1.1", "198.51.100.1");
	fake_report(&g, RECORD_ALLOW, "224.0.0.5", "198.51.100.1"); /* */
	fake_report(&g, RECORD_TO_EX, "232.1.1.1", "");		    /* */
	assert_int_equal(counter_get(AMT_COUNT_UPDATE_ACCEPTED), 5);
	assert_int_equal(counter_get(AMT_COUNT_TUNNEL_CREATED), 0);
	assert_int_equal(world_tunnels(w), 0);
	assert_int_equal(world_sets(w), 0);
}

/* */
static void other_messages_are_counted_and_ignored(void **state)
{
	static const struct {
		uint8_t octets[32];
		size_t len;
		enum amt_counter counter;
	} rows[] = {
		{{0}, 0, AMT_COUNT_SHORT_MESSAGE},
		{{AMT_DISCOVERY}, 7, AMT_COUNT_SHORT_MESSAGE},
		{{AMT_REQUEST}, 7, AMT_COUNT_SHORT_MESSAGE},
		{{AMT_UPDATE}, 11, AMT_COUNT_SHORT_MESSAGE},
		{{AMT_UPDATE}, 12, AMT_COUNT_INNER_SHORT},
		{{AMT_TEARDOWN}, 29, AMT_COUNT_SHORT_MESSAGE},
		{{0x10 | AMT_REQUEST}, 8, AMT_COUNT_BAD_VERSION},
		{{AMT_ADVERTISEMENT}, 12, AMT_COUNT_BAD_TYPE},
		{{AMT_QUERY}, 32, AMT_COUNT_BAD_TYPE},
		{{AMT_DATA}, 32, AMT_COUNT_DATA_FROM_GATEWAY},
		{{0}, 8, AMT_COUNT_BAD_TYPE},
		{{8}, 8, AMT_COUNT_BAD_TYPE},
	};
	static const uint8_t reserved[] = {AMT_REQUEST, 0x7c, 0xff, 0xff, 1, 2, 3, 4};
	struct world *w = *state;
	struct fake_gateway g;
	size_t i;

	world_start(w);
	g = fake_at(w, GATEWAY4, 40000, RELAY4);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t before = counter_get(rows[i].counter);

		world_receive(w, &g.local, &g.addr, rows[i].octets, rows[i].len);
		assert_int_equal(counter_get(rows[i].counter), before + 1);
	}
	assert_int_equal(w->nsent, 0);
	world_receive(w, &g.local, &g.addr, reserved, sizeof(reserved)); /* */
	assert_int_equal(w->nsent, 1);
	assert_int_equal(w->sent_len, 48);
}

/* a report that is not sound changes nothing, and its MAC is not even looked at */
static void unsound_reports_change_nothing(void **state)
{
	struct world *w = *state;
	struct amt_addr source = address("198.51.100.1");
	struct report_build record = {RECORD_ALLOW, address("232.1.1.1"), &source, 1};
	struct fake_gateway g;
	uint8_t buf[128];
	int len, i;

	world_start(w);
	g = fake_at(w, GATEWAY4, 40000, RELAY4);
	fake_request(&g, false);
	len = report_write(false, NULL, &record, 1, buf, sizeof(buf));
	assert_true(len > 0);
	for (i = 0; i < len; i++) { /* one wrong octet anywhere breaks a checksum, or more */
		buf[i] ^= 0x10;
		fake_update(&g, buf, (size_t)len);
		buf[i] ^= 0x10;
		assert_int_equal(world_tunnels(w), 0);
		fake_update(&g, buf, (size_t)i); /* cut off */
		assert_int_equal(world_tunnels(w), 0);
	}
	assert_int_equal(counter_get(AMT_COUNT_UPDATE_ACCEPTED), 0);
	memset(buf + len, 0xee, 20); /* */
	fake_update(&g, buf, (size_t)len + 20);
	assert_int_equal(world_tunnels(w), 1);
}

static void collect(void *arg, const struct relay_tunnel_view *view)
{
	struct relay_tunnel_view *out = arg;

	*out = *view;
}

static void tunnels_can_be_looked_at(void **state)
{
	struct world *w = *state;
	struct relay_tunnel_view view = {0}, same;
	struct amt_addr other = address("203.0.113.99");
	struct fake_gateway g;

	world_start(w);
	g = fake_at(w, GATEWAY6, 40000, RELAY6);
	g.ecn = true;
	fake_request(&g, false);
	w->now += SECONDS(3);
	fake_report(&g, RECORD_TO_EX, "239.1.1.1", "");
	fake_report(&g, RECORD_ALLOW, "232.1.1.1", "198.51.100.1");
	relay_walk(w->relay, &other, collect, &view);
	assert_int_equal(view.groups, 0);
	relay_walk(w->relay, &g.addr.addr, collect, &view);
	assert_int_equal(view.groups, 2);
	assert_true(sockaddr_equal(&view.gateway, &g.addr));
	assert_true(sockaddr_equal(&view.relay, &g.local));
	assert_true(view.ecn);
	assert_int_equal(view.created_ns, SECONDS(4));
	assert_int_equal(view.expires_ns, SECONDS(4) + relay_gmi(w->relay));
	assert_int_equal(w->tunnels[view.id].expires_ns, view.expires_ns);
	assert_true(relay_view(w->relay, view.id, &same));
	assert_true(sockaddr_equal(&same.gateway, &view.gateway));
	assert_false(relay_view(w->relay, view.id + 1, &same));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
		TEST(discovery_of_either_family),
		TEST(discovery_with_nonce_zero_is_answered_and_counted),
		TEST(request_is_answered_in_all_combinations),
		TEST(update_makes_and_ends_a_tunnel_in_all_combinations),
		TEST(endpoints_are_told_apart),
		TEST(ecn_flag_is_learned_at_the_update),
		TEST(update_from_another_port_is_refused),
		TEST(update_with_wrong_mac_or_nonce_is_refused),
		TEST(trivial_updates_of_strangers_cost_no_mac),
		TEST(updates_without_subscription_make_nothing),
		TEST(other_messages_are_counted_and_ignored),
		TEST(unsound_reports_change_nothing),
		TEST(tunnels_can_be_looked_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
