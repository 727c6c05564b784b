/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What one attached interface needs: XDP, TC, its ring, the devmaps of an uplink, its slot in the
 * map `interfaces`. Called by attach.c, which decides when.
 */
#include "datapath/state.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "datapath/clones.h"
#include "datapath/device.h"
#include "datapath/link_request.h"

void interface_save(struct datapath *dp, const struct interface *interface)
{
	struct amt_interface record = {0};

	if (interface->flags & INTERFACE_ROLES) {
		memcpy(record.name, interface->name, sizeof(record.name));
		record.ifindex = interface->ifindex;
		record.flags = interface->flags;
		record.uplink = interface->uplink;
		record.ring = interface->ring;
	}
	maps_write(&dp->maps, MAP_INTERFACES, (uint32_t)(interface - dp->interfaces), &record);
}

/* ---- bringing up what an interface needs ---- */

static int up_xdp(struct datapath *dp, struct interface *interface, struct error *err)
{
	struct error why = {""};
	int ret;

	if (interface->asked == DATAPATH_MODE_TC) {
		xdp_detach(dp, interface->ifindex);
		interface->flags &= ~AMT_INTERFACE_XDP;
		snprintf(interface->why, sizeof(interface->why), "mode tc was asked for");
		return 0;
	}
	ret = xdp_attach(dp, interface, &why);
	snprintf(interface->why, sizeof(interface->why), "%.*s", (int)sizeof(interface->why) - 1,
		 why.text);
	if (!ret) {
		interface->flags |= AMT_INTERFACE_XDP;
		interface->why[0] = '\0';
		return 0;
	}
	interface->flags &= ~AMT_INTERFACE_XDP;
	if (interface->asked == DATAPATH_MODE_XDP)
		return error_set(err, ret, "%s%s", why.text,
				 ret == -EOPNOTSUPP ? "; use --mode tc" : "");
	log_info("%s: TC instead of XDP: %s", interface->name, why.text);
	return 0;
}

/* XDP passes on what it leaves to TC (local listeners, GSO), so upstream always has both; a gateway
 * has one or the other. */
static bool needs_tc(const struct interface *interface, enum tc_program which)
{
	if (which == TC_RELAY)
		return interface->flags & AMT_INTERFACE_UPSTREAM;
	return interface->flags & AMT_INTERFACE_GATEWAY && !(interface->flags & AMT_INTERFACE_XDP);
}

static int up_tc_program(struct datapath *dp, struct interface *interface, enum tc_program which,
			 struct error *err)
{
	uint32_t map_id = map_id_of(dp->maps.fd[MAP_CONFIG]);
	struct error why = {""};
	int ret;

	if (!needs_tc(interface, which)) {
		tc_detach(interface->ifindex, which, map_id);
		return 0;
	}
	ret = tc_attach(interface->ifindex, interface->name, which, dp->programs.tc[which], map_id,
			&why);
	if (!ret) {
		interface->flags |= AMT_INTERFACE_TC;
		return 0;
	}
	if (!(interface->flags & AMT_INTERFACE_XDP))
		return error_set(err, ret, "%s", why.text);
	log_warning("%s; packets that XDP leaves to it are not relayed", why.text);
	return 0;
}

static int up_tc(struct datapath *dp, struct interface *interface, struct error *err)
{
	int ret;

	interface->flags &= ~AMT_INTERFACE_TC;
	ret = up_tc_program(dp, interface, TC_RELAY, err);
	return ret ? ret : up_tc_program(dp, interface, TC_GATEWAY, err);
}

/* Whether copies can be handed over by XDP now. Kernels before 6.3 do not tell: a driver is trusted
 * then, but not a veth, since without GRO on its peer every copy would be lost. */
