/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit/unit.h"
#include "unit/helper_gateway.h"

#include <arpa/inet.h>
#include <string.h>
#include "proto/query.h"

static const struct reply plain = {.mac = 0x11};

/* A gateway whose first Request waits. */
static struct house *asking(struct letter *request, bool ipv6)
{
	struct house *h = house_new();
	struct letter letter;

	h->options.ecn = false;
	h->options.ipv4_groups = !ipv6;
	h->options.ipv6_groups = ipv6;
	house_candidate(h, CANDIDATE_ADDRESS, RELAY_A);
	house_start(h);
	letter = house_wait(h, AMT_DISCOVERY, RELAY_A);
	house_advertise(h, &letter, RELAY_A);
	*request = house_expect(h, AMT_REQUEST, RELAY_A);
	assert_int_equal(request->msg.want_mld, ipv6);
	return h;
}

static void repeats_requests(void **state)
{
	struct letter first, next;
	struct house *h = asking(&first, false);
	uint64_t before = first.at, most[] = {1, 2, 4};
	unsigned int i;

	for (i = 0; i < 3; i++) { /* */
		next = house_wait(h, AMT_REQUEST, RELAY_A);
		assert_true(next.at - before >= SECONDS(1));
		assert_true(next.at - before <= SECONDS(most[i]));
		assert_int_equal(next.msg.nonce, first.msg.nonce); /* */
		before = next.at;
	}
	house_wait(h, AMT_DISCOVERY, RELAY_A); /* then discovery again */
	assert_int_equal(counter_get(AMT_COUNT_GATEWAY_RELAY_FAILED), 1);
	house_free(h);
}

static void takes_a_query(void **state)
{
	struct letter request;
	struct house *h = asking(&request, false);
	struct gateway_status status;

	h->now += NSEC_PER_SEC / 20;
	house_answer(h, &request, &plain);
	assert_int_equal(h->queries[IGMP], 1);
	assert_int_equal(h->interval_s[IGMP], 125);
	assert_int_equal(h->robustness[IGMP], 2);
	assert_true(h->tapped);
	assert_true(addr_equal(&h->tap.relay.addr, &request.to.addr));
	assert_false(h->tap.ecn);
	status = house_status(h);
	assert_int_equal(status.state, GATEWAY_UP);
	assert_int_equal(status.handshake_ns, NSEC_PER_SEC / 20);
	assert_int_equal(status.endpoint.port, 0);
	assert_true(status.answered[IGMP]);
	house_expect_none(h);
	/* one Query to a Request */
	house_answer(h, &request, &plain);
	assert_int_equal(h->queries[IGMP], 1);
	assert_int_equal(counter_get(AMT_COUNT_GATEWAY_NOT_AWAITED), 1);
	house_free(h);
}

/* R-39, row by row. */
static void refuses(void **state)
{
	struct letter request, wrong;
	struct house *h = asking(&request, false);
	struct amt_sockaddr port = {request.to.addr, htons(AMT_PORT + 1)};
	struct reply reply = plain;
	uint8_t buf[256];
	size_t len = query_message(&request, &plain, buf, sizeof(buf)), i;

	reply.from = RELAY_B;
	house_answer(h, &request, &reply);
	assert_int_equal(counter_get(AMT_COUNT_GATEWAY_WRONG_PEER), 1);
	gateway_receive(h->gateway, h->now, &port, buf, len);
	assert_int_equal(counter_get(AMT_COUNT_GATEWAY_WRONG_PEER), 2);
	wrong = request;
	wrong.msg.nonce ^= 0x01000000;
	house_answer(h, &wrong, &plain);
	assert_int_equal(counter_get(AMT_COUNT_GATEWAY_WRONG_NONCE), 1);
	reply = plain;
	reply.other_protocol = true;
	house_answer(h, &request, &reply);
	assert_int_equal(counter_get(AMT_COUNT_GATEWAY_WRONG_PROTOCOL), 1);
	for (i = 0; i < len; i++) /* cut off anywhere: lengths beyond the message */
		house_receive(h, RELAY_A, buf, i);
	assert_int_equal(counter_get(AMT_COUNT_SHORT_MESSAGE), AMT_QUERY_DATAGRAM);
	assert_int_equal(counter_get(AMT_COUNT_GATEWAY_BAD_QUERY), len - AMT_QUERY_DATAGRAM);
	for (i = AMT_QUERY_DATAGRAM; i < len; i++) { /* any octet of the datagram changed */
		buf[i] ^= 0x55;
		house_receive(h, RELAY_A, buf, len);
		buf[i] ^= 0x55;
	}
	assert_int_equal(counter_get(AMT_COUNT_GATEWAY_BAD_QUERY), 2 * (len - AMT_QUERY_DATAGRAM));
	assert_int_equal(h->queries[IGMP] + h->queries[MLD], 0);
	assert_int_equal(house_state(h), GATEWAY_REQUEST);
	assert_false(h->tapped);
	house_receive(h, RELAY_A, buf, len);
	assert_int_equal(house_state(h), GATEWAY_UP);
	house_free(h);
}

