/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit/unit.h"
#include "proto/query.h"
#include "unit/helper_gateway.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

static const struct reply plain = {.mac = 0x33};

static struct house *up(bool both)
{
	struct house *h = house_new();
	struct letter letter;

	h->options.ipv6_groups = both;
	house_candidate(h, CANDIDATE_ADDRESS, RELAY_A);
	house_start(h);
	letter = house_wait(h, AMT_DISCOVERY, RELAY_A);
	house_advertise(h, &letter, RELAY_A);
	letter = house_expect(h, AMT_REQUEST, RELAY_A);
	house_answer(h, &letter, &plain);
	if (both) {
		letter = house_expect(h, AMT_REQUEST, RELAY_A);
		house_answer(h, &letter, &(struct reply){.mac = 0x66});
	}
	house_expect_none(h);
	return h;
}

static void report(struct house *h, const uint8_t *datagram, size_t len)
{
	struct exact exact = exact_copy(datagram, len);

	gateway_report(h->gateway, h->now, exact.data, len);
	free_exact(&exact);
}

/* as it is, with what the Query gave; what follows it on the link (padding) is cut. */
static void carries_as_it_is(void **state)
{
	const uint8_t macs[][AMT_MAC_LEN] = {{0x33, 0x33, 0x33, 0x33, 0x33, 0x33},
					     {0x66, 0x66, 0x66, 0x66, 0x66, 0x66}};
	const char *const groups[] = {GROUP_ANY, GROUP6};
	struct house *h = up(true);
	unsigned int v6, old;
	uint8_t buf[256];
	int len;

	for (v6 = 0; v6 < 2; v6++) {
		struct amt_addr group = address(groups[v6]),
				source = address(v6 ? "2001:db8::5" : "10.0.0.5");
		struct report_build record = {RECORD_ALLOW, group, &source, 1};

		for (old = 0; old < 3; old++) {
			struct letter letter;

			memset(buf, 0xee, sizeof(buf));
			len = old ? report_write_old(NULL, &group, old == 2, buf, sizeof(buf))
				  : report_write(v6, &source, &record, 1, buf, sizeof(buf));
			report(h, buf, (size_t)len + 9);
			letter = house_expect(h, AMT_UPDATE, RELAY_A);
			assert_int_equal(letter.len, AMT_UPDATE_DATAGRAM + len);
			assert_memory_equal(letter.buf + AMT_UPDATE_DATAGRAM, buf, len);
			assert_memory_equal(letter.msg.mac, macs[v6], AMT_MAC_LEN);
			house_expect_none(h);
		}
	}
	assert_true(h->wanted > 0);
	house_free(h);
}

static void cuts_out_link_local_groups(void **state)
{
	struct house *h = up(true);
	struct amt_addr sources[] = {address("2001:db8::1"), address("2001:db8::2")};
	struct report_build records[] = {
		{RECORD_IS_EX, address("ff02::fb"), NULL, 0},
		{RECORD_IS_IN, address(GROUP6), sources, 2},
		{RECORD_TO_EX, address("ff02::1:ff00:1"), NULL, 0},
		{RECORD_TO_EX, address("ff1e::5"), sources, 1},
		{RECORD_TO_EX, address("ff01::5"), NULL, 0},
	};
	const struct report_options options = {0};
	struct report_record record;
	struct report parsed;
	struct letter letter;
	struct amt_addr own = address("fe80::99"), first;
	uint8_t buf[512];
	int len = report_write(true, &own, records, 5, buf, sizeof(buf));

	report(h, buf, (size_t)len);
	letter = house_expect(h, AMT_UPDATE, RELAY_A);
	assert_int_equal(report_parse(letter.buf + AMT_UPDATE_DATAGRAM,
				      letter.len - AMT_UPDATE_DATAGRAM, &options, &parsed),
			 0);
	assert_int_equal(parsed.records, 2);
	assert_true(addr_equal(&parsed.source, &own));
	assert_true(report_next(&parsed, &record, NULL));
	assert_int_equal(record.type, RECORD_IS_IN);
	assert_true(addr_equal(&record.group, &records[1].group));
	assert_int_equal(record.nsources, 2);
	first = report_source(&record, 0);
	assert_true(addr_equal(&first, &sources[0]));
	assert_true(report_next(&parsed, &record, NULL));
	assert_int_equal(record.type, RECORD_TO_EX);
	assert_int_equal(record.nsources, 1);
	assert_int_equal(counter_get(AMT_COUNT_GATEWAY_RECORD_LOCAL), 3);
	/* nothing is left: no Update */
	len = report_write(true, &own, records, 1, buf, sizeof(buf));
	report(h, buf, (size_t)len);
	house_report(h, RECORD_TO_EX, "224.0.0.251", "");
	len = report_write_old(NULL, &records[0].group, false, buf, sizeof(buf));
	report(h, buf, (size_t)len);
	house_expect_none(h);
	assert_int_equal(counter_get(AMT_COUNT_GATEWAY_REPORT_IGNORED), 3);
	assert_int_equal(membership_groups(gateway_membership(h->gateway)), 2);
	house_free(h);
}

