/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who wants what, over all tunnels. Takes in changes of single tunnels, keeps for each channel who
 * includes and who excludes it, and lets the sets (merge_sets.c) and the merged state follow. It
 * goes by its own lists, not by what a change says was before, so that a change lost for want of
 * memory does no harm beyond itself.
 */
#include "proto/merge.h"

#include <errno.h>
#include <limits.h>
#include <search.h>
#include <stdlib.h>
#include "proto/merge_state.h"

/* One merge_apply(). */
struct application {
	struct merge *merge;
	struct merge_group *group;
	uint32_t tunnel;
	bool no_memory;		    /* only what the tunnel wants no longer */
	bool changed;		    /* the merged state */
	struct merge_channel *dead; /* nobody names them any more */
};

static int compare_addr(const void *a, const void *b)
{
	return addr_compare(a, b);
}

struct merge *merge_new(const struct merge_sink *sink, void *arg)
{
	struct merge *merge = calloc(1, sizeof(*merge));

	if (!merge)
		return NULL;
	merge->sink = *sink;
	merge->arg = arg;
	merge->last_fill = &merge->fills;
	merge->credit = UINT_MAX;
	return merge;
}

static void channel_free(void *data)
{
	struct merge_channel *channel = data;

	idset_clear(&channel->includers);
	idset_clear(&channel->excluders);
	idset_clear(&channel->set.members);
	free(channel);
}

static void group_free(void *data)
{
	struct merge_group *group = data;

	tdestroy(group->channels, channel_free);
	idset_clear(&group->excluders);
	idset_clear(&group->any.members);
	free(group);
}

void merge_free(struct merge *merge)
{
	if (!merge)
		return;
	merge_fills_free(merge);
	tdestroy(merge->groups, group_free);
	free(merge->sources);
	free(merge);
}

void *merge_tree_find(void *const *tree, const struct amt_addr *addr)
{
	void *node = tfind(addr, tree, compare_addr);

	return node ? *(void **)node : NULL;
}

/* What the tree holds under addr, or a new zeroed item of that size with the address set. NULL: no
 * memory. */
static void *tree_get(void **tree, const struct amt_addr *addr, size_t size, bool *made)
{
	struct amt_addr *item = merge_tree_find(tree, addr);

	*made = false;
	if (item)
		return item;
	item = calloc(1, size);
	if (!item)
		return NULL;
	*item = *addr;
	if (!tsearch(item, tree, compare_addr)) {
		free(item);
		return NULL;
	}
	*made = true;
	return item;
}

static struct merge_group *group_get(struct merge *merge, const struct amt_addr *addr)
{
	bool made;
	struct merge_group *group = tree_get(&merge->groups, addr, sizeof(*group), &made);

	if (made) {
		group->any.handle = MERGE_NO_SET;
		merge->ngroups++;
	}
	return group;
}

static struct merge_channel *channel_get(struct merge_group *group, const struct amt_addr *addr)
{
	bool made;
	struct merge_channel *channel = tree_get(&group->channels, addr, sizeof(*channel), &made);

	if (made)
		channel->set.handle = MERGE_NO_SET;
	return channel;
}

static bool channel_is_named(const struct merge_channel *channel)
{
	return channel->includers.n || channel->excluders.n;
}

static void channel_drop(struct merge *merge, struct merge_group *group,
			 struct merge_channel *channel)
{
	merge_set_destroy(merge, &channel->set);
	group->nlisted -= channel->listed;
	tdelete(&channel->source, &group->channels, compare_addr);
	channel_free(channel);
}

static bool group_drop_if_unused(struct merge *merge, struct merge_group *group)
{
	if (group->channels || group->excluders.n)
		return false;
	merge->ngroups--;
	tdelete(&group->group, &merge->groups, compare_addr);
	group_free(group);
	return true;
}

/* All memory that the lists will need, so that nothing can stop half way. */
static int lists_reserve(struct merge_group *group, uint32_t tunnel,
			 const struct wish_change *change)
{
	unsigned int i;

	if (change->exclude_after && idset_reserve(&group->excluders, tunnel))
		return -ENOMEM;
	for (i = 0; i < change->nsources; i++) {
		const struct wish_source *source = &change->sources[i];
		struct merge_channel *channel;
		struct idset *list;

		if (source->after == WISH_NONE)
			continue;
		channel = channel_get(group, &source->addr);
		if (!channel)
			return -ENOMEM;
		list = source->after == WISH_INCLUDED ? &channel->includers : &channel->excluders;
		if (idset_reserve(list, tunnel))
			return -ENOMEM;
	}
	return 0;
}

/* Takes back what lists_reserve() made. Returns true if that was the group itself. */
static bool reserve_undo(struct merge *merge, struct merge_group *group,
			 const struct wish_change *change)
{
	unsigned int i;

	for (i = 0; i < change->nsources; i++) {
		struct merge_channel *channel =
			merge_tree_find(&group->channels, &change->sources[i].addr);

		if (channel && !channel_is_named(channel))
			channel_drop(merge, group, channel);
	}
	return group_drop_if_unused(merge, group);
}

