/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Data that the packet path left to the socket: outer fragments that the kernel put together,
 * above all. The same rules hold for it.
 */
#include <amt/ecn.h>
#include <amt/wire.h>
#include "base/counters.h"
#include "gateway/service_state.h"

/* False: no IP header. */
static bool addresses_of(const uint8_t *datagram, size_t len, struct amt_addr *source,
			 struct amt_addr *group)
{
	if (len >= AMT_IPV4_HLEN && datagram[0] >> 4 == 4) {
		*source = addr_from_ipv4(datagram + 12);
		*group = addr_from_ipv4(datagram + 16);
		return true;
	}
	if (len >= AMT_IPV6_HLEN && datagram[0] >> 4 == 6) {
		*source = addr_from_ipv6(datagram + 8);
		*group = addr_from_ipv6(datagram + 24);
		return true;
	}
	return false;
}

static bool is_wanted(const struct gateway_service *service, const uint8_t *datagram, size_t len)
{
	struct amt_addr source, group;

	return addresses_of(datagram, len, &source, &group) &&
	       joined_wants(service->joined, &source, &group);
}

/* */
static bool ecn_apply(const struct gateway_service *service, uint8_t *ip, uint8_t outer)
{
	bool ipv6 = ip[0] >> 4 == 6;
	uint8_t inner = ipv6 ? ip[1] >> 4 : ip[1], combined = amt_ecn_combine(inner, outer);

	if (!service->tap.ecn)
		return true;
	if (combined & AMT_ECN_DROP)
		return false;
	amt_ecn_set(ip, ipv6, combined & AMT_ECN_MASK);
	return true;
}

void service_data(void *arg, uint64_t now, const struct amt_sockaddr *peer, uint8_t tos,
		  uint8_t *buf, size_t len)
{
	struct gateway_service *service = arg;
	uint8_t *datagram = buf + AMT_DATA_DATAGRAM;

	counter_add(AMT_COUNT_GATEWAY_DATA_AT_SOCKET, 1);
	if (!sockaddr_equal(peer, &service->tap.relay)) { /* */
		counter_add(AMT_COUNT_GATEWAY_WRONG_PEER, 1);
		return;
	}
	if (!service->pseudo || len < AMT_DATA_DATAGRAM ||
	    !is_wanted(service, datagram, len - AMT_DATA_DATAGRAM) ||
	    !ecn_apply(service, datagram, tos) ||
	    pseudo_inject(service->pseudo, datagram, len - AMT_DATA_DATAGRAM))
		counter_add(AMT_COUNT_GATEWAY_DATA_REFUSED, 1);
	else
		service->slow_packets++;
}
