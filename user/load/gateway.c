/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "load/gateway.h"

#include <string.h>
#include "proto/message.h"
#include "proto/query.h"

#define MESSAGE_MAX 2048
#define CYCLES	    2
#define REPEAT_NS   NSEC_PER_SEC /* unsolicited report interval */

static void send_message(struct gateway *gw, const struct amt_sockaddr *to,
			 const struct amt_message *msg)
{
	uint8_t buf[MESSAGE_MAX];
	int len = message_write(msg, buf, sizeof(buf));

	if (len > 0)
		gw->edge->send(gw->edge->arg, gw, to, buf, (size_t)len);
}

static bool cycle_used(const struct gateway *gw, unsigned int ipv6)
{
	return ipv6 ? gw->wanted->ipv6 : gw->wanted->ipv4;
}

/* Uniform in [initial, min(initial * 2^tries, max)]. */
static uint64_t backoff(const struct gateway *gw, unsigned int tries)
{
	uint64_t initial = gw->options->retry_ns, top = initial, random;

	while (tries-- > 0 && top < gw->options->retry_max_ns)
		top *= 2;
	if (top > gw->options->retry_max_ns)
		top = gw->options->retry_max_ns;
	if (top <= initial)
		return initial;
	random = gw->edge->random(gw->edge->arg);
	return initial + (uint64_t)((double)(top - initial) * (double)random / UINT32_MAX);
}

/* ---- sending ---- */

static void discover(struct gateway *gw, uint64_t now)
{
	struct amt_message msg = {.type = AMT_DISCOVERY};

	if (gw->discovery_tries == 0) {
		do /* random and not zero; the same when sent again */
			gw->discovery_nonce = gw->edge->random(gw->edge->arg);
		while (gw->discovery_nonce == 0);
	} else {
		gw->counts.retries++;
	}
	msg.nonce = gw->discovery_nonce;
	gw->counts.discoveries++;
	gw->discovery_due = now + backoff(gw, gw->discovery_tries++);
	send_message(gw, &gw->discovery, &msg);
}

static void request(struct gateway *gw, unsigned int ipv6, uint64_t now)
{
	struct gateway_cycle *cycle = &gw->cycle[ipv6];
	struct amt_message msg = {
		.type = AMT_REQUEST,
		.want_mld = ipv6,
		.linux_p = ipv6 && gw->options->linux_p,
		.ecn = gw->options->ecn,
	};

	if (cycle->asked) {
		gw->counts.retries++;
	} else { /* a new nonce for each cycle, the same when sent again */
		cycle->request_nonce = gw->edge->random(gw->edge->arg);
		cycle->asked = true;
		cycle->tries = 0;
		cycle->asked_ns = now;
	}
	msg.nonce = cycle->request_nonce;
	gw->counts.requests++;
	cycle->due = now + backoff(gw, cycle->tries++);
	send_message(gw, &gw->relay, &msg);
}

/* All reports of one kind and family, each in its own Update. */
static void update(struct gateway *gw, unsigned int ipv6, enum report_kind kind)
{
	struct gateway_cycle *cycle = &gw->cycle[ipv6];
	struct report_cursor cursor = {0};
	struct amt_message msg = {.type = AMT_UPDATE, .nonce = cycle->nonce};
	uint8_t report[MESSAGE_MAX - AMT_UPDATE_DATAGRAM];
	int len;

	memcpy(msg.mac, cycle->mac, sizeof(msg.mac));
	for (;;) {
		len = subscriptions_report(gw->wanted, kind, ipv6, gw->options->old, &cursor,
					   report, sizeof(report));
		if (len <= 0)
			return;
		msg.datagram = report;
		msg.datagram_len = (size_t)len;
		gw->counts.updates++;
		send_message(gw, &gw->relay, &msg);
	}
}

