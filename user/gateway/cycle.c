/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Request cycles (RFC 7450 5.2.3.5): one for each inner protocol, over one link to one relay.
 * A relay that does not answer a Request with flags is asked in the forms that older relays
 * understand.
 */
#include <arpa/inet.h>
#include <string.h>
#include "base/counters.h"
#include "gateway/engine.h"

/* From the first Query of a relay until data is taken from it instead of one that still sends: the
 * other protocol's Query, the host's reports, and the relay's own joins come first. */
#define HANDOVER_NS (2 * NSEC_PER_SEC)

#define FORM_SENDS 2 /* of a Request in one form, before the next form: one may get lost */

bool cycle_wanted(const struct gateway *g, unsigned int which)
{
	return which == CYCLE_MLD ? g->options.ipv6_groups : g->options.ipv4_groups;
}

static void request_send(struct gateway *g, uint64_t now, unsigned int which)
{
	struct cycle *cycle = &g->link.cycle[which];
	const struct amt_message msg = {
		.type = AMT_REQUEST,
		.nonce = cycle->nonce,
		.want_mld = which == CYCLE_MLD,
		.linux_p = cycle->linux_p,
		.ecn = cycle->ecn,
	};

	cycle->sent_ns = now;
	cycle->due = now + gateway_backoff(g, g->options.request_initial, g->options.request_max,
					   cycle->sends++);
	gateway_send(g, &g->link.relay, &msg); /* what fails now may go later */
	counter_add(AMT_COUNT_REQUEST_SENT, 1);
}

/* A nonce for one form of one cycle: no answer to another can be taken for its. */
static void form_start(struct gateway *g, uint64_t now, unsigned int which)
{
	struct cycle *cycle = &g->link.cycle[which];

	do
		cycle->nonce = gateway_nonce(g);
	while (cycle->nonce == g->link.cycle[!which].nonce);
	cycle->sends = 0;
	request_send(g, now, which);
}

void cycle_start(struct gateway *g, uint64_t now, unsigned int which)
{
	const struct memory *memory = memory_of(g, now, &g->link.relay.addr);
	struct cycle *cycle = &g->link.cycle[which];

	if (!cycle_wanted(g, which))
		return;
	cycle->phase = CYCLE_WAITING;
	cycle->spent = 0;
	cycle->ecn = g->options.ecn && memory->ecn != HABIT_NO;
	cycle->linux_p = which == CYCLE_MLD && memory->linux_p == HABIT_YES;
	form_start(g, now, which);
}

void cycles_start(struct gateway *g, uint64_t now)
{
	unsigned int i;

	for (i = 0; i < CYCLES; i++)
		cycle_start(g, now, i);
}

/* The form to try after the one that got no answer. P at the Linux driver's bit is for a relay that
 * has shown no better manners. */
enum form { FORM_LAST, FORM_WITHOUT_ECN, FORM_LINUX_P };

static enum form form_next(struct gateway *g, uint64_t now, unsigned int which)
{
	const struct memory *memory = memory_of(g, now, &g->link.relay.addr);
	const struct cycle *cycle = &g->link.cycle[which];

	if (cycle->ecn)
		return memory->ecn == HABIT_UNKNOWN ? FORM_WITHOUT_ECN : FORM_LAST;
	if (which == CYCLE_MLD && !cycle->linux_p && memory->linux_p == HABIT_UNKNOWN)
		return FORM_LINUX_P;
	return FORM_LAST;
}

static unsigned int form_sends(const struct gateway *g, const struct cycle *cycle, enum form next)
{
	unsigned int all = g->options.request_retries + 1;
	unsigned int few = all < FORM_SENDS ? all : FORM_SENDS;

	if (next != FORM_LAST || cycle->spent + few >= all)
		return few;
	return all - cycle->spent;
}

/* All retries of a cycle had no answer. The relay has failed when no cycle has one; a relay
 * need not know both protocols. */
