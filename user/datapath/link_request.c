/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests to rtnetlink and to the netdev family through libmnl; see link_request.h. */
#include "datapath/link_request.h"

#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/if_link.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>

/* Family "netdev" of Linux 6.3; Debian 12's headers do not have it yet. */
#define NETDEV_FAMILY	     "netdev"
#define NETDEV_GET	     1
#define NETDEV_ATTR_IFINDEX  1
#define NETDEV_ATTR_FEATURES 3

/* Sends one request and hands every answer to fn. 0 or negative errno. */
static int ask(int bus, struct nlmsghdr *request, mnl_cb_t fn, void *arg)
{
	char *buf = malloc((size_t)MNL_SOCKET_BUFFER_SIZE * 4);
	struct mnl_socket *socket = buf ? mnl_socket_open2(bus, SOCK_CLOEXEC) : NULL;
	unsigned int seq = (unsigned int)time(NULL), port;
	ssize_t n = -1;
	int ret = -ENOMEM;

	if (!socket)
		goto out;
	request->nlmsg_seq = seq;
	if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_sendto(socket, request, request->nlmsg_len) < 0)
		goto failed;
	port = mnl_socket_get_portid(socket);
	do {
		n = mnl_socket_recvfrom(socket, buf, (size_t)MNL_SOCKET_BUFFER_SIZE * 4);
		if (n <= 0)
			break;
		n = mnl_cb_run(buf, (size_t)n, seq, port, fn, arg);
	} while (n > MNL_CB_STOP);
failed:
	ret = n < 0 ? -errno : 0;
	mnl_socket_close(socket);
out:
	free(buf);
	return ret;
}

static struct nlmsghdr *link_request(char *buf, uint16_t type, uint16_t flags, uint32_t ifindex)
{
	struct nlmsghdr *request = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *link;

	request->nlmsg_type = type;
	request->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	link = mnl_nlmsg_put_extra_header(request, sizeof(*link));
	link->ifi_family = AF_UNSPEC;
	link->ifi_index = (int)ifindex;
	return request;
}

/* ---- links ---- */

static int on_kind(const struct nlattr *attr, void *arg)
{
	struct link_info *info = arg;

	if (mnl_attr_get_type(attr) == IFLA_INFO_KIND)
		strncpy(info->kind, mnl_attr_get_str(attr), sizeof(info->kind) - 1);
	return MNL_CB_OK;
}

static int on_link_attr(const struct nlattr *attr, void *arg)
{
	struct link_info *info = arg;

	switch (mnl_attr_get_type(attr)) {
	case IFLA_MTU:
		info->mtu = mnl_attr_get_u32(attr);
		break;
	case IFLA_LINK:
		info->peer = mnl_attr_get_u32(attr);
		break;
	case IFLA_LINKINFO:
		mnl_attr_parse_nested(attr, on_kind, info);
		break;
	}
	return MNL_CB_OK;
}

static int on_link(const struct nlmsghdr *answer, void *arg)
{
	const struct ifinfomsg *link = mnl_nlmsg_get_payload(answer);
	struct link_info *info = arg;

	info->ifindex = (uint32_t)link->ifi_index;
	info->up = link->ifi_flags & IFF_UP;
	mnl_attr_parse(answer, sizeof(*link), on_link_attr, info);
	return MNL_CB_OK;
}

int link_get(const char *name, struct link_info *info)
{
	char buf[MNL_NLMSG_HDRLEN + 256] = {0};
	struct nlmsghdr *request = link_request(buf, RTM_GETLINK, 0, 0);
	int ret;

	memset(info, 0, sizeof(*info));
	mnl_attr_put_strz(request, IFLA_IFNAME, name);
	ret = ask(NETLINK_ROUTE, request, on_link, info);
	if (!ret && !info->ifindex)
		ret = -ENODEV;
	return ret;
}

static void put_veth_end(struct nlmsghdr *request, const char *name, uint32_t mtu, uint32_t queues)
{
	mnl_attr_put_strz(request, IFLA_IFNAME, name);
	mnl_attr_put_u32(request, IFLA_MTU, mtu);
	mnl_attr_put_u32(request, IFLA_NUM_TX_QUEUES, queues);
	mnl_attr_put_u32(request, IFLA_NUM_RX_QUEUES, queues);
}

