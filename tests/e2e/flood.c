/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A flood of forged Requests, as fast as one CPU sends them, each from another address than the one
 * before; and a sink for what comes back.
 *
 *   flood INTERFACE MAC RELAY FIRST ADDRESSES NUMBER
 *     from INTERFACE to the relay's MAC and address; NUMBER of them, from ADDRESSES addresses from
 *     FIRST on, in turn. Ends after a minute at the latest. What comes back ends in XDP. Says how
 *     many it has sent, in how many seconds, and what CPU time that took:
 *     {"sent":N,"seconds":S,"cpu":S}
 *   flood sink INTERFACE
 *     ends in XDP what comes there, until it is interrupted
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ether.h>
#include <sys/socket.h>
#include <amt/wire.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "base/addr.h"
#include "base/checksum.h"
#include "base/clock.h"
#include "e2e/helper_packet.h"

#define BATCH	 64
#define LATEST_S 60
#define HEAD_MAX (ETH_HLEN + AMT_IPV6_HLEN + AMT_UDP_HLEN)

struct flood {
	int fd;
	uint8_t frame[BATCH][HEAD_MAX + AMT_REQUEST_LEN];
	struct iovec iov[BATCH];
	struct mmsghdr message[BATCH];
	struct amt_addr relay, first;
	bool ipv6;
	uint32_t addresses;
	unsigned long made;
};

/* ---- the sink ---- */

static volatile sig_atomic_t over;

static void on_signal(int signal)
{
	over = 1;
}

/* return XDP_DROP */
static void drop_at(int ifindex)
{
	const struct bpf_insn program[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_DROP},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "sink", "GPL", program, 2, NULL);

	if (fd < 0 || bpf_xdp_attach(ifindex, fd, XDP_FLAGS_DRV_MODE, NULL))
		die("sink");
}

static int sink(int ifindex)
{
	drop_at(ifindex);
	while (!over)
		pause();
	bpf_xdp_detach(ifindex, XDP_FLAGS_DRV_MODE, NULL);
	return 0;
}

/* ---- the flood ---- */

