/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What arrives of one channel: for verify. Loss is told where the payloads look like one RTP
 * stream. Pure.
 */
#ifndef AMT_GATEWAY_ARRIVAL_H
#define AMT_GATEWAY_ARRIVAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/addr.h"
#include "gateway/rtp.h"

struct arrival {
	struct amt_addr source, group; /* source any: every one */
	uint64_t first_ns;	       /* 0: nothing yet */
	uint64_t packets, bytes;
	struct rtp rtp;
};

/* One datagram of len octets, of which held are there. What is not of the channel changes nothing.
 */
void arrival_datagram(struct arrival *arrival, uint64_t now, const void *datagram, size_t held,
		      size_t len);

#endif
