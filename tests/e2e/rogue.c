/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A relay that lies, for the end-to-end tests of the gateway, told line by line on standard input
 * what to do; it says "ok" after each line.
 *
 *   rogue RELAY OTHER        RELAY's port 2268 is ours; OTHER is another address of this host
 *     await discovery, await request4, await request6     until the gateway has sent one more
 *     advertise [FAULT]      answers the last Relay Discovery, wrong in one way
 *     query4, query6 [FAULT] answers the last Request of that protocol; or interval=N
 *     type N                 a message of type N
 *     lengths advertise, lengths query4, lengths query6   cut at every length
 *     data GROUP             Multicast Data of ours, as good as any
 *     mutate N GROUP4 GROUP6 N messages, each mutated from a good one, data for these groups among
 *                            them; good ones now and then
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include "base/addr.h"
#include "base/clock.h"
#include "e2e/helper_packet.h"
#include "proto/message.h"
#include "proto/query.h"
#include "proto/report.h"

#define AWAIT_NS     (120 * NSEC_PER_SEC)
#define WORDS	     4
#define LISTEN_EVERY 16

struct rogue {
	struct amt_sockaddr relay, other, gateway;
	int fd, fd_other, fd_port;		/* from other address; from another port */
	uint32_t discovery, request[2], old[2]; /* nonces of the last, and of the one before */
	unsigned int discoveries, requests[2];	/* seen */
	unsigned int awaited_discoveries, awaited[2];
	unsigned int answered[2], advertised; /* of those */
};

/* ---- what the gateway says ---- */

static void take(struct rogue *r, const uint8_t *buf, size_t len, const struct amt_sockaddr *from)
{
	struct amt_message msg;

	if (message_parse(buf, len, &msg))
		return;
	if (msg.type == AMT_DISCOVERY) {
		r->gateway = *from;
		r->discovery = msg.nonce;
		r->discoveries++;
	}
	if (msg.type != AMT_REQUEST)
		return;
	r->gateway = *from;
	if (msg.nonce != r->request[msg.want_mld])
		r->old[msg.want_mld] = r->request[msg.want_mld];
	r->request[msg.want_mld] = msg.nonce;
	r->requests[msg.want_mld]++;
}

static bool listen_once(struct rogue *r, int milliseconds)
{
	struct pollfd wait = {.fd = r->fd, .events = POLLIN};
	struct sockaddr_storage name;
	socklen_t name_len = sizeof(name);
	struct amt_sockaddr from;
	uint8_t buf[2048];
	ssize_t len;

	if (poll(&wait, 1, milliseconds) <= 0)
		return false;
	len = recvfrom(r->fd, buf, sizeof(buf), MSG_DONTWAIT, (struct sockaddr *)&name, &name_len);
	if (len > 0 && !sockaddr_from_native((struct sockaddr *)&name, &from))
		take(r, buf, (size_t)len, &from);
	return true;
}

/* One more than at the last time that this was awaited. */
static void await(struct rogue *r, const char *what)
{
	unsigned int *seen = &r->discoveries, *awaited = &r->awaited_discoveries;
	uint64_t end = clock_now() + AWAIT_NS;

	if (!strncmp(what, "request", 7)) {
		seen = &r->requests[what[7] == '6'];
		awaited = &r->awaited[what[7] == '6'];
	}
	while (*seen == *awaited) {
		listen_once(r, 100);
		if (clock_now() > end) {
			errno = ETIMEDOUT;
			die(what);
		}
	}
	*awaited = *seen;
}

static void send_by(const struct rogue *r, int fd, const struct packet *p)
{
	struct sockaddr_storage name;
	socklen_t len = sockaddr_to_native(&r->gateway, &name);

	/* an ICMP error of an earlier message may come out in place of sending this */
	if (sendto(fd, p->octets, p->len, 0, (struct sockaddr *)&name, len) < 0)
		(void)sendto(fd, p->octets, p->len, 0, (struct sockaddr *)&name, len);
}

/* ---- good messages ---- */

static void make_advertisement(const struct rogue *r, struct packet *p)
{
	const struct amt_message msg = {
		.type = AMT_ADVERTISEMENT,
		.nonce = r->discovery,
		.relay = r->relay.addr,
	};

	packet_message(p, &msg);
}

