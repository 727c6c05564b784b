/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * amtd's side of the upstream joins: what is wanted of each group, split over the upstream
 * interfaces, said to the holder process. Never waits for it: a changed filter is queued once, and
 * what it is by the time it can be sent is sent.
 */
#include "relay/upstream_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>
#include "base/loop.h"

#define REVIEW_BATCH	256 /* look-ups of ways to sources, a loop turn */
#define RETRY_DEFAULT_S 10

/* ---- what is wanted ---- */

struct group *upstream_find_group(const struct upstream *u, const struct amt_addr *addr)
{
	struct group *group;

	HASH_FIND(hh, u->groups, addr, sizeof(*addr), group);
	return group;
}

struct join *upstream_find_join(const struct upstream *u, uint32_t ifindex,
				const struct amt_addr *group)
{
	struct join_key key = {.ifindex = ifindex, .group = *group};
	struct join *join;

	HASH_FIND(hh, u->joins, &key, sizeof(key), join);
	return join;
}

static bool has_interface(const struct upstream *u, uint32_t ifindex)
{
	unsigned int i;

	for (i = 0; i < u->ninterfaces; i++)
		if (u->interfaces[i] == ifindex)
			return true;
	return false;
}

static bool is_joined(const struct upstream *u, const struct group *group)
{
	const struct join *join;
	unsigned int i, joined = 0;

	for (i = 0; i < u->ninterfaces; i++) {
		join = upstream_find_join(u, u->interfaces[i], &group->addr);
		if (join && (join->queued || join->waiting || join->error))
			return false;
		joined += join != NULL;
	}
	return joined > 0;
}

void upstream_recount(struct upstream *u, const struct amt_addr *addr)
{
	struct group *group = upstream_find_group(u, addr);
	bool joined;

	if (!group)
		return;
	joined = is_joined(u, group);
	u->joined += joined;
	u->joined -= group->joined;
	group->joined = joined;
}

static void group_drop(struct upstream *u, struct group *group)
{
	u->joined -= group->joined;
	if (group->in_review)
		DL_DELETE(u->reviews, group);
	HASH_DEL(u->groups, group);
	free(group->sources);
	free(group->way);
	free(group);
}

static uint32_t way_to(struct upstream *u, const struct amt_addr *source)
{
	uint32_t ifindex = u->ninterfaces > 1 ? rpf_ifindex(u->rpf, source) : 0;

	return has_interface(u, ifindex) ? ifindex : 0;
}

uint32_t upstream_include_ifindex(const struct upstream *u, const struct group *group,
				  unsigned int i)
{
	return group->way[i] ? group->way[i] : u->interfaces[0];
}

bool upstream_wants(const struct upstream *u, const struct group *group, uint32_t ifindex)
{
	unsigned int i;

	if (!group || !has_interface(u, ifindex))
		return false;
	for (i = 0; !group->exclude && i < group->nsources; i++)
		if (upstream_include_ifindex(u, group, i) == ifindex)
			return true;
	return group->exclude;
}

void upstream_enqueue(struct upstream *u, struct join *join)
{
	join->at = 0;
	if (!join->queued)
		DL_APPEND(u->queue, join);
	join->queued = true;
	upstream_recount(u, &join->key.group);
	upstream_link_wake(u);
}

static struct join *join_make(struct upstream *u, uint32_t ifindex, const struct amt_addr *group)
{
	struct join *join = calloc(1, sizeof(*join));

	if (!join)
		return NULL;
	join->key.ifindex = ifindex;
	join->key.group = *group;
	HASH_ADD(hh, u->joins, key, sizeof(join->key), join);
	return join;
}

void upstream_drop_join(struct upstream *u, struct join *join)
{
	struct amt_addr group = join->key.group;

	u->failed -= join->error != 0;
	if (join->queued)
		DL_DELETE(u->queue, join);
	HASH_DEL(u->joins, join);
	free(join);
	upstream_recount(u, &group);
}

/* Has the group said anew on every interface. */
static int enqueue_group(struct upstream *u, const struct amt_addr *addr)
{
	const struct group *group = upstream_find_group(u, addr);
	struct join *join;
	unsigned int i;

	for (i = 0; i < u->ninterfaces; i++) {
		join = upstream_find_join(u, u->interfaces[i], addr);
		if (!join && !upstream_wants(u, group, u->interfaces[i]))
			continue;
		if (!join)
			join = join_make(u, u->interfaces[i], addr);
		if (!join)
			return -ENOMEM;
		upstream_enqueue(u, join);
	}
	return 0;
}

