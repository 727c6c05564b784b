/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "relay/adoption.h"

#include <errno.h>
#include <stdlib.h>
#include "base/addr.h"

static int reserve(void **list, unsigned int n, unsigned int *room, size_t size)
{
	unsigned int more = *room ? *room * 2 : 256;
	void *grown;

	if (n < *room)
		return 0;
	grown = realloc(*list, more * size);
	if (!grown)
		return -ENOMEM;
	*list = grown;
	*room = more;
	return 0;
}

int adoption_add_set(struct adoption *a, const struct amt_group_key *key)
{
	if (reserve((void **)&a->sets, a->nsets, &a->sets_room, sizeof(*a->sets)))
		return -ENOMEM;
	a->sets[a->nsets++] = *key;
	return 0;
}

int adoption_add_member(struct adoption *a, const struct amt_group_key *key, uint32_t tunnel)
{
	if (reserve((void **)&a->members, a->nmembers, &a->members_room, sizeof(*a->members)))
		return -ENOMEM;
	a->members[a->nmembers++] = (struct adoption_member){tunnel, *key};
	return 0;
}

/* By group, then source: (*,G) stands first, as its source is all zero. */
static int compare_keys(const void *left, const void *right)
{
	const struct amt_group_key *a = left, *b = right;
	int order = addr_compare(&a->group, &b->group);

	return order ? order : addr_compare(&a->source, &b->source);
}

static int compare_members(const void *left, const void *right)
{
	const struct adoption_member *a = left, *b = right;

	if (a->tunnel != b->tunnel)
		return a->tunnel < b->tunnel ? -1 : 1;
	return compare_keys(&a->key, &b->key);
}

/* Where the group's sets begin; *n: how many it has. */
static const struct amt_group_key *group_sets(const struct adoption *a,
					      const struct amt_addr *group, unsigned int *n)
{
	unsigned int low = 0, high = a->nsets;

	while (low < high) {
		unsigned int middle = low + (high - low) / 2;

		if (addr_compare(&a->sets[middle].group, group) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (*n = 0; low + *n < a->nsets && addr_equal(&a->sets[low + *n].group, group); (*n)++)
		;
	return a->sets + low;
}

/* The sources whose set exists and is not among the n sorted memberships. */
static unsigned int excluded_sources(const struct adoption *a, const struct adoption_member *in,
				     unsigned int n, struct amt_addr *out)
{
	unsigned int nsets, i, at = 0, nout = 0;
	const struct amt_group_key *sets = group_sets(a, &in->key.group, &nsets);

	for (i = 0; i < nsets; i++) {
		while (at < n && compare_keys(&in[at].key, &sets[i]) < 0)
			at++;
		if (at == n || compare_keys(&in[at].key, &sets[i]) != 0)
			out[nout++] = sets[i].source;
	}
	return nout;
}

static unsigned int included_sources(const struct adoption_member *in, unsigned int n,
				     struct amt_addr *out)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		out[i] = in[i].key.source;
	return n;
}

/* How many of the members from here on belong to the same tunnel and group. */
static unsigned int run_length(const struct adoption *a, unsigned int first)
{
	const struct adoption_member *in = a->members + first;
	unsigned int n = 1;

	while (first + n < a->nmembers && in[n].tunnel == in->tunnel &&
	       addr_equal(&in[n].key.group, &in->key.group))
		n++;
	return n;
}

int adoption_resolve(struct adoption *a,
		     void (*fn)(void *arg, uint32_t tunnel, const struct amt_addr *group,
				bool exclude, const struct amt_addr *sources,
				unsigned int nsources),
		     void *arg)
{
	struct amt_addr *sources;
	unsigned int i, n, nsources;

	if (!a->nmembers)
		return 0;
	/* No group has more sets, and so no tunnel more sources of it */
	sources = calloc((size_t)a->nsets + a->nmembers, sizeof(*sources));
	if (!sources)
		return -ENOMEM;
	if (a->nsets)
		qsort(a->sets, a->nsets, sizeof(*a->sets), compare_keys);
	qsort(a->members, a->nmembers, sizeof(*a->members), compare_members);
	for (i = 0; i < a->nmembers; i += n) {
		const struct adoption_member *in = a->members + i;
		bool exclude = addr_is_any(&in->key.source);

		n = run_length(a, i);
		nsources = exclude ? excluded_sources(a, in, n, sources)
				   : included_sources(in, n, sources);
		fn(arg, in->tunnel, &in->key.group, exclude, sources, nsources);
	}
	free(sources);
	return 0;
}

void adoption_free(struct adoption *a)
{
	free(a->sets);
	free(a->members);
	*a = (struct adoption){0};
}