static void make_query(const struct rogue *r, bool mld, unsigned int interval, bool endpoint,
		       struct packet *p)
{
	struct query_params params = {.robustness = 2, .interval_s = interval};
	uint8_t datagram[QUERY_MLD_LEN];
	struct amt_message msg = {
		.type = AMT_QUERY,
		.nonce = r->request[mld],
		.mac = "rogue",
		.gateway_present = endpoint,
		.gateway = r->gateway,
		.datagram = datagram,
	};
	int len;

	if (mld)
		addr_parse("fe80::7", &params.source);
	len = query_write(mld, &params, datagram, sizeof(datagram));
	if (len < 0)
		die("query");
	msg.datagram_len = (size_t)len;
	packet_message(p, &msg);
}

/* A UDP datagram without checksums of its own matters nothing to the packet path. */
static void make_data(const char *group, struct packet *p)
{
	static const uint8_t header4[] = {0x45, 0, 0, 60, 0, 0, 0, 0, 16, IPPROTO_UDP};
	static const uint8_t header6[] = {0x60, 0, 0, 0, 0, 40, IPPROTO_UDP, 16};
	uint8_t *ip = p->octets + AMT_DATA_DATAGRAM;
	struct amt_addr to;

	addr_parse(group, &to);
	memset(p, 0, sizeof(*p));
	p->octets[0] = AMT_DATA;
	if (addr_is_ipv4(&to)) {
		memcpy(ip, header4, sizeof(header4));
		memcpy(ip + 12, "\x0a\x01\x00\x01", 4);
		memcpy(ip + 16, to.bytes + AMT_ADDR_V4_OFFSET, 4);
		p->len = AMT_DATA_DATAGRAM + 60;
	} else {
		memcpy(ip, header6, sizeof(header6));
		ip[8] = 0x20;
		ip[23] = 1;
		memcpy(ip + 24, to.bytes, 16);
		p->len = AMT_DATA_DATAGRAM + 80;
	}
}

/* ---- wrong ones ---- */

static const struct fault faults[] = {
	{"report", true, IGMP_AT, 0x22, ICMPV6_AT, 143},
	{"group", true, IGMP_AT + 4, 239, ICMPV6_AT + 8, 0xff},
	{"sources", true, IGMP_AT + 11, 1, ICMPV6_AT + 27, 1},
	{"inner-length", true, 3, 0xff, 5, 0xff},
	{NULL, false, 0, 0, 0, 0},
};

/* Spoils what is common to both, and says from where it is to be sent. */
static bool outer_fault(const struct rogue *r, struct packet *p, size_t nonce, const char *name,
			int *fd)
{
	if (!strcmp(name, "peer"))
		*fd = r->fd_other;
	else if (!strcmp(name, "port"))
		*fd = r->fd_port;
	else if (!strcmp(name, "nonce"))
		p->octets[nonce] ^= 0x01;
	else if (!strcmp(name, "version"))
		p->octets[0] |= 0x10;
	else
		return false;
	return true;
}

static void unknown(const char *name)
{
	errno = EINVAL;
	die(name);
}

static void advertise(struct rogue *r, const char *fault)
{
	struct packet p;
	int fd = r->fd;

	make_advertisement(r, &p);
	if (fault && !strcmp(fault, "relay"))
		p.octets[AMT_ADVERTISEMENT_RELAY] = addr_is_ipv4(&r->relay.addr) ? 239 : 0xff;
	else if (fault && !outer_fault(r, &p, AMT_ADVERTISEMENT_NONCE, fault, &fd))
		unknown(fault);
	send_by(r, fd, &p);
}

static void query(struct rogue *r, bool mld, const char *fault)
{
	bool interval = fault && !strncmp(fault, "interval=", 9);
	struct packet p;
	int fd = r->fd;

	make_query(r, mld, interval ? (unsigned int)atoi(fault + 9) : 125, false, &p);
	if (!fault || interval)
		;
	else if (!strcmp(fault, "protocol-other"))
		make_query(r, !mld, 125, false, &p),
			memcpy(p.octets + AMT_QUERY_NONCE, &r->request[mld], AMT_NONCE_LEN);
	else if (!strcmp(fault, "old"))
		memcpy(p.octets + AMT_QUERY_NONCE, &r->old[mld], AMT_NONCE_LEN);
	else if (!packet_fault(&p, faults, mld, fault) &&
		 !outer_fault(r, &p, AMT_QUERY_NONCE, fault, &fd))
		unknown(fault);
	send_by(r, fd, &p);
}

