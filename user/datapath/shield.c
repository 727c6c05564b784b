/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writes the shield's maps; see shield.h. Called by the relay service, interface.c and attach.c. */
#include "datapath/shield.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <bpf/bpf.h>

#include "base/log.h"
#include "datapath/device.h"
#include "datapath/state.h"

/* ---- policy ---- */

static int config_write(struct datapath *dp, uint32_t shield)
{
	dp->config.shield = (uint16_t)shield;
	return maps_write(&dp->maps, MAP_CONFIG, 0, &dp->config);
}

int datapath_shield_set(struct datapath *dp, const struct amt_shield *policy)
{
	uint32_t slot = dp->config.shield % AMT_SHIELD_SLOTS; /* the one that is not valid */
	int ret;

	if (!policy)
		return config_write(dp, 0);
	ret = maps_write(&dp->maps, MAP_SHIELD, slot, policy);
	if (ret)
		config_write(dp, 0);
	return ret ? ret : config_write(dp, slot + 1);
}

/* ---- addresses and prefixes ---- */

static bool is_listed(const struct datapath_shield_address *list, unsigned int n,
		      const struct amt_addr *local)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (addr_equal(&list[i].local, local))
			return true;
	return false;
}

void datapath_shield_addresses(struct datapath *dp, const struct datapath_shield_address *list,
			       unsigned int n)
{
	int fd = dp->maps.fd[MAP_SHIELD_ADDRESSES];
	struct amt_addr key, next;
	const void *at = NULL;
	unsigned int i;

	while (!bpf_map_get_next_key(fd, at, &next)) {
		if (at && !is_listed(list, n, &key))
			bpf_map_delete_elem(fd, &key);
		key = next;
		at = &key;
	}
	if (at && !is_listed(list, n, &key))
		bpf_map_delete_elem(fd, &key);
	for (i = 0; i < n; i++) {
		const struct amt_shield_address value = {list[i].advertised};

		bpf_map_update_elem(fd, &list[i].local, &value, BPF_ANY);
	}
}

/* Removes the prefixes of one list; those of the other stay where they are. */
static void list_empty(int fd, uint32_t list)
{
	struct amt_shield_prefix key, next;
	int end = bpf_map_get_next_key(fd, NULL, &next);

	while (!end) {
		key = next;
		end = bpf_map_get_next_key(fd, &key, &next);
		if (key.list == list)
			bpf_map_delete_elem(fd, &key);
	}
}

int datapath_shield_permit(struct datapath *dp, uint32_t list, const struct amt_prefix *prefixes,
			   unsigned int n)
{
	static const uint32_t one = 1;
	int fd = dp->maps.fd[MAP_SHIELD_PERMITTED];
	unsigned int i;

	list_empty(fd, list);
	if (n > AMT_SHIELD_PERMITTED_MAX)
		return -ENOSPC;
	for (i = 0; i < n; i++) {
		const struct amt_shield_prefix key = {
			.bits = AMT_SHIELD_LIST_BITS + prefixes[i].bits,
			.list = list,
			.addr = prefixes[i].addr,
		};

		if (bpf_map_update_elem(fd, &key, &one, BPF_ANY))
			return -errno;
	}
	return 0;
}

/* ---- interfaces ---- */

/* Why the programs there cannot answer; NULL: they can. A driver with native XDP has XDP_TX; a veth
 * gives an answer to its peer only as it gives copies. */
static const char *obstacle(const struct interface *interface)
{
	if (!(interface->flags & AMT_INTERFACE_UPLINK))
		return "not an uplink";
	if (!(interface->flags & AMT_INTERFACE_XDP))
		return "no native XDP";
	if (interface->veth && !interface->xmit)
		return "takes no XDP frames";
	return NULL;
}

void shield_unlink(struct datapath *dp, struct interface *interface)
{
	bpf_map_delete_elem(dp->maps.fd[MAP_SHIELD_LINKS], &interface->ifindex);
	interface->shield = false;
}

void shield_link(struct datapath *dp, struct interface *interface)
{
	struct amt_shield_link link = {
		.uplink = interface->veth ? (uint16_t)(interface->uplink + 1) : 0,
	};

	if (!interface->ifindex)
		return;
	if (obstacle(interface) || device_mac(interface->name, link.mac)) {
		shield_unlink(dp, interface);
		return;
	}
	interface->shield = !bpf_map_update_elem(dp->maps.fd[MAP_SHIELD_LINKS], &interface->ifindex,
						 &link, BPF_ANY);
}

void shield_why(const struct datapath *dp, const struct interface *interface, char *why,
		size_t size)
{
	const char *reason = obstacle(interface);

	if (!reason)
		reason = !dp->config.shield  ? "shield = false"
			 : interface->shield ? ""
					     : "its map cannot be written";
	snprintf(why, size, "%s", reason);
}
