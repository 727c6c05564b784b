// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The shield under attack: frames that are not what they seem, sources that nobody may be sent
 * anything, and how much anybody is sent.
 */
#include "unit/unit.h"
#include "bpf/helper_shield_message.h"

#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <amt/wire.h>
#include <bpf/bpf.h>

static struct shield_frame f;

/* ---- what is left to amtd ---- */

static void passes_with(const char *from, const char *what, uint32_t octet, uint8_t change)
{
	shield_request(&f, from, 0);
	f.octets[octet] ^= change;
	shield_checksums(&f);
	shield_expect_pass(&shield, &f, what);
}

static void left_to_amtd(void **state)
{
	uint8_t longer[10] = {AMT_REQUEST}, all_types[16][12];

	for (unsigned int i = 0; i < 2; i++) {
		unsigned int udp = i ? 54 : 34;

		passes_with(shield_outer[i], "to another MAC address", 5, 0x80);
		passes_with(shield_outer[i], "to a group's MAC address", 0, 0x01);
		passes_with(shield_outer[i], "another ethertype", 13, 0x01);
		passes_with(shield_outer[i], "another address of ours", i ? 53 : 33, 0x40);
		passes_with(shield_outer[i], "another port", udp + 3, 0x01);
		passes_with(shield_outer[i], "another protocol", i ? 20 : 23, 0x01);
		passes_with(shield_outer[i], "another IP version", 14, 0x10);
		passes_with(shield_outer[i], "version 1 of AMT", udp + 8, 0x10);
		shield_request(&f, shield_outer[i], 0);
		f.octets[udp] = f.octets[udp + 1] = 0;
		shield_checksums(&f);
		shield_expect_pass(&shield, &f, "from port 0");
		shield_request(&f, shield_outer[i], 0);
		f.octets[udp + 12] ^= 1;
		shield_expect_pass(&shield, &f, "damaged");
		shield_request(&f, shield_outer[i], 0);
		f.octets[udp + 5]--;
		shield_expect_pass(&shield, &f, "UDP length");
		shield_build(&f, shield_outer[i], PORT, i ? RELAY6 : RELAY4, longer,
			     sizeof(longer));
		shield_expect_pass(&shield, &f, "odd length");
	}
	passes_with(GATEWAY4, "IPv4 options", 14, 0x03);
	passes_with(GATEWAY4, "a fragment", 20, 0x20);
	passes_with(GATEWAY4, "a later fragment", 21, 0x01);
	shield_request(&f, GATEWAY4, 0);
	f.octets[24] ^= 1;
	shield_expect_pass(&shield, &f, "IPv4 header checksum");
	shield_request(&f, GATEWAY6, 0);
	memset(f.octets + 60, 0, 2);
	shield_expect_pass(&shield, &f, "IPv6 without a checksum");
	memset(all_types, 0, sizeof(all_types));
	for (unsigned int type = 0; type < 16; type++) {
		all_types[type][0] = type;
		shield_build(&f, GATEWAY4, PORT, RELAY4, all_types[type], 12);
		if (type != AMT_UPDATE)
			shield_expect_pass(&shield, &f, "type or length");
	}
}

static void sources_that_the_stack_judges(void **state)
{
	static const char *const odd[] = {"0.1.2.3", "127.0.0.1", "224.0.0.1", "255.255.255.255",
					  "::",	     "::1",	  "fe80::9",   "ff02::1"};

	for (unsigned int i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		shield_request(&f, odd[i], 0);
		shield_expect_pass(&shield, &f, odd[i]);
	}
}

/* Our own addresses, listened on or not, and broadcast addresses; and nobody listens there. */
static void addresses_of_this_host(void **state)
{
	static const char *const own[] = {"192.0.2.200", "192.0.2.255", "2001:db8::200"};
	const struct amt_shield_address none = {};

	for (unsigned int i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		const struct amt_addr key = packet_address(own[i]);

		bpf_map_update_elem(shield_map(&shield, "shield_addresses"), &key, &none, 0);
		shield_request(&f, own[i], 0);
		shield_expect_pass(&shield, &f, own[i]);
		shield_build(&f, i < 2 ? GATEWAY4 : GATEWAY6, PORT, own[i], "\3\0\0\0abcd", 8);
		shield_expect_pass(&shield, &f, own[i]);
	}
	for (unsigned int i = 0; i < 2; i++) {
		shield_request(&f, i ? RELAY6 : RELAY4, 0);
		shield_expect_pass(&shield, &f, "from the relay itself");
		shield_request(&f, shield_outer[i], 0);
		f.octets[6] |= 1;
		shield_expect_pass(&shield, &f, "from a group's MAC address");
	}
}