static void put16(uint8_t *at, unsigned int value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put_check(uint8_t *at, uint32_t sum)
{
	__be16 check = checksum_finish(sum);

	if (!check) /* of UDP it would mean that there is none */
		check = 0xffff;
	memcpy(at, &check, sizeof(check));
}

/* All that is the same in each frame. */
static void make_frame(const struct flood *f, uint8_t *frame, const struct ether_addr *own,
		       const struct ether_addr *mac)
{
	uint8_t *ip = frame + ETH_HLEN;

	memcpy(frame, mac, ETH_ALEN);
	memcpy(frame + ETH_ALEN, own, ETH_ALEN);
	put16(frame + 2 * ETH_ALEN, f->ipv6 ? ETH_P_IPV6 : ETH_P_IP);
	if (f->ipv6) {
		ip[0] = 0x60;
		put16(ip + 4, AMT_UDP_HLEN + AMT_REQUEST_LEN);
		ip[6] = IPPROTO_UDP;
		ip[7] = 64;
		memcpy(ip + 24, f->relay.bytes, 16);
		return;
	}
	ip[0] = 0x45;
	put16(ip + 2, AMT_IPV4_HLEN + AMT_UDP_HLEN + AMT_REQUEST_LEN);
	ip[8] = 64;
	ip[9] = IPPROTO_UDP;
	memcpy(ip + 16, f->relay.bytes + AMT_ADDR_V4_OFFSET, 4);
}

static struct amt_addr source_of(const struct flood *f, uint32_t n)
{
	struct amt_addr source = f->first;
	uint32_t low;

	memcpy(&low, source.bytes + AMT_ADDR_V4_OFFSET, sizeof(low));
	low = htonl(ntohl(low) + n);
	memcpy(source.bytes + AMT_ADDR_V4_OFFSET, &low, sizeof(low));
	return source;
}

/* Another source, port and nonce. */
static void forge(struct flood *f, uint8_t *frame)
{
	const uint16_t length = AMT_UDP_HLEN + AMT_REQUEST_LEN;
	struct amt_addr source = source_of(f, (uint32_t)(f->made % f->addresses));
	uint8_t *ip = frame + ETH_HLEN, *udp = ip + (f->ipv6 ? AMT_IPV6_HLEN : AMT_IPV4_HLEN);
	uint32_t nonce = (uint32_t)f->made++;

	if (f->ipv6) {
		memcpy(ip + 8, source.bytes, 16);
	} else {
		memcpy(ip + 12, source.bytes + AMT_ADDR_V4_OFFSET, 4);
		put16(ip + 10, 0);
		put_check(ip + 10, checksum_add(0, ip, AMT_IPV4_HLEN));
	}
	put16(udp, 1024 + nonce % 60000);
	put16(udp + 2, AMT_PORT);
	put16(udp + 4, length);
	put16(udp + 6, 0);
	udp[AMT_UDP_HLEN] = AMT_REQUEST;
	memcpy(udp + AMT_UDP_HLEN + AMT_REQUEST_NONCE, &nonce, sizeof(nonce));
	put_check(udp + 6,
		  checksum_add(checksum_add_pseudo(0, &source, &f->relay, IPPROTO_UDP, length), udp,
			       length));
}

static void open_flood(struct flood *f, const char *interface, int ifindex, const char *mac)
{
	const struct sockaddr_ll at = {
		.sll_family = AF_PACKET, .sll_ifindex = ifindex, .sll_protocol = 0};
	const struct ether_addr own = {{2, 0, 0, 0, 0, 9}};
	const struct ether_addr *to = ether_aton(mac);
	uint32_t length = ETH_HLEN + (f->ipv6 ? AMT_IPV6_HLEN : AMT_IPV4_HLEN) + AMT_UDP_HLEN +
			  AMT_REQUEST_LEN;
	unsigned int i;

	f->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (!to || f->fd < 0 || bind(f->fd, (const struct sockaddr *)&at, sizeof(at)))
		die(interface);
	for (i = 0; i < BATCH; i++) {
		make_frame(f, f->frame[i], &own, to);
		f->iov[i] = (struct iovec){f->frame[i], length};
		f->message[i].msg_hdr = (struct msghdr){.msg_iov = &f->iov[i], .msg_iovlen = 1};
	}
}

static void stay_here(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
}

static void flood(struct flood *f, unsigned long number)
{
	uint64_t begin = clock_now();
	unsigned long sent = 0;
	unsigned int i, n;
	int done;

	while (sent < number && !over && clock_now() - begin < LATEST_S * NSEC_PER_SEC) {
		n = number - sent < BATCH ? (unsigned int)(number - sent) : BATCH;
		for (i = 0; i < n; i++)
			forge(f, f->frame[i]);
		done = sendmmsg(f->fd, f->message, n, 0);
		if (done > 0)
			sent += (unsigned int)done;
		else if (errno != ENOBUFS && errno != EINTR)
			die("send");
	}
	printf("{\"sent\":%lu,\"seconds\":%.3f,\"cpu\":%.3f}\n", sent,
	       (double)(clock_now() - begin) / (double)NSEC_PER_SEC,
	       (double)clock() / CLOCKS_PER_SEC);
}

int main(int argc, char **argv)
{
	static struct flood f;
	const struct sigaction quit = {.sa_handler = on_signal};
	int ifindex;

	sigaction(SIGINT, &quit, NULL);
	sigaction(SIGTERM, &quit, NULL);
	if (argc == 3 && !strcmp(argv[1], "sink") && (ifindex = (int)if_nametoindex(argv[2])))
		return sink(ifindex);
	if (argc != 7 || !(ifindex = (int)if_nametoindex(argv[1])) ||
	    addr_parse(argv[3], &f.relay) || addr_parse(argv[4], &f.first) ||
	    !(f.addresses = (uint32_t)strtoul(argv[5], NULL, 10))) {
		fprintf(stderr, "usage: flood INTERFACE MAC RELAY FIRST ADDRESSES NUMBER | "
				"flood sink INTERFACE\n");
		return 2;
	}
	f.ipv6 = !addr_is_ipv4(&f.relay);
	open_flood(&f, argv[1], ifindex, argv[2]);
	stay_here();
	drop_at(ifindex);
	flood(&f, strtoul(argv[6], NULL, 10));
	bpf_xdp_detach(ifindex, XDP_FLAGS_DRV_MODE, NULL);
	return 0;
}
