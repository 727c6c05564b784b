/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The intervals that gateways and relay must agree on. A gateway hears of the query interval in its
 * next Query only, which it asks for when the interval before is over: when intervals become
 * shorter, the longer ones hold until nobody can still go by them.
 */
#include "base/clock.h"
#include "relay/engine.h"

static uint64_t options_interval(const struct relay *relay)
{
	return relay->options.query_interval_s * NSEC_PER_SEC;
}

static uint64_t options_gmi(const struct relay *relay)
{
	return relay->options.robustness * options_interval(relay) +
	       relay->options.response_interval_s * NSEC_PER_SEC;
}

void timing_settle(struct relay *relay)
{
	relay->gmi_ns = options_gmi(relay); /* */
	relay->interval_ns = options_interval(relay);
	relay->membership.gmi_ns = relay->gmi_ns;
	relay->settle_at = TIME_NEVER;
}

void timing_change(struct relay *relay, uint64_t now)
{
	uint64_t gmi = relay->gmi_ns, interval = relay->interval_ns;

	timing_settle(relay);
	if (gmi <= relay->gmi_ns && interval <= relay->interval_ns)
		return;
	if (gmi > relay->gmi_ns)
		relay->gmi_ns = relay->membership.gmi_ns = gmi;
	if (interval > relay->interval_ns)
		relay->interval_ns = interval;
	relay->settle_at = now + relay->gmi_ns;
}

uint64_t timing_tick(struct relay *relay, uint64_t now)
{
	if (now >= relay->settle_at)
		timing_settle(relay);
	return relay->settle_at;
}
