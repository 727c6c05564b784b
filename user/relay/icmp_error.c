/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "relay/icmp_error.h"

#include <string.h>
#include "base/checksum.h"

#define ICMP_HLEN	  8
#define ICMP_UNREACHABLE  3 /* type */
#define ICMP_FRAG_NEEDED  4 /* code */
#define ICMP_CHECKSUM	  2
#define ICMP_NEXT_HOP_MTU 6 /* 16 bits, RFC 1191 4 */
#define ICMP_QUOTE_MAX	  (576 - 20 - ICMP_HLEN)
#define ICMP6_TOO_BIG	  2 /* type */
#define ICMP6_MTU	  4 /* 32 bits, RFC 4443 3.2 */
#define ICMP6_QUOTE_MAX	  (ICMP_ERROR_MAX - ICMP_HLEN)

static size_t quote(const void *datagram, size_t len, size_t max, uint8_t *buf)
{
	size_t n = len < max ? len : max;

	memset(buf, 0, ICMP_HLEN);
	memcpy(buf + ICMP_HLEN, datagram, n);
	return ICMP_HLEN + n;
}

size_t icmp_frag_needed(const void *datagram, size_t len, uint32_t mtu, uint8_t *buf)
{
	size_t n = quote(datagram, len, ICMP_QUOTE_MAX, buf);
	uint32_t said = mtu < UINT16_MAX ? mtu : UINT16_MAX;
	__be16 checksum;

	buf[0] = ICMP_UNREACHABLE;
	buf[1] = ICMP_FRAG_NEEDED;
	buf[ICMP_NEXT_HOP_MTU] = (uint8_t)(said >> 8);
	buf[ICMP_NEXT_HOP_MTU + 1] = (uint8_t)said;
	checksum = checksum_finish(checksum_add(0, buf, n));
	memcpy(buf + ICMP_CHECKSUM, &checksum, sizeof(checksum));
	return n;
}

size_t icmp6_packet_too_big(const void *datagram, size_t len, uint32_t mtu, uint8_t *buf)
{
	size_t n = quote(datagram, len, ICMP6_QUOTE_MAX, buf);

	buf[0] = ICMP6_TOO_BIG;
	buf[ICMP6_MTU] = (uint8_t)(mtu >> 24);
	buf[ICMP6_MTU + 1] = (uint8_t)(mtu >> 16);
	buf[ICMP6_MTU + 2] = (uint8_t)(mtu >> 8);
	buf[ICMP6_MTU + 3] = (uint8_t)mtu;
	return n;
}
