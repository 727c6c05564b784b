/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Attached interfaces: what the operator asks of them, and what happens when they vanish, return or
 * change. Called by the relay service and, on notifications, by nexthop.c.
 */
#include "datapath/state.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "datapath/decap.h"
#include "datapath/device.h"

static struct interface *interface_by_name(struct datapath *dp, const char *name)
{
	unsigned int i;

	for (i = 0; i < AMT_INTERFACES_MAX; i++)
		if (dp->interfaces[i].used && !strcmp(dp->interfaces[i].name, name))
			return &dp->interfaces[i];
	return NULL;
}

struct interface *interface_by_ifindex(struct datapath *dp, uint32_t ifindex)
{
	unsigned int i;

	for (i = 0; ifindex && i < AMT_INTERFACES_MAX; i++)
		if (dp->interfaces[i].used && dp->interfaces[i].ifindex == ifindex)
			return &dp->interfaces[i];
	return NULL;
}

const struct interface *interface_by_uplink(const struct datapath *dp, uint32_t uplink)
{
	unsigned int i;

	for (i = 0; i < AMT_INTERFACES_MAX; i++) {
		const struct interface *interface = &dp->interfaces[i];

		if (interface->used && interface->uplink == uplink &&
		    (interface->flags & AMT_INTERFACE_UPLINK || interface->leaving))
			return interface;
	}
	return NULL;
}

/* The device that frames are handed to, or the VLAN device above it: either may be attached. */
const struct interface *interface_of_route(struct datapath *dp, const struct nexthop_route *route)
{
	const struct interface *interface = interface_by_ifindex(dp, route->ifindex);

	if (interface && interface->flags & AMT_INTERFACE_UPLINK)
		return interface;
	interface = interface_by_ifindex(dp, route->logical);
	return interface && interface->flags & AMT_INTERFACE_UPLINK ? interface : NULL;
}

static int take_uplink(struct datapath *dp, struct interface *interface, struct error *err)
{
	uint32_t uplink;

	for (uplink = 0; uplink < AMT_UPLINKS_MAX; uplink++)
		if (!interface_by_uplink(dp, uplink))
			break;
	if (uplink == AMT_UPLINKS_MAX)
		return error_set(err, -ENOSPC, "%s: %d uplinks are attached already",
				 interface->name, AMT_UPLINKS_MAX);
	interface->uplink = uplink;
	return 0;
}

/* ---- what the operator asks ---- */

static struct interface *interface_new(struct datapath *dp, const char *name)
{
	unsigned int i;

	for (i = 0; i < AMT_INTERFACES_MAX; i++) {
		struct interface *interface = &dp->interfaces[i];

		if (interface->used)
			continue;
		*interface = (struct interface){.used = true};
		snprintf(interface->name, sizeof(interface->name), "%s", name);
		return interface;
	}
	return NULL;
}

static int set_roles(struct datapath *dp, struct interface *interface, uint32_t roles,
		     enum datapath_mode mode, bool runtime, struct error *err)
{
	int ret = 0;

	if (roles & AMT_INTERFACE_UPLINK && !(interface->flags & AMT_INTERFACE_UPLINK))
		ret = take_uplink(dp, interface, err);
	if (ret)
		return ret;
	interface->asked = mode;
	interface->flags &= AMT_INTERFACE_XDP | AMT_INTERFACE_TC;
	interface->flags |= roles;
	if (mode == DATAPATH_MODE_XDP)
		interface->flags |= AMT_INTERFACE_MODE_XDP;
	if (mode == DATAPATH_MODE_TC)
		interface->flags |= AMT_INTERFACE_MODE_TC;
	if (runtime)
		interface->flags |= AMT_INTERFACE_RUNTIME;
	return 0;
}

/* Or leaves that to the day when it appears. */
static int bring_up(struct datapath *dp, struct interface *interface, struct error *err)
{
	if (interface->ifindex)
		return interface_bring_up(dp, interface, err);
	if (!interface->said)
		log_warning("%s is not there; attached when it appears", interface->name);
	interface_save(dp, interface);
	return 0;
}

/* keep: roles that it stays in, if it has them. */
static int attach(struct datapath *dp, const char *name, uint32_t roles, uint32_t keep,
		  enum datapath_mode mode, bool runtime, struct error *err)
{
	struct interface *interface = interface_by_name(dp, name), before = {0};
	uint32_t ifindex = if_nametoindex(name);
	int ret;

