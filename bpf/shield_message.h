/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A message to the relay in a frame, as the shield takes it: in the plainest form, and for this
 * host. Reads, never writes.
 */
#ifndef AMT_BPF_SHIELD_MESSAGE_H
#define AMT_BPF_SHIELD_MESSAGE_H

#include <amt/wire.h>
#include "checksum.h"

#define SHIELD_REQUEST_LEN_MAX 9 /* VLC's; what is longer is odd */

/* ---- what it is ---- */

static __always_inline __u32 shield_payload(bool ipv6)
{
	return ETH_HLEN + (ipv6 ? AMT_IPV6_HLEN : AMT_IPV4_HLEN) + AMT_UDP_HLEN;
}

/* Sources that the stack has its own opinion of: this network, loopback, multicast and beyond. */
static __always_inline bool shield_source4(__be32 address)
{
	__u8 first = *(__u8 *)&address;

	return first && first != 127 && first < 224;
}

/* The same: unspecified, loopback and IPv4 in IPv6; link-local, which needs an interface. */
static __always_inline bool shield_source6(const __u8 *address)
{
	return address[0] && address[0] != 0xff &&
	       !(address[0] == 0xfe && (address[1] & 0xc0) == 0x80);
}

static __always_inline bool shield_ipv4(const struct iphdr *ip, __be16 port,
					struct shield_message *m)
{
	const struct udphdr *udp = (const void *)(ip + 1);
	const __u8 *first = (const void *)ip;

	/* version and header length in one octet */
	if (ip->protocol != IPPROTO_UDP || *first != 0x45 || udp->dest != port ||
	    ip->frag_off & bpf_htons(IPV4_FRAGMENT))
		return false;
	if (!shield_source4(ip->saddr) || checksum_fold(sum_words(ip, 5)) != 0xffff)
		return false;
	m->total = bpf_ntohs(ip->tot_len);
	m->length = bpf_ntohs(udp->len) - AMT_UDP_HLEN;
	m->port = udp->source;
	m->ipv6 = false;
	map_v4(&m->gateway, &ip->saddr);
	map_v4(&m->local, &ip->daddr);
	return m->total == AMT_IPV4_HLEN + AMT_UDP_HLEN + m->length;
}

static __always_inline bool shield_ipv6(const struct ipv6hdr *ip, __be16 port,
					struct shield_message *m)
{
	const struct udphdr *udp = (const void *)(ip + 1);

	if (ip->nexthdr != IPPROTO_UDP || ip->version != 6 || udp->dest != port ||
	    !shield_source6(ip->saddr.in6_u.u6_addr8))
		return false;
	m->total = AMT_IPV6_HLEN + bpf_ntohs(ip->payload_len);
	m->length = bpf_ntohs(udp->len) - AMT_UDP_HLEN;
	m->port = udp->source;
	m->ipv6 = true;
	words_copy(&m->gateway, &ip->saddr, sizeof(m->gateway));
	words_copy(&m->local, &ip->daddr, sizeof(m->local));
	return m->total == AMT_IPV6_HLEN + AMT_UDP_HLEN + m->length;
}

/* Whether the frame is a message to our port, whole and plain. */
static __always_inline bool shield_parse(void *data, void *data_end, __be16 port,
					 struct shield_message *m)
{
	const struct ethhdr *eth = data;
	void *ip = data + ETH_HLEN;
	long frame = data_end - data;

	opaque(frame);
	if (data + shield_payload(false) + AMT_REQUEST_LEN > data_end)
		return false;
	if (eth->h_proto == bpf_htons(ETH_P_IP)) {
		if (!shield_ipv4(ip, port, m))
			return false;
	} else if (eth->h_proto == bpf_htons(ETH_P_IPV6)) {
		if (data + shield_payload(true) + AMT_REQUEST_LEN > data_end ||
		    !shield_ipv6(ip, port, m))
			return false;
	} else {
		return false;
	}
	return m->port && m->length >= AMT_REQUEST_LEN && frame >= ETH_HLEN + m->total;
}

static __always_inline bool shield_is_any(const struct amt_addr *addr)
{
	const word *words = (const void *)addr;

	return !(words[0] | words[1] | words[2] | words[3]);
}

/* Whether the frame is for this host, by its MAC address and an address that amtd listens on. */
static __always_inline const struct amt_shield_address *shield_address(void *data, void *data_end,
								       __u32 ifindex,
								       struct shield_message *m)
{
	const struct amt_shield_link *link = bpf_map_lookup_elem(&shield_links, &ifindex);
	const struct amt_shield_address *address;
	const __u16 *to = data;
	const __u16 *own;

