/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reports read: reports that a Linux host sent, what is refused, and what must not matter.
 */
#include "unit/unit.h"
#include "unit/bytes.h"

#include <string.h>
#include "proto/report.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define ALERT4	      "94040000"
#define ALERT6	      "3a000502 00000100"

static const struct report_options lenient = {0};
static const struct report_options strict = {.require_router_alert = true};

/* Datagrams captured from a Linux host that joined and left groups. */
#define LINUX_IGMPV3                                                              \
	"46c00038 00004000 0102d9b4 c6336401 e0000016 94040000 220077df 00000002" \
	"04000000 ef010101 05000002 e8010101 c000020a c000020b"
#define LINUX_IGMPV3_LEAVE                                                        \
	"46c00038 00004000 0102d9b4 c6336401 e0000016 94040000 220077df 00000002" \
	"06000002 e8010101 c000020b c000020a 03000000 ef010101"
#define LINUX_MLDV2                                                               \
	"60000000 00480001 fe800000 00000000 f45012ff fed8a9d3"                   \
	"ff020000 00000000 00000000 00000016 3a000502 00000100 8f000dd2 00000002" \
	"04000000 ff0e0000 00000000 00000000 00000001"                            \
	"05000001 ff3e0000 00000000 00000000 80000001 20010db8 00000000 00000000 00000010"
#define LINUX_IGMPV2 "46c00020 00004000 0102c9e0 c6336401 ef010101 94040000 1600f9fc ef010101"
#define LINUX_LEAVE  "46c00020 00004000 0102d9e0 c6336401 e0000002 94040000 1700f8fc ef010101"
#define LINUX_MLDV1                                             \
	"60000000 00200001 fe800000 00000000 f45012ff fed8a9d3" \
	"ff0e0000 00000000 00000000 00000001 3a000502 00000100" \
	"8300d00f 00000000 ff0e0000 00000000 00000000 00000001"
#define LINUX_DONE                                              \
	"60000000 00200001 fe800000 00000000 f45012ff fed8a9d3" \
	"ff020000 00000000 00000000 00000002 3a000502 00000100" \
	"8400cf1a 00000000 ff0e0000 00000000 00000000 00000001"

struct expected_record {
	enum record_type type;
	const char *group;
	const char *sources[3];
};

static void assert_record(const struct report_record *record,
			  const struct expected_record *expected, bool old_host)
{
	struct amt_addr group = address(expected->group), source, got;
	unsigned int n = 0;

	assert_int_equal(record->type, expected->type);
	assert_int_equal(record->old_host, old_host);
	assert_true(addr_equal(&record->group, &group));
	while (n < 3 && expected->sources[n]) {
		source = address(expected->sources[n]);
		got = report_source(record, n++);
		assert_true(addr_equal(&got, &source));
	}
	assert_int_equal(record->nsources, n);
}

static void from_a_linux_host(void **state)
{
	static const struct {
		const char *hex;
		bool ipv6, old_host;
		struct expected_record records[3];
	} row[] = {
		{LINUX_IGMPV3,
		 false,
		 false,
		 {{RECORD_TO_EX, "239.1.1.1", {0}},
		  {RECORD_ALLOW, "232.1.1.1", {"192.0.2.10", "192.0.2.11"}}}},
		{LINUX_IGMPV3_LEAVE,
		 false,
		 false,
		 {{RECORD_BLOCK, "232.1.1.1", {"192.0.2.11", "192.0.2.10"}},
		  {RECORD_TO_IN, "239.1.1.1", {0}}}},
		{LINUX_MLDV2,
		 true,
		 false,
		 {{RECORD_TO_EX, "ff0e::1", {0}},
		  {RECORD_ALLOW, "ff3e::8000:1", {"2001:db8::10"}}}},
		{LINUX_IGMPV2, false, true, {{RECORD_IS_EX, "239.1.1.1", {0}}}}, /* */
		{LINUX_LEAVE, false, true, {{RECORD_TO_IN, "239.1.1.1", {0}}}},
		{LINUX_MLDV1, true, true, {{RECORD_IS_EX, "ff0e::1", {0}}}},
		{LINUX_DONE, true, true, {{RECORD_TO_IN, "ff0e::1", {0}}}},
	};
	struct report_record record;
	struct report report;
	uint8_t buf[256];
	size_t i, r;

	for (i = 0; i < ARRAY_SIZE(row); i++) {
		size_t len = unhex(row[i].hex, buf, sizeof(buf));

		assert_int_equal(report_parse(buf, len, &strict, &report), 0);
		assert_int_equal(report.ipv6, row[i].ipv6);
		for (r = 0; row[i].records[r].type; r++) {
			assert_true(report_next(&report, &record, NULL));
			assert_record(&record, &row[i].records[r], row[i].old_host);
		}
		assert_int_equal(report.records, r);
		assert_false(report_next(&report, &record, NULL));
		assert_false(report_next(&report, &record, NULL));
	}
}

