// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The shield, packet in, verdict and octets out: every answer that amtd would give (RFC 7450 5.3.3,
 * RFC 9601), whose MACs end there, what is left to amtd, and what nobody may be sent.
 */
#include "unit/unit.h"
#include "bpf/helper_shield.h"

#include <arpa/inet.h>
#include <linux/bpf.h>
#include <string.h>
#include <amt/wire.h>
#include <bpf/bpf.h>
#include "proto/query.h"
#include "proto/report.h"
#include "proto/response_mac.h"

#define NONCE 0x78563412

static struct shield s;
static struct shield_frame f;

static const char *const outer[2] = {GATEWAY4, GATEWAY6};

static struct amt_sockaddr gateway(const char *from)
{
	return (struct amt_sockaddr){packet_address(from), htons(PORT)};
}

static int reset(void **state)
{
	shield_reset(&s);
	return 0;
}

/* ---- Discovery ---- */

static void ask(const char *from, const char *to, const void *payload, uint32_t length)
{
	shield_build(&f, from, PORT, to, payload, length);
}

static void discover(const char *from, const char *to, const char *advertised)
{
	const uint8_t discovery[9] = {AMT_DISCOVERY, 0, 0, 0, 0x12, 0x34, 0x56, 0x78, 0xff};
	struct amt_message msg;
	struct amt_addr want = packet_address(advertised);

	for (uint32_t length = 8; length <= 9; length++) {
		ask(from, to, discovery, length);
		assert_int_equal(shield_run(&s, &f), XDP_TX);
		msg = shield_answer(&s, &f);
		assert_int_equal(msg.type, AMT_ADVERTISEMENT);
		assert_int_equal(msg.nonce, NONCE);
		assert_true(addr_equal(&msg.relay, &want));
	}
}

static void discoveries(void **state)
{
	const uint8_t zero[8] = {AMT_DISCOVERY};

	discover(GATEWAY4, RELAY4, RELAY4);
	discover(GATEWAY6, RELAY6, RELAY6);
	discover(GATEWAY4, DISCOVERY4, RELAY4); /* and it leaves from there */
	assert_int_equal(shield_counter(&s, AMT_COUNT_DISCOVERY_RECEIVED), 6);
	assert_int_equal(shield_counter(&s, AMT_COUNT_ADVERTISEMENT_SENT), 6);
	assert_int_equal(shield_counter(&s, AMT_COUNT_SHIELD_ANSWERED), 6);
	assert_int_equal(shield_counter(&s, AMT_COUNT_ZERO_NONCE), 0);
	ask(GATEWAY4, RELAY4, zero, sizeof(zero));
	assert_int_equal(shield_run(&s, &f), XDP_TX);
	assert_int_equal(shield_counter(&s, AMT_COUNT_ZERO_NONCE), 1);
}

/* ---- Request ---- */

static void request(const char *from, uint8_t flags)
{
	uint8_t octets[8] = {AMT_REQUEST, flags, 0xff, 0xff, 0x12, 0x34, 0x56, 0x78};

	ask(from, strchr(from, ':') ? RELAY6 : RELAY4, octets, sizeof(octets));
}

/* The whole message, octet by octet, is what the codec of userspace writes. */
static void expect_query(const char *from, bool mld, bool ecn, bool limit, bool teardown)
{
	const struct amt_secret secret = shield_key('c');
	struct amt_message want = {
		.type = AMT_QUERY,
		.nonce = NONCE,
		.limit = limit,
		.gateway_present = teardown,
		.gateway = gateway(from),
		.datagram = mld ? s.policy.mld_query : s.policy.igmp_query,
		.datagram_len = mld ? QUERY_MLD_LEN : QUERY_IGMP_LEN,
	};
	const uint8_t *got = s.out + 14 + (strchr(from, ':') ? 40 : 20) + 8;
	uint8_t octets[512];
	int length;

	shield_answer(&s, &f);
	response_mac(&secret, &want.gateway, NONCE, ecn, want.mac);
	length = message_write(&want, octets, sizeof(octets));
	assert_int_equal(s.out_length, (got - s.out) + length);
	assert_memory_equal(got, octets, length);
}

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
		const char *from = outer[i >> 8 & 1];
		bool limit = i >> 9 & 1, ecn = flags & AMT_REQUEST_E;
		unsigned int m = i >> 10;

		s.policy.flags = mode[m].flags | AMT_SHIELD_LINUX_P |
				 (limit ? AMT_SHIELD_LIMIT | AMT_SHIELD_DRAINING : 0);
		shield_policy(&s);
		request(from, flags);
		assert_int_equal(shield_run(&s, &f), XDP_TX);
		expect_query(from, flags & (AMT_REQUEST_P | AMT_REQUEST_P_LINUX), ecn, limit,
			     ecn ? mode[m].with : mode[m].without);
		n++;
	}
	assert_int_equal(shield_counter(&s, AMT_COUNT_REQUEST_RECEIVED), n);
	assert_int_equal(shield_counter(&s, AMT_COUNT_QUERY_SENT), n);
	assert_int_equal(shield_counter(&s, AMT_COUNT_QUERY_LIMIT_SET), n / 2);
	assert_int_equal(shield_counter(&s, AMT_COUNT_REQUEST_LINUX_P), n / 2);
}

