/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Forwarding sets behind the sink. Packets use (S,G) where it exists, else (*,G), at any moment;
 * so a new (S,G) gets its members first and is only then published, a new (*,G) is published with
 * its first member, and an old (S,G) goes when it has become equal to (*,G). Nobody but the tunnel
 * that changes sees a difference.
 *
 * A new set may have very many members, so it is filled by and by: from lists of who may want it,
 * as they were when it was made, each is looked up as its turn comes. What changes meanwhile goes
 * to the set at once, like to any other.
 */
#include "proto/merge_state.h"

#include <errno.h>
#include <stdlib.h>

#define SLICE 32 /* members that a new set gets before it is the next one's turn */

/* A set that does not have all its members yet. */
struct merge_fill {
	struct merge_fill *next;
	struct forward_set *set; /* NULL: it is gone */
	struct merge_group *group;
	struct merge_channel *channel; /* NULL: it is (*,G) */
	struct idset ids[2];	       /* who may want it */
	unsigned int list;
	uint32_t at;  /* in ids[list] */
	bool awaited; /* tunnels stay in (*,G) until packets see it */
};

static bool is_wanted(const struct merge_group *group, const struct merge_channel *channel,
		      uint32_t tunnel)
{
	if (!channel)
		return idset_has(&group->excluders, tunnel);
	return idset_has(&channel->includers, tunnel) ||
	       (idset_has(&group->excluders, tunnel) && !idset_has(&channel->excluders, tunnel));
}

/* Makes tunnel a member, or no member. False: the sink refused it, and counts that. */
static bool set_member(struct merge *merge, struct forward_set *set, uint32_t tunnel, bool want)
{
	if (idset_has(&set->members, tunnel) == want)
		return true;
	if (!want) {
		merge->sink.member_remove(merge->arg, set->handle, tunnel);
		idset_remove(&set->members, tunnel);
		return true;
	}
	if (idset_reserve(&set->members, tunnel) ||
	    merge->sink.member_add(merge->arg, set->handle, tunnel))
		return false;
	idset_insert(&set->members, tunnel);
	return true;
}

/* One id that is missing for want of room gets another try. */
static bool set_refill(struct merge *merge, struct forward_set *set, const struct idset *ids,
		       const struct idset *except)
{
	uint32_t at = 0, id;

	while (idset_next(ids, &at, &id)) {
		if (idset_has(&set->members, id) || (except && idset_has(except, id)))
			continue;
		set_member(merge, set, id, true);
		return true;
	}
	return false;
}

void merge_set_destroy(struct merge *merge, struct forward_set *set)
{
	if (set->handle == MERGE_NO_SET)
		return;
	if (set->fill)
		set->fill->set = NULL;
	set->fill = NULL;
	merge->sink.set_destroy(merge->arg, set->handle);
	merge->nsets--;
	set->handle = MERGE_NO_SET;
	idset_clear(&set->members);
}

/* ---- new sets ---- */

static void fill_free(struct merge_fill *fill)
{
	idset_clear(&fill->ids[0]);
	idset_clear(&fill->ids[1]);
	free(fill);
}

static struct merge_fill *fill_new(struct merge_group *group, struct merge_channel *channel)
{
	struct merge_fill *fill = calloc(1, sizeof(*fill));

	if (!fill)
		return NULL;
	fill->group = group;
	fill->channel = channel;
	fill->set = channel ? &channel->set : &group->any;
	if (idset_copy(&fill->ids[0], &group->excluders) ||
	    (channel && idset_copy(&fill->ids[1], &channel->includers))) {
		fill_free(fill);
		return NULL;
	}
	return fill;
}

static bool fill_next(struct merge_fill *fill, uint32_t *id)
{
	while (!idset_next(&fill->ids[fill->list], &fill->at, id)) {
		if (fill->list == 1)
			return false;
		fill->list = 1;
		fill->at = 0;
	}
	return true;
}

/* False: the budget is spent. A tunnel that gets the source by (*,G) must not lose it to a set that
 * has no room for it: then there is none. */
static bool fill_some(struct merge *merge, struct merge_fill *fill, unsigned int *budget)
{
	const struct idset *any = &fill->group->any.members;
	uint32_t id;

	for (; *budget; --*budget) {
		if (!fill_next(fill, &id))
			return true;
		if (!is_wanted(fill->group, fill->channel, id) ||
		    set_member(merge, fill->set, id, true) || !idset_has(any, id))
			continue;
		merge_set_destroy(merge, fill->set);
		return true;
	}
	return false;
}

/* Those who have stayed in (*,G) until now for the channel's set, or for want of it. */
static void leave_any(struct merge *merge, struct merge_group *group,
		      const struct merge_channel *channel)
{
	uint32_t at = 0, id;

	while (idset_next(&channel->includers, &at, &id))
		if (merge_set_any_lags(group, id))
			merge_set_any(merge, group, id);
}

