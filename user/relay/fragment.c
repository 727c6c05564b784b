/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "relay/fragment.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include "base/checksum.h"

/* IPv4 header (RFC 791 3.1) */
#define IPV4_HLEN      20
#define IPV4_TOTAL     2
#define IPV4_FRAGMENT  6
#define IPV4_CHECKSUM  10
#define IPV4_MF	       0x2000
#define IPV4_OFFSET    0x1fff
#define OPTION_END     0
#define OPTION_NOP     1
#define OPTION_COPIED  0x80 /* an option that stands in every fragment */
#define OPTION_ALIGNED 4

struct header {
	uint8_t octets[60];
	size_t len;
};

static uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static void put16(uint8_t *at, unsigned int value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

/* The header of all fragments but the first: with only those options that say so. */
static bool header_of_rest(const struct header *first, struct header *rest)
{
	size_t at = IPV4_HLEN, len;

	memcpy(rest->octets, first->octets, IPV4_HLEN);
	rest->len = IPV4_HLEN;
	while (at < first->len && first->octets[at] != OPTION_END) {
		if (first->octets[at] == OPTION_NOP) {
			at++;
			continue;
		}
		if (at + 1 >= first->len)
			return false;
		len = first->octets[at + 1];
		if (len < 2 || at + len > first->len)
			return false;
		if (first->octets[at] & OPTION_COPIED) {
			memcpy(rest->octets + rest->len, first->octets + at, len);
			rest->len += len;
		}
		at += len;
	}
	while (rest->len % OPTION_ALIGNED)
		rest->octets[rest->len++] = OPTION_END;
	rest->octets[0] = (uint8_t)(0x40 | rest->len / 4);
	return true;
}

/* Puts the header in front of len octets of payload that are in place. */
static void header_write(const struct header *header, unsigned int fragment, size_t len,
			 uint8_t *out)
{
	__be16 checksum;

	memcpy(out, header->octets, header->len);
	put16(out + IPV4_TOTAL, (unsigned int)(header->len + len));
	put16(out + IPV4_FRAGMENT, fragment);
	put16(out + IPV4_CHECKSUM, 0);
	checksum = checksum_finish(checksum_add(0, out, header->len));
	memcpy(out + IPV4_CHECKSUM, &checksum, sizeof(checksum));
}

static bool header_read(const uint8_t *datagram, size_t len, struct header *header, size_t *total)
{
	if (len < IPV4_HLEN || datagram[0] >> 4 != 4)
		return false;
	header->len = (size_t)(datagram[0] & 0x0f) * 4;
	*total = get16(datagram + IPV4_TOTAL);
	if (header->len < IPV4_HLEN || *total < header->len || *total > len)
		return false;
	memcpy(header->octets, datagram, header->len);
	return true;
}

int fragment_ipv4(const void *datagram, size_t len, size_t mtu,
		  void (*fn)(void *arg, const uint8_t *fragment, size_t len), void *arg)
{
	const uint8_t *payload = datagram;
	uint8_t out[FRAGMENT_MAX];
	struct header first, rest;
	const struct header *header = &first;
	size_t total, done, piece;
	unsigned int field;
	int n = 0;

	if (!header_read(datagram, len, &first, &total) || !header_of_rest(&first, &rest))
		return -EINVAL;
	if (mtu < first.len + 8)
		return -EMSGSIZE;
	if (mtu > FRAGMENT_MAX)
		mtu = FRAGMENT_MAX;
	payload += first.len;
	total -= first.len;
	field = get16(first.octets + IPV4_FRAGMENT);
	if ((field & IPV4_OFFSET) * 8 + total > FRAGMENT_MAX) /* would run into the flags */
		return -EINVAL;
	for (done = 0; done < total || !n; done += piece, header = &rest) {
		unsigned int offset = (field & IPV4_OFFSET) + (unsigned int)(done / 8);
		bool last = total - done <= mtu - header->len;

		piece = last ? total - done : (mtu - header->len) & ~(size_t)7;
		memcpy(out + header->len, payload + done, piece);
		/* The last piece of a fragment is not the last of the datagram */
		header_write(header, offset | (last ? field & IPV4_MF : IPV4_MF), piece, out);
		fn(arg, out, header->len + piece);
		n++;
	}
	return n;
}
