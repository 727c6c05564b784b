/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Gateways as they are: the quirks, each where the relay meets it. */
#include "unit/unit.h"
#include "unit/helper_relay.h"

#include <arpa/inet.h>
#include <string.h>
#include "base/checksum.h"
#include "proto/query.h"

static const struct amt_message *ask(struct fake_gateway *g, const void *buf, size_t len)
{
	unsigned int before = g->w->nsent;

	world_receive(g->w, &g->local, &g->addr, buf, len);
	assert_int_equal(g->w->nsent, before + 1);
	assert_int_equal(message_parse(g->w->sent, g->w->sent_len, &g->query), 0);
	memcpy(g->mac, g->query.mac, AMT_MAC_LEN);
	memcpy(&g->nonce, (const uint8_t *)buf + AMT_REQUEST_NONCE, AMT_NONCE_LEN);
	return &g->query;
}

static void q1_vlc_request_of_nine_octets(void **state)
{
	static const uint8_t request[9] = {AMT_REQUEST, 0, 0, 0, 1, 2, 3, 4, 0};
	struct fake_gateway g;

	world_start(*state);
	g = fake_at(*state, GATEWAY4, 40000, RELAY4);
	ask(&g, request, sizeof(request));
	fake_report(&g, RECORD_ALLOW, "232.1.1.1", "198.51.100.1");
	assert_int_equal(world_tunnels(*state), 1);
}

static void q2_vlc_query_is_48_octets(void **state)
{
	struct world *w = *state;
	struct fake_gateway g;

	world_start(w);
	g = fake_at(w, GATEWAY4, 40000, RELAY4);
	assert_true(fake_request(&g, false));
	assert_int_equal(w->sent_len, 48);
}

/* Four zero octets where router alert belongs */
static void q3_vlc_report_without_router_alert(void **state)
{
	struct world *w = *state;
	struct amt_addr source = address("198.51.100.1");
	struct report_build record = {RECORD_ALLOW, address("232.1.1.1"), &source, 1};
	uint8_t buf[128];
	struct fake_gateway g;
	__be16 checksum;
	int len, strict;

	len = report_write(false, NULL, &record, 1, buf, sizeof(buf));
	assert_true(len > 0);
	memset(buf + 20, 0, 4);
	memset(buf + 10, 0, 2);
	checksum = checksum_finish(checksum_add(0, buf, 24));
	memcpy(buf + 10, &checksum, sizeof(checksum));
	for (strict = 0; strict < 2; strict++) {
		w->options.strict_router_alert = strict;
		if (strict)
			world_restart(w);
		else
			world_start(w);
		g = fake_at(w, GATEWAY4, (uint16_t)(40000 + strict), RELAY4);
		fake_request(&g, false);
		fake_update(&g, buf, (size_t)len);
		assert_int_equal(relay_tunnels(w->relay), strict ? 0 : 1);
	}
	assert_int_equal(counter_get(AMT_COUNT_INNER_NO_ROUTER_ALERT), 1);
}

static void repeat(struct fake_gateway *g, unsigned int times)
{
	while (times--) {
		world_pass(g->w, SECONDS(60));
		fake_report(g, RECORD_ALLOW, "232.1.1.1", "198.51.100.1");
	}
}

/* One Update for ever, over several secrets */
static void q4_vlc_repeats_one_mac_for_ever(void **state)
{
	struct world *w = *state;
	struct fake_gateway g;

	world_start(w);
	g = fake_at(w, GATEWAY4, 40000, RELAY4);
	fake_request(&g, false);
	fake_report(&g, RECORD_ALLOW, "232.1.1.1", "198.51.100.1");
	repeat(&g, 200);
	assert_true(counter_get(AMT_COUNT_SECRET_ROTATED) >= 4);
	assert_int_equal(world_tunnels(w), 1);
	assert_true(counter_get(AMT_COUNT_UPDATE_REPEATED_MAC) > 100);
	assert_int_equal(counter_get(AMT_COUNT_BAD_MAC), 0);
	/* only for the pair last accepted, and only while the tunnel lives */
	g.nonce++;
	repeat(&g, 1);
	g.nonce--;
	g.mac[3] ^= 4;
	repeat(&g, 1);
	g.mac[3] ^= 4;
	assert_int_equal(counter_get(AMT_COUNT_BAD_MAC), 2);
	repeat(&g, 1);
	assert_int_equal(counter_get(AMT_COUNT_BAD_MAC), 2);
	world_pass(w, SECONDS(300));
	assert_int_equal(world_tunnels(w), 0);
	fake_report(&g, RECORD_ALLOW, "232.1.1.1", "198.51.100.1");
	assert_int_equal(world_tunnels(w), 0);
	assert_int_equal(counter_get(AMT_COUNT_BAD_MAC), 3);
}

