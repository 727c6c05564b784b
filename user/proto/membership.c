/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Storage and timers of one tunnel's memberships: a sorted array of groups, each with its sorted
 * sources, small enough that 100,000 tunnels do not matter. Timers are lazy: one lower bound a
 * tunnel, so that a refresh writes times and nothing else.
 */
#include "proto/membership.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/counters.h"
#include "proto/membership_state.h"

#define CHANGES_ON_STACK   64
#define NO_MEMORY_RETRY_NS NSEC_PER_SEC

struct membership *membership_new(void)
{
	struct membership *m = calloc(1, sizeof(*m));

	if (m)
		m->deadline = TIME_NEVER;
	return m;
}

void membership_free(struct membership *m)
{
	unsigned int i;

	if (!m)
		return;
	for (i = 0; i < m->ngroups; i++)
		free(m->groups[i]);
	free(m->groups);
	free(m);
}

/* Where the group is, or would have to be put in. */
static unsigned int group_place(const struct membership *m, const struct amt_addr *group)
{
	unsigned int low = 0, high = m->ngroups;

	while (low < high) {
		unsigned int middle = low + (high - low) / 2;

		if (addr_compare(&m->groups[middle]->addr, group) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct member_group *membership_find(const struct membership *m, const struct amt_addr *group)
{
	unsigned int place = group_place(m, group);

	if (place < m->ngroups && addr_equal(&m->groups[place]->addr, group))
		return m->groups[place];
	return NULL;
}

static int groups_reserve(struct membership *m)
{
	unsigned int room = m->room ? m->room * 2 : 3; /* what malloc() gives at least */
	struct member_group **groups;

	if (m->ngroups < m->room)
		return 0;
	groups = realloc(m->groups, room * sizeof(*groups));
	if (!groups)
		return -ENOMEM;
	m->groups = groups;
	m->room = room;
	return 0;
}

static void group_drop(struct membership *m, unsigned int place)
{
	free(m->groups[place]);
	m->ngroups--;
	memmove(&m->groups[place], &m->groups[place + 1],
		(m->ngroups - place) * sizeof(struct member_group *));
	if (m->ngroups)
		return;
	free(m->groups);
	m->groups = NULL;
	m->room = 0;
	m->deadline = TIME_NEVER;
}

/* Stores next, in place where it fits. */
static int group_store(struct membership *m, const struct member_state *next)
{
	unsigned int place = group_place(m, &next->group);
	bool there = place < m->ngroups && addr_equal(&m->groups[place]->addr, &next->group);
	size_t size = sizeof(struct member_group) + next->nsources * sizeof(struct member_source);
	struct member_group *g = there ? m->groups[place] : NULL;

	if (!g || g->nsources != next->nsources) {
		struct member_group *resized;

		if (!there && groups_reserve(m))
			return -ENOMEM;
		resized = realloc(g, size);
		if (!resized && (!there || g->nsources < next->nsources))
			return -ENOMEM;
		if (resized)
			g = resized;
		if (!there) {
			memmove(&m->groups[place + 1], &m->groups[place],
				(m->ngroups - place) * sizeof(g));
			m->ngroups++;
		}
		m->groups[place] = g;
	}
	g->addr = next->group;
	g->exclude = next->exclude;
	g->expires = next->expires;
	g->old_host_until = next->old_host_until;
	g->nsources = next->nsources;
	if (next->nsources)
		memcpy(g->sources, next->sources, next->nsources * sizeof(g->sources[0]));
	return 0;
}

/* What a source that is in the list (NULL: is not) means in a filter mode. */
static enum source_wish source_wish(bool exclude, const struct member_source *source)
{
	if (!source)
		return WISH_NONE;
	if (!exclude)
		return WISH_INCLUDED;
	return source->expires == EXPIRES_EXCLUDED ? WISH_EXCLUDED : WISH_NONE;
}

/* The wishes that differ between what the group is (NULL: not joined) and next; both lists are
 * sorted. Returns how many. */
static unsigned int wishes_differing(const struct member_group *g, const struct member_state *next,
				     struct wish_source *out)
{
	unsigned int i = 0, j = 0, n = 0, before = g ? g->nsources : 0;

	while (i < before || j < next->nsources) {
		const struct member_source *was = i < before ? &g->sources[i] : NULL;
		const struct member_source *is = j < next->nsources ? &next->sources[j] : NULL;
		int order = !was ? 1 : !is ? -1 : addr_compare(&was->addr, &is->addr);

		if (order > 0)
			was = NULL;
		else
			i++;
		if (order < 0)
			is = NULL;
		else
			j++;
		out[n].addr = was ? was->addr : is->addr;
		out[n].before = source_wish(g && g->exclude, was);
		out[n].after = source_wish(next->exclude, is);
		if (out[n].before != out[n].after)
			n++;
	}
	return n;
}

int membership_become(struct membership *m, const struct member_state *next,
		      membership_change_fn fn, void *arg)
{
	struct member_group *g = membership_find(m, &next->group);
	struct wish_source on_stack[CHANGES_ON_STACK], *wishes = on_stack;
	size_t most = (size_t)(g ? g->nsources : 0) + next->nsources;
	bool gone = !next->exclude && next->nsources == 0;
	struct wish_change change = {.group = next->group,
				     .exclude_before = g && g->exclude,
				     .exclude_after = next->exclude};
	int err = 0;

	if (!g && gone)
		return 0;
	if (most > CHANGES_ON_STACK)
		wishes = malloc(most * sizeof(*wishes));
	if (!wishes)
		return -ENOMEM;
	change.nsources = wishes_differing(g, next, wishes);
	change.sources = wishes;
	if (gone)
		group_drop(m, group_place(m, &next->group));
	else
		err = group_store(m, next);
	if (!err && (change.nsources || change.exclude_before != change.exclude_after))
		fn(arg, &change);
	if (wishes != on_stack)
		free(wishes);
	return err;
}

/* What the group is at now by its timers alone. Writes the sources left to sources and
 * returns how many subscriptions ended. */
static unsigned int group_age(const struct member_group *g, uint64_t now,
			      struct member_source *sources, struct member_state *next)
{
	bool ends = g->exclude && g->expires <= now;
	unsigned int i, ended = ends;

	*next = (struct member_state){.group = g->addr,
				      .exclude = g->exclude && !ends,
				      .expires = g->expires,
				      .old_host_until = g->old_host_until,
				      .sources = sources};
	if (next->old_host_until <= now)
		next->old_host_until = 0;
	for (i = 0; i < g->nsources; i++) {
		struct member_source source = g->sources[i];

		if (source.expires <= now) {
			if (!g->exclude)
				ended++;
			if (!next->exclude)
				continue;
			source.expires = EXPIRES_EXCLUDED;
		}
		sources[next->nsources++] = source;
	}
	return ended;
}

/* The group's first timer. */
static uint64_t group_deadline(const struct member_group *g)
{
	uint64_t first = g->exclude ? g->expires : TIME_NEVER;
	unsigned int i;

	if (g->old_host_until && g->old_host_until < first)
		first = g->old_host_until;
	for (i = 0; i < g->nsources; i++)
		if (g->sources[i].expires != EXPIRES_EXCLUDED && g->sources[i].expires < first)
			first = g->sources[i].expires;
	return first;
}

static int group_expire(struct membership *m, const struct member_group *g, uint64_t now,
			membership_change_fn fn, void *arg)
{
	struct member_source on_stack[CHANGES_ON_STACK], *sources = on_stack;
	struct member_state next;
	unsigned int ended;
	int err;

	if (g->nsources > CHANGES_ON_STACK)
		sources = malloc(g->nsources * sizeof(*sources));
	if (!sources)
		return -ENOMEM;
	ended = group_age(g, now, sources, &next);
	err = membership_become(m, &next, fn, arg);
	if (!err)
		counter_add(AMT_COUNT_MEMBERSHIP_EXPIRED, ended);
	if (sources != on_stack)
		free(sources);
	return err;
}

/* Takes what a group costs; false: nothing was left, wait for another time. */
static bool budget_take(unsigned int *budget, const struct member_group *g)
{
	if (!budget)
		return true;
	if (!*budget)
		return false;
	*budget -= *budget > g->nsources ? 1 + g->nsources : *budget;
	return true;
}

uint64_t membership_expire(struct membership *m, uint64_t now, unsigned int *budget,
			   membership_change_fn fn, void *arg)
{
	uint64_t deadline = TIME_NEVER;
	unsigned int i = m->ngroups;

	if (now < m->deadline)
		return m->deadline;
	while (i-- > 0) { /* downward: a group may go */
		struct amt_addr group = m->groups[i]->addr;
		uint64_t first = group_deadline(m->groups[i]);
		int err = 0;

		if (first <= now && budget_take(budget, m->groups[i])) {
			err = group_expire(m, m->groups[i], now, fn, arg);
			if (i >= m->ngroups || !addr_equal(&m->groups[i]->addr, &group))
				continue;
			first = err ? now + NO_MEMORY_RETRY_NS : group_deadline(m->groups[i]);
		}
		if (first < deadline)
			deadline = first;
	}
	m->deadline = deadline;
	return deadline;
}

uint64_t membership_deadline(const struct membership *m)
{
	return m->deadline;
}

/* Leaves the group without memory: a long list goes in several changes, the mode with the last. */
static void group_leave(struct member_group *g, membership_change_fn fn, void *arg)
{
	struct wish_source wishes[CHANGES_ON_STACK];
	struct wish_change change = {.group = g->addr,
				     .exclude_before = g->exclude,
				     .exclude_after = g->exclude,
				     .sources = wishes};

	do {
		change.nsources = 0;
		while (g->nsources && change.nsources < CHANGES_ON_STACK) {
			const struct member_source *source = &g->sources[--g->nsources];
			struct wish_source *wish = &wishes[change.nsources];

			wish->addr = source->addr;
			wish->before = source_wish(g->exclude, source);
			wish->after = WISH_NONE;
			if (wish->before != wish->after)
				change.nsources++;
		}
		if (!g->nsources)
			change.exclude_after = false;
		if (change.nsources || change.exclude_before != change.exclude_after)
			fn(arg, &change);
	} while (g->nsources);
}

void membership_clear(struct membership *m, unsigned int *budget, membership_change_fn fn,
		      void *arg)
{
	while (m->ngroups && budget_take(budget, m->groups[m->ngroups - 1])) {
		group_leave(m->groups[m->ngroups - 1], fn, arg);
		group_drop(m, m->ngroups - 1);
	}
}

bool membership_is_empty(const struct membership *m)
{
	return m->ngroups == 0;
}

unsigned int membership_groups(const struct membership *m)
{
	return m->ngroups;
}

static struct membership_view group_view(const struct member_group *g)
{
	struct membership_view view = {.group = g->addr,
				       .exclude = g->exclude,
				       .old_host_until = g->old_host_until,
				       .nsources = g->nsources};
	unsigned int i;

	if (g->exclude)
		view.expires = g->expires;
	else
		for (i = 0; i < g->nsources; i++)
			if (g->sources[i].expires > view.expires)
				view.expires = g->sources[i].expires;
	return view;
}

void membership_walk(const struct membership *m,
		     void (*group_fn)(void *arg, const struct membership_view *view),
		     void (*source_fn)(void *arg, const struct membership_view *view,
				       const struct membership_source_view *source),
		     void *arg)
{
	unsigned int i, j;

	for (i = 0; i < m->ngroups; i++) {
		const struct member_group *g = m->groups[i];
		struct membership_view view = group_view(g);

		if (group_fn)
			group_fn(arg, &view);
		for (j = 0; source_fn && j < g->nsources; j++) {
			struct membership_source_view source = {.source = g->sources[j].addr,
								.excluded = g->sources[j].expires ==
									    EXPIRES_EXCLUDED,
								.expires = g->sources[j].expires};

			source_fn(arg, &view, &source);
		}
	}
}
