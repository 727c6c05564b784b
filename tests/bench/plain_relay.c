/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The best plain userspace relay loop that we know, for the benchmark: one thread, a packet socket
 * that yields whole IP datagrams (recvmmsg), one UDP socket that sends each to its gateways
 * (sendmmsg), everything prepared but the pointer to the datagram. No checksum of the outer UDP
 * header on IPv4, as the XDP path has none (RFC 7450 5.1.6).
 *   plain_relay INTERFACE RELAY GATEWAY PORT [segment]
 * Packets to 232.9.x.y go to x * 256 + y gateways: GATEWAY at PORT, PORT + 1 ...
 *
 * With `segment`, the packets of a group that have come together, all of one length, go to each
 * gateway in one message (UDP_SEGMENT), which the kernel cuts up again behind the routing. It is
 * the fastest that a socket can do, and trades time: a stream has to wait until there are several
 * of its packets, and each gateway gets them back to back, with checksums.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <netinet/udp.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <amt/wire.h>

#define GATEWAYS_MAX 16384
#define BATCH	     32
#define SLOT	     2048
#define OCTETS_MAX   65000 /* of one message */

union segment {
	struct cmsghdr header;
	uint8_t space[CMSG_SPACE(sizeof(uint16_t))];
};

static struct sockaddr_in gateways[GATEWAYS_MAX];
static struct mmsghdr copies[GATEWAYS_MAX];
static struct iovec copy_iov[2 * BATCH]; /* AMT header, datagram, for each of a run: shared */
static union segment segment;		 /* how long each is: shared as well */
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

	for (i = 0; i < BATCH; i++)
		copy_iov[2 * i] =
			(struct iovec){.iov_base = (void *)header, .iov_len = sizeof(header)};
	segment.header.cmsg_level = SOL_UDP;
	segment.header.cmsg_type = UDP_SEGMENT;
	segment.header.cmsg_len = CMSG_LEN(sizeof(uint16_t));
	for (i = 0; i < GATEWAYS_MAX; i++) {
		gateways[i].sin_family = AF_INET;
		gateways[i].sin_addr = gateway;
		gateways[i].sin_port = htons((uint16_t)(port + i));
		copies[i].msg_hdr.msg_name = &gateways[i];
		copies[i].msg_hdr.msg_namelen = sizeof(gateways[i]);
		copies[i].msg_hdr.msg_iov = copy_iov;
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

/* The kernel cuts up only what has checksums. */
static int open_out(const char *relay, bool checksum)
{
	struct sockaddr_in local = {.sin_family = AF_INET, .sin_port = htons(AMT_PORT)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0), none = !checksum, size = 16 << 20;

	if (fd < 0 || inet_pton(AF_INET, relay, &local.sin_addr) != 1 ||
	    bind(fd, (struct sockaddr *)&local, sizeof(local)))
		die(relay);
	setsockopt(fd, SOL_SOCKET, SO_NO_CHECK, &none, sizeof(none));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	return fd;
}

/* 0: not ours. */
static unsigned int gateways_of(const uint8_t *datagram, size_t len)
{
	unsigned int n;

	if (len < AMT_IPV4_HLEN || datagram[16] != 232)
		return 0;
	n = (unsigned int)datagram[18] << 8 | datagram[19];
	return n <= GATEWAYS_MAX ? n : 0;
}

/* So many datagrams in a row, in copy_iov, to the first n gateways. */
static void send_run(int out, unsigned int run, unsigned int n)
{
	uint16_t length = (uint16_t)(AMT_DATA_LEN + copy_iov[1].iov_len);
	unsigned int i, done = 0;
	int sent;

	memcpy(CMSG_DATA(&segment.header), &length, sizeof(length));
	for (i = 0; i < n; i++) {
		copies[i].msg_hdr.msg_iovlen = 2 * run;
		copies[i].msg_hdr.msg_control = run > 1 ? &segment : NULL;
		copies[i].msg_hdr.msg_controllen = run > 1 ? sizeof(segment) : 0;
	}
	while (done < n) { /* the kernel takes UIO_MAXIOV at a time */
		sent = sendmmsg(out, copies + done, n - done, 0);
		if (sent <= 0)
			return;
		done += (unsigned int)sent;
	}
}

/* How many of the datagrams from the first on can go in one message, at most that many. */
static unsigned int find_run(const struct mmsghdr *messages, unsigned int first, unsigned int end,
			     unsigned int most)
{
	const uint8_t *datagram = slots[first];
	unsigned int len = messages[first].msg_len, run = 1;

	while (first + run < end && run < most && messages[first + run].msg_len == len &&
	       memcmp(slots[first + run] + 16, datagram + 16, 4) == 0 &&
	       (run + 1) * (AMT_DATA_LEN + len) <= OCTETS_MAX)
		run++;
	return run;
}

static void relay_batch(int out, const struct mmsghdr *messages, unsigned int number,
			unsigned int most)
{
	unsigned int first, run, i, n;

	for (first = 0; first < number; first += run) {
		run = find_run(messages, first, number, most);
		n = gateways_of(slots[first], messages[first].msg_len);
		for (i = 0; n && i < run; i++) {
			uint8_t *datagram = slots[first + i];

			datagram[8]--; /* TTL, and its part of the header checksum (RFC 1141) */
			datagram[10]++;
			copy_iov[2 * i + 1] = (struct iovec){.iov_base = datagram,
							     .iov_len = messages[first].msg_len};
		}
		if (n)
			send_run(out, run, n);
	}
}

int main(int argc, char **argv)
{
	struct mmsghdr messages[BATCH] = {0};
	struct iovec iov[BATCH];
	struct in_addr gateway;
	unsigned int most = argc == 6 && !strcmp(argv[5], "segment") ? BATCH : 1;
	int in, out, i, n;

	if (argc < 5 || argc > 6 || (argc == 6 && most == 1) ||
	    inet_pton(AF_INET, argv[3], &gateway) != 1) {
		fputs("usage: plain_relay INTERFACE RELAY GATEWAY PORT [segment]\n", stderr);
		return 2;
	}
	prepare(gateway, (unsigned int)atoi(argv[4]));
	in = open_in(argv[1]);
	out = open_out(argv[2], most > 1);
	for (i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){.iov_base = slots[i], .iov_len = SLOT};
		messages[i].msg_hdr.msg_iov = &iov[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	for (;;) {
		n = recvmmsg(in, messages, BATCH, MSG_WAITFORONE, NULL);
		if (n < 0 && errno != EINTR)
			die("receive");
		if (n > 0)
			relay_batch(out, messages, (unsigned int)n, most);
	}
}
