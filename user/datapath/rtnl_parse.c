/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From rtnetlink messages to plain structs. Every attribute's length is checked before it is read.
 */
#include "datapath/rtnl.h"

#include <string.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>

/* Fills table[0..max] with the attributes behind a fixed header; unknown types are skipped. */
static bool attributes(const struct nlmsghdr *message, size_t header, const struct nlattr **table,
		       unsigned int max)
{
	const struct nlattr *attr;

	if (mnl_nlmsg_get_payload_len(message) < header)
		return false;
	mnl_attr_for_each(attr, message, header) if (mnl_attr_get_type(attr) <= max)
		table[mnl_attr_get_type(attr)] = attr;
	return true;
}

static void nested(const struct nlattr *outer, const struct nlattr **table, unsigned int max)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, outer) if (mnl_attr_get_type(attr) <= max)
		table[mnl_attr_get_type(attr)] = attr;
}

static bool has(const struct nlattr *attr, size_t len)
{
	return attr && mnl_attr_get_payload_len(attr) >= len;
}

static uint32_t u32_of(const struct nlattr *attr)
{
	return has(attr, 4) ? mnl_attr_get_u32(attr) : 0;
}

static bool addr_of(const void *octets, size_t len, int family, struct amt_addr *out)
{
	if (family == AF_INET && len >= 4)
		*out = addr_from_ipv4(octets);
	else if (family == AF_INET6 && len >= 16)
		*out = addr_from_ipv6(octets);
	else
		return false;
	return true;
}

static bool attr_addr(const struct nlattr *attr, int family, struct amt_addr *out)
{
	return attr &&
	       addr_of(mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr), family, out);
}

static void parse_vlan(const struct nlattr *linkinfo, const struct nlattr *link,
		       struct rtnl_link *out)
{
	const struct nlattr *info[IFLA_INFO_DATA + 1] = {0}, *vlan[IFLA_VLAN_PROTOCOL + 1] = {0};

	nested(linkinfo, info, IFLA_INFO_DATA);
	if (!has(info[IFLA_INFO_KIND], sizeof("vlan")) || !info[IFLA_INFO_DATA] ||
	    memcmp(mnl_attr_get_payload(info[IFLA_INFO_KIND]), "vlan", sizeof("vlan")))
		return;
	nested(info[IFLA_INFO_DATA], vlan, IFLA_VLAN_PROTOCOL);
	if (!has(vlan[IFLA_VLAN_ID], 2) || !has(vlan[IFLA_VLAN_PROTOCOL], 2) || !has(link, 4))
		return;
	out->lower = mnl_attr_get_u32(link);
	out->vlan_id = mnl_attr_get_u16(vlan[IFLA_VLAN_ID]);
	out->vlan_proto = mnl_attr_get_u16(vlan[IFLA_VLAN_PROTOCOL]); /* as on the wire */
}

bool rtnl_parse_link(const struct nlmsghdr *message, struct rtnl_link *out)
{
	const struct nlattr *attr[IFLA_LINK_NETNSID + 1] = {0};
	const struct ifinfomsg *header = mnl_nlmsg_get_payload(message);

	if ((message->nlmsg_type != RTM_NEWLINK && message->nlmsg_type != RTM_DELLINK) ||
	    !attributes(message, sizeof(*header), attr, IFLA_LINK_NETNSID) ||
	    header->ifi_family != AF_UNSPEC || header->ifi_index <= 0)
		return false;
	memset(out, 0, sizeof(*out));
	out->ifindex = (uint32_t)header->ifi_index;
	out->ethernet = header->ifi_type == ARPHRD_ETHER;
	out->running = (header->ifi_flags & IFF_UP) && (header->ifi_flags & IFF_RUNNING);
	if (attr[IFLA_IFNAME])
		strncpy(out->name, mnl_attr_get_payload(attr[IFLA_IFNAME]),
			mnl_attr_get_payload_len(attr[IFLA_IFNAME]) < sizeof(out->name)
				? mnl_attr_get_payload_len(attr[IFLA_IFNAME])
				: sizeof(out->name) - 1);
	out->mtu = u32_of(attr[IFLA_MTU]);
	if (has(attr[IFLA_ADDRESS], sizeof(out->mac)))
		memcpy(out->mac, mnl_attr_get_payload(attr[IFLA_ADDRESS]), sizeof(out->mac));
	/* a lower device in another namespace cannot be handed frames from here */
	if (attr[IFLA_LINKINFO] && !attr[IFLA_LINK_NETNSID])
		parse_vlan(attr[IFLA_LINKINFO], attr[IFLA_LINK], out);
	return true;
}

