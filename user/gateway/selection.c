/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whom to ask: the candidates in configured order, their names' addresses, and hold-downs
 * . A better candidate is gone back to only when the one in use fails (RFC 8777 3.3.3).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/counters.h"
#include "gateway/engine.h"

#define RESOLVE_TIMEOUT (15 * NSEC_PER_SEC) /* for a resolver that never says no */
#define RESOLVED_LIFE	(60 * NSEC_PER_SEC) /* a name is asked anew when it is chosen later */

bool hold_is_on(const struct hold *hold, uint64_t now)
{
	return now < hold->until;
}

int selection_new(struct gateway *g)
{
	unsigned int i;

	g->candidates = calloc(g->options.ncandidates + 1, sizeof(*g->candidates));
	if (!g->candidates)
		return -ENOMEM;
	for (i = 0; i < g->options.ncandidates; i++) {
		if (g->options.candidates[i].kind == CANDIDATE_NAME)
			continue;
		g->candidates[i].n = 1;
		g->candidates[i].targets[0].addr = g->options.candidates[i].addr;
	}
	return 0;
}

struct memory *memory_of(struct gateway *g, uint64_t now, const struct amt_addr *relay)
{
	struct memory *oldest = g->memory;
	unsigned int i;

	for (i = 0; i < REMEMBERED; i++) {
		if (addr_equal(&g->memory[i].relay, relay)) {
			g->memory[i].used_ns = now;
			return &g->memory[i];
		}
		if (g->memory[i].used_ns < oldest->used_ns)
			oldest = &g->memory[i];
	}
	*oldest = (struct memory){.relay = *relay, .used_ns = now};
	return oldest;
}

static struct target *target_find(const struct candidate *candidate, const struct amt_addr *addr)
{
	unsigned int i;

	for (i = 0; i < candidate->n; i++)
		if (addr_equal(&candidate->targets[i].addr, addr))
			return (struct target *)&candidate->targets[i];
	return NULL;
}

void selection_led_to(struct gateway *g, const struct amt_addr *relay)
{
	struct target *target = target_find(&g->candidates[g->candidate], &g->asked);

	if (target)
		target->relay = *relay;
}

void selection_hold(struct gateway *g, uint64_t now, unsigned int seconds, const char *why,
		    bool soft)
{
	const struct hold hold = {now + seconds * NSEC_PER_SEC, why, soft};
	struct target *target = target_find(&g->candidates[g->candidate], &g->asked);

	if (target)
		target->hold = hold;
	if (g->link.known)
		memory_of(g, now, &g->link.relay.addr)->hold = hold;
}

static bool is_name(const struct gateway *g, unsigned int i)
{
	return g->options.candidates[i].kind == CANDIDATE_NAME;
}

static bool must_resolve(const struct gateway *g, unsigned int i, uint64_t now)
{
	const struct candidate *candidate = &g->candidates[i];

	return is_name(g, i) &&
	       (!candidate->resolved_ns || now - candidate->resolved_ns >= RESOLVED_LIFE);
}

/* The first address of the candidate that may be asked. */
static struct target *target_free(const struct candidate *candidate, uint64_t now)
{
	unsigned int i;

	for (i = 0; i < candidate->n; i++)
		if (!hold_is_on(&candidate->targets[i].hold, now))
			return (struct target *)&candidate->targets[i];
	return NULL;
}

static bool leads_to(const struct target *target, const struct link *link)
{
	return link->known && (addr_equal(&target->addr, &link->relay.addr) ||
			       addr_equal(&target->relay, &link->relay.addr));
}

bool selection_other(const struct gateway *g, uint64_t now)
{
	unsigned int i, j;

	for (i = 0; i < g->options.ncandidates; i++) {
		const struct candidate *candidate = &g->candidates[i];

		if (is_name(g, i) && !candidate->n && !hold_is_on(&candidate->unresolved, now))
			return true;
		for (j = 0; j < candidate->n; j++)
			if (!hold_is_on(&candidate->targets[j].hold, now) &&
			    !addr_equal(&candidate->targets[j].addr, &g->asked) &&
			    !leads_to(&candidate->targets[j], &g->link))
				return true;
	}
	return false;
}

static void hold_forgive(struct hold *hold)
{
	if (hold->soft)
		hold->until = 0;
}

void selection_forgive(struct gateway *g)
{
	unsigned int i, j;

	for (i = 0; i < g->options.ncandidates; i++) {
		hold_forgive(&g->candidates[i].unresolved);
		for (j = 0; j < g->candidates[i].n; j++)
			hold_forgive(&g->candidates[i].targets[j].hold);
	}
	for (i = 0; i < REMEMBERED; i++)
		hold_forgive(&g->memory[i].hold);
}

/* When the first hold-down ends; *soft: one of them may be cut short. */
static uint64_t first_free(const struct gateway *g, bool *soft)
{
	uint64_t first = TIME_NEVER;
	unsigned int i, j;

	*soft = false;
	for (i = 0; i < g->options.ncandidates; i++) {
		const struct candidate *candidate = &g->candidates[i];
		const struct hold *hold = &candidate->unresolved;

		for (j = 0; j < candidate->n || (j == 0 && hold->until); j++) {
			if (j < candidate->n)
				hold = &candidate->targets[j].hold;
			if (hold->until < first)
				first = hold->until;
			*soft |= hold->soft;
		}
	}
	return first;
}

