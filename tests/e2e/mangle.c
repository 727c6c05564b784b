/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hostile gateway for the end-to-end tests: what amt-load, which plays by the rules, never sends.
 *
 *   mangle RELAY SOURCE STEP...     steps, one after the other:
 *     ask4, ask6       Request for IGMP or MLD and its Query, whose MAC later steps use
 *     through4, through6  the same in a length that the shield leaves to amtd, which then is
 *                      through with all that came before
 *     replies          what comes to fixed questions from port 40000, in hexadecimal
 *     join, leave      Membership Update for GROUP4 or GROUP6
 *     wait             until a line comes on standard input
 *     fault=NAME       an Update that is wrong in one way, see faults[]
 *     macs             an Update for each bit of the MAC, which is wrong
 *     teardown, teardown-wrong
 *     nonce0           Relay Discovery with nonce zero
 *     lengths          every message cut at every length
 *     mutate=N         N messages, each mutated from a good one; the relay has to live on
 *     flood=N          N Requests forged from many ports of 9 addresses
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include "base/addr.h"
#include "base/checksum.h"
#include "e2e/helper_packet.h"
#include "proto/message.h"
#include "proto/report.h"

#define GROUP4	      "239.9.9.9"
#define GROUP6	      "ff1e::9"
#define ASK_TRIES     20
#define ASK_MS	      500
#define BATCH	      128 /* mutated messages between two Requests that must be answered */
#define FLOOD_SOURCES 9
#define REPLIES_PORT  40000
#define PASSED_ON     2 /* octets too many, so that the shield leaves a Request to amtd */

struct gateway {
	int fd;
	struct amt_sockaddr relay, self;
	bool ipv6; /* inside */
	uint32_t nonce;
	uint8_t mac[AMT_MAC_LEN];
};

/* ICMP errors of earlier messages come out of later calls: no matter. */
static void send_packet(const struct gateway *gw, const struct packet *p)
{
	if (send(gw->fd, p->octets, p->len, 0) < 0)
		(void)send(gw->fd, p->octets, p->len, 0);
}

static void send_message(const struct gateway *gw, const struct amt_message *msg)
{
	struct packet p;

	packet_message(&p, msg);
	send_packet(gw, &p);
}

/* ---- good messages ---- */

static bool query_awaited(struct gateway *gw, uint32_t nonce)
{
	struct pollfd wait = {.fd = gw->fd, .events = POLLIN};
	struct amt_message msg;
	struct packet p;
	ssize_t len;

	while (poll(&wait, 1, ASK_MS) > 0) {
		len = recv(gw->fd, p.octets, sizeof(p.octets), MSG_DONTWAIT);
		if (len <= 0 || message_parse(p.octets, (size_t)len, &msg) ||
		    msg.type != AMT_QUERY || msg.nonce != nonce)
			continue;
		memcpy(gw->mac, msg.mac, sizeof(gw->mac));
		gw->nonce = nonce;
		return true;
	}
	return false;
}

static void ask(struct gateway *gw, bool ipv6, size_t more)
{
	struct amt_message msg = {.type = AMT_REQUEST, .want_mld = ipv6};
	struct packet p = {.len = AMT_REQUEST_LEN + more};
	int tries;

	gw->ipv6 = ipv6;
	msg.nonce = random_below(UINT32_MAX);
	for (tries = 0; tries < ASK_TRIES; tries++) {
		message_write(&msg, p.octets, sizeof(p.octets));
		send_packet(gw, &p);
		if (query_awaited(gw, msg.nonce))
			return;
	}
	errno = ETIMEDOUT;
	die("no Membership Query");
}