/* A group-specific query, and a report, are no general query. */
static void refuses_other_inner_packets(void **state)
{
	struct letter request;
	struct house *h = asking(&request, false);
	struct amt_addr group = address(GROUP_ANY);
	uint8_t inner[128], buf[256];
	const struct test_ip specific = {
		.options = "94040000",
		.message = "1101 0000 ef010203 027d0000",
	};
	const struct test_ip udp = {.protocol = 17, .message = "1234 5678 0010 0000 00000000"};
	struct amt_message msg = {
		.type = AMT_QUERY,
		.nonce = request.msg.nonce,
		.datagram = inner,
	};
	int len;

	msg.datagram_len = build_ipv4(&specific, inner, sizeof(inner));
	len = message_write(&msg, buf, sizeof(buf));
	house_receive(h, RELAY_A, buf, (size_t)len);
	msg.datagram_len = build_ipv4(&udp, inner, sizeof(inner));
	len = message_write(&msg, buf, sizeof(buf));
	house_receive(h, RELAY_A, buf, (size_t)len);
	msg.datagram_len = (size_t)report_write_old(NULL, &group, false, inner, sizeof(inner));
	len = message_write(&msg, buf, sizeof(buf));
	house_receive(h, RELAY_A, buf, (size_t)len);
	assert_int_equal(counter_get(AMT_COUNT_GATEWAY_BAD_QUERY), 3);
	assert_int_equal(h->queries[IGMP], 0);
	house_free(h);
}

/* octets between the inner datagram and the G fields mean nothing. */
static void takes_octets_behind_the_datagram(void **state)
{
	const struct reply with_g = {.endpoint = GATEWAY4, .port = 4000};
	struct letter request;
	struct house *h = asking(&request, false);
	uint8_t buf[256];
	size_t len = query_message(&request, &with_g, buf, sizeof(buf));

	memmove(buf + len - AMT_GATEWAY_LEN + 7, buf + len - AMT_GATEWAY_LEN, AMT_GATEWAY_LEN);
	memset(buf + len - AMT_GATEWAY_LEN, 0xee, 7);
	house_receive(h, RELAY_A, buf, len + 7);
	assert_int_equal(h->queries[IGMP], 1);
	assert_int_equal(h->interval_s[IGMP], 125);
	assert_int_equal(ntohs(house_status(h).endpoint.port), 4000);
	house_free(h);
}

/* */
static void takes_any_source(void **state)
{
	struct reply reply = {.mld_source_global = true, .interval_s = 77};
	struct letter request;
	struct house *h = asking(&request, true);

	house_answer(h, &request, &reply);
	assert_int_equal(h->queries[MLD], 1);
	assert_int_equal(h->interval_s[MLD], 77);
	house_free(h);
}

static void asks_again_by_qqic(void **state)
{
	struct reply reply = {.interval_s = 60};
	struct letter request, next;
	struct house *h = asking(&request, false);

	house_answer(h, &request, &reply);
	next = house_wait(h, AMT_REQUEST, RELAY_A); /* */
	assert_int_equal(next.at - request.at, SECONDS(60));
	assert_int_not_equal(next.msg.nonce, request.msg.nonce); /* */
	/* the old nonce is over */
	house_answer(h, &request, &reply);
	assert_int_equal(counter_get(AMT_COUNT_GATEWAY_WRONG_NONCE), 1);
	house_answer(h, &next, &reply);
	assert_int_equal(h->queries[IGMP], 2);
	house_free(h);
}

