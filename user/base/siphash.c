/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/siphash.h"

#include <endian.h>
#include <string.h>
#include <amt/siphash.h>

static uint64_t load64(const uint8_t *at)
{
	uint64_t word;

	memcpy(&word, at, sizeof(word));
	return le64toh(word);
}

uint64_t siphash24(const uint8_t key[16], const void *data, size_t len)
{
	const uint8_t *at = data;
	struct amt_sip sip;
	uint64_t rest = 0;
	size_t left;

	amt_sip_begin(&sip, load64(key), load64(key + 8));
	for (left = len; left >= 8; left -= 8, at += 8)
		amt_sip_word(&sip, load64(at));
	while (left-- > 0)
		rest |= (uint64_t)at[left] << (8 * left);
	return amt_sip_end(&sip, rest, len & 0xff);
}
