/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/arrival.h"

#include <netinet/in.h>
#include <amt/wire.h>

static bool is_of(const struct arrival *arrival, bool ipv6, const uint8_t *at, size_t len)
{
	struct amt_addr source, group;

	if (len < (ipv6 ? AMT_IPV6_HLEN : AMT_IPV4_HLEN) || at[0] >> 4 != (ipv6 ? 6 : 4))
		return false;
	source = ipv6 ? addr_from_ipv6(at + 8) : addr_from_ipv4(at + 12);
	group = ipv6 ? addr_from_ipv6(at + 24) : addr_from_ipv4(at + 16);
	return addr_equal(&group, &arrival->group) &&
	       (addr_is_any(&arrival->source) || addr_equal(&source, &arrival->source));
}

/* 0: it is no UDP, or has extension headers, or is a later fragment. */
static size_t payload_at(bool ipv6, const uint8_t *at, size_t len)
{
	size_t header = ipv6 ? AMT_IPV6_HLEN : (at[0] & 15) * 4u;

	if ((ipv6 ? at[6] : at[9]) != IPPROTO_UDP || len < header + AMT_UDP_HLEN ||
	    (!ipv6 && ((at[6] & 0x1f) || at[7])))
		return 0;
	return header + AMT_UDP_HLEN;
}

void arrival_datagram(struct arrival *arrival, uint64_t now, const void *datagram, size_t held,
		      size_t len)
{
	bool ipv6 = !addr_is_ipv4(&arrival->group);
	const uint8_t *at = datagram;
	size_t payload;

	if (!is_of(arrival, ipv6, at, held))
		return;
	if (!arrival->first_ns)
		arrival->first_ns = now;
	arrival->packets++;
	arrival->bytes += len;
	payload = payload_at(ipv6, at, held);
	if (payload)
		rtp_packet(&arrival->rtp, at + payload, held - payload);
	else
		arrival->rtp.other = true;
}
