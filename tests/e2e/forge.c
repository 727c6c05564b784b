/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Multicast Data with any field as the test wants it, sent to a gateway in UDP packets of its own
 * making.
 *
 *   forge GATEWAY PORT FROM STEP...     from FROM, an address of this host, port 2268
 *     source=, group=      of the inner datagram
 *     tos=, inner-tos=     TOS or traffic class
 *     payload=TEXT, size=N what the inner UDP carries: TEXT, filled up to N octets
 *     port=N               our outer port
 *     check=right, wrong, zero   the outer UDP checksum; zero at first
 *     udp-length=N, inner-length=N   N more (less) than there is
 *     cut=N                the inner datagram ends N octets early
 *     version=N            of the inner datagram
 *     first=N              the first octet, type and version
 *     send, send=N         sends what was said so far, N times
 *     lengths              sends it cut at every length of the UDP payload
 *     ecn                  sends all 16 pairs of ECN fields, "INNER OUTER" as payload
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <amt/wire.h>
#include "base/addr.h"
#include "base/checksum.h"
#include "e2e/helper_packet.h"

#define DATA_MAX   9000
#define INNER_PORT 5001
#define BATCH	   64 /* packets between two pauses: less than a ring of a veth pair holds */
#define PAUSE_US   2000

enum check { CHECK_ZERO, CHECK_RIGHT, CHECK_WRONG };

struct forge {
	int fd;
	struct amt_sockaddr from, to;
	struct amt_addr source, group;
	uint8_t tos, inner_tos, version, first;
	const char *payload;
	size_t size, cut;
	long udp_length, inner_length;
	enum check check;
	unsigned long sent;
};

