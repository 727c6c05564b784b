/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The AMT codec: every message both ways, every length, reserved bits, gateways' quirks. */
#include "unit/unit.h"
#include "unit/bytes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "proto/message.h"

#define NONCE	      "01020304"
#define MAC	      "a1a2a3a4a5a6"
#define DATAGRAM      "45000014 deadbeef"
#define ZERO12	      "00000000 00000000 00000000"
#define ADDR6	      "20010db8 00000000 00000000 00000001"
#define GATEWAY4      "9cb0" ZERO12 "c0000201" /* 192.0.2.1:40112 */
#define GATEWAY6      "9cb0" ADDR6
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

struct sample {
	const char *name, *hex;
	enum amt_type type;
	bool want_mld, linux_p, ecn, limit, gateway_present;
	const char *gateway, *relay;
	size_t datagram_at;
};

/* RFC 7450 5.1.1 .. 5.1.7, each form that a message has. */
static const struct sample samples[] = {
	{"discovery", "01000000" NONCE, .type = AMT_DISCOVERY},
	{"advertisement4", "02000000" NONCE "c0000202", AMT_ADVERTISEMENT, .relay = "192.0.2.2"},
	{"advertisement6", "02000000" NONCE ADDR6, AMT_ADVERTISEMENT, .relay = "2001:db8::1"},
	{"request", "03000000" NONCE, .type = AMT_REQUEST},
	{"request P", "03010000" NONCE, AMT_REQUEST, .want_mld = true},
	{"request E", "03020000" NONCE, AMT_REQUEST, .ecn = true},
	{"request P E", "03030000" NONCE, AMT_REQUEST, .want_mld = true, .ecn = true},
	{"request, Linux P (Q-13)", "03800000" NONCE, AMT_REQUEST, .want_mld = true,
	 .linux_p = true},
	{"query", "0400" MAC NONCE DATAGRAM, AMT_QUERY, .datagram_at = 12},
	{"query L", "0402" MAC NONCE DATAGRAM, AMT_QUERY, .limit = true, .datagram_at = 12},
	{"query G, IPv4", "0401" MAC NONCE DATAGRAM GATEWAY4, AMT_QUERY, .gateway_present = true,
	 .gateway = "192.0.2.1", .datagram_at = 12},
	{"query L G, IPv6", "0403" MAC NONCE DATAGRAM GATEWAY6, AMT_QUERY, .limit = true,
	 .gateway_present = true, .gateway = "2001:db8::1", .datagram_at = 12},
	{"update", "0500" MAC NONCE DATAGRAM, AMT_UPDATE, .datagram_at = 12},
	{"data", "0600" DATAGRAM, AMT_DATA, .datagram_at = 2},
	{"teardown, IPv4", "0700" MAC NONCE GATEWAY4, AMT_TEARDOWN, .gateway = "192.0.2.1"},
	{"teardown, IPv6", "0700" MAC NONCE GATEWAY6, AMT_TEARDOWN, .gateway = "2001:db8::1"},
};

static bool has_mac(enum amt_type type)
{
	return type == AMT_QUERY || type == AMT_UPDATE || type == AMT_TEARDOWN;
}

static void assert_sample(const struct sample *sample, const uint8_t *buf,
			  const struct amt_message *msg)
{
	static const uint8_t mac[] = {0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6};
	struct amt_addr addr;

	assert_int_equal(msg->type, sample->type);
	assert_int_equal(msg->nonce, sample->type == AMT_DATA ? 0 : htonl(0x01020304));
	if (has_mac(sample->type))
		assert_memory_equal(msg->mac, mac, sizeof(mac));
	assert_int_equal(msg->want_mld, sample->want_mld);
	assert_int_equal(msg->linux_p, sample->linux_p);
	assert_int_equal(msg->ecn, sample->ecn);
	assert_int_equal(msg->limit, sample->limit);
	assert_int_equal(msg->gateway_present, sample->gateway_present);
	if (sample->gateway) {
		addr = address(sample->gateway);
		assert_true(addr_equal(&msg->gateway.addr, &addr));
		assert_int_equal(msg->gateway.port, htons(40112));
	}
	if (sample->relay) {
		addr = address(sample->relay);
		assert_true(addr_equal(&msg->relay, &addr));
	}
	if (sample->datagram_at) {
		assert_ptr_equal(msg->datagram, buf + sample->datagram_at);
		assert_int_equal(msg->datagram_len, 8);
	}
}

