/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "load/datagram.h"

#include <string.h>
#include <netinet/in.h>
#include "base/checksum.h"

#define IPV4_HLEN     20
#define IPV6_HLEN     40
#define FRAGMENT_HLEN 8
#define UDP_HLEN      8

static unsigned int get16(const uint8_t *at)
{
	return (unsigned int)at[0] << 8 | at[1];
}

/* out->source and out->group are set. */
static enum datagram_verdict parse_udp(const uint8_t *udp, size_t len, struct datagram *out)
{
	uint32_t sum;

	if (len < UDP_HLEN || len > UINT16_MAX || get16(udp + 4) != len)
		return DATAGRAM_MALFORMED;
	out->payload = udp + UDP_HLEN;
	out->payload_len = len - UDP_HLEN;
	if (get16(udp + 6) == 0) /* no checksum: right on IPv4, wrong on IPv6 (RFC 8200 8.1) */
		return addr_is_ipv4(&out->group) ? DATAGRAM_UDP : DATAGRAM_BAD_CHECKSUM;
	sum = checksum_add_pseudo(0, &out->source, &out->group, IPPROTO_UDP, (uint32_t)len);
	return checksum_good(checksum_add(sum, udp, len)) ? DATAGRAM_UDP : DATAGRAM_BAD_CHECKSUM;
}

static enum datagram_verdict parse_ipv4(const uint8_t *ip, size_t len, struct datagram *out)
{
	size_t hlen;

	if (len < IPV4_HLEN)
		return DATAGRAM_MALFORMED;
	hlen = (size_t)(ip[0] & 0x0f) * 4;
	if (hlen < IPV4_HLEN || hlen > len || get16(ip + 2) != len || ip[9] != IPPROTO_UDP)
		return DATAGRAM_MALFORMED;
	out->ttl = ip[8];
	out->source = addr_from_ipv4(ip + 12);
	out->group = addr_from_ipv4(ip + 16);
	if (!checksum_good(checksum_add(0, ip, hlen)))
		return DATAGRAM_BAD_CHECKSUM;
	if (get16(ip + 6) & 0x3fff) /* MF or an offset */
		return DATAGRAM_FRAGMENT;
	return parse_udp(ip + hlen, len - hlen, out);
}

static enum datagram_verdict parse_ipv6(const uint8_t *ip, size_t len, struct datagram *out)
{
	if (len < IPV6_HLEN || get16(ip + 4) + IPV6_HLEN != len)
		return DATAGRAM_MALFORMED;
	out->ttl = ip[7];
	out->source = addr_from_ipv6(ip + 8);
	out->group = addr_from_ipv6(ip + 24);
	if (ip[6] == IPPROTO_FRAGMENT && len >= IPV6_HLEN + FRAGMENT_HLEN)
		return DATAGRAM_FRAGMENT;
	if (ip[6] != IPPROTO_UDP)
		return DATAGRAM_MALFORMED;
	return parse_udp(ip + IPV6_HLEN, len - IPV6_HLEN, out);
}

enum datagram_verdict datagram_parse(const void *buf, size_t len, struct datagram *out)
{
	const uint8_t *ip = buf;

	memset(out, 0, sizeof(*out));
	if (len > 0 && ip[0] >> 4 == 4)
		return parse_ipv4(ip, len, out);
	if (len > 0 && ip[0] >> 4 == 6)
		return parse_ipv6(ip, len, out);
	return DATAGRAM_MALFORMED;
}
