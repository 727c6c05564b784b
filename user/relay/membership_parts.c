/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "relay/membership_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The membership of one socket. */
struct membership_part {
	struct membership_socket *socket;
	bool exclude;
	struct amt_addr *sources;
	unsigned int nsources;
};

static struct membership_filter filter_of(const struct membership_part *part)
{
	return (struct membership_filter){
		.exclude = part->exclude, .sources = part->sources, .nsources = part->nsources};
}

static int join(struct membership_sockets *sockets, const struct membership_parts *parts,
		struct membership_part *part)
{
	struct membership_filter filter = filter_of(part);
	unsigned int i;

	for (i = 0; i < parts->n; i++)
		membership_avoid(sockets, parts->list[i].socket);
	return membership_join(sockets, &parts->key, &filter, &part->socket);
}

static struct amt_addr *copy_of(const struct amt_addr *sources, unsigned int n)
{
	struct amt_addr *copy = malloc((n + 1) * sizeof(*copy));

	if (copy && n)
		memcpy(copy, sources, n * sizeof(*copy));
	return copy;
}

static int add(struct membership_sockets *sockets, struct membership_parts *parts, bool exclude,
	       const struct amt_addr *sources, unsigned int nsources)
{
	struct membership_part part = {.exclude = exclude, .nsources = nsources}, *list;
	int err;

	list = realloc(parts->list, (parts->n + 1) * sizeof(*list));
	if (!list)
		return -ENOMEM;
	parts->list = list;
	part.sources = copy_of(sources, nsources);
	if (!part.sources)
		return -ENOMEM;
	err = join(sockets, parts, &part);
	if (err)
		free(part.sources);
	else
		parts->list[parts->n++] = part;
	return err;
}

/* Gives a part another filter; sources become the part's when that succeeds. A socket without room
 * for the longer list is changed for another, which joins before the old one leaves. */
static int change(struct membership_sockets *sockets, struct membership_parts *parts,
		  struct membership_part *part, bool exclude, struct amt_addr *sources,
		  unsigned int nsources)
{
	struct membership_part next = {.socket = part->socket,
				       .exclude = exclude,
				       .sources = sources,
				       .nsources = nsources};
	struct membership_filter filter = filter_of(&next);
	int err;

	err = membership_change(part->socket, &parts->key, &filter);
	if (membership_no_room(err)) {
		err = join(sockets, parts, &next);
		if (!err)
			membership_leave(sockets, part->socket, &parts->key);
	}
	if (err)
		return err;
	free(part->sources);
	*part = next;
	return 0;
}

static void leave_one(struct membership_sockets *sockets, struct membership_parts *parts,
		      unsigned int i)
{
	struct membership_part *part = &parts->list[i];

	membership_leave(sockets, part->socket, &parts->key);
	free(part->sources);
	parts->n--;
	memmove(part, part + 1, (parts->n - i) * sizeof(*part));
}

static void leave_from(struct membership_sockets *sockets, struct membership_parts *parts,
		       unsigned int first)
{
	while (parts->n > first)
		leave_one(sockets, parts, parts->n - 1);
}

void parts_leave(struct membership_sockets *sockets, struct membership_parts *parts)
{
	leave_from(sockets, parts, 0);
	free(parts->list);
	parts->list = NULL;
}

static bool is(const struct membership_part *part, bool exclude, const struct amt_addr *sources,
	       unsigned int n)
{
	return part->exclude == exclude && part->nsources == n &&
	       (n == 0 || memcmp(part->sources, sources, n * sizeof(*sources)) == 0);
}

int parts_exclude(struct membership_sockets *sockets, struct membership_parts *parts,
		  const struct amt_addr *sources, unsigned int nsources)
{
	struct amt_addr *copy;
	int err = 0;

	if (parts->n == 0)
		return add(sockets, parts, true, sources, nsources);
	if (!is(&parts->list[0], true, sources, nsources)) {
		copy = copy_of(sources, nsources);
		err = copy ? change(sockets, parts, &parts->list[0], true, copy, nsources)
			   : -ENOMEM;
		if (err)
			free(copy);
	}
	if (!err) /* what they include, the first part lets in as well */
		leave_from(sockets, parts, 1);
	return err;
}

/* ---- INCLUDE ---- */