static void both_ways(void **state)
{
	uint8_t in[256], out[256];
	struct amt_message msg;
	size_t i, len;

	for (i = 0; i < ARRAY_SIZE(samples); i++) {
		len = unhex(samples[i].hex, in, sizeof(in));
		assert_int_equal(message_parse(in, len, &msg), 0);
		assert_sample(&samples[i], in, &msg);
		memset(out, 0xee, sizeof(out));
		assert_int_equal(message_write(&msg, out, sizeof(out)), len);
		assert_memory_equal(out, in, len);
		assert_int_equal(out[len], 0xee);
	}
}

/* What a message of `full` octets, cut to `len`, must give. */
static int expected_when_cut(const struct sample *sample, size_t full, size_t len)
{
	size_t least = sample->datagram_at ? full - 8 : full;

	if (sample->type == AMT_ADVERTISEMENT)
		return len == 12 || len == 24 ? 0 : -AMT_COUNT_SHORT_MESSAGE;
	return len < least ? -AMT_COUNT_SHORT_MESSAGE : 0;
}

static void every_length(void **state)
{
	uint8_t in[256];
	struct amt_message msg;
	struct exact cut;
	size_t i, len, full;

	for (i = 0; i < ARRAY_SIZE(samples); i++) {
		full = unhex(samples[i].hex, in, sizeof(in));
		for (len = 0; len <= full; len++) {
			cut = exact_copy(in, len);
			assert_int_equal(message_parse(cut.data, len, &msg),
					 expected_when_cut(&samples[i], full, len));
			free_exact(&cut);
		}
	}
}

static void every_room(void **state)
{
	uint8_t in[256];
	struct amt_message msg;
	struct exact room;
	size_t i, size, full;

	for (i = 0; i < ARRAY_SIZE(samples); i++) {
		full = unhex(samples[i].hex, in, sizeof(in));
		assert_int_equal(message_parse(in, full, &msg), 0);
		for (size = 0; size <= full; size++) {
			room = exact_copy(in, size);
			assert_int_equal(message_write(&msg, room.data, size),
					 size < full ? -ENOSPC : (int)full);
			free_exact(&room);
		}
	}
}

/* Bits that are set although reserved change nothing, and are not sent on. */
static void reserved_bits_are_ignored(void **state)
{
	static const struct {
		size_t at;
		uint8_t bits[8]; /* by type */
	} reserved[] = {
		{1,
		 {[1] = 0xff,
		  [2] = 0xff,
		  [3] = 0x7c,
		  [4] = 0xfc,
		  [5] = 0xff,
		  [6] = 0xff,
		  [7] = 0xff}},
		{2, {[1] = 0xff, [2] = 0xff, [3] = 0xff}},
		{3, {[1] = 0xff, [2] = 0xff, [3] = 0xff}},
	};
	uint8_t in[256], out[256];
	struct amt_message msg;
	size_t i, r, len;

	for (i = 0; i < ARRAY_SIZE(samples); i++) {
		len = unhex(samples[i].hex, in, sizeof(in));
		for (r = 0; r < ARRAY_SIZE(reserved); r++)
			in[reserved[r].at] |= reserved[r].bits[samples[i].type];
		assert_int_equal(message_parse(in, len, &msg), 0);
		assert_sample(&samples[i], in, &msg);
		assert_int_equal(message_write(&msg, out, sizeof(out)), len);
		assert_hex(out, len, samples[i].hex);
	}
}

static void other_versions_and_types(void **state)
{
	uint8_t in[64] = {0};
	struct amt_message msg = {0};
	unsigned int octet;

	for (octet = 0; octet < 256; octet++) {
		int expected = 0;

		in[0] = (uint8_t)octet;
		if (octet > 0x0f)
			expected = -AMT_COUNT_BAD_VERSION; /* */
		else if (octet < AMT_DISCOVERY || octet > AMT_TEARDOWN)
			expected = -AMT_COUNT_BAD_TYPE;
		else if (octet == AMT_ADVERTISEMENT)
			continue;
		assert_int_equal(message_parse(in, sizeof(in), &msg), expected);
	}
	msg.type = 0;
	assert_int_equal(message_write(&msg, in, sizeof(in)), -EINVAL);
	msg.type = 8;
	assert_int_equal(message_write(&msg, in, sizeof(in)), -EINVAL);
}

/* Only 12 and 24 say which family the address is of (RFC 7450 5.1.2.6). */
static void advertisement_family_follows_length(void **state)
{
	uint8_t in[64] = {AMT_ADVERTISEMENT};
	struct amt_message msg;
	size_t len;

	for (len = 8; len <= sizeof(in); len++)
		assert_int_equal(message_parse(in, len, &msg),
				 len == 12 || len == 24 ? 0 : -AMT_COUNT_SHORT_MESSAGE);
}

