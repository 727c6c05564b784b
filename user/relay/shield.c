/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the shield is told, so that it answers as request.c and update.c do: the engine's options
 * and state of this moment. Called by service_shield.c.
 */
#include <string.h>
#include "base/clock.h"
#include "relay/engine.h"

static uint16_t flags(const struct relay *relay)
{
	const struct relay_options *options = &relay->options;
	uint16_t flags = 0;

	if (relay_at_limit(relay))
		flags |= AMT_SHIELD_LIMIT;
	if (relay->draining)
		flags |= AMT_SHIELD_DRAINING;
	if (options->teardown == TEARDOWN_ON)
		flags |= AMT_SHIELD_G;
	if (options->teardown == TEARDOWN_AUTO)
		flags |= AMT_SHIELD_G_ECN;
	if (options->accept_linux_p)
		flags |= AMT_SHIELD_LINUX_P;
	if (options->accept_repeated_mac)
		flags |= AMT_SHIELD_REPEATED;
	if (options->accept_short_mac)
		flags |= AMT_SHIELD_SHORT_MAC;
	if (options->npermit_gateways)
		flags |= AMT_SHIELD_PERMIT;
	return flags;
}

void relay_shield(const struct relay *relay, struct amt_shield *shield)
{
	*shield = (struct amt_shield){
		.flags = flags(relay),
		.previous_ns = secrets_previous_ns(relay),
		.proven_ns = relay->gmi_ns,
		.limits = *ratelimit_limits(relay->requests),
	};
	memcpy(shield->igmp_query, relay->igmp_query, sizeof(shield->igmp_query));
	memcpy(shield->mld_query, relay->mld_query, sizeof(shield->mld_query));
}
