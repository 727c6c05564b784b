// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The shield and what proves who sent it: Updates and Teardowns, by their response MAC (RFC 7450
 * 5.3.3.4, 5.3.3.5, 5.3.5).
 */
#include "unit/unit.h"
#include "bpf/helper_shield_message.h"

#include <linux/bpf.h>
#include <string.h>
#include <amt/wire.h>
#include "proto/response_mac.h"

static struct shield_frame f;

static void updates(void **state)
{
	shield_secret(&shield, 1, 'p', 1);
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(shield_run_update(&shield, &f, shield_outer[i & 1], 'c', i & 2),
				 XDP_PASS);
		assert_int_equal(shield_run_update(&shield, &f, shield_outer[i & 1], 'p', i & 2),
				 XDP_PASS);
		assert_int_equal(shield_run_update(&shield, &f, shield_outer[i & 1], 'x', i & 2),
				 XDP_DROP);
		for (unsigned int bit = 0; bit < 8 * AMT_MAC_LEN; bit++) {
			shield_update(&f, shield_outer[i & 1], 'c', i & 2, bit);
			assert_int_equal(shield_run(&shield, &f), XDP_DROP);
		}
	}
	assert_int_equal(shield_counter(&shield, AMT_COUNT_SHIELD_AUTHENTIC), 8);
	assert_int_equal(shield_counter(&shield, AMT_COUNT_SHIELD_BAD_MAC), 4 * 49);
	assert_int_equal(shield_counter(&shield, AMT_COUNT_BAD_MAC), 4 * 49);
	assert_int_equal(shield_counter(&shield, AMT_COUNT_UPDATE_RECEIVED), 4 * 49);
}

/* four octets of the MAC are enough where the configuration says so, under either secret, in
 * Updates and in Teardowns. */
static void short_macs(void **state)
{
	shield_secret(&shield, 1, 'p', 1);
	shield.policy.flags |= AMT_SHIELD_SHORT_MAC;
	shield_policy(&shield);
	for (unsigned int i = 0; i < 8; i++)
		for (unsigned int bit = 0; bit < 8 * AMT_MAC_LEN; bit++) {
			bool wrong = bit < 8 * AMT_MAC_SHORT_LEN;

			shield_update(&f, shield_outer[i & 1], i & 4 ? 'p' : 'c', i & 2, bit);
			assert_int_equal(shield_run(&shield, &f), wrong ? XDP_DROP : XDP_PASS);
			shield_teardown(&f, shield_outer[i & 1], i & 4 ? 'p' : 'c', i & 2, bit);
			assert_int_equal(shield_run(&shield, &f), wrong ? XDP_DROP : XDP_PASS);
		}
}

/* The MAC covers address, port and nonce: each bit of them. */
static void updates_of_somebody_else(void **state)
{
	for (unsigned int i = 0; i < 2; i++) {
		unsigned int address = i ? 16 : 4, at = 14 + (i ? 8 : 12);

		for (unsigned int bit = 0; bit < 8 * (address + 2 + 4); bit++) {
			uint32_t octet = bit / 8;

			shield_update(&f, shield_outer[i], 'c', false, SHIELD_UNCHANGED);
			if (octet < address)
				octet += at;
			else if (octet < address + 2)
				octet += f.udp - address;
			else
				octet += f.payload + AMT_UPDATE_NONCE - address - 2;
			f.octets[octet] ^= 1 << bit % 8;
			shield_checksums(&f);
			/* some sources are the stack's: it has no socket's answer for them */
			if (shield_run(&shield, &f) == XDP_PASS)
				assert_in_range(octet, at, at + 1);
		}
	}
	assert_int_equal(shield_counter(&shield, AMT_COUNT_SHIELD_AUTHENTIC), 0);
}