int link_make_veth(const char *name, const char *peer, uint32_t mtu, uint32_t queues)
{
	char buf[1024] = {0};
	struct nlmsghdr *request = link_request(buf, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0);
	struct nlattr *info, *data, *other;

	put_veth_end(request, name, mtu, queues);
	info = mnl_attr_nest_start(request, IFLA_LINKINFO);
	mnl_attr_put_strz(request, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(request, IFLA_INFO_DATA);
	other = mnl_attr_nest_start(request, VETH_INFO_PEER);
	mnl_nlmsg_put_extra_header(request, sizeof(struct ifinfomsg));
	put_veth_end(request, peer, mtu, queues);
	mnl_attr_nest_end(request, other);
	mnl_attr_nest_end(request, data);
	mnl_attr_nest_end(request, info);
	return ask(NETLINK_ROUTE, request, NULL, NULL);
}

int link_set_up(uint32_t ifindex)
{
	char buf[MNL_NLMSG_HDRLEN + 64] = {0};
	struct nlmsghdr *request = link_request(buf, RTM_NEWLINK, 0, ifindex);
	struct ifinfomsg *link = mnl_nlmsg_get_payload(request);

	link->ifi_flags = link->ifi_change = IFF_UP;
	return ask(NETLINK_ROUTE, request, NULL, NULL);
}

int link_delete(uint32_t ifindex)
{
	char buf[MNL_NLMSG_HDRLEN + 64] = {0};

	return ask(NETLINK_ROUTE, link_request(buf, RTM_DELLINK, 0, ifindex), NULL, NULL);
}

/* ---- traffic control ---- */

static int on_filter(const struct nlmsghdr *answer, void *arg)
{
	++*(unsigned int *)arg;
	return MNL_CB_OK;
}

static int count_filters(uint32_t ifindex, uint32_t parent, unsigned int *filters)
{
	char buf[MNL_NLMSG_HDRLEN + 64] = {0};
	struct nlmsghdr *request = mnl_nlmsg_put_header(buf);
	struct tcmsg *tc;

	request->nlmsg_type = RTM_GETTFILTER;
	request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	tc = mnl_nlmsg_put_extra_header(request, sizeof(*tc));
	tc->tcm_family = AF_UNSPEC;
	tc->tcm_ifindex = (int)ifindex;
	tc->tcm_parent = parent;
	return ask(NETLINK_ROUTE, request, on_filter, filters);
}

bool link_clsact_empty(uint32_t ifindex)
{
	unsigned int filters = 0;

	return !count_filters(ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS), &filters) &&
	       !count_filters(ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS), &filters) &&
	       !filters;
}

/* ---- XDP features ---- */

static struct nlmsghdr *genl_request(char *buf, uint16_t family, uint8_t command)
{
	struct nlmsghdr *request = mnl_nlmsg_put_header(buf);
	struct genlmsghdr *genl;

	request->nlmsg_type = family;
	request->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	genl = mnl_nlmsg_put_extra_header(request, sizeof(*genl));
	genl->cmd = command;
	genl->version = 1;
	return request;
}

static int on_family(const struct nlmsghdr *answer, void *arg)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, answer, sizeof(struct genlmsghdr)) if (mnl_attr_get_type(attr) ==
								       CTRL_ATTR_FAMILY_ID) *
		(uint16_t *)arg = mnl_attr_get_u16(attr);
	return MNL_CB_OK;
}

struct features {
	uint64_t bits;
	bool known;
};

static int on_features(const struct nlmsghdr *answer, void *arg)
{
	struct features *features = arg;
	const struct nlattr *attr;

	mnl_attr_for_each(attr, answer, sizeof(struct genlmsghdr))
	{
		if (mnl_attr_get_type(attr) != NETDEV_ATTR_FEATURES)
			continue;
		features->bits = mnl_attr_get_u64(attr);
		features->known = true;
	}
	return MNL_CB_OK;
}

int link_xdp_features(uint32_t ifindex, uint64_t *bits)
{
	char buf[MNL_NLMSG_HDRLEN + 128] = {0};
	struct nlmsghdr *request = genl_request(buf, GENL_ID_CTRL, CTRL_CMD_GETFAMILY);
	struct features features = {0};
	uint16_t family = 0;
	int ret;

	mnl_attr_put_strz(request, CTRL_ATTR_FAMILY_NAME, NETDEV_FAMILY);
	ret = ask(NETLINK_GENERIC, request, on_family, &family);
	if (ret || !family)
		return -EOPNOTSUPP;
	request = genl_request(buf, family, NETDEV_GET);
	mnl_attr_put_u32(request, NETDEV_ATTR_IFINDEX, ifindex);
	ret = ask(NETLINK_GENERIC, request, on_features, &features);
	if (ret)
		return ret;
	*bits = features.bits;
	return features.known ? 0 : -EOPNOTSUPP;
}
