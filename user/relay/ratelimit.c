/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "relay/ratelimit.h"

#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "proto/response_mac.h"

#define SETS 16384 /* power of two; times WAYS buckets of 16 octets: 1 MiB */
#define WAYS 4	   /* one cache line */

/* A token bucket as one time: it is full when that has passed, and each token taken pushes it
 * ahead by the interval (the generic cell rate algorithm). */
struct bucket {
	uint64_t tag; /* hash of the address */
	uint64_t full_at;
};

struct ratelimit {
	uint64_t interval_ns;  /* one token */
	uint64_t tolerance_ns; /* the burst beyond the first token */
	uint8_t hash_key[16];
	struct bucket bucket[SETS][WAYS];
};

struct ratelimit *ratelimit_new(unsigned int per_second, unsigned int burst,
				const uint8_t hash_key[16])
{
	struct ratelimit *limit = calloc(1, sizeof(*limit));

	if (!limit)
		return NULL;
	ratelimit_set(limit, per_second, burst);
	memcpy(limit->hash_key, hash_key, sizeof(limit->hash_key));
	return limit;
}

void ratelimit_set(struct ratelimit *limit, unsigned int per_second, unsigned int burst)
{
	limit->interval_ns = per_second ? NSEC_PER_SEC / per_second : 0;
	limit->tolerance_ns = limit->interval_ns * (burst ? burst - 1 : 0);
}

void ratelimit_free(struct ratelimit *limit)
{
	free(limit);
}

/* The address's bucket, or the one of its set that says least: the one that is full first. */
static struct bucket *bucket_find(struct ratelimit *limit, uint64_t tag)
{
	struct bucket *set = limit->bucket[tag & (SETS - 1)], *victim = set;
	unsigned int i;

	for (i = 0; i < WAYS; i++) {
		if (set[i].tag == tag)
			return &set[i];
		if (set[i].full_at < victim->full_at)
			victim = &set[i];
	}
	victim->tag = tag;
	victim->full_at = 0;
	return victim;
}

bool ratelimit_take(struct ratelimit *limit, uint64_t now, const struct amt_addr *addr)
{
	struct bucket *bucket;

	if (!limit->interval_ns)
		return true;
	bucket = bucket_find(limit, siphash24(limit->hash_key, addr, sizeof(*addr)));
	if (bucket->full_at < now)
		bucket->full_at = now;
	if (bucket->full_at - now > limit->tolerance_ns)
		return false;
	bucket->full_at += limit->interval_ns;
	return true;
}