static void set_publish(struct merge *merge, struct forward_set *set)
{
	if (merge->sink.set_publish(merge->arg, set->handle))
		merge_set_destroy(merge, set);
}

static void fill_end(struct merge *merge, struct merge_fill *fill)
{
	if (fill->set) {
		fill->set->fill = NULL;
		if (fill->channel)
			set_publish(merge, fill->set);
	}
	if (fill->awaited)
		leave_any(merge, fill->group, fill->channel);
	fill_free(fill);
}

static void fill_go_on(struct merge *merge, struct merge_fill *fill, unsigned int *budget)
{
	if (!fill->set) {
		fill_free(fill);
	} else if (fill_some(merge, fill, budget)) {
		fill_end(merge, fill);
	} else {
		*merge->last_fill = fill;
		merge->last_fill = &fill->next;
	}
}

static struct merge_fill *take_fill(struct merge *merge)
{
	struct merge_fill *fill = merge->fills;

	merge->fills = fill->next;
	fill->next = NULL;
	if (!merge->fills)
		merge->last_fill = &merge->fills;
	return fill;
}

bool merge_go_on(struct merge *merge, unsigned int most)
{
	unsigned int left = most, slice;

	while (merge->fills && left) {
		slice = left < SLICE ? left : SLICE;
		left -= slice;
		fill_go_on(merge, take_fill(merge), &slice);
	}
	merge->credit = most;
	return merge->fills;
}

void merge_fills_free(struct merge *merge)
{
	while (merge->fills)
		fill_free(take_fill(merge));
}

/* Makes the set of a channel, or (*,G) for channel NULL. */
static struct merge_fill *set_create(struct merge *merge, struct merge_group *group,
				     struct merge_channel *channel)
{
	struct amt_group_key key = {.group = group->group};
	struct merge_fill *fill = fill_new(group, channel);

	if (!fill)
		return NULL;
	if (channel)
		key.source = channel->source;
	if (merge->sink.set_create(merge->arg, &key, &fill->set->handle)) {
		fill->set->handle = MERGE_NO_SET;
		fill_free(fill);
		return NULL;
	}
	merge->nsets++;
	fill->set->fill = fill;
	return fill;
}

static void channel_create(struct merge *merge, struct merge_group *group,
			   struct merge_channel *channel)
{
	struct merge_fill *fill = set_create(merge, group, channel);

	if (fill)
		fill_go_on(merge, fill, &merge->credit);
}

static void any_create(struct merge *merge, struct merge_group *group, uint32_t tunnel)
{
	struct merge_fill *fill = set_create(merge, group, NULL);

	if (!fill)
		return;
	set_member(merge, &group->any, tunnel, true);
	set_publish(merge, &group->any);
	fill_go_on(merge, fill, &merge->credit);
}

/* ---- what follows the lists ---- */

void merge_set_channel(struct merge *merge, struct merge_group *group,
		       struct merge_channel *channel, uint32_t tunnel)
{
	uint32_t wanted = channel->includers.n + group->excluders.n - channel->excluders.n;
	bool want = is_wanted(group, channel, tunnel);
	struct forward_set *set = &channel->set;

	if (set->handle == MERGE_NO_SET) {
		if (idset_has(&channel->includers, tunnel) ||
		    idset_has(&channel->excluders, tunnel))
			channel_create(merge, group, channel);
		return;
	}
	set_member(merge, set, tunnel, want);
	if (!want && !set->fill && set->members.n < wanted &&
	    !set_refill(merge, set, &channel->includers, NULL))
		set_refill(merge, set, &group->excluders, &channel->excluders);
}

bool merge_set_any_lags(const struct merge_group *group, uint32_t tunnel)
{
	return idset_has(&group->any.members, tunnel) && !idset_has(&group->excluders, tunnel);
}

/* Whether the tunnel includes a source of the group whose set packets do not see yet: it still gets
 * the source by (*,G), if it is in there. */
static bool is_awaiting(struct merge *merge, const struct merge_group *group, uint32_t tunnel)
{
	struct merge_fill *fill;
	bool awaiting = false;

	for (fill = merge->fills; fill; fill = fill->next) {
		if (!fill->set || fill->group != group || !fill->channel ||
		    !idset_has(&fill->channel->includers, tunnel))
			continue;
		fill->awaited = awaiting = true;
	}
	return awaiting;
}

void merge_set_any(struct merge *merge, struct merge_group *group, uint32_t tunnel)
{
	struct forward_set *set = &group->any;
	bool want = is_wanted(group, NULL, tunnel);

	if (set->handle == MERGE_NO_SET) {
		if (want)
			any_create(merge, group, tunnel);
		return;
	}
	if (merge_set_any_lags(group, tunnel) && is_awaiting(merge, group, tunnel))
		return;
	set_member(merge, set, tunnel, want);
	if (!group->excluders.n && !set->members.n)
		merge_set_destroy(merge, set);
	else if (!want && !set->fill && set->members.n < group->excluders.n)
		set_refill(merge, set, &group->excluders, NULL);
}
