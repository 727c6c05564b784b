// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The shield, packet in, verdict and octets out: every answer that amtd would give (RFC 7450 5.3.3,
 * RFC 9601), and who gets one.
 */
#include "unit/unit.h"
#include "bpf/helper_shield_message.h"

#include <linux/bpf.h>
#include <string.h>
#include <amt/wire.h>
#include <bpf/bpf.h>

static struct shield_frame f;

/* ---- Discovery ---- */

static void discover(const char *from, const char *to, const char *advertised)
{
	const uint8_t discovery[9] = {AMT_DISCOVERY, 0, 0, 0, 0x12, 0x34, 0x56, 0x78, 0xff};
	struct amt_message msg;
	struct amt_addr want = packet_address(advertised);

	for (uint32_t length = 8; length <= 9; length++) {
		shield_build(&f, from, PORT, to, discovery, length);
		assert_int_equal(shield_run(&shield, &f), XDP_TX);
		msg = shield_answer(&shield, &f);
		assert_int_equal(msg.type, AMT_ADVERTISEMENT);
		assert_int_equal(msg.nonce, SHIELD_NONCE);
		assert_true(addr_equal(&msg.relay, &want));
	}
}

static void discoveries(void **state)
{
	const uint8_t zero[8] = {AMT_DISCOVERY};

	discover(GATEWAY4, RELAY4, RELAY4);
	discover(GATEWAY6, RELAY6, RELAY6);
	discover(GATEWAY4, DISCOVERY4, RELAY4); /* and it leaves from there */
	assert_int_equal(shield_counter(&shield, AMT_COUNT_DISCOVERY_RECEIVED), 6);
	assert_int_equal(shield_counter(&shield, AMT_COUNT_ADVERTISEMENT_SENT), 6);
	assert_int_equal(shield_counter(&shield, AMT_COUNT_SHIELD_ANSWERED), 6);
	assert_int_equal(shield_counter(&shield, AMT_COUNT_ZERO_NONCE), 0);
	shield_build(&f, GATEWAY4, PORT, RELAY4, zero, sizeof(zero));
	assert_int_equal(shield_run(&shield, &f), XDP_TX);
	assert_int_equal(shield_counter(&shield, AMT_COUNT_ZERO_NONCE), 1);
}

/* ---- Request ---- */

/* P at either bit, E, both outer families, each teardown mode, L or not */
static void requests(void **state)
{
	static const struct {
		uint16_t flags;
		bool with, without; /* G for gateways with E and without */
	} mode[] = {{AMT_SHIELD_G_ECN, true, false}, {AMT_SHIELD_G, true, true}, {0, false, false}};
	unsigned int n = 0;

	for (unsigned int i = 0; i < 3 * 2 * 2 * 256; i++) {
		uint8_t flags = i & 0xff;
		const char *from = shield_outer[i >> 8 & 1];
		bool limit = i >> 9 & 1, ecn = flags & AMT_REQUEST_E;
		unsigned int m = i >> 10;

		shield.policy.flags = mode[m].flags | AMT_SHIELD_LINUX_P |
				      (limit ? AMT_SHIELD_LIMIT | AMT_SHIELD_DRAINING : 0);
		shield_policy(&shield);
		shield_request(&f, from, flags);
		assert_int_equal(shield_run(&shield, &f), XDP_TX);
		shield_expect_query(&shield, &f, from,
				    flags & (AMT_REQUEST_P | AMT_REQUEST_P_LINUX), ecn, limit,
				    ecn ? mode[m].with : mode[m].without);
		n++;
	}
	assert_int_equal(shield_counter(&shield, AMT_COUNT_REQUEST_RECEIVED), n);
	assert_int_equal(shield_counter(&shield, AMT_COUNT_QUERY_SENT), n);
	assert_int_equal(shield_counter(&shield, AMT_COUNT_QUERY_LIMIT_SET), n / 2);
	assert_int_equal(shield_counter(&shield, AMT_COUNT_REQUEST_LINUX_P), n / 2);
}

static void linux_p_can_be_refused(void **state)
{
	shield.policy.flags &= ~AMT_SHIELD_LINUX_P;
	shield_policy(&shield);
	shield_request(&f, GATEWAY4, AMT_REQUEST_P_LINUX);
	assert_int_equal(shield_run(&shield, &f), XDP_TX);
	shield_expect_query(&shield, &f, GATEWAY4, false, false, false, false);
}