	if (!link || data + ETH_ALEN > data_end)
		return NULL;
	own = (const void *)link->mac;
	if (to[0] != own[0] || to[1] != own[1] || to[2] != own[2])
		return NULL;
	m->uplink = link->uplink;
	address = bpf_map_lookup_elem(&shield_addresses, &m->local);
	return address && !shield_is_any(&address->advertised) ? address : NULL;
}

/* Whether amtd is there: while it is away, a gateway should ask again, and not believe that its
 * Update, which nobody took, was heard. */
static __always_inline bool shield_attended(struct xdp_md *ctx, struct shield_message *m,
					    __be16 port)
{
	struct bpf_sock_tuple *tuple = &m->key.tuple;
	struct bpf_sock *sock;

	if (m->ipv6) {
		words_copy(tuple->ipv6.saddr, &m->gateway, sizeof(tuple->ipv6.saddr));
		words_copy(tuple->ipv6.daddr, &m->local, sizeof(tuple->ipv6.daddr));
		tuple->ipv6.sport = m->port;
		tuple->ipv6.dport = port;
	} else {
		words_copy(&tuple->ipv4.saddr, m->gateway.bytes + AMT_ADDR_V4_OFFSET, 4);
		words_copy(&tuple->ipv4.daddr, m->local.bytes + AMT_ADDR_V4_OFFSET, 4);
		tuple->ipv4.sport = m->port;
		tuple->ipv4.dport = port;
	}
	sock = bpf_sk_lookup_udp(ctx, tuple, m->ipv6 ? sizeof(tuple->ipv6) : sizeof(tuple->ipv4),
				 BPF_F_CURRENT_NETNS, 0);
	if (!sock)
		return false;
	bpf_sk_release(sock);
	return true;
}

/* Whether the sender may have an answer at all: none goes to a group's MAC address, nor to an
 * address that is ours or a broadcast one, which the stack knows for a forged source. */
static __always_inline bool shield_answerable(void *data, void *data_end, struct shield_message *m)
{
	const struct ethhdr *eth = data;

	return (void *)(eth + 1) <= data_end && !(eth->h_source[0] & 1) &&
	       !bpf_map_lookup_elem(&shield_addresses, &m->gateway);
}

static __always_inline bool shield_permitted_gateway(const struct amt_shield *policy,
						     struct shield_message *m)
{
	if (!(policy->flags & AMT_SHIELD_PERMIT))
		return true;
	m->key.prefix.bits = AMT_SHIELD_LIST_BITS + 8 * sizeof(m->gateway);
	m->key.prefix.list = policy->permitted;
	m->key.prefix.addr = m->gateway;
	return bpf_map_lookup_elem(&shield_permitted, &m->key.prefix);
}

static __always_inline __u64 shield_addresses_sum(struct shield_message *m)
{
	__u64 sum = sum_words(m->gateway.bytes + AMT_ADDR_V4_OFFSET, 1) +
		    sum_words(m->local.bytes + AMT_ADDR_V4_OFFSET, 1);

	if (m->ipv6)
		sum += sum_words(m->gateway.bytes, 3) + sum_words(m->local.bytes, 3);
	return sum;
}

/* The UDP checksum of a Discovery or a Request: right, or none (IPv4), or left to a device by a
 * sender on this host (see checksum_unfinished()). */
static __always_inline bool shield_intact(void *data, void *data_end, struct shield_message *m)
{
	__u32 offset = shield_payload(m->ipv6) - AMT_UDP_HLEN;
	__u8 last[4] = {};
	struct udphdr *udp;
	__u64 pseudo, sum;

	opaque(offset);
	udp = data + (offset & 0x3f);
	if ((void *)(udp + 1) + AMT_REQUEST_LEN > data_end)
		return false;
	if (!udp->check)
		return !m->ipv6;
	pseudo = shield_addresses_sum(m) + udp->len + bpf_htons(IPPROTO_UDP);
	sum = pseudo + sum_words(udp, 4);
	if (m->length > AMT_REQUEST_LEN) {
		if ((void *)(udp + 1) + SHIELD_REQUEST_LEN_MAX > data_end)
			return false;
		last[0] = *((__u8 *)(udp + 1) + AMT_REQUEST_LEN);
		sum += sum_words(last, 1);
	}
	return checksum_fold(sum) == 0xffff || udp->check == checksum_fold(pseudo);
}

#endif
