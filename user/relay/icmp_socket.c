/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "relay/icmp_socket.h"

#include <errno.h>
#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/counters.h"

/* They are read once a second: what finds no room until then is lost. */
static void make_room(int fd)
{
	static const int room = 1 << 20;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)))
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
}

static int open_ipv4(void)
{
	struct icmp_filter others = {.data = ~(1u << ICMP_DEST_UNREACH)};
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMP);

	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_RAW, ICMP_FILTER, &others, sizeof(others));
	make_room(fd);
	return fd;
}

static int open_ipv6(void)
{
	struct icmp6_filter others;
	int fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMPV6);

	if (fd < 0)
		return -errno;
	ICMP6_FILTER_SETBLOCKALL(&others);
	ICMP6_FILTER_SETPASS(ICMP6_DST_UNREACH, &others);
	(void)setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &others, sizeof(others));
	make_room(fd);
	return fd;
}

int icmp_socket_open(struct icmp_socket *icmp)
{
	int ipv4 = open_ipv4(), ipv6 = open_ipv6();

	icmp->ipv4 = ipv4 < 0 ? -1 : ipv4;
	icmp->ipv6 = ipv6 < 0 ? -1 : ipv6;
	if (ipv4 < 0)
		return ipv4;
	return ipv6 < 0 ? ipv6 : 0;
}

void icmp_socket_close(struct icmp_socket *icmp)
{
	if (icmp->ipv4 >= 0)
		close(icmp->ipv4);
	if (icmp->ipv6 >= 0)
		close(icmp->ipv6);
	icmp->ipv4 = -1;
	icmp->ipv6 = -1;
}

void icmp_socket_send(const struct icmp_socket *icmp, const struct amt_addr *to, const void *buf,
		      size_t len)
{
	const struct amt_sockaddr peer = {.addr = *to};
	struct sockaddr_storage native;
	socklen_t native_len = sockaddr_to_native(&peer, &native);
	int fd = addr_is_ipv4(to) ? icmp->ipv4 : icmp->ipv6;

	if (fd < 0 || sendto(fd, buf, len, 0, (struct sockaddr *)&native, native_len) < 0)
		counter_add(AMT_COUNT_SEND_FAILED, 1);
}

const void *icmp_socket_receive(const struct icmp_socket *icmp, bool ipv6, void *buf, size_t *len)
{
	ssize_t n = recv(ipv6 ? icmp->ipv6 : icmp->ipv4, buf, ICMP_MESSAGE_MAX, 0);
	const uint8_t *message = buf;
	size_t header = 0;

	if (n < 0)
		return NULL;
	if (!ipv6 && n) /* IPv4 raw sockets, and they alone, give the header too */
		header = (size_t)(message[0] & 0x0f) * 4;
	*len = (size_t)n > header ? (size_t)n - header : 0;
	return message + header;
}