static void vlan_tags(void **state)
{
	shield_request(&f, GATEWAY4, 0);
	memmove(f.octets + 16, f.octets + 12, f.length - 12);
	memcpy(f.octets + 12, "\x81\x00\x00\x07", 4);
	f.length += 4;
	shield_expect_pass(&shield, &f, "a VLAN tag");
}

/* No checksum on IPv4, and one that a sender on this host left to a device */
static void checksums_that_are_none(void **state)
{
	for (unsigned int i = 0; i < 2; i++) {
		uint8_t *udp;
		uint32_t sum = 17 + 16;
		uint32_t first = i ? 22 : 26, last = i ? 54 : 34;

		shield_request(&f, shield_outer[i], 0);
		udp = f.octets + f.udp;
		for (uint32_t at = first; at < last; at += 2)
			sum += f.octets[at] << 8 | f.octets[at + 1];
		while (sum >> 16)
			sum = (sum & 0xffff) + (sum >> 16);
		udp[6] = sum >> 8;
		udp[7] = sum;
		assert_int_equal(shield_run(&shield, &f), XDP_TX);
		shield_expect_query(&shield, &f, shield_outer[i], false, false, false, false);
	}
	shield_request(&f, GATEWAY4, 0);
	memset(f.octets + 40, 0, 2);
	assert_int_equal(shield_run(&shield, &f), XDP_TX);
	shield_expect_query(&shield, &f, GATEWAY4, false, false, false, false);
}

/* ---- what nobody may be sent ---- */

static void rate_of_a_source(void **state)
{
	shield.policy.limits.interval_ns = 3600000000000; /* one an hour, 9 more at once */
	shield.policy.limits.tolerance_ns = 9 * shield.policy.limits.interval_ns;
	shield_policy(&shield);
	for (unsigned int i = 0; i < 30; i++) {
		shield_request(&f, GATEWAY4, 0);
		assert_int_equal(shield_run(&shield, &f), i < 10 ? XDP_TX : XDP_DROP);
	}
	shield_request(&f, GATEWAY6, 0);
	assert_int_equal(shield_run(&shield, &f), XDP_TX);
	assert_int_equal(shield_counter(&shield, AMT_COUNT_REQUEST_RATE_LIMITED), 20);
	assert_int_equal(shield_counter(&shield, AMT_COUNT_SHIELD_REFUSED), 20);
	assert_int_equal(shield_counter(&shield, AMT_COUNT_REQUEST_RECEIVED), 31);
}

/* Thousands behind one address share its rate, by whatever port; nobody else's is touched.
 */
static void rate_of_many_behind_one_address(void **state)
{
	shield.policy.limits.interval_ns = 3600000000000;
	shield.policy.limits.tolerance_ns = 4999 * shield.policy.limits.interval_ns;
	shield_policy(&shield);
	for (unsigned int i = 0; i < 6000; i++) {
		shield_build(&f, GATEWAY4, 1024 + i, RELAY4, "\3\0\0\0abcd", 8);
		assert_int_equal(shield_run(&shield, &f), i < 5000 ? XDP_TX : XDP_DROP);
	}
	shield_request(&f, "203.0.113.10", 0);
	assert_int_equal(shield_run(&shield, &f), XDP_TX);
}

static unsigned int entries(const char *map)
{
	int fd = shield_map(&shield, map);
	uint8_t key[64], next[64];
	unsigned int n = 0;

	for (void *at = NULL; !bpf_map_get_next_key(fd, at, next); at = key, n++)
		memcpy(key, next, sizeof(key));
	return n;
}

/* More forged addresses than are remembered: each is answered, memory is bounded, and who has shown
 * a valid MAC is not forgotten. */
static void flood_of_addresses(void **state)
{
	char from[32];

	shield.policy.limits.amplification = 1;
	shield_policy(&shield);
	assert_int_equal(shield_run_update(&shield, &f, GATEWAY4, 'c', false), XDP_PASS);
	for (unsigned int i = 0; i < 2 * AMT_SHIELD_SOURCES_MAX; i++) {
		snprintf(from, sizeof(from), "100.%u.%u.%u", 64 + (i >> 16), i >> 8 & 255, i & 255);
		shield_request(&f, from, AMT_REQUEST_P);
		assert_int_equal(shield_run(&shield, &f), XDP_DROP);
	}
	assert_in_range(entries("shield_sources"), 1, AMT_SHIELD_SOURCES_MAX);
	assert_int_equal(entries("shield_gateways"), 1);
	shield_request(&f, GATEWAY4, AMT_REQUEST_P);
	assert_int_equal(shield_run(&shield, &f), XDP_TX);
}