static void linux_p_can_be_refused(void **state)
{
	s.policy.flags &= ~AMT_SHIELD_LINUX_P;
	shield_policy(&s);
	request(GATEWAY4, AMT_REQUEST_P_LINUX);
	assert_int_equal(shield_run(&s, &f), XDP_TX);
	expect_query(GATEWAY4, false, false, false, false);
}

/* ---- Update and Teardown ---- */

static void update_with(const char *from, char letter, bool ecn, unsigned int bit)
{
	struct amt_secret secret = shield_key(letter);
	struct amt_sockaddr peer = gateway(from);
	struct amt_message msg = {.type = AMT_UPDATE, .nonce = NONCE};
	uint8_t report[40] = {0x46};

	response_mac(&secret, &peer, NONCE, ecn, msg.mac);
	if (bit < 8 * AMT_MAC_LEN)
		msg.mac[bit / 8] ^= 1 << bit % 8;
	msg.datagram = report;
	msg.datagram_len = sizeof(report);
	shield_message(&f, from, &msg);
}

static void teardown_with(const char *from, char letter, bool ecn, unsigned int bit)
{
	struct amt_secret secret = shield_key(letter);
	struct amt_message msg = {.type = AMT_TEARDOWN, .nonce = NONCE, .gateway = gateway(from)};

	response_mac(&secret, &msg.gateway, NONCE, ecn, msg.mac);
	msg.mac[bit / 8] ^= 1 << bit % 8;
	shield_message(&f, from, &msg);
}

#define UNCHANGED UINT32_MAX

static int update(const char *from, char letter, bool ecn)
{
	int verdict;

	update_with(from, letter, ecn, UNCHANGED);
	verdict = shield_run(&s, &f);
	if (verdict == XDP_PASS) {
		assert_int_equal(s.out_length, f.length);
		assert_memory_equal(s.out, f.octets, f.length);
	}
	return verdict;
}

static void updates(void **state)
{
	shield_secret(&s, 1, 'p', 1);
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(update(outer[i & 1], 'c', i & 2), XDP_PASS);
		assert_int_equal(update(outer[i & 1], 'p', i & 2), XDP_PASS);
		assert_int_equal(update(outer[i & 1], 'x', i & 2), XDP_DROP);
		for (unsigned int bit = 0; bit < 8 * AMT_MAC_LEN; bit++) {
			update_with(outer[i & 1], 'c', i & 2, bit);
			assert_int_equal(shield_run(&s, &f), XDP_DROP);
		}
	}
	assert_int_equal(shield_counter(&s, AMT_COUNT_SHIELD_AUTHENTIC), 8);
	assert_int_equal(shield_counter(&s, AMT_COUNT_SHIELD_BAD_MAC), 4 * 49);
	assert_int_equal(shield_counter(&s, AMT_COUNT_BAD_MAC), 4 * 49);
	assert_int_equal(shield_counter(&s, AMT_COUNT_UPDATE_RECEIVED), 4 * 49);
}

/* four octets of the MAC are enough where the configuration says so, under either secret, in
 * Updates and in Teardowns. */
static void short_macs(void **state)
{
	shield_secret(&s, 1, 'p', 1);
	s.policy.flags |= AMT_SHIELD_SHORT_MAC;
	shield_policy(&s);
	for (unsigned int i = 0; i < 8; i++)
		for (unsigned int bit = 0; bit < 8 * AMT_MAC_LEN; bit++) {
			bool wrong = bit < 8 * AMT_MAC_SHORT_LEN;

			update_with(outer[i & 1], i & 4 ? 'p' : 'c', i & 2, bit);
			assert_int_equal(shield_run(&s, &f), wrong ? XDP_DROP : XDP_PASS);
			teardown_with(outer[i & 1], i & 4 ? 'p' : 'c', i & 2, bit);
			assert_int_equal(shield_run(&s, &f), wrong ? XDP_DROP : XDP_PASS);
		}
}