static void keeps_a_nat_alive(void **state)
{
	struct house *h = house_new();
	struct letter letter;
	uint64_t at;

	h->options.keepalive = 25; /* */
	house_up(h, RELAY_A, &plain);
	at = h->now;
	letter = house_wait(h, AMT_REQUEST, RELAY_A);
	assert_int_equal(letter.at - at, SECONDS(25));
	house_answer(h, &letter, &(struct reply){.interval_s = 10});
	at = h->now;
	assert_int_equal(house_wait(h, AMT_REQUEST, RELAY_A).at - at, SECONDS(10));
	house_free(h);
}

static void asks_at_once_on_a_new_network(void **state)
{
	struct house *h = house_new();
	struct letter letter;

	house_up(h, RELAY_A, &plain);
	house_pass(h, SECONDS(3));
	gateway_network_changed(h->gateway, h->now);
	letter = house_expect(h, AMT_REQUEST, RELAY_A);
	house_answer(h, &letter, &plain);
	assert_int_equal(h->queries[IGMP], 2);
	assert_int_equal(h->taps, 1);
	house_free(h);
}

/* a relay that knows only one protocol is a relay. */
static void lives_with_one_protocol(void **state)
{
	struct house *h = house_new();
	struct letter letter, igmp = {0};
	unsigned int i;

	h->options.ipv6_groups = true;
	h->options.ecn = false;
	house_candidate(h, CANDIDATE_ADDRESS, RELAY_A);
	house_start(h);
	letter = house_wait(h, AMT_DISCOVERY, RELAY_A);
	house_advertise(h, &letter, RELAY_A);
	igmp = house_expect(h, AMT_REQUEST, RELAY_A);
	assert_false(igmp.msg.want_mld);
	letter = house_expect(h, AMT_REQUEST, RELAY_A);
	assert_true(letter.msg.want_mld);
	assert_int_not_equal(letter.msg.nonce, igmp.msg.nonce);
	for (i = 0; i < 40; i++) { /* ten minutes and more of answers to one only */
		if (!igmp.msg.want_mld)
			house_answer(h, &igmp, &plain);
		assert_int_equal(house_state(h), GATEWAY_UP);
		igmp = house_wait(h, AMT_REQUEST, RELAY_A);
	}
	assert_int_equal(counter_get(AMT_COUNT_GATEWAY_RELAY_FAILED), 0);
	assert_false(house_status(h).answered[MLD]);
	assert_int_equal(h->queries[MLD], 0);
	house_free(h);
}

/* One protocol falls silent: the other is asked at once, and not when its timer says. */
static void finds_a_dead_relay_by_either_protocol(void **state)
{
	struct house *h = house_new();
	struct letter letter;

	h->options.ipv6_groups = true;
	h->options.ecn = false;
	house_candidate(h, CANDIDATE_ADDRESS, RELAY_A);
	house_start(h);
	letter = house_wait(h, AMT_DISCOVERY, RELAY_A);
	house_advertise(h, &letter, RELAY_A);
	letter = house_expect(h, AMT_REQUEST, RELAY_A);
	house_answer(h, &letter, &(struct reply){.interval_s = 30});
	letter = house_expect(h, AMT_REQUEST, RELAY_A);
	house_answer(h, &letter, &(struct reply){.interval_s = 3000});
	house_pass(h, SECONDS(29));
	house_expect_none(h);
	house_pass(h, SECONDS(1 + 15 + 15));
	assert_int_equal(counter_get(AMT_COUNT_GATEWAY_RELAY_FAILED), 1);
	house_free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(repeats_requests),
		cmocka_unit_test(takes_a_query),
		cmocka_unit_test(refuses),
		cmocka_unit_test(refuses_other_inner_packets),
		cmocka_unit_test(takes_octets_behind_the_datagram),
		cmocka_unit_test(takes_any_source),
		cmocka_unit_test(asks_again_by_qqic),
		cmocka_unit_test(keeps_a_nat_alive),
		cmocka_unit_test(asks_at_once_on_a_new_network),
		cmocka_unit_test(lives_with_one_protocol),
		cmocka_unit_test(finds_a_dead_relay_by_either_protocol),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