/* One line a question: the octets of its answer. */
static void replies(struct gateway *gw)
{
	static const uint8_t question[][AMT_REQUEST_LEN] = {
		{AMT_DISCOVERY, 0, 0, 0, 1, 2, 3, 4}, {AMT_REQUEST, 0, 0, 0, 5, 6, 7, 1},
		{AMT_REQUEST, 1, 0, 0, 5, 6, 7, 2},   {AMT_REQUEST, 2, 0, 0, 5, 6, 7, 3},
		{AMT_REQUEST, 3, 0, 0, 5, 6, 7, 4},   {AMT_REQUEST, 0x80, 0, 0, 5, 6, 7, 5},
		{AMT_REQUEST, 0x82, 9, 9, 5, 6, 7, 6}};
	struct pollfd wait = {.fd = gw->fd, .events = POLLIN};
	struct packet p;
	unsigned int i, tries;
	ssize_t len, at;

	for (i = 0; i < sizeof(question) / sizeof(question[0]); i++) {
		p.len = sizeof(question[i]);
		memcpy(p.octets, question[i], p.len);
		for (tries = 0; tries < ASK_TRIES; tries++) {
			send_packet(gw, &p);
			if (poll(&wait, 1, ASK_MS) > 0)
				break;
		}
		len = recv(gw->fd, p.octets, sizeof(p.octets), MSG_DONTWAIT);
		for (at = 0; at < len; at++)
			printf("%02x", p.octets[at]);
		printf("\n");
	}
}

static void make_update(const struct gateway *gw, enum record_type type, struct packet *p)
{
	struct amt_message msg = {.type = AMT_UPDATE, .nonce = gw->nonce};
	struct report_build record = {.type = type};
	uint8_t report[PACKET_MAX / 2];
	int len;

	addr_parse(gw->ipv6 ? GROUP6 : GROUP4, &record.group);
	len = report_write(gw->ipv6, NULL, &record, 1, report, sizeof(report));
	if (len < 0)
		die("report");
	memcpy(msg.mac, gw->mac, sizeof(msg.mac));
	msg.datagram = report;
	msg.datagram_len = (size_t)len;
	packet_message(p, &msg);
}

static void update(const struct gateway *gw, enum record_type type)
{
	struct packet p;

	make_update(gw, type, &p);
	send_packet(gw, &p);
}

static void make_teardown(const struct gateway *gw, struct packet *p)
{
	struct amt_message msg = {.type = AMT_TEARDOWN, .nonce = gw->nonce, .gateway = gw->self};

	memcpy(msg.mac, gw->mac, sizeof(msg.mac));
	packet_message(p, &msg);
}

/* ---- wrong Updates ---- */

static const struct fault faults[] = {
	{"report-type", true, IGMP_AT, 0x11, ICMPV6_AT, 130},
	{"report-short", true, IGMP_AT + 7, 2, ICMPV6_AT + 7, 2},
	{"record-type", true, IGMP_AT + 8, 9, ICMPV6_AT + 8, 9},
	{"group", true, IGMP_AT + 12, 10, ICMPV6_AT + 12, 0x20},
	{NULL, false, 0, 0, 0, 0},
};

/* What is wrong with the AMT message itself, and lengths. */
static bool outer_fault(struct packet *p, const char *name)
{
	if (!strcmp(name, "version"))
		p->octets[0] |= 0x10;
	else if (!strcmp(name, "type"))
		p->octets[0] = 9;
	else if (!strcmp(name, "query"))
		p->octets[0] = AMT_QUERY;
	else if (!strcmp(name, "data"))
		p->octets[0] = AMT_DATA;
	else if (!strcmp(name, "mac"))
		p->octets[AMT_UPDATE_MAC] ^= 0x80;
	else if (!strcmp(name, "mac-end"))
		p->octets[AMT_UPDATE_MAC + AMT_MAC_LEN - 1] ^= 0x80;
	else if (!strcmp(name, "nonce"))
		p->octets[AMT_UPDATE_NONCE] ^= 0x01;
	else if (!strcmp(name, "short"))
		p->len = AMT_UPDATE_DATAGRAM - 1;
	else if (!strcmp(name, "cut"))
		p->len--;
	else
		return false;
	return true;
}

