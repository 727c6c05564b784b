/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Forwarding sets behind the sink. Packets use (S,G) where it exists, else (*,G), at any moment;
 * so a new (S,G) starts as a copy of (*,G), is corrected, and only then published, and an old one
 * goes when it has become equal to (*,G). Nobody but the tunnel that changes sees a difference.
 */
#include "proto/merge_state.h"

/* Makes tunnel a member, or no member. A refusal is the sink's to count. */
static void set_member(struct merge *merge, struct forward_set *set, uint32_t tunnel, bool want)
{
	if (idset_has(&set->members, tunnel) == want)
		return;
	if (!want) {
		merge->sink.member_remove(merge->arg, set->handle, tunnel);
		idset_remove(&set->members, tunnel);
		return;
	}
	if (idset_reserve(&set->members, tunnel) == 0 &&
	    merge->sink.member_add(merge->arg, set->handle, tunnel) == 0)
		idset_insert(&set->members, tunnel);
}

/* Makes all ids members, but for those in except (may be NULL). */
static void set_members(struct merge *merge, struct forward_set *set, const struct idset *ids,
			const struct idset *except)
{
	uint32_t at = 0, id;

	while (idset_next(ids, &at, &id))
		if (!except || !idset_has(except, id))
			set_member(merge, set, id, true);
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
	merge->sink.set_destroy(merge->arg, set->handle);
	merge->nsets--;
	set->handle = MERGE_NO_SET;
	idset_clear(&set->members);
}

/* A set not yet published, with the members of copy_of. */
static bool set_create(struct merge *merge, struct forward_set *set,
		       const struct amt_group_key *key, const struct forward_set *copy_of)
{
	if (merge->sink.set_create(merge->arg, key, copy_of ? copy_of->handle : MERGE_NO_SET,
				   &set->handle)) {
		set->handle = MERGE_NO_SET;
		return false;
	}
	merge->nsets++;
	if (copy_of && idset_copy(&set->members, &copy_of->members)) {
		merge_set_destroy(merge, set);
		return false;
	}
	return true;
}

static void set_publish(struct merge *merge, struct forward_set *set)
{
	if (merge->sink.set_publish(merge->arg, set->handle))
		merge_set_destroy(merge, set);
}

static void channel_create(struct merge *merge, const struct merge_group *group,
			   struct merge_channel *channel)
{
	struct amt_group_key key = {.source = channel->source, .group = group->group};
	const struct forward_set *any = group->any.handle == MERGE_NO_SET ? NULL : &group->any;
	struct forward_set *set = &channel->set;
	uint32_t at = 0, id;

	if (!set_create(merge, set, &key, any))
		return;
	while (idset_next(&channel->excluders, &at, &id))
		set_member(merge, set, id, false);
	set_members(merge, set, &channel->includers, NULL);
	if (!any || any->members.n != group->excluders.n) /* the copy was not whole */
		set_members(merge, set, &group->excluders, &channel->excluders);
	set_publish(merge, set);
}

void merge_set_channel(struct merge *merge, const struct merge_group *group,
		       struct merge_channel *channel, uint32_t tunnel)
{
	bool includes = idset_has(&channel->includers, tunnel);
	bool excludes = idset_has(&channel->excluders, tunnel);
	bool want = includes || (!excludes && idset_has(&group->excluders, tunnel));
	uint32_t wanted = channel->includers.n + group->excluders.n - channel->excluders.n;

	if (channel->set.handle == MERGE_NO_SET) {
		if (includes || excludes)
			channel_create(merge, group, channel);
		return;
	}
	set_member(merge, &channel->set, tunnel, want);
	if (!want && channel->set.members.n < wanted &&
	    !set_refill(merge, &channel->set, &channel->includers, NULL))
		set_refill(merge, &channel->set, &group->excluders, &channel->excluders);
}

void merge_set_any(struct merge *merge, struct merge_group *group, uint32_t tunnel)
{
	struct amt_group_key key = {.group = group->group};
	struct forward_set *set = &group->any;
	bool want = idset_has(&group->excluders, tunnel);

	if (set->handle != MERGE_NO_SET) {
		set_member(merge, set, tunnel, want);
		if (!group->excluders.n)
			merge_set_destroy(merge, set);
		else if (!want && set->members.n < group->excluders.n)
			set_refill(merge, set, &group->excluders, NULL);
	} else if (want && set_create(merge, set, &key, NULL)) {
		set_members(merge, set, &group->excluders, NULL);
		set_publish(merge, set);
	}
}
