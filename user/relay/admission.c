/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the configuration admits: gateways by prefix, groups by prefix, and as many channels as
 * there is room for (RFC 7450 5.3.3.8, 6.1).
 */
#include <stdlib.h>
#include "base/clock.h"
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

static bool group_permitted(const struct relay *relay, const struct amt_addr *group)
{
	return !relay->options.npermit_groups ||
	       prefixes_contain(relay->options.permit_groups, relay->options.npermit_groups, group);
}

/* ---- the rate of a tunnel (R-181) ---- */

struct load {
	const struct relay *relay;
	uint64_t rate; /* kbit/s */
};

static uint64_t rate_of(const struct relay *relay, const struct amt_addr *group,
			const struct amt_addr *source)
{
	return relay->edge.rate(relay->edge.arg, group, source);
}

static void add_group_rate(void *arg, const struct membership_view *view)
{
	struct load *load = arg;

	if (view->exclude)
		load->rate += rate_of(load->relay, &view->group, NULL);
}

static void add_source_rate(void *arg, const struct membership_view *view,
			    const struct membership_source_view *source)
{
	struct load *load = arg;
	uint64_t rate;

	if (view->exclude && !source->excluded)
		return; /* one of all */
	rate = rate_of(load->relay, &view->group, &source->source);
	if (!view->exclude)
		load->rate += rate;
	else
		load->rate -= rate < load->rate ? rate : load->rate;
}

/* Whether the tunnel may have this channel, or all of the group (source NULL), as well. Decided
 * once, at the join: the packet path knows groups, not tunnels. */
static bool rate_allows(struct relay *relay, const struct amt_addr *group,
			const struct amt_addr *source)
{
	struct load load = {.relay = relay};
	uint64_t rate;

	if (!relay->options.max_tunnel_rate || !relay->joining)
		return true;
	membership_walk(relay->joining->membership, add_group_rate, add_source_rate, &load);
	rate = rate_of(relay, group, source);
	if (load.rate + relay->admitted_rate + rate > relay->options.max_tunnel_rate) {
		counter_add(AMT_COUNT_TUNNEL_RATE, 1);
		return false;
	}
	relay->admitted_rate += rate;
	return true;
}

bool admission_subscription(void *arg, const struct amt_addr *group, const struct amt_addr *source)
{
	struct relay *relay = arg;
	struct amt_group_key key = {.group = *group};

	if (!group_permitted(relay, group)) {
		counter_add(AMT_COUNT_GROUP_NOT_PERMITTED, 1);
		return false;
	}
	if (!rate_allows(relay, group, source))
		return false;
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

/* ---- what was admitted before ---- */

struct review {
	struct relay *relay;
	struct report_record leave; /* of a group that is no longer permitted */
	bool found;
};

static void find_forbidden(void *arg, const struct membership_view *view)
{
	struct review *review = arg;

	if (review->found || group_permitted(review->relay, &view->group))
		return;
	review->found = true;
	review->leave.group = view->group;
	review->leave.source_len = addr_is_ipv4(&view->group) ? 4 : 16;
}

/* As if the gateway had left each of them. */
static void leave_forbidden(struct relay *relay, struct tunnel *tunnel, uint64_t now)
{
	struct tunnel_change change = {.relay = relay, .tunnel = tunnel, .now = now};
	struct review review = {.relay = relay, .leave = {.type = RECORD_TO_IN}};
	unsigned int left;

	for (left = membership_groups(tunnel->membership); left; left--) {
		review.found = false;
		membership_walk(tunnel->membership, find_forbidden, NULL, &review);
		if (!review.found || membership_apply(tunnel->membership, &relay->membership, now,
						      &review.leave, tunnel_changed, &change))
			return;
	}
}

static void tunnel_review(struct relay *relay, struct tunnel *tunnel, uint64_t now)
{
	const struct amt_sockaddr peer = {tunnel->key.gateway, tunnel->key.port};

	if (tunnel->ending)
		return;
	if (admission_gateway(relay, &peer)) {
		leave_forbidden(relay, tunnel, now);
		if (!membership_is_empty(tunnel->membership))
			return;
	}
	counter_add(AMT_COUNT_TUNNEL_FORBIDDEN, 1);
	tunnel_end(relay, tunnel);
}

void admission_review(struct relay *relay, uint64_t now)
{
	uint32_t id;

	if (!relay->options.npermit_gateways && !relay->options.npermit_groups)
		return;
	for (id = 0; id < relay->by_id_room; id++)
		if (relay->by_id[id])
			tunnel_review(relay, relay->by_id[id], now);
}