static void send_fault(const struct gateway *gw, const char *name)
{
	struct packet p;

	make_update(gw, RECORD_TO_EX, &p);
	if (!packet_fault(&p, faults, gw->ipv6, name) && !outer_fault(&p, name)) {
		errno = EINVAL;
		die(name);
	}
	send_packet(gw, &p);
}

static void send_wrong_macs(const struct gateway *gw)
{
	struct packet p;
	unsigned int bit;

	for (bit = 0; bit < AMT_MAC_LEN * 8; bit++) {
		make_update(gw, RECORD_TO_EX, &p);
		p.octets[AMT_UPDATE_MAC + bit / 8] ^= (uint8_t)(1 << bit % 8);
		send_packet(gw, &p);
	}
}

static void send_teardown(const struct gateway *gw, bool wrong)
{
	struct packet p;

	make_teardown(gw, &p);
	p.octets[AMT_TEARDOWN_MAC + 5] ^= wrong;
	send_packet(gw, &p);
}

/* ---- messages out of good ones ---- */

/* The n-th good message, n = 0..TEMPLATES-1. */
#define TEMPLATES 7
static void make_template(struct gateway *gw, unsigned int n, struct packet *p)
{
	struct amt_message msg = {.nonce = random_below(UINT32_MAX)};

	if (n >= 3) {
		gw->ipv6 = n & 1;
		if (n == 3)
			make_teardown(gw, p);
		else
			make_update(gw, n == 4 ? RECORD_TO_IN : RECORD_TO_EX, p);
		return;
	}
	msg.type = n == 0 ? AMT_DISCOVERY : AMT_REQUEST;
	msg.want_mld = n == 2;
	packet_message(p, &msg);
}

static void send_lengths(struct gateway *gw)
{
	struct packet p;
	unsigned int n;
	size_t len;

	for (n = 0; n < TEMPLATES; n++) {
		make_template(gw, n, &p);
		for (len = p.len; len-- > 0;) {
			p.len = len;
			send_packet(gw, &p);
		}
		ask(gw, n & 1, PASSED_ON); /* the relay has taken them all */
	}
}

static void send_mutated(struct gateway *gw, unsigned long number)
{
	struct packet p;
	unsigned long i;
	unsigned int turns;

	for (i = 0; i < number; i++) {
		make_template(gw, random_below(TEMPLATES), &p);
		for (turns = random_below(4) + 1; turns; turns--)
			packet_mutate(&p);
		if (p.len && p.octets[0] == AMT_UPDATE && random_below(2))
			packet_repair(&p); /* so that what is behind the checksums is reached */
		send_packet(gw, &p);
		if (i % BATCH == BATCH - 1)
			ask(gw, false,
			    PASSED_ON); /* it answers still, and its socket's queue is empty */
	}
	ask(gw, false, PASSED_ON);
}

/* ---- forged Requests ---- */

/* Source i: the address with i + 1 as its last octet. */
static struct amt_sockaddr forged(const struct gateway *gw, unsigned int i)
{
	struct amt_sockaddr source = gw->self;

	source.addr.bytes[15] = (uint8_t)(i + 1);
	source.port = 0;
	return source;
}

/* A Request in a UDP packet of our own. */
static void make_forged(const struct gateway *gw, const struct amt_addr *source, uint16_t port,
			uint8_t packet[8 + AMT_REQUEST_LEN])
{
	struct amt_message msg = {.type = AMT_REQUEST, .nonce = random_below(UINT32_MAX)};
	const uint16_t length = 8 + AMT_REQUEST_LEN;
	__be16 words[4] = {htons(port), gw->relay.port, htons(length), 0};

	memcpy(packet, words, sizeof(words));
	message_write(&msg, packet + 8, AMT_REQUEST_LEN);
	words[3] = checksum_finish(
		checksum_add(checksum_add_pseudo(0, source, &gw->relay.addr, IPPROTO_UDP, length),
			     packet, length));
	memcpy(packet, words, sizeof(words));
}

