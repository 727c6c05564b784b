/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "datapath/crowding.h"

#include "base/clock.h"

#define SETTLE_NS   (5 * NSEC_PER_SEC) /* until a change shows what it does */
#define CALM_NS	    (60 * NSEC_PER_SEC)
#define CALM_MAX_NS (3600 * NSEC_PER_SEC)

static bool halve(struct crowding *c, uint64_t now)
{
	if (c->halvings == CROWDING_HALVINGS_MAX || (c->calm_ns && now - c->changed_ns < SETTLE_NS))
		return false;
	if (!c->calm_ns)
		c->calm_ns = CALM_NS;
	else if (!c->halvings && c->calm_ns < CALM_MAX_NS)
		c->calm_ns *= 2; /* it had been whole again: too early */
	c->halvings++;
	c->changed_ns = now;
	return true;
}

bool crowding_look(struct crowding *c, uint64_t now, uint64_t drops)
{
	bool more = c->known && drops > c->drops;

	c->known = true;
	c->drops = drops;
	if (more) {
		c->dropped_ns = now;
		return halve(c, now);
	}
	if (!c->halvings || now - c->dropped_ns < c->calm_ns)
		return false;
	c->halvings--;
	c->changed_ns = c->dropped_ns = now;
	return true;
}
