/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A rate per source address in memory that never grows: a fixed table of token
 * buckets, set-associative by a keyed hash. A flood from forged addresses can push a bucket out,
 * which only gives its address a full bucket again: nobody is starved by others.
 */
#ifndef AMT_RELAY_RATELIMIT_H
#define AMT_RELAY_RATELIMIT_H

#include <stdbool.h>
#include <stdint.h>
#include <amt/limit.h>
#include "base/addr.h"

struct ratelimit;

/* per_second 0: no limit. NULL: no memory. */
struct ratelimit *ratelimit_new(unsigned int per_second, unsigned int burst,
				const uint8_t hash_key[16]);
void ratelimit_free(struct ratelimit *limit);
/* Another rate from now on; what addresses have taken counts on. */
void ratelimit_set(struct ratelimit *limit, unsigned int per_second, unsigned int burst);

/* Octets out for an octet in that the addresses may have; 0, as at first: without bound. */
void ratelimit_set_amplification(struct ratelimit *limit, unsigned int amplification);
const struct amt_limits *ratelimit_limits(const struct ratelimit *limit);

/* May the address have an answer of `out` octets to `in`? See amt_limit(). */
enum amt_limit ratelimit_answer(struct ratelimit *limit, uint64_t now, const struct amt_addr *addr,
				uint32_t in, uint32_t out, bool proven);
/* Takes one token of the address; false when there is none. */
bool ratelimit_take(struct ratelimit *limit, uint64_t now, const struct amt_addr *addr);

#endif
