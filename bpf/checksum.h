/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Internet checksum (RFC 1071) in one's complement arithmetic on words as they lie in memory,
 * so that no byte is ever swapped. A "sum" is not yet complemented.
 */
#ifndef AMT_BPF_CHECKSUM_H
#define AMT_BPF_CHECKSUM_H

#include "parse.h"

#define SUM_STEP   32	/* octets a turn */
#define SUM_OCTETS 9216 /* most that is ever summed up */

static __always_inline __u16 checksum_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* A field that carries 0 as "no checksum" (RFC 768, RFC 8200 8.1) says 0xffff instead. */
static __always_inline __u16 checksum_udp(__u64 sum)
{
	__u16 check = ~checksum_fold(sum);

	return check ? check : 0xffff;
}

/* number: a constant up to 5. */
static __always_inline __u64 sum_words(const void *words, __u32 number)
{
	const word *at = words;
	__u64 sum = at[0];

	if (number > 1)
		sum += at[1];
	if (number > 2)
		sum += at[2];
	if (number > 3)
		sum += at[3];
	if (number > 4)
		sum += at[4];
	return sum;
}

/* Where in the IP header the four octets with the TTL or hop limit are that ttl_decrement() takes:
 * IPv4's TTL, protocol and checksum; the last four before the addresses of IPv6. */
static __always_inline __u32 ttl_offset(bool ipv6)
{
	return ipv6 ? offsetof(struct ipv6hdr, payload_len) : offsetof(struct iphdr, ttl);
}

/* We are a router. The IPv4 header checksum follows (RFC 1624; the TTL is the high octet of its
 * word, so the checksum grows by 0x0100). */
static __always_inline void ttl_decrement(__u8 *octets, bool ipv6)
{
	__u16 *check = (void *)(octets + 2);
	__u32 sum;

	if (ipv6) {
		octets[3]--;
		return;
	}
	octets[0]--;
	sum = (__u32)*check + bpf_htons(0x0100);
	*check = sum + (sum >= 0xffff);
}

/* Sum of the pseudo-header of a UDP packet in the datagram (RFC 768, RFC 8200 8.1). */
static __always_inline __u64 sum_pseudo(const struct datagram *d, __u16 udp_length)
{
	const __u8 *source = d->key.source.bytes, *group = d->key.group.bytes;
	__u64 sum = sum_words(source + AMT_ADDR_V4_OFFSET, 1) +
		    sum_words(group + AMT_ADDR_V4_OFFSET, 1);

	/* of v4-mapped addresses only the last word is on the wire */
	if (d->ipv6)
		sum += sum_words(source, 3) + sum_words(group, 3);
	return sum + bpf_htons(udp_length) + bpf_htons(IPPROTO_UDP);
}

/* Sum over data from offset to data_end. Inlined into a function of its own, for each path that the
 * verifier follows in here is followed again for each caller. */
static __always_inline __u64 sum_linear(void *data, void *data_end, __u32 offset)
{
	__u8 rest[4] = {};
	void *at;
	__u64 sum = 0;

	if (offset > 0x1fff)
		return 0;
	at = data + offset;
	for (int i = 0; i < SUM_OCTETS / SUM_STEP; i++) {
		if (at + SUM_STEP > data_end)
			break;
		sum += sum_words(at, 4) + sum_words(at + 16, 4);
		at += SUM_STEP;
	}
	/* a fresh pointer, so that the verifier follows one way on and not one for each length */
	offset = at - data;
	opaque(offset);
	if (offset > 0x3fff)
		return sum;
	at = data + offset;
	for (int i = 0; i < SUM_STEP / 4; i++) {
		if (at + 4 > data_end)
			break;
		sum += sum_words(at, 1);
		at += 4;
	}
	for (int i = 0; i < 3; i++) {
		if (at + 1 > data_end)
			break;
		rest[i] = *(__u8 *)at++;
	}
	return sum + sum_words(rest, 1);
}

/* Offset in the datagram of a UDP header whose checksum a sender on this host left to a device: the
 * field then holds the folded sum of the pseudo-header, and a copy made of it would be wrong at the
 * receiver. 0: none. A right checksum may be that value by chance, and finishing yields it again.
 */
static __always_inline __u32 checksum_unfinished(void *data, void *data_end,
						 const struct datagram *d)
{
	__u32 offset = parse_udp(data, data_end, d);
	struct udphdr *udp = datagram_at(data, d, offset);
	__u16 length;

	if (!offset || (void *)(udp + 1) > data_end || !udp->check)
		return 0;
	length = bpf_ntohs(udp->len);
	if (length != d->length - offset || udp->check != checksum_fold(sum_pseudo(d, length)))
		return 0;
	return offset;
}

#endif
