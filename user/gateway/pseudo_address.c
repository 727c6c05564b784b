/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Addresses and routes of the pseudo-interface; see pseudo_link.h. What amtd made carries its
 * protocol number, so that a restart tells it from what the operator added by hand.
 */
#include "gateway/pseudo_link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#define OUR_PROTOCOL 226 /* of addresses (IFA_PROTO, Linux 5.18) and routes */
#define REQUEST_ROOM 256
#define LOCAL_TRIES  64
#define MINE_MAX     64

/* ---- what is there ---- */

struct found {
	uint32_t ifindex; /* that we look at */
	struct amt_prefix mine[MINE_MAX];
	unsigned int nmine;
	uint16_t local[LOCAL_TRIES * 4]; /* last two octets of each 169.254.x.y of this host */
	unsigned int nlocal;
};

static bool is_link_local4(const struct amt_addr *addr)
{
	const uint8_t *octets = addr->bytes + AMT_ADDR_V4_OFFSET;

	return addr_is_ipv4(addr) && octets[0] == 169 && octets[1] == 254;
}

static uint16_t low16(const struct amt_addr *addr)
{
	return (uint16_t)(addr->bytes[14] << 8 | addr->bytes[15]);
}

static bool parse_address(const struct nlmsghdr *message, struct amt_prefix *out, bool *ours)
{
	const struct ifaddrmsg *header = mnl_nlmsg_get_payload(message);
	const struct nlattr *attr, *addr = NULL, *local = NULL;
	bool ipv4;

	if (message->nlmsg_type != RTM_NEWADDR ||
	    mnl_nlmsg_get_payload_len(message) < sizeof(*header))
		return false;
	*ours = false;
	mnl_attr_for_each(attr, message, sizeof(*header))
	{
		if (mnl_attr_get_type(attr) == IFA_ADDRESS)
			addr = attr;
		else if (mnl_attr_get_type(attr) == IFA_LOCAL)
			local = attr;
		else if (mnl_attr_get_type(attr) == IFA_PROTO)
			*ours = mnl_attr_get_u8(attr) == OUR_PROTOCOL;
	}
	addr = local ? local : addr;
	ipv4 = header->ifa_family == AF_INET;
	if (!addr || mnl_attr_get_payload_len(addr) < (ipv4 ? 4 : 16))
		return false;
	out->addr = ipv4 ? addr_from_ipv4(mnl_attr_get_payload(addr))
			 : addr_from_ipv6(mnl_attr_get_payload(addr));
	out->bits = header->ifa_prefixlen + (ipv4 ? 96 : 0);
	return true;
}

static void on_address(void *arg, const struct nlmsghdr *message)
{
	const struct ifaddrmsg *header = mnl_nlmsg_get_payload(message);
	struct found *found = arg;
	struct amt_prefix prefix;
	bool ours;

	if (!parse_address(message, &prefix, &ours))
		return;
	if (ours && header->ifa_index == found->ifindex) {
		if (found->nmine < MINE_MAX)
			found->mine[found->nmine++] = prefix;
	} else if (is_link_local4(&prefix.addr) &&
		   found->nlocal < sizeof(found->local) / sizeof(found->local[0])) {
		found->local[found->nlocal++] = low16(&prefix.addr);
	}
}

static int find(struct rtnl *rtnl, uint32_t ifindex, struct found *found)
{
	char buf[REQUEST_ROOM] = {0};
	struct nlmsghdr *request = mnl_nlmsg_put_header(buf);
	struct ifaddrmsg *header;

	memset(found, 0, sizeof(*found));
	found->ifindex = ifindex;
	request->nlmsg_type = RTM_GETADDR;
	request->nlmsg_flags = NLM_F_DUMP;
	header = mnl_nlmsg_put_extra_header(request, sizeof(*header));
	header->ifa_family = AF_UNSPEC;
	return rtnl_request(rtnl, request, on_address, found);
}

/* ---- addresses ---- */

static void put_addr(struct nlmsghdr *request, uint16_t type, const struct amt_addr *addr)
{
	if (addr_is_ipv4(addr))
		mnl_attr_put(request, type, 4, addr->bytes + AMT_ADDR_V4_OFFSET);
	else
		mnl_attr_put(request, type, 16, addr->bytes);
}

static int change(struct rtnl *rtnl, uint16_t type, uint32_t ifindex,
		  const struct amt_prefix *prefix)
{
	char buf[REQUEST_ROOM] = {0};
	struct nlmsghdr *request = mnl_nlmsg_put_header(buf);
	bool ipv4 = addr_is_ipv4(&prefix->addr), add = type == RTM_NEWADDR;
	struct ifaddrmsg *header;

	request->nlmsg_type = type;
	request->nlmsg_flags = NLM_F_ACK | (add ? NLM_F_CREATE | NLM_F_EXCL : 0);
	header = mnl_nlmsg_put_extra_header(request, sizeof(*header));
	header->ifa_family = ipv4 ? AF_INET : AF_INET6;
	header->ifa_prefixlen = (uint8_t)(prefix->bits - (ipv4 ? 96 : 0));
	header->ifa_index = ifindex;
	header->ifa_flags = ipv4 ? 0 : IFA_F_NODAD;
	header->ifa_scope = is_link_local4(&prefix->addr) ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
	put_addr(request, IFA_LOCAL, &prefix->addr);
	put_addr(request, IFA_ADDRESS, &prefix->addr);
	if (add)
		mnl_attr_put_u8(request, IFA_PROTO, OUR_PROTOCOL);
	return rtnl_request(rtnl, request, NULL, NULL);
}

