/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The shield's answers: a frame that was a question becomes an Advertisement or a Query, with the
 * headers that amtd's sockets would give it, and leaves.
 */
#ifndef AMT_BPF_SHIELD_ANSWER_H
#define AMT_BPF_SHIELD_ANSWER_H

#include "count.h"
#include "fanout.h"
#include "response_mac.h"
#include "shield_message.h"

/* ---- the frame ---- */

/* The header that goes in front: back to whom it came from. */
static __always_inline void shield_ethernet(struct ethhdr *eth, struct shield_message *m)
{
	halves_copy(eth->h_dest, m->mac + ETH_ALEN / 2, ETH_ALEN);
	halves_copy(eth->h_source, m->mac, ETH_ALEN);
	eth->h_proto = m->ipv6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
}

static __always_inline void shield_head4(struct iphdr *ip, struct shield_message *m, __u32 octets)
{
	ip->version = 4;
	ip->ihl = sizeof(*ip) / 4;
	ip->tos = AMT_TOS_CS6; /* */
	ip->tot_len = bpf_htons(AMT_IPV4_HLEN + AMT_UDP_HLEN + octets);
	ip->id = 0;
	ip->frag_off = bpf_htons(0x4000);
	ip->ttl = AMT_OUTER_TTL;
	ip->protocol = IPPROTO_UDP;
	ip->check = 0;
	words_copy(&ip->saddr, m->local.bytes + AMT_ADDR_V4_OFFSET, sizeof(ip->saddr));
	words_copy(&ip->daddr, m->gateway.bytes + AMT_ADDR_V4_OFFSET, sizeof(ip->daddr));
	ip->check = ~checksum_fold(sum_words(ip, sizeof(*ip) / 4));
}

static __always_inline void shield_head6(struct ipv6hdr *ip, struct shield_message *m, __u32 octets)
{
	words_zero(ip, 8);
	ip->version = 6;
	ip->priority = AMT_TOS_CS6 >> 4;
	ip->payload_len = bpf_htons(AMT_UDP_HLEN + octets);
	ip->nexthdr = IPPROTO_UDP;
	ip->hop_limit = AMT_OUTER_TTL;
	words_copy(&ip->saddr, &m->local, sizeof(ip->saddr));
	words_copy(&ip->daddr, &m->gateway, sizeof(ip->daddr));
}

/* Everything in front of the message, whose `octets` have this sum. */
static __always_inline bool shield_headers(void *data, void *data_end, struct shield_message *m,
					   __be16 port, __u32 octets, __u64 sum)
{
	struct udphdr *udp;

	if (data + shield_payload(false) > data_end)
		return false;
	shield_ethernet(data, m);
	if (m->ipv6) {
		if (data + shield_payload(true) > data_end)
			return false;
		shield_head6(data + ETH_HLEN, m, octets);
		udp = data + ETH_HLEN + AMT_IPV6_HLEN;
	} else {
		shield_head4(data + ETH_HLEN, m, octets);
		udp = data + ETH_HLEN + AMT_IPV4_HLEN;
	}
	udp->source = port; /* from where it was asked */
	udp->dest = m->port;
	udp->len = bpf_htons(AMT_UDP_HLEN + octets);
	/* the length counts twice: in the pseudo-header and in the header */
	sum += shield_addresses_sum(m) + bpf_htons(IPPROTO_UDP) + 2 * (__u64)udp->len + port +
	       m->port;
	udp->check = checksum_udp(sum);
	return true;
}

/* Makes the frame as long as one with a message of so many octets, in front, where every driver has
 * room. No frame is shorter than Ethernet's least. Its old headers lie about somewhere in it. */
static __always_inline bool shield_room(struct xdp_md *ctx, struct shield_message *m, __u32 octets)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	__u32 length = shield_payload(m->ipv6) + octets;
	long frame = data_end - data;

	opaque(frame);
	if (data + sizeof(m->mac) > data_end)
		return false;
	halves_copy(m->mac, data, sizeof(m->mac));
	if (length < ETH_ZLEN)
		length = ETH_ZLEN;
	return !bpf_xdp_adjust_head(ctx, (int)frame - (int)length);
}

/* Where the answer's message begins, `octets` of it in the frame. */
static __always_inline void *shield_body(void *data, void *data_end, bool ipv6, __u32 octets)
{
	__u32 offset = shield_payload(ipv6);
	void *at;

	opaque(offset);
	at = data + (offset & 0x3f);
	return at + octets > data_end ? NULL : at;
}

/* A veth tells its peer of what XDP_TX left there only if an XDP program runs on the peer. So there
 * an answer takes the way of a copy, with amt_egress, which a bulk shared with copies has anyway.
 */