/* anything else that leaves the pseudo-interface. */
static void ignores_the_rest(void **state)
{
	struct house *h = up(false);
	const struct test_ip udp = {.protocol = 17, .message = "1234 5678 0010 0000 00000000"};
	const struct test_ip v1 = {.options = "94040000", .message = "1200 0000 ef010203"};
	const struct test_ip ttl = {
		.options = "94040000", .ttl = 2, .message = "2200 0000 00000001 04000000 ef010203"};
	const struct test_ip none = {.options = "94040000", .message = "2200 0000 00000000"};
	const struct query_params query = {.robustness = 2, .interval_s = 125};
	uint8_t buf[128];
	size_t len, i;

	/* our own query comes back */
	report(h, buf, (size_t)query_write(false, &query, buf, sizeof(buf)));
	report(h, buf, build_ipv4(&udp, buf, sizeof(buf)));
	report(h, buf, build_ipv4(&v1, buf, sizeof(buf)));
	report(h, buf, build_ipv4(&none, buf, sizeof(buf))); /* */
	memset(buf, 0, sizeof(buf));
	report(h, buf, 40);
	assert_int_equal(counter_get(AMT_COUNT_GATEWAY_REPORT_IGNORED), 5);
	len = build_ipv4(&ttl, buf, sizeof(buf));
	report(h, buf, len);
	assert_int_equal(counter_get(AMT_COUNT_INNER_TTL), 1);
	for (i = 0; i < len; i++)
		report(h, buf, i);
	house_expect_none(h);
	assert_int_equal(membership_groups(gateway_membership(h->gateway)), 0);
	house_free(h);
}

/* discarded until the first Query, which brings out everything. */
static void waits_for_the_query(void **state)
{
	struct house *h = house_new();
	struct letter letter;

	house_candidate(h, CANDIDATE_ADDRESS, RELAY_A);
	house_start(h);
	house_report(h, RECORD_TO_EX, GROUP_ANY, "");
	letter = house_wait(h, AMT_DISCOVERY, RELAY_A);
	house_report(h, RECORD_TO_EX, GROUP_ANY, "");
	house_advertise(h, &letter, RELAY_A);
	letter = house_expect(h, AMT_REQUEST, RELAY_A);
	house_report(h, RECORD_TO_EX, GROUP_ANY, "");
	house_expect_none(h);
	assert_int_equal(counter_get(AMT_COUNT_GATEWAY_REPORT_EARLY), 3);
	house_answer(h, &letter, &plain);
	house_report(h, RECORD_IS_EX, GROUP_ANY, "");
	house_expect(h, AMT_UPDATE, RELAY_A);
	/* and it goes on with the last MAC while the next Query is awaited */
	house_wait(h, AMT_REQUEST, RELAY_A);
	house_report(h, RECORD_TO_IN, GROUP_ANY, "");
	letter = house_expect(h, AMT_UPDATE, RELAY_A);
	assert_int_equal(letter.msg.mac[0], 0x33);
	house_free(h);
}

/* */
static void asks_anew_when_an_update_cannot_go(void **state)
{
	struct house *h = up(false);

	h->send_error = -ENETUNREACH;
	house_report(h, RECORD_TO_EX, GROUP_ANY, "");
	h->send_error = 0;
	house_wait(h, AMT_REQUEST, RELAY_A);
	assert_true(h->now < SECONDS(4));
	assert_int_equal(counter_get(AMT_COUNT_SEND_FAILED), 2);
	house_free(h);
}

/* A report as large as the pseudo-interface's MTU: Updates of at most 1,280 octets on the wire, by
 * IPv6 too, that say the same together. */
static void splits_a_large_report(void **state)
{
	const struct report_options options = {0};
	struct house *h = up(false);
	struct report_build records[180];
	unsigned int i, said = 0, updates = 0;
	uint8_t buf[2000];
	int len;

	for (i = 0; i < 180; i++) {
		records[i] =
			(struct report_build){.type = RECORD_IS_EX, .group = address(GROUP_ANY)};
		records[i].group.bytes[15] = (uint8_t)i;
	}
	len = report_write(false, NULL, records, 180, buf, sizeof(buf));
	report(h, buf, (size_t)len);
	while (h->nsent) {
		struct letter letter = house_expect(h, AMT_UPDATE, RELAY_A);
		struct report_record record;
		struct report parsed;

		assert_in_range(letter.len, 1, 1280 - 40 - 8);
		assert_int_equal(letter.msg.mac[0], 0x33);
		assert_int_equal(report_parse(letter.buf + AMT_UPDATE_DATAGRAM,
					      letter.len - AMT_UPDATE_DATAGRAM, &options, &parsed),
				 0);
		while (report_next(&parsed, &record, NULL)) {
			assert_int_equal(record.type, RECORD_IS_EX);
			assert_true(addr_equal(&record.group, &records[said++].group));
		}
		updates++;
	}
	assert_int_equal(said, 180);
	assert_int_equal(updates, 2);
	assert_int_equal(counter_get(AMT_COUNT_GATEWAY_REPORT_SPLIT), 1);
	assert_int_equal(membership_groups(gateway_membership(h->gateway)), 180);
	house_free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(carries_as_it_is),
		cmocka_unit_test(cuts_out_link_local_groups),
		cmocka_unit_test(ignores_the_rest),
		cmocka_unit_test(waits_for_the_query),
		cmocka_unit_test(asks_anew_when_an_update_cannot_go),
		cmocka_unit_test(splits_a_large_report),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