	/* at run time a name that is unknown is a typing error */
	if (!ifindex && !interface && runtime)
		return error_set(err, -ENODEV, "no interface %s here; see: ip link", name);
	if (ifindex && (ifindex == dp->veth.ifindex || ifindex == dp->veth.peer_ifindex))
		return error_set(err, -EINVAL, "%s is amtd's own internal interface", name);
	if (interface)
		before = *interface;
	else
		interface = interface_new(dp, name);
	if (!interface)
		return error_set(err, -ENOSPC, "%d interfaces are attached already",
				 AMT_INTERFACES_MAX);
	interface->ifindex = ifindex;
	interface->leaving = false;
	roles |= interface->flags & keep;
	ret = set_roles(dp, interface, roles, mode, runtime, err);
	if (!ret)
		ret = bring_up(dp, interface, err);
	if (ret && before.used) {
		*interface = before;
		(void)bring_up(dp, interface, NULL);
	} else if (ret) {
		interface_take_down(dp, interface);
	} else {
		interface->said = true;
	}
	sweep_all(dp);
	malloc_trim(0); /* loading took megabytes (the kernel's BTF) for a moment */
	return ret;
}

int datapath_attach(struct datapath *dp, const char *name, bool upstream, bool uplink,
		    enum datapath_mode mode, bool runtime, struct error *err)
{
	uint32_t roles =
		(upstream ? AMT_INTERFACE_UPSTREAM : 0) | (uplink ? AMT_INTERFACE_UPLINK : 0);

	if (!roles)
		return error_set(err, -EINVAL, "%s: neither upstream nor uplink", name);
	return attach(dp, name, roles, AMT_INTERFACE_GATEWAY, mode, runtime, err);
}

int datapath_attach_gateway(struct datapath *dp, const char *name, enum datapath_mode mode,
			    bool runtime, struct error *err)
{
	return attach(dp, name, AMT_INTERFACE_GATEWAY,
		      AMT_INTERFACE_UPSTREAM | AMT_INTERFACE_UPLINK, mode, runtime, err);
}

int datapath_detach(struct datapath *dp, const char *name, struct error *err)
{
	struct interface *interface = interface_by_name(dp, name);

	if (!interface || interface->leaving)
		return error_set(err, -ENODEV, "%s is not attached; what is: amt-ctl status", name);
	interface->flags &= ~INTERFACE_ROLES;
	interface->leaving = true; /* first no copies to it, then no programs on it */
	sweep_all(dp);
	return 0;
}

bool interfaces_leave(struct datapath *dp)
{
	bool any = false;
	unsigned int i;

	for (i = 0; i < AMT_INTERFACES_MAX; i++) {
		if (!dp->interfaces[i].leaving)
			continue;
		interface_take_down(dp, &dp->interfaces[i]);
		any = true;
	}
	if (any)
		dp->sweep_set = 0;
	return any;
}

unsigned int datapath_interfaces(const struct datapath *dp, struct datapath_interface *out,
				 unsigned int max)
{
	unsigned int i, n = 0;

	for (i = 0; i < AMT_INTERFACES_MAX; i++) {
		const struct interface *in = &dp->interfaces[i];
		struct datapath_interface *view;

		if (!in->used || in->leaving)
			continue;
		if (n++ >= max)
			continue;
		view = &out[n - 1];
		*view = (struct datapath_interface){
			.ifindex = in->ifindex,
			.upstream = in->flags & AMT_INTERFACE_UPSTREAM,
			.uplink = in->flags & AMT_INTERFACE_UPLINK,
			.gateway = in->flags & AMT_INTERFACE_GATEWAY,
			.runtime = in->flags & AMT_INTERFACE_RUNTIME,
			.asked = in->asked,
			.xdp = in->flags & AMT_INTERFACE_XDP,
			.tc = in->flags & AMT_INTERFACE_TC,
			.dispatcher = in->dispatcher,
			.ring = in->ring,
			.mtu = in->mtu,
		};
		memcpy(view->name, in->name, sizeof(view->name));
		memcpy(view->why, in->why, sizeof(view->why));
		if (!in->ifindex)
			snprintf(view->why, sizeof(view->why), "absent: attached when it appears");
		view->halvings = in->crowding.halvings;
		view->shield = in->shield && dp->config.shield;
		shield_why(dp, in, view->shield_why, sizeof(view->shield_why));
	}
	return n;
}

/* ---- what happens to them ---- */

