/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What one group record does to one tunnel's state: the tables of RFC 3376 6.4 and RFC 3810 7.4
 * (R-125..R-136) without queries. RFC 7450 5.3.1 lets a relay leave queries out; as a tunnel is
 * one host, or a proxy that speaks for its hosts with one voice, its word is the answer that a
 * query would bring, and "Send Q" becomes: it takes effect at once.
 *
 *	state		record		new state		instead of the query
 *	INCLUDE (A)	IS_IN (B)	INCLUDE (A+B)
 *	INCLUDE (A)	IS_EX (B)	EXCLUDE (A*B, B-A)
 *	EXCLUDE (X,Y)	IS_IN (A)	EXCLUDE (X+A, Y-A)
 *	EXCLUDE (X,Y)	IS_EX (A)	EXCLUDE (A-Y, Y*A)
 *	INCLUDE (A)	ALLOW (B)	INCLUDE (A+B)
 *	INCLUDE (A)	BLOCK (B)	INCLUDE (A-B)		A*B end
 *	INCLUDE (A)	TO_EX (B)	EXCLUDE ({}, B)		A*B are excluded
 *	INCLUDE (A)	TO_IN (B)	INCLUDE (B)		A-B end
 *	EXCLUDE (X,Y)	ALLOW (A)	EXCLUDE (X+A, Y-A)
 *	EXCLUDE (X,Y)	BLOCK (A)	EXCLUDE (X-A, Y+A)	A-Y are excluded
 *	EXCLUDE (X,Y)	TO_EX (A)	EXCLUDE ({}, A)		A-Y are excluded
 *	EXCLUDE (X,Y)	TO_IN (A)	INCLUDE (A)		X-A and the group timer end
 *
 * Each row gives its own result when it is repeated, so retransmissions change timers only.
 */
#include "proto/membership.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/counters.h"
#include "proto/membership_state.h"

/* A source list too long for one report is split over several, IS_EX and TO_EX excepted (RFC 3376
 * 4.2.16, R-145); no report of the smallest MTU holds more than this, IPv6. The parts come
 * together, also when they are repeated after at most the unsolicited report interval, 1 s. */
#define SPLIT_SOURCES 64
#define SPLIT_NS      (2 * NSEC_PER_SEC)

/* What becomes of a source of the group's list or of the record. */
enum fate {
	DROP,	 /* not (or no longer) in the list */
	KEEP,	 /* as it is */
	EXCLUDE, /* its timer ends: set Y */
	REFRESH, /* its timer starts anew: set X, or A */
};

/* One row of the table. Of set X (in INCLUDE mode A) and Y: sources that the record names, and
 * those that it does not; and what it names that is in neither. */
struct row {
	bool exclude_after;
	enum fate x_named, x_unnamed, y_named, y_unnamed, added;
};

static const struct row include_rows[] = {
	[RECORD_IS_IN] = {false, REFRESH, KEEP, 0, 0, REFRESH}, /* */
	[RECORD_IS_EX] = {true, KEEP, DROP, 0, 0, EXCLUDE},	/* */
	[RECORD_ALLOW] = {false, REFRESH, KEEP, 0, 0, REFRESH}, /* */
	[RECORD_BLOCK] = {false, DROP, KEEP, 0, 0, DROP},	/* */
	[RECORD_TO_EX] = {true, EXCLUDE, DROP, 0, 0, EXCLUDE},	/* */
	[RECORD_TO_IN] = {false, REFRESH, DROP, 0, 0, REFRESH}, /* */
};
static const struct row exclude_rows[] = {
	[RECORD_IS_IN] = {true, REFRESH, KEEP, REFRESH, KEEP, REFRESH},	 /* */
	[RECORD_IS_EX] = {true, KEEP, DROP, KEEP, DROP, REFRESH},	 /* */
	[RECORD_ALLOW] = {true, REFRESH, KEEP, REFRESH, KEEP, REFRESH},	 /* */
	[RECORD_BLOCK] = {true, EXCLUDE, KEEP, KEEP, KEEP, EXCLUDE},	 /* */
	[RECORD_TO_EX] = {true, EXCLUDE, DROP, KEEP, DROP, EXCLUDE},	 /* */
	[RECORD_TO_IN] = {false, REFRESH, DROP, REFRESH, DROP, REFRESH}, /* */
};

/* One record on its way into one group. */
struct step {
	const struct membership_config *config;
	uint64_t now;
	enum record_type type;
	struct amt_addr group;
	const struct member_group *g;	/* NULL: not joined */
	const struct amt_addr *sources; /* valid, by address, each once */
	unsigned int nsources;
	struct row row;
	bool may_be_split;
};

/* The group's list and the record's, side by side in order of address. */
struct pair {
	unsigned int i, j;
	const struct member_source *old;
	const struct amt_addr *named;
};

