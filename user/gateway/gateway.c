/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine's outside: its life, messages and time on their way to the file that knows what to do,
 * and what control wants to know.
 */
#include "gateway/gateway.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/counters.h"
#include "gateway/engine.h"

#define BACKOFF_SHIFT_MAX 16 /* 2^16 s is beyond every maximum */

struct gateway *gateway_new(const struct gateway_options *options, const struct gateway_edge *edge,
			    uint64_t now)
{
	struct gateway *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->options = *options;
	g->edge = *edge;
	g->state = GATEWAY_IDLE;
	g->due = now;
	g->membership = membership_new();
	if (!g->membership || selection_new(g)) {
		gateway_free(g);
		return NULL;
	}
	report_set_interval(g);
	return g;
}

void gateway_free(struct gateway *g)
{
	if (!g)
		return;
	if (g->membership)
		membership_free(g->membership);
	free(g->candidates);
	free(g);
}

/* ---- what all files need ---- */

int gateway_send(struct gateway *g, const struct amt_sockaddr *peer, const struct amt_message *msg)
{
	int len = message_write(msg, g->out, sizeof(g->out));
	int rc = len < 0 ? len : g->edge.send(g->edge.arg, peer, g->out, (size_t)len);

	if (rc)
		counter_add(AMT_COUNT_SEND_FAILED, 1);
	return rc;
}

bool gateway_is_no_route(int err)
{
	return err == -ENETUNREACH || err == -EHOSTUNREACH || err == -EADDRNOTAVAIL ||
	       err == -EAFNOSUPPORT;
}

uint32_t gateway_nonce(struct gateway *g)
{
	uint32_t nonce;

	do /* zero is not allowed for discovery, and no loss elsewhere */
		g->edge.random(g->edge.arg, &nonce, sizeof(nonce));
	while (!nonce);
	return nonce;
}

uint64_t gateway_backoff(struct gateway *g, unsigned int initial, unsigned int max,
			 unsigned int retry)
{
	unsigned int shift = retry < BACKOFF_SHIFT_MAX ? retry : BACKOFF_SHIFT_MAX;
	uint64_t least = (initial ? initial : 1) * NSEC_PER_SEC, most = least << shift, random;

	if (most > max * NSEC_PER_SEC)
		most = max * NSEC_PER_SEC;
	if (most <= least)
		return least;
	g->edge.random(g->edge.arg, &random, sizeof(random));
	return least + random % (most - least + 1);
}

/* ---- what comes in ---- */

void gateway_receive(struct gateway *g, uint64_t now, const struct amt_sockaddr *peer,
		     const void *buf, size_t len)
{
	struct amt_message msg;
	int rc = message_parse(buf, len, &msg);

	if (rc < 0) {
		counter_add(rc == -AMT_COUNT_BAD_TYPE ? AMT_COUNT_GATEWAY_BAD_TYPE
						      : (enum amt_counter) - rc,
			    1);
		return;
	}
	if (g->state == GATEWAY_STOPPED) {
		counter_add(AMT_COUNT_GATEWAY_NOT_AWAITED, 1);
		return;
	}
	switch (msg.type) {
	case AMT_ADVERTISEMENT:
		advertisement_receive(g, now, peer, &msg);
		break;
	case AMT_QUERY:
		query_receive(g, now, peer, &msg);
		break;
	case AMT_DATA:
		counter_add(AMT_COUNT_GATEWAY_DATA_AT_SOCKET, 1);
		break;
	default: /* */
		counter_add(AMT_COUNT_GATEWAY_BAD_TYPE, 1);
	}
}

/* Messages sent for which no answer has come. */
static unsigned int sent_in_vain(const struct gateway *g)
{
	unsigned int i, n = g->state == GATEWAY_DISCOVERY ? g->discovery_sends : 0;

	for (i = 0; i < CYCLES; i++)
		if (g->link.cycle[i].phase == CYCLE_WAITING)
			n += g->link.cycle[i].spent + g->link.cycle[i].sends;
	return n;
}

/* Gives up at once who is asked, when too many errors came; else retransmission goes on as
 * if nothing had come (R-169, second way). One message counts for one error, so that whoever forges
 * them cannot part us from a relay that answers. */
