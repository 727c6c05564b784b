/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whom the gateway asks: order, failover, hold-downs, names, absence of data, ICMP. */
#include "unit/unit.h"
#include "unit/helper_gateway.h"

#include <string.h>

static const struct reply plain = {.mac = 0x11};

static void answer_discovery(struct house *h, const char *asked, const char *relay)
{
	struct letter letter = house_wait(h, AMT_DISCOVERY, asked);

	house_advertise(h, &letter, relay);
}

static void answer_request(struct house *h, const char *relay)
{
	struct letter letter = house_wait(h, AMT_REQUEST, relay);

	house_answer(h, &letter, &plain);
}

static void join(struct house *h, const char *relay)
{
	house_report(h, RECORD_IS_EX, GROUP_ANY, "");
	house_expect(h, AMT_UPDATE, relay);
}

/* A, B; up with A and joined. */
static struct house *two(void)
{
	struct house *h = house_new();

	h->options.ecn = false;
	house_candidate(h, CANDIDATE_ADDRESS, RELAY_A);
	house_candidate(h, CANDIDATE_ADDRESS, RELAY_B);
	house_start(h);
	answer_discovery(h, RELAY_A, RELAY_A);
	answer_request(h, RELAY_A);
	join(h, RELAY_A);
	return h;
}

struct views {
	struct gateway_candidate_view view[4];
	unsigned int n;
};

static void view_add(void *arg, const struct gateway_candidate_view *view)
{
	struct views *views = arg;

	views->view[views->n++] = *view;
}

static struct views candidates(const struct house *h)
{
	struct views views = {.n = 0};

	gateway_walk_candidates(h->gateway, h->now, view_add, &views);
	return views;
}

/* Lets the relay be silent until the next candidate is asked; returns that Discovery. */
static struct letter fall_silent(struct house *h, const char *relay, const char *next)
{
	struct amt_addr addr = address(relay);

	for (;;) {
		house_pass(h, NSEC_PER_SEC / 10);
		if (!h->nsent)
			continue;
		if (!addr_equal(&h->post[0].to.addr, &addr))
			return house_expect(h, AMT_DISCOVERY, next);
		house_letter(h);
	}
}

static void goes_to_the_next_and_stays_there(void **state)
{
	struct house *h = two();
	struct letter letter = house_wait(h, AMT_REQUEST, RELAY_A);
	uint64_t at = h->now;
	struct views views;

	letter = fall_silent(h, RELAY_A, RELAY_B);
	assert_true(h->now - at <= SECONDS(1 + 2 + 4 + 8) + NSEC_PER_SEC);
	assert_true(h->tapped); /* data of A is still good */
	assert_int_equal(h->tap.relay.addr.bytes[15], 1);
	views = candidates(h);
	assert_int_equal(views.n, 2);
	assert_string_equal(views.view[0].why, "no Query");
	assert_true(views.view[0].held_until_ns > h->now + SECONDS(175));
	assert_false(views.view[0].current);
	assert_true(views.view[1].current);
	assert_string_equal(views.view[1].why, "");
	house_advertise(h, &letter, RELAY_B);
	answer_request(h, RELAY_B);
	assert_int_equal(h->tap.relay.addr.bytes[15], 2);
	house_expect(h, AMT_UPDATE, RELAY_A); /* leave, should it hear it */
	join(h, RELAY_B);
	/* A is free again after 180 s; B is kept (RFC 8777 3.3.3) */
	while (h->now < at + SECONDS(900))
		answer_request(h, RELAY_B);
	assert_int_equal(candidates(h).view[0].held_until_ns, 0);
	assert_int_equal(h->taps, 2);
	/* until it fails */
	fall_silent(h, RELAY_B, RELAY_A);
	house_free(h);
}

/* One relay that reboots is asked again soon, not after the hold-down. */
static void asks_the_only_one_with_backoff(void **state)
{
	struct house *h = house_new();
	uint64_t last = 0, gap = 0, most = 0;
	unsigned int i;

	h->options.discovery_retries = 0;
	house_candidate(h, CANDIDATE_ANYCAST, ANYCAST4);
	house_start(h);
	for (i = 0; i < 40; i++) {
		struct letter letter = house_wait(h, AMT_DISCOVERY, ANYCAST4);

		if (last)
			gap = letter.at - last;
		assert_true(gap <= SECONDS(1 + 120));
		assert_true(i != 1 || gap <= SECONDS(2));
		most = gap > most ? gap : most;
		last = letter.at;
	}
	assert_true(most > SECONDS(60));
	house_free(h);
}

