/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/port_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <linux/errqueue.h>
#include <linux/in6.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>
#include <amt/wire.h>

#define RECEIVE_ROOM (4 << 20)

static int set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) ? -errno : 0;
}

/* The endpoint must stay what it is: no temporary addresses (RFC 8981), which change by the day. */
static int prefer_stable(int fd)
{
	return set_int(fd, IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, IPV6_PREFER_SRC_PUBLIC);
}

static int set_options(int fd, bool ipv6)
{
	int ret;

	if (ipv6) {
		ret = set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
		if (!ret)
			ret = set_int(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
		if (!ret)
			ret = set_int(fd, IPPROTO_IPV6, IPV6_TCLASS, AMT_TOS_CS6);
		if (!ret)
			ret = set_int(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
		if (!ret)
			ret = set_int(fd, IPPROTO_UDP, UDP_NO_CHECK6_RX, 1); /* */
		if (!ret)
			ret = prefer_stable(fd);
	} else {
		ret = set_int(fd, IPPROTO_IP, IP_RECVERR, 1);
		if (!ret)
			ret = set_int(fd, IPPROTO_IP, IP_TOS, AMT_TOS_CS6);
		if (!ret)
			ret = set_int(fd, IPPROTO_IP, IP_RECVTOS, 1);
	}
	/* for data that comes this way; the forced form needs privilege, the other is capped */
	if (set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_ROOM))
		set_int(fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_ROOM);
	return ret;
}

int port_socket_open(bool ipv6)
{
	int fd = socket(ipv6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int ret = fd < 0 ? -errno : set_options(fd, ipv6);

	if (!ret)
		return fd;
	if (fd >= 0)
		close(fd);
	return ret;
}

static int own_name(int fd, struct amt_sockaddr *out)
{
	struct sockaddr_storage native;
	socklen_t len = sizeof(native);

	if (getsockname(fd, (struct sockaddr *)&native, &len))
		return -errno;
	return sockaddr_from_native((struct sockaddr *)&native, out);
}

int port_socket_bind(int fd, struct amt_sockaddr *local)
{
	struct sockaddr_storage native;
	socklen_t len = sockaddr_to_native(local, &native);
	struct amt_sockaddr bound;
	int ret;

	if (bind(fd, (struct sockaddr *)&native, len))
		return -errno;
	ret = own_name(fd, &bound);
	if (!ret)
		local->port = bound.port;
	return ret;
}

uint8_t port_socket_tos(struct msghdr *message)
{
	struct cmsghdr *part;
	int class;

	for (part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
		if (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_TOS)
			return *CMSG_DATA(part);
		if (part->cmsg_level != IPPROTO_IPV6 || part->cmsg_type != IPV6_TCLASS)
			continue;
		memcpy(&class, CMSG_DATA(part), sizeof(class));
		return (uint8_t) class;
	}
	return 0;
}

/* ---- errors ---- */

/* Too big is the stack's to heed, and tells nothing of the relay. */
static bool is_unreachable(const struct sock_extended_err *error)
{
	if (error->ee_origin == SO_EE_ORIGIN_ICMP)
		return error->ee_type == ICMP_DEST_UNREACH && error->ee_code != ICMP_FRAG_NEEDED;
	return error->ee_origin == SO_EE_ORIGIN_ICMP6 && error->ee_type == ICMP6_DST_UNREACH;
}

int port_socket_error(int fd, struct amt_sockaddr *peer)
{
	char control[512] __attribute__((aligned(sizeof(size_t))));
	struct sockaddr_storage native;
	struct msghdr message = {.msg_name = &native,
				 .msg_namelen = sizeof(native),
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	struct sock_extended_err error;
	struct cmsghdr *part;
	int found = 0;

	if (recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
		return -errno;
	for (part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part)) {
		bool ipv4 = part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_RECVERR;
		bool ipv6 = part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_RECVERR;

		if ((!ipv4 && !ipv6) || part->cmsg_len < CMSG_LEN(sizeof(error)))
			continue;
		memcpy(&error, CMSG_DATA(part), sizeof(error));
		found = is_unreachable(&error);
	}
	/* the name is where the message in question was sent to */
	if (found && sockaddr_from_native((struct sockaddr *)&native, peer))
		found = 0;
	return found;
}

int port_socket_source(const struct amt_sockaddr *peer, struct amt_sockaddr *source)
{
	struct sockaddr_storage native;
	socklen_t len = sockaddr_to_native(peer, &native);
	int fd = socket(native.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0), ret = 0;

	if (fd < 0)
		return -errno;
	if (native.ss_family == AF_INET6)
		ret = prefer_stable(fd);
	if (!ret && connect(fd, (struct sockaddr *)&native, len))
		ret = -errno;
	if (!ret)
		ret = own_name(fd, source);
	close(fd);
	return ret;
}
