/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Large reports in pieces (RFC 3376 4.2.16): what they say together, and that each fits. */
#include "unit/unit.h"
#include "unit/bytes.h"

#include <string.h>
#include "proto/report_split.h"

#define MAX	 300
#define RECORDS	 400
#define SOURCES	 200
#define DATAGRAM 65535

/* One record that came out, with its sources by number. */
struct said {
	enum record_type type;
	struct amt_addr group;
	unsigned int nsources, first, piece;
};

static struct amt_addr numbered(bool ipv6, bool group, unsigned int i)
{
	struct amt_addr addr = ipv6 ? address(group ? "ff1e::" : "2001:db8::")
				    : address(group ? "239.0.0.0" : "10.0.0.0");

	addr.bytes[14] = (uint8_t)(i >> 8);
	addr.bytes[15] = (uint8_t)i;
	return addr;
}

static unsigned int number_of(const struct amt_addr *addr)
{
	return (unsigned int)addr->bytes[14] << 8 | addr->bytes[15];
}

static bool keep_all(const struct report_record *record)
{
	return true;
}

static bool keep_even(const struct report_record *record)
{
	return number_of(&record->group) % 2 == 0;
}

/* Splits what records say, and checks each piece by itself. Returns the records that came out. */
static unsigned int split(bool ipv6, const struct report_build *records, unsigned int n,
			  bool (*keep)(const struct report_record *record), struct said *out)
{
	static uint8_t whole[DATAGRAM];
	const struct report_options options = {.require_router_alert = true};
	struct amt_addr own = address(ipv6 ? "fe80::9" : "169.254.1.9"), source;
	struct report_record record;
	struct report report, part;
	struct report_split pieces;
	unsigned int nout = 0, piece = 0, i;
	uint8_t buf[MAX];
	int len = report_write(ipv6, &own, records, n, whole, sizeof(whole));

	assert_true(len > 0);
	assert_int_equal(report_parse(whole, (size_t)len, &options, &report), 0);
	report_split_begin(&pieces, &report, MAX, keep);
	while ((len = report_split_next(&pieces, buf)) != 0) {
		assert_in_range(len, 1, MAX);
		assert_int_equal(report_parse(buf, (size_t)len, &options, &part), 0);
		assert_int_equal(part.ipv6, ipv6);
		assert_true(addr_equal(&part.source, &own));
		assert_true(part.records > 0);
		while (report_next(&part, &record, NULL)) {
			struct said *said = &out[nout++];

			assert_true(nout <= RECORDS);
			*said = (struct said){record.type, record.group, record.nsources, 0, piece};
			for (i = 0; i < record.nsources; i++) {
				source = report_source(&record, i);
				if (!i)
					said->first = number_of(&source);
				assert_int_equal(number_of(&source), said->first + i);
			}
		}
		piece++;
	}
	assert_int_equal(report_split_next(&pieces, buf), 0);
	return nout;
}

/* Records that fit are each in one piece, in their order, none twice. */
static void keeps_records_whole(void **state)
{
	static struct report_build records[RECORDS / 2];
	static struct said out[RECORDS];
	struct amt_addr sources[3];
	unsigned int v6, i, n;

	for (v6 = 0; v6 < 2; v6++) {
		for (i = 0; i < 3; i++)
			sources[i] = numbered(v6, false, i);
		for (i = 0; i < RECORDS / 2; i++)
			records[i] = (struct report_build){RECORD_IS_IN + i % 6,
							   numbered(v6, true, i), sources, i % 4};
		n = split(v6, records, RECORDS / 2, keep_all, out);
		assert_int_equal(n, RECORDS / 2);
		for (i = 0; i < n; i++) {
			assert_int_equal(out[i].type, records[i].type);
			assert_true(addr_equal(&out[i].group, &records[i].group));
			assert_int_equal(out[i].nsources, records[i].nsources);
		}
		assert_in_range(out[n - 1].piece, 3, 100);
	}
}

static void leaves_out(void **state)
{
	static struct report_build records[RECORDS / 2];
	static struct said out[RECORDS];
	unsigned int i, n;

	for (i = 0; i < RECORDS / 2; i++)
		records[i] = (struct report_build){RECORD_TO_EX, numbered(true, true, i), NULL, 0};
	n = split(true, records, RECORDS / 2, keep_even, out);
	assert_int_equal(n, RECORDS / 4);
	for (i = 0; i < n; i++)
		assert_int_equal(number_of(&out[i].group), 2 * i);
	assert_int_equal(split(true, &records[1], 1, keep_even, out), 0);
}

/* A list that no datagram takes: each kind of record in its own way. */
static void splits_long_lists(void **state)
{
	static const struct {
		enum record_type type, next;
		bool cut;
	} rows[] = {
		{RECORD_IS_IN, RECORD_IS_IN, false}, {RECORD_TO_IN, RECORD_ALLOW, false},
		{RECORD_ALLOW, RECORD_ALLOW, false}, {RECORD_BLOCK, RECORD_BLOCK, false},
		{RECORD_IS_EX, RECORD_IS_EX, true},  {RECORD_TO_EX, RECORD_TO_EX, true},
	};
	static struct amt_addr sources[SOURCES];
	static struct said out[RECORDS];
	struct report_build records[3];
	unsigned int v6, i, row, n, sum;

	for (v6 = 0; v6 < 2; v6++) {
		for (i = 0; i < SOURCES; i++)
			sources[i] = numbered(v6, false, i);
		for (row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
			/* one before it and one behind it */
			for (i = 0; i < 3; i++)
				records[i] =
					(struct report_build){rows[row].type, numbered(v6, true, i),
							      sources, i == 1 ? SOURCES : 1};
			n = split(v6, records, 3, keep_all, out);
			assert_int_equal(number_of(&out[0].group), 0);
			assert_int_equal(number_of(&out[n - 1].group), 2);
			for (i = 1, sum = 0; i < n - 1; i++) {
				assert_int_equal(number_of(&out[i].group), 1);
				assert_int_equal(out[i].type,
						 i == 1 ? rows[row].type : rows[row].next);
				assert_int_equal(out[i].first, sum); /* none missing, none twice */
				sum += out[i].nsources;
				assert_int_equal(out[i].piece, i);
			}
			if (rows[row].cut)
				assert_int_equal(n, 3);
			else
				assert_int_equal(sum, SOURCES);
			assert_in_range(sum, 10, SOURCES);
		}
	}
}

/* Right at the border: a record that just fits, and one with one source more. */
static void fits_exactly(void **state)
{
	static struct amt_addr sources[SOURCES];
	static struct said out[RECORDS];
	/* MAX less the headers of IP (24), report (8) and record (8) */
	const unsigned int full = (MAX - 40) / 4;
	struct report_build record = {RECORD_ALLOW, numbered(false, true, 0), sources, full};
	unsigned int i;

	for (i = 0; i < SOURCES; i++)
		sources[i] = numbered(false, false, i);
	assert_int_equal(split(false, &record, 1, keep_all, out), 1);
	assert_int_equal(out[0].nsources, full);
	record.nsources++;
	assert_int_equal(split(false, &record, 1, keep_all, out), 2);
	assert_int_equal(out[0].nsources, full);
	assert_int_equal(out[1].nsources, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_records_whole),
		cmocka_unit_test(leaves_out),
		cmocka_unit_test(splits_long_lists),
		cmocka_unit_test(fits_exactly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
