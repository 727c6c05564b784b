/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What may concern very many, as much in each turn of the loop as it has time for; outside of the
 * loop, at once. Interfaces or policies changed: every set and every tunnel is looked at again. A
 * set has ended: its members are taken out. Called by attach.c, datapath.c and set.c.
 */
#include "datapath/state.h"

#include <event2/event.h>

#include "base/loop.h"

#define LOOK_EVERY 16 /* sets, tunnels or members, whether the turn of the loop has become long */

static const struct timeval at_once;

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	sweep_go_on(arg);
}

int sweep_open(struct datapath *dp)
{
	dp->sweep_event = evtimer_new(dp->base, on_turn, dp);
	return dp->sweep_event ? 0 : -1;
}

/* Calls fn for what is left of the ids below top; false: of some in a later turn. */
static bool some(struct datapath *dp, uint32_t *at, uint32_t top,
		 void (*fn)(struct datapath *dp, uint32_t id))
{
	while (*at < top) {
		fn(dp, (*at)++);
		if (*at % LOOK_EVERY == 0 && loop_turn_is_long())
			return false;
	}
	*at = DATAPATH_NONE;
	return true;
}

/* The same for members of sets that have ended. */
static bool end_some(struct datapath *dp)
{
	while (dp->ended_sets.head != CHAIN_END) {
		set_end_some(dp, dp->ended_sets.head, LOOK_EVERY);
		if (loop_turn_is_long())
			return false;
	}
	return true;
}

void sweep_ended(struct datapath *dp)
{
	if (!end_some(dp))
		evtimer_add(dp->sweep_event, &at_once);
}

void sweep_go_on(struct datapath *dp)
{
	do {
		if (!end_some(dp) || !some(dp, &dp->sweep_set, dp->sets_top, set_refresh_id) ||
		    !some(dp, &dp->sweep_tunnel, dp->tunnels_top, tunnel_reroute)) {
			evtimer_add(dp->sweep_event, &at_once);
			return;
		}
		/* no copies go to an interface that leaves any more */
	} while (interfaces_leave(dp));
}

void sweep_sets(struct datapath *dp)
{
	dp->sweep_set = 0;
	sweep_go_on(dp);
}

void sweep_all(struct datapath *dp)
{
	dp->sweep_tunnel = 0;
	sweep_sets(dp);
}
