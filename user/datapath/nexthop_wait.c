/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Make before break: a destination whose new neighbour's MAC address is not known yet stays with
 * the one it has, if that still can carry packets, until the new one answers. Called by nexthop.c.
 */
#include "datapath/nexthop_state.h"

#include "base/clock.h"

#define PATIENCE (3 * NSEC_PER_SEC) /* with a new neighbour: the kernel asks three times */

bool nexthop_must_wait(const struct nexthops *nh, const struct destination *dest,
		       const struct neighbour *neighbour)
{
	const struct destination_wait *wait = &nh->waits[nexthop_row(nh, dest)];
	const struct neighbour *before = dest->neighbour;

	return neighbour && before && neighbour != before && !neighbour_is_settled(neighbour) &&
	       neighbour_is_valid(before) && (!wait->awaited || clock_now() < wait->patience_ns);
}

void nexthop_wait_begin(struct nexthops *nh, struct destination *dest, struct neighbour *neighbour)
{
	uint32_t row = nexthop_row(nh, dest);
	struct destination_wait *wait = &nh->waits[row];

	if (wait->awaited) {
		neighbour_put(nh->neighbours, wait->awaited);
	} else {
		wait->patience_ns = clock_now() + PATIENCE;
		chain_push_tail(&nh->waiting, nh->wait_link, row);
	}
	wait->awaited = neighbour;
}

void nexthop_wait_end(struct nexthops *nh, struct destination *dest)
{
	uint32_t row = nexthop_row(nh, dest);
	struct destination_wait *wait = &nh->waits[row];

	if (!wait->awaited)
		return;
	if (nh->reviewed == row)
		nh->reviewed = nh->wait_link[row].next;
	chain_remove(&nh->waiting, nh->wait_link, row);
	neighbour_put(nh->neighbours, wait->awaited);
	wait->awaited = NULL;
}

void nexthop_wait_review(struct nexthops *nh)
{
	nh->reviewed = nh->waiting.head;
}

void nexthop_wait_step(struct nexthops *nh, unsigned int n, uint64_t now)
{
	for (; n && nh->reviewed != NO_ROW; n--) {
		struct destination *dest = &nh->destinations[nh->reviewed];
		const struct destination_wait *wait = &nh->waits[nh->reviewed];

		nh->reviewed = nh->wait_link[nh->reviewed].next;
		if (neighbour_is_settled(wait->awaited) || !neighbour_is_valid(dest->neighbour) ||
		    now >= wait->patience_ns)
			nexthop_mark(nh, dest);
	}
}
