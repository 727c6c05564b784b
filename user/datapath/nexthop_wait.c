/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Make before break: a destination whose new neighbour's MAC address is not known yet stays with
 * the one it has, if that still can carry packets, until the new one answers. Called by nexthop.c.
 */
#include "datapath/nexthop_state.h"

#include <utlist.h>
#include "base/clock.h"

#define PATIENCE (3 * NSEC_PER_SEC) /* with a new neighbour: the kernel asks three times */

bool nexthop_must_wait(const struct destination *dest, const struct neighbour *neighbour)
{
	const struct neighbour *before = dest->neighbour;

	return neighbour && before && neighbour != before && !neighbour_is_settled(neighbour) &&
	       neighbour_is_valid(before) && (!dest->awaited || clock_now() < dest->patience_ns);
}

void nexthop_wait_begin(struct nexthops *nh, struct destination *dest, struct neighbour *neighbour)
{
	if (dest->awaited) {
		neighbour_put(nh->neighbours, dest->awaited);
	} else {
		dest->patience_ns = clock_now() + PATIENCE;
		DL_APPEND2(nh->waiting, dest, wait_prev, wait_next);
	}
	dest->awaited = neighbour;
}

void nexthop_wait_end(struct nexthops *nh, struct destination *dest)
{
	if (!dest->awaited)
		return;
	if (nh->reviewed == dest)
		nh->reviewed = dest->wait_next;
	DL_DELETE2(nh->waiting, dest, wait_prev, wait_next);
	neighbour_put(nh->neighbours, dest->awaited);
	dest->awaited = NULL;
}

void nexthop_wait_review(struct nexthops *nh)
{
	nh->reviewed = nh->waiting;
}

void nexthop_wait_step(struct nexthops *nh, unsigned int n, uint64_t now)
{
	for (; n && nh->reviewed; n--) {
		struct destination *dest = nh->reviewed;

		nh->reviewed = dest->wait_next;
		if (neighbour_is_settled(dest->awaited) || !neighbour_is_valid(dest->neighbour) ||
		    now >= dest->patience_ns)
			nexthop_mark(nh, dest);
	}
}
