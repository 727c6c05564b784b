/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What outlives a restart: the tunnel, so that data goes on while the new process asks the host
 * what it has joined.
 */
#include <errno.h>
#include <string.h>
#include "gateway/engine.h"

#define REPORTED_NONE CYCLES

static bool same(const struct credentials *a, const struct credentials *b)
{
	return a->valid && b->valid && a->nonce == b->nonce &&
	       memcmp(a->mac, b->mac, AMT_MAC_LEN) == 0;
}

bool gateway_save(const struct gateway *g, struct gateway_saved *saved)
{
	const struct link *link = g->link.up ? &g->link : &g->old;
	unsigned int i;

	/* padding too: it goes into a map, and is compared; so an endpoint is never copied whole */
	memset(saved, 0, sizeof(*saved));
	if (!link->up || g->state == GATEWAY_STOPPED)
		return false;
	saved->relay.addr = link->relay.addr;
	saved->relay.port = link->relay.port;
	saved->endpoint.addr = link->endpoint.addr;
	saved->endpoint.port = link->endpoint.port;
	saved->asked = link->asked;
	saved->reported = REPORTED_NONE;
	for (i = 0; i < CYCLES; i++) {
		const struct cycle *cycle = &link->cycle[i];
		struct gateway_saved_query *query = &saved->query[i];

		if (!cycle->given.valid)
			continue;
		query->valid = true;
		query->nonce = cycle->given.nonce;
		memcpy(query->mac, cycle->given.mac, AMT_MAC_LEN);
		query->robustness = (uint8_t)cycle->robustness;
		query->interval_s = cycle->interval_s;
		saved->ecn |= cycle->given.ecn;
		saved->linux_p |= cycle->given.linux_p;
		if (same(&link->reported, &cycle->given))
			saved->reported = i;
	}
	/* the Query after that Update was for the same endpoint, else a Teardown had gone */
	if (link->reported.valid && saved->reported == REPORTED_NONE)
		saved->reported = saved->query[CYCLE_IGMP].valid ? CYCLE_IGMP : CYCLE_MLD;
	return true;
}

static void link_restore(struct link *link, const struct gateway_saved *saved)
{
	unsigned int i;

	*link = (struct link){
		.known = true,
		.up = true,
		.relay = saved->relay,
		.asked = saved->asked,
		.endpoint = saved->endpoint,
	};
	for (i = 0; i < CYCLES; i++) {
		const struct gateway_saved_query *query = &saved->query[i];
		struct cycle *cycle = &link->cycle[i];

		if (!query->valid)
			continue;
		cycle->robustness = query->robustness;
		cycle->interval_s = query->interval_s;
		cycle->given = (struct credentials){
			.valid = true,
			.endpoint_known = saved->endpoint.port != 0,
			.ecn = saved->ecn,
			.linux_p = i == CYCLE_MLD && saved->linux_p,
			.nonce = query->nonce,
			.endpoint = saved->endpoint,
		};
		memcpy(cycle->given.mac, query->mac, AMT_MAC_LEN);
	}
	if (saved->reported < CYCLES)
		link->reported = link->cycle[saved->reported].given;
}

static bool is_saved(const struct gateway_saved *saved)
{
	return !addr_is_any(&saved->relay.addr) && !addr_is_multicast(&saved->relay.addr) &&
	       saved->relay.port && saved->reported <= REPORTED_NONE &&
	       (saved->query[CYCLE_IGMP].valid || saved->query[CYCLE_MLD].valid) &&
	       (saved->reported == REPORTED_NONE || saved->query[saved->reported].valid);
}

int gateway_restore(struct gateway *g, uint64_t now, const struct gateway_saved *saved)
{
	struct gateway_relay relay = {saved->relay, saved->ecn};
	struct memory *memory;
	int candidate;

	if (!is_saved(saved) || g->state != GATEWAY_IDLE)
		return -EINVAL;
	g->edge.relay_changed(g->edge.arg, &relay);
	candidate = selection_adopt(g, &saved->asked);
	if (candidate < 0) {
		link_restore(&g->old, saved);
		g->old_flows = true;
		return candidate;
	}
	memory = memory_of(g, now, &saved->relay.addr);
	if (g->options.ecn)
		memory->ecn = saved->ecn ? HABIT_YES : HABIT_NO;
	if (saved->query[CYCLE_MLD].valid)
		memory->linux_p = saved->linux_p ? HABIT_YES : HABIT_NO;
	link_restore(&g->link, saved);
	g->candidate = (unsigned int)candidate;
	g->link.candidate = g->candidate;
	g->asked = saved->asked;
	g->state = GATEWAY_UP;
	report_set_interval(g);
	cycles_start(g, now);
	return 0;
}
