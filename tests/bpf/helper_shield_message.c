// SPDX-License-Identifier: GPL-2.0-or-later
/* See helper_shield_message.h. */
#include "bpf/helper_shield_message.h"
#include "unit/unit.h"

#include <arpa/inet.h>
#include <linux/bpf.h>
#include <string.h>
#include <amt/wire.h>
#include "proto/query.h"
#include "proto/response_mac.h"

const char *const shield_outer[2] = {GATEWAY4, GATEWAY6};

struct amt_sockaddr shield_gateway(const char *from)
{
	return (struct amt_sockaddr){packet_address(from), htons(PORT)};
}

void shield_request(struct shield_frame *f, const char *from, uint8_t flags)
{
	uint8_t octets[8] = {AMT_REQUEST, flags, 0xff, 0xff, 0x12, 0x34, 0x56, 0x78};

	shield_build(f, from, PORT, strchr(from, ':') ? RELAY6 : RELAY4, octets, sizeof(octets));
}

static void prove(struct amt_message *msg, const char *from, char letter, bool ecn,
		  unsigned int bit)
{
	const struct amt_sockaddr gateway = shield_gateway(from);
	const struct amt_secret secret = shield_key(letter);

	response_mac(&secret, &gateway, msg->nonce, ecn, msg->mac);
	if (bit != SHIELD_UNCHANGED)
		msg->mac[bit / 8] ^= 1 << bit % 8;
}

void shield_update(struct shield_frame *f, const char *from, char letter, bool ecn,
		   unsigned int bit)
{
	uint8_t report[40] = {0x46};
	struct amt_message msg = {
		.type = AMT_UPDATE,
		.nonce = SHIELD_NONCE,
		.datagram = report,
		.datagram_len = sizeof(report),
	};

	prove(&msg, from, letter, ecn, bit);
	shield_message(f, from, &msg);
}

void shield_teardown(struct shield_frame *f, const char *from, char letter, bool ecn,
		     unsigned int bit)
{
	struct amt_message msg = {
		.type = AMT_TEARDOWN, .nonce = SHIELD_NONCE, .gateway = shield_gateway(from)};

	prove(&msg, from, letter, ecn, bit);
	shield_message(f, from, &msg);
}

int shield_run_update(struct shield *s, struct shield_frame *f, const char *from, char letter,
		      bool ecn)
{
	int verdict;

	shield_update(f, from, letter, ecn, SHIELD_UNCHANGED);
	verdict = shield_run(s, f);
	if (verdict == XDP_PASS) {
		assert_int_equal(s->out_length, f->length);
		assert_memory_equal(s->out, f->octets, f->length);
	}
	return verdict;
}

void shield_expect_query(struct shield *s, const struct shield_frame *f, const char *from, bool mld,
			 bool ecn, bool limit, bool teardown)
{
	const struct amt_secret secret = shield_key('c');
	struct amt_message want = {
		.type = AMT_QUERY,
		.nonce = SHIELD_NONCE,
		.limit = limit,
		.gateway_present = teardown,
		.gateway = shield_gateway(from),
		.datagram = mld ? s->policy.mld_query : s->policy.igmp_query,
		.datagram_len = mld ? QUERY_MLD_LEN : QUERY_IGMP_LEN,
	};
	const uint8_t *got = s->out + 14 + (strchr(from, ':') ? 40 : 20) + 8;
	uint8_t octets[512];
	int length;

	shield_answer(s, f);
	response_mac(&secret, &want.gateway, want.nonce, ecn, want.mac);
	length = message_write(&want, octets, sizeof(octets));
	assert_int_equal(s->out_length, (got - s->out) + length);
	assert_memory_equal(got, octets, length);
}

void shield_expect_pass(struct shield *s, const struct shield_frame *f, const char *what)
{
	int verdict = shield_run(s, f);

	if (verdict != XDP_PASS)
		fail_msg("%s: verdict %d", what, verdict);
	assert_int_equal(s->out_length, f->length);
	assert_memory_equal(s->out, f->octets, f->length);
}
