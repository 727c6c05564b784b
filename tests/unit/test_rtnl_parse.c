/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rtnetlink messages as the kernel builds them, and cut off at every length. */
#include "unit/unit.h"

#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include "datapath/rtnl.h"

static char buf[1024] __attribute__((aligned(NLMSG_ALIGNTO)));

static struct nlmsghdr *begin(uint16_t type, size_t header, void **out)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(buf);

	message->nlmsg_type = type;
	*out = mnl_nlmsg_put_extra_header(message, header);
	return message;
}

static struct amt_addr addr(const char *text)
{
	struct amt_addr out;

	assert_int_equal(addr_parse(text, &out), 0);
	return out;
}

static const uint8_t mac[6] = {2, 0, 0, 0, 0, 7};

static struct nlmsghdr *vlan_link(const char *kind, bool other_namespace)
{
	struct nlattr *info, *data;
	struct ifinfomsg *link;
	void *header;
	struct nlmsghdr *message = begin(RTM_NEWLINK, sizeof(*link), &header);

	link = header;
	link->ifi_index = 9;
	link->ifi_type = ARPHRD_ETHER;
	link->ifi_flags = IFF_UP | IFF_RUNNING;
	mnl_attr_put_strz(message, IFLA_IFNAME, "eth0.100");
	mnl_attr_put_u32(message, IFLA_MTU, 1496);
	mnl_attr_put(message, IFLA_ADDRESS, sizeof(mac), mac);
	mnl_attr_put_u32(message, IFLA_LINK, 3);
	if (other_namespace)
		mnl_attr_put_u32(message, IFLA_LINK_NETNSID, 1);
	info = mnl_attr_nest_start(message, IFLA_LINKINFO);
	mnl_attr_put_strz(message, IFLA_INFO_KIND, kind);
	data = mnl_attr_nest_start(message, IFLA_INFO_DATA);
	mnl_attr_put_u16(message, IFLA_VLAN_PROTOCOL, htons(ETH_P_8021AD));
	mnl_attr_put_u16(message, IFLA_VLAN_ID, 100);
	mnl_attr_nest_end(message, data);
	mnl_attr_nest_end(message, info);
	return message;
}

static void vlan_device(void **state)
{
	struct rtnl_link link;

	assert_true(rtnl_parse_link(vlan_link("vlan", false), &link));
	assert_string_equal(link.name, "eth0.100");
	assert_true(link.ethernet && link.running);
	assert_int_equal(link.ifindex, 9);
	assert_int_equal(link.mtu, 1496);
	assert_memory_equal(link.mac, mac, sizeof(mac));
	assert_int_equal(link.lower, 3);
	assert_int_equal(link.vlan_id, 100);
	assert_int_equal(link.vlan_proto, htons(ETH_P_8021AD));
}

static void not_a_vlan_device(void **state)
{
	struct rtnl_link link;

	assert_true(rtnl_parse_link(vlan_link("macvlan", false), &link));
	assert_int_equal(link.lower, 0);
	assert_true(rtnl_parse_link(vlan_link("vlan", true), &link));
	assert_int_equal(link.lower, 0);
}

static struct nlmsghdr *neigh_message(uint8_t family, const char *address, size_t mac_len)
{
	struct amt_addr dst = addr(address);
	struct ndmsg *neigh;
	void *header;
	struct nlmsghdr *message = begin(RTM_NEWNEIGH, sizeof(*neigh), &header);

	neigh = header;
	neigh->ndm_family = family;
	neigh->ndm_ifindex = 4;
	neigh->ndm_state = NUD_STALE;
	if (addr_is_ipv4(&dst))
		mnl_attr_put(message, NDA_DST, 4, dst.bytes + AMT_ADDR_V4_OFFSET);
	else
		mnl_attr_put(message, NDA_DST, 16, dst.bytes);
	mnl_attr_put(message, NDA_LLADDR, mac_len, "\2\0\0\0\0\7\0\0");
	return message;
}