static void unreachable_while_waiting(struct gateway *g, uint64_t now)
{
	if (g->unreachable >= sent_in_vain(g) || ++g->unreachable <= g->options.unreachable_retries)
		return;
	counter_add(AMT_COUNT_GATEWAY_RELAY_FAILED, 1);
	link_leave(g, now, g->options.hold_down, "unreachable", true);
}

void gateway_unreachable(struct gateway *g, uint64_t now, const struct amt_addr *peer)
{
	const struct amt_addr *asked = g->link.known ? &g->link.relay.addr : &g->asked;

	counter_add(AMT_COUNT_GATEWAY_UNREACHABLE, 1);
	if (g->state == GATEWAY_STOPPED || (!g->link.known && g->state != GATEWAY_DISCOVERY) ||
	    !addr_equal(peer, asked))
		return;
	if (sent_in_vain(g))
		unreachable_while_waiting(g, now);
	else /* after an Update (R-169, third way) */
		cycles_start(g, now);
}

void gateway_network_changed(struct gateway *g, uint64_t now)
{
	switch (g->state) {
	case GATEWAY_STOPPED:
		return;
	case GATEWAY_REQUEST:
	case GATEWAY_UP:
		g->unreachable = 0;
		cycles_start(g, now);
		return;
	case GATEWAY_DISCOVERY:
	case GATEWAY_IDLE:
	case GATEWAY_RESOLVING:
		/* whoever gave no answer may have been out of reach from where we were */
		selection_forgive(g);
		selection_start(g, now);
	}
}

/* ---- time ---- */

static void state_due(struct gateway *g, uint64_t now)
{
	if (now < g->due)
		return;
	if (g->state == GATEWAY_IDLE || g->state == GATEWAY_RESOLVING)
		selection_due(g, now);
	else if (g->state == GATEWAY_DISCOVERY)
		discovery_due(g, now);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t gateway_tick(struct gateway *g, uint64_t now)
{
	uint64_t next;

	if (g->state != GATEWAY_STOPPED) {
		state_due(g, now);
		cycles_due(g, now);
		link_due(g, now);
	}
	farewells_due(g, now);
	next = farewells_deadline(g);
	if (g->state == GATEWAY_STOPPED)
		return next;
	if (!g->link.known)
		next = earlier(next, g->due);
	if (g->handover_due)
		next = earlier(next, g->handover_due);
	next = earlier(next, cycles_deadline(g));
	return earlier(next, report_tick(g, now));
}

void gateway_shutdown(struct gateway *g, uint64_t now)
{
	if (g->state == GATEWAY_STOPPED)
		return;
	farewell_say(g, now, &g->old);
	memset(&g->old, 0, sizeof(g->old));
	farewell_last(g, now);
	g->state = GATEWAY_STOPPED;
	g->edge.relay_changed(g->edge.arg, NULL);
}

/* ---- for control ---- */

const char *gateway_state_name(enum gateway_state state)
{
	static const char *const names[] = {
		[GATEWAY_IDLE] = "waiting",
		[GATEWAY_RESOLVING] = "resolving",
		[GATEWAY_DISCOVERY] = "discovery",
		[GATEWAY_REQUEST] = "request",
		[GATEWAY_UP] = "up",
		[GATEWAY_STOPPED] = "stopped",
	};

	return names[state];
}

void gateway_status(const struct gateway *g, struct gateway_status *out)
{
	const struct link *link = &g->link;
	unsigned int i;

	*out = (struct gateway_status){
		.state = g->state,
		.relay = link->relay,
		.endpoint = link->endpoint,
		.leaving = g->old.relay,
		.handshake_ns = link->handshake_ns,
		.next_query_ns = link->known ? cycles_deadline(g) : g->due,
		.limit = link->limit,
		.candidate = g->candidate,
	};
	for (i = 0; i < CYCLES; i++) {
		const struct cycle *cycle = &link->cycle[i];

		out->answered[i] = cycle->given.valid && cycle->phase != CYCLE_SILENT;
		out->ecn |= cycle->given.valid && cycle->given.ecn;
		out->linux_p |= cycle->given.valid && cycle->given.linux_p;
	}
	if (g->state == GATEWAY_DISCOVERY)
		out->relay = (struct amt_sockaddr){g->asked, htons(g->options.port)};
}

const struct membership *gateway_membership(const struct gateway *g)
{
	return g->membership;
}