static void send_type(const struct rogue *r, const char *number)
{
	struct packet p = {.len = 40};

	p.octets[0] = (uint8_t)atoi(number);
	send_by(r, r->fd, &p);
}

static void send_lengths(const struct rogue *r, const char *what)
{
	struct packet p;

	if (!strcmp(what, "advertise"))
		make_advertisement(r, &p);
	else
		make_query(r, what[5] == '6', 125, false, &p);
	while (p.len-- > 0)
		send_by(r, r->fd, &p);
}

static void send_data(const struct rogue *r, const char *group)
{
	struct packet p;

	make_data(group, &p);
	send_by(r, r->fd, &p);
}

/* ---- mutated ---- */

static void listen_all(struct rogue *r)
{
	while (listen_once(r, 0))
		;
}

/* Now and then each question is answered well, so that the gateway gets on. */
static void answer(struct rogue *r)
{
	struct packet p;
	unsigned int i;

	listen_all(r);
	if (r->advertised != r->discoveries && !random_below(4)) {
		advertise(r, NULL);
		r->advertised = r->discoveries;
	}
	for (i = 0; i < 2; i++) {
		if (r->answered[i] == r->requests[i] || random_below(4))
			continue;
		make_query(r, i, 2, random_below(2), &p);
		send_by(r, r->fd, &p);
		r->answered[i] = r->requests[i];
	}
}

static void mutate(struct rogue *r, unsigned long number, const char *group4, const char *group6)
{
	unsigned int turns, kind;
	struct packet p;

	for (; number; number--) {
		kind = random_below(6);
		if (kind == 0)
			make_advertisement(r, &p);
		else if (kind < 4)
			make_query(r, kind == 1, 2, random_below(2), &p);
		else
			make_data(kind == 4 ? group4 : group6, &p);
		for (turns = random_below(4) + 1; turns; turns--)
			packet_mutate(&p);
		if (p.len && p.octets[0] == AMT_QUERY && random_below(2))
			packet_repair(&p); /* so that what is behind the checksums is reached */
		send_by(r, r->fd, &p);
		if (number % LISTEN_EVERY == 0)
			listen_all(r); /* what is asked now is answered wrongly first */
	}
	answer(r);
}

/* ---- lines ---- */

static void obey(struct rogue *r, char *const word[WORDS])
{
	if (!strcmp(word[0], "await") && word[1])
		await(r, word[1]);
	else if (!strcmp(word[0], "advertise"))
		advertise(r, word[1]);
	else if (!strcmp(word[0], "query4") || !strcmp(word[0], "query6"))
		query(r, word[0][5] == '6', word[1]);
	else if (!strcmp(word[0], "type") && word[1])
		send_type(r, word[1]);
	else if (!strcmp(word[0], "lengths") && word[1])
		send_lengths(r, word[1]);
	else if (!strcmp(word[0], "data") && word[1])
		send_data(r, word[1]);
	else if (!strcmp(word[0], "mutate") && word[3])
		mutate(r, strtoul(word[1], NULL, 10), word[2], word[3]);
	else
		unknown(word[0]);
}

int main(int argc, char **argv)
{
	struct rogue r = {.relay.port = htons(AMT_PORT), .other.port = htons(AMT_PORT)};
	struct amt_sockaddr port;
	char line[256], *word[WORDS], *save;
	unsigned int i;

	if (argc != 3 || addr_parse(argv[1], &r.relay.addr) || addr_parse(argv[2], &r.other.addr)) {
		fprintf(stderr, "usage: rogue RELAY OTHER\n");
		return 2;
	}
	port = (struct amt_sockaddr){r.relay.addr, htons(AMT_PORT + 1)};
	r.fd = packet_socket(&r.relay);
	r.fd_other = packet_socket(&r.other);
	r.fd_port = packet_socket(&port);
	while (fgets(line, sizeof(line), stdin)) {
		for (i = 0; i < WORDS; i++)
			word[i] = strtok_r(i ? NULL : line, " \n", &save);
		if (word[0])
			obey(&r, word);
		puts("ok");
		fflush(stdout);
	}
	return 0;
}
