/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which path serves a set, and why (design 4.4): XDP where every interface concerned can, TC
 * otherwise. Decides; set.c writes it down.
 */
#include "datapath/state.h"

/* Why packets that come in cannot take XDP, or NULL. */
static const char *no_xdp_upstream(struct datapath *dp, const struct set *set)
{
	unsigned int i;

	for (i = 0; i < AMT_INTERFACES_MAX; i++) {
		const struct interface *in = &dp->interfaces[i];

		if (!in->used || !in->ifindex || !(in->flags & AMT_INTERFACE_UPSTREAM) ||
		    in->flags & AMT_INTERFACE_XDP)
			continue;
		if (!set->upstream_ifindex || set->upstream_ifindex == in->ifindex)
			return in->why_path;
	}
	return NULL;
}

static const char *no_xdp_endpoint(const struct datapath *dp, uint32_t endpoint)
{
	const struct interface *uplink =
		interface_by_uplink(dp, dp->endpoints[endpoint].record.uplink);

	return uplink && !uplink->xmit ? uplink->why_path : NULL;
}

static const char *no_xdp_uplink(const struct datapath *dp, const struct set *set,
				 const struct prospect *prospect)
{
	uint32_t endpoint = prospect->endpoint;
	const char *why = endpoint == DATAPATH_NONE ? NULL : no_xdp_endpoint(dp, endpoint);
	unsigned int i;

	for (i = 0; !why; i++) {
		endpoint = fanout_endpoint(dp->fanout, set->id, i);
		if (endpoint == FANOUT_NONE)
			break;
		why = no_xdp_endpoint(dp, endpoint);
	}
	return why;
}

static bool fits_direct(const struct datapath *dp, const struct set *set,
			const struct prospect *prospect, const char **why)
{
	uint32_t blocks, members, endpoint = fanout_endpoint(dp->fanout, set->id, 0);

	fanout_size(dp->fanout, set->id, &blocks, &members);
	if (prospect->endpoint != DATAPATH_NONE) {
		members++;
		if (blocks && prospect->endpoint != endpoint)
			blocks++;
		endpoint = prospect->endpoint;
	}
	*why = "several blocks";
	if (blocks > 1)
		return false;
	*why = "more copies than fit a direct broadcast";
	if (endpoint != FANOUT_NONE && members > dp->endpoints[endpoint].record.direct_max)
		return false;
	*why = "one block";
	return true;
}

enum amt_path path_choose(struct datapath *dp, const struct set *set,
			  const struct prospect *prospect, const char **why)
{
	*why = "PREEMPT_RT kernel";
	if (dp->rt)
		return AMT_PATH_TC;
	*why = "this host listens too";
	if (set->wanted_here)
		return AMT_PATH_TC;
	*why = no_xdp_upstream(dp, set);
	if (!*why)
		*why = no_xdp_uplink(dp, set, prospect);
	if (*why)
		return AMT_PATH_TC;
	if (!fits_direct(dp, set, prospect, why))
		return AMT_PATH_XDP_RECIRCULATED;
	if (!set->recirculated)
		return AMT_PATH_XDP_DIRECT;
	*why = "was larger before: stays, to keep the order";
	return AMT_PATH_XDP_RECIRCULATED;
}

uint32_t path_flags(const struct datapath *dp, const struct set *set,
		    const struct prospect *prospect)
{
	uint32_t flags = set->wanted_here ? AMT_GROUP_HOST : 0, endpoint;
	unsigned int i;

	if (dp->config.flags & AMT_CONFIG_UDP4_CHECKSUM ||
	    (prospect->endpoint != DATAPATH_NONE &&
	     dp->endpoints[prospect->endpoint].record.flags & AMT_ENDPOINT_IPV6))
		return flags | AMT_GROUP_CHECKSUM;
	for (i = 0; (endpoint = fanout_endpoint(dp->fanout, set->id, i)) != FANOUT_NONE; i++)
		if (dp->endpoints[endpoint].record.flags & AMT_ENDPOINT_IPV6)
			return flags | AMT_GROUP_CHECKSUM;
	return flags;
}
