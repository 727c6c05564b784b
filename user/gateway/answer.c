/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Membership Queries (RFC 7450 5.2.3.5.4): what is accepted, what it tells about the relay and
 * about our own endpoint, and that the host's stack is to be asked.
 */
#include <string.h>
#include "base/counters.h"
#include "gateway/engine.h"
#include "proto/query.h"

/* A Query with its general query taken apart. */
struct answer {
	const struct amt_message *msg;
	struct query_params params;
	unsigned int which;
};

/* The checks of R-39 in an order that tells most. */
static bool answer_read(const struct gateway *g, const struct amt_sockaddr *peer,
			const struct amt_message *msg, struct answer *out)
{
	const struct cycle *cycle = g->link.cycle;
	bool mld;

	if (!g->link.known) {
		counter_add(AMT_COUNT_GATEWAY_NOT_AWAITED, 1);
		return false;
	}
	if (!sockaddr_equal(peer, &g->link.relay)) {
		counter_add(AMT_COUNT_GATEWAY_WRONG_PEER, 1);
		return false;
	}
	for (out->which = 0; out->which < CYCLES; out->which++)
		if (cycle[out->which].phase != CYCLE_OFF && cycle[out->which].nonce == msg->nonce)
			break;
	if (out->which == CYCLES) {
		counter_add(AMT_COUNT_GATEWAY_WRONG_NONCE, 1);
		return false;
	}
	if (cycle[out->which].phase != CYCLE_WAITING) { /* */
		counter_add(AMT_COUNT_GATEWAY_NOT_AWAITED, 1);
		return false;
	}
	if (query_parse(msg->datagram, msg->datagram_len, &mld, &out->params) < 0) { /* */
		counter_add(AMT_COUNT_GATEWAY_BAD_QUERY, 1);
		return false;
	}
	if (mld != (out->which == CYCLE_MLD)) {
		counter_add(AMT_COUNT_GATEWAY_WRONG_PROTOCOL, 1);
		return false;
	}
	out->msg = msg;
	return true;
}

/* */
static uint64_t query_timer(const struct gateway *g, const struct cycle *cycle)
{
	unsigned int seconds = cycle->interval_s;

	if (g->options.keepalive && g->options.keepalive < seconds)
		seconds = g->options.keepalive;
	return seconds * NSEC_PER_SEC;
}

/* */
static void save(struct gateway *g, uint64_t now, const struct answer *answer)
{
	struct cycle *cycle = &g->link.cycle[answer->which];
	const struct amt_message *msg = answer->msg;

	cycle->phase = CYCLE_ANSWERED;
	cycle->interval_s =
		answer->params.interval_s ? answer->params.interval_s : QUERY_INTERVAL_DEFAULT;
	cycle->robustness =
		answer->params.robustness ? answer->params.robustness : QUERY_ROBUSTNESS_DEFAULT;
	cycle->due = now + query_timer(g, cycle);
	cycle->given = (struct credentials){
		.valid = true,
		.endpoint_known = msg->gateway_present,
		.ecn = cycle->ecn,
		.linux_p = cycle->linux_p,
		.nonce = msg->nonce,
		.endpoint = msg->gateway,
	};
	memcpy(cycle->given.mac, msg->mac, AMT_MAC_LEN);
	g->link.answered = answer->which;
	g->link.handshake_ns = now - cycle->sent_ns;
	g->link.limit = msg->limit;
	g->link.endpoint = msg->gateway;
	g->unreachable = 0;
	g->rounds = 0;
	report_set_interval(g);
}

/* Keeps what worked. A Request of the other protocol that still tries another form is put
 * into the right one: the relay takes E as true of the whole tunnel. */
static void remember(struct gateway *g, uint64_t now, const struct answer *answer)
{
	struct memory *memory = memory_of(g, now, &g->link.relay.addr);
	const struct cycle *cycle = &g->link.cycle[answer->which];
	const struct cycle *other = &g->link.cycle[!answer->which];

	if (answer->which == CYCLE_MLD)
		memory->linux_p = cycle->linux_p ? HABIT_YES : HABIT_NO;
	if (g->options.ecn)
		memory->ecn = cycle->ecn ? HABIT_YES : HABIT_NO;
	if (other->phase == CYCLE_WAITING && other->ecn != cycle->ecn)
		cycle_start(g, now, !answer->which);
}

/* The other protocol's MAC is for the endpoint that we no longer have, so it asks anew. */
static void check_endpoint(struct gateway *g, uint64_t now, const struct answer *answer)
{
	const struct credentials *reported = &g->link.reported;

	if (!g->options.teardown_repeats || !answer->msg->gateway_present || !reported->valid ||
	    !reported->endpoint_known || sockaddr_equal(&reported->endpoint, &answer->msg->gateway))
		return;
	counter_add(AMT_COUNT_GATEWAY_ENDPOINT_CHANGED, 1);
	farewell_say(g, now, &g->link);
	if (g->link.cycle[!answer->which].phase == CYCLE_ANSWERED)
		cycle_start(g, now, !answer->which);
}

/* With groups reported, it goes on for want of another; without, the relay would not
 * take the first. */
static bool leave_limited(struct gateway *g, uint64_t now)
{
	counter_add(AMT_COUNT_GATEWAY_LIMIT, 1);
	if (g->link.reported.valid && !selection_other(g, now))
		return false;
	link_leave(g, now, g->options.hold_down_limit, "relay at its limit", false);
	return true;
}

/* A relay that is found again keeps what it has of us. */
static void inherit(struct gateway *g)
{
	if (g->link.up || !g->old.known || !sockaddr_equal(&g->old.relay, &g->link.relay))
		return;
	g->link.reported = g->old.reported;
	memset(&g->old, 0, sizeof(g->old));
}

static bool relay_ecn(const struct gateway *g)
{
	return g->link.cycle[CYCLE_IGMP].given.ecn || g->link.cycle[CYCLE_MLD].given.ecn;
}

void query_receive(struct gateway *g, uint64_t now, const struct amt_sockaddr *peer,
		   const struct amt_message *msg)
{
	struct answer answer;
	bool before = relay_ecn(g), was_up = g->link.up;
	const struct cycle *cycle;

	counter_add(AMT_COUNT_QUERY_RECEIVED, 1);
	if (!answer_read(g, peer, msg, &answer))
		return;
	counter_add(AMT_COUNT_QUERY_ACCEPTED, 1);
	save(g, now, &answer);
	remember(g, now, &answer);
	inherit(g);
	check_endpoint(g, now, &answer);
	if (msg->limit && leave_limited(g, now))
		return;
	if (!was_up)
		link_up(g, now);
	else if (relay_ecn(g) != before && !g->handover_due)
		link_tell(g);
	cycle = &g->link.cycle[answer.which];
	g->edge.query(g->edge.arg, answer.which == CYCLE_MLD, cycle->robustness, cycle->interval_s);
}