/* ---- review: interfaces or routes changed ---- */

static void review_soon(struct upstream *u)
{
	struct timeval now = {0};

	if (u->reviews && !evtimer_pending(u->review, NULL))
		evtimer_add(u->review, &now);
}

static void review_all(void *arg)
{
	struct upstream *u = arg;
	struct group *group, *tmp;

	HASH_ITER (hh, u->groups, group, tmp)
		if (!group->in_review) {
			DL_APPEND(u->reviews, group);
			group->in_review = true;
		}
	review_soon(u);
}

static bool find_ways(struct upstream *u, struct group *group)
{
	bool changed = false;
	unsigned int i;

	for (i = 0; i < group->nsources; i++) {
		uint32_t way = way_to(u, &group->sources[i]);

		changed |= way != group->way[i];
		group->way[i] = way;
	}
	return changed;
}

/* Joins that are missing on an interface that the group should be on, or stand on a wrong one. */
static bool misplaced(const struct upstream *u, const struct group *group)
{
	const struct join *join;
	unsigned int i;

	for (i = 0; i < u->ninterfaces; i++) {
		join = upstream_find_join(u, u->interfaces[i], &group->addr);
		if (upstream_wants(u, group, u->interfaces[i]) !=
		    (join && (join->held || join->queued)))
			return true;
	}
	return false;
}

static void on_review(evutil_socket_t fd, short what, void *arg)
{
	struct upstream *u = arg;
	unsigned int n = 0;

	while (u->reviews && n < REVIEW_BATCH && !(n && loop_turn_is_long())) {
		struct group *group = u->reviews;
		struct amt_addr addr = group->addr;

		n += 1 + group->nsources;
		DL_DELETE(u->reviews, group);
		group->in_review = false;
		upstream_recount(u, &addr);
		if (!find_ways(u, group) && !misplaced(u, group))
			continue;
		enqueue_group(u, &addr);
		if (u->options.changed)
			u->options.changed(u->options.arg, &addr);
	}
	review_soon(u);
}

/* ---- open and close ---- */

static void upstream_free(struct upstream *u)
{
	struct group *group, *gtmp;
	struct join *join, *jtmp;

	upstream_link_free(u);
	if (u->review)
		event_free(u->review);
	rpf_free(u->rpf);
	HASH_ITER (hh, u->groups, group, gtmp)
		group_drop(u, group);
	HASH_ITER (hh, u->joins, join, jtmp)
		upstream_drop_join(u, join);
	free(u);
}

static int open_parts(struct upstream *u, struct error *err)
{
	int code;

	u->review = evtimer_new(u->base, on_review, u);
	code = u->review ? rpf_open(&u->rpf, u->base, review_all, u) : -ENOMEM;
	if (code)
		return error_set(err, code, "upstream routes cannot be followed: %s",
				 strerror(-code));
	return upstream_link_open(u, err);
}

int upstream_open(struct upstream **out, const struct upstream_options *options,
		  struct event_base *base, struct error *err)
{
	struct upstream *u;
	int code;

	if (strlen(options->instance) >= sizeof(u->instance))
		return error_set(err, -ENAMETOOLONG, "instance name %s is too long",
				 options->instance);
	u = calloc(1, sizeof(*u));
	if (!u)
		return error_set(err, -ENOMEM, "no memory for upstream joins");
	u->options = *options;
	if (!u->options.retry_s)
		u->options.retry_s = RETRY_DEFAULT_S;
	u->base = base;
	u->fd = -1;
	strcpy(u->instance, options->instance);
	code = open_parts(u, err);
	if (code) {
		upstream_free(u);
		return code;
	}
	*out = u;
	return 0;
}

void upstream_set_timing(struct upstream *u, uint64_t hold_ns, unsigned int retry_s)
{
	bool greet_again = u->options.hold_ns != hold_ns;

	u->options.retry_s = retry_s;
	u->options.hold_ns = hold_ns;
	if (greet_again) /* a greeting says how long to hold */
		upstream_link_renew(u);
}

void upstream_sockets_changed(struct upstream *u)
{
	upstream_link_sockets(u);
}

void upstream_close(struct upstream *u)
{
	if (u)
		upstream_free(u);
}

void upstream_destroy(struct upstream *u)
{
	if (u)
		upstream_link_quit(u);
	upstream_close(u);
}

/* ---- the interface to the relay ---- */

