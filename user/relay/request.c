/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Relay Discovery and Request: answered from the message alone, without keeping anything of it
 * (RFC 7450 5.3.3.2, 5.3.3.3, R-37).
 */
#include <string.h>
#include "base/counters.h"
#include "proto/response_mac.h"
#include "relay/engine.h"

/* The first of the same family. */
struct amt_addr relay_advertised(const struct relay *relay, const struct amt_addr *local)
{
	unsigned int i;

	for (i = 0; i < relay->naddresses; i++)
		if (addr_family(&relay->addresses[i]) == addr_family(local))
			return relay->addresses[i];
	return *local;
}

/* Octets in front of a message, on the wire. */
static uint32_t headers_len(const struct receipt *in)
{
	return (addr_is_ipv4(&in->peer->addr) ? AMT_IPV4_HLEN : AMT_IPV6_HLEN) + AMT_UDP_HLEN;
}

/* Whether the source may have an answer of len octets. Whoever has a tunnel has shown that it gets
 * what is sent to it. */
static bool may_answer(struct relay *relay, const struct receipt *in, size_t len)
{
	uint32_t headers = headers_len(in);

	switch (ratelimit_answer(relay->requests, in->now, &in->peer->addr,
				 (uint32_t)in->len + headers, (uint32_t)len + headers,
				 tunnel_find(relay, in->peer, &in->local->addr) != NULL)) {
	case AMT_LIMIT_RATE:
		counter_add(AMT_COUNT_REQUEST_RATE_LIMITED, 1);
		return false;
	case AMT_LIMIT_AMPLIFICATION:
		counter_add(AMT_COUNT_AMPLIFICATION_LIMITED, 1);
		return false;
	default:
		return true;
	}
}

void discovery_receive(struct relay *relay, const struct receipt *in)
{
	struct amt_message out = {
		.type = AMT_ADVERTISEMENT,
		.nonce = in->msg.nonce,
		.relay = relay_advertised(relay, &in->local->addr),
	};
	bool ipv4 = addr_is_ipv4(&in->local->addr);

	counter_add(AMT_COUNT_DISCOVERY_RECEIVED, 1);
	/* Zero is the gateway's fault, but a relay answers every Discovery (5.3.3.2). */
	if (!in->msg.nonce)
		counter_add(AMT_COUNT_ZERO_NONCE, 1);
	if (!may_answer(relay, in, ipv4 ? AMT_ADVERTISEMENT_LEN4 : AMT_ADVERTISEMENT_LEN6))
		return;
	engine_send(relay, in, &out);
	counter_add(AMT_COUNT_ADVERTISEMENT_SENT, 1);
}

void request_prepare(struct relay *relay)
{
	struct query_params params = {
		.source = relay->options.query_source4,
		.robustness =
			relay->options.robustness < 7 ? relay->options.robustness : 7, /* */
		.interval_s = relay->options.query_interval_s,
	};

	query_write(false, &params, relay->igmp_query, sizeof(relay->igmp_query));
	params.source = relay->options.query_source6;
	if (addr_is_any(&params.source)) /* Linux wants link-local */
		addr_parse("fe80::1", &params.source);
	query_write(true, &params, relay->mld_query, sizeof(relay->mld_query));
}

/* Which protocol the gateway asks for. The Linux gateway puts P at another bit. */
static bool wants_mld(const struct relay *relay, const struct receipt *in)
{
	if (in->msg.linux_p)
		counter_add(AMT_COUNT_REQUEST_LINUX_P, 1);
	if (relay->options.accept_linux_p)
		return in->msg.want_mld;
	return in->buf[AMT_REQUEST_FLAGS] & AMT_REQUEST_P;
}

/* L. At the tunnel limit a gateway that has a tunnel and shows no E flag is spared it: the
 * Linux gateway drops a Query with L as malformed, and so would lose what it has. */
static bool wants_limit(const struct relay *relay, const struct receipt *in)
{
	if (!relay_at_limit(relay))
		return false;
	return relay->draining || in->msg.ecn || !tunnel_find(relay, in->peer, &in->local->addr);
}

/* G and its fields. Gateways older than RFC 9601 may drop a Query with G.
 */
static bool wants_teardown(const struct relay *relay, const struct amt_message *msg)
{
	switch (relay->options.teardown) {
	case TEARDOWN_ON:
		return true;
	case TEARDOWN_OFF:
		return false;
	default:
		return msg->ecn;
	}
}

void request_receive(struct relay *relay, const struct receipt *in)
{
	struct amt_message out = {.type = AMT_QUERY, .nonce = in->msg.nonce};

	counter_add(AMT_COUNT_REQUEST_RECEIVED, 1);
	if (wants_mld(relay, in)) {
		out.datagram = relay->mld_query;
		out.datagram_len = sizeof(relay->mld_query);
	} else {
		out.datagram = relay->igmp_query;
		out.datagram_len = sizeof(relay->igmp_query);
	}
	out.gateway_present = wants_teardown(relay, &in->msg);
	if (!may_answer(relay, in,
			AMT_QUERY_DATAGRAM + out.datagram_len +
				(out.gateway_present ? AMT_GATEWAY_LEN : 0)))
		return;
	response_mac(&relay->current, in->peer, in->msg.nonce, in->msg.ecn, out.mac);
	out.limit = wants_limit(relay, in);
	out.gateway = *in->peer;
	engine_send(relay, in, &out);
	counter_add(AMT_COUNT_QUERY_SENT, 1);
	if (out.limit)
		counter_add(AMT_COUNT_QUERY_LIMIT_SET, 1);
}