/* VLC's Request has a ninth octet; longer ones are as good. */
static void longer_requests(void **state)
{
	uint8_t in[64];
	struct amt_message msg;
	size_t len = unhex("03000000" NONCE "00", in, sizeof(in));

	assert_int_equal(len, 9);
	assert_int_equal(message_parse(in, len, &msg), 0);
	assert_int_equal(msg.nonce, htonl(0x01020304));
	assert_int_equal(message_parse(in, sizeof(in), &msg), 0);
}

/* P at both places at once is still P; E with Linux' P is E. */
static void request_flags(void **state)
{
	uint8_t in[64];
	struct amt_message msg;
	size_t len = unhex("03830000" NONCE, in, sizeof(in));

	assert_int_equal(message_parse(in, len, &msg), 0);
	assert_true(msg.want_mld && msg.linux_p && msg.ecn);
	msg = (struct amt_message){.type = AMT_REQUEST, .linux_p = true};
	assert_int_equal(message_write(&msg, in, sizeof(in)), 8);
	assert_int_equal(in[1], 0); /* no P, wherever it would stand */
}

/* A Teardown with the v4-mapped form means the same endpoint; it is written as RFC 7450 wants. */
static void gateway_address_forms(void **state)
{
	static const char mapped[] = "0700" MAC NONCE "9cb0 00000000 00000000 0000ffff c0000201";
	struct amt_addr expected = address("192.0.2.1");
	uint8_t in[64], out[64];
	struct amt_message msg;
	size_t len = unhex(mapped, in, sizeof(in));

	assert_int_equal(message_parse(in, len, &msg), 0);
	assert_true(addr_equal(&msg.gateway.addr, &expected));
	assert_int_equal(message_write(&msg, out, sizeof(out)), 30);
	assert_hex(out, 30, "0700" MAC NONCE GATEWAY4);
}

/* G says that 18 octets follow the datagram; they are the last ones. */
static void query_lengths(void **state)
{
	static const struct {
		size_t datagram, len;
		bool gateway;
	} row[] = {{36, 48, false}, {36, 66, true}, {76, 88, false}, {76, 106, true}};
	static const uint8_t datagram[76];
	struct amt_message msg = {.type = AMT_QUERY, .datagram = datagram}, back;
	uint8_t out[128];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(row); i++) {
		msg.datagram_len = row[i].datagram;
		msg.gateway_present = row[i].gateway;
		assert_int_equal(message_write(&msg, out, sizeof(out)), row[i].len);
		assert_int_equal(message_parse(out, row[i].len, &back), 0);
		assert_int_equal(back.datagram_len, row[i].datagram);
		assert_int_equal(back.gateway_present, row[i].gateway);
	}
}

/* The datagram may be written where it will stand in the message, or elsewhere in that buffer. */
static void datagram_in_place(void **state)
{
	uint8_t buf[64];
	struct amt_message msg = {.type = AMT_DATA, .datagram_len = 8};
	size_t at;

	for (at = 0; at < 8; at++) {
		msg.datagram = buf + at;
		unhex(DATAGRAM, buf + at, sizeof(buf) - at);
		assert_int_equal(message_write(&msg, buf, sizeof(buf)), 10);
		assert_hex(buf, 10, "0600" DATAGRAM);
	}
}

/* A length that would wrap around is too long, not short. */
static void absurd_datagram_length(void **state)
{
	uint8_t buf[64];
	struct amt_message msg = {.type = AMT_DATA, .datagram = buf, .datagram_len = SIZE_MAX};

	assert_int_equal(message_write(&msg, buf, sizeof(buf)), -ENOSPC);
	msg.datagram_len = SIZE_MAX - 1;
	assert_int_equal(message_write(&msg, buf, sizeof(buf)), -ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_ways),
		cmocka_unit_test(every_length),
		cmocka_unit_test(every_room),
		cmocka_unit_test(reserved_bits_are_ignored),
		cmocka_unit_test(other_versions_and_types),
		cmocka_unit_test(advertisement_family_follows_length),
		cmocka_unit_test(longer_requests),
		cmocka_unit_test(request_flags),
		cmocka_unit_test(gateway_address_forms),
		cmocka_unit_test(query_lengths),
		cmocka_unit_test(datagram_in_place),
		cmocka_unit_test(absurd_datagram_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
