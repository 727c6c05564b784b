/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/inner.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <amt/wire.h>
#include "base/checksum.h"

/* IPv4 header (RFC 791 3.1) */
#define IPV4_TOTAL_LEN	 2
#define IPV4_FRAGMENT	 6
#define IPV4_TTL	 8
#define IPV4_PROTOCOL	 9
#define IPV4_CHECKSUM	 10
#define IPV4_SOURCE	 12
#define IPV4_DESTINATION 16
#define IPV4_MF_OFFSET	 0x3fff /* more fragments, or not the first */
#define IPV4_DF		 0x4000
#define IPV4_OPT_END	 0
#define IPV4_OPT_NOP	 1
#define IPV4_OPT_ALERT	 148 /* RFC 2113 */

/* IPv6 header (RFC 8200 3), hop-by-hop options header (4.3) */
#define IPV6_PAYLOAD_LEN  4
#define IPV6_NEXT_HEADER  6
#define IPV6_HOP_LIMIT	  7
#define IPV6_SOURCE	  8
#define IPV6_DESTINATION  24
#define IPV6_NEXT_HBH	  0
#define IPV6_NEXT_FRAG	  44
#define IPV6_OPT_PAD1	  0
#define IPV6_OPT_ALERT	  5    /* RFC 2711 */
#define IPV6_OPT_REFUSING 0xc0 /* an unknown option with one of these set ends the packet (4.2) */

#define REPORT_TTL	    1
#define IPPROTO_IGMP_NUM    2
#define IPPROTO_ICMPV6_NUM  58
#define MESSAGE_CHECKSUM    2 /* IGMP and ICMPv6 have it at the same place */
#define ROUTER_ALERT_OPTLEN 4

struct amt_addr inner_addr6(const uint8_t *sixteen_octets)
{
	struct amt_addr addr = addr_from_ipv6(sixteen_octets);

	if (addr_is_ipv4(&addr))
		memset(&addr, 0, sizeof(addr));
	return addr;
}

/* Options that make no sense are no reason to refuse a report, only no router alert: VLC sends four
 * zero octets. */
static bool ipv4_router_alert(const uint8_t *at, const uint8_t *end)
{
	while (at < end && *at != IPV4_OPT_END) {
		if (*at == IPV4_OPT_NOP) {
			at++;
			continue;
		}
		if (end - at < 2 || at[1] < 2 || at[1] > end - at)
			return false;
		if (at[0] == IPV4_OPT_ALERT && at[1] == ROUTER_ALERT_OPTLEN && load16(at + 2) == 0)
			return true;
		at += at[1];
	}
	return false;
}

static int ipv4_parse(const uint8_t *ip, size_t len, struct inner *inner)
{
	size_t header;

	if (len < AMT_IPV4_HLEN)
		return -AMT_COUNT_INNER_SHORT;
	header = (size_t)(ip[0] & 0x0f) * 4;
	inner->len = load16(ip + IPV4_TOTAL_LEN);
	if (header < AMT_IPV4_HLEN || inner->len < header || inner->len > len)
		return -AMT_COUNT_INNER_SHORT;
	if (!checksum_good(checksum_add(0, ip, header)))
		return -AMT_COUNT_INNER_IP_CHECKSUM;
	if (load16(ip + IPV4_FRAGMENT) & IPV4_MF_OFFSET)
		return -AMT_COUNT_INNER_FRAGMENT;
	if (ip[IPV4_PROTOCOL] != IPPROTO_IGMP_NUM)
		return -AMT_COUNT_INNER_PROTOCOL;
	if (ip[IPV4_TTL] != REPORT_TTL)
		return -AMT_COUNT_INNER_TTL;

	inner->source = addr_from_ipv4(ip + IPV4_SOURCE);
	inner->destination = addr_from_ipv4(ip + IPV4_DESTINATION);
	inner->router_alert = ipv4_router_alert(ip + AMT_IPV4_HLEN, ip + header);
	inner->message = ip + header;
	inner->message_len = inner->len - header;
	return 0;
}

/* Walks the options of a hop-by-hop header, which may be many, in any order. */
static int hop_by_hop_options(const uint8_t *at, const uint8_t *end, bool *router_alert)
{
	while (at < end) {
		if (*at == IPV6_OPT_PAD1) {
			at++;
			continue;
		}
		if (end - at < 2 || at[1] > end - at - 2)
			return -AMT_COUNT_INNER_SHORT;
		if (at[0] & IPV6_OPT_REFUSING)
			return -AMT_COUNT_INNER_PROTOCOL;
		if (at[0] == IPV6_OPT_ALERT && at[1] == 2 && load16(at + 2) == 0)
			*router_alert = true;
		at += 2 + at[1];
	}
	return 0;
}

/* Steps over the hop-by-hop header at *at, if that is what *next names. */
static int hop_by_hop_parse(uint8_t *next, const uint8_t **at, const uint8_t *end, bool *alert)
{
	const uint8_t *header = *at;
	size_t len;

	if (*next != IPV6_NEXT_HBH)
		return 0;
	if (end - header < 8)
		return -AMT_COUNT_INNER_SHORT;
	len = ((size_t)header[1] + 1) * 8;
	if ((size_t)(end - header) < len)
		return -AMT_COUNT_INNER_SHORT;
	*next = header[0];
	*at = header + len;
	return hop_by_hop_options(header + 2, header + len, alert);
}

