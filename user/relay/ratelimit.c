/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "relay/ratelimit.h"

#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/siphash.h"

#define SETS 16384 /* power of two; times WAYS buckets of 24 octets: 1.5 MiB */
#define WAYS 4

struct bucket {
	uint64_t tag; /* hash of the address */
	struct amt_source source;
};

struct ratelimit {
	struct amt_limits limits;
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
	limit->limits.interval_ns = per_second ? NSEC_PER_SEC / per_second : 0;
	limit->limits.tolerance_ns = limit->limits.interval_ns * (burst ? burst - 1 : 0);
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
		if (set[i].source.full_at_ns < victim->source.full_at_ns)
			victim = &set[i];
	}
	victim->tag = tag;
	victim->source = (struct amt_source){0};
	return victim;
}

void ratelimit_set_amplification(struct ratelimit *limit, unsigned int amplification)
{
	limit->limits.amplification = amplification;
}

const struct amt_limits *ratelimit_limits(const struct ratelimit *limit)
{
	return &limit->limits;
}

enum amt_limit ratelimit_answer(struct ratelimit *limit, uint64_t now, const struct amt_addr *addr,
				uint32_t in, uint32_t out, bool proven)
{
	struct bucket *bucket;

	if (!limit->limits.interval_ns && !limit->limits.amplification)
		return AMT_LIMIT_NONE;
	bucket = bucket_find(limit, siphash24(limit->hash_key, addr, sizeof(*addr)));
	return amt_limit(&bucket->source, &limit->limits, now, in, out, proven);
}

bool ratelimit_take(struct ratelimit *limit, uint64_t now, const struct amt_addr *addr)
{
	return ratelimit_answer(limit, now, addr, 0, 0, true) == AMT_LIMIT_NONE;
}