/* Nobody to ask. A relay that set L, or that no data comes from, is better than none. */
static void nobody_left(struct gateway *g, uint64_t now)
{
	bool soft;
	uint64_t wake = first_free(g, &soft), again;

	if (g->old.known && g->old_alive) {
		g->link = g->old;
		memset(&g->old, 0, sizeof(g->old));
		g->candidate = g->link.candidate;
		g->asked = g->link.asked;
		g->state = GATEWAY_UP;
		cycles_start(g, now);
		return;
	}
	g->state = GATEWAY_IDLE;
	g->asked = (struct amt_addr){0};
	if (soft) { /* it only gave no answer: that is a retransmission, with its back-off */
		again = now + gateway_backoff(g, g->options.request_initial, g->options.request_max,
					      g->rounds++);
		wake = again < wake ? again : wake;
	}
	g->due = wake;
}

void selection_start(struct gateway *g, uint64_t now)
{
	struct target *target;
	unsigned int i;

	for (i = 0; i < g->options.ncandidates; i++) {
		g->candidate = i;
		if (must_resolve(g, i, now) && !hold_is_on(&g->candidates[i].unresolved, now)) {
			g->state = GATEWAY_RESOLVING;
			g->due = now + RESOLVE_TIMEOUT;
			g->edge.resolve(g->edge.arg, i, g->options.candidates[i].name);
			return;
		}
		target = target_free(&g->candidates[i], now);
		if (target) {
			g->asked = target->addr;
			discovery_start(g, now);
			return;
		}
	}
	nobody_left(g, now);
}

static void name_failed(struct gateway *g, uint64_t now, struct candidate *candidate)
{
	candidate->unresolved = (struct hold){
		now + g->options.hold_down * NSEC_PER_SEC,
		"name not resolved",
		true,
	};
	candidate->resolved_ns = 0;
	counter_add(AMT_COUNT_GATEWAY_RELAY_FAILED, 1);
}

void selection_due(struct gateway *g, uint64_t now)
{
	if (g->state == GATEWAY_RESOLVING)
		name_failed(g, now, &g->candidates[g->candidate]);
	else
		selection_forgive(g);
	selection_start(g, now);
}

void gateway_resolved(struct gateway *g, uint64_t now, unsigned int i, const struct amt_addr *addrs,
		      unsigned int naddrs)
{
	struct candidate *candidate, before;
	bool waited = g->state == GATEWAY_RESOLVING && g->candidate == i;
	unsigned int k;

	if (i >= g->options.ncandidates || !is_name(g, i) || g->state == GATEWAY_STOPPED)
		return;
	candidate = &g->candidates[i];
	before = *candidate;
	*candidate = (struct candidate){.resolved_ns = now};
	for (k = 0; k < naddrs && candidate->n < GATEWAY_NAME_ADDRESSES; k++) {
		const struct target *known = target_find(&before, &addrs[k]);

		if (!addr_is_unicast_source(&addrs[k]) || target_find(candidate, &addrs[k]))
			continue;
		candidate->targets[candidate->n++] =
			known ? *known : (struct target){.addr = addrs[k]};
	}
	if (!candidate->n) { /* what it was before is better than nothing */
		*candidate = before;
		if (waited)
			name_failed(g, now, candidate);
	}
	if (waited)
		selection_start(g, now);
}

int selection_adopt(struct gateway *g, const struct amt_addr *asked)
{
	unsigned int i;

	for (i = 0; i < g->options.ncandidates; i++) {
		struct candidate *candidate = &g->candidates[i];

		if (is_name(g, i) &&
		    !candidate->n) /* its answer of then; asked anew when it fails */
			candidate->targets[candidate->n++] = (struct target){.addr = *asked};
		if (target_find(candidate, asked))
			return (int)i;
	}
	return -ENOENT;
}

void gateway_walk_candidates(const struct gateway *g, uint64_t now,
			     void (*fn)(void *arg, const struct gateway_candidate_view *view),
			     void *arg)
{
	unsigned int i, j;

	for (i = 0; i < g->options.ncandidates; i++) {
		const struct candidate *candidate = &g->candidates[i];
		const struct hold *hold = &candidate->unresolved;
		struct gateway_candidate_view view = {
			.candidate = &g->options.candidates[i],
			.why = "",
			.current = i == g->candidate &&
				   (g->link.known || g->state == GATEWAY_DISCOVERY ||
				    g->state == GATEWAY_RESOLVING),
		};

		for (j = 0; j < candidate->n; j++) { /* held when all its addresses are */
			if (!j || candidate->targets[j].hold.until < hold->until)
				hold = &candidate->targets[j].hold;
			if (!addr_is_any(&candidate->targets[j].relay))
				view.relay = candidate->targets[j].relay;
		}
		if (hold_is_on(hold, now)) {
			view.held_until_ns = hold->until;
			view.why = hold->why;
		}
		fn(arg, &view);
	}
}
