/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/pseudo_packet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include "proto/inner.h"

#define IPV4_LENGTH	 2
#define IPV4_PROTOCOL	 9
#define IPV4_DESTINATION 16
#define IPV4_HLEN	 20
#define IPV6_LENGTH	 4
#define IPV6_NEXT_HEADER 6
#define IPV6_DESTINATION 24
#define IPV6_HLEN	 40
#define RECEIVE_ROOM	 (1 << 20) /* a host with thousands of groups answers in one go */

/* IGMP, and ICMPv6 behind a hop-by-hop header, which all MLD has (RFC 3810 5). Offsets are from the
 * network header. */
static int set_filter(int fd)
{
	static struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PROTOCOL)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 2),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, IPV4_PROTOCOL),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_IGMP, 5, 6),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IPV6, 0, 5),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, IPV6_NEXT_HEADER),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_HOPOPTS, 0, 3),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, IPV6_HLEN),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_ICMPV6, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	static const struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]),
						  .filter = code};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) ? -errno : 0;
}

static int set_up(int fd, uint32_t ifindex)
{
	struct sockaddr_ll local = {.sll_family = AF_PACKET,
				    .sll_protocol = htons(ETH_P_ALL),
				    .sll_ifindex = (int)ifindex};
	int yes = 1, room = RECEIVE_ROOM, err = set_filter(fd);

	if (err)
		return err;
	/* what we put in is no report */
	if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &yes, sizeof(yes)))
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)))
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	return bind(fd, (struct sockaddr *)&local, sizeof(local)) ? -errno : 0;
}

int pseudo_packet_open(uint32_t ifindex)
{
	/* protocol 0: nothing comes before filter and interface are set */
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int err = fd < 0 ? -errno : set_up(fd, ifindex);

	if (err && fd >= 0)
		close(fd);
	return err ? err : fd;
}

/* The datagram's own length, 0 if it is not a whole multicast one. */
static size_t datagram_len(const uint8_t *ip, size_t len, bool *ipv6)
{
	size_t own;

	*ipv6 = len && ip[0] >> 4 == 6;
	if (*ipv6) {
		own = len < IPV6_HLEN ? 0 : (size_t)IPV6_HLEN + load16(ip + IPV6_LENGTH);
		return own <= len && own && ip[IPV6_DESTINATION] == 0xff ? own : 0;
	}
	if (len < IPV4_HLEN || ip[0] >> 4 != 4 || (ip[IPV4_DESTINATION] & 0xf0) != 0xe0)
		return 0;
	own = load16(ip + IPV4_LENGTH);
	return own >= IPV4_HLEN && own <= len ? own : 0;
}

int pseudo_packet_send(int fd, uint32_t ifindex, const void *datagram, size_t len)
{
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET, .sll_ifindex = (int)ifindex, .sll_halen = ETH_ALEN};
	const uint8_t *ip = datagram;
	bool ipv6;
	size_t own = datagram_len(ip, len, &ipv6);

	if (!own)
		return -EINVAL;
	to.sll_protocol = htons(ipv6 ? ETH_P_IPV6 : ETH_P_IP);
	if (ipv6) {
		to.sll_addr[0] = to.sll_addr[1] = 0x33;
		memcpy(to.sll_addr + 2, ip + IPV6_DESTINATION + 12, 4);
	} else {
		to.sll_addr[0] = 0x01;
		to.sll_addr[2] = 0x5e;
		memcpy(to.sll_addr + 3, ip + IPV4_DESTINATION + 1, 3);
		to.sll_addr[3] &= 0x7f;
	}
	return sendto(fd, ip, own, 0, (struct sockaddr *)&to, sizeof(to)) < 0 ? -errno : 0;
}
