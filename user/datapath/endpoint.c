/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Endpoints: tunnels with the same uplink, relay address and port, VLAN and ECN mode share one, so
 * that their copies share everything but the gateway. Called by tunnel.c, attach.c and adopt.c.
 */
#include "datapath/state.h"

#include <string.h>

#include "base/addr.h"
#include "base/clock.h"

/* design 4.3 */
void endpoint_limits(const struct interface *uplink, struct amt_endpoint *record)
{
	record->direct_max = amt_direct_max(uplink->ring) >> uplink->crowding.halvings;
	record->block_max = amt_block_max(uplink->ring) >> uplink->crowding.halvings;
	if (!record->block_max)
		record->block_max = 1; /* a tiny ring: slow, but served */
}

static bool same(const struct amt_endpoint *a, const struct amt_endpoint *b)
{
	return addr_equal(&a->relay, &b->relay) && a->port == b->port && a->flags == b->flags &&
	       a->vlan_proto == b->vlan_proto && a->vlan_tci == b->vlan_tci &&
	       a->uplink == b->uplink && a->uplink_ifindex == b->uplink_ifindex;
}

uint32_t endpoint_get(struct datapath *dp, const struct amt_endpoint *want)
{
	uint32_t id, vacant = DATAPATH_NONE;

	for (id = 0; id < AMT_ENDPOINTS_MAX; id++) {
		struct endpoint *e = &dp->endpoints[id];

		if (e->record.flags & AMT_ENDPOINT_VALID && same(&e->record, want)) {
			e->users++;
			return id;
		}
		if (!(e->record.flags & AMT_ENDPOINT_VALID) && vacant == DATAPATH_NONE)
			vacant = id;
	}
	if (vacant == DATAPATH_NONE || maps_write(&dp->maps, MAP_ENDPOINTS, vacant, want))
		return DATAPATH_NONE;
	dp->endpoints[vacant] = (struct endpoint){.record = *want, .users = 1};
	return vacant;
}

void endpoint_put(struct datapath *dp, uint32_t id)
{
	if (!--dp->endpoints[id].users)
		dp->endpoints[id].free_ns = fanout_free_at(dp->fanout, clock_now());
}

void endpoints_update(struct datapath *dp, const struct interface *uplink)
{
	uint32_t id;

	for (id = 0; id < AMT_ENDPOINTS_MAX; id++) {
		struct amt_endpoint record = dp->endpoints[id].record;

		if (!(record.flags & AMT_ENDPOINT_VALID) || record.uplink != uplink->uplink)
			continue;
		endpoint_limits(uplink, &record);
		if (!memcmp(&record, &dp->endpoints[id].record, sizeof(record)))
			continue;
		dp->endpoints[id].record = record;
		maps_write(&dp->maps, MAP_ENDPOINTS, id, &record);
		fanout_resize(dp->fanout, &(struct fanout_place){.endpoint = id,
								 .block_max = record.block_max});
	}
}

/* Clears what no packet under way can need any more. */
void endpoints_tick(struct datapath *dp, uint64_t now)
{
	static const struct amt_endpoint empty;
	uint32_t id;

	for (id = 0; id < AMT_ENDPOINTS_MAX; id++) {
		struct endpoint *e = &dp->endpoints[id];

		if (!(e->record.flags & AMT_ENDPOINT_VALID) || e->users || now < e->free_ns ||
		    dp->adopting)
			continue;
		*e = (struct endpoint){0};
		maps_write(&dp->maps, MAP_ENDPOINTS, id, &empty);
	}
}

void endpoints_adopt(struct datapath *dp)
{
	uint32_t id;

	for (id = 0; id < AMT_ENDPOINTS_MAX; id++) {
		struct endpoint *e = &dp->endpoints[id];

		if (maps_read(&dp->maps, MAP_ENDPOINTS, id, &e->record) ||
		    !(e->record.flags & AMT_ENDPOINT_VALID) || e->record.uplink >= AMT_UPLINKS_MAX)
			*e = (struct endpoint){0};
		e->free_ns = fanout_free_at(dp->fanout, clock_now());
	}
}
