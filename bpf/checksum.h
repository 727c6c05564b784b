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

/* Decrements the TTL or hop limit; the IPv4 header checksum follows (RFC 1624, as RFC 1141's
 * special case: the TTL is the high octet of its word, so the checksum grows by 0x0100). */
static __always_inline bool ttl_decrement(void *ip, void *data_end, bool ipv6)
{
	struct iphdr *v4 = ip;
	struct ipv6hdr *v6 = ip;
	__u32 check;

	if (ipv6) {
		if ((void *)(v6 + 1) > data_end)
			return false;
		v6->hop_limit--;
		return true;
	}
	if ((void *)(v4 + 1) > data_end)
		return false;
	check = (__u32)v4->check + bpf_htons(0x0100);
	v4->check = check + (check >= 0xffff);
	v4->ttl--;
	return true;
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

#endif