static void put16(uint8_t *at, size_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put_check(uint8_t *at, uint32_t sum)
{
	__be16 check = checksum_finish(sum);

	memcpy(at, &check, sizeof(check));
}

/* A UDP header in front of what it carries; its length is that of both. */
static void put_udp(uint8_t *udp, const struct amt_sockaddr *from, const struct amt_sockaddr *to,
		    size_t len)
{
	memcpy(udp, &from->port, 2);
	memcpy(udp + 2, &to->port, 2);
	put16(udp + 4, len);
	put16(udp + 6, 0);
	put_check(udp + 6, checksum_add(checksum_add_pseudo(0, &from->addr, &to->addr, IPPROTO_UDP,
							    (uint32_t)len),
					udp, len));
}

/* ---- the inner datagram ---- */

static void put_ipv4(const struct forge *f, uint8_t *ip, size_t len)
{
	memset(ip, 0, AMT_IPV4_HLEN);
	ip[0] = 0x45;
	ip[1] = f->inner_tos;
	put16(ip + 2, len + (size_t)f->inner_length);
	ip[8] = 16;
	ip[9] = IPPROTO_UDP;
	memcpy(ip + 12, f->source.bytes + AMT_ADDR_V4_OFFSET, 4);
	memcpy(ip + 16, f->group.bytes + AMT_ADDR_V4_OFFSET, 4);
	put_check(ip + 10, checksum_add(0, ip, AMT_IPV4_HLEN));
}

static void put_ipv6(const struct forge *f, uint8_t *ip, size_t len)
{
	memset(ip, 0, AMT_IPV6_HLEN);
	ip[0] = (uint8_t)(0x60 | f->inner_tos >> 4);
	ip[1] = (uint8_t)(f->inner_tos << 4);
	put16(ip + 4, len - AMT_IPV6_HLEN + (size_t)f->inner_length);
	ip[6] = IPPROTO_UDP;
	ip[7] = 16;
	memcpy(ip + 8, f->source.bytes, 16);
	memcpy(ip + 24, f->group.bytes, 16);
}

static size_t put_inner(const struct forge *f, uint8_t *ip)
{
	const struct amt_sockaddr from = {f->source, htons(INNER_PORT)};
	const struct amt_sockaddr to = {f->group, htons(INNER_PORT)};
	bool ipv6 = !addr_is_ipv4(&f->group);
	size_t header = ipv6 ? AMT_IPV6_HLEN : AMT_IPV4_HLEN, text = strlen(f->payload);
	size_t size = f->size > text ? f->size : text, len = header + AMT_UDP_HLEN + size;
	uint8_t *udp = ip + header;

	memset(udp + AMT_UDP_HLEN, '.', size);
	memcpy(udp + AMT_UDP_HLEN, f->payload, text);
	put_udp(udp, &from, &to, AMT_UDP_HLEN + size);
	if (ipv6)
		put_ipv6(f, ip, len);
	else
		put_ipv4(f, ip, len);
	if (f->version)
		ip[0] = (uint8_t)(f->version << 4 | (ip[0] & 0x0f));
	return len;
}

/* ---- sending ---- */

static void set_tos(const struct forge *f)
{
	int tos = f->tos;
	bool ipv6 = !addr_is_ipv4(&f->from.addr);

	if (setsockopt(f->fd, ipv6 ? IPPROTO_IPV6 : IPPROTO_IP, ipv6 ? IPV6_TCLASS : IP_TOS, &tos,
		       sizeof(tos)))
		die("TOS");
}

/* keep: octets of the UDP payload that are sent, and that its length says. */
static void send_first(struct forge *f, size_t keep)
{
	static uint8_t packet[AMT_UDP_HLEN + DATA_MAX];
	uint8_t *amt = packet + AMT_UDP_HLEN;
	size_t len = AMT_DATA_LEN + put_inner(f, amt + AMT_DATA_LEN) - f->cut;

	amt[0] = f->first;
	amt[1] = 0;
	if (keep < len)
		len = keep;
	put_udp(packet, &f->from, &f->to, AMT_UDP_HLEN + len);
	put16(packet + 4, AMT_UDP_HLEN + len + (size_t)f->udp_length);
	if (f->check == CHECK_ZERO)
		put16(packet + 6, 0);
	packet[6] ^= f->check == CHECK_WRONG;
	set_tos(f);
	if (send(f->fd, packet, AMT_UDP_HLEN + len, 0) < 0)
		die("send");
	if (++f->sent % BATCH == 0)
		usleep(PAUSE_US);
}

static void send_all(struct forge *f)
{
	send_first(f, DATA_MAX);
}

static void send_lengths(struct forge *f)
{
	static uint8_t inner[DATA_MAX];
	size_t len = AMT_DATA_LEN + put_inner(f, inner);

	while (len-- > 0)
		send_first(f, len);
}

static void send_ecn(struct forge *f)
{
	uint8_t tos = f->tos, inner_tos = f->inner_tos;
	unsigned int pair;
	char text[] = "0 0";

	f->payload = text;
	for (pair = 0; pair < 16; pair++) {
		text[0] = (char)('0' + pair / 4);
		text[2] = (char)('0' + pair % 4);
		f->inner_tos = (uint8_t)(inner_tos | pair / 4);
		f->tos = (uint8_t)(tos | pair % 4);
		send_all(f);
	}
	f->payload = "";
	f->tos = tos;
	f->inner_tos = inner_tos;
}

/* ---- steps ---- */

static struct amt_addr address(const char *text)
{
	struct amt_addr addr;

	if (addr_parse(text, &addr)) {
		errno = EINVAL;
		die(text);
	}
	return addr;
}

static bool set_number(struct forge *f, const char *name, long number)
{
	if (!strcmp(name, "tos"))
		f->tos = (uint8_t)number;
	else if (!strcmp(name, "inner-tos"))
		f->inner_tos = (uint8_t)number;
	else if (!strcmp(name, "size"))
		f->size = (size_t)number;
	else if (!strcmp(name, "cut"))
		f->cut = (size_t)number;
	else if (!strcmp(name, "port"))
		f->from.port = htons((uint16_t)number);
	else if (!strcmp(name, "udp-length"))
		f->udp_length = number;
	else if (!strcmp(name, "inner-length"))
		f->inner_length = number;
	else if (!strcmp(name, "version"))
		f->version = (uint8_t)number;
	else if (!strcmp(name, "first"))
		f->first = (uint8_t)number;
	else
		return false;
	return true;
}

static enum check check_of(const char *text)
{
	return !strcmp(text, "right")	? CHECK_RIGHT
	       : !strcmp(text, "wrong") ? CHECK_WRONG
					: CHECK_ZERO;
}

static void step(struct forge *f, char *name)
{
	char *value = strchr(name, '=');
	unsigned long times;

	if (value)
		*value++ = 0;
	if (!strcmp(name, "send")) {
		for (times = value ? strtoul(value, NULL, 10) : 1; times; times--)
			send_all(f);
	} else if (!strcmp(name, "lengths")) {
		send_lengths(f);
	} else if (!strcmp(name, "ecn")) {
		send_ecn(f);
	} else if (!strcmp(name, "source") && value) {
		f->source = address(value);
	} else if (!strcmp(name, "group") && value) {
		f->group = address(value);
	} else if (!strcmp(name, "payload") && value) {
		f->payload = value;
	} else if (!strcmp(name, "check") && value) {
		f->check = check_of(value);
	} else if (!value || !set_number(f, name, strtol(value, NULL, 10))) {
		errno = EINVAL;
		die(name);
	}
}

int main(int argc, char **argv)
{
	struct forge f = {.first = AMT_DATA, .payload = ""};
	int i;

	if (argc < 5) {
		fprintf(stderr, "usage: forge GATEWAY PORT FROM STEP...\n");
		return 2;
	}
	f.to = (struct amt_sockaddr){address(argv[1]), htons((uint16_t)atoi(argv[2]))};
	f.from = (struct amt_sockaddr){address(argv[3]), htons(AMT_PORT)};
	f.fd = packet_raw_socket(&f.from.addr, &f.to.addr);
	for (i = 4; i < argc; i++)
		step(&f, argv[i]);
	close(f.fd);
	return 0;
}
