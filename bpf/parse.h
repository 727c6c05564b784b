/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a frame to the datagram that a relay forwards: Ethernet with up to two VLAN tags, IPv4 or
 * IPv6, multicast beyond the link. Fragments are datagrams like others: nothing behind the IP
 * header matters for forwarding. Reads, never writes. Used by XDP and TC.
 */
#ifndef AMT_BPF_PARSE_H
#define AMT_BPF_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include "maps.h"

#define VLAN_TAGS	2
#define IPV6_EXTENSIONS 4      /* headers walked to find UDP */
#define IPV4_FRAGMENT	0x3fff /* MF and offset */

/* Headers are read and written by words wherever they lie: without this, the compiler, which knows
 * no alignment, would do it octet by octet. Sizes are constants, multiples of 4. */
typedef __u32 __attribute__((__may_alias__)) word;

static __always_inline void words_copy(void *to, const void *from, __u32 octets)
{
	__builtin_memcpy(__builtin_assume_aligned(to, 4), __builtin_assume_aligned(from, 4),
			 octets);
}

static __always_inline void words_zero(void *to, __u32 octets)
{
	__builtin_memset(__builtin_assume_aligned(to, 4), 0, octets);
}

/* The same for what lies at an odd half-word where a frame's IP header is aligned. */
static __always_inline void halves_copy(void *to, const void *from, __u32 octets)
{
	__builtin_memcpy(__builtin_assume_aligned(to, 2), __builtin_assume_aligned(from, 2),
			 octets);
}

static __always_inline void halves_zero(void *to, __u32 octets)
{
	__builtin_memset(__builtin_assume_aligned(to, 2), 0, octets);
}

/* Hides from the compiler how a packet pointer or an offset came about: the verifier knows only the
 * register that was compared with data_end, not others computed alike. */
#define opaque(variable) asm volatile("" : "+r"(variable))

struct vlan_tag {
	__be16 tci;
	__be16 proto;
};

/* What the packet path knows of a packet. */
struct datagram {
	struct amt_group_key key;
	__u32 front;  /* octets of link-layer header before it */
	__u32 length; /* its octets, by its own header */
	__u8 tos;     /* DSCP and ECN */
	__u8 ttl;
	__u8 protocol; /* next header */
	bool ipv6;
	bool fragment;
	__u16 header; /* octets of IPv4 header with options, or of the IPv6 base header */
};

/* Where the datagram, or an offset into its headers, is: bounded, so that the verifier sees it. */
#define FRONT_MASK  0x1f  /* two tags make it 22 */
#define OFFSET_MASK 0x3ff /* headers that parse_udp() walks */

static __always_inline void *datagram_at(void *data, const struct datagram *d, __u32 offset)
{
	__u32 front = d->front;

	opaque(front);
	opaque(offset);
	return data + (front & FRONT_MASK) + (offset & OFFSET_MASK);
}

enum parse_result {
	PARSE_DATAGRAM,
	PARSE_FOREIGN,	  /* not an IP multicast */
	PARSE_LINK_LOCAL, /* never forwarded: RFC 5771 4, RFC 4291 2.7 */
	PARSE_MALFORMED,
};

/* Returns the ethertype behind the tags and sets front; 0: too short. */
static __always_inline __be16 parse_ethernet(void *data, void *data_end, __u32 *front)
{
	struct ethhdr *eth = data;
	struct vlan_tag *tag = (void *)(eth + 1);
	__be16 proto;

	if ((void *)(eth + 1) > data_end)
		return 0;
	proto = eth->h_proto;
	*front = ETH_HLEN;
#pragma unroll
	for (int i = 0; i < VLAN_TAGS; i++) {
		if (proto != bpf_htons(ETH_P_8021Q) && proto != bpf_htons(ETH_P_8021AD))
			break;
		if ((void *)(tag + 1) > data_end)
			return 0;
		proto = tag->proto;
		*front += sizeof(*tag);
		tag++;
	}
	return proto;
}

static __always_inline void map_v4(struct amt_addr *addr, const void *v4)
{
	word *words = (void *)addr->bytes;

	words[0] = 0;
	words[1] = 0;
	words[2] = bpf_htonl(0xffff);
	words_copy(&words[3], v4, 4);
}

