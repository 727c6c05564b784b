/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The shield: what a relay can say without amtd. Relay Discovery and Request are answered on the
 * spot, out of what amtd wrote into `shield` (RFC 7450 5.3.3.2, 5.3.3.3, R-37); Updates and
 * Teardowns with a wrong response MAC end here (5.3.3.4, 5.3.3.5). Everything else, and whatever is
 * not in its plainest form (IPv4 options, IPv6 extension headers, fragments, VLAN tags, odd
 * lengths, damaged checksums), goes on to the host's stack and to amtd, which can do all of this as
 * well.
 *
 * An answer goes back the way that its question came: to the MAC address of the sender, out of the
 * same interface (XDP_TX). No route is looked up. So a router in front gets the answers to what it
 * sent, and nobody else does.
 */
#ifndef AMT_BPF_SHIELD_H
#define AMT_BPF_SHIELD_H

#include "count.h"
#include "response_mac.h"
#include "shield_answer.h"
#include "shield_message.h"

/* ---- who asks ---- */

static __always_inline void shield_endpoint(struct shield_message *m)
{
	m->key.endpoint.addr = m->gateway;
	m->key.endpoint.port = m->port;
	m->key.endpoint.zero = 0;
}

static __always_inline const struct amt_shield_gateway *shield_proven(struct shield_message *m,
								      __u64 now)
{
	const struct amt_shield_gateway *gateway;

	shield_endpoint(m);
	gateway = bpf_map_lookup_elem(&shield_gateways, &m->key.endpoint);
	return gateway && now < gateway->until_ns ? gateway : NULL;
}

/* Two CPUs that see one source at the same moment may give it a token too much: no matter. */
static __always_inline enum amt_limit shield_limit(const struct amt_shield *policy,
						   struct shield_message *m, __u64 now,
						   __u32 answer, bool proven)
{
	struct amt_source *source = bpf_map_lookup_elem(&shield_sources, &m->gateway);
	enum amt_limit verdict;

	if (source)
		return amt_limit(source, &policy->limits, now, m->total, answer, proven);
	m->key.source = (struct amt_source){};
	verdict = amt_limit(&m->key.source, &policy->limits, now, m->total, answer, proven);
	bpf_map_update_elem(&shield_sources, &m->gateway, &m->key.source, BPF_ANY);
	return verdict;
}

static __always_inline int shield_refuse(enum amt_counter reason)
{
	count(AMT_COUNT_SHIELD_REFUSED);
	count(reason);
	return XDP_DROP;
}

static __always_inline int shield_limited(enum amt_limit limit)
{
	return shield_refuse(limit == AMT_LIMIT_RATE ? AMT_COUNT_REQUEST_RATE_LIMITED
						     : AMT_COUNT_AMPLIFICATION_LIMITED);
}

static __always_inline int shield_pass(void)
{
	count(AMT_COUNT_SHIELD_PASSED);
	return XDP_PASS;
}

/* ---- Relay Discovery ---- */

static __always_inline int shield_discovery(struct xdp_md *ctx, const struct amt_shield *policy,
					    struct shield_message *m,
					    const struct amt_shield_address *address, word nonce,
					    __u64 now)
{
	struct amt_addr relay = address->advertised;
	__u32 octets = m->ipv6 ? AMT_ADVERTISEMENT_LEN6 : AMT_ADVERTISEMENT_LEN4;
	__be16 port = policy->port;
	enum amt_limit limit;
	bool done;

	count(AMT_COUNT_DISCOVERY_RECEIVED);
	if (!nonce)
		count(AMT_COUNT_ZERO_NONCE);
	limit = shield_limit(policy, m, now, m->total - m->length + octets,
			     shield_proven(m, now) != NULL);
	if (limit != AMT_LIMIT_NONE)
		return shield_limited(limit);
	if (!shield_room(ctx, m, octets))
		return shield_refuse(AMT_COUNT_HEADROOM);
	if (m->ipv6)
		done = shield_advertise(ctx, m, port, &relay, nonce, AMT_ADVERTISEMENT_LEN6);
	else
		done = shield_advertise(ctx, m, port, &relay, nonce, AMT_ADVERTISEMENT_LEN4);
	if (!done)
		return XDP_DROP;
	count(AMT_COUNT_ADVERTISEMENT_SENT);
	return shield_send(ctx, m->uplink);
}

/* ---- Request ---- */

/* Whether L is set, as request.c has it; *ask: only amtd knows whether this gateway has a
 * tunnel, and so is spared it. Whoever has one has shown a valid MAC of late. */
