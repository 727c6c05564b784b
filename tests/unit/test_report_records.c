/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Group records read and written: unknown types, auxiliary data, lies about counts, addresses. */
#include "unit/unit.h"
#include "unit/bytes.h"

#include <errno.h>
#include <string.h>
#include "proto/report.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static const struct report_options strict = {.require_router_alert = true};

static int parse(bool ipv6, const char *message, uint8_t *buf, size_t size, struct report *report)
{
	struct test_ip ip = {.options = ipv6 ? "3a000502 00000100" : "94040000",
			     .message = message};
	size_t len = ipv6 ? build_ipv6(&ip, buf, size) : build_ipv4(&ip, buf, size);

	return report_parse(buf, len, &strict, report);
}

/* Unknown types are passed over, auxiliary data is, octets behind the last record are. */
static void what_is_skipped(void **state)
{
	static const char message[] =
		"22ff0000 ffff0004"
		"00000000 ef010101"			       /* type 0 */
		"07020001 ef010102 c0000201 aaaaaaaa bbbbbbbb" /* type 7, aux */
		"01010001 ef010103 c0000203 cccccccc"	       /* IS_IN, aux */
		"ff000000 ef010104"			       /* type 255 */
		"03000000 ef010105";			       /* not counted: behind */
	struct amt_addr group = address("239.1.1.3"), source = address("192.0.2.3"), got;
	struct report_record record;
	struct report report;
	unsigned int unknown = 0;
	uint8_t buf[256];

	assert_int_equal(parse(false, message, buf, sizeof(buf), &report), 0);
	assert_int_equal(report.records, 4);
	assert_true(report_next(&report, &record, &unknown));
	assert_int_equal(unknown, 2);
	assert_int_equal(record.type, RECORD_IS_IN);
	assert_true(addr_equal(&record.group, &group));
	assert_int_equal(record.nsources, 1);
	got = report_source(&record, 0);
	assert_true(addr_equal(&got, &source));
	assert_false(report_next(&report, &record, &unknown));
	assert_int_equal(unknown, 3);

	assert_int_equal(parse(false, message, buf, sizeof(buf), &report), 0);
	assert_true(report_next(&report, &record, NULL));
	assert_false(report_next(&report, &record, NULL));
}

static void the_same_in_mld(void **state)
{
	static const char message[] = "8fff0000 ffff0003"
				      "09010001 ff0e0000 00000000 00000000 00000001"
				      "20010db8 00000000 00000000 00000001 aaaaaaaa"
				      "06020001 ff0e0000 00000000 00000000 00000002"
				      "20010db8 00000000 00000000 00000002 aaaaaaaa bbbbbbbb"
				      "04000000 ff0e0000 00000000 00000000 00000003 dddddd";
	struct amt_addr group = address("ff0e::2"), source = address("2001:db8::2"), got;
	struct report_record record;
	struct report report;
	unsigned int unknown = 0;
	uint8_t buf[256];

	assert_int_equal(parse(true, message, buf, sizeof(buf), &report), 0);
	assert_true(report_next(&report, &record, &unknown));
	assert_int_equal(unknown, 1);
	assert_int_equal(record.type, RECORD_BLOCK);
	assert_true(addr_equal(&record.group, &group));
	got = report_source(&record, 0);
	assert_true(addr_equal(&got, &source));
	assert_true(report_next(&report, &record, &unknown));
	assert_int_equal(record.type, RECORD_TO_EX);
	assert_int_equal(record.nsources, 0);
	assert_false(report_next(&report, &record, &unknown));
}

