/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the configuration admits: gateways by prefix, groups by prefix, and as many channels as
 * there is room for (RFC 7450 5.3.3.8, 6.1).
 */
#include "base/counters.h"
#include "relay/engine.h"

static bool prefixes_contain(const struct amt_prefix *list, unsigned int n,
			     const struct amt_addr *addr)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (prefix_contains(&list[i], addr))
			return true;
	return false;
}

bool admission_gateway(const struct relay *relay, const struct amt_sockaddr *peer)
{
	/* Nothing can be sent back to such a one */
	if (!peer->port || addr_is_any(&peer->addr) || addr_is_multicast(&peer->addr))
		return false;
	return !relay->options.npermit_gateways ||
	       prefixes_contain(relay->options.permit_gateways, relay->options.npermit_gateways,
				&peer->addr);
}

bool admission_subscription(void *arg, const struct amt_addr *group, const struct amt_addr *source)
{
	struct relay *relay = arg;
	struct amt_group_key key = {.group = *group};

	if (relay->options.npermit_groups &&
	    !prefixes_contain(relay->options.permit_groups, relay->options.npermit_groups, group)) {
		counter_add(AMT_COUNT_GROUP_NOT_PERMITTED, 1);
		return false;
	}
	if (source)
		key.source = *source;
	if (merge_has_channel(relay->merge, &key))
		return true;
	if (relay->options.max_channels &&
	    merge_channels(relay->merge) + relay->admitted >= relay->options.max_channels) {
		counter_add(AMT_COUNT_CHANNEL_LIMIT, 1);
		return false;
	}
	relay->admitted++;
	return true;
}