/* A state change goes out at once and QRV - 1 times again. */
static void change(struct gateway *gw, unsigned int ipv6, enum report_kind kind, uint64_t now)
{
	struct gateway_cycle *cycle = &gw->cycle[ipv6];

	update(gw, ipv6, kind);
	cycle->repeat = kind;
	cycle->repeats_left = cycle->robustness > 1 ? cycle->robustness - 1 : 0;
	cycle->repeat_due = cycle->repeats_left > 0 ? now + REPEAT_NS : TIME_NEVER;
}

/* ---- what the caller wants ---- */

void load_gateway_init(struct gateway *gw, const struct gateway_options *options,
		       const struct gateway_edge *edge, const struct subscriptions *wanted,
		       const struct amt_sockaddr *relay)
{
	unsigned int i;

	memset(gw, 0, sizeof(*gw));
	gw->options = options;
	gw->edge = edge;
	gw->wanted = wanted;
	gw->discovery = *relay;
	gw->relay = *relay;
	gw->relay_known = !options->discover;
	gw->discovery_due = TIME_NEVER;
	for (i = 0; i < CYCLES; i++)
		gw->cycle[i].due = gw->cycle[i].repeat_due = TIME_NEVER;
}

void load_gateway_forget(struct gateway *gw)
{
	unsigned int i;

	for (i = 0; i < CYCLES; i++) {
		gw->cycle[i].asked = gw->cycle[i].answered = false;
		gw->cycle[i].repeat_due = TIME_NEVER;
	}
}

void load_gateway_join(struct gateway *gw, uint64_t now)
{
	unsigned int i;

	gw->joined = true;
	if (!gw->relay_known) {
		gw->discovery_tries = 0;
		discover(gw, now);
		return;
	}
	for (i = 0; i < CYCLES; i++) {
		struct gateway_cycle *cycle = &gw->cycle[i];

		if (!cycle_used(gw, i))
			continue;
		if (cycle->answered && now < cycle->due)
			change(gw, i, REPORT_JOIN, now);
		else
			request(gw, i, now);
	}
}

void load_gateway_leave(struct gateway *gw, uint64_t now)
{
	unsigned int i;

	gw->joined = false;
	gw->discovery_due = TIME_NEVER;
	for (i = 0; i < CYCLES; i++) {
		if (cycle_used(gw, i) && gw->cycle[i].answered)
			change(gw, i, REPORT_LEAVE, now);
	}
}

bool load_gateway_teardown(struct gateway *gw, uint64_t now)
{
	unsigned int i;

	for (i = 0; i < CYCLES; i++) {
		struct gateway_cycle *cycle = &gw->cycle[i];
		struct amt_message msg = {.type = AMT_TEARDOWN, .nonce = cycle->nonce};

		if (!cycle->answered || !cycle->self_present)
			continue;
		memcpy(msg.mac, cycle->mac, sizeof(msg.mac));
		msg.gateway = cycle->self;
		gw->joined = false;
		gw->cycle[0].repeat_due = gw->cycle[1].repeat_due = TIME_NEVER;
		gw->counts.teardowns++;
		send_message(gw, &gw->relay, &msg);
		return true;
	}
	load_gateway_leave(gw, now);
	return false;
}

bool load_gateway_established(const struct gateway *gw)
{
	unsigned int i;

	for (i = 0; i < CYCLES; i++) {
		if (cycle_used(gw, i) && !gw->cycle[i].answered)
			return false;
	}
	return gw->joined;
}

/* ---- receiving ---- */

static void take_advertisement(struct gateway *gw, uint64_t now, const struct amt_sockaddr *from,
			       const struct amt_message *msg)
{
	/* awaited, of our nonce, from where the Discovery went; R-23: only the first. */
	if (gw->relay_known || gw->discovery_due == TIME_NEVER ||
	    msg->nonce != gw->discovery_nonce || !sockaddr_equal(from, &gw->discovery)) {
		gw->counts.refused++;
		return;
	}
	gw->relay.addr = msg->relay;
	gw->relay_known = true;
	gw->discovery_due = TIME_NEVER;
	if (gw->joined)
		load_gateway_join(gw, now);
}