/* A record that does not fit refuses the whole report, before any of it is used (R-57 c, R-145). */
static void lies_about_counts(void **state)
{
	static const struct {
		bool ipv6;
		const char *message;
		int expected;
	} row[] = {
		{false, "22000000 00000000", 0}, /* an empty report is legal */
		{true, "8f000000 00000000", 0},
		{false, "22000000 00000001", -AMT_COUNT_REPORT_SHORT},
		{true, "8f000000 00000001", -AMT_COUNT_REPORT_SHORT},
		{false, "22000000 0000ffff 04000000 ef010101", -AMT_COUNT_REPORT_SHORT},
		{false, "22000000 00000002 04000000 ef010101", -AMT_COUNT_REPORT_SHORT},
		{false, "22000000 00000001 04000000 ef0101", -AMT_COUNT_REPORT_SHORT},
		{false, "22000000 00000001 0400ffff ef010101 c0000201", -AMT_COUNT_REPORT_SHORT},
		{false, "22000000 00000001 02000002 ef010101 c0000201", -AMT_COUNT_REPORT_SHORT},
		{false, "22000000 00000001 04010000 ef010101", -AMT_COUNT_REPORT_SHORT},
		{false, "22000000 00000001 04ff0000 ef010101 00000000", -AMT_COUNT_REPORT_SHORT},
		{false, "22000000 00000001 07000001 ef010101", -AMT_COUNT_REPORT_SHORT},
		{true, "8f000000 00000001 04000001 ff0e0000 00000000 00000000 00000001",
		 -AMT_COUNT_REPORT_SHORT},
		{true, "8f000000 00000001 04000000 ff0e0000 00000000 00000000",
		 -AMT_COUNT_REPORT_SHORT},
	};
	struct report report;
	uint8_t buf[256];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(row); i++)
		assert_int_equal(parse(row[i].ipv6, row[i].message, buf, sizeof(buf), &report),
				 row[i].expected);
}

/* MLD cannot name IPv4 groups or sources: the v4-mapped form must not come out as IPv4. */
static void no_ipv4_by_way_of_mld(void **state)
{
	static const char v2[] = "8f000000 00000001"
				 "01000001 00000000 00000000 0000ffff e8010101"
				 "00000000 00000000 0000ffff c0000201";
	static const char v1[] = "83000000 00000000 00000000 00000000 0000ffff e8010101";
	struct report_record record;
	struct report report;
	struct amt_addr source;
	uint8_t buf[256];

	assert_int_equal(parse(true, v2, buf, sizeof(buf), &report), 0);
	assert_true(report_next(&report, &record, NULL));
	assert_false(addr_is_multicast(&record.group));
	source = report_source(&record, 0);
	assert_false(addr_is_unicast_source(&source));
	assert_int_equal(parse(true, v1, buf, sizeof(buf), &report), 0);
	assert_true(report_next(&report, &record, NULL));
	assert_false(addr_is_multicast(&record.group));
}

/* What a Linux host sends for the same, but for its source address. */
static void written_as_linux_does(void **state)
{
	struct amt_addr source4 = address("198.51.100.1");
	struct amt_addr source6 = address("fe80::f450:12ff:fed8:a9d3");
	struct amt_addr list4[] = {address("192.0.2.10"), address("192.0.2.11")};
	struct amt_addr list6[] = {address("2001:db8::10")};
	struct report_build four[] = {{RECORD_TO_EX, address("239.1.1.1"), NULL, 0},
				      {RECORD_ALLOW, address("232.1.1.1"), list4, 2}};
	struct report_build six[] = {{RECORD_TO_EX, address("ff0e::1"), NULL, 0},
				     {RECORD_ALLOW, address("ff3e::8000:1"), list6, 1}};
	uint8_t buf[256];
	int len;

	len = report_write(false, &source4, four, 2, buf, sizeof(buf));
	assert_hex(buf, (size_t)len,
		   "46c00038 00004000 0102d9b4 c6336401 e0000016 94040000 220077df 00000002"
		   "04000000 ef010101 05000002 e8010101 c000020a c000020b");
	len = report_write(true, &source6, six, 2, buf, sizeof(buf));
	assert_hex(buf, (size_t)len,
		   "60000000 00480001 fe800000 00000000 f45012ff fed8a9d3"
		   "ff020000 00000000 00000000 00000016 3a000502 00000100 8f000dd2 00000002"
		   "04000000 ff0e0000 00000000 00000000 00000001"
		   "05000001 ff3e0000 00000000 00000000 80000001"
		   "20010db8 00000000 00000000 00000010");
}

