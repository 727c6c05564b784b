/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Teardown, leaving by Updates, and relays that set L. */
#include "unit/unit.h"
#include "unit/helper_gateway.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static const struct reply plain = {.mac = 0x11};
static const struct reply with_g = {.mac = 0x11, .endpoint = GATEWAY4, .port = 4000};
static const struct reply elsewhere = {.mac = 0x22, .endpoint = GATEWAY4, .port = 4001};

static void assert_teardown(const struct letter *letter, const struct reply *of, uint32_t nonce)
{
	uint8_t mac[AMT_MAC_LEN];

	memset(mac, of->mac, sizeof(mac));
	assert_int_equal(letter->len, AMT_TEARDOWN_LEN);
	assert_memory_equal(letter->msg.mac, mac, AMT_MAC_LEN);
	assert_int_equal(letter->msg.nonce, nonce);
	assert_int_equal(ntohs(letter->msg.gateway.port), of->port);
}

/* house_up(), with the nonce of its first Request. */
static uint32_t up(struct house *h, const struct reply *reply)
{
	struct gateway_saved saved;

	house_up(h, RELAY_A, reply);
	assert_true(gateway_save(h->gateway, &saved));
	return saved.query[IGMP].nonce;
}

/* */
static void tears_down_an_endpoint_that_changed(void **state)
{
	struct house *h = house_new();
	uint32_t nonce = up(h, &with_g);
	struct letter letter = house_wait(h, AMT_REQUEST, RELAY_A);
	uint64_t at;

	house_answer(h, &letter, &elsewhere);
	at = h->now;
	letter = house_expect(h, AMT_TEARDOWN, RELAY_A);
	assert_teardown(&letter, &with_g, nonce);
	house_expect_none(h);
	assert_int_equal(h->queries[IGMP], 2); /* and the host says all again */
	house_report(h, RECORD_IS_EX, GROUP_ANY, "");
	letter = house_expect(h, AMT_UPDATE, RELAY_A);
	assert_int_equal(letter.msg.mac[0], 0x22);
	letter = house_wait(h, AMT_TEARDOWN, RELAY_A); /* once more, a second later */
	assert_int_equal(letter.at - at, SECONDS(1));
	assert_teardown(&letter, &with_g, nonce);
	house_wait(h, AMT_REQUEST, RELAY_A);
	assert_int_equal(counter_get(AMT_COUNT_GATEWAY_ENDPOINT_CHANGED), 1);
	house_free(h);
}

/* The MAC of the other protocol was for the endpoint that is gone: it does not wait for its timer.
 */
static void other_protocol_asks_anew_on_a_new_endpoint(void **state)
{
	struct house *h = house_new();
	struct letter igmp, mld;

	h->options.ipv6_groups = true;
	house_candidate(h, CANDIDATE_ADDRESS, RELAY_A);
	house_start(h);
	igmp = house_wait(h, AMT_DISCOVERY, RELAY_A);
	house_advertise(h, &igmp, RELAY_A);
	igmp = house_expect(h, AMT_REQUEST, RELAY_A);
	house_answer(h, &igmp, &with_g);
	mld = house_expect(h, AMT_REQUEST, RELAY_A);
	h->now += SECONDS(1) / 2;
	house_answer(h, &mld, &with_g);
	house_report(h, RECORD_IS_EX, GROUP_ANY, "");
	house_expect(h, AMT_UPDATE, RELAY_A);
	igmp = house_wait(h, AMT_REQUEST, RELAY_A);
	assert_false(igmp.msg.want_mld);
	house_expect_none(h);
	house_answer(h, &igmp, &elsewhere);
	house_expect(h, AMT_TEARDOWN, RELAY_A);
	mld = house_expect(h, AMT_REQUEST, RELAY_A);
	assert_true(mld.msg.want_mld);
	house_answer(h, &mld, &elsewhere);
	house_expect_none(h); /* one Teardown for one endpoint */
	house_free(h);
}