static void q4_repetition_can_be_refused(void **state)
{
	struct world *w = *state;
	struct fake_gateway g;

	w->options.accept_repeated_mac = false;
	world_start(w);
	g = fake_at(w, GATEWAY4, 40000, RELAY4);
	fake_request(&g, false);
	fake_report(&g, RECORD_ALLOW, "232.1.1.1", "198.51.100.1");
	repeat(&g, 200);
	assert_int_equal(world_tunnels(w), 0);
	assert_int_equal(counter_get(AMT_COUNT_UPDATE_REPEATED_MAC), 0);
}

/* Both protocols' Requests with one nonce; the newest MAC is used for both kinds of report */
static void q5_linux_uses_one_mac_for_both_protocols(void **state)
{
	struct world *w = *state;
	struct fake_gateway g;

	world_start(w);
	g = fake_at(w, GATEWAY4, 40000, RELAY4);
	fake_request(&g, false);
	fake_request(&g, true);
	fake_report(&g, RECORD_ALLOW, "232.1.1.1", "198.51.100.1");
	fake_report(&g, RECORD_ALLOW, "ff3e::8000:1", "2001:db8:5::1");
	assert_int_equal(world_tunnels(w), 1);
	assert_true(fake_gets(&g, "198.51.100.1", "232.1.1.1"));
	assert_true(fake_gets(&g, "2001:db8:5::1", "ff3e::8000:1"));
}

static void q6_linux_asks_every_two_seconds(void **state)
{
	struct world *w = *state;
	struct fake_gateway g;
	int i;

	w->options.requests_per_second = 5;
	w->options.requests_burst = 10;
	world_start(w);
	g = fake_at(w, GATEWAY4, 40000, RELAY4);
	for (i = 0; i < 1000; i++) {
		assert_true(fake_request(&g, false));
		assert_true(fake_request(&g, true));
		world_pass(w, SECONDS(2));
	}
}

/* Router alert just so: an IPv4 header of 24 octets, a hop-by-hop header of 8 */
static void q7_router_alert_as_linux_and_vlc_expect_it(void **state)
{
	static const uint8_t alert4[] = {0x94, 0x04, 0x00, 0x00};
	static const uint8_t alert6[] = {0x3a, 0x00, 0x05, 0x02, 0x00, 0x00, 0x01, 0x00};
	struct world *w = *state;
	struct fake_gateway g;

	world_start(w);
	g = fake_at(w, GATEWAY4, 40000, RELAY4);
	fake_request(&g, false);
	assert_int_equal(g.query.datagram[0], 0x46);
	assert_memory_equal(g.query.datagram + 20, alert4, sizeof(alert4));
	fake_request(&g, true);
	assert_memory_equal(g.query.datagram + 40, alert6, sizeof(alert6));
}

static void q8_mld_query_comes_from_link_local(void **state)
{
	struct world *w = *state;
	struct amt_addr link_local = address("fe80::1");
	struct query_params params;
	struct fake_gateway g;
	bool mld;

	w->options.query_source6 = (struct amt_addr){0};
	world_start(w);
	g = fake_at(w, GATEWAY4, 40000, RELAY4);
	fake_request(&g, true);
	assert_true(query_parse(g.query.datagram, g.query.datagram_len, &mld, &params) > 0);
	assert_true(addr_equal(&params.source, &link_local));
}

static void q9_interval_is_said_plainly_by_default(void **state)
{
	struct world *w = *state;
	struct fake_gateway g;

	world_start(w);
	g = fake_at(w, GATEWAY4, 40000, RELAY4);
	fake_request(&g, false);
	assert_int_equal(g.query.datagram[24 + 9], 125); /* IGMPv3's QQIC, no float */
	fake_request(&g, true);
	assert_int_equal(g.query.datagram[48 + 25], 125);
}

/* Off by default: the last two octets count. On: only they do not. */
static void q10_cisco_returns_four_octets_of_the_mac(void **state)
{
	struct world *w = *state;
	struct fake_gateway g;

	world_start(w);
	g = fake_at(w, GATEWAY4, 40000, RELAY4);
	fake_request(&g, false);
	g.mac[4] ^= 0x55;
	g.mac[5] ^= 0xaa;
	fake_report(&g, RECORD_ALLOW, "232.1.1.1", "198.51.100.1");
	assert_int_equal(world_tunnels(w), 0);
	w->options.accept_short_mac = true;
	relay_set_options(w->relay, &w->options, w->now);
	g.mac[3] ^= 1;
	fake_report(&g, RECORD_ALLOW, "232.1.1.1", "198.51.100.1");
	assert_int_equal(world_tunnels(w), 0);
	assert_int_equal(counter_get(AMT_COUNT_BAD_MAC), 2);
	g.mac[3] ^= 1;
	fake_report(&g, RECORD_ALLOW, "232.1.1.1", "198.51.100.1");
	assert_int_equal(world_tunnels(w), 1);
}

