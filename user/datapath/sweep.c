/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interfaces or policies changed, which may concern every set and every tunnel: all are looked at
 * again, as many in each turn of the loop as it has time for. Outside of the loop, at once. Called
 * by attach.c and datapath.c.
 */
#include "datapath/state.h"

#include <event2/event.h>

#include "base/loop.h"

#define LOOK_EVERY 16 /* sets or tunnels, whether the turn of the loop has become long */

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

void sweep_go_on(struct datapath *dp)
{
	static const struct timeval at_once;

	do {
		if (!some(dp, &dp->sweep_set, dp->sets_top, set_refresh_id) ||
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