/* The wanted sources, and which of them have a place in some part. */
struct plan {
	const struct amt_addr *sources;
	unsigned int nsources;
	bool *placed;
	unsigned int next; /* all before it are placed */
	unsigned int max;  /* sources of a part */
};

static int compare_addr(const void *a, const void *b)
{
	return addr_compare(a, b);
}

static bool *placed(const struct plan *plan, const struct amt_addr *source)
{
	const struct amt_addr *found =
		bsearch(source, plan->sources, plan->nsources, sizeof(*source), compare_addr);

	return found ? &plan->placed[found - plan->sources] : NULL;
}

/* Marks what the parts keep; returns how many sources more they can take. */
static unsigned int place_kept(struct plan *plan, const struct membership_parts *parts)
{
	unsigned int i, j, kept, room = 0;

	for (i = 0; i < parts->n; i++) {
		const struct membership_part *part = &parts->list[i];

		for (j = kept = 0; !part->exclude && j < part->nsources; j++) {
			bool *mark = placed(plan, &part->sources[j]);

			if (mark) {
				*mark = true;
				kept++;
			}
		}
		room += kept < plan->max ? plan->max - kept : 0;
	}
	return room;
}

/* Takes up to room sources that have no place yet. */
static unsigned int take_unplaced(struct plan *plan, struct amt_addr *out, unsigned int room)
{
	unsigned int n = 0;

	for (; n < room && plan->next < plan->nsources; plan->next++)
		if (!plan->placed[plan->next])
			out[n++] = plan->sources[plan->next];
	return n;
}

/* New parts for what the present ones have no room for. */
static int add_parts(struct membership_sockets *sockets, struct membership_parts *parts,
		     struct plan *plan, unsigned int room)
{
	struct amt_addr list[MEMBERSHIP_SOURCES_MAX];
	unsigned int i, n, unplaced = 0;
	int err = 0;

	for (i = 0; i < plan->nsources; i++)
		unplaced += !plan->placed[i];
	while (!err && unplaced > room) {
		n = unplaced - room < plan->max ? unplaced - room : plan->max;
		take_unplaced(plan, list, n);
		unplaced -= n;
		err = add(sockets, parts, false, list, n);
	}
	return err;
}

/* What the part keeps, filled up with what has no place. Returns how many; they stand in *out. */
static int next_sources(struct plan *plan, const struct membership_part *part,
			struct amt_addr **out)
{
	unsigned int i, n = 0, size = part->nsources > plan->max ? part->nsources : plan->max;
	struct amt_addr *list = malloc(size * sizeof(*list));

	if (!list)
		return -ENOMEM;
	for (i = 0; !part->exclude && i < part->nsources; i++)
		if (placed(plan, &part->sources[i]))
			list[n++] = part->sources[i];
	if (n < plan->max)
		n += take_unplaced(plan, list + n, plan->max - n);
	*out = list;
	return (int)n;
}

static int change_part(struct membership_sockets *sockets, struct membership_parts *parts,
		       struct plan *plan, unsigned int i)
{
	struct amt_addr *sources = NULL;
	int err = 0, n = next_sources(plan, &parts->list[i], &sources);

	if (n < 0)
		return n;
	if (n == 0)
		leave_one(sockets, parts, i);
	else if (!is(&parts->list[i], false, sources, (unsigned int)n)) {
		err = change(sockets, parts, &parts->list[i], false, sources, (unsigned int)n);
		if (!err)
			return 0;
	}
	free(sources);
	return err;
}

int parts_include(struct membership_sockets *sockets, struct membership_parts *parts,
		  const struct amt_addr *sources, unsigned int nsources, unsigned int max)
{
	struct plan plan = {.sources = sources, .nsources = nsources, .max = max};
	unsigned int i, before = parts->n;
	int err, first_err;

	plan.placed = calloc(nsources + 1, sizeof(*plan.placed));
	if (!plan.placed)
		return -ENOMEM;
	/* New parts first, and the first part last: it may be the EXCLUDE that lets in everything
	 * until all others stand. */
	first_err = add_parts(sockets, parts, &plan, place_kept(&plan, parts));
	for (i = before; !first_err && i-- > 0;) {
		err = change_part(sockets, parts, &plan, i);
		if (err && !first_err)
			first_err = err;
	}
	free(plan.placed);
	return first_err;
}