static void neighbour(void **state)
{
	struct amt_addr v4 = addr("192.0.2.1"), v6 = addr("fe80::1");
	struct rtnl_neigh neigh;

	assert_true(rtnl_parse_neigh(neigh_message(AF_INET, "192.0.2.1", 6), &neigh));
	assert_true(addr_equal(&neigh.addr, &v4) && neigh.has_mac && neigh.state == NUD_STALE);
	assert_memory_equal(neigh.mac, mac, sizeof(mac));
	assert_true(rtnl_parse_neigh(neigh_message(AF_INET6, "fe80::1", 6), &neigh));
	assert_true(addr_equal(&neigh.addr, &v6));
	/* the address of a tunnel, or of InfiniBand, is no MAC address */
	assert_true(rtnl_parse_neigh(neigh_message(AF_INET, "192.0.2.1", 8), &neigh));
	assert_false(neigh.has_mac);
	/* a bridge's forwarding entry, and an address that is too short for its family */
	assert_false(rtnl_parse_neigh(neigh_message(AF_BRIDGE, "192.0.2.1", 6), &neigh));
	assert_false(rtnl_parse_neigh(neigh_message(AF_INET6, "192.0.2.1", 6), &neigh));
}

static struct nlmsghdr *route_message(void)
{
	struct amt_addr dst = addr("10.8.0.0"), via = addr("fe80::2");
	struct nlattr *metrics;
	struct rtmsg *route;
	uint8_t rtvia[18];
	uint16_t family = AF_INET6;
	void *header;
	struct nlmsghdr *message = begin(RTM_NEWROUTE, sizeof(*route), &header);

	route = header;
	route->rtm_family = AF_INET;
	route->rtm_dst_len = 16;
	route->rtm_type = RTN_UNICAST;
	mnl_attr_put(message, RTA_DST, 4, dst.bytes + AMT_ADDR_V4_OFFSET);
	mnl_attr_put_u32(message, RTA_OIF, 5);
	memcpy(rtvia, &family, 2);
	memcpy(rtvia + 2, via.bytes, 16);
	mnl_attr_put(message, RTA_VIA, sizeof(rtvia), rtvia);
	metrics = mnl_attr_nest_start(message, RTA_METRICS);
	mnl_attr_put_u32(message, RTAX_MTU, 1400);
	mnl_attr_nest_end(message, metrics);
	return message;
}

static void route(void **state)
{
	struct amt_addr via = addr("fe80::2"), inside = addr("10.8.3.4");
	struct rtnl_route route;

	assert_true(rtnl_parse_route(route_message(), &route));
	assert_int_equal(route.type, RTN_UNICAST);
	assert_int_equal(route.oif, 5);
	assert_int_equal(route.mtu, 1400);
	assert_true(route.has_via && addr_equal(&route.via, &via));
	assert_int_equal(route.prefix.bits, 112);
	assert_true(prefix_contains(&route.prefix, &inside));
	((struct rtmsg *)mnl_nlmsg_get_payload((struct nlmsghdr *)buf))->rtm_dst_len = 33;
	assert_false(rtnl_parse_route((struct nlmsghdr *)buf, &route));
}

static void default_route(void **state)
{
	struct amt_addr any = addr("203.0.113.1");
	struct rtnl_route route;
	struct rtmsg *rtm;
	void *header;
	struct nlmsghdr *message = begin(RTM_DELROUTE, sizeof(*rtm), &header);

	rtm = header;
	rtm->rtm_family = AF_INET;
	assert_true(rtnl_parse_route(message, &route));
	assert_true(prefix_contains(&route.prefix, &any));
	rtm->rtm_family = AF_MPLS;
	assert_false(rtnl_parse_route(message, &route));
}

/* Every prefix of a message, in memory of just that size: nothing is read behind it. */
static void cut_off(void **state)
{
	struct rtnl_link link;
	struct rtnl_neigh neigh;
	struct rtnl_route route;
	unsigned int i, len;

	for (i = 0; i < 3; i++) {
		struct nlmsghdr *message = i == 0   ? vlan_link("vlan", false)
					   : i == 1 ? neigh_message(AF_INET, "192.0.2.1", 6)
						    : route_message();

		for (len = sizeof(*message); len <= message->nlmsg_len; len++) {
			struct nlmsghdr *cut = calloc(1, NLMSG_ALIGN(len)); /* as padded */

			assert_non_null(cut);
			memcpy(cut, message, len);
			cut->nlmsg_len = len;
			rtnl_parse_link(cut, &link);
			rtnl_parse_neigh(cut, &neigh);
			rtnl_parse_route(cut, &route);
			free(cut);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vlan_device),	 cmocka_unit_test(not_a_vlan_device),
		cmocka_unit_test(neighbour),	 cmocka_unit_test(route),
		cmocka_unit_test(default_route), cmocka_unit_test(cut_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