static void forgives_on_a_new_network(void **state)
{
	struct house *h = house_new();
	struct letter letter;

	h->options.discovery_retries = 0;
	h->options.request_initial = 100; /* the back-off of an idle gateway */
	house_candidate(h, CANDIDATE_ANYCAST, ANYCAST4);
	house_start(h);
	house_wait(h, AMT_DISCOVERY, ANYCAST4);
	house_pass(h, SECONDS(5));
	assert_int_equal(house_state(h), GATEWAY_IDLE);
	gateway_network_changed(h->gateway, h->now);
	letter = house_expect(h, AMT_DISCOVERY, ANYCAST4);
	assert_int_equal(letter.at, h->now);
	house_free(h);
}

/* The anycast address leads to a relay that is held down: not taken. */
static void keeps_the_hold_down_of_the_relay(void **state)
{
	struct house *h = house_new();
	struct letter letter;

	h->options.ecn = false;
	house_candidate(h, CANDIDATE_ADDRESS, RELAY_A);
	house_candidate(h, CANDIDATE_ANYCAST, ANYCAST4);
	house_candidate(h, CANDIDATE_ADDRESS, RELAY_B);
	house_start(h);
	answer_discovery(h, RELAY_A, RELAY_A);
	house_expect(h, AMT_REQUEST, RELAY_A);
	letter = fall_silent(h, RELAY_A, ANYCAST4);
	house_advertise(h, &letter, RELAY_A);
	house_expect(h, AMT_DISCOVERY, RELAY_B);
	assert_int_equal(counter_get(AMT_COUNT_GATEWAY_RELAY_HELD), 1);
	assert_string_equal(candidates(h).view[1].why, "no Query");
	house_free(h);
}

/* Only who gave no answer is asked before its time; L is an answer. */
static void keeps_a_firm_hold_down(void **state)
{
	const struct amt_addr b = address(RELAY_B);
	struct reply limited = plain;
	struct house *h = house_new();
	struct letter letter;
	uint64_t at;

	limited.limit = true;
	h->options.ecn = false;
	house_candidate(h, CANDIDATE_ADDRESS, RELAY_A);
	house_candidate(h, CANDIDATE_ADDRESS, RELAY_B);
	house_start(h);
	answer_discovery(h, RELAY_A, RELAY_A);
	letter = house_expect(h, AMT_REQUEST, RELAY_A);
	house_answer(h, &letter, &limited);
	assert_string_equal(candidates(h).view[0].why, "relay at its limit");
	at = h->now;
	for (;;) {
		house_pass(h, SECONDS(1));
		if (h->nsent && !addr_equal(&h->post[0].to.addr, &b))
			break;
		h->nsent = 0;
	}
	assert_in_range(h->now - at, SECONDS(600), SECONDS(750)); /* B may be at it just then */
	assert_true(counter_get(AMT_COUNT_DISCOVERY_SENT) > 2 * 4);
	house_free(h);
}

/* ---- names ---- */

static void resolves_names(void **state)
{
	const struct amt_addr addrs[] = {address("224.0.0.1"), address(RELAY_A), address(RELAY_A),
					 address(RELAY_B)};
	struct house *h = house_new();
	struct letter letter;

	h->options.ecn = false;
	h->options.discovery_retries = 0;
	house_candidate(h, CANDIDATE_NAME, "relay.example");
	house_start(h);
	house_pass(h, SECONDS(1));
	assert_int_equal(h->resolves, 1);
	assert_int_equal(house_state(h), GATEWAY_RESOLVING);
	gateway_resolved(h->gateway, h->now, 0, addrs, 4);
	house_expect(h, AMT_DISCOVERY, RELAY_A);
	letter = house_wait(h, AMT_REQUEST, RELAY_A);
	letter = fall_silent(h, RELAY_A, RELAY_B); /* its second address */
	house_advertise(h, &letter, RELAY_B);
	answer_request(h, RELAY_B);
	assert_int_equal(house_state(h), GATEWAY_UP);
	assert_int_equal(h->resolves, 1);
	/* out of range, and not a name: nothing */
	gateway_resolved(h->gateway, h->now, 7, addrs, 4);
	house_free(h);
}

