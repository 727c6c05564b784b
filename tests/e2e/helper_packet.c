/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "e2e/helper_packet.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include "base/checksum.h"

static uint64_t random_state = 88172645463325252ULL;

void die(const char *what)
{
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
	exit(1);
}

/* Marsaglia's xorshift */
uint32_t random_below(uint32_t bound)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 32) % bound;
}

void packet_message(struct packet *p, const struct amt_message *msg)
{
	int len = message_write(msg, p->octets, sizeof(p->octets));

	if (len < 0) {
		errno = -len;
		die("message");
	}
	p->len = (size_t)len;
}

void packet_mutate(struct packet *p)
{
	uint32_t at = p->len ? random_below((uint32_t)p->len) : 0;

	switch (random_below(6)) {
	case 0:
	case 1:
		p->octets[at] ^= (uint8_t)(1 << random_below(8));
		break;
	case 2:
		p->octets[at] = (uint8_t)random_below(256);
		break;
	case 3: /* the ends of ranges */
		p->octets[at] = random_below(2) ? 0xff : 0;
		break;
	case 4:
		p->len = at;
		break;
	case 5:
		while (p->len < PACKET_MAX && random_below(16))
			p->octets[p->len++] = (uint8_t)random_below(256);
		break;
	}
}

static void set_checksum(uint8_t *at, uint32_t sum)
{
	__be16 check = checksum_finish(sum);

	memcpy(at, &check, sizeof(check));
}

void packet_repair(struct packet *p)
{
	uint8_t *inner = p->octets + PACKET_INNER;
	struct amt_addr source, destination;
	size_t len;

	if (p->len < PACKET_INNER + IGMP_AT + 4)
		return;
	len = p->len - PACKET_INNER;
	if (inner[0] >> 4 == 4) {
		memset(inner + 10, 0, 2);
		set_checksum(inner + 10, checksum_add(0, inner, IGMP_AT));
		memset(inner + IGMP_AT + 2, 0, 2);
		set_checksum(inner + IGMP_AT + 2, checksum_add(0, inner + IGMP_AT, len - IGMP_AT));
		return;
	}
	if (len < ICMPV6_AT + 4)
		return;
	source = addr_from_ipv6(inner + 8);
	destination = addr_from_ipv6(inner + 24);
	len -= ICMPV6_AT;
	memset(inner + ICMPV6_AT + 2, 0, 2);
	set_checksum(inner + ICMPV6_AT + 2,
		     checksum_add(checksum_add_pseudo(0, &source, &destination, IPPROTO_ICMPV6,
						      (uint32_t)len),
				  inner + ICMPV6_AT, len));
}

/* Of the IP header and the checksum: the same in reports and queries. */
static const struct fault common_faults[] = {
	{"not-ip", false, 0, 0x56, 0, 0x76},
	{"protocol", true, 9, 17, 40, 17},
	{"ttl", true, 8, 2, 7, 2},
	{"ip-checksum", false, 10, 0x5a, 0, 0},
	{"fragment", true, 6, 0x20, 40, 44},
	{"checksum", false, IGMP_AT + 2, 0x5a, ICMPV6_AT + 2, 0x5a},
	{NULL, false, 0, 0, 0, 0},
};

static const struct fault *fault_find(const struct fault *faults, const char *name)
{
	while (faults->name && strcmp(name, faults->name))
		faults++;
	return faults->name ? faults : NULL;
}

bool packet_fault(struct packet *p, const struct fault *faults, bool ipv6, const char *name)
{
	uint8_t *inner = p->octets + PACKET_INNER;
	const struct fault *fault = fault_find(common_faults, name);

	if (!fault)
		fault = fault_find(faults, name);
	if (!fault)
		return false;
	inner[ipv6 ? fault->at6 : fault->at4] = ipv6 ? fault->value6 : fault->value4;
	if (fault->repaired)
		packet_repair(p);
	return true;
}

int packet_socket(const struct amt_sockaddr *local)
{
	struct sockaddr_storage name;
	socklen_t len = sockaddr_to_native(local, &name);
	int fd = socket(addr_family(&local->addr), SOCK_DGRAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&name, len))
		die("socket");
	return fd;
}

int packet_raw_socket(const struct amt_addr *source, const struct amt_addr *to)
{
	struct amt_sockaddr local = {.addr = *source}, peer = {.addr = *to};
	struct sockaddr_storage name;
	int one = 1, fd = socket(addr_family(source), SOCK_RAW, IPPROTO_UDP);
	socklen_t len = sockaddr_to_native(&local, &name);

	if (fd < 0 || bind(fd, (struct sockaddr *)&name, len))
		die("raw socket");
	/* what others send to this host is of no interest */
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &one, sizeof(one));
	len = sockaddr_to_native(&peer, &name);
	if (connect(fd, (struct sockaddr *)&name, len))
		die("raw socket");
	return fd;
}