static void channel_set_wish(struct merge_channel *channel, uint32_t tunnel, enum source_wish wish)
{
	if (wish == WISH_INCLUDED)
		idset_insert(&channel->includers, tunnel);
	else
		idset_remove(&channel->includers, tunnel);
	if (wish == WISH_EXCLUDED)
		idset_insert(&channel->excluders, tunnel);
	else
		idset_remove(&channel->excluders, tunnel);
}

/* twalk_r(3) action: the tunnel's mode changes, so its former wishes are void. */
static void forget_wish(const void *node, VISIT visit, void *arg)
{
	const struct application *app = arg;

	if (visit == postorder || visit == leaf)
		channel_set_wish(*(struct merge_channel *const *)node, app->tunnel, WISH_NONE);
}

/* with a tunnel in EXCLUDE mode, what all of those exclude and nobody includes; else what
 * anybody includes. */
static bool channel_is_listed(const struct merge_group *group, const struct merge_channel *channel)
{
	if (group->excluders.n)
		return !channel->includers.n && channel->excluders.n == group->excluders.n;
	return channel->includers.n;
}

/* Lets all that depends on a channel's lists follow them. */
static void channel_follow(struct application *app, struct merge_channel *channel)
{
	bool listed = channel_is_listed(app->group, channel);

	merge_set_channel(app->merge, app->group, channel, app->tunnel);
	if (listed != channel->listed) {
		channel->listed = listed;
		app->group->nlisted += listed ? 1 : -1;
		app->changed = true;
	}
	if (!channel_is_named(channel)) {
		channel->next_dead = app->dead;
		app->dead = channel;
	}
}

/* twalk_r(3) action */
static void follow(const void *node, VISIT visit, void *arg)
{
	if (visit == postorder || visit == leaf)
		channel_follow(arg, *(struct merge_channel *const *)node);
}

/* Writes the change into the lists, and lets the channels that it concerns follow: all of the
 * group's when the mode changes. */
static void channels_apply(struct application *app, const struct wish_change *change, bool mode)
{
	void **channels = &app->group->channels;
	struct merge_channel *channel;
	unsigned int i;

	if (mode)
		twalk_r(*channels, forget_wish, app);
	for (i = 0; i < change->nsources; i++) {
		channel = merge_tree_find(channels, &change->sources[i].addr);
		if (channel)
			channel_set_wish(channel, app->tunnel,
					 app->no_memory ? WISH_NONE : change->sources[i].after);
	}
	if (mode)
		twalk_r(*channels, follow, app);
	for (i = 0; !mode && i < change->nsources; i++) {
		channel = merge_tree_find(channels, &change->sources[i].addr);
		if (channel)
			channel_follow(app, channel);
	}
}

/* Takes the tunnel into or out of the list of those in EXCLUDE mode. Returns whether the mode
 * changes. */
static bool mode_apply(struct application *app, const struct wish_change *change)
{
	struct idset *excluders = &app->group->excluders;
	bool before = idset_has(excluders, app->tunnel);

	if (!change->exclude_after)
		idset_remove(excluders, app->tunnel);
	else if (!app->no_memory)
		idset_insert(excluders, app->tunnel);
	return change->exclude_before != change->exclude_after ||
	       before != idset_has(excluders, app->tunnel);
}

static void drop_dead(struct application *app)
{
	while (app->dead) {
		struct merge_channel *channel = app->dead;

		app->dead = channel->next_dead;
		channel_drop(app->merge, app->group, channel);
	}
}

/* Until packets see a new (S,G), they take (*,G) as it was: so that comes after; what nobody names
 * goes last, when it equals the new (*,G). */
int merge_apply(struct merge *merge, uint32_t tunnel, const struct wish_change *change)
{
	struct merge_group *group = group_get(merge, &change->group);
	struct application app = {.merge = merge, .group = group, .tunnel = tunnel};
	bool mode;

	if (!group)
		return -ENOMEM;
	app.no_memory = lists_reserve(group, tunnel, change) != 0;
	if (app.no_memory && reserve_undo(merge, group, change))
		return -ENOMEM;
	mode = mode_apply(&app, change);
	channels_apply(&app, change, mode);
	if (mode || merge_set_any_lags(group, tunnel))
		merge_set_any(merge, group, tunnel);
	drop_dead(&app);
	if (group->exclude != (group->excluders.n > 0)) {
		group->exclude = !group->exclude;
		app.changed = true;
	}
	group_drop_if_unused(merge, group);
	if (app.changed)
		merge->sink.upstream_changed(merge->arg, &change->group);
	return app.no_memory ? -ENOMEM : 0;
}