/* The MAC covers address, port and nonce: each bit of them. */
static void updates_of_somebody_else(void **state)
{
	for (unsigned int i = 0; i < 2; i++) {
		unsigned int address = i ? 16 : 4, at = 14 + (i ? 8 : 12);

		for (unsigned int bit = 0; bit < 8 * (address + 2 + 4); bit++) {
			uint32_t octet = bit / 8;

			update_with(outer[i], 'c', false, UNCHANGED);
			if (octet < address)
				octet += at;
			else if (octet < address + 2)
				octet += f.udp - address;
			else
				octet += f.payload + AMT_UPDATE_NONCE - address - 2;
			f.octets[octet] ^= 1 << bit % 8;
			shield_checksums(&f);
			/* some sources are the stack's: it has no socket's answer for them */
			if (shield_run(&s, &f) == XDP_PASS)
				assert_in_range(octet, at, at + 1);
		}
	}
	assert_int_equal(shield_counter(&s, AMT_COUNT_SHIELD_AUTHENTIC), 0);
}

/* until some time after its successor was made */
static void previous_secret_ends(void **state)
{
	shield_secret(&s, 1, 'p', 1);
	assert_int_equal(update(GATEWAY4, 'p', true), XDP_PASS);
	shield_secret(&s, 0, 'c', 1000);
	s.policy.previous_ns = 0;
	s.policy.flags = 0;
	shield_policy(&s);
	assert_int_equal(update(GATEWAY4, 'p', true), XDP_DROP);
	assert_int_equal(update(GATEWAY4, 'c', true), XDP_PASS);
	s.policy.previous_ns = UINT64_MAX / 2;
	shield_policy(&s);
	assert_int_equal(update(GATEWAY4, 'p', true), XDP_PASS);
	shield_secret(&s, 1, 'p', 0); /* cleared */
	assert_int_equal(update(GATEWAY4, 'p', true), XDP_DROP);
}

/* An empty slot has a known key. */
static void no_secret_matches_nothing(void **state)
{
	shield_secret(&s, 0, '\0', 0);
	assert_int_equal(update(GATEWAY4, '\0', false), XDP_DROP);
	request(GATEWAY4, 0);
	assert_int_equal(shield_run(&s, &f), XDP_PASS);
}

/* what was right once goes through again for one GMI, from that very endpoint */
static void repeated_updates(void **state)
{
	assert_int_equal(update(GATEWAY4, 'c', false), XDP_PASS);
	shield_secret(&s, 0, 'd', 1);
	assert_int_equal(update(GATEWAY4, 'c', false), XDP_PASS);
	assert_int_equal(update(GATEWAY4, 'c', true), XDP_DROP); /* another MAC */
	assert_int_equal(update(GATEWAY6, 'c', false), XDP_DROP);
	s.policy.flags &= ~AMT_SHIELD_REPEATED;
	shield_policy(&s);
	assert_int_equal(update(GATEWAY4, 'c', false), XDP_DROP);
	s.policy.flags |= AMT_SHIELD_REPEATED;
	s.policy.proven_ns = 0;
	shield_policy(&s);
	assert_int_equal(update(GATEWAY4, 'd', false), XDP_PASS); /* its time is over at once */
	shield_secret(&s, 0, 'e', 1);
	assert_int_equal(update(GATEWAY4, 'd', false), XDP_DROP);
}

/* at the limit, one without E that may have a tunnel is amtd's to decide */
static void limit_spares_who_may_have_a_tunnel(void **state)
{
	assert_int_equal(update(GATEWAY4, 'c', false), XDP_PASS);
	s.policy.flags |= AMT_SHIELD_LIMIT;
	shield_policy(&s);
	request(GATEWAY4, 0);
	assert_int_equal(shield_run(&s, &f), XDP_PASS);
	request(GATEWAY4, AMT_REQUEST_E);
	assert_int_equal(shield_run(&s, &f), XDP_TX);
	expect_query(GATEWAY4, false, true, true, true);
	request(GATEWAY6, 0);
	assert_int_equal(shield_run(&s, &f), XDP_TX);
	expect_query(GATEWAY6, false, false, true, false);
	s.policy.flags |= AMT_SHIELD_DRAINING;
	shield_policy(&s);
	request(GATEWAY4, 0);
	assert_int_equal(shield_run(&s, &f), XDP_TX);
	expect_query(GATEWAY4, false, false, true, false);
}