__noinline int shield_send(struct xdp_md *ctx, __u32 uplink)
{
	struct amt_meta meta = {.magic = META_MAGIC, .stage = META_ANSWER};
	__u32 slot;
	void *once;

	count(AMT_COUNT_SHIELD_ANSWERED);
	if (!uplink)
		return XDP_TX;
	meta.uplink = uplink - 1;
	slot = meta.uplink * AMT_CLONES_STRIDE + 1;
	once = bpf_map_lookup_elem(&clones, &slot);
	if (once && meta_open(ctx) && meta_put(ctx, &meta) &&
	    bpf_redirect_map(once, 0, XDP_DROP) == XDP_REDIRECT)
		return XDP_REDIRECT;
	count(AMT_COUNT_REDIRECT_FAILED);
	return XDP_DROP;
}

/* ---- Relay Advertisement ---- */

/* octets: a constant, AMT_ADVERTISEMENT_LEN4 or _LEN6. */
static __always_inline bool shield_advertise(struct xdp_md *ctx, struct shield_message *m,
					     __be16 port, const struct amt_addr *relay, word nonce,
					     const __u32 octets)
{
	const __u32 words = (octets - AMT_ADVERTISEMENT_RELAY) / sizeof(word);
	const __u32 padded = octets == AMT_ADVERTISEMENT_LEN4 ? ETH_ZLEN - shield_payload(false)
							      : octets; /* 18: the frame's least */
	word head[2] = {bpf_htonl((AMT_WIRE_VERSION << AMT_VERS_SHIFT | AMT_ADVERTISEMENT) << 24),
			nonce};
	const __u8 *address = relay->bytes + sizeof(*relay) - words * sizeof(word);
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	void *at = shield_body(data, data_end, m->ipv6, padded);

	if (!at)
		return false;
	if (padded > octets)
		halves_zero(at + octets, padded - octets);
	halves_copy(at, head, sizeof(head));
	halves_copy(at + sizeof(head), address, words * sizeof(word));
	return shield_headers(data, data_end, m, port, octets,
			      sum_words(head, 2) + sum_words(address, words));
}

/* ---- Membership Query ---- */

/* A Membership Query but for its datagram. */
struct shield_query {
	word head[3]; /* type and flags, MAC, nonce */
	bool mld, gateway;
};

static __always_inline void shield_query_head(struct shield_query *query, __u64 mac, word nonce,
					      bool limit)
{
	__u32 flags = (limit ? AMT_QUERY_L : 0) | (query->gateway ? AMT_QUERY_G : 0);
	__u32 type = AMT_WIRE_VERSION << AMT_VERS_SHIFT | AMT_QUERY;

	query->head[0] = le32(type | flags << 8 | (__u32)mac << 16);
	query->head[1] = le32(mac >> 16);
	query->head[2] = nonce;
}

/* The 18 octets behind the datagram: port, and the address, IPv4 with zeros in front. */
static __always_inline __u64 shield_write_gateway(void *at, struct shield_message *m)
{
	word address[4] = {};

	words_copy(&address[3], m->gateway.bytes + AMT_ADDR_V4_OFFSET, 4);
	if (m->ipv6)
		words_copy(address, m->gateway.bytes, 12);
	*(__be16 *)at = m->port;
	halves_copy(at + sizeof(__be16), address, sizeof(address));
	return (__u64)m->port + sum_words(address, 4);
}

/* octets, of the datagram, is a constant. */
static __always_inline bool shield_write_query(struct xdp_md *ctx, struct shield_message *m,
					       const struct shield_query *query, __be16 port,
					       const __u8 *datagram, const __u32 octets)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	void *at = shield_body(data, data_end, m->ipv6, AMT_QUERY_DATAGRAM + octets);
	__u32 length = AMT_QUERY_DATAGRAM + octets;
	__u64 sum = sum_words(query->head, 3);

	if (!at)
		return false;
	halves_copy(at, query->head, sizeof(query->head));
	halves_copy(at + AMT_QUERY_DATAGRAM, datagram, octets);
#pragma unroll
	for (__u32 i = 0; i < octets / sizeof(word); i++)
		sum += sum_words(datagram + i * sizeof(word), 1);
	if (query->gateway) {
		if (at + AMT_QUERY_DATAGRAM + octets + AMT_GATEWAY_LEN > data_end)
			return false;
		sum += shield_write_gateway(at + AMT_QUERY_DATAGRAM + octets, m);
		length += AMT_GATEWAY_LEN;
	}
	return shield_headers(data, data_end, m, port, length, sum);
}

#endif