static void cycle_silent(struct gateway *g, uint64_t now, unsigned int which)
{
	struct memory *memory = memory_of(g, now, &g->link.relay.addr);
	struct cycle *cycle = &g->link.cycle[which], *other = &g->link.cycle[!which];

	cycle->phase = CYCLE_SILENT;
	cycle->due = now + g->options.request_max * NSEC_PER_SEC;
	if (other->phase == CYCLE_ANSWERED && cycle->given.valid)
		cycle_start(g, now, !which); /* it used to answer: see at once whether it is gone */
	if (other->phase == CYCLE_ANSWERED || other->phase == CYCLE_WAITING)
		return;
	memory->ecn = HABIT_UNKNOWN;
	memory->linux_p = HABIT_UNKNOWN;
	counter_add(AMT_COUNT_GATEWAY_RELAY_FAILED, 1);
	link_leave(g, now, g->options.hold_down, "no Query", true);
}

static void request_due(struct gateway *g, uint64_t now, unsigned int which)
{
	struct cycle *cycle = &g->link.cycle[which];
	enum form next = form_next(g, now, which);

	if (cycle->sends < form_sends(g, cycle, next)) {
		counter_add(AMT_COUNT_GATEWAY_RETRANSMITTED, 1);
		request_send(g, now, which);
		return;
	}
	if (next == FORM_LAST) {
		cycle_silent(g, now, which);
		return;
	}
	if (next == FORM_WITHOUT_ECN)
		cycle->ecn = false;
	else
		cycle->linux_p = true;
	counter_add(next == FORM_LINUX_P ? AMT_COUNT_GATEWAY_LINUX_P
					 : AMT_COUNT_GATEWAY_WITHOUT_ECN,
		    1);
	cycle->spent += cycle->sends;
	form_start(g, now, which);
}

void cycles_due(struct gateway *g, uint64_t now)
{
	unsigned int i;

	for (i = 0; i < CYCLES && g->link.known; i++) {
		const struct cycle *cycle = &g->link.cycle[i];

		if (cycle->phase == CYCLE_OFF || now < cycle->due)
			continue;
		if (cycle->phase == CYCLE_WAITING)
			request_due(g, now, i);
		else /* the query timer (5.2.3.5.5), or time to see whether it answers by now */
			cycle_start(g, now, i);
	}
}

uint64_t cycles_deadline(const struct gateway *g)
{
	uint64_t next = TIME_NEVER;
	unsigned int i;

	for (i = 0; i < CYCLES; i++)
		if (g->link.cycle[i].phase != CYCLE_OFF && g->link.cycle[i].due < next)
			next = g->link.cycle[i].due;
	return next;
}

/* ---- the link ---- */

void link_start(struct gateway *g, uint64_t now, const struct amt_addr *relay)
{
	g->link = (struct link){
		.known = true,
		.relay = {*relay, htons(g->options.port)},
		.candidate = g->candidate,
		.asked = g->asked,
	};
	g->state = GATEWAY_REQUEST;
	g->unreachable = 0;
	cycles_start(g, now);
}

void link_leave(struct gateway *g, uint64_t now, unsigned int hold, const char *why, bool soft)
{
	selection_hold(g, now, hold, why, soft);
	if (g->handover_due) { /* the one before it is still the one that data is taken from */
		farewell_say(g, now, &g->link);
		g->handover_due = 0;
	} else if (g->link.up) { /* then nothing older is there */
		g->old = g->link;
		g->old_alive = !soft && g->link.reported.valid;
		g->old_flows = !soft && !g->absence.turns;
	}
	memset(&g->link, 0, sizeof(g->link));
	selection_start(g, now);
}

void link_tell(struct gateway *g)
{
	struct gateway_relay relay = {.relay = g->link.relay};
	unsigned int i;

	for (i = 0; i < CYCLES; i++)
		relay.ecn |= g->link.cycle[i].given.valid && g->link.cycle[i].given.ecn;
	g->edge.relay_changed(g->edge.arg, &relay);
}

/* Data is taken from the relay in use, and the one before it is told to stop. */
static void link_take(struct gateway *g, uint64_t now)
{
	g->handover_due = 0;
	farewell_say(g, now, &g->old);
	memset(&g->old, 0, sizeof(g->old));
	link_tell(g);
}

void link_up(struct gateway *g, uint64_t now)
{
	g->link.up = true;
	g->state = GATEWAY_UP;
	absence_restart(g);
	if (g->old.known && g->old_flows)
		g->handover_due = now + HANDOVER_NS;
	else
		link_take(g, now);
}

void link_due(struct gateway *g, uint64_t now)
{
	if (g->handover_due && now >= g->handover_due)
		link_take(g, now);
}
