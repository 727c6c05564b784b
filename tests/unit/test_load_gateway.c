/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The played gateway against a relay of a few lines, made of the codec: handshake, refresh,
 * retransmission, leave, Teardown, and what a gateway has to ignore. Time is a number.
 */
#include "unit/unit.h"

#include <arpa/inet.h>
#include <string.h>
#include "load/gateway.h"
#include "proto/message.h"
#include "proto/query.h"
#include "proto/report.h"
#include "proto/response_mac.h"

#define SECOND NSEC_PER_SEC

/* The other side, and what it saw. */
struct fixture {
	struct gateway gateway;
	struct gateway_options options;
	struct gateway_edge edge;
	struct channels channels;
	struct subscriptions wanted;
	struct amt_sockaddr relay, self;
	uint64_t now;
	bool silent, give_gateway;
	struct amt_secret secret;
	uint32_t last_nonce;
	enum record_type last_record;
	bool last_old;
	unsigned int discoveries, requests, updates, teardowns, bad_mac, linux_p, data, records;
	uint32_t random;
};

static struct amt_sockaddr endpoint(const char *text, uint16_t port)
{
	struct amt_sockaddr sa = {.port = htons(port)};

	assert_int_equal(addr_parse(text, &sa.addr), 0);
	return sa;
}

static void answer(struct fixture *f, const struct amt_message *msg)
{
	uint8_t buf[512];
	int len = message_write(msg, buf, sizeof(buf));

	assert_true(len > 0);
	load_gateway_receive(&f->gateway, f->now, &f->relay, buf, (size_t)len);
}

static void answer_query(struct fixture *f, const struct amt_message *request)
{
	struct query_params params = {.robustness = 2, .interval_s = 60};
	struct amt_message msg = {.type = AMT_QUERY, .nonce = request->nonce};
	uint8_t query[128];
	int len;

	if (request->want_mld)
		addr_parse("fe80::1", &params.source);
	len = query_write(request->want_mld, &params, query, sizeof(query));
	assert_true(len > 0);
	response_mac(&f->secret, &f->self, request->nonce, request->ecn, msg.mac);
	msg.datagram = query;
	msg.datagram_len = (size_t)len;
	msg.gateway_present = f->give_gateway;
	msg.gateway = f->self;
	answer(f, &msg);
}

static void take_update(struct fixture *f, const struct amt_message *msg)
{
	struct report_options options = {.require_router_alert = true};
	struct report_record record;
	struct report report;
	bool ecn;

	f->updates++;
	f->bad_mac +=
		!response_mac_verify(&f->secret, &f->self, msg->nonce, msg->mac, AMT_MAC_LEN, &ecn);
	assert_int_equal(report_parse(msg->datagram, msg->datagram_len, &options, &report), 0);
	while (report_next(&report, &record, NULL)) {
		f->records++;
		f->last_record = record.type;
		f->last_old = record.old_host;
	}
}

static void relay_takes(void *arg, struct gateway *gateway, const struct amt_sockaddr *to,
			const void *buf, size_t len)
{
	struct fixture *f = arg;
	struct amt_message msg, advertisement = {.type = AMT_ADVERTISEMENT};

	assert_true(sockaddr_equal(to, &f->relay));
	assert_int_equal(message_parse(buf, len, &msg), 0);
	f->last_nonce = msg.nonce;
	switch (msg.type) {
	case AMT_DISCOVERY:
		f->discoveries++;
		advertisement.nonce = msg.nonce;
		advertisement.relay = f->relay.addr;
		if (!f->silent)
			answer(f, &advertisement);
		break;
	case AMT_REQUEST:
		f->requests++;
		f->linux_p += msg.linux_p;
		if (!f->silent)
			answer_query(f, &msg);
		break;
	case AMT_UPDATE:
		take_update(f, &msg);
		break;
	case AMT_TEARDOWN:
		f->teardowns++;
		assert_true(sockaddr_equal(&msg.gateway, &f->self));
		break;
	default:
		fail();
	}
}

static void take_data(void *arg, struct gateway *gateway, const void *datagram, size_t len)
{
	((struct fixture *)arg)->data++;
}

