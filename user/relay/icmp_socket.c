/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "relay/icmp_socket.h"

#include <errno.h>
#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/counters.h"

static int open_ipv4(void)
{
	struct icmp_filter none = {.data = ~0u};
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMP);

	if (fd >= 0)
		setsockopt(fd, SOL_RAW, ICMP_FILTER, &none, sizeof(none));
	return fd < 0 ? -errno : fd;
}

static int open_ipv6(void)
{
	struct icmp6_filter none;
	int fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMPV6);

	ICMP6_FILTER_SETBLOCKALL(&none);
	if (fd >= 0)
		setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &none, sizeof(none));
	return fd < 0 ? -errno : fd;
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
