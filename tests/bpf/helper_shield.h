/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The shield without amtd: amt_ingress with the role of an uplink, its maps filled by hand, and
 * messages as gateways send them. Answers are judged here independently of the code under test,
 * with the codec and the response MAC of userspace.
 */
#ifndef AMT_TESTS_BPF_SHIELD_H
#define AMT_TESTS_BPF_SHIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <amt/counters.h>
#include <amt/maps.h>
#include "base/addr.h"
#include "bpf/helper_packet.h"
#include "proto/message.h"
#include "skel/amt_xdp.skel.h"

#define RELAY4	   "192.0.2.1"
#define RELAY6	   "2001:db8::1"
#define DISCOVERY4 "192.0.2.2" /* listened on, not advertised */
#define GATEWAY4   "203.0.113.9"
#define GATEWAY6   "2001:db8:9::9"
#define PORT	   40000

#define SHIELD_MAC     "02:00:00:00:00:01" /* of the uplink */
#define SHIELD_SOCKETS 3		   /* that the shield finds somebody listening on */
#define SHIELD_ADDRESSES                   \
	{                                  \
		RELAY4, RELAY6, DISCOVERY4 \
	}

struct shield_frame {
	uint8_t octets[FRAME_MAX];
	uint32_t length, ip, udp, payload; /* offsets */
};

struct shield {
	struct amt_xdp *xdp;
	struct amt_config config;
	struct amt_shield policy;
	int sockets[SHIELD_SOCKETS];
	/* what came out of the last run */
	uint8_t out[FRAME_MAX];
	uint32_t out_length;
};

/* For cmocka: one for all tests of a program, as in the beginning for each. */
extern struct shield shield;
int shield_setup_all(void **state);
int shield_setup(void **state);
int shield_teardown_all(void **state);

void shield_open(struct shield *s);
void shield_close(struct shield *s);
/* Maps, counters and policy as in the beginning. */
void shield_reset(struct shield *s);
void shield_policy(struct shield *s);
void shield_secret(struct shield *s, unsigned int index, char letter, uint64_t installed_ns);
struct amt_secret shield_key(char letter);
/* Of one list of prefixes, whose bits are those of the 16-octet form. */
void shield_permit(struct shield *s, uint32_t list, uint32_t bits, const struct amt_addr *addr);
void shield_listen(struct shield *s, bool listen);
int shield_map(struct shield *s, const char *name);
uint64_t shield_counter(struct shield *s, enum amt_counter counter);

/* A frame with `payload` from the gateway to the relay, IPv4 or IPv6 by `from`. */
void shield_build(struct shield_frame *frame, const char *from, unsigned int port, const char *to,
		  const void *payload, uint32_t length);
/* Writes the checksums anew, after a change. */
void shield_checksums(struct shield_frame *frame);
void shield_message(struct shield_frame *frame, const char *from, const struct amt_message *msg);
/* The verdict; what came out is in s->out. */
int shield_run(struct shield *s, const struct shield_frame *frame);
/* The answer's AMT message, after a look at all in front of it; fails the test where that is wrong.
 */
struct amt_message shield_answer(struct shield *s, const struct shield_frame *question);
/* Whether the answer is one at all; *why says what is wrong with it. */
bool shield_is_answer(struct shield *s, const struct shield_frame *question, const char **why);

#endif