/* at the limit, one without E that may have a tunnel is amtd's to decide */
static void limit_spares_who_may_have_a_tunnel(void **state)
{
	assert_int_equal(shield_run_update(&shield, &f, GATEWAY4, 'c', false), XDP_PASS);
	shield.policy.flags |= AMT_SHIELD_LIMIT;
	shield_policy(&shield);
	shield_request(&f, GATEWAY4, 0);
	assert_int_equal(shield_run(&shield, &f), XDP_PASS);
	shield_request(&f, GATEWAY4, AMT_REQUEST_E);
	assert_int_equal(shield_run(&shield, &f), XDP_TX);
	shield_expect_query(&shield, &f, GATEWAY4, false, true, true, true);
	shield_request(&f, GATEWAY6, 0);
	assert_int_equal(shield_run(&shield, &f), XDP_TX);
	shield_expect_query(&shield, &f, GATEWAY6, false, false, true, false);
	shield.policy.flags |= AMT_SHIELD_DRAINING;
	shield_policy(&shield);
	shield_request(&f, GATEWAY4, 0);
	assert_int_equal(shield_run(&shield, &f), XDP_TX);
	shield_expect_query(&shield, &f, GATEWAY4, false, false, true, false);
}

/* ---- who gets an answer ---- */

/* While amtd is away a gateway's Update would be lost: let it ask again. */
static void nobody_listens(void **state)
{
	shield_listen(&shield, false);
	shield_request(&f, GATEWAY4, 0);
	shield_expect_pass(&shield, &f, "no socket, IPv4");
	shield_request(&f, GATEWAY6, 0);
	shield_expect_pass(&shield, &f, "no socket, IPv6");
	shield_listen(&shield, true);
	shield_request(&f, GATEWAY4, 0);
	assert_int_equal(shield_run(&shield, &f), XDP_TX);
}

static void switched_off(void **state)
{
	uint32_t zero = 0;

	shield.config.shield = 0;
	assert_int_equal(
		bpf_map_update_elem(shield_map(&shield, "config"), &zero, &shield.config, 0), 0);
	shield_request(&f, GATEWAY4, 0);
	shield_expect_pass(&shield, &f, "shield off");
	assert_int_equal(shield_run_update(&shield, &f, GATEWAY4, 'x', false), XDP_PASS);
}

static void permit(uint32_t list, uint32_t bits, const char *address)
{
	const struct amt_addr addr = packet_address(address);

	shield_permit(&shield, list, bits, &addr);
}

static void permitted_gateways(void **state)
{
	shield.policy.flags |= AMT_SHIELD_PERMIT;
	shield_policy(&shield);
	permit(0, 120, "203.0.113.0");
	shield_request(&f, GATEWAY4, 0);
	assert_int_equal(shield_run(&shield, &f), XDP_TX);
	shield_request(&f, "203.0.114.9", 0);
	assert_int_equal(shield_run(&shield, &f), XDP_DROP);
	shield_request(&f, GATEWAY6, 0);
	assert_int_equal(shield_run(&shield, &f), XDP_DROP);
	assert_int_equal(shield_counter(&shield, AMT_COUNT_GATEWAY_NOT_PERMITTED), 2);
}

/* Two lists stand side by side, and the policy says which is in force. */
static void permitted_by_the_list_in_force(void **state)
{
	shield.policy.flags |= AMT_SHIELD_PERMIT;
	permit(0, 120, "203.0.113.0");
	permit(1, 32, "2001:db8::");
	for (unsigned int i = 0; i < 4; i++) {
		shield.policy.permitted = i >> 1;
		shield_policy(&shield);
		shield_request(&f, shield_outer[i & 1], 0);
		assert_int_equal(shield_run(&shield, &f), (i & 1) == i >> 1 ? XDP_TX : XDP_DROP);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup(name, shield_setup)
		TEST(discoveries),
		TEST(requests),
		TEST(linux_p_can_be_refused),
		TEST(limit_spares_who_may_have_a_tunnel),
		TEST(nobody_listens),
		TEST(switched_off),
		TEST(permitted_gateways),
		TEST(permitted_by_the_list_in_force),
	};

	return cmocka_run_group_tests(tests, shield_setup_all, shield_teardown_all);
}
