/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Relay Discovery (RFC 7450 5.2.3.4): from an address to ask to a relay's address.
 */
#include <arpa/inet.h>
#include "base/counters.h"
#include "gateway/engine.h"

static struct amt_sockaddr asked(const struct gateway *g)
{
	return (struct amt_sockaddr){g->asked, htons(g->options.port)};
}

static void discovery_send(struct gateway *g, uint64_t now)
{
	const struct amt_message msg = {.type = AMT_DISCOVERY, .nonce = g->discovery_nonce};
	const struct amt_sockaddr to = asked(g);
	int rc = gateway_send(g, &to, &msg);

	counter_add(AMT_COUNT_DISCOVERY_SENT, 1);
	g->due = now + gateway_backoff(g, g->options.discovery_initial, g->options.discovery_max,
				       g->discovery_sends++);
	/* Without a route there is nothing to wait for, if another can be asked. */
	if (gateway_is_no_route(rc) && selection_other(g, now)) {
		g->discovery_sends = g->options.discovery_retries + 1;
		g->due = now;
	}
}

void discovery_start(struct gateway *g, uint64_t now)
{
	g->state = GATEWAY_DISCOVERY;
	g->unreachable = 0;
	g->discovery_nonce = gateway_nonce(g);
	g->discovery_sends = 0;
	discovery_send(g, now);
}

void discovery_due(struct gateway *g, uint64_t now)
{
	if (g->discovery_sends <= g->options.discovery_retries) {
		counter_add(AMT_COUNT_GATEWAY_RETRANSMITTED, 1);
		discovery_send(g, now);
		return;
	}
	/* Discovery is optional where the relay's address is known, and some firewalls and relays
	 * let only Requests through. */
	if (g->options.candidates[g->candidate].kind != CANDIDATE_ANYCAST) {
		link_start(g, now, &g->asked);
		return;
	}
	counter_add(AMT_COUNT_GATEWAY_RELAY_FAILED, 1);
	link_leave(g, now, g->options.hold_down, "no Advertisement", true);
}

/* Could be a relay, and one that we can ask by the same socket. */
static bool is_relay(const struct gateway *g, const struct amt_addr *relay)
{
	return addr_equal(relay, &g->asked) ||
	       (addr_is_unicast_source(relay) && addr_family(relay) == addr_family(&g->asked));
}

/* The relay named need not be the one that answers. */
void advertisement_receive(struct gateway *g, uint64_t now, const struct amt_sockaddr *peer,
			   const struct amt_message *msg)
{
	const struct amt_sockaddr from = asked(g);
	const struct hold *hold;

	counter_add(AMT_COUNT_ADVERTISEMENT_RECEIVED, 1);
	if (g->state != GATEWAY_DISCOVERY) { /* */
		counter_add(AMT_COUNT_GATEWAY_NOT_AWAITED, 1);
		return;
	}
	if (!sockaddr_equal(peer, &from)) {
		counter_add(AMT_COUNT_GATEWAY_WRONG_PEER, 1);
		return;
	}
	if (msg->nonce != g->discovery_nonce) {
		counter_add(AMT_COUNT_GATEWAY_WRONG_NONCE, 1);
		return;
	}
	if (!is_relay(g, &msg->relay)) {
		counter_add(AMT_COUNT_GATEWAY_BAD_RELAY, 1);
		return;
	}
	selection_led_to(g, &msg->relay);
	hold = &memory_of(g, now, &msg->relay)->hold;
	if (!hold_is_on(hold, now)) {
		link_start(g, now, &msg->relay);
		return;
	}
	counter_add(AMT_COUNT_GATEWAY_RELAY_HELD, 1);
	link_leave(g, now, (unsigned int)((hold->until - now) / NSEC_PER_SEC) + 1, hold->why,
		   hold->soft);
}