static void went_away(struct datapath *dp, struct interface *interface)
{
	log_warning("%s is gone; attached again when it appears", interface->name);
	xdp_detach(dp, interface->ifindex); /* the pin of its link is all that is left */
	shield_unlink(dp, interface);
	interface->ifindex = 0;
	interface->flags &= ~(AMT_INTERFACE_XDP | AMT_INTERFACE_TC);
	interface->xmit = false;
	interface_save(dp, interface);
	sweep_all(dp);
	if (dp->callbacks.interface_changed)
		dp->callbacks.interface_changed(dp->callbacks.arg, interface->name, false);
}

static void came_back(struct datapath *dp, struct interface *interface, uint32_t ifindex)
{
	struct error err = {""};

	interface->ifindex = ifindex;
	if (interface_bring_up(dp, interface, &err))
		log_error("%s is back but cannot be attached: %s", interface->name, err.text);
	else
		log_info("%s is back, attached again", interface->name);
	sweep_all(dp);
	if (dp->callbacks.interface_changed)
		dp->callbacks.interface_changed(dp->callbacks.arg, interface->name, true);
}

void interface_link(struct datapath *dp, uint32_t ifindex, const char *name, bool present,
		    uint32_t mtu)
{
	struct interface *interface = interface_by_ifindex(dp, ifindex);

	if (interface && interface->leaving)
		return;
	if (interface && !present) {
		went_away(dp, interface);
	} else if (interface) {
		interface->mtu = mtu;
		if (strcmp(interface->name, name)) {
			log_info("%s is now called %s", interface->name, name);
			snprintf(interface->name, sizeof(interface->name), "%s", name);
		}
	} else if (present) {
		interface = interface_by_name(dp, name);
		if (interface && !interface->ifindex)
			came_back(dp, interface, ifindex);
	}
}

/* An uplink's peer may get or lose its XDP program, and rings and queues change without notice.
 */
void interfaces_tick(struct datapath *dp)
{
	bool refresh = false, before;
	unsigned int i;
	uint32_t ring;

	for (i = 0; i < AMT_INTERFACES_MAX; i++) {
		struct interface *interface = &dp->interfaces[i];

		if (!interface->used || !interface->ifindex ||
		    !(interface->flags & AMT_INTERFACE_UPLINK))
			continue;
		before = interface->xmit;
		interface_check_xmit(dp, interface);
		refresh |= before != interface->xmit;
		shield_link(dp, interface);
		ring = device_ring(interface->name);
		if (!interface_check_drops(dp, interface) && ring == interface->ring)
			continue;
		interface->ring = ring;
		endpoints_update(dp, interface);
		interface_save(dp, interface);
		refresh = true;
	}
	interfaces_spread(dp);
	if (refresh)
		sweep_sets(dp);
}

/* ---- adoption ---- */

static void adopt_one(struct datapath *dp, struct interface *interface,
		      const struct amt_interface *record)
{
	struct error err = {""};

	*interface = (struct interface){
		.used = true,
		.ifindex = record->ifindex,
		.flags = record->flags,
		.uplink = record->uplink,
		.asked = record->flags & AMT_INTERFACE_MODE_XDP	 ? DATAPATH_MODE_XDP
			 : record->flags & AMT_INTERFACE_MODE_TC ? DATAPATH_MODE_TC
								 : DATAPATH_MODE_AUTO,
	};
	memcpy(interface->name, record->name, sizeof(interface->name) - 1);
	if (!record->ifindex || !if_indextoname(record->ifindex, interface->name)) {
		interface->flags &= ~(AMT_INTERFACE_XDP | AMT_INTERFACE_TC);
		interface->ifindex = if_nametoindex(interface->name); /* made anew meanwhile */
	}
	if (record->uplink >= AMT_UPLINKS_MAX) {
		interface_take_down(dp, interface);
		return;
	}
	if (!bring_up(dp, interface, &err))
		return;
	log_error("%s, attached before the restart, cannot be now: %s", interface->name, err.text);
	interface_take_down(dp, interface);
}

void interfaces_adopt(struct datapath *dp)
{
	struct amt_interface record;
	uint32_t i;

	for (i = 0; i < AMT_INTERFACES_MAX; i++)
		if (!maps_read(&dp->maps, MAP_INTERFACES, i, &record) &&
		    record.flags & INTERFACE_ROLES)
			adopt_one(dp, &dp->interfaces[i], &record);
}

void interfaces_sweep(struct datapath *dp)
{
	unsigned int i;

	for (i = 0; i < AMT_INTERFACES_MAX; i++) {
		struct interface *interface = &dp->interfaces[i];

		if (interface->used && !interface->said &&
		    !(interface->flags & AMT_INTERFACE_RUNTIME))
			datapath_detach(dp, interface->name, NULL);
	}
}