static __always_inline enum parse_result parse_ipv4(struct iphdr *ip, struct datagram *d)
{
	__u32 source = bpf_ntohl(ip->saddr), group = bpf_ntohl(ip->daddr);

	if (group >> 28 != 0xe)
		return PARSE_FOREIGN;
	d->header = ip->ihl * 4;
	d->length = bpf_ntohs(ip->tot_len);
	if (ip->version != 4 || d->header < sizeof(*ip) || d->length < d->header)
		return PARSE_MALFORMED;
	/* 224.0.0.0/24 (RFC 5771 4) and from 169.254.0.0/16 (RFC 3927 2.7) */
	if (group >> 8 == 0xe00000 || source >> 16 == 0xa9fe)
		return PARSE_LINK_LOCAL;
	d->tos = ip->tos;
	d->ttl = ip->ttl;
	d->protocol = ip->protocol;
	d->fragment = ip->frag_off & bpf_htons(IPV4_FRAGMENT);
	map_v4(&d->key.source, &ip->saddr);
	map_v4(&d->key.group, &ip->daddr);
	return PARSE_DATAGRAM;
}

static __always_inline enum parse_result parse_ipv6(struct ipv6hdr *ip, struct datagram *d)
{
	const __u8 *source = ip->saddr.in6_u.u6_addr8, *group = ip->daddr.in6_u.u6_addr8;

	if (group[0] != 0xff)
		return PARSE_FOREIGN;
	d->header = sizeof(*ip);
	d->length = sizeof(*ip) + bpf_ntohs(ip->payload_len);
	/* no length behind a hop-by-hop header: a jumbogram, longer than any tunnel */
	if (ip->version != 6 || (!ip->payload_len && ip->nexthdr == IPPROTO_HOPOPTS))
		return PARSE_MALFORMED;
	/* scopes reserved, interface and link (RFC 4291 2.7), and from fe80::/10 (2.5.6) */
	if ((group[1] & 0x0f) <= 2 || (source[0] == 0xfe && (source[1] & 0xc0) == 0x80))
		return PARSE_LINK_LOCAL;
	d->tos = ip->priority << 4 | ip->flow_lbl[0] >> 4;
	d->ttl = ip->hop_limit;
	d->protocol = ip->nexthdr;
	d->ipv6 = true;
	words_copy(d->key.source.bytes, source, sizeof(d->key.source));
	words_copy(d->key.group.bytes, group, sizeof(d->key.group));
	return PARSE_DATAGRAM;
}

/* frame: octets of the whole frame, of which data..data_end may be only the beginning (TC). d must
 * be zeroed. */
static __always_inline enum parse_result parse_datagram(void *data, void *data_end, __u32 frame,
							struct datagram *d)
{
	__be16 proto = parse_ethernet(data, data_end, &d->front);
	enum parse_result result;
	void *ip = data + d->front;

	if (proto == bpf_htons(ETH_P_IP)) {
		if (ip + sizeof(struct iphdr) > data_end)
			return PARSE_FOREIGN;
		result = parse_ipv4(ip, d);
	} else if (proto == bpf_htons(ETH_P_IPV6)) {
		if (ip + sizeof(struct ipv6hdr) > data_end)
			return PARSE_FOREIGN;
		result = parse_ipv6(ip, d);
	} else {
		return PARSE_FOREIGN;
	}
	if (result == PARSE_DATAGRAM && d->front + d->length > frame)
		return PARSE_MALFORMED;
	return result;
}

/* Octets between the start of the datagram and its UDP header; 0: no whole UDP packet in it. */
static __always_inline __u32 parse_udp(void *data, void *data_end, const struct datagram *d)
{
	__u32 offset = d->header;
	__u8 protocol = d->protocol;

	if (d->fragment)
		return 0;
		/* unrolled: clang may enter the loop in its middle, which Linux 6.1 refuses as a
		 * back-edge */
#pragma unroll
	for (int i = 0; i < IPV6_EXTENSIONS; i++) {
		__u8 *extension = datagram_at(data, d, offset);

		if (!d->ipv6)
			break;
		if (protocol != IPPROTO_HOPOPTS && protocol != IPPROTO_ROUTING &&
		    protocol != IPPROTO_DSTOPTS)
			break;
		if (extension + 2 > (__u8 *)data_end || offset > OFFSET_MASK)
			return 0;
		protocol = extension[0];
		offset += (extension[1] + 1) * 8;
	}
	if (protocol != IPPROTO_UDP || offset > OFFSET_MASK ||
	    offset + sizeof(struct udphdr) > d->length)
		return 0;
	return offset;
}

#endif