static bool pair_next(const struct step *step, struct pair *pair)
{
	const struct member_source *old = NULL;
	const struct amt_addr *named = NULL;
	int order;

	if (step->g && pair->i < step->g->nsources)
		old = &step->g->sources[pair->i];
	if (pair->j < step->nsources)
		named = &step->sources[pair->j];
	order = !old ? 1 : !named ? -1 : addr_compare(&old->addr, named);
	pair->old = order > 0 ? NULL : old;
	pair->named = order < 0 ? NULL : named;
	pair->i += pair->old != NULL;
	pair->j += pair->named != NULL;
	return pair->old || pair->named;
}

static enum fate pair_fate(const struct step *step, const struct pair *pair)
{
	const struct row *row = &step->row;

	if (!pair->old)
		return row->added;
	if (pair->old->expires == EXPIRES_EXCLUDED)
		return pair->named ? row->y_named : row->y_unnamed;
	if (pair->named)
		return row->x_named;
	/* the other part of a split list, just come */
	if (step->may_be_split && pair->old->expires + SPLIT_NS > step->now + step->config->gmi_ns)
		return KEEP;
	return row->x_unnamed;
}

/* How many more sources the group may have beside those that stay. */
static unsigned int sources_left(const struct step *step)
{
	unsigned int max = step->config->max_sources, stay = 0;
	struct pair pair = {0};

	if (!max)
		return UINT32_MAX;
	while (pair_next(step, &pair))
		stay += pair.old && pair_fate(step, &pair) != DROP;
	return stay < max ? max - stay : 0;
}

static bool admitted(const struct step *step, const struct amt_addr *source)
{
	const struct membership_config *config = step->config;

	return !config->admit || config->admit(config->admit_arg, &step->group, source);
}

/* Writes the group's new list, and returns how long it is. Additions, and only they, are refused
 * at a limit. */
static unsigned int sources_after(const struct step *step, struct member_source *out)
{
	unsigned int left = sources_left(step), n = 0;
	struct pair pair = {0};

	while (pair_next(step, &pair)) {
		enum fate fate = pair_fate(step, &pair);

		if (fate == DROP)
			continue;
		if (!pair.old && !left) {
			counter_add(AMT_COUNT_SOURCE_LIMIT, 1);
			continue;
		}
		if (!pair.old && !admitted(step, pair.named))
			continue;
		left -= !pair.old;
		out[n].addr = pair.old ? pair.old->addr : *pair.named;
		if (fate == KEEP)
			out[n].expires = pair.old->expires;
		else if (fate == EXCLUDE)
			out[n].expires = EXPIRES_EXCLUDED;
		else
			out[n].expires = step->now + step->config->gmi_ns;
		n++;
	}
	return n;
}

/* Older hosts: while one is there BLOCK is ignored, and so is what TO_EX lists. */
static bool old_host_rules(struct step *step)
{
	if (!step->g || step->g->old_host_until <= step->now)
		return true;
	if (step->type == RECORD_TO_EX)
		step->nsources = 0;
	return step->type != RECORD_BLOCK;
}

/* Whether the record may make what it wants of the group as a whole. */
static bool group_allowed(const struct membership *m, const struct step *step)
{
	bool makes = step->row.exclude_after || (step->row.added == REFRESH && step->nsources);
	unsigned int max = step->config->max_groups;

	if (!step->g && !makes)
		return false; /* */
	if (!step->g && max && m->ngroups >= max) {
		counter_add(AMT_COUNT_GROUP_LIMIT, 1);
		return false;
	}
	if (step->row.exclude_after && !(step->g && step->g->exclude))
		return admitted(step, NULL);
	return true;
}

/* Applies the step; old_report: an IGMPv2 or MLDv1 report (RFC 3376 7.3.2). */
static int step_apply(struct membership *m, struct step *step, bool old_report,
		      membership_change_fn fn, void *arg)
{
	const struct member_group *g = membership_find(m, &step->group);
	uint64_t full = step->now + step->config->gmi_ns;
	struct member_state next = {.group = step->group};
	struct member_source on_stack[64], *sources = on_stack;
	size_t most = (size_t)(g ? g->nsources : 0) + step->nsources;
	int err;

	step->g = g;
	step->row = (g && g->exclude ? exclude_rows : include_rows)[step->type];
	step->may_be_split = step->type == RECORD_TO_IN && g && !g->exclude && step->nsources &&
			     most > SPLIT_SOURCES;
	if (!old_host_rules(step) || !group_allowed(m, step))
		return 0;
	if (most > sizeof(on_stack) / sizeof(on_stack[0]))
		sources = malloc(most * sizeof(*sources));
	if (!sources)
		return -ENOMEM;
	next.sources = sources;
	next.nsources = sources_after(step, sources);
	next.exclude = step->row.exclude_after;
	if (next.exclude)
		next.expires = step->type == RECORD_IS_EX || step->type == RECORD_TO_EX
				       ? full
				       : g->expires;
	next.old_host_until = old_report ? full : g ? g->old_host_until : 0;
	err = membership_become(m, &next, fn, arg);
	if (!err && m->ngroups && full < m->deadline)
		m->deadline = full;
	if (sources != on_stack)
		free(sources);
	return err;
}