static void passes_over_a_name_without_address(void **state)
{
	struct house *h = house_new();
	struct letter letter;

	house_candidate(h, CANDIDATE_NAME, "nowhere.example");
	house_candidate(h, CANDIDATE_NAME, "mute.example");
	house_candidate(h, CANDIDATE_ANYCAST, ANYCAST4);
	house_start(h);
	house_pass(h, SECONDS(1));
	gateway_resolved(h->gateway, h->now, 0, NULL, 0);
	assert_int_equal(h->resolves, 2);
	letter = house_wait(h, AMT_DISCOVERY, ANYCAST4); /* the other resolver never answers */
	assert_true(letter.at <= SECONDS(20));
	assert_string_equal(candidates(h).view[0].why, "name not resolved");
	assert_string_equal(candidates(h).view[1].why, "name not resolved");
	house_free(h);
}

static void resolves_anew_when_all_have_failed(void **state)
{
	const struct amt_addr a = address(RELAY_A), b = address(RELAY_B);
	struct house *h = house_new();

	h->options.ecn = false;
	house_candidate(h, CANDIDATE_NAME, "relay.example");
	house_start(h);
	house_pass(h, 1);
	gateway_resolved(h->gateway, h->now, 0, &a, 1);
	answer_discovery(h, RELAY_A, RELAY_A);
	answer_request(h, RELAY_A);
	while (h->resolves < 2) {
		house_pass(h, SECONDS(1));
		h->nsent = 0;
	}
	gateway_resolved(h->gateway, h->now, 0, &b, 1); /* it has moved */
	house_expect(h, AMT_DISCOVERY, RELAY_B);
	house_free(h);
}

/* ---- absence of data (R-192) ---- */

static void see(struct house *h, unsigned int seconds, uint64_t *packets, unsigned int each)
{
	while (seconds--) {
		house_pass(h, SECONDS(1));
		*packets += each;
		gateway_data_seen(h->gateway, h->now, *packets);
		while (h->nsent && h->post[0].buf[0] == AMT_REQUEST) {
			struct letter letter = house_letter(h);

			house_answer(h, &letter, &plain);
		}
	}
}

static void leaves_a_relay_without_data(void **state)
{
	struct house *h = two();
	uint64_t packets = 0, asked;
	struct letter letter;

	gateway_free(h->gateway);
	h->options.data_timeout = 4;
	house_start(h);
	answer_discovery(h, RELAY_A, RELAY_A);
	answer_request(h, RELAY_A);
	see(h, 20, &packets, 0); /* nothing is joined: nothing is missed */
	join(h, RELAY_A);
	see(h, 20, &packets, 10);
	asked = counter_get(AMT_COUNT_REQUEST_SENT);
	see(h, 6, &packets, 0); /* first the relay is asked whether it knows us still */
	assert_int_equal(counter_get(AMT_COUNT_REQUEST_SENT), asked + 1);
	assert_int_equal(house_state(h), GATEWAY_UP);
	see(h, 5, &packets, 0);
	assert_int_equal(counter_get(AMT_COUNT_GATEWAY_RELAY_NO_DATA), 1);
	assert_string_equal(candidates(h).view[0].why, "no data");
	letter = house_expect(h, AMT_DISCOVERY, RELAY_B);
	h->nsent = 0; /* it may have asked more than once */
	house_advertise(h, &letter, RELAY_B);
	answer_request(h, RELAY_B);
	house_expect(h, AMT_UPDATE, RELAY_A);
	join(h, RELAY_B);
	/* B has none either, but there is no other: it stays, and asks at growing intervals */
	see(h, 120, &packets, 0);
	assert_int_equal(house_state(h), GATEWAY_UP);
	assert_int_equal(counter_get(AMT_COUNT_GATEWAY_RELAY_NO_DATA), 1);
	/* data comes: all is well for ever */
	see(h, 600, &packets, 1);
	assert_int_equal(counter_get(AMT_COUNT_GATEWAY_RELAY_NO_DATA), 1);
	assert_int_equal(h->tap.relay.addr.bytes[15], 2);
	house_free(h);
}

