/* SPDX-License-Identifier: GPL-2.0-or-later */
/* General queries: octet for octet, and what a gateway takes for one. */
#include "unit/unit.h"
#include "unit/bytes.h"

#include <errno.h>
#include <string.h>
#include "proto/query.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Made by another program from RFC 3376 4.1 and RFC 3810 5.1 (R-48..R-56, Q-7). */
static const struct {
	bool mld;
	const char *source; /* NULL: any */
	unsigned int robustness, interval_s;
	const char *hex;
} samples[] = {
	{false, NULL, 2, 125,
	 "46c00024 00004000 01020413 00000000 e0000001 94040000"
	 "1101ec81 00000000 027d0000"},
	{false, "192.0.2.1", 7, 248,
	 "46c00024 00004000 01024211 c0000201 e0000001 94040000"
	 "1101e76f 00000000 078f0000"},
	{true, "fe80::1", 2, 125,
	 "60000000 00240001 fe800000 00000000 00000000 00000001"
	 "ff020000 00000000 00000000 00000001 3a000502 00000100"
	 "82007da5 00010000 00000000 00000000 00000000 00000000 027d0000"},
	{true, NULL, 1, 20,
	 "60000000 00240001 00000000 00000000 00000000 00000000"
	 "ff020000 00000000 00000000 00000001 3a000502 00000100"
	 "82007d90 00010000 00000000 00000000 00000000 00000000 01140000"},
};

static struct query_params params_of(size_t i)
{
	struct query_params params = {
		.robustness = samples[i].robustness,
		.interval_s = samples[i].interval_s,
	};

	if (samples[i].source)
		params.source = address(samples[i].source);
	return params;
}

static void octet_for_octet(void **state)
{
	struct query_params params;
	uint8_t buf[128];
	size_t i;
	int len;

	for (i = 0; i < ARRAY_SIZE(samples); i++) {
		params = params_of(i);
		memset(buf, 0xee, sizeof(buf));
		len = query_write(samples[i].mld, &params, buf, sizeof(buf));
		assert_int_equal(len, samples[i].mld ? QUERY_MLD_LEN : QUERY_IGMP_LEN);
		assert_hex(buf, (size_t)len, samples[i].hex);
		assert_int_equal(buf[len], 0xee);
	}
}

static void read_back(void **state)
{
	struct query_params expected, got;
	uint8_t buf[128];
	size_t i, len;
	bool mld;

	for (i = 0; i < ARRAY_SIZE(samples); i++) {
		expected = params_of(i);
		len = unhex(samples[i].hex, buf, sizeof(buf));
		assert_int_equal(query_parse(buf, len, &mld, &got), len);
		assert_int_equal(mld, samples[i].mld);
		assert_true(addr_equal(&got.source, &expected.source));
		assert_int_equal(got.robustness, expected.robustness);
		assert_int_equal(got.interval_s, expected.interval_s);
		/* octets behind it are not part of it */
		assert_int_equal(query_parse(buf, len + 20, &mld, &got), len);
	}
}

static void every_length_and_room(void **state)
{
	struct query_params params, got;
	uint8_t buf[128];
	struct exact exact;
	size_t i, len, full;
	bool mld;

	for (i = 0; i < ARRAY_SIZE(samples); i++) {
		full = unhex(samples[i].hex, buf, sizeof(buf));
		params = params_of(i);
		for (len = 0; len <= full; len++) {
			exact = exact_copy(buf, len);
			assert_int_equal(query_parse(exact.data, len, &mld, &got),
					 len < full ? -EINVAL : (int)full);
			assert_int_equal(query_write(samples[i].mld, &params, exact.data, len),
					 len < full ? -ENOSPC : (int)full);
			free_exact(&exact);
		}
	}
}

static void what_cannot_be_said(void **state)
{
	struct query_params params = {.robustness = 0, .interval_s = 125};
	uint8_t buf[128];

	assert_int_equal(query_write(false, &params, buf, sizeof(buf)), -EINVAL);
	params.robustness = 8; /* three bits */
	assert_int_equal(query_write(false, &params, buf, sizeof(buf)), -EINVAL);
	params.robustness = 7;
	params.source = address("fe80::1");
	assert_int_equal(query_write(false, &params, buf, sizeof(buf)), -EINVAL);
	params.source = address("192.0.2.1");
	assert_int_equal(query_write(true, &params, buf, sizeof(buf)), -EINVAL);
}

static void assert_refused(const uint8_t *buf, size_t len)
{
	struct exact exact = exact_copy(buf, len);
	struct query_params params;
	bool mld;

	assert_int_equal(query_parse(exact.data, len, &mld, &params), -EINVAL);
	free_exact(&exact);
}

