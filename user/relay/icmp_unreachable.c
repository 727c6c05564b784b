/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "relay/icmp_unreachable.h"

#include <string.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <amt/wire.h>
#include "base/checksum.h"

#define ICMP_HLEN 8 /* type, code, checksum and four octets that do not matter here */

/* Of the packet that an error quotes: the IP header, as the router or host saw it. */
static bool read_ipv4(const uint8_t *quote, size_t len, size_t *header, struct amt_addr *from,
		      struct amt_addr *to)
{
	if (len < AMT_IPV4_HLEN || quote[0] >> 4 != 4)
		return false;
	*header = (size_t)(quote[0] & 0x0f) * 4;
	*from = addr_from_ipv4(quote + 12);
	*to = addr_from_ipv4(quote + 16);
	/* a later fragment has no UDP header; we send no fragments */
	return *header >= AMT_IPV4_HLEN && !(quote[6] & 0x1f) && !quote[7] &&
	       quote[9] == IPPROTO_UDP;
}

static bool read_ipv6(const uint8_t *quote, size_t len, size_t *header, struct amt_addr *from,
		      struct amt_addr *to)
{
	if (len < AMT_IPV6_HLEN || quote[0] >> 4 != 6)
		return false;
	*header = AMT_IPV6_HLEN; /* we send no extension headers */
	*from = addr_from_ipv6(quote + 8);
	*to = addr_from_ipv6(quote + 24);
	return quote[6] == IPPROTO_UDP;
}

/* Code 4 is fragmentation needed (R-94, path MTU) for ICMP, and port unreachable for ICMPv6. The
 * kernel has looked at an ICMPv6 checksum, which takes addresses, but not at that of ICMP. */
static bool is_unreachable(bool ipv6, const uint8_t *message, size_t len)
{
	if (ipv6)
		return message[0] == ICMP6_DST_UNREACH;
	return message[0] == ICMP_DEST_UNREACH && message[1] != ICMP_FRAG_NEEDED &&
	       checksum_good(checksum_add(0, message, len));
}

bool icmp_unreachable_parse(bool ipv6, const void *message, size_t len, struct amt_sockaddr *relay,
			    struct amt_sockaddr *gateway)
{
	const uint8_t *quote = (const uint8_t *)message + ICMP_HLEN, *udp;
	size_t header;

	if (len < ICMP_HLEN || !is_unreachable(ipv6, message, len))
		return false;
	len -= ICMP_HLEN;
	if (ipv6 ? !read_ipv6(quote, len, &header, &relay->addr, &gateway->addr)
		 : !read_ipv4(quote, len, &header, &relay->addr, &gateway->addr))
		return false;
	if (len < header + AMT_UDP_HLEN) /* RFC 792: eight octets are always there */
		return false;
	udp = quote + header;
	memcpy(&relay->port, udp, sizeof(relay->port));
	memcpy(&gateway->port, udp + 2, sizeof(gateway->port));
	/* an answer to a Request, say, is no data; a short quote leaves it open */
	return len == header + AMT_UDP_HLEN || udp[AMT_UDP_HLEN] == AMT_DATA;
}