/* Linux drops a Query with any reserved bit, and takes L and G for such */
static void q11_reserved_bits_are_sent_zero(void **state)
{
	struct world *w = *state;
	struct fake_gateway g;

	world_start(w);
	g = fake_at(w, GATEWAY4, 40000, RELAY4);
	fake_request(&g, false);
	assert_int_equal(w->sent[0], AMT_QUERY);
	assert_int_equal(w->sent[1], 0);
}

/* No Teardown, no leave: its time ends the tunnel */
static void q12_silent_gateways_time_out(void **state)
{
	struct world *w = *state;
	struct fake_gateway g;

	world_start(w);
	g = fake_at(w, GATEWAY4, 40000, RELAY4);
	fake_request(&g, false);
	fake_report(&g, RECORD_TO_EX, "239.1.1.1", "");
	world_pass(w, SECONDS(259));
	assert_int_equal(world_tunnels(w), 1);
	world_pass(w, SECONDS(2));
	assert_int_equal(world_tunnels(w), 0);
}

static void q13_linux_puts_p_at_another_bit(void **state)
{
	static const uint8_t linux_p[] = {AMT_REQUEST, AMT_REQUEST_P_LINUX, 0, 0, 1, 2, 3, 4};
	static const uint8_t both[] = {
		AMT_REQUEST, AMT_REQUEST_P_LINUX | AMT_REQUEST_P, 0, 0, 1, 2, 3, 4};
	struct world *w = *state;
	struct fake_gateway g;

	world_start(w);
	g = fake_at(w, GATEWAY4, 40000, RELAY4);
	assert_int_equal(ask(&g, linux_p, sizeof(linux_p))->datagram_len, QUERY_MLD_LEN);
	assert_int_equal(counter_get(AMT_COUNT_REQUEST_LINUX_P), 1);
	w->options.accept_linux_p = false;
	world_restart(w);
	assert_int_equal(ask(&g, linux_p, sizeof(linux_p))->datagram_len, QUERY_IGMP_LEN);
	assert_int_equal(ask(&g, both, sizeof(both))->datagram_len, QUERY_MLD_LEN);
}

static void q14_gateway_fields_only_for_modern_gateways(void **state)
{
	static const enum teardown_mode modes[] = {TEARDOWN_AUTO, TEARDOWN_ON, TEARDOWN_OFF};
	static const bool expected[][2] = {{false, true}, {true, true}, {false, false}};
	struct world *w = *state;
	struct fake_gateway g;
	int mode, ecn;

	world_start(w);
	for (mode = 0; mode < 3; mode++) {
		w->options.teardown = modes[mode];
		world_restart(w);
		for (ecn = 0; ecn < 2; ecn++) {
			g = fake_at(w, GATEWAY4, 40000, RELAY4);
			g.ecn = ecn;
			assert_true(fake_request(&g, false));
			assert_int_equal(g.query.gateway_present, expected[mode][ecn]);
			assert_int_equal(w->sent_len, expected[mode][ecn] ? 66 : 48);
			if (expected[mode][ecn]) /* */
				assert_true(sockaddr_equal(&g.query.gateway, &g.addr));
		}
	}
}

/* At the tunnel limit a Linux gateway that has a tunnel must still understand its Queries */
static void q14_linux_gateway_keeps_its_tunnel_at_the_limit(void **state)
{
	struct world *w = *state;
	struct fake_gateway old, new;

	w->options.max_tunnels = 1;
	world_start(w);
	old = fake_at(w, GATEWAY4, 40000, RELAY4);
	new = fake_at(w, GATEWAY4, 40001, RELAY4);
	fake_request(&old, false);
	fake_report(&old, RECORD_TO_EX, "239.1.1.1", "");
	assert_true(fake_request(&new, false));
	assert_true(new.query.limit); /* */
	assert_true(fake_request(&old, false));
	assert_false(old.query.limit);
	old.ecn = true; /* a modern one is told, and may go on */
	assert_true(fake_request(&old, false));
	assert_true(old.query.limit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
		TEST(q1_vlc_request_of_nine_octets),
		TEST(q2_vlc_query_is_48_octets),
		TEST(q3_vlc_report_without_router_alert),
		TEST(q4_vlc_repeats_one_mac_for_ever),
		TEST(q4_repetition_can_be_refused),
		TEST(q5_linux_uses_one_mac_for_both_protocols),
		TEST(q6_linux_asks_every_two_seconds),
		TEST(q7_router_alert_as_linux_and_vlc_expect_it),
		TEST(q8_mld_query_comes_from_link_local),
		TEST(q9_interval_is_said_plainly_by_default),
		TEST(q10_cisco_returns_four_octets_of_the_mac),
		TEST(q11_reserved_bits_are_sent_zero),
		TEST(q12_silent_gateways_time_out),
		TEST(q13_linux_puts_p_at_another_bit),
		TEST(q14_gateway_fields_only_for_modern_gateways),
		TEST(q14_linux_gateway_keeps_its_tunnel_at_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