/* A gateway ignores what is not a general query of version 3 or 2. */
static void refused(void **state)
{
	static const struct test_ip bad4[] = {
		{.options = "94040000", .message = "11010000 00000000"},	  /* IGMPv2 */
		{.options = "94040000", .message = "11010000 e8010101 027d0000"}, /* group */
		{.options = "94040000", .message = "11010000 00000000 027d0001 c0000201"},
		{.options = "94040000", .message = "22010000 00000000 027d0000"}, /* a report */
		{.options = "94040000", .message = "11010000 00000000 027d0000", .ttl = 2},
		{.options = "94040000", .message = "11010000 00000000 027d0000", .protocol = 17},
	};
	static const struct test_ip bad6[] = {
		{.message = "82000000 00010000 00000000 00000000 00000000 00000000"}, /* MLDv1 */
		{.message = "82000000 00010000 ff0e0000 00000000 00000000 00000001 027d0000"},
		{.message = "82000000 00010000 00000000 00000000 00000000 00000000 027d0001"
			    "20010db8 00000000 00000000 00000001"},
		{.message = "8f000000 00010000 00000000 00000000 00000000 00000000 027d0000"},
		{.message = "82000000 00010000 00000000 00000000 00000000 00000000 027d0000",
		 .ttl = 255},
	};
	uint8_t buf[256];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad4); i++)
		assert_refused(buf, build_ipv4(&bad4[i], buf, sizeof(buf)));
	for (i = 0; i < ARRAY_SIZE(bad6); i++)
		assert_refused(buf, build_ipv6(&bad6[i], buf, sizeof(buf)));
}

/* Another relay's query may differ in all that does not matter: no router alert, S and reserved
 * bits, another Max Resp Code, octets behind the message, any source. */
static void accepted(void **state)
{
	static const struct test_ip good4[] = {
		{.message = "11640000 00000000 fa8f0000"},
		{.message = "11100000 00000000 028f0000 01020304", .source = "10.1.2.3"},
	};
	static const struct test_ip good6 = {
		.message = "82000000 27100000 00000000 00000000 00000000 00000000 fa8f0000",
		.source = "2001:db8::7",
	};
	struct query_params params;
	uint8_t buf[256];
	size_t i, len;
	bool mld;

	for (i = 0; i < ARRAY_SIZE(good4); i++) {
		len = build_ipv4(&good4[i], buf, sizeof(buf));
		assert_int_equal(query_parse(buf, len, &mld, &params), len);
		assert_false(mld);
		assert_int_equal(params.robustness, 2);
		assert_int_equal(params.interval_s, 248);
	}
	len = build_ipv6(&good6, buf, sizeof(buf));
	assert_int_equal(query_parse(buf, len, &mld, &params), len);
	assert_true(mld);
	assert_int_equal(params.interval_s, 248);
}

static void damaged(void **state)
{
	struct query_params params;
	uint8_t buf[128];
	size_t i, at, len;
	bool mld;

	for (i = 0; i < ARRAY_SIZE(samples); i++) {
		len = unhex(samples[i].hex, buf, sizeof(buf));
		for (at = samples[i].mld ? 48 : 0; at < len; at++) {
			buf[at] ^= 0x10;
			assert_int_equal(query_parse(buf, len, &mld, &params), -EINVAL);
			buf[at] ^= 0x10;
		}
	}
}

/* Exact below 128 s, else (mant | 0x10) << (exp + 3); never above what was asked. */
static void interval_codes(void **state)
{
	unsigned int code, seconds;

	for (code = 0; code < 256; code++)
		assert_int_equal(query_interval_code(query_interval_seconds((uint8_t)code)), code);
	for (code = 1; code < 256; code++)
		assert_true(query_interval_seconds((uint8_t)code) >
			    query_interval_seconds((uint8_t)(code - 1)));
	for (seconds = 0; seconds < 40000; seconds++) {
		code = query_interval_code(seconds);
		assert_true(query_interval_seconds((uint8_t)code) <= seconds);
		assert_true(code == 255 || query_interval_seconds((uint8_t)(code + 1)) > seconds);
	}
	assert_int_equal(query_interval_code(127), 127);
	assert_int_equal(query_interval_seconds(0x80), 128);
	assert_int_equal(query_interval_seconds(0xff), 31744);
	assert_int_equal(query_interval_code(UINT32_MAX), 0xff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(octet_for_octet),
		cmocka_unit_test(read_back),
		cmocka_unit_test(every_length_and_room),
		cmocka_unit_test(what_cannot_be_said),
		cmocka_unit_test(refused),
		cmocka_unit_test(accepted),
		cmocka_unit_test(damaged),
		cmocka_unit_test(interval_codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
