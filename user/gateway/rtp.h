/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loss in one RTP stream, as far as its sequence numbers tell (RFC 3550 A.3). Whether UDP payloads
 * are RTP is a guess: version 2, and one payload type and SSRC in all of them. Pure.
 */
#ifndef AMT_GATEWAY_RTP_H
#define AMT_GATEWAY_RTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rtp {
	bool started, other; /* other: something that is not of one RTP stream */
	uint8_t type;
	uint32_t ssrc;
	uint16_t last;	  /* highest sequence number */
	int64_t expected; /* from the first to the highest */
	int64_t received; /* duplicates too */
};

void rtp_packet(struct rtp *rtp, const uint8_t *payload, size_t len);
/* All were of one stream, and more than one. */
bool rtp_is_one(const struct rtp *rtp);
uint64_t rtp_lost(const struct rtp *rtp);

#endif