static void every_length(void **state)
{
	static const char *const all[] = {LINUX_IGMPV3, LINUX_MLDV2, LINUX_IGMPV2,
					  LINUX_LEAVE,	LINUX_MLDV1, LINUX_DONE};
	struct report report;
	struct exact exact;
	uint8_t buf[256];
	size_t i, len, full;

	for (i = 0; i < ARRAY_SIZE(all); i++) {
		full = unhex(all[i], buf, sizeof(buf));
		for (len = 0; len < full; len++) {
			exact = exact_copy(buf, len);
			assert_int_equal(report_parse(exact.data, len, &lenient, &report),
					 -AMT_COUNT_INNER_SHORT);
			free_exact(&exact);
		}
		/* octets after the datagram are ignored */
		memset(buf + full, 0xff, 20);
		assert_int_equal(report_parse(buf, full + 20, &lenient, &report), 0);
	}
}

/* Any bit wrong anywhere that a checksum covers: refused (R-57 d, R-147). */
static void every_bit(void **state)
{
	static const char *const all[] = {LINUX_IGMPV3, LINUX_MLDV2, LINUX_LEAVE, LINUX_MLDV1};
	struct report report;
	uint8_t buf[256];
	size_t i, bit, full;

	for (i = 0; i < ARRAY_SIZE(all); i++) {
		full = unhex(all[i], buf, sizeof(buf));
		for (bit = 0; bit < full * 8; bit++) {
			bool ipv6 = buf[0] >> 4 == 6;
			/* IPv6 covers neither class nor flow label, nor the hop-by-hop header */
			bool free6 = (bit >= 4 && bit < 32) || (bit >= 40 * 8 && bit < 48 * 8);

			if (ipv6 && free6)
				continue;
			buf[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
			assert_int_not_equal(report_parse(buf, full, &lenient, &report), 0);
			buf[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
		}
	}
}

#define JOIN4 "22000000 00000001 04000000 ef010101"
#define JOIN6 "8f000000 00000001 04000000 ff0e0000 00000000 00000000 00000001"

struct verdict {
	const char *what;
	struct test_ip ip;
	int lenient, strict;
};

static void assert_verdict(const struct verdict *row, const uint8_t *buf, size_t len)
{
	struct exact exact = exact_copy(buf, len);
	struct report report;
	int got = report_parse(exact.data, len, &lenient, &report);

	if (got != row->lenient || report_parse(exact.data, len, &strict, &report) != row->strict)
		fail_msg("%s: %d, strict %d", row->what, got,
			 report_parse(exact.data, len, &strict, &report));
	free_exact(&exact);
}

#define BOTH(reason) -AMT_COUNT_##reason, -AMT_COUNT_##reason
#define NO_ALERT     -AMT_COUNT_INNER_NO_ROUTER_ALERT

static void ipv4_headers(void **state)
{
	static const struct verdict rows[] = {
		{"router alert", {ALERT4, .message = JOIN4}, 0, 0},
		{"no options", {NULL, .message = JOIN4}, 0, NO_ALERT},
		{"four zero octets (VLC, Q-3)", {"00000000", .message = JOIN4}, 0, NO_ALERT},
		{"IHL 15, alert last",
		 {"01010101 071f 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00 "
		  "01" ALERT4,
		  .message = JOIN4},
		 0,
		 0},
		{"alert after the end of options",
		 {"00000000" ALERT4, .message = JOIN4},
		 0,
		 NO_ALERT},
		{"alert with a value", {"94040001", .message = JOIN4}, 0, NO_ALERT},
		{"option with length 0", {"94000000", .message = JOIN4}, 0, NO_ALERT},
		{"option longer than the header", {"94050000", .message = JOIN4}, 0, NO_ALERT},
		{"option without a length", {"01010194", .message = JOIN4}, 0, NO_ALERT},
		{"any source (R-60)", {ALERT4, .message = JOIN4, .source = "203.0.113.9"}, 0, 0},
		{"a multicast source (R-60)",
		 {ALERT4, .message = JOIN4, .source = "239.9.9.9"},
		 0,
		 0},
		{"DF", {ALERT4, .message = JOIN4, .fragment = 0x4000}, 0, 0},
		{"first fragment",
		 {ALERT4, .message = JOIN4, .fragment = 0x2000},
		 BOTH(INNER_FRAGMENT)},
		{"last fragment",
		 {ALERT4, .message = JOIN4, .fragment = 0x0001},
		 BOTH(INNER_FRAGMENT)},
		{"TTL 2", {ALERT4, .message = JOIN4, .ttl = 2}, BOTH(INNER_TTL)},
		{"TTL 255", {ALERT4, .message = JOIN4, .ttl = 255}, BOTH(INNER_TTL)},
		{"UDP", {ALERT4, .message = JOIN4, .protocol = 17}, BOTH(INNER_PROTOCOL)},
		{"ICMPv6 in IPv4",
		 {ALERT4, .message = JOIN4, .protocol = 58},
		 BOTH(INNER_PROTOCOL)},
		{"no message", {ALERT4, .message = ""}, BOTH(INNER_SHORT)},
		{"four octets of message", {ALERT4, .message = "16000000"}, BOTH(INNER_SHORT)},
		{"IGMPv1 report (R-144)",
		 {ALERT4, .message = "12000000 ef010101"},
		 BOTH(REPORT_TYPE)},
		{"a query", {ALERT4, .message = "11010000 00000000 027d0000"}, BOTH(REPORT_TYPE)},
		{"MLD's type in IGMP", {ALERT4, .message = "8f000000 00000000"}, BOTH(REPORT_TYPE)},
		{"IGMPv2 with octets behind",
		 {ALERT4, .message = "16000000 ef010101 aabbccdd"},
		 0,
		 0},
	};
	uint8_t buf[256];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		assert_verdict(&rows[i], buf, build_ipv4(&rows[i].ip, buf, sizeof(buf)));
}

static void ipv6_headers(void **state)
{
	static const struct verdict rows[] = {
		{"router alert", {ALERT6, .message = JOIN6}, 0, 0},
		{"no extension header", {NULL, .message = JOIN6}, 0, NO_ALERT},
		{"padding only", {"3a000104 00000000", .message = JOIN6}, 0, NO_ALERT},
		{"padding first", {"3a000100 05020000", .message = JOIN6}, 0, 0},
		{"Pad1 around", {"3a000005 02000000", .message = JOIN6}, 0, 0},
		{"alert last of several",
		 {"3a01 1e04aabbccdd 0000 00 0502 0000 00", .message = JOIN6},
		 0,
		 0},
		{"alert in the third word",
		 {"3a02 010c000000000000000000000000 00 0502 0000 000000", .message = JOIN6},
		 0,
		 0},
		{"alert of another protocol", {"3a000502 00010100", .message = JOIN6}, 0, NO_ALERT},
		{"alert of another length", {"3a000503 00000000", .message = JOIN6}, 0, NO_ALERT},
		{"option past its header",
		 {"3a000105 00000000", .message = JOIN6},
		 BOTH(INNER_SHORT)},
		{"option without a length",
		 {"3a000502 00000001", .message = JOIN6},
		 BOTH(INNER_SHORT)},
		{"option without a length, and nothing behind it",
		 {"3a000502 00000001", .message = ""},
		 BOTH(INNER_SHORT)},
		{"header past the datagram",
		 {"3aff0502 00000100", .message = ""},
		 BOTH(INNER_SHORT)},
		{"unknown option, to be dropped",
		 {"3a004000 05020000", .message = JOIN6},
		 BOTH(INNER_PROTOCOL)},
		{"jumbo payload", {"3a00c204 00010000", .message = JOIN6}, BOTH(INNER_PROTOCOL)},
		{"fragment header",
		 {"3a000000 00000001", .message = JOIN6, .protocol = 44},
		 BOTH(INNER_FRAGMENT)},
		{"fragment header after hop-by-hop",
		 {"2c000502 00000100 3a000000 00000001", .message = JOIN6},
		 BOTH(INNER_FRAGMENT)},
		{"destination options",
		 {"3a000104 00000000", .message = JOIN6, .protocol = 60},
		 BOTH(INNER_PROTOCOL)},
		{"hop-by-hop twice",
		 {"00000502 00000100" ALERT6, .message = JOIN6},
		 BOTH(INNER_PROTOCOL)},
		{"IGMP in IPv6", {NULL, .message = JOIN6, .protocol = 2}, BOTH(INNER_PROTOCOL)},
		{"hop limit 2", {ALERT6, .message = JOIN6, .ttl = 2}, BOTH(INNER_TTL)},
		{"hop limit 255", {ALERT6, .message = JOIN6, .ttl = 255}, BOTH(INNER_TTL)},
		{"any source (R-60)", {ALERT6, .message = JOIN6, .source = "2001:db8::9"}, 0, 0},
		{"no message", {ALERT6, .message = ""}, BOTH(INNER_SHORT)},
		{"half a hop-by-hop header", {"3a000502", .message = ""}, BOTH(INNER_SHORT)},
		{"a query",
		 {ALERT6,
		  .message = "82000000 00010000 00000000 00000000 00000000 00000000 027d0000"},
		 BOTH(REPORT_TYPE)},
		{"a neighbour solicitation",
		 {ALERT6, .message = "87000000 00000000 fe800000 00000000 00000000 00000001"},
		 BOTH(REPORT_TYPE)},
		{"IGMP's type in ICMPv6",
		 {ALERT6, .message = "22000000 00000000"},
		 BOTH(REPORT_TYPE)},
		{"MLDv1 cut off",
		 {ALERT6, .message = "83000000 00000000 ff0e0000 00000000 00000000"},
		 BOTH(REPORT_SHORT)},
	};
	uint8_t buf[512];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		assert_verdict(&rows[i], buf, build_ipv6(&rows[i].ip, buf, sizeof(buf)));
}

static void lengths_that_contradict(void **state)
{
	uint8_t good[256], buf[256];
	size_t len = unhex(LINUX_IGMPV3, good, sizeof(good));
	struct report report;
	unsigned int octet;

	for (octet = 0; octet < 256; octet++) { /* all versions and IHLs */
		memcpy(buf, good, len);
		buf[0] = (uint8_t)octet;
		if (octet >> 4 != 4 && octet >> 4 != 6)
			assert_int_equal(report_parse(buf, len, &lenient, &report),
					 -AMT_COUNT_INNER_NOT_IP);
		else if (octet >> 4 == 4 && (octet & 15) < 5)
			assert_int_equal(report_parse(buf, len, &lenient, &report),
					 -AMT_COUNT_INNER_SHORT);
	}
	memcpy(buf, good, len);
	buf[3] = 23; /* total length less than the header's */
	assert_int_equal(report_parse(buf, len, &lenient, &report), -AMT_COUNT_INNER_SHORT);
	buf[2] = 0xff;
	assert_int_equal(report_parse(buf, len, &lenient, &report), -AMT_COUNT_INNER_SHORT);
	memcpy(buf, good, len);
	buf[10] ^= 1;
	assert_int_equal(report_parse(buf, len, &lenient, &report), -AMT_COUNT_INNER_IP_CHECKSUM);
	memcpy(buf, good, len);
	buf[len - 1] ^= 1;
	assert_int_equal(report_parse(buf, len, &lenient, &report), -AMT_COUNT_INNER_CHECKSUM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(from_a_linux_host), cmocka_unit_test(every_length),
		cmocka_unit_test(every_bit),	     cmocka_unit_test(ipv4_headers),
		cmocka_unit_test(ipv6_headers),	     cmocka_unit_test(lengths_that_contradict),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
