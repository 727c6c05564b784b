/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "datapath/route.h"

#include <linux/rtnetlink.h>

static uint32_t smaller_mtu(uint32_t a, uint32_t b)
{
	if (!a || !b)
		return a ? a : b;
	return a < b ? a : b;
}

bool route_usable(const struct links *links, const struct rtnl_route *route,
		  struct nexthop_route *out)
{
	const struct rtnl_link *link = links_find(links, route->oif), *lower;

	if (route->type != RTN_UNICAST || !link || !link->ethernet)
		return false;
	out->routed = true;
	out->logical = out->ifindex = link->ifindex;
	out->mtu = smaller_mtu(route->mtu, link->mtu);
	lower = link->lower ? links_find(links, link->lower) : NULL;
	if (lower) {
		out->ifindex = lower->ifindex;
		out->vlan_proto = link->vlan_proto;
		out->vlan_tci = htons(link->vlan_id);
		out->mtu = smaller_mtu(out->mtu, lower->mtu);
	}
	return true;
}