static bool contains(const struct amt_prefix *list, unsigned int n, const struct amt_prefix *one)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (list[i].bits == one->bits && addr_equal(&list[i].addr, &one->addr))
			return true;
	return false;
}

int pseudo_addresses_set(struct rtnl *rtnl, uint32_t ifindex, const struct amt_prefix *want,
			 unsigned int nwant)
{
	struct found found;
	unsigned int i;
	int err = find(rtnl, ifindex, &found);

	for (i = 0; !err && i < found.nmine; i++)
		if (!contains(want, nwant, &found.mine[i]))
			err = change(rtnl, RTM_DELADDR, ifindex, &found.mine[i]);
	for (i = 0; !err && i < nwant; i++) {
		if (contains(found.mine, found.nmine, &want[i]))
			continue;
		err = change(rtnl, RTM_NEWADDR, ifindex, &want[i]);
		if (err == -EEXIST) /* by the operator's hand: there all the same */
			err = 0;
	}
	return err;
}

static bool taken(const struct found *found, uint16_t low)
{
	unsigned int i;

	for (i = 0; i < found->nlocal; i++)
		if (found->local[i] == low)
			return true;
	return false;
}

/* A single address, so that no route covers what else may use 169.254.0.0/16 (a cloud's metadata
 * service). RFC 3927 2.1 keeps the first and last 256 for later. */
int pseudo_address_local(struct rtnl *rtnl, uint32_t ifindex, uint32_t seed, struct amt_prefix *out)
{
	struct found found;
	unsigned int i;
	int err = find(rtnl, ifindex, &found);

	if (err)
		return err;
	for (i = 0; i < found.nmine; i++) {
		if (is_link_local4(&found.mine[i].addr) && found.mine[i].bits == 128) {
			*out = found.mine[i];
			return 0;
		}
	}
	for (i = 0; i < LOCAL_TRIES; i++) {
		uint16_t low = (uint16_t)(256 + (seed + i * 257) % (65536 - 512));
		uint8_t octets[4] = {169, 254, (uint8_t)(low >> 8), (uint8_t)low};

		out->addr = addr_from_ipv4(octets);
		out->bits = 128;
		if (!taken(&found, low))
			return 0;
	}
	return -EADDRINUSE;
}

/* ---- multicast default routes ---- */

static struct nlmsghdr *route_request(char *buf, uint16_t type, bool ipv6, uint32_t ifindex)
{
	static const uint8_t ipv4_groups[4] = {224}, ipv6_groups[16] = {0xff};
	struct nlmsghdr *request = mnl_nlmsg_put_header(buf);
	bool add = type == RTM_NEWROUTE;
	struct rtmsg *header;

	request->nlmsg_type = type;
	request->nlmsg_flags = NLM_F_ACK | (add ? NLM_F_CREATE | NLM_F_EXCL : 0);
	header = mnl_nlmsg_put_extra_header(request, sizeof(*header));
	header->rtm_family = ipv6 ? AF_INET6 : AF_INET;
	header->rtm_dst_len = ipv6 ? 8 : 4;
	/* IPv6 has each interface's ff00::/8 in table local, which is asked first */
	header->rtm_table = ipv6 ? RT_TABLE_LOCAL : RT_TABLE_MAIN;
	header->rtm_type = ipv6 ? RTN_MULTICAST : RTN_UNICAST;
	header->rtm_scope = ipv6 ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
	header->rtm_protocol = OUR_PROTOCOL;
	if (ipv6)
		mnl_attr_put(request, RTA_DST, sizeof(ipv6_groups), ipv6_groups);
	else
		mnl_attr_put(request, RTA_DST, sizeof(ipv4_groups), ipv4_groups);
	mnl_attr_put_u32(request, RTA_OIF, ifindex);
	return request;
}

static int route_set(struct rtnl *rtnl, bool ipv6, uint32_t ifindex, uint32_t metric)
{
	char buf[REQUEST_ROOM] = {0};
	struct nlmsghdr *request = route_request(buf, RTM_DELROUTE, ipv6, ifindex);
	int err = rtnl_request(rtnl, request, NULL, NULL);

	if (err && err != -ESRCH)
		return err;
	if (!metric)
		return 0;
	request = route_request(buf, RTM_NEWROUTE, ipv6, ifindex);
	mnl_attr_put_u32(request, RTA_PRIORITY, metric);
	return rtnl_request(rtnl, request, NULL, NULL);
}

int pseudo_routes_set(struct rtnl *rtnl, uint32_t ifindex, uint32_t metric)
{
	int ipv4 = route_set(rtnl, false, ifindex, metric);
	int ipv6 = route_set(rtnl, true, ifindex, metric);

	/* without IPv6 in the kernel there is nothing to route */
	return ipv4 ? ipv4 : ipv6 == -EOPNOTSUPP || ipv6 == -EAFNOSUPPORT ? 0 : ipv6;
}
