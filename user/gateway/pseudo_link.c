/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The veth pair as a link; see pseudo_link.h. */
#include "gateway/pseudo_link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <libmnl/libmnl.h>
#include <linux/ethtool.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define REQUEST_ROOM 1024

static struct nlmsghdr *link_request(char *buf, uint16_t type, uint16_t flags, uint32_t ifindex)
{
	struct nlmsghdr *request = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *link;

	request->nlmsg_type = type;
	request->nlmsg_flags = NLM_F_ACK | flags;
	link = mnl_nlmsg_put_extra_header(request, sizeof(*link));
	link->ifi_family = AF_UNSPEC;
	link->ifi_index = (int)ifindex;
	return request;
}

/* ---- reading ---- */

static void copy_text(char *out, size_t size, const struct nlattr *attr)
{
	size_t len = mnl_attr_get_payload_len(attr);

	if (len >= size)
		len = size - 1;
	memcpy(out, mnl_attr_get_payload(attr), len);
	out[len] = '\0';
}

static bool kind_is_veth(const struct nlattr *linkinfo)
{
	const struct nlattr *attr;
	char kind[16] = "";

	mnl_attr_for_each_nested(attr, linkinfo) if (mnl_attr_get_type(attr) == IFLA_INFO_KIND)
		copy_text(kind, sizeof(kind), attr);
	return strcmp(kind, "veth") == 0;
}

static void take_attr(struct pseudo_link *out, const struct nlattr *attr, bool *elsewhere)
{
	uint16_t len = mnl_attr_get_payload_len(attr);

	switch (mnl_attr_get_type(attr)) {
	case IFLA_IFNAME:
		copy_text(out->name, sizeof(out->name), attr);
		break;
	case IFLA_IFALIAS:
		copy_text(out->alias, sizeof(out->alias), attr);
		break;
	case IFLA_MTU:
		out->mtu = len >= 4 ? mnl_attr_get_u32(attr) : 0;
		break;
	case IFLA_LINK:
		out->peer = len >= 4 ? mnl_attr_get_u32(attr) : 0;
		break;
	case IFLA_OPERSTATE:
		out->working = len >= 1 && mnl_attr_get_u8(attr) == IF_OPER_UP;
		break;
	case IFLA_LINK_NETNSID:
		*elsewhere = true;
		break;
	case IFLA_ADDRESS:
		if (len == sizeof(out->mac))
			memcpy(out->mac, mnl_attr_get_payload(attr), len);
		break;
	case IFLA_LINKINFO:
		out->veth = kind_is_veth(attr);
		break;
	}
}

static void on_link(void *arg, const struct nlmsghdr *message)
{
	const struct ifinfomsg *header = mnl_nlmsg_get_payload(message);
	struct pseudo_link *out = arg;
	const struct nlattr *attr;
	bool elsewhere = false;

	if (message->nlmsg_type != RTM_NEWLINK ||
	    mnl_nlmsg_get_payload_len(message) < sizeof(*header))
		return;
	memset(out, 0, sizeof(*out));
	out->ifindex = (uint32_t)header->ifi_index;
	out->up = header->ifi_flags & IFF_UP;
	mnl_attr_for_each(attr, message, sizeof(*header)) take_attr(out, attr, &elsewhere);
	if (elsewhere || !out->veth)
		out->peer = 0;
}

static int get(struct rtnl *rtnl, struct nlmsghdr *request, struct pseudo_link *out)
{
	int err;

	memset(out, 0, sizeof(*out));
	err = rtnl_request(rtnl, request, on_link, out);
	return err ? err : out->ifindex ? 0 : -ENODEV;
}

int pseudo_link_get(struct rtnl *rtnl, const char *name, struct pseudo_link *out)
{
	char buf[REQUEST_ROOM] = {0};
	struct nlmsghdr *request = link_request(buf, RTM_GETLINK, 0, 0);

	mnl_attr_put_strz(request, IFLA_IFNAME, name);
	return get(rtnl, request, out);
}

int pseudo_link_get_index(struct rtnl *rtnl, uint32_t ifindex, struct pseudo_link *out)
{
	char buf[REQUEST_ROOM] = {0};

	return get(rtnl, link_request(buf, RTM_GETLINK, 0, ifindex), out);
}

