/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Data that does not come (RFC 8777 3.3.4.1, R-192). First a new query cycle: a NAT that has
 * forgotten us, or a relay that has died, is found out by that, and a relay that lives is not left
 * for a source that pauses. Only then the next relay, if there is one.
 */
#include <string.h>
#include "base/counters.h"
#include "gateway/engine.h"

#define TIMEOUT_MAX 120 /* s */

void absence_restart(struct gateway *g)
{
	g->absence.waiting = false;
}

static void wait(struct gateway *g, uint64_t now, bool probed)
{
	unsigned int max =
		g->options.data_timeout > TIMEOUT_MAX ? g->options.data_timeout : TIMEOUT_MAX;

	g->absence.waiting = true;
	g->absence.probed = probed;
	g->absence.due = now + gateway_backoff(g, g->options.data_timeout, max, g->absence.turns);
}

void gateway_data_seen(struct gateway *g, uint64_t now, uint64_t packets)
{
	struct absence *absence = &g->absence;

	if (packets != absence->packets) {
		absence->packets = packets;
		absence->turns = 0;
		absence_restart(g);
		return;
	}
	if (!g->options.data_timeout || g->state != GATEWAY_UP || !g->link.reported.valid) {
		absence_restart(g);
		return;
	}
	if (!absence->waiting) {
		wait(g, now, false);
		return;
	}
	if (now < absence->due)
		return;
	if (!absence->probed) {
		cycles_start(g, now);
		wait(g, now, true);
		return;
	}
	absence->turns++;
	absence_restart(g);
	if (!selection_other(g, now))
		return;
	counter_add(AMT_COUNT_GATEWAY_RELAY_NO_DATA, 1);
	link_leave(g, now, g->options.hold_down, "no data", false);
}