/* Over its own fields, wherever it comes from */
static void teardowns(void **state)
{
	struct amt_secret secret = shield_key('c');

	for (unsigned int i = 0; i < 8; i++) {
		struct amt_message msg = {
			.type = AMT_TEARDOWN, .nonce = NONCE, .gateway = gateway(outer[i & 1])};

		response_mac(&secret, &msg.gateway, NONCE, i & 2, msg.mac);
		shield_message(&f, outer[i >> 2], &msg);
		assert_int_equal(shield_run(&s, &f), XDP_PASS);
		msg.gateway.port ^= 1;
		shield_message(&f, outer[i >> 2], &msg);
		assert_int_equal(shield_run(&s, &f), XDP_DROP);
	}
	assert_int_equal(shield_counter(&s, AMT_COUNT_SHIELD_AUTHENTIC), 8);
	assert_int_equal(shield_counter(&s, AMT_COUNT_TEARDOWN_BAD_MAC), 8);
	assert_int_equal(shield_counter(&s, AMT_COUNT_TEARDOWN_RECEIVED), 8);
	assert_int_equal(shield_counter(&s, AMT_COUNT_SHIELD_BAD_MAC), 8);
}

/* ---- what is left to amtd ---- */

static void passes(const char *what)
{
	int verdict = shield_run(&s, &f);

	if (verdict != XDP_PASS)
		fail_msg("%s: verdict %d", what, verdict);
	assert_int_equal(s.out_length, f.length);
	assert_memory_equal(s.out, f.octets, f.length);
}

static void passes_with(const char *from, const char *what, uint32_t octet, uint8_t change)
{
	request(from, 0);
	f.octets[octet] ^= change;
	shield_checksums(&f);
	passes(what);
}

static void left_to_amtd(void **state)
{
	uint8_t longer[10] = {AMT_REQUEST}, all_types[16][12];

	for (unsigned int i = 0; i < 2; i++) {
		unsigned int udp = i ? 54 : 34;

		passes_with(outer[i], "to another MAC address", 5, 0x80);
		passes_with(outer[i], "to a group's MAC address", 0, 0x01);
		passes_with(outer[i], "another ethertype", 13, 0x01);
		passes_with(outer[i], "another address of ours", i ? 53 : 33, 0x40);
		passes_with(outer[i], "another port", udp + 3, 0x01);
		passes_with(outer[i], "another protocol", i ? 20 : 23, 0x01);
		passes_with(outer[i], "another IP version", 14, 0x10);
		passes_with(outer[i], "version 1 of AMT", udp + 8, 0x10);
		request(outer[i], 0);
		f.octets[udp] = f.octets[udp + 1] = 0;
		shield_checksums(&f);
		passes("from port 0");
		request(outer[i], 0);
		f.octets[udp + 12] ^= 1;
		passes("damaged");
		request(outer[i], 0);
		f.octets[udp + 5]--;
		passes("UDP length");
		ask(outer[i], i ? RELAY6 : RELAY4, longer, sizeof(longer));
		passes("odd length");
	}
	passes_with(GATEWAY4, "IPv4 options", 14, 0x03);
	passes_with(GATEWAY4, "a fragment", 20, 0x20);
	passes_with(GATEWAY4, "a later fragment", 21, 0x01);
	request(GATEWAY4, 0);
	f.octets[24] ^= 1;
	passes("IPv4 header checksum");
	request(GATEWAY6, 0);
	memset(f.octets + 60, 0, 2);
	passes("IPv6 without a checksum");
	memset(all_types, 0, sizeof(all_types));
	for (unsigned int type = 0; type < 16; type++) {
		all_types[type][0] = type;
		ask(GATEWAY4, RELAY4, all_types[type], 12);
		if (type != AMT_UPDATE)
			passes("type or length");
	}
}

static void sources_that_the_stack_judges(void **state)
{
	static const char *const odd[] = {"0.1.2.3", "127.0.0.1", "224.0.0.1", "255.255.255.255",
					  "::",	     "::1",	  "fe80::9",   "ff02::1"};

	for (unsigned int i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		request(odd[i], 0);
		passes(odd[i]);
	}
}