static uint32_t take_random(void *arg)
{
	struct fixture *f = arg;

	return f->random += 0x9e3779b9;
}

static struct fixture fixture;

static struct fixture *start(const char *channel4, const char *channel6)
{
	struct fixture *f = &fixture;

	subscriptions_free(&f->wanted);
	channels_free(&f->channels);
	memset(f, 0, sizeof(*f));
	f->options.retry_ns = SECOND;
	f->options.retry_max_ns = 120 * SECOND;
	f->edge = (struct gateway_edge){f, relay_takes, take_random, take_data};
	f->secret.installed_ns = 1;
	f->now = 1000 * SECOND;
	f->relay = endpoint("192.0.2.1", AMT_PORT);
	f->self = endpoint("198.51.100.7", 40000);
	if (channel4)
		assert_int_equal(channels_add(&f->channels, channel4, NULL), 0);
	if (channel6)
		assert_int_equal(channels_add(&f->channels, channel6, NULL), 0);
	assert_int_equal(subscriptions_make(&f->wanted, &f->channels, 0, f->channels.n, NULL, 0),
			 0);
	return f;
}

static void begin(struct fixture *f)
{
	load_gateway_init(&f->gateway, &f->options, &f->edge, &f->wanted, &f->relay);
	load_gateway_join(&f->gateway, f->now);
}

/* Lets time pass in steps of a tenth of a second. */
static void pass(struct fixture *f, unsigned int seconds)
{
	unsigned int i;

	for (i = 0; i < seconds * 10; i++) {
		f->now += SECOND / 10;
		load_gateway_tick(&f->gateway, f->now);
	}
}

static void finish(struct fixture *f)
{
	assert_int_equal(f->bad_mac, 0);
	subscriptions_free(&f->wanted);
	channels_free(&f->channels);
}

/* One Request, Query and Update for each inner family; R-26. */
static void handshake(void **state)
{
	struct fixture *f = start("10.0.0.1,232.1.1.1", "2001:db8::1,ff3e::1");

	begin(f);
	assert_int_equal(f->discoveries, 0);
	assert_int_equal(f->requests, 2);
	assert_int_equal(f->updates, 2);
	assert_int_equal(f->last_record, RECORD_IS_IN);
	assert_true(load_gateway_established(&f->gateway));
	pass(f, 5); /* the first report is sent again QRV - 1 times */
	assert_int_equal(f->updates, 4);
	assert_int_equal(f->requests, 2);
	finish(f);
}

static void discovery_first(void **state)
{
	struct fixture *f = start("10.0.0.1,232.1.1.1", NULL);

	f->options.discover = true;
	begin(f);
	assert_int_equal(f->discoveries, 1);
	assert_int_equal(f->requests, 1);
	assert_true(load_gateway_established(&f->gateway));
	finish(f);
}

/* A query cycle each QQIC, with a new nonce, answered by the current state. */
static void refreshes(void **state)
{
	struct fixture *f = start("239.1.1.1", NULL);
	uint32_t nonce;

	begin(f);
	nonce = f->last_nonce;
	pass(f, 59);
	assert_int_equal(f->requests, 1);
	pass(f, 3);
	assert_int_equal(f->requests, 2);
	assert_int_equal(f->updates, 3);
	assert_int_equal(f->last_record, RECORD_IS_EX);
	assert_int_not_equal(nonce, f->last_nonce);
	pass(f, 600);
	assert_int_equal(f->requests, 12);
	finish(f);
}

/* Lost messages are sent again with the same nonce, further and further apart. */
static void retransmits(void **state)
{
	struct fixture *f = start("10.0.0.1,232.1.1.1", NULL);
	uint32_t nonce;

	f->silent = true;
	begin(f);
	nonce = f->last_nonce;
	pass(f, 600);
	assert_in_range(f->requests, 7, 40);
	assert_int_equal(f->last_nonce, nonce);
	assert_int_equal(f->gateway.counts.retries, f->requests - 1);
	assert_false(load_gateway_established(&f->gateway));
	f->silent = false;
	pass(f, 121);
	assert_true(load_gateway_established(&f->gateway));
	finish(f);
}

