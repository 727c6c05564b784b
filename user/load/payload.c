/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "load/payload.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

enum {
	OFFSET_STREAM = 4,
	OFFSET_SEQUENCE = 8,
	OFFSET_TOTAL = 16,
	OFFSET_CHECK = 24,
	OFFSET_CHUNK = 28,
	OFFSET_RESERVED = 30,
};

static const uint8_t magic[4] = {'A', 'M', 'T', 'L'};

static uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
	return hash ^ (hash >> 29);
}

/* Eight octets a step: thousands of receivers check every payload in one process. */
static uint64_t hash_octets(uint64_t hash, const uint8_t *data, size_t len)
{
	uint64_t word;

	for (; len >= sizeof(word); data += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, data, sizeof(word));
		hash = mix(hash, le64toh(word));
	}
	word = 0;
	memcpy(&word, data, len);
	return mix(hash, le64toh(word));
}

/* Over everything but the check itself. */
static uint32_t payload_check(const uint8_t *payload, size_t len)
{
	uint64_t hash = hash_octets(len, payload, OFFSET_CHECK);

	hash = hash_octets(hash, payload + OFFSET_CHUNK, len - OFFSET_CHUNK);
	return (uint32_t)(hash ^ (hash >> 32));
}

static void put32(uint8_t *at, uint32_t value)
{
	value = htobe32(value);
	memcpy(at, &value, sizeof(value));
}

static void put64(uint8_t *at, uint64_t value)
{
	value = htobe64(value);
	memcpy(at, &value, sizeof(value));
}

static uint32_t get32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return be32toh(value);
}

static uint64_t get64(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return be64toh(value);
}

size_t payload_write(const struct payload *payload, void *buf)
{
	size_t len = PAYLOAD_HEADER + payload->content_len;
	uint8_t *at = buf;

	memcpy(at, magic, sizeof(magic));
	put32(at + OFFSET_STREAM, payload->stream);
	put64(at + OFFSET_SEQUENCE, payload->sequence);
	put64(at + OFFSET_TOTAL, payload->total);
	at[OFFSET_CHUNK] = (uint8_t)(payload->chunk >> 8);
	at[OFFSET_CHUNK + 1] = (uint8_t)payload->chunk;
	memset(at + OFFSET_RESERVED, 0, PAYLOAD_HEADER - OFFSET_RESERVED);
	put32(at + OFFSET_CHECK, payload_check(at, len));
	return len;
}

int payload_parse(const void *buf, size_t len, struct payload *payload)
{
	const uint8_t *at = buf;

	if (len < PAYLOAD_HEADER || memcmp(at, magic, sizeof(magic)))
		return -EPROTO;
	if (get32(at + OFFSET_CHECK) != payload_check(at, len))
		return -EBADMSG;
	payload->stream = get32(at + OFFSET_STREAM);
	payload->sequence = get64(at + OFFSET_SEQUENCE);
	payload->total = get64(at + OFFSET_TOTAL);
	payload->chunk = (uint16_t)(at[OFFSET_CHUNK] << 8 | at[OFFSET_CHUNK + 1]);
	payload->content = at + PAYLOAD_HEADER;
	payload->content_len = len - PAYLOAD_HEADER;
	return 0;
}

void payload_generate(uint32_t stream, uint64_t sequence, void *content, size_t len)
{
	uint64_t word = mix(stream, sequence);
	uint8_t *at = content;
	size_t n;

	for (; len > 0; at += n, len -= n) {
		uint64_t octets = htole64(word);

		n = len < sizeof(octets) ? len : sizeof(octets);
		memcpy(at, &octets, n);
		word = mix(word, len);
	}
}
