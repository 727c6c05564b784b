/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Teardown: ends the tunnel that its fields name, wherever it comes from: a gateway behind a NAT
 * whose mapping changed can only send it from its new endpoint (RFC 7450 5.3.3.5).
 */
#include "base/counters.h"
#include "relay/engine.h"

void teardown_receive(struct relay *relay, const struct receipt *in)
{
	struct tunnel *tunnel;
	bool ecn;

	counter_add(AMT_COUNT_TEARDOWN_RECEIVED, 1);
	if (relay->options.teardown == TEARDOWN_OFF) /* */
		return;
	/* Over the message's own fields, not over where it came from */
	if (!secrets_verify(relay, in->now, &in->msg.gateway, &in->msg, &ecn)) {
		counter_add(AMT_COUNT_TEARDOWN_BAD_MAC, 1);
		return;
	}
	tunnel = tunnel_find(relay, &in->msg.gateway, &in->local->addr);
	if (!tunnel || tunnel->ending) {
		counter_add(AMT_COUNT_TEARDOWN_UNKNOWN, 1);
		return;
	}
	tunnel_end(relay, tunnel);
	counter_add(AMT_COUNT_TEARDOWN_ACCEPTED, 1);
}