static void no_teardown_without_groups_or_change(void **state)
{
	struct house *h = house_new();
	struct letter letter;

	up(h, &with_g);
	letter = house_wait(h, AMT_REQUEST, RELAY_A);
	house_answer(h, &letter, &with_g);
	house_expect_none(h);
	house_report(h, RECORD_TO_IN, GROUP_ANY, ""); /* nothing is joined any more */
	house_expect(h, AMT_UPDATE, RELAY_A);
	letter = house_wait(h, AMT_REQUEST, RELAY_A);
	house_answer(h, &letter, &elsewhere);
	house_expect_none(h);
	gateway_shutdown(h->gateway, h->now);
	house_expect_none(h);
	assert_int_equal(gateway_tick(h->gateway, h->now), TIME_NEVER);
	house_free(h);
}

/* */
static void shuts_down_by_teardown(void **state)
{
	struct house *h = house_new();
	uint32_t nonce = up(h, &with_g);
	struct letter letter;

	gateway_shutdown(h->gateway, h->now);
	letter = house_expect(h, AMT_TEARDOWN, RELAY_A);
	assert_teardown(&letter, &with_g, nonce);
	assert_false(h->tapped);
	assert_int_equal(house_state(h), GATEWAY_STOPPED);
	house_wait(h, AMT_TEARDOWN, RELAY_A);
	assert_int_equal(gateway_tick(h->gateway, h->now), TIME_NEVER);
	/* nothing moves it any more */
	house_report(h, RECORD_IS_EX, GROUP_ANY, "");
	house_answer(h, &letter, &plain);
	gateway_network_changed(h->gateway, h->now);
	house_pass(h, SECONDS(1000));
	house_expect_none(h);
	house_free(h);
}

/* A Query that was awaited comes too late. */
static void stays_shut_down(void **state)
{
	struct house *h = house_new();
	struct letter letter;
	unsigned int before;

	house_candidate(h, CANDIDATE_ADDRESS, RELAY_A);
	house_start(h);
	letter = house_wait(h, AMT_DISCOVERY, RELAY_A);
	house_advertise(h, &letter, RELAY_A);
	letter = house_expect(h, AMT_REQUEST, RELAY_A);
	gateway_shutdown(h->gateway, h->now);
	before = h->taps;
	house_answer(h, &letter, &plain);
	gateway_unreachable(h->gateway, h->now, &letter.to.addr);
	gateway_data_seen(h->gateway, h->now, 1);
	house_pass(h, SECONDS(1000));
	house_expect_none(h);
	assert_int_equal(h->taps, before);
	assert_int_equal(house_state(h), GATEWAY_STOPPED);
	house_free(h);
}

static void shuts_down_by_leaving_everything(void **state)
{
	const struct report_options options = {0};
	struct house *h = house_new();
	struct report_record record;
	struct report report;
	struct letter letter;

	up(h, &plain);
	house_report(h, RECORD_IS_IN, GROUP_SSM, "10.0.0.1 10.0.0.2");
	house_expect(h, AMT_UPDATE, RELAY_A);
	gateway_shutdown(h->gateway, h->now);
	letter = house_expect(h, AMT_UPDATE, RELAY_A);
	assert_int_equal(report_parse(letter.buf + AMT_UPDATE_DATAGRAM,
				      letter.len - AMT_UPDATE_DATAGRAM, &options, &report),
			 0);
	assert_int_equal(report.records, 2);
	while (report_next(&report, &record, NULL)) {
		if (record.nsources == 0) {
			assert_int_equal(record.type, RECORD_TO_IN);
			continue;
		}
		assert_int_equal(record.type, RECORD_BLOCK);
		assert_int_equal(record.nsources, 2);
	}
	house_wait(h, AMT_UPDATE, RELAY_A); /* once more */
	assert_int_equal(gateway_tick(h->gateway, h->now), TIME_NEVER);
	house_free(h);
}

