/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The best plain userspace gateway loop that we know, for the benchmark: one thread, one UDP socket
 * (recvmmsg), a TUN interface that takes each datagram by a write of its own, as it must. It checks
 * what every gateway has to: the relay's address and port, and the type (RFC 7450 5.2.3.3).
 *   plain_gateway TUN LOCAL PORT RELAY
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <linux/if_tun.h>
#include <amt/wire.h>

#define BATCH 32
#define SLOT  2048

static uint8_t slots[BATCH][SLOT];

static void die(const char *what)
{
	fprintf(stderr, "plain_gateway: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int open_tun(const char *name)
{
	struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC),
	    any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strncpy(request.ifr_name, name, IFNAMSIZ - 1);
	if (fd < 0 || any < 0 || ioctl(fd, TUNSETIFF, &request))
		die(name);
	request.ifr_flags = IFF_UP;
	if (ioctl(any, SIOCSIFFLAGS, &request))
		die(name);
	close(any);
	return fd;
}

static int open_in(const char *address, int port)
{
	struct sockaddr_in local = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), size = 16 << 20;

	if (fd < 0 || inet_pton(AF_INET, address, &local.sin_addr) != 1 ||
	    bind(fd, (struct sockaddr *)&local, sizeof(local)))
		die(address);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	return fd;
}

static void deliver(int tun, const struct mmsghdr *message, const struct sockaddr_in *relay)
{
	const struct sockaddr_in *from = message->msg_hdr.msg_name;
	const uint8_t *data = message->msg_hdr.msg_iov->iov_base;

	if (message->msg_len <= AMT_DATA_LEN || data[0] != AMT_DATA ||
	    from->sin_addr.s_addr != relay->sin_addr.s_addr || from->sin_port != relay->sin_port)
		return;
	if (write(tun, data + AMT_DATA_LEN, message->msg_len - AMT_DATA_LEN) < 0 && errno != EIO)
		die("write");
}

int main(int argc, char **argv)
{
	struct sockaddr_in relay = {.sin_port = htons(AMT_PORT)}, from[BATCH];
	struct mmsghdr messages[BATCH] = {0};
	struct iovec iov[BATCH];
	int in, tun, i, n;

	if (argc != 5 || inet_pton(AF_INET, argv[4], &relay.sin_addr) != 1) {
		fputs("usage: plain_gateway TUN LOCAL PORT RELAY\n", stderr);
		return 2;
	}
	tun = open_tun(argv[1]);
	in = open_in(argv[2], atoi(argv[3]));
	for (i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){.iov_base = slots[i], .iov_len = SLOT};
		messages[i].msg_hdr.msg_iov = &iov[i];
		messages[i].msg_hdr.msg_iovlen = 1;
		messages[i].msg_hdr.msg_name = &from[i];
	}
	for (;;) {
		for (i = 0; i < BATCH; i++)
			messages[i].msg_hdr.msg_namelen = sizeof(from[i]);
		n = recvmmsg(in, messages, BATCH, MSG_WAITFORONE, NULL);
		if (n < 0 && errno != EINTR)
			die("receive");
		for (i = 0; i < n; i++)
			deliver(tun, &messages[i], &relay);
	}
}