static void old_ones_written_as_linux_does(void **state)
{
	struct amt_addr source4 = address("198.51.100.1"), group4 = address("239.1.1.1");
	struct amt_addr source6 = address("fe80::f450:12ff:fed8:a9d3"), group6 = address("ff0e::1");
	uint8_t buf[256];
	int len;

	len = report_write_old(&source4, &group4, false, buf, sizeof(buf));
	assert_hex(buf, (size_t)len,
		   "46c00020 00004000 0102c9e0 c6336401 ef010101 94040000 1600f9fc ef010101");
	len = report_write_old(&source4, &group4, true, buf, sizeof(buf));
	assert_hex(buf, (size_t)len,
		   "46c00020 00004000 0102d9e0 c6336401 e0000002 94040000 1700f8fc ef010101");
	len = report_write_old(&source6, &group6, false, buf, sizeof(buf));
	assert_hex(buf, (size_t)len,
		   "60000000 00200001 fe800000 00000000 f45012ff fed8a9d3"
		   "ff0e0000 00000000 00000000 00000001 3a000502 00000100"
		   "8300d00f 00000000 ff0e0000 00000000 00000000 00000001");
	len = report_write_old(&source6, &group6, true, buf, sizeof(buf));
	assert_hex(buf, (size_t)len,
		   "60000000 00200001 fe800000 00000000 f45012ff fed8a9d3"
		   "ff020000 00000000 00000000 00000002 3a000502 00000100"
		   "8400cf1a 00000000 ff0e0000 00000000 00000000 00000001");
}

static void every_room(void **state)
{
	struct amt_addr source = address("2001:db8::10"), group = address("ff3e::8000:1");
	struct report_build record = {RECORD_IS_IN, group, &source, 1};
	uint8_t zero[256] = {0};
	struct exact exact;
	size_t size;

	for (size = 0; size <= 92; size++) {
		exact = exact_copy(zero, size);
		assert_int_equal(report_write(true, NULL, &record, 1, exact.data, size),
				 size < 92 ? -ENOSPC : 92);
		if (size <= 72)
			assert_int_equal(report_write_old(NULL, &group, false, exact.data, size),
					 size < 72 ? -ENOSPC : 72);
		free_exact(&exact);
	}
}

static void what_cannot_be_written(void **state)
{
	struct amt_addr four = address("192.0.2.1"), six = address("2001:db8::1");
	struct amt_addr group4 = address("239.1.1.1"), group6 = address("ff0e::1");
	static struct amt_addr many[20000];
	static uint8_t buf[400000];
	struct report_build record = {RECORD_IS_IN, group4, &six, 1};
	size_t i;

	assert_int_equal(report_write(false, NULL, &record, 1, buf, sizeof(buf)), -EINVAL);
	record = (struct report_build){RECORD_IS_IN, group6, NULL, 0};
	assert_int_equal(report_write(false, NULL, &record, 1, buf, sizeof(buf)), -EINVAL);
	record = (struct report_build){7, group4, NULL, 0};
	assert_int_equal(report_write(false, NULL, &record, 1, buf, sizeof(buf)), -EINVAL);
	record = (struct report_build){RECORD_IS_IN, group4, NULL, 0};
	assert_int_equal(report_write(false, &six, &record, 1, buf, sizeof(buf)), -EINVAL);
	assert_int_equal(report_write_old(&four, &group6, true, buf, sizeof(buf)), -EINVAL);
	for (i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = four;
	record = (struct report_build){RECORD_IS_IN, group4, many, 20000}; /* over 65,535 octets */
	assert_int_equal(report_write(false, NULL, &record, 1, buf, sizeof(buf)), -EINVAL);
}

/* A source of all zero is "none", whatever the family; an empty report can be written. */
static void without_source_or_records(void **state)
{
	struct amt_addr any = {0};
	struct report_record record;
	struct report report;
	uint8_t buf[256];
	int family, len;

	for (family = 0; family < 2; family++) {
		len = report_write(family, &any, NULL, 0, buf, sizeof(buf));
		assert_int_equal(len, family ? 56 : 32);
		assert_int_equal(report_parse(buf, (size_t)len, &strict, &report), 0);
		assert_int_equal(report.records, 0);
		assert_false(report_next(&report, &record, NULL));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_skipped),
		cmocka_unit_test(the_same_in_mld),
		cmocka_unit_test(lies_about_counts),
		cmocka_unit_test(no_ipv4_by_way_of_mld),
		cmocka_unit_test(written_as_linux_does),
		cmocka_unit_test(old_ones_written_as_linux_does),
		cmocka_unit_test(every_room),
		cmocka_unit_test(what_cannot_be_written),
		cmocka_unit_test(without_source_or_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
