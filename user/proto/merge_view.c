/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the merge tells those who ask: the merged state for upstream joins, and the channels for
 * limits and for amt-ctl. Changes nothing.
 */
#include "proto/merge.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include "proto/merge_state.h"

/* twalk_r(3) action: writes the listed sources one after the other. */
static void collect(const void *node, VISIT visit, void *arg)
{
	const struct merge_channel *channel = *(struct merge_channel *const *)node;
	struct amt_addr **next = arg;

	if ((visit == postorder || visit == leaf) && channel->listed)
		*(*next)++ = channel->source;
}

int merge_upstream(struct merge *merge, const struct amt_addr *group, struct merge_upstream *out)
{
	const struct merge_group *found = merge_tree_find(&merge->groups, group);
	struct amt_addr *next;

	*out = (struct merge_upstream){0};
	if (!found)
		return 0;
	if (found->nlisted > merge->sources_room) {
		struct amt_addr *sources =
			realloc(merge->sources, found->nlisted * sizeof(*sources));

		if (!sources)
			return -ENOMEM;
		merge->sources = sources;
		merge->sources_room = found->nlisted;
	}
	next = merge->sources;
	twalk_r(found->channels, collect, &next);
	*out = (struct merge_upstream){
		.exclude = found->exclude, .sources = merge->sources, .nsources = found->nlisted};
	return 0;
}

unsigned int merge_groups(const struct merge *merge)
{
	return merge->ngroups;
}

unsigned int merge_channels(const struct merge *merge)
{
	return merge->nsets;
}

bool merge_has_channel(const struct merge *merge, const struct amt_group_key *key)
{
	const struct merge_group *group = merge_tree_find(&merge->groups, &key->group);
	const struct merge_channel *channel;

	if (!group)
		return false;
	if (addr_is_any(&key->source))
		return group->any.handle != MERGE_NO_SET;
	channel = merge_tree_find(&group->channels, &key->source);
	return channel && channel->set.handle != MERGE_NO_SET;
}

/* One merge_walk(). */
struct walk {
	void (*fn)(void *arg, const struct amt_group_key *key, uint32_t set, unsigned int includes,
		   unsigned int excludes);
	void *arg;
	const struct merge_group *group;
};

static void walk_channel(const void *node, VISIT visit, void *arg)
{
	const struct merge_channel *channel = *(struct merge_channel *const *)node;
	const struct walk *walk = arg;
	struct amt_group_key key = {.source = channel->source, .group = walk->group->group};

	if ((visit == postorder || visit == leaf) && channel->set.handle != MERGE_NO_SET)
		walk->fn(walk->arg, &key, channel->set.handle, channel->includers.n,
			 channel->excluders.n);
}

static void walk_group(const void *node, VISIT visit, void *arg)
{
	const struct merge_group *group = *(struct merge_group *const *)node;
	struct walk *walk = arg;
	struct amt_group_key key = {.group = group->group};

	if (visit != postorder && visit != leaf)
		return;
	if (group->any.handle != MERGE_NO_SET)
		walk->fn(walk->arg, &key, group->any.handle, 0, group->excluders.n);
	walk->group = group;
	twalk_r(group->channels, walk_channel, walk);
}

void merge_walk(const struct merge *merge,
		void (*fn)(void *arg, const struct amt_group_key *key, uint32_t set,
			   unsigned int includes, unsigned int excludes),
		void *arg)
{
	struct walk walk = {.fn = fn, .arg = arg};

	twalk_r(merge->groups, walk_group, &walk);
}
