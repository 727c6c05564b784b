/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit/unit.h"
#include "unit/helper_gateway.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "proto/query.h"

/* ---- the edge ---- */

static int house_send(void *arg, const struct amt_sockaddr *peer, const void *buf, size_t len)
{
	struct house *h = arg;
	struct letter *letter = &h->post[h->nsent];

	if (h->send_error)
		return h->send_error;
	assert_true(h->nsent < POST_MAX && len <= sizeof(letter->buf));
	letter->to = *peer;
	letter->at = h->now;
	letter->len = len;
	memcpy(letter->buf, buf, len);
	h->nsent++;
	return 0;
}

static void house_random(void *arg, void *buf, size_t len)
{
	struct house *h = arg;
	uint8_t *at = buf;

	while (len--) {
		h->random = h->random * 6364136223846793005ull + 1442695040888963407ull;
		*at++ = (uint8_t)(h->random >> 56);
	}
}

static void house_query(void *arg, bool mld, unsigned int robustness, unsigned int interval_s)
{
	struct house *h = arg;

	h->robustness[mld] = robustness;
	h->interval_s[mld] = interval_s;
	h->queries[mld]++;
}

static void house_relay_changed(void *arg, const struct gateway_relay *relay)
{
	struct house *h = arg;

	h->tapped = relay;
	h->taps++;
	if (relay)
		h->tap = *relay;
}

static void house_resolve(void *arg, unsigned int candidate, const char *name)
{
	struct house *h = arg;

	assert_string_equal(name, h->candidates[candidate].name);
	h->resolves++;
}

static void house_wanted(void *arg, const struct wish_change *change)
{
	struct house *h = arg;

	h->wanted++;
}

/* ---- the house ---- */

struct house *house_new(void)
{
	struct house *h = calloc(1, sizeof(*h));

	assert_non_null(h);
	gateway_options_default(&h->options);
	h->options.candidates = h->candidates;
	h->options.ncandidates = 0;
	h->options.ipv6_groups = false;
	h->options.data_timeout = 0;
	h->now = SECONDS(1);
	h->random = 7;
	counter_reset_all();
	return h;
}

void house_candidate(struct house *h, enum gateway_candidate_kind kind, const char *addr)
{
	struct gateway_candidate *candidate = &h->candidates[h->options.ncandidates++];

	candidate->kind = kind;
	if (kind == CANDIDATE_NAME)
		snprintf(candidate->name, sizeof(candidate->name), "%s", addr);
	else
		candidate->addr = address(addr);
}

void house_start(struct house *h)
{
	const struct gateway_edge edge = {
		.arg = h,
		.send = house_send,
		.random = house_random,
		.query = house_query,
		.relay_changed = house_relay_changed,
		.resolve = house_resolve,
		.wanted = house_wanted,
	};

	h->gateway = gateway_new(&h->options, &edge, h->now);
	assert_non_null(h->gateway);
}

void house_free(struct house *h)
{
	gateway_free(h->gateway);
	free(h);
}

void house_pass(struct house *h, uint64_t ns)
{
	uint64_t until = h->now + ns, next;
	unsigned int turns = 0;

	while ((next = gateway_tick(h->gateway, h->now)) <= until) {
		h->now = next > h->now ? next : h->now;
		assert_true(++turns < 100000);
	}
	h->now = until;
}

struct letter house_letter(struct house *h)
{
	struct letter letter;

	assert_true(h->nsent > 0);
	letter = h->post[0];
	h->nsent--;
	memmove(&h->post[0], &h->post[1], h->nsent * sizeof(h->post[0]));
	assert_int_equal(message_parse(letter.buf, letter.len, &letter.msg), 0);
	if (letter.msg.datagram) /* in the copy that the caller has, it moves again */
		letter.msg.datagram = NULL;
	return letter;
}

struct letter house_expect(struct house *h, enum amt_type type, const char *to)
{
	struct letter letter = house_letter(h);
	struct amt_sockaddr peer = {address(to), htons(AMT_PORT)};

	assert_int_equal(letter.msg.type, type);
	assert_true(sockaddr_equal(&letter.to, &peer));
	return letter;
}