static __always_inline bool shield_wants_limit(const struct amt_shield *policy, bool ecn,
					       bool proven, bool *ask)
{
	if (!(policy->flags & (AMT_SHIELD_LIMIT | AMT_SHIELD_DRAINING)))
		return false;
	*ask = !(policy->flags & AMT_SHIELD_DRAINING) && !ecn && proven;
	return true;
}

static __always_inline bool shield_wants_mld(const struct amt_shield *policy, __u8 flags)
{
	if (flags & AMT_REQUEST_P_LINUX) {
		count(AMT_COUNT_REQUEST_LINUX_P);
		if (policy->flags & AMT_SHIELD_LINUX_P)
			return true;
	}
	return flags & AMT_REQUEST_P;
}

static __always_inline bool shield_wants_gateway(const struct amt_shield *policy, bool ecn)
{
	return policy->flags & AMT_SHIELD_G || (ecn && policy->flags & AMT_SHIELD_G_ECN);
}

static __always_inline int shield_request(struct xdp_md *ctx, const struct amt_shield *policy,
					  struct shield_message *m, __u8 flags, word nonce,
					  __u64 now)
{
	const struct amt_secret *secret = mac_secret(0);
	bool ecn = flags & AMT_REQUEST_E, proven = shield_proven(m, now), ask = false, set, done;
	struct mac_input input = mac_input(&m->gateway, m->port, nonce);
	struct shield_query query = {.gateway = shield_wants_gateway(policy, ecn)};
	enum amt_limit limit;
	__u32 octets;

	set = shield_wants_limit(policy, ecn, proven, &ask);
	if (ask || !secret)
		return shield_pass();
	count(AMT_COUNT_REQUEST_RECEIVED);
	query.mld = shield_wants_mld(policy, flags);
	octets = AMT_QUERY_DATAGRAM + (query.mld ? AMT_QUERY_MLD_LEN : AMT_QUERY_IGMP_LEN) +
		 (query.gateway ? AMT_GATEWAY_LEN : 0);
	limit = shield_limit(policy, m, now, m->total - m->length + octets, proven);
	if (limit != AMT_LIMIT_NONE)
		return shield_limited(limit);
	shield_query_head(&query, mac_compute(secret, &input, ecn), nonce, set);
	if (!shield_room(ctx, m, octets))
		return shield_refuse(AMT_COUNT_HEADROOM);
	if (query.mld)
		done = shield_write_query(ctx, m, &query, policy->port, policy->mld_query,
					  AMT_QUERY_MLD_LEN);
	else
		done = shield_write_query(ctx, m, &query, policy->port, policy->igmp_query,
					  AMT_QUERY_IGMP_LEN);
	if (!done)
		return XDP_DROP;
	count(AMT_COUNT_QUERY_SENT);
	if (set)
		count(AMT_COUNT_QUERY_LIMIT_SET);
	return shield_send(ctx, m->uplink);
}

/* ---- Update and Teardown ---- */

static __always_inline int shield_authentic(void)
{
	count(AMT_COUNT_SHIELD_AUTHENTIC);
	return XDP_PASS;
}

static __always_inline int shield_wrong(enum amt_counter received, enum amt_counter reason)
{
	count(AMT_COUNT_SHIELD_BAD_MAC);
	count(received);
	count(reason);
	return XDP_DROP;
}

/* Remembers what a gateway has shown. */
static __always_inline void shield_note(const struct amt_shield *policy, struct shield_message *m,
					const __u8 *update, word nonce, __u64 now)
{
	shield_endpoint(m);
	m->proof.until_ns = now + policy->proven_ns;
	m->proof.nonce = nonce;
	m->proof.reserved = 0;
	halves_copy(m->proof.mac, update + AMT_UPDATE_MAC, AMT_MAC_LEN);
	bpf_map_update_elem(&shield_gateways, &m->key.endpoint, &m->proof, BPF_ANY);
}

static __always_inline int shield_update(const struct amt_shield *policy, struct shield_message *m,
					 const __u8 *update, word nonce, __u64 now)
{
	struct mac_input input = mac_input(&m->gateway, m->port, nonce);
	const struct amt_shield_gateway *last;
	__u64 mac = mac_octets(update + AMT_UPDATE_MAC);

	if (mac_verify(policy, &input, mac, now)) {
		shield_note(policy, m, update, nonce, now);
		return shield_authentic();
	}
	/* VLC repeats one Update for ever; amtd sees whether its tunnel lives */
	last = shield_proven(m, now);
	if (policy->flags & AMT_SHIELD_REPEATED && last && last->nonce == nonce &&
	    mac_octets(last->mac) == mac) {
		shield_note(policy, m, update, nonce, now);
		return shield_authentic();
	}
	return shield_wrong(AMT_COUNT_UPDATE_RECEIVED, AMT_COUNT_BAD_MAC);
}