bool rtnl_parse_neigh(const struct nlmsghdr *message, struct rtnl_neigh *out)
{
	const struct nlattr *attr[NDA_LLADDR + 1] = {0};
	const struct ndmsg *header = mnl_nlmsg_get_payload(message);

	if ((message->nlmsg_type != RTM_NEWNEIGH && message->nlmsg_type != RTM_DELNEIGH) ||
	    !attributes(message, sizeof(*header), attr, NDA_LLADDR) ||
	    (header->ndm_flags & NTF_PROXY))
		return false;
	memset(out, 0, sizeof(*out));
	if (!attr_addr(attr[NDA_DST], header->ndm_family, &out->addr))
		return false;
	out->ifindex = (uint32_t)header->ndm_ifindex;
	out->state = header->ndm_state;
	out->has_mac =
		attr[NDA_LLADDR] && mnl_attr_get_payload_len(attr[NDA_LLADDR]) == sizeof(out->mac);
	if (out->has_mac)
		memcpy(out->mac, mnl_attr_get_payload(attr[NDA_LLADDR]), sizeof(out->mac));
	return true;
}

static bool parse_prefix(const struct nlattr *dst, const struct rtmsg *header,
			 struct amt_prefix *out)
{
	unsigned int before = header->rtm_family == AF_INET ? 96 : 0;
	static const uint8_t zero[16];

	if (header->rtm_dst_len > 128 - before)
		return false;
	out->bits = before + header->rtm_dst_len;
	if (!dst) /* the default route */
		return addr_of(zero, sizeof(zero), header->rtm_family, &out->addr);
	return attr_addr(dst, header->rtm_family, &out->addr);
}

/* struct rtvia is (family, address) and its address has no length of its own. */
static bool parse_via(const struct nlattr *attr, struct amt_addr *out)
{
	uint16_t family;
	const char *via;

	if (!has(attr, sizeof(family)))
		return false;
	via = mnl_attr_get_payload(attr);
	memcpy(&family, via, sizeof(family));
	return addr_of(via + sizeof(family), mnl_attr_get_payload_len(attr) - sizeof(family),
		       family, out);
}

bool rtnl_parse_route(const struct nlmsghdr *message, struct rtnl_route *out)
{
	const struct nlattr *attr[RTA_VIA + 1] = {0}, *metric[RTAX_MTU + 1] = {0};
	const struct rtmsg *header = mnl_nlmsg_get_payload(message);

	if ((message->nlmsg_type != RTM_NEWROUTE && message->nlmsg_type != RTM_DELROUTE) ||
	    !attributes(message, sizeof(*header), attr, RTA_VIA))
		return false;
	memset(out, 0, sizeof(*out));
	if (!parse_prefix(attr[RTA_DST], header, &out->prefix))
		return false;
	out->type = header->rtm_type;
	out->oif = u32_of(attr[RTA_OIF]);
	out->has_via = attr_addr(attr[RTA_GATEWAY], header->rtm_family, &out->via) ||
		       parse_via(attr[RTA_VIA], &out->via);
	if (attr[RTA_METRICS])
		nested(attr[RTA_METRICS], metric, RTAX_MTU);
	out->mtu = u32_of(metric[RTAX_MTU]);
	return true;
}