static void leaves_a_thousand_groups_in_small_updates(void **state)
{
	struct house *h = house_new();
	unsigned int i, records = 0;
	char group[32], sources[128];

	up(h, &plain);
	for (i = 0; i < 1000; i++) {
		snprintf(group, sizeof(group), "232.%u.%u.1", i / 250, i % 250);
		snprintf(sources, sizeof(sources), "10.0.0.1 10.0.1.1 10.0.2.1");
		house_report(h, RECORD_IS_IN, group, sources);
		house_expect(h, AMT_UPDATE, RELAY_A);
	}
	gateway_shutdown(h->gateway, h->now);
	assert_true(h->nsent >= 1000 * 3 / 64);
	while (h->nsent) {
		const struct report_options options = {0};
		struct letter letter = house_expect(h, AMT_UPDATE, RELAY_A);
		struct report report;

		assert_true(letter.len < 1200);
		assert_int_equal(report_parse(letter.buf + AMT_UPDATE_DATAGRAM,
					      letter.len - AMT_UPDATE_DATAGRAM, &options, &report),
				 0);
		records += report.records;
	}
	assert_in_range(records, 1001, 1100);
	house_free(h);
}

static struct house *two(const struct reply *reply, uint32_t *nonce)
{
	struct house *h = house_new();
	struct gateway_saved saved;
	struct letter letter;

	house_candidate(h, CANDIDATE_ADDRESS, RELAY_A);
	house_candidate(h, CANDIDATE_ADDRESS, RELAY_B);
	house_start(h);
	letter = house_wait(h, AMT_DISCOVERY, RELAY_A);
	house_advertise(h, &letter, RELAY_A);
	letter = house_expect(h, AMT_REQUEST, RELAY_A);
	house_answer(h, &letter, reply);
	house_report(h, RECORD_IS_EX, GROUP_ANY, "");
	house_expect(h, AMT_UPDATE, RELAY_A);
	assert_true(gateway_save(h->gateway, &saved));
	*nonce = saved.query[IGMP].nonce;
	return h;
}

/* L from a relay that keeps groups for us: the next is made ready first. */
/* A sets L, B answers: data still comes from A. *nonce: of A's last Query. */
static struct house *handing_over(const struct reply *limited, uint32_t *nonce)
{
	struct house *h = two(&with_g, nonce);
	struct letter letter = house_wait(h, AMT_REQUEST, RELAY_A);

	*nonce = letter.msg.nonce;
	house_answer(h, &letter, limited);
	assert_int_equal(counter_get(AMT_COUNT_GATEWAY_LIMIT), 1);
	letter = house_expect(h, AMT_DISCOVERY, RELAY_B);
	house_report(h, RECORD_TO_EX, "239.9.9.9", ""); /* a join meanwhile goes to A */
	house_expect(h, AMT_UPDATE, RELAY_A);
	house_advertise(h, &letter, RELAY_B);
	letter = house_expect(h, AMT_REQUEST, RELAY_B);
	house_answer(h, &letter, &elsewhere);
	house_expect_none(h);
	assert_int_equal(h->taps, 1);
	return h;
}

static struct reply at_limit(void)
{
	struct reply limited = with_g;

	limited.limit = true;
	return limited;
}

static void leaves_a_limited_relay_for_another(void **state)
{
	const struct reply limited = at_limit();
	struct letter letter;
	uint32_t nonce;
	struct house *h = handing_over(&limited, &nonce);
	uint64_t answered = h->now;

	house_report(h, RECORD_IS_EX, "239.9.9.9", ""); /* what the host has goes to B */
	house_expect(h, AMT_UPDATE, RELAY_B);
	letter = house_wait(h, AMT_TEARDOWN, RELAY_A); /* R-24, when B's data has come */
	assert_teardown(&letter, &limited, nonce);
	assert_int_equal(letter.at - answered, SECONDS(2));
	assert_int_equal(h->taps, 2);
	assert_int_equal(h->tap.relay.addr.bytes[15], 2);
	house_expect_none(h);
	house_free(h);
}

