/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages as gateways send them to the shield, and what each must come to.
 */
#ifndef AMT_TESTS_BPF_SHIELD_MESSAGE_H
#define AMT_TESTS_BPF_SHIELD_MESSAGE_H

#include "bpf/helper_shield.h"

#define SHIELD_NONCE	 0x78563412 /* of every message here */
#define SHIELD_UNCHANGED UINT32_MAX

/* One gateway of each outer family. */
extern const char *const shield_outer[2];
struct amt_sockaddr shield_gateway(const char *from);

void shield_request(struct shield_frame *f, const char *from, uint8_t flags);
/* Proved by the secret of that letter, but for a bit of the MAC that is wrong, if any. */
void shield_update(struct shield_frame *f, const char *from, char letter, bool ecn,
		   unsigned int bit);
void shield_teardown(struct shield_frame *f, const char *from, char letter, bool ecn,
		     unsigned int bit);
/* The verdict over a right Update, which stays as it is. */
int shield_run_update(struct shield *s, struct shield_frame *f, const char *from, char letter,
		      bool ecn);

/* The whole answer, octet by octet, is what the codec of userspace writes. */
void shield_expect_query(struct shield *s, const struct shield_frame *f, const char *from, bool mld,
			 bool ecn, bool limit, bool teardown);
/* Goes on to amtd, as it is. */
void shield_expect_pass(struct shield *s, const struct shield_frame *f, const char *what);

#endif
