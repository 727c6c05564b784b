/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All tunnels together: from the changes of single tunnels to (a) forwarding sets, one (*,G) and
 * one complete (S,G) for each source that any tunnel names, and (b) the merged state of each group
 * that is joined upstream. Incremental: a change costs in proportion to what it changes.
 * Pure: the sets live behind a sink, the data path in amtd, a model in tests.
 *
 * A set's members: (*,G) = tunnels in EXCLUDE mode. (S,G) = tunnels that include S, and tunnels in
 * EXCLUDE mode that do not exclude S. An (S,G) set exists exactly while S is named by a tunnel,
 * even with no member (all exclude it); the (*,G) set exactly while a tunnel is in EXCLUDE mode, or
 * was until lately and waits for an (S,G) set that is not yet published.
 */
#ifndef AMT_PROTO_MERGE_H
#define AMT_PROTO_MERGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <amt/maps.h>
#include "base/addr.h"
#include "proto/membership.h"

#define MERGE_NO_SET UINT32_MAX

/* Where forwarding sets are kept. Failures (negative errno) are the sink's to count; a set that
 * could not be made gets no further calls and is tried again, with all its members, when the source
 * or mode is named anew by another tunnel. A member that was refused is never removed, and tried
 * again when another member leaves the set. */
struct merge_sink {
	/* A new set, not yet seen by packets, without members. */
	int (*set_create)(void *arg, const struct amt_group_key *key, uint32_t *set);
	/* From now on packets use the set. Called once, after the first members are in. */
	int (*set_publish)(void *arg, uint32_t set);
	void (*set_destroy)(void *arg, uint32_t set);
	int (*member_add)(void *arg, uint32_t set, uint32_t tunnel);
	void (*member_remove)(void *arg, uint32_t set, uint32_t tunnel);
	/* The merged state of the group may have changed; read it with merge_upstream(). Called at
	 * most once for each merge_apply(). */
	void (*upstream_changed)(void *arg, const struct amt_addr *group);
};

struct merge;

struct merge *merge_new(const struct merge_sink *sink, void *arg); /* NULL: no memory */
void merge_free(struct merge *merge);

/* Takes in one tunnel's change. Returns 0, or -ENOMEM: then what the tunnel wants no longer is
 * done, so that nothing is left behind when it ends, and what it newly wants is not. */
int merge_apply(struct merge *merge, uint32_t tunnel, const struct wish_change *change);

/* New sets may have very many members. The first call says that merge_apply() shall do no more than
 * for so many, until the next call: what is left of them, packets not seeing them yet, is for this
 * one to do, for no more again. True: there is more. */
bool merge_go_on(struct merge *merge, unsigned int most);

/* The merged state of a group: EXCLUDE if any tunnel is in EXCLUDE mode (sources: those that all
 * of them exclude and nobody includes), else INCLUDE (sources: the union). A group nobody wants is
 * INCLUDE with none. sources belongs to merge and is good until the next call. */
struct merge_upstream {
	bool exclude;
	const struct amt_addr *sources;
	unsigned int nsources;
};
int merge_upstream(struct merge *merge, const struct amt_addr *group, struct merge_upstream *out);

/* Groups, and channels: (*,G) and (S,G) sets that exist. */
unsigned int merge_groups(const struct merge *merge);
unsigned int merge_channels(const struct merge *merge);
/* Whether the set for (source, group) exists; source any asks for (*,G). */
bool merge_has_channel(const struct merge *merge, const struct amt_group_key *key);

/* Calls fn for each set with its key, handle and how many tunnels name it (include or exclude for
 * (S,G), EXCLUDE mode for (*,G)). */
void merge_walk(const struct merge *merge,
		void (*fn)(void *arg, const struct amt_group_key *key, uint32_t set,
			   unsigned int includes, unsigned int excludes),
		void *arg);

#endif