/* B sets L before its data is taken: A was not left yet, and goes on. */
static void goes_back_from_a_handover(void **state)
{
	const struct reply limited = at_limit();
	struct letter letter;
	uint32_t nonce;
	struct house *h = handing_over(&limited, &nonce);

	gateway_network_changed(h->gateway, h->now);
	letter = house_expect(h, AMT_REQUEST, RELAY_B);
	house_answer(h, &letter, &limited);
	house_expect(h, AMT_REQUEST, RELAY_A);
	assert_int_equal(house_state(h), GATEWAY_UP);
	assert_int_equal(h->tap.relay.addr.bytes[15], 1);
	house_expect_none(h);
	house_free(h);
}

/* Without another it goes on: better than nothing. */
static void stays_with_a_limited_relay(void **state)
{
	struct reply limited = with_g;
	struct house *h = house_new();
	struct letter letter;

	up(h, &with_g);
	limited.limit = true;
	letter = house_wait(h, AMT_REQUEST, RELAY_A);
	house_answer(h, &letter, &limited);
	assert_int_equal(house_state(h), GATEWAY_UP);
	assert_true(house_status(h).limit);
	assert_int_equal(h->queries[IGMP], 2);
	house_expect_none(h);
	house_free(h);
}

/* The other does not answer either: back to the one that at least lives. */
static void returns_to_a_limited_relay(void **state)
{
	struct reply limited = with_g;
	struct letter letter;
	uint32_t nonce;
	struct house *h = two(&with_g, &nonce);
	unsigned int i;

	limited.limit = true;
	letter = house_wait(h, AMT_REQUEST, RELAY_A);
	house_answer(h, &letter, &limited);
	for (i = 0; i < 4; i++)
		house_wait(h, AMT_DISCOVERY, RELAY_B);
	for (i = 0; i < 4; i++)
		house_wait(h, AMT_REQUEST, RELAY_B);
	letter = house_wait(h, AMT_REQUEST, RELAY_A);
	house_answer(h, &letter, &limited);
	assert_int_equal(house_state(h), GATEWAY_UP);
	assert_int_equal(h->taps, 1);
	house_expect_none(h);
	assert_int_equal(counter_get(AMT_COUNT_TEARDOWN_SENT), 0);
	house_free(h);
}

/* L without groups there: no connection at all (RFC 8777 3.2.3), ten minutes off. */
static void does_not_take_a_limited_relay(void **state)
{
	struct reply limited = plain;
	struct house *h = house_new();
	struct letter letter;
	uint64_t at;

	limited.limit = true;
	house_candidate(h, CANDIDATE_ADDRESS, RELAY_A);
	house_start(h);
	letter = house_wait(h, AMT_DISCOVERY, RELAY_A);
	house_advertise(h, &letter, RELAY_A);
	letter = house_expect(h, AMT_REQUEST, RELAY_A);
	house_answer(h, &letter, &limited);
	assert_int_equal(house_state(h), GATEWAY_IDLE);
	assert_int_equal(h->queries[IGMP], 0);
	assert_false(h->tapped);
	at = h->now;
	letter = house_wait(h, AMT_DISCOVERY, RELAY_A);
	assert_int_equal(letter.at - at, SECONDS(600));
	house_free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tears_down_an_endpoint_that_changed),
		cmocka_unit_test(other_protocol_asks_anew_on_a_new_endpoint),
		cmocka_unit_test(no_teardown_without_groups_or_change),
		cmocka_unit_test(shuts_down_by_teardown),
		cmocka_unit_test(stays_shut_down),
		cmocka_unit_test(shuts_down_by_leaving_everything),
		cmocka_unit_test(leaves_a_thousand_groups_in_small_updates),
		cmocka_unit_test(leaves_a_limited_relay_for_another),
		cmocka_unit_test(goes_back_from_a_handover),
		cmocka_unit_test(stays_with_a_limited_relay),
		cmocka_unit_test(returns_to_a_limited_relay),
		cmocka_unit_test(does_not_take_a_limited_relay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