/* Over the message's own fields, not over where it came from. */
static __always_inline int shield_teardown(const struct amt_shield *policy, const __u8 *teardown,
					   word nonce, __u64 now)
{
	const __u8 *fields = teardown + AMT_TEARDOWN_GATEWAY;
	struct mac_input input;
	struct amt_addr gateway;
	word *words = (void *)gateway.bytes;

	halves_copy(&gateway, fields + sizeof(__be16), sizeof(gateway));
	if (!(words[0] | words[1] | words[2])) /* IPv4-compatible */
		words[2] = bpf_htonl(0xffff);
	input = mac_input(&gateway, *(__be16 *)fields, nonce);
	if (mac_verify(policy, &input, mac_octets(teardown + AMT_TEARDOWN_MAC), now))
		return shield_authentic();
	return shield_wrong(AMT_COUNT_TEARDOWN_RECEIVED, AMT_COUNT_TEARDOWN_BAD_MAC);
}

/* ---- the message ---- */

static __always_inline word shield_nonce(const __u8 *at)
{
	word nonce;

	halves_copy(&nonce, at, sizeof(nonce));
	return nonce;
}

static __always_inline int shield_question(struct xdp_md *ctx, const struct amt_shield *policy,
					   struct shield_message *m,
					   const struct amt_shield_address *address,
					   const __u8 *message)
{
	word nonce = shield_nonce(message + AMT_REQUEST_NONCE);
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	__u8 type = message[0], flags = message[AMT_REQUEST_FLAGS];
	__u64 now = bpf_ktime_get_ns();

	if (m->length > SHIELD_REQUEST_LEN_MAX || !shield_answerable(data, data_end, m) ||
	    !shield_intact(data, data_end, m) || !shield_attended(ctx, m, policy->port))
		return shield_pass();
	if (type == AMT_DISCOVERY)
		return shield_discovery(ctx, policy, m, address, nonce, now);
	return shield_request(ctx, policy, m, flags, nonce, now);
}

static __always_inline int shield_proof(const struct amt_shield *policy, struct shield_message *m,
					const __u8 *message, const void *data_end)
{
	__u64 now = bpf_ktime_get_ns();

	if (m->length < AMT_UPDATE_DATAGRAM ||
	    (const void *)message + AMT_UPDATE_DATAGRAM > data_end)
		return shield_pass();
	if (message[0] == AMT_UPDATE)
		return shield_update(policy, m, message, shield_nonce(message + AMT_UPDATE_NONCE),
				     now);
	if (m->length < AMT_TEARDOWN_LEN || (const void *)message + AMT_TEARDOWN_LEN > data_end)
		return shield_pass();
	return shield_teardown(policy, message, shield_nonce(message + AMT_TEARDOWN_NONCE), now);
}

/* XDP_PASS: the host's stack gets it as it came. Its own function, so that it is verified once and
 * its stack is its own. */
static __noinline int shield_judge(struct xdp_md *ctx, const struct amt_shield *policy)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	const struct amt_shield_address *address;
	struct shield_message *m;
	const __u8 *message;
	__u32 zero = 0;

	m = bpf_map_lookup_elem(&shield_scratch, &zero);
	if (!m || !shield_parse(data, data_end, policy->port, m))
		return XDP_PASS;
	address = shield_address(data, data_end, ctx->ingress_ifindex, m);
	message = shield_body(data, data_end, m->ipv6, AMT_REQUEST_LEN);
	if (!address || !message)
		return XDP_PASS;
	if (!shield_permitted_gateway(policy, m)) {
		count(AMT_COUNT_GATEWAY_NOT_PERMITTED);
		return XDP_DROP;
	}
	/* version 0 is the high nibble of these */
	switch (message[0]) {
	case AMT_DISCOVERY:
	case AMT_REQUEST:
		return shield_question(ctx, policy, m, address, message);
	case AMT_UPDATE:
	case AMT_TEARDOWN:
		return shield_proof(policy, m, message, data_end);
	default:
		return shield_pass();
	}
}

/* Frames to groups, which are most of an uplink that is an upstream too, cost a look at one bit. */
static __always_inline int shield_frame(struct xdp_md *ctx, const struct amt_config *conf)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	const struct amt_shield *policy;
	__u32 slot = (__u32)conf->shield - 1;

	if (!conf->shield || data + ETH_HLEN > data_end || *(__u8 *)data & 1)
		return XDP_PASS;
	policy = bpf_map_lookup_elem(&shield, &slot);
	return policy ? shield_judge(ctx, policy) : XDP_PASS;
}

#endif
