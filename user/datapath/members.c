/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The relation of sets and tunnels; see members.h. Called by set.c, tunnel.c and adopt.c. */
#include "datapath/members.h"

#include <stdlib.h>
#include <string.h>

#include "datapath/chain.h"

#define POOL_MIN 64

struct members {
	struct member *pool;
	struct chain_link *in_tunnel, *in_set, *in_bucket;
	uint32_t capacity, free_head; /* free entries are chained by member.set */
	struct chain *tunnels, *sets, *buckets;
	uint32_t *set_size;
	uint32_t nbuckets; /* a power of two: the capacity */
};

static struct chain *new_chains(uint32_t n)
{
	struct chain *chains = malloc(n * sizeof(*chains));

	if (chains)
		memset(chains, 0xff, n * sizeof(*chains)); /* all CHAIN_EMPTY */
	return chains;
}

struct members *members_new(uint32_t max_sets, uint32_t max_tunnels)
{
	struct members *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->free_head = MEMBER_NONE;
	m->sets = new_chains(max_sets);
	m->tunnels = new_chains(max_tunnels);
	m->set_size = calloc(max_sets, sizeof(*m->set_size));
	if (m->sets && m->tunnels && m->set_size)
		return m;
	members_free(m);
	return NULL;
}

void members_free(struct members *m)
{
	if (!m)
		return;
	free(m->pool);
	free(m->in_tunnel);
	free(m->in_set);
	free(m->in_bucket);
	free(m->tunnels);
	free(m->sets);
	free(m->buckets);
	free(m->set_size);
	free(m);
}

static struct chain *bucket(const struct members *m, uint32_t set, uint32_t tunnel)
{
	uint64_t mixed = ((uint64_t)set << 32 | tunnel) * 0x9e3779b97f4a7c15ull;

	return &m->buckets[mixed >> 32 & (m->nbuckets - 1)];
}

/* Grows one array of the pool. */
static int grow(void *array, uint32_t capacity, size_t size)
{
	void **p = array, *grown = realloc(*p, capacity * size);

	if (!grown)
		return -1;
	*p = grown;
	return 0;
}

static int grow_pool(struct members *m)
{
	uint32_t capacity = m->capacity ? 2 * m->capacity : POOL_MIN, i;
	struct chain *buckets;

	if (grow(&m->pool, capacity, sizeof(*m->pool)) ||
	    grow(&m->in_tunnel, capacity, sizeof(*m->in_tunnel)) ||
	    grow(&m->in_set, capacity, sizeof(*m->in_set)) ||
	    grow(&m->in_bucket, capacity, sizeof(*m->in_bucket)))
		return -1;
	buckets = new_chains(capacity);
	if (!buckets)
		return -1;
	free(m->buckets);
	m->buckets = buckets;
	m->nbuckets = capacity;
	/* the pool is full: every entry is in use */
	for (i = 0; i < m->capacity; i++)
		chain_push_tail(bucket(m, m->pool[i].set, m->pool[i].tunnel), m->in_bucket, i);
	for (i = capacity; i-- > m->capacity;) {
		m->pool[i].set = m->free_head;
		m->free_head = i;
	}
	m->capacity = capacity;
	return 0;
}

uint32_t members_find(const struct members *m, uint32_t set, uint32_t tunnel)
{
	uint32_t ref;

	if (!m->nbuckets)
		return MEMBER_NONE;
	for (ref = bucket(m, set, tunnel)->head; ref != CHAIN_END; ref = m->in_bucket[ref].next)
		if (m->pool[ref].set == set && m->pool[ref].tunnel == tunnel)
			return ref;
	return MEMBER_NONE;
}

uint32_t members_add(struct members *m, uint32_t set, uint32_t tunnel)
{
	uint32_t ref;

	if (m->free_head == MEMBER_NONE && grow_pool(m))
		return MEMBER_NONE;
	ref = m->free_head;
	m->free_head = m->pool[ref].set;
	m->pool[ref] = (struct member){.set = set, .tunnel = tunnel, .block = MEMBER_NONE};
	chain_push_tail(bucket(m, set, tunnel), m->in_bucket, ref);
	chain_push_tail(&m->tunnels[tunnel], m->in_tunnel, ref);
	chain_push_tail(&m->sets[set], m->in_set, ref);
	m->set_size[set]++;
	return ref;
}

void members_remove(struct members *m, uint32_t ref)
{
	struct member *member = &m->pool[ref];

	chain_remove(bucket(m, member->set, member->tunnel), m->in_bucket, ref);
	chain_remove(&m->tunnels[member->tunnel], m->in_tunnel, ref);
	chain_remove(&m->sets[member->set], m->in_set, ref);
	m->set_size[member->set]--;
	member->set = m->free_head;
	m->free_head = ref;
}

struct member *members_get(const struct members *m, uint32_t ref)
{
	return &m->pool[ref];
}

uint32_t members_of_tunnel(const struct members *m, uint32_t tunnel)
{
	return m->tunnels[tunnel].head;
}

uint32_t members_next_of_tunnel(const struct members *m, uint32_t ref)
{
	return m->in_tunnel[ref].next;
}

uint32_t members_of_set(const struct members *m, uint32_t set)
{
	return m->sets[set].head;
}

uint32_t members_next_of_set(const struct members *m, uint32_t ref)
{
	return m->in_set[ref].next;
}

uint32_t members_in_set(const struct members *m, uint32_t set)
{
	return m->set_size[set];
}
