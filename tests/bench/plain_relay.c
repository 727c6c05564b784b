/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The best plain userspace relay loop that we know, for the benchmark: one thread, a packet socket
 * that yields whole IP datagrams (recvmmsg), one UDP socket that sends each to its gateways
 * (sendmmsg), everything prepared but the pointer to the datagram. No checksum of the outer UDP
 * header on IPv4, as the XDP path has none (RFC 7450 5.1.6).
 *   plain_relay INTERFACE RELAY GATEWAY PORT
 * Packets to 232.9.x.y go to x * 256 + y gateways: GATEWAY at PORT, PORT + 1 ...
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <amt/wire.h>

#define GATEWAYS_MAX 1024 /* also what one sendmmsg takes (UIO_MAXIOV) */
#define BATCH	     32
#define SLOT	     2048

static struct sockaddr_in gateways[GATEWAYS_MAX];
static struct mmsghdr copies[GATEWAYS_MAX];
static struct iovec copy_iov[2]; /* AMT header, datagram: shared by all copies of a packet */
static uint8_t slots[BATCH][SLOT];

static void die(const char *what)
{
	fprintf(stderr, "plain_relay: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void prepare(struct in_addr gateway, unsigned int port)
{
	static const uint8_t header[AMT_DATA_LEN] = {AMT_DATA};
	unsigned int i;

	copy_iov[0] = (struct iovec){.iov_base = (void *)header, .iov_len = sizeof(header)};
	for (i = 0; i < GATEWAYS_MAX; i++) {
		gateways[i].sin_family = AF_INET;
		gateways[i].sin_addr = gateway;
		gateways[i].sin_port = htons((uint16_t)(port + i));
		copies[i].msg_hdr.msg_name = &gateways[i];
		copies[i].msg_hdr.msg_namelen = sizeof(gateways[i]);
		copies[i].msg_hdr.msg_iov = copy_iov;
		copies[i].msg_hdr.msg_iovlen = 2;
	}
}

static int open_in(const char *interface)
{
	struct sockaddr_ll from = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_IP),
		.sll_ifindex = (int)if_nametoindex(interface),
	};
	int fd = socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_IP)), size = 16 << 20;

	if (fd < 0 || from.sll_ifindex == 0 || bind(fd, (struct sockaddr *)&from, sizeof(from)))
		die(interface);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	return fd;
}

static int open_out(const char *relay)
{
	struct sockaddr_in local = {.sin_family = AF_INET, .sin_port = htons(AMT_PORT)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0), one = 1, size = 16 << 20;

	if (fd < 0 || inet_pton(AF_INET, relay, &local.sin_addr) != 1 ||
	    bind(fd, (struct sockaddr *)&local, sizeof(local)))
		die(relay);
	setsockopt(fd, SOL_SOCKET, SO_NO_CHECK, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	return fd;
}

static void relay_one(int out, uint8_t *datagram, size_t len)
{
	unsigned int n, done = 0;
	int sent;

	if (len < AMT_IPV4_HLEN || datagram[16] != 232)
		return;
	n = (unsigned int)datagram[18] << 8 | datagram[19];
	if (n > GATEWAYS_MAX)
		return;
	datagram[8]--; /* TTL, and its part of the header checksum (RFC 1141) */
	datagram[10]++;
	copy_iov[1] = (struct iovec){.iov_base = datagram, .iov_len = len};
	while (done < n) {
		sent = sendmmsg(out, copies + done, n - done, 0);
		if (sent <= 0)
			return;
		done += (unsigned int)sent;
	}
}

int main(int argc, char **argv)
{
	struct mmsghdr messages[BATCH] = {0};
	struct iovec iov[BATCH];
	struct in_addr gateway;
	int in, out, i, n;

	if (argc != 5 || inet_pton(AF_INET, argv[3], &gateway) != 1) {
		fputs("usage: plain_relay INTERFACE RELAY GATEWAY PORT\n", stderr);
		return 2;
	}
	prepare(gateway, (unsigned int)atoi(argv[4]));
	in = open_in(argv[1]);
	out = open_out(argv[2]);
	for (i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){.iov_base = slots[i], .iov_len = SLOT};
		messages[i].msg_hdr.msg_iov = &iov[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	for (;;) {
		n = recvmmsg(in, messages, BATCH, MSG_WAITFORONE, NULL);
		if (n < 0 && errno != EINTR)
			die("receive");
		for (i = 0; i < n; i++)
			relay_one(out, slots[i], messages[i].msg_len);
	}
}