static int ipv6_parse(const uint8_t *ip, size_t len, struct inner *inner)
{
	const uint8_t *at = ip + AMT_IPV6_HLEN, *end;
	uint8_t next;
	int err;

	if (len < AMT_IPV6_HLEN)
		return -AMT_COUNT_INNER_SHORT;
	inner->len = AMT_IPV6_HLEN + (size_t)load16(ip + IPV6_PAYLOAD_LEN);
	if (inner->len > len)
		return -AMT_COUNT_INNER_SHORT;
	end = ip + inner->len;
	next = ip[IPV6_NEXT_HEADER];
	err = hop_by_hop_parse(&next, &at, end, &inner->router_alert);
	if (err)
		return err;
	if (next == IPV6_NEXT_FRAG)
		return -AMT_COUNT_INNER_FRAGMENT;
	if (next != IPPROTO_ICMPV6_NUM)
		return -AMT_COUNT_INNER_PROTOCOL;
	if (ip[IPV6_HOP_LIMIT] != REPORT_TTL)
		return -AMT_COUNT_INNER_TTL;

	inner->source = addr_from_ipv6(ip + IPV6_SOURCE);
	inner->destination = addr_from_ipv6(ip + IPV6_DESTINATION);
	inner->message = at;
	inner->message_len = (size_t)(end - at);
	return 0;
}

/* IGMP's checksum is over the message alone, ICMPv6's over a pseudo header too. */
static uint32_t message_sum(bool ipv6, const struct amt_addr *source,
			    const struct amt_addr *destination, const uint8_t *message, size_t len)
{
	uint32_t sum = 0;

	if (ipv6)
		sum = checksum_add_pseudo(sum, source, destination, IPPROTO_ICMPV6_NUM,
					  (uint32_t)len);
	return checksum_add(sum, message, len);
}

int inner_parse(const void *datagram, size_t len, struct inner *inner)
{
	const uint8_t *ip = datagram;
	uint8_t version;
	int err;

	memset(inner, 0, sizeof(*inner));
	if (len == 0)
		return -AMT_COUNT_INNER_SHORT;
	version = ip[0] >> 4;
	if (version != 4 && version != 6)
		return -AMT_COUNT_INNER_NOT_IP;
	inner->ipv6 = version == 6;
	err = inner->ipv6 ? ipv6_parse(ip, len, inner) : ipv4_parse(ip, len, inner);
	if (err)
		return err;
	if (inner->message_len < INNER_LEAST)
		return -AMT_COUNT_INNER_SHORT;
	if (!checksum_good(message_sum(inner->ipv6, &inner->source, &inner->destination,
				       inner->message, inner->message_len)))
		return -AMT_COUNT_INNER_CHECKSUM;
	return 0;
}

/* An atomic datagram: DF, so that the identification 0 says nothing (RFC 6864 4). */
static void ipv4_write(uint8_t *ip, const struct amt_addr *source,
		       const struct amt_addr *destination, size_t message_len)
{
	static const uint8_t alert[ROUTER_ALERT_OPTLEN] = {IPV4_OPT_ALERT, ROUTER_ALERT_OPTLEN};
	__be16 sum;

	memset(ip, 0, INNER_IPV4_HLEN);
	ip[0] = 4 << 4 | INNER_IPV4_HLEN / 4;
	ip[1] = AMT_TOS_CS6;
	store16(ip + IPV4_TOTAL_LEN, INNER_IPV4_HLEN + message_len);
	store16(ip + IPV4_FRAGMENT, IPV4_DF);
	ip[IPV4_TTL] = REPORT_TTL;
	ip[IPV4_PROTOCOL] = IPPROTO_IGMP_NUM;
	memcpy(ip + IPV4_SOURCE, source->bytes + AMT_ADDR_V4_OFFSET, 4);
	memcpy(ip + IPV4_DESTINATION, destination->bytes + AMT_ADDR_V4_OFFSET, 4);
	memcpy(ip + AMT_IPV4_HLEN, alert, sizeof(alert));
	sum = checksum_finish(checksum_add(0, ip, INNER_IPV4_HLEN));
	memcpy(ip + IPV4_CHECKSUM, &sum, sizeof(sum));
}

static void ipv6_write(uint8_t *ip, const struct amt_addr *source,
		       const struct amt_addr *destination, size_t message_len)
{
	/* next header, length, router alert for MLD (RFC 2711), PadN of no octets */
	static const uint8_t hop_by_hop[] = {IPPROTO_ICMPV6_NUM, 0, IPV6_OPT_ALERT, 2, 0, 0, 1, 0};

	memset(ip, 0, AMT_IPV6_HLEN);
	ip[0] = 6 << 4;
	store16(ip + IPV6_PAYLOAD_LEN, sizeof(hop_by_hop) + message_len);
	ip[IPV6_NEXT_HEADER] = IPV6_NEXT_HBH;
	ip[IPV6_HOP_LIMIT] = REPORT_TTL;
	memcpy(ip + IPV6_SOURCE, source->bytes, 16);
	memcpy(ip + IPV6_DESTINATION, destination->bytes, 16);
	memcpy(ip + AMT_IPV6_HLEN, hop_by_hop, sizeof(hop_by_hop));
}

int inner_finish(bool ipv6, const struct amt_addr *source, const struct amt_addr *destination,
		 uint8_t *buf, size_t message_len)
{
	static const struct amt_addr any;
	uint8_t *message = buf + inner_header_len(ipv6);
	__be16 sum;

	if (!source)
		source = &any;
	if (addr_is_ipv4(destination) == ipv6 ||
	    (!addr_is_any(source) && addr_is_ipv4(source) == ipv6))
		return -EINVAL;
	if (message_len > UINT16_MAX - inner_header_len(ipv6))
		return -EINVAL;
	sum = checksum_finish(message_sum(ipv6, source, destination, message, message_len));
	memcpy(message + MESSAGE_CHECKSUM, &sum, sizeof(sum));
	if (ipv6)
		ipv6_write(buf, source, destination, message_len);
	else
		ipv4_write(buf, source, destination, message_len);
	return (int)(inner_header_len(ipv6) + message_len);
}
