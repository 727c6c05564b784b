/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Taking up a predecessor's tunnels after a restart, out of what the packet path still has
 * (datapath.h, R-183): every tunnel gets its full time again.
 */
#include <errno.h>
#include <limits.h>
#include "base/counters.h"
#include "relay/engine.h"

int relay_restore_tunnel(struct relay *relay, uint64_t now, uint32_t id,
			 const struct amt_tunnel *record)
{
	const struct amt_sockaddr gateway = {record->gateway, record->gateway_port};
	const struct amt_sockaddr local = {record->relay, record->relay_port};
	struct tunnel *tunnel;

	if (tunnel_by_id(relay, id) || tunnel_find(relay, &gateway, &local.addr))
		return -EEXIST;
	tunnel = tunnel_new(&gateway, &local, record->flags & AMT_TUNNEL_ECN);
	if (!tunnel)
		return -ENOMEM;
	tunnel->created_ns = record->created_ns;
	tunnel->last_update_ns = now;
	tunnel->expires_ns = now + relay->gmi_ns;
	if (tunnel_link(relay, tunnel, id)) {
		tunnel_discard(tunnel);
		return -ENOMEM;
	}
	deadlines_move(&relay->deadlines, &tunnel->deadline, tunnel->expires_ns);
	relay->edge.tunnel_set_expiry(relay->edge.arg, id, tunnel->expires_ns);
	return 0;
}

int relay_restore_group(struct relay *relay, uint64_t now, uint32_t id,
			const struct amt_addr *group, bool exclude, const struct amt_addr *sources,
			unsigned int nsources)
{
	struct tunnel_change change = {
		.relay = relay,
		.tunnel = tunnel_by_id(relay, id),
		.now = now,
	};
	int rc;

	if (!change.tunnel)
		return -ENOENT;
	rc = membership_restore(change.tunnel->membership, &relay->membership, now, group, exclude,
				sources, nsources, tunnel_changed, &change);
	relay->admitted = 0;
	return rc;
}

void relay_restore_done(struct relay *relay)
{
	uint32_t id;

	for (id = 0; id < relay->by_id_room; id++)
		if (relay->by_id[id] && membership_is_empty(relay->by_id[id]->membership))
			tunnel_end(relay, relay->by_id[id]);
	merge_go_on(relay->merge, UINT_MAX); /* what it does not name will go */
	counter_add(AMT_COUNT_ADOPTED_TUNNELS, relay_tunnels(relay));
}