static void vlan_tags(void **state)
{
	request(GATEWAY4, 0);
	memmove(f.octets + 16, f.octets + 12, f.length - 12);
	memcpy(f.octets + 12, "\x81\x00\x00\x07", 4);
	f.length += 4;
	passes("a VLAN tag");
}

/* No checksum on IPv4, and one that a sender on this host left to a device */
static void checksums_that_are_none(void **state)
{
	for (unsigned int i = 0; i < 2; i++) {
		uint8_t *udp;
		uint32_t sum = 17 + 16;
		uint32_t first = i ? 22 : 26, last = i ? 54 : 34;

		request(outer[i], 0);
		udp = f.octets + f.udp;
		for (uint32_t at = first; at < last; at += 2)
			sum += f.octets[at] << 8 | f.octets[at + 1];
		while (sum >> 16)
			sum = (sum & 0xffff) + (sum >> 16);
		udp[6] = sum >> 8;
		udp[7] = sum;
		assert_int_equal(shield_run(&s, &f), XDP_TX);
		expect_query(outer[i], false, false, false, false);
	}
	request(GATEWAY4, 0);
	memset(f.octets + 40, 0, 2);
	assert_int_equal(shield_run(&s, &f), XDP_TX);
	expect_query(GATEWAY4, false, false, false, false);
}

/* While amtd is away a gateway's Update would be lost: let it ask again. */
static void nobody_listens(void **state)
{
	shield_listen(&s, false);
	request(GATEWAY4, 0);
	passes("no socket, IPv4");
	request(GATEWAY6, 0);
	passes("no socket, IPv6");
	shield_listen(&s, true);
	request(GATEWAY4, 0);
	assert_int_equal(shield_run(&s, &f), XDP_TX);
}

static void switched_off(void **state)
{
	uint32_t zero = 0;

	s.config.shield = 0;
	assert_int_equal(bpf_map_update_elem(shield_map(&s, "config"), &zero, &s.config, 0), 0);
	request(GATEWAY4, 0);
	passes("shield off");
	assert_int_equal(update(GATEWAY4, 'x', false), XDP_PASS);
}

static void permit(uint32_t list, uint32_t bits, const char *address)
{
	const struct amt_addr addr = packet_address(address);

	shield_permit(&s, list, bits, &addr);
}

static void permitted_gateways(void **state)
{
	s.policy.flags |= AMT_SHIELD_PERMIT;
	shield_policy(&s);
	permit(0, 120, "203.0.113.0");
	request(GATEWAY4, 0);
	assert_int_equal(shield_run(&s, &f), XDP_TX);
	request("203.0.114.9", 0);
	assert_int_equal(shield_run(&s, &f), XDP_DROP);
	request(GATEWAY6, 0);
	assert_int_equal(shield_run(&s, &f), XDP_DROP);
	assert_int_equal(shield_counter(&s, AMT_COUNT_GATEWAY_NOT_PERMITTED), 2);
}

/* Two lists stand side by side, and the policy says which is in force. */
static void permitted_by_the_list_in_force(void **state)
{
	s.policy.flags |= AMT_SHIELD_PERMIT;
	permit(0, 120, "203.0.113.0");
	permit(1, 32, "2001:db8::");
	for (unsigned int i = 0; i < 4; i++) {
		s.policy.permitted = i >> 1;
		shield_policy(&s);
		request(outer[i & 1], 0);
		assert_int_equal(shield_run(&s, &f), (i & 1) == i >> 1 ? XDP_TX : XDP_DROP);
	}
}

/* ---- what nobody may be sent ---- */

static void rate_of_a_source(void **state)
{
	s.policy.limits.interval_ns = 3600000000000; /* one an hour, 9 more at once */
	s.policy.limits.tolerance_ns = 9 * s.policy.limits.interval_ns;
	shield_policy(&s);
	for (unsigned int i = 0; i < 30; i++) {
		request(GATEWAY4, 0);
		assert_int_equal(shield_run(&s, &f), i < 10 ? XDP_TX : XDP_DROP);
	}
	request(GATEWAY6, 0);
	assert_int_equal(shield_run(&s, &f), XDP_TX);
	assert_int_equal(shield_counter(&s, AMT_COUNT_REQUEST_RATE_LIMITED), 20);
	assert_int_equal(shield_counter(&s, AMT_COUNT_SHIELD_REFUSED), 20);
	assert_int_equal(shield_counter(&s, AMT_COUNT_REQUEST_RECEIVED), 31);
}

