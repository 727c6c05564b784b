/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Relays that do not answer a Request with flags that they do not know. */
#include "unit/unit.h"
#include "unit/helper_gateway.h"

static const struct reply plain = {.mac = 0x22};

static struct house *start(bool ipv4, bool ipv6)
{
	struct house *h = house_new();
	struct letter letter;

	h->options.ipv4_groups = ipv4;
	h->options.ipv6_groups = ipv6;
	house_candidate(h, CANDIDATE_ADDRESS, RELAY_A);
	house_start(h);
	letter = house_wait(h, AMT_DISCOVERY, RELAY_A);
	house_advertise(h, &letter, RELAY_A);
	return h;
}

static uint8_t flags(const struct letter *request)
{
	return request->buf[AMT_REQUEST_FLAGS];
}

/* Answers as the Linux driver does: nothing that has what it calls a reserved bit. Runs until
 * nothing has happened for the time given. */
static void play_linux(struct house *h, uint64_t ns)
{
	uint64_t until = h->now + ns, next;

	while ((next = gateway_tick(h->gateway, h->now)) <= until || h->nsent) {
		if (!h->nsent) {
			h->now = next > h->now ? next : h->now;
			continue;
		}
		struct letter letter = house_letter(h);

		assert_int_equal(letter.msg.type, AMT_REQUEST);
		if (flags(&letter) == 0 || flags(&letter) == AMT_REQUEST_P_LINUX)
			house_answer(h, &letter, &plain);
	}
	h->now = until;
}

static void first_asks_with_ecn(void **state)
{
	struct house *h = start(true, false);
	struct letter request = house_expect(h, AMT_REQUEST, RELAY_A);

	assert_int_equal(flags(&request), AMT_REQUEST_E); /* */
	house_answer(h, &request, &plain);
	assert_true(h->tap.ecn);
	assert_true(house_status(h).ecn);
	/* once it answered with E, silence is silence */
	h->now = house_status(h).next_query_ns;
	do {
		request = house_wait(h, AMT_REQUEST, RELAY_A);
		assert_int_equal(flags(&request), AMT_REQUEST_E);
		gateway_tick(h->gateway, h->now);
	} while (counter_get(AMT_COUNT_REQUEST_SENT) < 5);
	house_wait(h, AMT_DISCOVERY, RELAY_A);
	house_free(h);
}

static void without_ecn_never_sets_it(void **state) /* */
{
	struct house *h = house_new();
	struct letter letter;

	h->options.ecn = false;
	house_candidate(h, CANDIDATE_ADDRESS, RELAY_A);
	house_start(h);
	letter = house_wait(h, AMT_DISCOVERY, RELAY_A);
	house_advertise(h, &letter, RELAY_A);
	letter = house_expect(h, AMT_REQUEST, RELAY_A);
	assert_int_equal(flags(&letter), 0);
	house_free(h);
}

static void falls_back_to_no_ecn(void **state)
{
	struct house *h = start(true, false);
	struct letter with = house_expect(h, AMT_REQUEST, RELAY_A), without;
	uint64_t at = h->now;

	house_wait(h, AMT_REQUEST, RELAY_A); /* one may have been lost */
	without = house_wait(h, AMT_REQUEST, RELAY_A);
	assert_int_equal(flags(&without), 0);
	assert_int_not_equal(without.msg.nonce, with.msg.nonce);
	assert_true(h->now - at <= SECONDS(3));
	/* an answer to the form that was given up would have the wrong MAC for what we are now */
	house_answer(h, &with, &plain);
	assert_int_equal(house_state(h), GATEWAY_REQUEST);
	house_answer(h, &without, &plain);
	assert_int_equal(house_state(h), GATEWAY_UP);
	assert_false(h->tap.ecn);
	/* remembered: the next cycle begins so */
	without = house_wait(h, AMT_REQUEST, RELAY_A);
	assert_int_equal(flags(&without), 0);
	assert_int_equal(counter_get(AMT_COUNT_GATEWAY_WITHOUT_ECN), 1);
	house_free(h);
}

static void finds_the_linux_relays_p(void **state)
{
	struct house *h = start(false, true);

	play_linux(h, SECONDS(10));
	assert_int_equal(house_state(h), GATEWAY_UP);
	assert_int_equal(h->queries[MLD], 1);
	assert_true(house_status(h).linux_p);
	assert_int_equal(counter_get(AMT_COUNT_GATEWAY_LINUX_P), 1);
	assert_int_equal(counter_get(AMT_COUNT_REQUEST_SENT), 5); /* E P, P, then 0x80 */
	play_linux(h, SECONDS(125 * 3));
	assert_int_equal(h->queries[MLD], 4);
	assert_int_equal(counter_get(AMT_COUNT_REQUEST_SENT), 8); /* remembered */
	house_free(h);
}

static void serves_both_protocols_of_a_linux_relay(void **state)
{
	struct house *h = start(true, true);

	play_linux(h, SECONDS(20));
	assert_int_equal(h->queries[IGMP], 1);
	assert_int_equal(h->queries[MLD], 1);
	assert_false(h->tap.ecn);
	play_linux(h, SECONDS(250));
	assert_int_equal(h->queries[IGMP], 3);
	assert_int_equal(h->queries[MLD], 3);
	assert_int_equal(counter_get(AMT_COUNT_GATEWAY_RELAY_FAILED), 0);
	house_free(h);
}

/* The driver knows the nonce and MAC of the last Request alone, whichever protocol that was for. */
static void reports_to_a_linux_relay_with_the_last_query(void **state)
{
	struct house *h = start(true, true);
	struct letter request, update;

	do {
		request = house_wait(h, AMT_REQUEST, RELAY_A);
		if (flags(&request) == 0 || flags(&request) == AMT_REQUEST_P_LINUX)
			house_answer(h, &request, &plain);
	} while (!h->queries[IGMP] || !h->queries[MLD]);
	house_report(h, RECORD_ALLOW, GROUP_SSM, "10.0.0.1");
	update = house_expect(h, AMT_UPDATE, RELAY_A);
	assert_int_equal(update.msg.nonce, request.msg.nonce);
	house_report(h, RECORD_ALLOW, GROUP6, "2001:db8::1");
	update = house_expect(h, AMT_UPDATE, RELAY_A);
	assert_int_equal(update.msg.nonce, request.msg.nonce);
	house_free(h);
}

/* What worked is forgotten when it no longer works: the relay may have been replaced. */
static void forgets_what_no_longer_works(void **state)
{
	struct house *h = start(true, false);
	struct letter letter;

	play_linux(h, SECONDS(20));
	do
		letter = house_wait(h, AMT_REQUEST, RELAY_A);
	while (counter_get(AMT_COUNT_REQUEST_SENT) < 3 + 4);
	assert_int_equal(flags(&letter), 0);
	letter = house_wait(h, AMT_DISCOVERY, RELAY_A);
	house_advertise(h, &letter, RELAY_A);
	letter = house_expect(h, AMT_REQUEST, RELAY_A);
	assert_int_equal(flags(&letter), AMT_REQUEST_E);
	house_free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_asks_with_ecn),
		cmocka_unit_test(without_ecn_never_sets_it),
		cmocka_unit_test(falls_back_to_no_ecn),
		cmocka_unit_test(finds_the_linux_relays_p),
		cmocka_unit_test(serves_both_protocols_of_a_linux_relay),
		cmocka_unit_test(reports_to_a_linux_relay_with_the_last_query),
		cmocka_unit_test(forgets_what_no_longer_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
