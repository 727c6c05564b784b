/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What counts as a channel's packet, and what RTP sequence numbers tell of loss. */
#include "unit/unit.h"

#include <stdlib.h>
#include <string.h>
#include "gateway/arrival.h"

static struct amt_addr address(const char *text)
{
	struct amt_addr addr;

	assert_int_equal(addr_parse(text, &addr), 0);
	return addr;
}

/* An RTP packet of one SSRC. */
static void rtp(struct rtp *rtp, uint16_t sequence)
{
	const uint8_t packet[12] = {
		0x80, 33, (uint8_t)(sequence >> 8), (uint8_t)sequence, 0, 0, 0, 0, 1, 2, 3, 4};

	rtp_packet(rtp, packet, sizeof(packet));
}

static void sequence_numbers(void **state)
{
	static const uint16_t whole[] = {65534, 65535, 0, 1, 2}, gaps[] = {7, 9, 8, 12, 12, 13};
	struct rtp a = {0}, b = {0}, old = {0};
	size_t i;

	for (i = 0; i < 5; i++)
		rtp(&a, whole[i]);
	assert_true(rtp_is_one(&a));
	assert_int_equal(rtp_lost(&a), 0);
	/* 10 and 11 are missing; a duplicate makes up for one, as RFC 3550 A.3 has it */
	for (i = 0; i < 6; i++)
		rtp(&b, gaps[i]);
	assert_int_equal(rtp_lost(&b), 1);
	rtp(&old, 5);
	rtp(&old, 4);
	assert_int_equal(rtp_lost(&old), 0);
}

static void what_is_no_rtp(void **state)
{
	static const uint8_t other[12] = {0x80, 33, 0, 2, 0, 0, 0, 0, 9, 9, 9, 9};
	struct rtp a = {0}, b = {0}, c = {0};

	rtp(&a, 1);
	assert_false(rtp_is_one(&a)); /* one packet is no evidence */
	rtp(&a, 2);
	assert_true(rtp_is_one(&a));
	rtp_packet(&a, other, sizeof(other)); /* another SSRC */
	assert_false(rtp_is_one(&a));
	rtp(&b, 1);
	rtp(&b, 2);
	rtp_packet(&b, (const uint8_t *)"G@\0\020", 4);
	assert_false(rtp_is_one(&b));
	rtp_packet(&c, other, 11);
	assert_false(rtp_is_one(&c));
}

static void ipv4(uint8_t *buf, const char *source, const char *group, uint16_t sequence)
{
	const struct amt_addr from = address(source), to = address(group);

	memset(buf, 0, 40);
	buf[0] = 0x45;
	buf[9] = 17;
	memcpy(buf + 12, from.bytes + 12, 4);
	memcpy(buf + 16, to.bytes + 12, 4);
	buf[28] = 0x80;
	buf[31] = (uint8_t)sequence;
}

static void channels(void **state)
{
	struct arrival one = {.source = address("192.0.2.9"), .group = address("232.1.1.1")};
	struct arrival any = {.group = address("232.1.1.1")};
	uint8_t buf[40];
	size_t held;

	ipv4(buf, "192.0.2.9", "232.1.1.1", 1);
	arrival_datagram(&one, 5, buf, 40, 40);
	arrival_datagram(&any, 5, buf, 40, 40);
	ipv4(buf, "192.0.2.8", "232.1.1.1", 2);
	arrival_datagram(&one, 6, buf, 40, 40);
	arrival_datagram(&any, 6, buf, 40, 40);
	ipv4(buf, "192.0.2.9", "232.1.1.2", 3);
	arrival_datagram(&one, 7, buf, 40, 40);
	arrival_datagram(&any, 7, buf, 40, 40);
	assert_int_equal(one.packets, 1);
	assert_int_equal(one.first_ns, 5);
	assert_int_equal(any.packets, 2);
	assert_int_equal(any.bytes, 80);
	assert_true(rtp_is_one(&any.rtp));
	/* cut off at every length: never counted without its addresses, never read beyond */
	ipv4(buf, "192.0.2.9", "232.1.1.1", 4);
	for (held = 0; held < 20; held++) {
		uint8_t *copy = malloc(held + 1);

		memcpy(copy, buf, held);
		arrival_datagram(&one, 8, copy, held, 40);
		free(copy);
	}
	assert_int_equal(one.packets, 1);
	buf[7] = 1; /* a later fragment: counts, but tells nothing of RTP */
	arrival_datagram(&any, 9, buf, 40, 40);
	assert_int_equal(any.packets, 3);
	assert_false(rtp_is_one(&any.rtp));
}

static void ipv6_channel(void **state)
{
	struct arrival six = {.source = address("2001:db8::9"), .group = address("ff3e::1")};
	uint8_t buf[60] = {0x60, [6] = 17, [48] = 0x80};

	memcpy(buf + 8, six.source.bytes, 16);
	memcpy(buf + 24, six.group.bytes, 16);
	arrival_datagram(&six, 1, buf, 60, 1000);
	buf[51] = 1;
	arrival_datagram(&six, 2, buf, 60, 1000);
	assert_int_equal(six.packets, 2);
	assert_int_equal(six.bytes, 2000);
	assert_true(rtp_is_one(&six.rtp));
	assert_int_equal(rtp_lost(&six.rtp), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sequence_numbers),
		cmocka_unit_test(what_is_no_rtp),
		cmocka_unit_test(channels),
		cmocka_unit_test(ipv6_channel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
