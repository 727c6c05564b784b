/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The IP datagram inside a Membership Query or Update, up to the IGMP or ICMPv6 message that it
 * carries: what reports and queries have in common. Used by report*.c, query.c and gateway/.
 */
#ifndef AMT_PROTO_INNER_H
#define AMT_PROTO_INNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <amt/counters.h>
#include "base/addr.h"

#define INNER_IPV4_HLEN 24 /* with router alert */
#define INNER_IPV6_HLEN 48 /* with a hop-by-hop header for router alert */
#define INNER_LEAST	8  /* octets of the shortest IGMP or MLD message */

/* ICMPv6 types (RFC 2710, RFC 3810) */
#define MLD_QUERY     130
#define MLD_REPORT_V1 131
#define MLD_DONE      132
#define MLD_REPORT_V2 143

/* IGMP types (RFC 2236, RFC 3376) */
#define IGMP_QUERY     0x11
#define IGMP_REPORT_V2 0x16
#define IGMP_LEAVE     0x17
#define IGMP_REPORT_V3 0x22

/* 16 bits in network byte order, at any alignment. */
static inline uint16_t load16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static inline void store16(uint8_t *at, size_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

struct inner {
	bool ipv6;
	bool router_alert;
	size_t len; /* of the datagram; less than was given when octets follow it */
	struct amt_addr source, destination;
	const uint8_t *message; /* IGMP or ICMPv6, in the input; at least INNER_LEAST octets */
	size_t message_len;
};

/* Checks version, lengths, fragmentation, protocol, TTL or hop limit, header checksum and the IGMP
 * or ICMPv6 checksum (R-57 b, c, d). Any source is good. Router alert is told, not
 * demanded. Returns 0, or minus an AMT_COUNT_INNER_*. */
int inner_parse(const void *datagram, size_t len, struct inner *inner);

/* Where the message belongs in a datagram to be written. */
static inline size_t inner_header_len(bool ipv6)
{
	return ipv6 ? INNER_IPV6_HLEN : INNER_IPV4_HLEN;
}

/* Writes the IP header (TTL 1, router alert) in front of the message that stands at buf +
 * inner_header_len(), and fills the message's checksum, whose field must be zero. source any or
 * NULL: 0.0.0.0 or ::. Returns the datagram's length, or -EINVAL for an address of the wrong
 * family or a message that is too long. */
int inner_finish(bool ipv6, const struct amt_addr *source, const struct amt_addr *destination,
		 uint8_t *buf, size_t message_len);

/* An IPv6 address of the wire. A v4-mapped one may not stand there (RFC 4038 4.2), and would be
 * taken for IPv4 by everybody who looks at the family: it is read as "any", which is neither a
 * group nor a source. */
struct amt_addr inner_addr6(const uint8_t *sixteen_octets);

#endif
