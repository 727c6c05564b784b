/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state machine is the relay's own (proto/membership.h), with the host in the place of the one
 * tunnel; here its wishes become entries of (source, group).
 */
#include "gateway/joined.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include "base/clock.h"
#include "proto/membership.h"
#include "proto/query.h"
#include "proto/report.h"

#define GRACE_NS (10 * NSEC_PER_SEC) /* for a query that was lost once */

struct entry {
	UT_hash_handle hh;
	struct joined_entry entry;
};

struct joined {
	struct membership *membership;
	struct membership_config config;
	uint64_t life[2]; /* by the queries for IGMP and MLD, 0: none yet */
	joined_change_fn fn;
	void *arg;
	struct entry *entries;
	bool failed; /* no memory for an entry */
};

/* SSM has no rules of its own here: what programs joined is what they get. */
static const struct amt_prefix no_ssm;

static uint64_t lifetime(unsigned int robustness, unsigned int interval_s)
{
	return (uint64_t)(robustness ? robustness : QUERY_ROBUSTNESS_DEFAULT) *
		       (interval_s ? interval_s : QUERY_INTERVAL_DEFAULT) * NSEC_PER_SEC +
	       GRACE_NS;
}

struct joined *joined_new(joined_change_fn fn, void *arg)
{
	struct joined *joined = calloc(1, sizeof(*joined));

	if (!joined)
		return NULL;
	joined->fn = fn;
	joined->arg = arg;
	joined->config.ssm = &no_ssm;
	joined->membership = membership_new();
	if (!joined->membership) {
		free(joined);
		return NULL;
	}
	joined->config.gmi_ns = lifetime(0, 0);
	return joined;
}

void joined_free(struct joined *joined)
{
	struct entry *entry, *tmp;

	if (!joined)
		return;
	HASH_ITER (hh, joined->entries, entry, tmp) {
		HASH_DEL(joined->entries, entry);
		free(entry);
	}
	membership_free(joined->membership);
	free(joined);
}

void joined_set_timing(struct joined *joined, bool mld, unsigned int robustness,
		       unsigned int interval_s)
{
	uint64_t *life = joined->life;

	life[mld] = lifetime(robustness, interval_s);
	joined->config.gmi_ns = life[0] > life[1] ? life[0] : life[1];
}

/* ---- entries ---- */

static struct entry *find(const struct joined *joined, const struct amt_group_key *key)
{
	struct entry *entry;

	HASH_FIND(hh, joined->entries, key, sizeof(*key), entry);
	return entry;
}

static void end(struct joined *joined, const struct amt_group_key *key)
{
	struct entry *entry = find(joined, key);

	if (!entry)
		return;
	joined->fn(joined->arg, key, JOINED_NO);
	HASH_DEL(joined->entries, entry);
	free(entry);
}

static void set(struct joined *joined, const struct amt_group_key *key, enum joined_verdict verdict)
{
	struct entry *entry = find(joined, key);

	if (entry && entry->entry.verdict == verdict)
		return;
	if (!entry) {
		entry = calloc(1, sizeof(*entry));
		if (!entry) {
			joined->failed = true;
			return;
		}
		entry->entry.key = *key;
		HASH_ADD(hh, joined->entries, entry.key, sizeof(*key), entry);
	}
	entry->entry.verdict = verdict;
	joined->fn(joined->arg, key, verdict);
}

static enum joined_verdict verdict_of(enum source_wish wish)
{
	return wish == WISH_INCLUDED   ? JOINED_WANTED
	       : wish == WISH_EXCLUDED ? JOINED_EXCLUDED
				       : JOINED_NO;
}

/* What makes more wanted comes first, so that nothing is dropped in between: sources that are
 * included, the group, then what ends or is excluded. */
static void on_change(void *arg, const struct wish_change *change)
{
	struct amt_group_key key = {.group = change->group}, any = key;
	struct joined *joined = arg;
	unsigned int i;

	for (i = 0; i < change->nsources; i++) {
		key.source = change->sources[i].addr;
		if (change->sources[i].after == WISH_INCLUDED)
			set(joined, &key, JOINED_WANTED);
	}
	if (change->exclude_after)
		set(joined, &any, JOINED_WANTED);
	for (i = 0; i < change->nsources; i++) {
		key.source = change->sources[i].addr;
		if (change->sources[i].after == WISH_EXCLUDED)
			set(joined, &key, JOINED_EXCLUDED);
	}
	if (!change->exclude_after)
		end(joined, &any);
	for (i = 0; i < change->nsources; i++) {
		key.source = change->sources[i].addr;
		if (verdict_of(change->sources[i].after) == JOINED_NO)
			end(joined, &key);
	}
}