/* In total, whatever it asks for, Ethernet's padding not counted */
static void amplification(void **state)
{
	for (unsigned int bound = 1; bound <= 5; bound++) {
		uint64_t in = 0, out = 0;

		shield_reset(&shield);
		shield.policy.limits.amplification = bound;
		shield.policy.flags |= AMT_SHIELD_G;
		shield_policy(&shield);
		for (unsigned int i = 0; i < 200; i++) {
			uint8_t discovery[8] = {AMT_DISCOVERY};

			if (i % 5 == 4)
				shield_build(&f, GATEWAY4, PORT, RELAY4, discovery,
					     sizeof(discovery));
			else
				shield_request(&f, GATEWAY4, i % 3);
			in += f.octets[17];
			if (shield_run(&shield, &f) == XDP_TX)
				out += shield.out[17];
			assert_in_range(out, 0, in * bound);
		}
		assert_true(out > in * (bound < 3 ? bound : 2) - 200); /* all that is allowed */
		if (bound >= 4)
			assert_int_equal(shield_counter(&shield, AMT_COUNT_AMPLIFICATION_LIMITED),
					 0);
		else
			assert_true(shield_counter(&shield, AMT_COUNT_AMPLIFICATION_LIMITED) > 0);
	}
}

static void amplification_spares_who_proved_itself(void **state)
{
	shield.policy.limits.amplification = 1;
	shield_policy(&shield);
	shield_request(&f, GATEWAY4, AMT_REQUEST_P);
	assert_int_equal(shield_run(&shield, &f), XDP_DROP);
	assert_int_equal(shield_run_update(&shield, &f, GATEWAY4, 'c', false), XDP_PASS);
	shield_request(&f, GATEWAY4, AMT_REQUEST_P);
	assert_int_equal(shield_run(&shield, &f), XDP_TX);
}

/* ---- hostile frames ---- */

static void truncated(void **state)
{
	const uint8_t discovery[8] = {AMT_DISCOVERY, 0, 0, 0, 1, 2, 3, 4};
	uint32_t full;

	for (unsigned int kind = 0; kind < 6; kind++) {
		const char *from = shield_outer[kind & 1];

		if (kind < 2)
			shield_build(&f, from, PORT, kind ? RELAY6 : RELAY4, discovery,
				     sizeof(discovery));
		else if (kind < 4)
			shield_request(&f, from, AMT_REQUEST_P);
		else
			shield_update(&f, from, 'x', false, SHIELD_UNCHANGED);
		full = f.payload + (kind < 4 ? 8 : 52);
		for (f.length = 14; f.length < full; f.length++)
			shield_expect_pass(&shield, &f, "cut off");
		assert_int_equal(shield_run(&shield, &f), kind < 4 ? XDP_TX : XDP_DROP);
	}
}

/* Whatever comes, an answer is a right one. */
static void mutated(void **state)
{
	uint32_t seed = 4711, answers = 0;
	const char *why;

	for (unsigned int i = 0; i < 20000; i++) {
		unsigned int changes;

		if (i & 2)
			shield_request(&f, shield_outer[i & 1], i >> 2);
		else
			shield_update(&f, shield_outer[i & 1], 'c', false, SHIELD_UNCHANGED);
		seed = seed * 1664525 + 1013904223;
		changes = 1 + (seed >> 30);
		while (changes--) {
			seed = seed * 1664525 + 1013904223;
			f.octets[(seed >> 16) % f.length] ^= 1 << (seed >> 8 & 7);
		}
		if (i & 4)
			shield_checksums(&f);
		switch (shield_run(&shield, &f)) {
		case XDP_TX:
			answers++;
			if (!shield_is_answer(&shield, &f, &why))
				fail_msg("mutation %u: %s", i, why);
			break;
		case XDP_PASS:
			assert_memory_equal(shield.out, f.octets, f.length);
			break;
		default:
			assert_int_equal(shield_counter(&shield, AMT_COUNT_SHIELD_BAD_MAC) > 0, 1);
		}
	}
	assert_true(answers > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup(name, shield_setup)
		TEST(left_to_amtd),
		TEST(sources_that_the_stack_judges),
		TEST(addresses_of_this_host),
		TEST(vlan_tags),
		TEST(checksums_that_are_none),
		TEST(rate_of_a_source),
		TEST(rate_of_many_behind_one_address),
		TEST(flood_of_addresses),
		TEST(amplification),
		TEST(amplification_spares_who_proved_itself),
		TEST(truncated),
		TEST(mutated),
	};

	return cmocka_run_group_tests(tests, shield_setup_all, shield_teardown_all);
}