static bool can_xmit(const struct datapath *dp, const struct interface *interface, const char **why)
{
	enum device_xmit xmit = device_xdp_xmit(interface->ifindex);

	*why = "takes no XDP frames: a veth's peer needs GRO or an XDP program";
	if (interface->asked == DATAPATH_MODE_TC || dp->rt)
		return false;
	if (xmit != DEVICE_XMIT_UNKNOWN)
		return xmit == DEVICE_XMIT_YES;
	if (!(interface->flags & AMT_INTERFACE_XDP))
		return false;
	*why = "a veth; if its peer has GRO or an XDP program, mode xdp is safe";
	return !interface->veth || interface->asked == DATAPATH_MODE_XDP;
}

/* Makes the uplink's devmaps when they can be used. */
void interface_check_xmit(struct datapath *dp, struct interface *interface)
{
	const char *why;
	bool can = can_xmit(dp, interface, &why);
	int ret;

	if (can && !interface->xmit) {
		ret = clones_fill(&dp->maps, interface->uplink, interface->ifindex,
				  dp->programs.egress);
		if (ret)
			log_warning("%s: cannot make its devmaps: %s", interface->name,
				    strerror(-ret));
		can = !ret;
	}
	if (interface->flags & AMT_INTERFACE_XDP)
		snprintf(interface->why, sizeof(interface->why), "%s", can ? "" : why);
	interface->xmit = can;
}

bool interface_check_drops(struct datapath *dp, struct interface *interface)
{
	unsigned int before = interface->crowding.halvings, after;

	if (!crowding_look(&interface->crowding, clock_now(), uplink_drops(dp, interface->uplink)))
		return false;
	after = interface->crowding.halvings;
	if (!before)
		log_warning(
			"%s drops copies at transmit: blocks are made smaller until it does not; a "
			"larger ring (ethtool -G), or a queue for each CPU, helps more",
			interface->name);
	else if (!after)
		log_info("%s drops no more copies: blocks are whole again", interface->name);
	return true;
}

void interfaces_spread(struct datapath *dp)
{
	unsigned int i;

	dp->spread = dp->options.spread && dp->config.cpus > 1;
	for (i = 0; i < AMT_INTERFACES_MAX; i++) {
		struct interface *in = &dp->interfaces[i];

		if (!in->used || !in->ifindex || !(in->flags & AMT_INTERFACE_UPLINK))
			continue;
		dp->spread &= device_queues(in->name) >= dp->config.cpus;
	}
	if (dp->spread && !(dp->config.flags & AMT_CONFIG_SPREAD)) {
		dp->config.flags |= AMT_CONFIG_SPREAD;
		datapath_lease(dp, clock_now());
	}
}

int interface_bring_up(struct datapath *dp, struct interface *interface, struct error *err)
{
	struct link_info info = {0};
	int ret;

	link_get(interface->name, &info);
	interface->mtu = info.mtu;
	interface->veth = !strcmp(info.kind, "veth");
	interface->ring = device_ring(interface->name);
	interface->xmit = false; /* fill the devmaps anew: other ifindex or other program */
	ret = up_xdp(dp, interface, err);
	if (!ret)
		ret = up_tc(dp, interface, err);
	if (ret)
		return ret;
	if (interface->flags & AMT_INTERFACE_UPLINK) {
		interface_check_xmit(dp, interface);
		endpoints_update(dp, interface);
		interfaces_spread(dp);
	}
	shield_link(dp, interface);
	snprintf(interface->why_path, sizeof(interface->why_path), "%s on %s",
		 interface->asked == DATAPATH_MODE_TC ? "mode tc" : "no native XDP",
		 interface->name);
	interface_save(dp, interface);
	return 0;
}

void interface_take_down(struct datapath *dp, struct interface *interface)
{
	uint32_t map_id = map_id_of(dp->maps.fd[MAP_CONFIG]);

	if (interface->ifindex) {
		shield_unlink(dp, interface);
		xdp_detach(dp, interface->ifindex);
		tc_detach(interface->ifindex, TC_RELAY, map_id);
		tc_detach(interface->ifindex, TC_GATEWAY, map_id);
	}
	interface->flags = 0;
	interface_save(dp, interface);
	*interface = (struct interface){0};
}
