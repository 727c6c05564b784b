/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The relation of sets and tunnels; see members.h. Called by set.c, tunnel.c and adopt.c. */
#include "datapath/members.h"

#include <stdlib.h>
#include <string.h>

#include "base/idtable.h"
#include "datapath/chain.h"

#define POOL_MIN 64

struct members {
	struct member *pool;
	struct chain_link *in_tunnel, *in_set;
	struct idtable pairs;		     /* refs by set and tunnel */
	uint32_t capacity, fresh, free_head; /* refs from fresh on were never used; free ones are
					      * chained by member.set */
	struct chain *tunnels, *sets;
	uint32_t *set_size;
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
	free(m->tunnels);
	free(m->sets);
	idtable_free(&m->pairs);
	free(m->set_size);
	free(m);
}

static uint32_t hash(uint32_t set, uint32_t tunnel)
{
	return (uint32_t)((((uint64_t)set << 32 | tunnel) * 0x9e3779b97f4a7c15ull) >> 32);
}

/* ---- the pool ---- */

/* Grows one array of the pool. */
static int grow(void *array, uint32_t capacity, size_t size)
{
	void **p = array, *grown = reallocarray(*p, capacity, size);

	if (!grown)
		return -1;
	*p = grown;
	return 0;
}

static int grow_pool(struct members *m)
{
	uint32_t capacity = m->capacity ? m->capacity + m->capacity / 2 : POOL_MIN;

	if (grow(&m->pool, capacity, sizeof(*m->pool)) ||
	    grow(&m->in_tunnel, capacity, sizeof(*m->in_tunnel)) ||
	    grow(&m->in_set, capacity, sizeof(*m->in_set)) ||
	    idtable_reserve(&m->pairs, capacity - 1))
		return -1;
	m->capacity = capacity;
	return 0;
}

static uint32_t take_ref(struct members *m)
{
	uint32_t ref = m->free_head;

	if (ref != MEMBER_NONE) {
		m->free_head = m->pool[ref].set;
		return ref;
	}
	if (m->fresh == m->capacity && grow_pool(m))
		return MEMBER_NONE;
	return m->fresh++;
}

uint32_t members_find(const struct members *m, uint32_t set, uint32_t tunnel)
{
	uint32_t ref;

	for (ref = idtable_first(&m->pairs, hash(set, tunnel)); ref != IDTABLE_NONE;
	     ref = idtable_next(&m->pairs, ref))
		if (m->pool[ref].set == set && m->pool[ref].tunnel == tunnel)
			return ref;
	return MEMBER_NONE;
}

uint32_t members_add(struct members *m, uint32_t set, uint32_t tunnel)
{
	uint32_t ref = take_ref(m);

	if (ref == MEMBER_NONE)
		return MEMBER_NONE;
	m->pool[ref] = (struct member){.set = set, .tunnel = tunnel, .block = MEMBER_NONE};
	idtable_add(&m->pairs, ref, hash(set, tunnel));
	chain_push_tail(&m->tunnels[tunnel], m->in_tunnel, ref);
	chain_push_tail(&m->sets[set], m->in_set, ref);
	m->set_size[set]++;
	return ref;
}

void members_remove(struct members *m, uint32_t ref)
{
	struct member *member = &m->pool[ref];

	idtable_remove(&m->pairs, ref);
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
