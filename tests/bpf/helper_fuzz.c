// SPDX-License-Identifier: GPL-2.0-or-later
/* See helper_fuzz.h. */
#include "bpf/helper_fuzz.h"
#include "unit/unit.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <amt/wire.h>
#include "proto/report.h"
#include "proto/response_mac.h"

static struct shield_frame f; /* in the making */
static uint64_t random_state = 88172645463325252ull;

static uint32_t below(uint32_t bound)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 32) % bound;
}

#define PICK(list) list[below(sizeof(list) / sizeof((list)[0]))]

/* ---- good messages ---- */

static const char *const gateways[] = {"203.0.113.9",	"203.0.113.10",	 "198.51.100.1",
				       "2001:db8:9::9", "2001:db8:9::a", "2001:db8:a::1"};
/* Those that a stack has its own opinion of. */
static const char *const strange[] = {
	RELAY4,		 RELAY6,    DISCOVERY4,	 "192.0.2.255", "192.0.2.0",   "192.0.2.77",
	"0.0.0.0",	 "0.1.2.3", "127.0.0.1", "224.0.0.1",	"240.1.2.3",   "255.255.255.255",
	"2001:db8::",	 "::",	    "::1",	 "fe80::9",	"ff02::1",     "::ffff:203.0.113.9",
	"::203.0.113.9", "fec0::1", "fc00::1",	 "64:ff9b::1",	"2001:db8::77"};

static uint32_t make_question(uint8_t *out)
{
	uint32_t length = below(8) ? 8 : 8 + below(3);

	for (uint32_t i = 0; i < length; i++)
		out[i] = (uint8_t)below(256);
	out[0] = below(3) ? AMT_REQUEST : AMT_DISCOVERY;
	out[1] = below(2) ? (uint8_t)below(4) : out[1];
	if (!below(50))
		memset(out + 4, 0, 4);
	return length;
}

static uint32_t make_report(bool ipv6, uint8_t *out, size_t size)
{
	static const enum record_type types[] = {RECORD_IS_EX, RECORD_TO_IN, RECORD_TO_EX};
	char text[32];
	struct report_build record = {.type = PICK(types)};
	int length;

	snprintf(text, sizeof(text), ipv6 ? "ff1e::%x" : "239.1.1.%u", below(6) + 1);
	record.group = packet_address(text);
	length = report_write(ipv6, NULL, &record, 1, out, size);
	assert_true(length > 0);
	return (uint32_t)length;
}

/* By the current secret, the previous or neither, with E or without. */
static void make_mac(const struct amt_sockaddr *gateway, struct amt_message *msg)
{
	struct amt_secret secret = shield_key("cccpx"[below(5)]);

	msg->nonce = below(3);
	response_mac(&secret, gateway, msg->nonce, below(2), msg->mac);
	if (!below(8))
		msg->mac[below(AMT_MAC_LEN)] ^= (uint8_t)(1 << below(8));
}

static uint32_t make_proof(const char *from, unsigned int port, uint8_t *out, size_t size)
{
	struct amt_sockaddr gateway = {packet_address(from), htons((uint16_t)port)};
	struct amt_message msg = {.type = below(4) ? AMT_UPDATE : AMT_TEARDOWN, .gateway = gateway};
	uint8_t report[256];
	int length;

	if (msg.type == AMT_TEARDOWN && !below(4))
		msg.gateway.addr = packet_address(PICK(gateways));
	make_mac(&msg.gateway, &msg);
	msg.datagram = report;
	msg.datagram_len = make_report(below(2), report, sizeof(report));
	length = message_write(&msg, out, size);
	assert_true(length > 0);
	return (uint32_t)length;
}

static void make_frame(void)
{
	const char *from = below(10) ? PICK(gateways) : PICK(strange);
	bool ipv6 = strchr(from, ':');
	const char *to = ipv6 ? RELAY6 : below(4) ? RELAY4 : DISCOVERY4;
	unsigned int port = below(50) ? 40000 + below(4) : 0;
	uint8_t message[512];
	uint32_t length = below(2) ? make_question(message)
				   : make_proof(from, port, message, sizeof(message));

	if (!below(40))
		message[0] = (uint8_t)below(256);
	shield_build(&f, from, port, to, message, length);
}

/* ---- what happens to them ---- */

static void insert(uint32_t at, const void *octets, uint32_t length)
{
	memmove(f.octets + at + length, f.octets + at, f.length - at);
	memcpy(f.octets + at, octets, length);
	f.length += length;
}

static void add16(uint32_t at, int value)
{
	uint16_t field;

	memcpy(&field, f.octets + at, sizeof(field));
	field = htons((uint16_t)(ntohs(field) + value));
	memcpy(f.octets + at, &field, sizeof(field));
}

/* IPv4 options, or an extension header: what they hold is padding. */
static void insert_options(void)
{
	static const uint8_t none4[4] = {1, 1, 1, 0}, none6[8] = {IPPROTO_UDP, 0, 1, 4};

	if (f.length < f.udp)
		return;
	if (f.octets[f.ip] >> 4 == 4) {
		insert(f.udp, none4, sizeof(none4));
		f.octets[f.ip]++;
		add16(f.ip + 2, sizeof(none4));
		f.udp += sizeof(none4);
	} else {
		insert(f.udp, none6, sizeof(none6));
		f.octets[f.ip + 6] = below(2) ? IPPROTO_HOPOPTS : IPPROTO_DSTOPTS;
		add16(f.ip + 4, sizeof(none6));
		f.udp += sizeof(none6);
	}
}

/* More or fewer octets, of the message, of the datagram or of the frame alone. */
static void change_length(void)
{
	int change = (int)below(7) - 3;

	switch (below(4)) {
	case 0: /* all of them, rightly */
		add16(f.udp + 4, change);
		/* fall through */
	case 1: /* octets behind UDP's */
		add16(f.ip + (f.octets[f.ip] >> 4 == 4 ? 2 : 4), change);
		break;
	case 2:
		add16(f.udp + 4, change);
		break;
	default:
		f.length = below(4) ? f.length + below(40) : 14 + below(f.length - 14);
	}
}

static void mutate(void)
{
	static const uint8_t tag[4] = {0x81, 0, 0, 7};

	switch (below(12)) {
	case 0:
		insert_options();
		break;
	case 1:
	case 2:
		change_length();
		break;
	case 3:
		insert(12, tag, sizeof(tag));
		break;
	case 4:
		f.octets[f.ip + 6] ^= (uint8_t)(1 << below(8)); /* fragments, among others */
		break;
	case 5:
		memset(f.octets + f.udp + 6, 0, 2);
		break;
	case 6:
		f.octets[below(f.length)] = (uint8_t)below(256);
		break;
	case 7:
		f.octets[below(14)] ^= (uint8_t)(1 << below(8));
		break;
	case 8:
	case 9:
		f.octets[f.ip + below(f.payload - f.ip)] ^= (uint8_t)(1 << below(8));
		break;
	default:
		f.octets[below(f.length)] ^= (uint8_t)(1 << below(8));
	}
}

void fuzz_frame(struct shield_frame *frame)
{
	unsigned int changes = below(3);
	bool repair = below(2);

	make_frame();
	while (changes--)
		mutate();
	if (repair)
		shield_checksums(&f);
	*frame = f;
}