/* ---- what happens ---- */

int joined_report(struct joined *joined, uint64_t now, const void *datagram, size_t len)
{
	static const struct report_options options;
	struct report_record record;
	struct report report;
	int err = 0;

	if (report_parse(datagram, len, &options, &report))
		return -EINVAL;
	joined->failed = false;
	while (!err && report_next(&report, &record, NULL)) {
		/* the host reports its own link-local groups too, which is no mistake */
		if (addr_is_multicast_local(&record.group))
			continue;
		err = membership_apply(joined->membership, &joined->config, now, &record, on_change,
				       joined);
	}
	return joined->failed ? -ENOMEM : err;
}

static int by_group(const void *left, const void *right)
{
	const struct joined_entry *a = left, *b = right;
	int order = addr_compare(&a->key.group, &b->key.group);

	return order ? order : addr_compare(&a->key.source, &b->key.source);
}

/* The n entries of one group: (*,G), if it is there, stands first. */
static int adopt_group(struct joined *joined, uint64_t now, const struct joined_entry *entries,
		       unsigned int n, struct amt_addr *sources)
{
	bool exclude = addr_is_any(&entries[0].key.source);
	enum joined_verdict kind = exclude ? JOINED_EXCLUDED : JOINED_WANTED;
	unsigned int i, nsources = 0;

	for (i = exclude ? 1 : 0; i < n; i++)
		if (entries[i].verdict == kind)
			sources[nsources++] = entries[i].key.source;
	return membership_restore(joined->membership, &joined->config, now, &entries[0].key.group,
				  exclude, sources, nsources, on_change, joined);
}

int joined_adopt(struct joined *joined, uint64_t now, const struct joined_entry *entries,
		 unsigned int n)
{
	struct joined_entry *sorted = calloc(n + 1, sizeof(*sorted));
	struct amt_addr *sources = calloc(n + 1, sizeof(*sources));
	unsigned int first, last;
	int err = sorted && sources ? 0 : -ENOMEM;

	joined->failed = false;
	if (!err && n) {
		memcpy(sorted, entries, n * sizeof(*sorted));
		qsort(sorted, n, sizeof(*sorted), by_group);
	}
	for (first = 0; !err && first < n; first = last) {
		for (last = first;
		     last < n && addr_equal(&sorted[last].key.group, &sorted[first].key.group);
		     last++)
			;
		err = adopt_group(joined, now, sorted + first, last - first, sources);
	}
	free(sources);
	free(sorted);
	return joined->failed ? -ENOMEM : err;
}

uint64_t joined_tick(struct joined *joined, uint64_t now)
{
	return membership_expire(joined->membership, now, NULL, on_change, joined);
}

/* ---- what is asked ---- */

bool joined_wants(const struct joined *joined, const struct amt_addr *source,
		  const struct amt_addr *group)
{
	struct amt_group_key key = {.source = *source, .group = *group};
	const struct entry *entry = find(joined, &key);

	if (!entry) {
		memset(&key.source, 0, sizeof(key.source));
		entry = find(joined, &key);
	}
	return entry && entry->entry.verdict == JOINED_WANTED;
}

unsigned int joined_groups(const struct joined *joined)
{
	return membership_groups(joined->membership);
}

struct walk {
	const struct joined *joined;
	void (*fn)(void *arg, const struct joined_entry *entry);
	void *arg;
};

static void walk_group(void *arg, const struct membership_view *view)
{
	const struct walk *walk = arg;
	struct amt_group_key any = {.group = view->group};
	const struct entry *entry = find(walk->joined, &any);

	if (entry)
		walk->fn(walk->arg, &entry->entry);
}

static void walk_source(void *arg, const struct membership_view *view,
			const struct membership_source_view *source)
{
	const struct walk *walk = arg;
	struct amt_group_key key = {.source = source->source, .group = view->group};
	const struct entry *entry = find(walk->joined, &key);

	if (entry)
		walk->fn(walk->arg, &entry->entry);
}

void joined_walk(const struct joined *joined,
		 void (*fn)(void *arg, const struct joined_entry *entry), void *arg)
{
	struct walk walk = {.joined = joined, .fn = fn, .arg = arg};

	membership_walk(joined->membership, walk_group, walk_source, &walk);
}
