/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The outer header of a copy: Ethernet, at most one VLAN tag, IPv4 or IPv6, UDP, AMT Multicast
 * Data (RFC 7450 5.1.6). encap_template() writes what all copies of a block have in common, once;
 * encap_fill() writes what differs, once a copy. Used by XDP and TC.
 *
 * Between the two, the checksum fields hold folded sums of all that is known, so that a copy adds
 * its own addresses and never looks at anything else.
 */
#ifndef AMT_BPF_ENCAP_H
#define AMT_BPF_ENCAP_H

#include <amt/wire.h>
#include "checksum.h"
#include "count.h"

#define ENCAP_MAX (ETH_HLEN + sizeof(struct vlan_tag) + AMT_OVERHEAD6)
#define ENCAP_DF  bpf_htons(0x4000)

/* What a template says besides its endpoint. */
struct encap {
	__u32 length; /* of the inner datagram */
	__u16 sum;    /* folded, over the inner datagram; where a checksum is written */
	__u8 tos;     /* outer */
};

/* Where the gateway is: the member, one shape for both families. */
struct encap_target {
	const __u8 *gateway; /* 4 or 16 octets, in the member's map */
	__be16 port;
	__u16 nexthop;
};

static __always_inline __u32 encap_length(__u32 flags)
{
	return ETH_HLEN + (flags & AMT_ENDPOINT_VLAN ? sizeof(struct vlan_tag) : 0) +
	       (flags & AMT_ENDPOINT_IPV6 ? AMT_OVERHEAD6 : AMT_OVERHEAD4);
}

/* Whether copies of this endpoint carry a UDP checksum: always on IPv6, on IPv4 by policy.
 */
static __always_inline bool encap_checksummed(__u32 flags, const struct amt_config *conf)
{
	return flags & AMT_ENDPOINT_IPV6 || conf->flags & AMT_CONFIG_UDP4_CHECKSUM;
}

/* DSCP: the inner one or a fixed one. ECN: copied for gateways that take it back out,
 * else Not-ECT (RFC 9601 6.1.4, RFC 6040 4.1; ). */
static __always_inline __u8 encap_tos(__u32 flags, const struct amt_config *conf, __u8 inner)
{
	__u8 dscp = conf->flags & AMT_CONFIG_DSCP_FIXED ? conf->dscp : inner;
	__u8 ecn = flags & AMT_ENDPOINT_ECN ? inner : 0;

	return (dscp & AMT_DSCP_MASK) | (ecn & AMT_ECN_MASK);
}

/* Returns where the IP header goes. MAC addresses stay zero: a frame that leaves unfilled, for
 * whatever reason, reaches nobody. */
static __always_inline void *template_ethernet(void *data, const struct amt_endpoint *ep,
					       bool tagged)
{
	struct ethhdr *eth = data;
	struct vlan_tag *tag = (void *)(eth + 1);
	__be16 proto = ep->flags & AMT_ENDPOINT_IPV6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);

	halves_zero(eth, 2 * ETH_ALEN);
	if (!tagged) {
		eth->h_proto = proto;
		return eth + 1;
	}
	eth->h_proto = ep->vlan_proto;
	tag->tci = ep->vlan_tci;
	tag->proto = proto;
	return tag + 1;
}

static __always_inline void template_ipv4(struct iphdr *ip, const struct amt_endpoint *ep,
					  const struct amt_config *conf, const struct encap *encap)
{
	ip->version = 4;
	ip->ihl = sizeof(*ip) / 4;
	ip->tos = encap->tos;
	ip->tot_len = bpf_htons(AMT_OVERHEAD4 + encap->length);
	ip->id = 0;		 /* RFC 6864 4.1: an atomic datagram needs none */
	ip->frag_off = ENCAP_DF; /* */
	ip->ttl = conf->ttl;
	ip->protocol = IPPROTO_UDP;
	ip->check = 0;
	words_copy(&ip->saddr, ep->relay.bytes + AMT_ADDR_V4_OFFSET, sizeof(ip->saddr));
	ip->daddr = 0;
	ip->check = checksum_fold(sum_words(ip, sizeof(*ip) / 4));
}

static __always_inline void template_ipv6(struct ipv6hdr *ip, const struct amt_endpoint *ep,
					  const struct amt_config *conf, const struct encap *encap)
{
	words_zero(ip, sizeof(*ip));
	ip->version = 6;
	ip->priority = encap->tos >> 4;
	ip->flow_lbl[0] = encap->tos << 4;
	ip->payload_len = bpf_htons(AMT_UDP_HLEN + AMT_DATA_LEN + encap->length);
	ip->nexthdr = IPPROTO_UDP;
	ip->hop_limit = conf->ttl;
	words_copy(&ip->saddr, ep->relay.bytes, sizeof(ip->saddr));
}

static __always_inline void template_udp(struct udphdr *udp, const struct amt_endpoint *ep,
					 const struct amt_config *conf, const struct encap *encap)
{
	__u16 length = AMT_UDP_HLEN + AMT_DATA_LEN + encap->length;
	__u8 *amt = (void *)(udp + 1);
	__u32 words = ep->flags & AMT_ENDPOINT_IPV6 ? 4 : 1;
	__u64 sum = encap->sum;

	udp->source = ep->port;
	udp->dest = 0;
	udp->len = bpf_htons(length);
	udp->check = 0;
	amt[0] = AMT_WIRE_VERSION << AMT_VERS_SHIFT | AMT_DATA;
	amt[1] = 0;
	if (!encap_checksummed(ep->flags, conf))
		return;
	sum += sum_words(ep->relay.bytes + AMT_ADDR_V4_OFFSET, 1);
	if (words == 4)
		sum += sum_words(ep->relay.bytes, 3);
	/* the length counts twice: in the pseudo-header and in the header */
	sum += bpf_htons(IPPROTO_UDP) + 2 * (__u64)udp->len + ep->port;
	sum += bpf_htons(amt[0] << 8);
	udp->check = checksum_fold(sum);
}

