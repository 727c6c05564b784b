/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What `amt-load send` puts into each UDP payload, so that every receiver can tell what it misses
 * and whether what it got is right: a header of 32 octets, then content. All in network byte order.
 *
 *   0 magic "AMTL"   4 stream id (random for each run)   8 sequence, from 0
 *  16 packets in all, 0: not known yet   24 check over the whole payload   28 content octets of a
 *  full packet, so that content lies at sequence * that   30 reserved
 */
#ifndef AMT_LOAD_PAYLOAD_H
#define AMT_LOAD_PAYLOAD_H

#include <stddef.h>
#include <stdint.h>

#define PAYLOAD_HEADER 32
#define PAYLOAD_MAX    65507

struct payload {
	uint32_t stream;
	uint64_t sequence;
	uint64_t total; /* packets of the stream; 0: the sender does not know yet */
	uint16_t chunk; /* content octets of every packet but the last */
	const uint8_t *content;
	size_t content_len;
};

/* Writes the header in front of content_len octets that stand at buf + PAYLOAD_HEADER already.
 * Returns the length of the payload. */
size_t payload_write(const struct payload *payload, void *buf);

/* Returns 0, -EPROTO: not one of ours, or -EBADMSG: one of ours, but damaged. Points into buf. */
int payload_parse(const void *buf, size_t len, struct payload *payload);

/* Content that only depends on stream and sequence, for streams that come from no file. */
void payload_generate(uint32_t stream, uint64_t sequence, void *content, size_t len);

#endif
