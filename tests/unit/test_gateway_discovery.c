/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit/unit.h"
#include "unit/helper_gateway.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

static struct house *start(enum gateway_candidate_kind kind, const char *addr)
{
	struct house *h = house_new();

	house_candidate(h, kind, addr);
	house_start(h);
	return h;
}

static void asks_until_it_gives_up(void **state)
{
	struct house *h = start(CANDIDATE_ANYCAST, ANYCAST4);
	struct letter first = house_wait(h, AMT_DISCOVERY, ANYCAST4), next;
	uint64_t before = first.at, most[] = {1, 2, 4};
	unsigned int i;

	assert_int_not_equal(first.msg.nonce, 0); /* */
	assert_int_equal(first.len, AMT_DISCOVERY_LEN);
	for (i = 0; i < 3; i++) { /* uniform in [1, 2^retry] */
		next = house_wait(h, AMT_DISCOVERY, ANYCAST4);
		assert_true(next.at - before >= SECONDS(1));
		assert_true(next.at - before <= SECONDS(most[i]));
		assert_int_equal(next.msg.nonce, first.msg.nonce);
		before = next.at;
	}
	/* the next is a new discovery: a nonce of its own */
	next = house_wait(h, AMT_DISCOVERY, ANYCAST4);
	assert_int_not_equal(next.msg.nonce, first.msg.nonce);
	assert_int_equal(counter_get(AMT_COUNT_GATEWAY_RETRANSMITTED), 3);
	assert_int_equal(counter_get(AMT_COUNT_GATEWAY_RELAY_FAILED), 1);
	house_free(h);
}

static void backs_off_at_random(void **state)
{
	struct house *h = house_new();
	uint64_t sum = 0, before = 0;
	unsigned int i, n = 0;

	h->options.discovery_retries = 12;
	house_candidate(h, CANDIDATE_ANYCAST, ANYCAST4);
	house_start(h);
	for (i = 0; i < 13; i++) {
		struct letter letter = house_wait(h, AMT_DISCOVERY, ANYCAST4);

		if (i > 7) { /* 2^7 > 120 */
			assert_true(letter.at - before <= SECONDS(120));
			sum += letter.at - before;
			n++;
		}
		before = letter.at;
	}
	assert_in_range(sum / n, SECONDS(20), SECONDS(105));
	house_free(h);
}

static void takes_the_relay_that_is_named(void **state)
{
	struct house *h = start(CANDIDATE_ANYCAST, ANYCAST4);
	struct letter letter = house_wait(h, AMT_DISCOVERY, ANYCAST4);

	house_advertise(h, &letter, RELAY_B);
	assert_int_equal(house_state(h), GATEWAY_REQUEST);
	house_expect(h, AMT_REQUEST, RELAY_B);
	/* no other until the next Discovery */
	house_advertise(h, &letter, RELAY_A);
	assert_int_equal(counter_get(AMT_COUNT_GATEWAY_NOT_AWAITED), 1);
	house_expect_none(h);
	house_free(h);
}

