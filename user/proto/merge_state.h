/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside of the merge, shared by merge.c (who wants what), merge_sets.c (the sink's sets) and
 * merge_view.c (who asks). Nobody else looks in here. Groups, and the channels of a group, are in
 * balanced trees (tsearch(3)): gateways choose the addresses, and must not choose the cost.
 */
#ifndef AMT_PROTO_MERGE_STATE_H
#define AMT_PROTO_MERGE_STATE_H

#include "proto/idset.h"
#include "proto/merge.h"

struct merge_fill;

/* One of the sink's sets: handle MERGE_NO_SET while there is none. members is what the sink took,
 * so that it never hears a join twice, or a leave of whom it refused. fill: members are missing
 * yet. */
struct forward_set {
	uint32_t handle;
	struct idset members;
	struct merge_fill *fill;
};

/* (S,G), named by at least one tunnel. The address is first: it is the key of the tree. */
struct merge_channel {
	struct amt_addr source;
	bool listed; /* in the merged state */
	struct idset includers, excluders;
	struct forward_set set;
	struct merge_channel *next_dead;
};

struct merge_group {
	struct amt_addr group;
	bool exclude; /* the merged state's mode */
	unsigned int nlisted;
	struct idset excluders; /* tunnels in EXCLUDE mode */
	struct forward_set any; /* (*,G) */
	void *channels;
};

struct merge {
	struct merge_sink sink;
	void *arg;
	void *groups;
	unsigned int ngroups, nsets;
	struct amt_addr *sources; /* what merge_upstream() gave out */
	unsigned int sources_room;
	struct merge_fill *fills, **last_fill; /* sets that merge_go_on() goes on with */
	unsigned int credit;		       /* members that new sets get before that */
};

/* What a tree of groups or channels holds under addr, or NULL. */
void *merge_tree_find(void *const *tree, const struct amt_addr *addr);

/* Lets the set of a channel follow what its lists say now about the tunnel that changed, and makes
 * the set if it is not there and the tunnel names the channel. */
void merge_set_channel(struct merge *merge, struct merge_group *group,
		       struct merge_channel *channel, uint32_t tunnel);
/* The same for (*,G); destroys it when no tunnel is in EXCLUDE mode. A tunnel that left that mode
 * for a source whose set is not published yet stays in it until then. */
void merge_set_any(struct merge *merge, struct merge_group *group, uint32_t tunnel);
/* Whether the tunnel is such a one. */
bool merge_set_any_lags(const struct merge_group *group, uint32_t tunnel);
void merge_set_destroy(struct merge *merge, struct forward_set *set);
void merge_fills_free(struct merge *merge);

#endif