void house_expect_none(struct house *h)
{
	assert_int_equal(h->nsent, 0);
}

struct letter house_wait(struct house *h, enum amt_type type, const char *to)
{
	uint64_t limit = h->now + SECONDS(600), next;

	while (!h->nsent) {
		next = gateway_tick(h->gateway, h->now);
		if (h->nsent)
			break;
		assert_true(next <= limit);
		h->now = next > h->now ? next : h->now;
	}
	return house_expect(h, type, to);
}

struct gateway_status house_status(const struct house *h)
{
	struct gateway_status status;

	gateway_status(h->gateway, &status);
	return status;
}

enum gateway_state house_state(const struct house *h)
{
	return house_status(h).state;
}

void house_receive(struct house *h, const char *from, const void *buf, size_t len)
{
	struct amt_sockaddr peer = {address(from), htons(AMT_PORT)};
	struct exact exact = exact_copy(buf, len);

	gateway_receive(h->gateway, h->now, &peer, exact.data, len);
	free_exact(&exact);
}

void house_advertise(struct house *h, const struct letter *discovery, const char *relay)
{
	struct amt_message msg = {
		.type = AMT_ADVERTISEMENT,
		.nonce = discovery->msg.nonce,
		.relay = address(relay),
	};
	char from[AMT_ADDR_STRLEN];
	uint8_t buf[32];
	int len = message_write(&msg, buf, sizeof(buf));

	house_receive(h, addr_print(&discovery->to.addr, from), buf, (size_t)len);
}

size_t query_message(const struct letter *request, const struct reply *reply, uint8_t *buf,
		     size_t size)
{
	bool mld = request->msg.want_mld != reply->other_protocol;
	struct query_params params = {
		.robustness = 2,
		.interval_s = reply->interval_s ? reply->interval_s : 125,
	};
	struct amt_message msg = {
		.type = AMT_QUERY,
		.nonce = request->msg.nonce,
		.limit = reply->limit,
		.gateway_present = reply->endpoint,
	};
	uint8_t datagram[QUERY_MLD_LEN];
	int len;

	if (mld)
		params.source = address(reply->mld_source_global ? "2001:db8::7" : "fe80::7");
	len = query_write(mld, &params, datagram, sizeof(datagram));
	assert_true(len > 0);
	msg.datagram = datagram;
	msg.datagram_len = (size_t)len;
	memset(msg.mac, reply->mac, sizeof(msg.mac));
	if (reply->endpoint)
		msg.gateway = (struct amt_sockaddr){address(reply->endpoint), htons(reply->port)};
	len = message_write(&msg, buf, size);
	assert_true(len > 0);
	return (size_t)len;
}

void house_answer(struct house *h, const struct letter *request, const struct reply *reply)
{
	char from[AMT_ADDR_STRLEN];
	uint8_t buf[256];
	size_t len = query_message(request, reply, buf, sizeof(buf));

	house_receive(h, reply->from ? reply->from : addr_print(&request->to.addr, from), buf, len);
}

void house_report(struct house *h, enum record_type type, const char *group, const char *sources)
{
	struct amt_addr list[8], at = address(group);
	struct report_build record = {.type = type, .group = at, .sources = list};
	char copy[256], *save, *word;
	uint8_t buf[1024];
	int len;

	snprintf(copy, sizeof(copy), "%s", sources);
	for (word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
		list[record.nsources++] = address(word);
	len = report_write(!addr_is_ipv4(&at), NULL, &record, 1, buf, sizeof(buf));
	assert_true(len > 0);
	gateway_report(h->gateway, h->now, buf, (size_t)len);
}

void house_up(struct house *h, const char *relay, const struct reply *reply)
{
	struct letter letter;

	house_candidate(h, CANDIDATE_ADDRESS, relay);
	house_start(h);
	letter = house_wait(h, AMT_DISCOVERY, relay);
	house_advertise(h, &letter, relay);
	letter = house_expect(h, AMT_REQUEST, relay);
	house_answer(h, &letter, reply);
	assert_int_equal(house_state(h), GATEWAY_UP);
	house_report(h, RECORD_IS_EX, GROUP_ANY, "");
	house_expect(h, AMT_UPDATE, relay);
	house_expect_none(h);
}