/* In total, whatever it asks for, Ethernet's padding not counted */
static void amplification(void **state)
{
	for (unsigned int bound = 1; bound <= 5; bound++) {
		uint64_t in = 0, out = 0;

		shield_reset(&s);
		s.policy.limits.amplification = bound;
		s.policy.flags |= AMT_SHIELD_G;
		shield_policy(&s);
		for (unsigned int i = 0; i < 200; i++) {
			uint8_t discovery[8] = {AMT_DISCOVERY};

			if (i % 5 == 4)
				ask(GATEWAY4, RELAY4, discovery, sizeof(discovery));
			else
				request(GATEWAY4, i % 3);
			in += f.octets[17];
			if (shield_run(&s, &f) == XDP_TX)
				out += s.out[17];
			assert_in_range(out, 0, in * bound);
		}
		assert_true(out > in * (bound < 3 ? bound : 2) - 200); /* all that is allowed */
		if (bound >= 4)
			assert_int_equal(shield_counter(&s, AMT_COUNT_AMPLIFICATION_LIMITED), 0);
		else
			assert_true(shield_counter(&s, AMT_COUNT_AMPLIFICATION_LIMITED) > 0);
	}
}

static void amplification_spares_who_proved_itself(void **state)
{
	s.policy.limits.amplification = 1;
	shield_policy(&s);
	request(GATEWAY4, AMT_REQUEST_P);
	assert_int_equal(shield_run(&s, &f), XDP_DROP);
	assert_int_equal(update(GATEWAY4, 'c', false), XDP_PASS);
	request(GATEWAY4, AMT_REQUEST_P);
	assert_int_equal(shield_run(&s, &f), XDP_TX);
}

/* ---- hostile frames ---- */

static void truncated(void **state)
{
	const uint8_t discovery[8] = {AMT_DISCOVERY, 0, 0, 0, 1, 2, 3, 4};
	uint32_t full;

	for (unsigned int kind = 0; kind < 6; kind++) {
		const char *from = outer[kind & 1];

		if (kind < 2)
			ask(from, kind ? RELAY6 : RELAY4, discovery, sizeof(discovery));
		else if (kind < 4)
			request(from, AMT_REQUEST_P);
		else
			update_with(from, 'x', false, UNCHANGED);
		full = f.payload + (kind < 4 ? 8 : 52);
		for (f.length = 14; f.length < full; f.length++)
			passes("cut off");
		assert_int_equal(shield_run(&s, &f), kind < 4 ? XDP_TX : XDP_DROP);
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
			request(outer[i & 1], i >> 2);
		else
			update_with(outer[i & 1], 'c', false, UNCHANGED);
		seed = seed * 1664525 + 1013904223;
		changes = 1 + (seed >> 30);
		while (changes--) {
			seed = seed * 1664525 + 1013904223;
			f.octets[(seed >> 16) % f.length] ^= 1 << (seed >> 8 & 7);
		}
		if (i & 4)
			shield_checksums(&f);
		switch (shield_run(&s, &f)) {
		case XDP_TX:
			answers++;
			if (!shield_is_answer(&s, &f, &why))
				fail_msg("mutation %u: %s", i, why);
			break;
		case XDP_PASS:
			assert_memory_equal(s.out, f.octets, f.length);
			break;
		default:
			assert_int_equal(shield_counter(&s, AMT_COUNT_SHIELD_BAD_MAC) > 0, 1);
		}
	}
	assert_true(answers > 100);
}

static int open_all(void **state)
{
	shield_open(&s);
	return 0;
}

static int close_all(void **state)
{
	shield_close(&s);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup(name, reset)
		TEST(discoveries),
		TEST(requests),
		TEST(linux_p_can_be_refused),
		TEST(updates),
		TEST(short_macs),
		TEST(updates_of_somebody_else),
		TEST(previous_secret_ends),
		TEST(no_secret_matches_nothing),
		TEST(repeated_updates),
		TEST(limit_spares_who_may_have_a_tunnel),
		TEST(teardowns),
		TEST(left_to_amtd),
		TEST(sources_that_the_stack_judges),
		TEST(vlan_tags),
		TEST(checksums_that_are_none),
		TEST(nobody_listens),
		TEST(switched_off),
		TEST(permitted_gateways),
		TEST(permitted_by_the_list_in_force),
		TEST(rate_of_a_source),
		TEST(amplification),
		TEST(amplification_spares_who_proved_itself),
		TEST(truncated),
		TEST(mutated),
	};

	return cmocka_run_group_tests(tests, open_all, close_all);
}
