/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Leaving a relay: Teardown where the relay told us our endpoint (RFC 7450 5.2.3.7), else Updates
 * that leave all groups (5.2.3.8).
 */
#include <string.h>
#include "base/counters.h"
#include "gateway/engine.h"
#include "proto/inner.h"
#include "proto/report.h"

#define REPEAT_DELAY NSEC_PER_SEC /* */
/* Records, and sources, of one Update: it fits into every path whatever there is of them. */
#define LEAVE_IGMP 64
#define LEAVE_MLD  32

_Static_assert(INNER_IPV4_HLEN + 8 + LEAVE_IGMP * (8 + 4) <= UPDATE_DATAGRAM_MAX &&
		       INNER_IPV6_HLEN + 8 + LEAVE_MLD * (20 + 16) <= UPDATE_DATAGRAM_MAX,
	       "Updates that leave groups are too large");

/* ---- Teardown ---- */

static void teardown_send(struct gateway *g, uint64_t now, struct farewell *farewell)
{
	const struct credentials *credentials = &farewell->credentials;
	struct amt_message msg = {
		.type = AMT_TEARDOWN,
		.nonce = credentials->nonce,
		.gateway = credentials->endpoint,
	};

	memcpy(msg.mac, credentials->mac, AMT_MAC_LEN);
	gateway_send(g, &farewell->relay, &msg);
	counter_add(AMT_COUNT_TEARDOWN_SENT, 1);
	farewell->left--;
	farewell->due = now + REPEAT_DELAY;
}

/* As often as the option says, at most as often as QRV does. */
static unsigned int repeats(const struct gateway *g, const struct link *link)
{
	unsigned int limit = link->cycle[CYCLE_IGMP].robustness;

	if (link->cycle[CYCLE_MLD].robustness > limit)
		limit = link->cycle[CYCLE_MLD].robustness;
	if (limit && limit < g->options.teardown_repeats)
		return limit;
	return g->options.teardown_repeats;
}

static void teardown_start(struct gateway *g, uint64_t now, const struct link *link)
{
	struct farewell *farewell = g->farewells;
	unsigned int i;

	for (i = 1; i < FAREWELLS; i++)
		if (g->farewells[i].left < farewell->left)
			farewell = &g->farewells[i];
	*farewell = (struct farewell){
		.left = repeats(g, link),
		.relay = link->relay,
		.credentials = link->reported, /* */
	};
	teardown_send(g, now, farewell);
}

/* ---- Updates that leave ---- */

struct leaving {
	struct gateway *g;
	struct link *link;
	unsigned int which, nrecords, nsources;
	struct report_build records[LEAVE_IGMP];
	struct amt_addr sources[LEAVE_IGMP];
};

static void leave_flush(struct leaving *leaving)
{
	uint8_t *buf = leaving->g->out + AMT_UPDATE_DATAGRAM;
	int len;

	if (!leaving->nrecords)
		return;
	len = report_write(leaving->which == CYCLE_MLD, NULL, leaving->records, leaving->nrecords,
			   buf, UPDATE_DATAGRAM_MAX);
	if (len > 0)
		update_send(leaving->g, leaving->link, leaving->which, buf, (size_t)len);
	leaving->nrecords = 0;
	leaving->nsources = 0;
}

static unsigned int leave_most(const struct leaving *leaving)
{
	return leaving->which == CYCLE_MLD ? LEAVE_MLD : LEAVE_IGMP;
}

static void leave_record(struct leaving *leaving, enum record_type type,
			 const struct amt_addr *group)
{
	if (leaving->nrecords == leave_most(leaving))
		leave_flush(leaving);
	leaving->records[leaving->nrecords++] = (struct report_build){
		.type = type,
		.group = *group,
		.sources = &leaving->sources[leaving->nsources],
	};
}

static bool is_other_family(const struct leaving *leaving, const struct amt_addr *group)
{
	return addr_is_ipv4(group) == (leaving->which == CYCLE_MLD);
}

/* EXCLUDE ends by TO_IN({}), INCLUDE by BLOCK of its sources. */
static void leave_group(void *arg, const struct membership_view *view)
{
	struct leaving *leaving = arg;

	if (!is_other_family(leaving, &view->group) && view->exclude)
		leave_record(leaving, RECORD_TO_IN, &view->group);
}

static void leave_source(void *arg, const struct membership_view *view,
			 const struct membership_source_view *source)
{
	struct leaving *leaving = arg;
	struct report_build *last = NULL;

	if (is_other_family(leaving, &view->group) || view->exclude)
		return;
	if (leaving->nsources == leave_most(leaving))
		leave_flush(leaving);
	if (leaving->nrecords)
		last = &leaving->records[leaving->nrecords - 1];
	if (!last || last->type != RECORD_BLOCK || !addr_equal(&last->group, &view->group)) {
		leave_record(leaving, RECORD_BLOCK, &view->group);
		last = &leaving->records[leaving->nrecords - 1];
	}
	leaving->sources[leaving->nsources++] = source->source;
	last->nsources++;
}

static void leave_all(struct gateway *g, struct link *link)
{
	struct leaving leaving = {.g = g, .link = link};

	for (leaving.which = 0; leaving.which < CYCLES; leaving.which++) {
		if (!link->cycle[leaving.which].given.valid)
			continue;
		membership_walk(g->membership, leave_group, leave_source, &leaving);
		leave_flush(&leaving);
	}
}

/* ---- either ---- */

static bool by_teardown(const struct gateway *g, const struct link *link)
{
	return link->reported.endpoint_known && g->options.teardown_repeats;
}

void farewell_say(struct gateway *g, uint64_t now, struct link *link)
{
	if (!link->reported.valid)
		return;
	if (by_teardown(g, link))
		teardown_start(g, now, link);
	else
		leave_all(g, link);
	link->reported.valid = false;
}

void farewell_last(struct gateway *g, uint64_t now)
{
	if (g->link.reported.valid && !by_teardown(g, &g->link)) {
		g->leaves_left = repeats(g, &g->link);
		g->leaves_left -= g->leaves_left > 0; /* the first goes now */
		g->leaves_due = now + REPEAT_DELAY;
	}
	farewell_say(g, now, &g->link);
}

void farewells_due(struct gateway *g, uint64_t now)
{
	unsigned int i;

	for (i = 0; i < FAREWELLS; i++)
		if (g->farewells[i].left && now >= g->farewells[i].due)
			teardown_send(g, now, &g->farewells[i]);
	if (g->leaves_left && now >= g->leaves_due) {
		g->leaves_left--;
		g->leaves_due = now + REPEAT_DELAY;
		leave_all(g, &g->link);
	}
}

uint64_t farewells_deadline(const struct gateway *g)
{
	uint64_t next = g->leaves_left ? g->leaves_due : TIME_NEVER;
	unsigned int i;

	for (i = 0; i < FAREWELLS; i++)
		if (g->farewells[i].left && g->farewells[i].due < next)
			next = g->farewells[i].due;
	return next;
}