static void leaves_and_joins(void **state)
{
	struct fixture *f = start("10.0.0.1,232.1.1.1", NULL);

	begin(f);
	pass(f, 3);
	load_gateway_leave(&f->gateway, f->now);
	assert_int_equal(f->last_record, RECORD_BLOCK);
	assert_false(load_gateway_established(&f->gateway));
	pass(f, 3);
	assert_int_equal(f->updates, 4);
	load_gateway_join(&f->gateway, f->now); /* the MAC is young enough for an Update at once */
	assert_int_equal(f->last_record, RECORD_ALLOW);
	assert_int_equal(f->requests, 1);
	load_gateway_leave(&f->gateway, f->now);
	pass(f, 300); /* nothing is wanted, so nothing is asked */
	assert_int_equal(f->requests, 1);
	load_gateway_join(&f->gateway, f->now);
	assert_int_equal(f->requests, 2);
	assert_int_equal(f->last_record, RECORD_IS_IN);
	finish(f);
}

static void old_hosts(void **state)
{
	struct fixture *f = start("239.1.1.1", "ff0e::1");

	f->options.old = true;
	f->options.linux_p = true;
	begin(f);
	assert_true(f->last_old);
	assert_int_equal(f->last_record, RECORD_IS_EX);
	assert_int_equal(f->linux_p, 1); /* of two Requests, the one for MLD */
	load_gateway_leave(&f->gateway, f->now);
	assert_true(f->last_old);
	assert_int_equal(f->last_record, RECORD_TO_IN);
	finish(f);
}

/* Teardown needs what only a Query with G says; else the gateway leaves. */
static void tears_down(void **state)
{
	struct fixture *f = start("10.0.0.1,232.1.1.1", NULL);

	begin(f);
	assert_false(load_gateway_teardown(&f->gateway, f->now));
	assert_int_equal(f->last_record, RECORD_BLOCK);
	finish(f);

	f = start("10.0.0.1,232.1.1.1", NULL);
	f->give_gateway = true;
	begin(f);
	assert_true(load_gateway_teardown(&f->gateway, f->now));
	assert_int_equal(f->teardowns, 1);
	pass(f, 300);
	assert_int_equal(f->updates, 1);
	finish(f);
}

/* wrong nonce, wrong sender, broken query, and data from elsewhere. */
static void ignores(void **state)
{
	struct fixture *f = start("10.0.0.1,232.1.1.1", NULL);
	struct amt_sockaddr other = endpoint("192.0.2.2", AMT_PORT);
	struct amt_message request = {.type = AMT_REQUEST}, data = {.type = AMT_DATA};
	uint8_t buf[64] = {0};
	int len;

	f->silent = true;
	begin(f);
	request.nonce = ~f->last_nonce;
	answer_query(f, &request);
	request.nonce = f->last_nonce;
	request.want_mld = true; /* a query of the family that nobody asked for */
	answer_query(f, &request);
	assert_int_equal(f->gateway.counts.refused, 2);
	assert_int_equal(f->updates, 0);
	data.datagram = (const uint8_t *)"12345678";
	data.datagram_len = 8;
	len = message_write(&data, buf, sizeof(buf));
	load_gateway_receive(&f->gateway, f->now, &other, buf, (size_t)len);
	assert_int_equal(f->gateway.counts.foreign, 1);
	assert_int_equal(f->data, 0);
	load_gateway_receive(&f->gateway, f->now, &f->relay, buf, (size_t)len);
	assert_int_equal(f->data, 1);
	load_gateway_receive(&f->gateway, f->now, &f->relay, buf, 0);
	assert_int_equal(f->gateway.counts.refused, 3);
	finish(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(handshake),	    cmocka_unit_test(discovery_first),
		cmocka_unit_test(refreshes),	    cmocka_unit_test(retransmits),
		cmocka_unit_test(leaves_and_joins), cmocka_unit_test(old_hosts),
		cmocka_unit_test(tears_down),	    cmocka_unit_test(ignores),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
