/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The Internet checksum, against numbers from elsewhere. */
#include "unit/unit.h"
#include "unit/bytes.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include "base/checksum.h"

/* RFC 1071 3, "Numerical Examples": the sum of these is ddf2. */
static void rfc1071_example(void **state)
{
	static const uint8_t data[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};

	assert_int_equal(checksum_add(0, data, sizeof(data)), 0xddf2);
	assert_int_equal(checksum_finish(0xddf2), htons(0x220d));
	assert_int_equal(checksum_add(checksum_add(0, data, 4), data + 4, 4), 0xddf2);
}

static void odd_length_is_padded_with_zero(void **state)
{
	static const uint8_t data[] = {0x12, 0x34, 0x56};

	assert_int_equal(checksum_add(0, data, sizeof(data)), 0x1234 + 0x5600);
	assert_int_equal(checksum_add(0, data, 0), 0);
}

static void carries_do_not_get_lost(void **state)
{
	static uint8_t ones[65536];

	memset(ones, 0xff, sizeof(ones));
	assert_int_equal(checksum_add(0, ones, sizeof(ones)), 0xffff);
	assert_int_equal(checksum_finish(checksum_add(1, ones, sizeof(ones))), htons(0xfffe));
	assert_true(checksum_good(0x1fffe));
	assert_false(checksum_good(0));
}

/* UDP over IPv4 and over IPv6, the checksums computed by another program. */
static void pseudo_header_of_both_families(void **state)
{
	static const char udp4[] = "8000 8035 000c 4e9d 61626364";
	static const char udp6[] = "8000 8035 000c df5f 61626364";
	struct amt_addr a4 = address("192.0.2.1"), b4 = address("198.51.100.7");
	struct amt_addr a6 = address("2001:db8::1"), b6 = address("2001:db8:ffff::7");
	uint8_t udp[64];
	size_t len = unhex(udp4, udp, sizeof(udp));

	assert_true(checksum_good(
		checksum_add(checksum_add_pseudo(0, &a4, &b4, 17, (uint32_t)len), udp, len)));
	len = unhex(udp6, udp, sizeof(udp));
	assert_true(checksum_good(
		checksum_add(checksum_add_pseudo(0, &a6, &b6, 17, (uint32_t)len), udp, len)));
	udp[9] ^= 1;
	assert_false(checksum_good(
		checksum_add(checksum_add_pseudo(0, &a6, &b6, 17, (uint32_t)len), udp, len)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc1071_example),
		cmocka_unit_test(odd_length_is_padded_with_zero),
		cmocka_unit_test(carries_do_not_get_lost),
		cmocka_unit_test(pseudo_header_of_both_families),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
