/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What becomes of the ECN field when a tunnel ends: RFC 6040 section 4.2. The codepoints
 * are Not-ECT 0, ECT(1) 1, ECT(0) 2, CE 3.
 */
#ifndef AMT_ECN_H
#define AMT_ECN_H

#ifndef __bpf__
#include <stdbool.h>
#endif
#include <linux/types.h>
#include <amt/wire.h>

/* Figure 4, a nibble for each pair: the field that comes out, and how. */
#define AMT_ECN_SUSPICIOUS 4ull
#define AMT_ECN_DROP	   8ull
#define AMT_ECN_ROW(inner, not_ect, ect1, ect0, ce) \
	(((not_ect) | (ect1) << 4 | (ect0) << 8 | (ce) << 12) << 16 * (inner))
#define AMT_ECN_TABLE                                                         \
	(AMT_ECN_ROW(0, 0ull, 0 | AMT_ECN_SUSPICIOUS, 0 | AMT_ECN_SUSPICIOUS, \
		     AMT_ECN_DROP | AMT_ECN_SUSPICIOUS) |                     \
	 AMT_ECN_ROW(1, 1ull, 1ull, 1 | AMT_ECN_SUSPICIOUS, 3ull) |           \
	 AMT_ECN_ROW(2, 2ull, 1ull, 2ull, 3ull) |                             \
	 AMT_ECN_ROW(3, 3ull, 3 | AMT_ECN_SUSPICIOUS, 3ull, 3ull))

/* Of the inner and outer TOS or traffic class: the new field, with AMT_ECN_SUSPICIOUS and
 * AMT_ECN_DROP. */
static inline __attribute__((always_inline)) __u8 amt_ecn_combine(__u8 inner, __u8 outer)
{
	return AMT_ECN_TABLE >> (16 * (inner & AMT_ECN_MASK) + 4 * (outer & AMT_ECN_MASK)) & 0xf;
}

/* ip: the inner header's first 12 octets. The IPv4 checksum follows, right or wrong as it was (RFC
 * 1624, eqn. 3). */
static inline __attribute__((always_inline)) void amt_ecn_set(__u8 *ip, bool ipv6, __u8 ecn)
{
	__u16 before, after, check;
	__u32 sum;

	if (ipv6) {
		/* traffic class: the low nibble of octet 0 and the high one of octet 1 */
		ip[1] = (ip[1] & ~(AMT_ECN_MASK << 4)) | ecn << 4;
		return;
	}
	__builtin_memcpy(&before, ip, sizeof(before));
	ip[1] = (ip[1] & ~AMT_ECN_MASK) | ecn;
	__builtin_memcpy(&after, ip, sizeof(after));
	__builtin_memcpy(&check, ip + 10, sizeof(check));
	sum = (__u16)~check + (__u32)(__u16)~before + after;
	sum = (sum & 0xffff) + (sum >> 16);
	check = ~((sum & 0xffff) + (sum >> 16));
	__builtin_memcpy(ip + 10, &check, sizeof(check));
}

#endif