struct search {
	const char *alias;
	struct pseudo_link found;
};

static void on_candidate(void *arg, const struct nlmsghdr *message)
{
	struct search *search = arg;
	struct pseudo_link link = {0};

	on_link(&link, message);
	if (link.peer && strcmp(link.alias, search->alias) == 0)
		search->found = link;
}

int pseudo_link_find(struct rtnl *rtnl, const char *alias, struct pseudo_link *out)
{
	struct search search = {.alias = alias};
	int err = rtnl_dump(rtnl, RTM_GETLINK, on_candidate, &search);

	*out = search.found;
	return out->ifindex ? 0 : err ? err : -ENODEV;
}

/* ---- changing ---- */

int pseudo_link_alias(struct rtnl *rtnl, uint32_t ifindex, const char *alias)
{
	char buf[REQUEST_ROOM] = {0};
	struct nlmsghdr *request = link_request(buf, RTM_NEWLINK, 0, ifindex);

	mnl_attr_put_str(request, IFLA_IFALIAS, alias);
	return rtnl_request(rtnl, request, NULL, NULL);
}

int pseudo_link_mtu(struct rtnl *rtnl, uint32_t ifindex, uint32_t mtu)
{
	char buf[REQUEST_ROOM] = {0};
	struct nlmsghdr *request = link_request(buf, RTM_NEWLINK, 0, ifindex);

	mnl_attr_put_u32(request, IFLA_MTU, mtu);
	return rtnl_request(rtnl, request, NULL, NULL);
}

int pseudo_link_up(struct rtnl *rtnl, uint32_t ifindex, bool arp)
{
	char buf[REQUEST_ROOM] = {0};
	struct nlmsghdr *request = link_request(buf, RTM_NEWLINK, 0, ifindex);
	struct ifinfomsg *link = mnl_nlmsg_get_payload(request);

	link->ifi_change = IFF_UP | IFF_MULTICAST | IFF_NOARP;
	link->ifi_flags = IFF_UP | IFF_MULTICAST | (arp ? 0 : IFF_NOARP);
	return rtnl_request(rtnl, request, NULL, NULL);
}

int pseudo_link_no_autoconf(struct rtnl *rtnl, uint32_t ifindex)
{
	char buf[REQUEST_ROOM] = {0};
	struct nlmsghdr *request = link_request(buf, RTM_NEWLINK, 0, ifindex);
	struct nlattr *families = mnl_attr_nest_start(request, IFLA_AF_SPEC);
	struct nlattr *ipv6 = mnl_attr_nest_start(request, AF_INET6);

	mnl_attr_put_u8(request, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	mnl_attr_nest_end(request, ipv6);
	mnl_attr_nest_end(request, families);
	return rtnl_request(rtnl, request, NULL, NULL);
}

int pseudo_link_gro(const char *name)
{
	struct ethtool_value value = {.cmd = ETHTOOL_SGRO, .data = 1};
	struct ifreq request = {.ifr_data = (void *)&value};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err;

	if (fd < 0)
		return -errno;
	strncpy(request.ifr_name, name, IFNAMSIZ - 1);
	err = ioctl(fd, SIOCETHTOOL, &request) ? -errno : 0;
	close(fd);
	return err;
}

/* ---- sysctl ---- */

static int sysctl_open(const char *family, const char *name, const char *key, int flags)
{
	char path[160];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/%s", family, name, key);
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int pseudo_sysctl_set(const char *family, const char *name, const char *key, const char *value)
{
	int fd = sysctl_open(family, name, key, O_WRONLY), err;

	if (fd < 0)
		return fd;
	err = write(fd, value, strlen(value)) < 0 ? -errno : 0;
	close(fd);
	return err;
}

int pseudo_sysctl_get(const char *family, const char *name, const char *key, int *value)
{
	int fd = sysctl_open(family, name, key, O_RDONLY);
	char text[16] = "";
	ssize_t len;

	if (fd < 0)
		return fd;
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (len <= 0)
		return -EIO;
	*value = atoi(text);
	return 0;
}