/* R-22, row by row; each leaves everything as it is. */
static void refuses(void **state)
{
	struct house *h = start(CANDIDATE_ANYCAST, ANYCAST4);
	struct letter letter = house_wait(h, AMT_DISCOVERY, ANYCAST4), wrong = letter;
	const char *const relays[] = {"224.0.0.1", "0.0.0.0", "255.255.255.255", "127.0.0.1",
				      "2001:db8::1"};
	struct amt_message msg = {.type = AMT_ADVERTISEMENT, .nonce = letter.msg.nonce};
	struct amt_sockaddr from = {address(ANYCAST4), htons(AMT_PORT + 1)};
	uint8_t buf[32];
	unsigned int i;
	int len;

	wrong.msg.nonce ^= 1;
	house_advertise(h, &wrong, RELAY_A);
	assert_int_equal(counter_get(AMT_COUNT_GATEWAY_WRONG_NONCE), 1);
	wrong = letter;
	wrong.to.addr = address(RELAY_A); /* not who was asked, even when it names itself */
	house_advertise(h, &wrong, RELAY_A);
	assert_int_equal(counter_get(AMT_COUNT_GATEWAY_WRONG_PEER), 1);
	msg.relay = address(RELAY_A);
	len = message_write(&msg, buf, sizeof(buf));
	gateway_receive(h->gateway, h->now, &from, buf, (size_t)len);
	assert_int_equal(counter_get(AMT_COUNT_GATEWAY_WRONG_PEER), 2);
	for (i = 0; i < sizeof(relays) / sizeof(relays[0]); i++) {
		house_advertise(h, &letter, relays[i]);
		assert_int_equal(counter_get(AMT_COUNT_GATEWAY_BAD_RELAY), i + 1);
	}
	for (i = 0; i < (unsigned int)len; i++)
		house_receive(h, ANYCAST4, buf, i);
	assert_int_equal(counter_get(AMT_COUNT_SHORT_MESSAGE), len);
	buf[0] |= 0x10; /* */
	house_receive(h, ANYCAST4, buf, (size_t)len);
	assert_int_equal(counter_get(AMT_COUNT_BAD_VERSION), 1);
	assert_int_equal(house_state(h), GATEWAY_DISCOVERY);
	house_expect_none(h);
	/* and the right one is still taken */
	house_advertise(h, &letter, RELAY_A);
	house_expect(h, AMT_REQUEST, RELAY_A);
	house_free(h);
}

/* what only gateways send, and what is no type at all. */
static void refuses_other_types(void **state)
{
	struct house *h = start(CANDIDATE_ANYCAST, ANYCAST4);
	uint8_t buf[64] = {0};
	unsigned int type;

	house_wait(h, AMT_DISCOVERY, ANYCAST4);
	for (type = 0; type < 16; type++) {
		buf[0] = (uint8_t)type;
		if (type != AMT_ADVERTISEMENT && type != AMT_QUERY)
			house_receive(h, ANYCAST4, buf, sizeof(buf));
	}
	assert_int_equal(counter_get(AMT_COUNT_GATEWAY_BAD_TYPE), 13);
	assert_int_equal(counter_get(AMT_COUNT_GATEWAY_DATA_AT_SOCKET), 1);
	assert_int_equal(counter_get(AMT_COUNT_BAD_TYPE), 0);
	assert_int_equal(house_state(h), GATEWAY_DISCOVERY);
	house_free(h);
}

/* A relay whose address is known is asked by Request when it does not answer Discovery. */
static void goes_on_without_discovery(void **state)
{
	struct house *h = start(CANDIDATE_ADDRESS, RELAY_A);
	unsigned int i;

	for (i = 0; i < 4; i++)
		house_wait(h, AMT_DISCOVERY, RELAY_A);
	house_wait(h, AMT_REQUEST, RELAY_A);
	assert_int_equal(house_state(h), GATEWAY_REQUEST);
	house_free(h);
}

static void passes_over_what_has_no_route(void **state)
{
	struct house *h = house_new();
	uint64_t at = h->now;

	house_candidate(h, CANDIDATE_ANYCAST, "2001:3::1");
	house_candidate(h, CANDIDATE_ANYCAST, ANYCAST4);
	house_start(h);
	h->send_error = -ENETUNREACH;
	gateway_tick(h->gateway, h->now);
	h->send_error = 0;
	assert_int_equal(house_wait(h, AMT_DISCOVERY, ANYCAST4).at, at);
	house_free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(asks_until_it_gives_up),
		cmocka_unit_test(backs_off_at_random),
		cmocka_unit_test(takes_the_relay_that_is_named),
		cmocka_unit_test(refuses),
		cmocka_unit_test(refuses_other_types),
		cmocka_unit_test(goes_on_without_discovery),
		cmocka_unit_test(passes_over_what_has_no_route),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