/* until some time after its successor was made */
static void previous_secret_ends(void **state)
{
	shield_secret(&shield, 1, 'p', 1);
	assert_int_equal(shield_run_update(&shield, &f, GATEWAY4, 'p', true), XDP_PASS);
	shield_secret(&shield, 0, 'c', 1000);
	shield.policy.previous_ns = 0;
	shield.policy.flags = 0;
	shield_policy(&shield);
	assert_int_equal(shield_run_update(&shield, &f, GATEWAY4, 'p', true), XDP_DROP);
	assert_int_equal(shield_run_update(&shield, &f, GATEWAY4, 'c', true), XDP_PASS);
	shield.policy.previous_ns = UINT64_MAX / 2;
	shield_policy(&shield);
	assert_int_equal(shield_run_update(&shield, &f, GATEWAY4, 'p', true), XDP_PASS);
	shield_secret(&shield, 1, 'p', 0); /* cleared */
	assert_int_equal(shield_run_update(&shield, &f, GATEWAY4, 'p', true), XDP_DROP);
}

/* An empty slot has a known key. */
static void no_secret_matches_nothing(void **state)
{
	shield_secret(&shield, 0, '\0', 0);
	assert_int_equal(shield_run_update(&shield, &f, GATEWAY4, '\0', false), XDP_DROP);
	shield_request(&f, GATEWAY4, 0);
	assert_int_equal(shield_run(&shield, &f), XDP_PASS);
}

/* what was right once goes through again for one GMI, from that very endpoint */
static void repeated_updates(void **state)
{
	assert_int_equal(shield_run_update(&shield, &f, GATEWAY4, 'c', false), XDP_PASS);
	shield_secret(&shield, 0, 'd', 1);
	assert_int_equal(shield_run_update(&shield, &f, GATEWAY4, 'c', false), XDP_PASS);
	assert_int_equal(shield_run_update(&shield, &f, GATEWAY4, 'c', true),
			 XDP_DROP); /* another MAC */
	assert_int_equal(shield_run_update(&shield, &f, GATEWAY6, 'c', false), XDP_DROP);
	shield.policy.flags &= ~AMT_SHIELD_REPEATED;
	shield_policy(&shield);
	assert_int_equal(shield_run_update(&shield, &f, GATEWAY4, 'c', false), XDP_DROP);
	shield.policy.flags |= AMT_SHIELD_REPEATED;
	shield.policy.proven_ns = 0;
	shield_policy(&shield);
	assert_int_equal(shield_run_update(&shield, &f, GATEWAY4, 'd', false),
			 XDP_PASS); /* its time is over at once */
	shield_secret(&shield, 0, 'e', 1);
	assert_int_equal(shield_run_update(&shield, &f, GATEWAY4, 'd', false), XDP_DROP);
}

/* Over its own fields, wherever it comes from */
static void teardowns(void **state)
{
	struct amt_secret secret = shield_key('c');

	for (unsigned int i = 0; i < 8; i++) {
		struct amt_message msg = {.type = AMT_TEARDOWN,
					  .nonce = SHIELD_NONCE,
					  .gateway = shield_gateway(shield_outer[i & 1])};

		response_mac(&secret, &msg.gateway, SHIELD_NONCE, i & 2, msg.mac);
		shield_message(&f, shield_outer[i >> 2], &msg);
		assert_int_equal(shield_run(&shield, &f), XDP_PASS);
		msg.gateway.port ^= 1;
		shield_message(&f, shield_outer[i >> 2], &msg);
		assert_int_equal(shield_run(&shield, &f), XDP_DROP);
	}
	assert_int_equal(shield_counter(&shield, AMT_COUNT_SHIELD_AUTHENTIC), 8);
	assert_int_equal(shield_counter(&shield, AMT_COUNT_TEARDOWN_BAD_MAC), 8);
	assert_int_equal(shield_counter(&shield, AMT_COUNT_TEARDOWN_RECEIVED), 8);
	assert_int_equal(shield_counter(&shield, AMT_COUNT_SHIELD_BAD_MAC), 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup(name, shield_setup)
		TEST(updates),
		TEST(short_macs),
		TEST(updates_of_somebody_else),
		TEST(previous_secret_ends),
		TEST(no_secret_matches_nothing),
		TEST(repeated_updates),
		TEST(teardowns),
	};

	return cmocka_run_group_tests(tests, shield_setup_all, shield_teardown_all);
}
