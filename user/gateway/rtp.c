/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/rtp.h"

#define RTP_HLEN 12

void rtp_packet(struct rtp *rtp, const uint8_t *payload, size_t len)
{
	uint16_t sequence;
	uint32_t ssrc;
	int16_t step;

	if (len < RTP_HLEN || payload[0] >> 6 != 2) {
		rtp->other = true;
		return;
	}
	sequence = (uint16_t)(payload[2] << 8 | payload[3]);
	ssrc = (uint32_t)payload[8] << 24 | (uint32_t)payload[9] << 16 |
	       (uint32_t)payload[10] << 8 | payload[11];
	if (!rtp->started) {
		rtp->started = true;
		rtp->type = payload[1] & 0x7f;
		rtp->ssrc = ssrc;
		rtp->last = (uint16_t)(sequence - 1);
	}
	if (rtp->type != (payload[1] & 0x7f) || rtp->ssrc != ssrc)
		rtp->other = true;
	step = (int16_t)(uint16_t)(sequence - rtp->last);
	if (step > 0) {
		rtp->expected += step;
		rtp->last = sequence;
	}
	rtp->received++;
}

bool rtp_is_one(const struct rtp *rtp)
{
	return rtp->received > 1 && !rtp->other;
}

uint64_t rtp_lost(const struct rtp *rtp)
{
	return rtp->expected > rtp->received ? (uint64_t)(rtp->expected - rtp->received) : 0;
}