int upstream_add_interface(struct upstream *u, uint32_t ifindex)
{
	if (has_interface(u, ifindex))
		return 0;
	if (u->ninterfaces == AMT_INTERFACES_MAX)
		return -ENOSPC;
	u->interfaces[u->ninterfaces++] = ifindex;
	review_all(u);
	return 0;
}

void upstream_remove_interface(struct upstream *u, uint32_t ifindex)
{
	struct join *join, *tmp;
	unsigned int i;

	for (i = 0; i < u->ninterfaces && u->interfaces[i] != ifindex; i++)
		;
	if (i == u->ninterfaces)
		return;
	u->ninterfaces--;
	memmove(&u->interfaces[i], &u->interfaces[i + 1],
		(u->ninterfaces - i) * sizeof(u->interfaces[0]));
	HASH_ITER (hh, u->joins, join, tmp)
		if (join->key.ifindex == ifindex) {
			/* it may be back, by the same index, before this is said */
			join->leave_first = join->held;
			upstream_enqueue(u, join);
		}
	review_all(u);
}

static int compare_addr(const void *a, const void *b)
{
	return addr_compare(a, b);
}

/* Takes in the sources, sorted and each once, with the ways to those that are new. */
static int set_sources(struct upstream *u, struct group *group, const struct amt_addr *sources,
		       unsigned int n)
{
	struct amt_addr *list = malloc((n + 1) * sizeof(*list)), *known;
	uint32_t *way = malloc((n + 1) * sizeof(*way));
	unsigned int i, kept = 0;

	if (!list || !way) {
		free(list);
		free(way);
		return -ENOMEM;
	}
	if (n)
		memcpy(list, sources, n * sizeof(*list));
	qsort(list, n, sizeof(*list), compare_addr);
	for (i = 0; i < n; i++) {
		if (kept && addr_equal(&list[kept - 1], &list[i]))
			continue;
		list[kept] = list[i];
		known = group->nsources ? bsearch(&list[i], group->sources, group->nsources,
						  sizeof(*list), compare_addr)
					: NULL;
		way[kept++] = known ? group->way[known - group->sources] : way_to(u, &list[i]);
	}
	free(group->sources);
	free(group->way);
	group->sources = list;
	group->way = way;
	group->nsources = kept;
	return 0;
}

int upstream_set(struct upstream *u, const struct amt_addr *addr, bool exclude,
		 const struct amt_addr *sources, unsigned int nsources)
{
	struct amt_addr copy = *addr; /* it may be the group's own */
	struct group *group = upstream_find_group(u, addr);
	int err;

	if (!exclude && nsources == 0) {
		if (group)
			group_drop(u, group);
		return enqueue_group(u, &copy);
	}
	if (!group) {
		group = calloc(1, sizeof(*group));
		if (!group)
			return -ENOMEM;
		group->addr = copy;
		HASH_ADD(hh, u->groups, addr, sizeof(group->addr), group);
	}
	err = set_sources(u, group, sources, nsources);
	if (err) {
		if (!group->sources)
			group_drop(u, group);
		return err;
	}
	group->exclude = exclude;
	return enqueue_group(u, &copy);
}

uint32_t upstream_ifindex(struct upstream *u, const struct amt_group_key *key)
{
	const struct group *group;
	uint32_t way;

	/* with one interface every upstream packet comes in by it, even when it was made anew */
	if (u->ninterfaces < 2 || addr_is_any(&key->source))
		return 0;
	way = way_to(u, &key->source);
	group = upstream_find_group(u, &key->group);
	if (way || (group && group->exclude)) /* an EXCLUDE is joined everywhere */
		return way;
	return u->interfaces[0];
}

int upstream_sync_done(struct upstream *u)
{
	u->sync_wanted = true;
	upstream_link_wake(u);
	return 0;
}

int upstream_group_error(const struct upstream *u, const struct amt_addr *group)
{
	const struct join *join;
	unsigned int i;

	for (i = 0; i < u->ninterfaces; i++) {
		join = upstream_find_join(u, u->interfaces[i], group);
		if (join && join->error)
			return join->error;
	}
	return 0;
}

void upstream_status(struct upstream *u, struct upstream_status *out)
{
	out->groups = u->joined;
	out->failed = u->failed;
	out->sockets = u->holder_sockets;
	out->holder_pid = u->holder_pid;
}

bool upstream_wanted_here(struct upstream *u, const struct amt_addr *addr)
{
	const struct group *group = upstream_find_group(u, addr);

	return group && group->listened;
}