static void flood(const struct gateway *gw, unsigned long number)
{
	uint8_t packet[8 + AMT_REQUEST_LEN];
	struct amt_sockaddr source[FLOOD_SOURCES];
	int fd[FLOOD_SOURCES];
	unsigned long i;
	unsigned int from;

	for (from = 0; from < FLOOD_SOURCES; from++) {
		source[from] = forged(gw, from);
		fd[from] = packet_raw_socket(&source[from].addr, &gw->relay.addr);
	}
	for (i = 0; i < number; i++) {
		from = (unsigned int)(i % FLOOD_SOURCES);
		make_forged(gw, &source[from].addr, (uint16_t)(1024 + random_below(64000)), packet);
		(void)!send(fd[from], packet, sizeof(packet), 0);
		if (i % 256 == 255)
			usleep(5000); /* the relay's share of the processor */
	}
	for (from = 0; from < FLOOD_SOURCES; from++)
		close(fd[from]);
}

/* ---- steps ---- */

static void wait_line(void)
{
	char line[64];

	if (!fgets(line, sizeof(line), stdin))
		die("standard input");
}

static void nonce_zero(const struct gateway *gw)
{
	struct amt_message msg = {.type = AMT_DISCOVERY};

	send_message(gw, &msg);
}

static void step(struct gateway *gw, char *name)
{
	char *value = strchr(name, '=');

	if (value)
		*value++ = 0;
	if (!strcmp(name, "ask4") || !strcmp(name, "ask6"))
		ask(gw, name[3] == '6', 0);
	else if (!strcmp(name, "through4") || !strcmp(name, "through6"))
		ask(gw, name[7] == '6', PASSED_ON);
	else if (!strcmp(name, "replies"))
		replies(gw);
	else if (!strcmp(name, "join"))
		update(gw, RECORD_TO_EX);
	else if (!strcmp(name, "leave"))
		update(gw, RECORD_TO_IN);
	else if (!strcmp(name, "wait"))
		wait_line();
	else if (!strcmp(name, "macs"))
		send_wrong_macs(gw);
	else if (!strcmp(name, "teardown") || !strcmp(name, "teardown-wrong"))
		send_teardown(gw, name[8]);
	else if (!strcmp(name, "nonce0"))
		nonce_zero(gw);
	else if (!strcmp(name, "lengths"))
		send_lengths(gw);
	else if (!strcmp(name, "fault") && value)
		send_fault(gw, value);
	else if (!strcmp(name, "mutate") && value)
		send_mutated(gw, strtoul(value, NULL, 10));
	else if (!strcmp(name, "flood") && value)
		flood(gw, strtoul(value, NULL, 10));
	else
		die(name);
}

static void open_socket(struct gateway *gw)
{
	struct sockaddr_storage name;
	socklen_t len = sockaddr_to_native(&gw->relay, &name);

	gw->fd = packet_socket(&gw->self);
	if (connect(gw->fd, (struct sockaddr *)&name, len))
		die("socket");
	len = sizeof(name);
	if (getsockname(gw->fd, (struct sockaddr *)&name, &len) ||
	    sockaddr_from_native((struct sockaddr *)&name, &gw->self))
		die("socket");
}

int main(int argc, char **argv)
{
	struct gateway gw = {.relay.port = htons(2268)};
	int i;

	if (argc < 4 || addr_parse(argv[1], &gw.relay.addr) || addr_parse(argv[2], &gw.self.addr)) {
		fprintf(stderr, "usage: mangle RELAY SOURCE STEP...\n");
		return 2;
	}
	if (!strcmp(argv[3], "replies"))
		gw.self.port = htons(REPLIES_PORT);
	open_socket(&gw);
	for (i = 3; i < argc; i++)
		step(&gw, argv[i]);
	close(gw.fd);
	return 0;
}