static void returns_to_the_relay_when_no_other_answers(void **state)
{
	struct house *h = two(); /* one Discovery; the second below */
	uint64_t packets = 0;
	unsigned int i;

	gateway_free(h->gateway);
	h->options.data_timeout = 4;
	house_start(h);
	answer_discovery(h, RELAY_A, RELAY_A);
	answer_request(h, RELAY_A);
	join(h, RELAY_A);
	see(h, 12, &packets, 0);
	assert_int_equal(counter_get(AMT_COUNT_GATEWAY_RELAY_NO_DATA), 1);
	while (counter_get(AMT_COUNT_DISCOVERY_SENT) < 2 + 4 || h->nsent)
		house_wait(h, AMT_DISCOVERY, RELAY_B);
	for (i = 0; i < 4; i++)
		house_wait(h, AMT_REQUEST, RELAY_B);
	answer_request(h, RELAY_A);
	assert_int_equal(house_state(h), GATEWAY_UP);
	house_free(h);
}

/* ---- ICMP unreachable (R-169..R-171) ---- */

static void puts_up_with_some_icmp(void **state)
{
	const struct amt_addr a = address(RELAY_A), b = address(RELAY_B);
	struct house *h = two();
	struct letter letter;
	unsigned int i;

	house_pass(h, SECONDS(10));
	gateway_unreachable(h->gateway, h->now, &b); /* about another: nothing */
	house_expect_none(h);
	gateway_unreachable(h->gateway, h->now, &a); /* after an Update: a new cycle */
	letter = house_expect(h, AMT_REQUEST, RELAY_A);
	gateway_unreachable(h->gateway, h->now, &a);
	gateway_unreachable(h->gateway, h->now, &a);
	house_expect_none(h);
	house_answer(h, &letter, &plain); /* it lives: all forgiven */
	assert_int_equal(house_state(h), GATEWAY_UP);
	for (i = 0; i < 3; i++) { /* one error counts for one message */
		house_expect_none(h);
		house_wait(h, AMT_REQUEST, RELAY_A);
		gateway_unreachable(h->gateway, h->now, &a);
		if (i < 2)
			gateway_unreachable(h->gateway, h->now, &a);
	}
	house_expect(h, AMT_DISCOVERY, RELAY_B);
	assert_string_equal(candidates(h).view[0].why, "unreachable");
	assert_int_equal(counter_get(AMT_COUNT_GATEWAY_UNREACHABLE), 9);
	house_free(h);
}

/* What a configuration or an attach names. */
static void texts_become_candidates(void **state)
{
	struct gateway_candidate to[GATEWAY_CANDIDATES_OF_ONE];
	char buf[AMT_ADDR_STRLEN];

	assert_int_equal(gateway_candidates_of("192.0.2.1", to), 1);
	assert_int_equal(to[0].kind, CANDIDATE_ADDRESS);
	assert_string_equal(addr_print(&to[0].addr, buf), "192.0.2.1");
	assert_int_equal(gateway_candidates_of("relay.example.net", to), 1);
	assert_int_equal(to[0].kind, CANDIDATE_NAME);
	assert_string_equal(to[0].name, "relay.example.net");
	assert_int_equal(gateway_candidates_of("anycast", to), 2);
	assert_int_equal(to[0].kind, CANDIDATE_ANYCAST);
	assert_string_equal(addr_print(&to[0].addr, buf), "192.52.193.1");
	assert_int_equal(to[1].kind, CANDIDATE_ANYCAST);
	assert_string_equal(addr_print(&to[1].addr, buf), "2001:3::1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(goes_to_the_next_and_stays_there),
		cmocka_unit_test(asks_the_only_one_with_backoff),
		cmocka_unit_test(forgives_on_a_new_network),
		cmocka_unit_test(keeps_the_hold_down_of_the_relay),
		cmocka_unit_test(keeps_a_firm_hold_down),
		cmocka_unit_test(resolves_names),
		cmocka_unit_test(passes_over_a_name_without_address),
		cmocka_unit_test(resolves_anew_when_all_have_failed),
		cmocka_unit_test(leaves_a_relay_without_data),
		cmocka_unit_test(returns_to_the_relay_when_no_other_answers),
		cmocka_unit_test(puts_up_with_some_icmp),
		cmocka_unit_test(texts_become_candidates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