static bool group_is_ssm(const struct membership_config *config, const struct amt_addr *group)
{
	unsigned int i;

	if (!config->ssm)
		return addr_is_ssm(group);
	for (i = 0; i < config->nssm; i++)
		if (prefix_contains(&config->ssm[i], group))
			return true;
	return false;
}

/* ..R-151 */
static bool record_allowed(const struct membership_config *config, const struct amt_addr *group,
			   enum record_type type, bool old_host)
{
	if (!addr_is_multicast(group) || addr_is_multicast_local(group)) {
		counter_add(AMT_COUNT_RECORD_BAD_GROUP, 1);
		return false;
	}
	if (!group_is_ssm(config, group))
		return true;
	if (old_host) {
		counter_add(AMT_COUNT_RECORD_SSM_OLD, 1);
		return false;
	}
	if (type == RECORD_IS_EX || type == RECORD_TO_EX) {
		counter_add(AMT_COUNT_RECORD_SSM_EXCLUDE, 1);
		return false;
	}
	return true;
}

static int compare_addr(const void *a, const void *b)
{
	return addr_compare(a, b);
}

/* Leaves the valid sources of group, sorted, each once; returns how many. */
static unsigned int sources_tidy(const struct amt_addr *group, struct amt_addr *sources,
				 unsigned int n)
{
	unsigned int i, valid = 0, unique = 0;
	bool sorted = true;

	for (i = 0; i < n; i++) {
		if (!addr_is_unicast_source(&sources[i]) ||
		    addr_family(&sources[i]) != addr_family(group)) {
			counter_add(AMT_COUNT_RECORD_BAD_SOURCE, 1);
			continue;
		}
		sources[valid] = sources[i];
		if (valid && addr_compare(&sources[valid - 1], &sources[valid]) > 0)
			sorted = false;
		valid++;
	}
	if (!sorted)
		qsort(sources, valid, sizeof(*sources), compare_addr);
	for (i = 0; i < valid; i++)
		if (!unique || !addr_equal(&sources[unique - 1], &sources[i]))
			sources[unique++] = sources[i];
	return unique;
}

int membership_apply(struct membership *m, const struct membership_config *config, uint64_t now,
		     const struct report_record *record, membership_change_fn fn, void *arg)
{
	struct amt_addr on_stack[64], *sources = on_stack;
	struct step step = {.config = config, .now = now, .type = record->type};
	bool other_family = record->source_len == (addr_is_ipv4(&record->group) ? 16 : 4);
	unsigned int i;
	int err;

	step.group = record->group;
	if (other_family) { /* a v4-mapped address in an MLD report */
		counter_add(AMT_COUNT_RECORD_BAD_GROUP, 1);
		return 0;
	}
	if (!record_allowed(config, &record->group, record->type, record->old_host))
		return 0;
	if (record->nsources > sizeof(on_stack) / sizeof(on_stack[0]))
		sources = malloc(record->nsources * sizeof(*sources));
	if (!sources)
		return -ENOMEM;
	for (i = 0; i < record->nsources; i++)
		sources[i] = report_source(record, i);
	step.sources = sources;
	step.nsources = sources_tidy(&record->group, sources, record->nsources);
	err = step_apply(m, &step, record->old_host && record->type == RECORD_IS_EX, fn, arg);
	if (sources != on_stack)
		free(sources);
	return err;
}

int membership_restore(struct membership *m, const struct membership_config *config, uint64_t now,
		       const struct amt_addr *group, bool exclude, const struct amt_addr *sources,
		       unsigned int nsources, membership_change_fn fn, void *arg)
{
	struct step step = {.config = config,
			    .now = now,
			    .type = exclude ? RECORD_TO_EX : RECORD_TO_IN,
			    .group = *group};
	struct amt_addr *own;
	int err;

	if (!record_allowed(config, group, step.type, false))
		return 0;
	own = malloc((nsources + 1) * sizeof(*own)); /* +1: malloc(0) may be NULL */
	if (!own)
		return -ENOMEM;
	if (nsources)
		memcpy(own, sources, nsources * sizeof(*own));
	step.sources = own;
	step.nsources = sources_tidy(group, own, nsources);
	err = step_apply(m, &step, false, fn, arg);
	free(own);
	return err;
}