/* Writes encap_length() octets at data. tagged: with the endpoint's VLAN tag, if it has one; where
 * the stack carries tags beside the frame (TC), it is false and a constant. */
static __always_inline bool encap_template(void *data, void *data_end,
					   const struct amt_endpoint *ep, bool tagged,
					   const struct amt_config *conf, const struct encap *encap)
{
	void *ip;

	/* the shorter link-layer headers have an IP header behind them: the frame is that long */
	if (data + ETH_HLEN + sizeof(struct vlan_tag) > data_end)
		return false;
	ip = template_ethernet(data, ep, tagged);
	opaque(ip);
	if (ep->flags & AMT_ENDPOINT_IPV6) {
		if (ip + AMT_OVERHEAD6 > data_end)
			return false;
		template_ipv6(ip, ep, conf, encap);
		template_udp(ip + AMT_IPV6_HLEN, ep, conf, encap);
	} else {
		if (ip + AMT_OVERHEAD4 > data_end)
			return false;
		template_ipv4(ip, ep, conf, encap);
		template_udp(ip + AMT_IPV4_HLEN, ep, conf, encap);
	}
	return true;
}

/* Whose thread makes the block's copies. */
static __always_inline __u32 block_cpu(__u32 block)
{
	const struct amt_block *found = bpf_map_lookup_elem(&blocks, &block);

	return found ? found->cpu : 0;
}

/* Which endpoint and how many members; NULL: nothing to send, and counted. */
static __always_inline const struct amt_endpoint *block_endpoint(__u32 block, __u32 *copies)
{
	const volatile struct amt_block *found = bpf_map_lookup_elem(&blocks, &block);
	const struct amt_endpoint *ep;
	__u32 id;

	if (!found || !found->count) {
		count(AMT_COUNT_NO_MEMBER);
		return NULL;
	}
	id = found->endpoint;
	*copies = found->count;
	ep = bpf_map_lookup_elem(&endpoints, &id);
	if (!ep || !(ep->flags & AMT_ENDPOINT_VALID)) {
		count(AMT_COUNT_ENDPOINT_INVALID);
		return NULL;
	}
	return ep;
}

/* Member i of a block; false: there is no such block. ipv6, here and below, is a constant: the
 * verifier cannot tell from a flag which of two maps a gateway stands in. */
static __always_inline bool encap_member(__u32 block, __u32 i, const bool ipv6,
					 struct encap_target *target)
{
	__u32 slot = block * AMT_BLOCK_MEMBERS + i;
	struct amt_member4 *v4;
	struct amt_member6 *v6;

	if (ipv6) {
		v6 = bpf_map_lookup_elem(&fanout6, &slot);
		if (!v6)
			return false;
		target->gateway = v6->gateway;
		target->port = v6->port;
		target->nexthop = v6->nexthop;
		return true;
	}
	v4 = bpf_map_lookup_elem(&fanout4, &slot);
	if (!v4)
		return false;
	target->gateway = v4->gateway;
	target->port = v4->port;
	target->nexthop = v4->nexthop;
	return true;
}

static __always_inline void fill_udp(struct udphdr *udp, const struct encap_target *target,
				     __u32 words)
{
	udp->dest = target->port;
	/* zero: no checksum is wanted. A sum is never zero, since its protocol number is not. */
	if (udp->check)
		udp->check = checksum_udp((__u64)udp->check + target->port +
					  sum_words(target->gateway, words));
}

static __always_inline void fill_ipv4(struct iphdr *ip, const struct encap_target *target)
{
	words_copy(&ip->daddr, target->gateway, sizeof(ip->daddr));
	ip->check = ~checksum_fold((__u64)ip->check + ip->daddr);
	fill_udp((void *)(ip + 1), target, 1);
}

static __always_inline void fill_ipv6(struct ipv6hdr *ip, const struct encap_target *target)
{
	words_copy(&ip->daddr, target->gateway, sizeof(ip->daddr));
	fill_udp((void *)(ip + 1), target, 4);
}

/* Turns a template into the copy for one gateway. */
static __always_inline bool encap_fill(void *data, void *data_end, bool tagged, const bool ipv6,
				       const struct encap_target *target,
				       const struct amt_nexthop *nexthop)
{
	struct ethhdr *eth = data;
	void *ip = data + ETH_HLEN + (tagged ? sizeof(struct vlan_tag) : 0);

	opaque(ip);
	if ((void *)(eth + 1) > data_end)
		return false;
	halves_copy(eth, nexthop, 2 * ETH_ALEN); /* both begin with destination, source */
	if (ipv6) {
		if (ip + AMT_OVERHEAD6 > data_end)
			return false;
		fill_ipv6(ip, target);
	} else {
		if (ip + AMT_OVERHEAD4 > data_end)
			return false;
		fill_ipv4(ip, target);
	}
	return true;
}

#endif