/* The cycle that waits for this Query, or NULL. The Query has to be right in every octet that a
 * gateway can check. */
static struct gateway_cycle *match_query(struct gateway *gw, const struct amt_sockaddr *from,
					 const struct amt_message *msg, struct query_params *params)
{
	bool mld;

	if (!sockaddr_equal(from, &gw->relay) ||
	    query_parse(msg->datagram, msg->datagram_len, &mld, params) < 0)
		return NULL;
	if (!gw->cycle[mld].asked || gw->cycle[mld].request_nonce != msg->nonce)
		return NULL;
	return &gw->cycle[mld];
}

static void take_query(struct gateway *gw, uint64_t now, const struct amt_sockaddr *from,
		       const struct amt_message *msg)
{
	struct query_params params;
	struct gateway_cycle *cycle = match_query(gw, from, msg, &params);
	bool first;

	if (!cycle) {
		gw->counts.refused++;
		return;
	}
	first = !cycle->answered;
	cycle->asked = false;
	cycle->answered = true;
	cycle->nonce = msg->nonce;
	memcpy(cycle->mac, msg->mac, sizeof(cycle->mac));
	cycle->self_present = msg->gateway_present;
	cycle->self = msg->gateway;
	cycle->robustness = params.robustness;
	cycle->interval_s = gw->options->refresh_s ? gw->options->refresh_s : params.interval_s;
	if (cycle->interval_s == 0)
		cycle->interval_s = QUERY_INTERVAL_DEFAULT;
	cycle->due = now + cycle->interval_s * NSEC_PER_SEC;
	gw->counts.queries++;
	gw->counts.limited += msg->limit;
	if (gw->round_trip_ns == 0)
		gw->round_trip_ns = now > cycle->asked_ns ? now - cycle->asked_ns : 1;
	if (!gw->joined)
		return;
	if (first) /* the Update that makes the tunnel is worth repeating */
		change(gw, (unsigned int)(cycle - gw->cycle), REPORT_STATE, now);
	else
		update(gw, (unsigned int)(cycle - gw->cycle), REPORT_STATE);
}

void load_gateway_receive(struct gateway *gw, uint64_t now, const struct amt_sockaddr *from,
			  const void *buf, size_t len)
{
	struct amt_message msg;

	if (message_parse(buf, len, &msg)) {
		gw->counts.refused++;
		return;
	}
	switch (msg.type) {
	case AMT_DATA:
		if (sockaddr_equal(from, &gw->relay)) /* */
			gw->edge->data(gw->edge->arg, gw, msg.datagram, msg.datagram_len);
		else
			gw->counts.foreign++;
		break;
	case AMT_QUERY:
		take_query(gw, now, from, &msg);
		break;
	case AMT_ADVERTISEMENT:
		take_advertisement(gw, now, from, &msg);
		break;
	default: /* */
		gw->counts.refused++;
	}
}

/* ---- time ---- */

static uint64_t tick_cycle(struct gateway *gw, unsigned int ipv6, uint64_t now)
{
	struct gateway_cycle *cycle = &gw->cycle[ipv6];

	if (now >= cycle->repeat_due) {
		update(gw, ipv6, cycle->repeat);
		cycle->repeat_due = --cycle->repeats_left > 0 ? now + REPEAT_NS : TIME_NEVER;
	}
	if (!gw->joined || !gw->relay_known)
		return cycle->repeat_due;
	if (now >= cycle->due)
		request(gw, ipv6, now);
	return cycle->due < cycle->repeat_due ? cycle->due : cycle->repeat_due;
}

uint64_t load_gateway_tick(struct gateway *gw, uint64_t now)
{
	uint64_t next, due;
	unsigned int i;

	if (now >= gw->discovery_due)
		discover(gw, now);
	next = gw->discovery_due;
	for (i = 0; i < CYCLES; i++) {
		due = tick_cycle(gw, i, now);
		if (due < next)
			next = due;
	}
	return next;
}
