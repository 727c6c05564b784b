/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SipHash-2-4 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", section 2: c = 2, d = 4),
 * in pieces without loops over the input, so that BPF and userspace compile the same. Words are the
 * input's octets read as little-endian numbers.
 */
#ifndef AMT_SIPHASH_H
#define AMT_SIPHASH_H

#include <linux/types.h>

struct amt_sip {
	__u64 v0, v1, v2, v3;
};

static inline __attribute__((always_inline)) __u64 amt_sip_rotate(__u64 word, unsigned int bits)
{
	return word << bits | word >> (64 - bits);
}

static inline __attribute__((always_inline)) void amt_sip_round(struct amt_sip *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = amt_sip_rotate(s->v1, 13) ^ s->v0;
	s->v3 = amt_sip_rotate(s->v3, 16) ^ s->v2;
	s->v0 = amt_sip_rotate(s->v0, 32);
	s->v2 += s->v1;
	s->v0 += s->v3;
	s->v1 = amt_sip_rotate(s->v1, 17) ^ s->v2;
	s->v3 = amt_sip_rotate(s->v3, 21) ^ s->v0;
	s->v2 = amt_sip_rotate(s->v2, 32);
}

/* k0, k1: the key's two words. */
static inline __attribute__((always_inline)) void amt_sip_begin(struct amt_sip *s, __u64 k0,
								__u64 k1)
{
	s->v0 = k0 ^ 0x736f6d6570736575;
	s->v1 = k1 ^ 0x646f72616e646f6d;
	s->v2 = k0 ^ 0x6c7967656e657261;
	s->v3 = k1 ^ 0x7465646279746573;
}

/* One word of the input. */
static inline __attribute__((always_inline)) void amt_sip_word(struct amt_sip *s, __u64 word)
{
	s->v3 ^= word;
	amt_sip_round(s);
	amt_sip_round(s);
	s->v0 ^= word;
}

/* rest: the octets, fewer than 8, that fill no word; length: of the whole input. */
static inline __attribute__((always_inline)) __u64 amt_sip_end(struct amt_sip *s, __u64 rest,
							       __u64 length)
{
	amt_sip_word(s, length << 56 | rest);
	s->v2 ^= 0xff;
	amt_sip_round(s);
	amt_sip_round(s);
	amt_sip_round(s);
	amt_sip_round(s);
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

#endif
