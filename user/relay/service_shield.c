/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keeps the shield's maps equal to what the relay would answer itself: the policy after every batch
 * of messages and timer, lists now and then. Compares, and writes only what has changed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "datapath/shield.h"
#include "relay/service_state.h"

/* What the maps hold. */
struct service_shield {
	bool on;
	struct amt_shield policy;
	struct datapath_shield_address addresses[AMT_SHIELD_ADDRESSES_MAX];
	unsigned int naddresses;
	struct amt_prefix *permitted;
	unsigned int npermitted;
	uint32_t list;	 /* in which list of the map those are */
	bool incomplete; /* not all of those found room */
	bool listed;	 /* the lists are what they have to be */
};

int service_shield_open(struct relay_service *service)
{
	service->shield = calloc(1, sizeof(*service->shield));
	if (!service->shield)
		return -ENOMEM;
	datapath_shield_set(service->datapath, NULL);
	datapath_shield_addresses(service->datapath, NULL, 0);
	service_shield_sync(service);
	return 0;
}

void service_shield_free(struct relay_service *service)
{
	if (service->shield)
		free(service->shield->permitted);
	free(service->shield);
}

/* ---- addresses ---- */

struct address_list {
	struct datapath_shield_address item[AMT_SHIELD_ADDRESSES_MAX];
	unsigned int n;
};

static void list_add(struct address_list *list, const struct amt_addr *local,
		     const struct amt_addr *advertised)
{
	unsigned int i;

	for (i = 0; i < list->n; i++)
		if (addr_equal(&list->item[i].local, local))
			return;
	if (list->n < AMT_SHIELD_ADDRESSES_MAX)
		list->item[list->n++] = (struct datapath_shield_address){*local, *advertised};
}

/* An address of this host, and the broadcast address of its network: nobody's who asks. */
static void list_add_host(struct address_list *list, const struct ifaddrs *at)
{
	static const struct amt_addr none;
	struct amt_sockaddr address, mask;
	unsigned int i;

	if (!at->ifa_addr || sockaddr_from_native(at->ifa_addr, &address))
		return;
	list_add(list, &address.addr, &none);
	if (!addr_is_ipv4(&address.addr) || !at->ifa_netmask ||
	    sockaddr_from_native(at->ifa_netmask, &mask))
		return;
	for (i = AMT_ADDR_V4_OFFSET; i < sizeof(mask.addr); i++)
		address.addr.bytes[i] |= (uint8_t)~mask.addr.bytes[i];
	list_add(list, &address.addr, &none);
}

static void sync_addresses(struct relay_service *service)
{
	struct service_shield *shield = service->shield;
	struct address_list list = {.n = 0};
	struct ifaddrs *host, *at;
	unsigned int i;

	for (i = 0; i < service->naddresses; i++) {
		struct amt_addr local = service->addresses[i].local.addr;
		struct amt_addr advertised = relay_advertised(service->relay, &local);

		list_add(&list, &local, &advertised);
	}
	if (!getifaddrs(&host)) {
		for (at = host; at; at = at->ifa_next)
			list_add_host(&list, at);
		freeifaddrs(host);
	}
	if (list.n == shield->naddresses &&
	    !memcmp(list.item, shield->addresses, list.n * sizeof(*list.item)))
		return;
	datapath_shield_addresses(service->datapath, list.item, list.n);
	memcpy(shield->addresses, list.item, list.n * sizeof(*list.item));
	shield->naddresses = list.n;
}

/* ---- permitted gateways ---- */

/* The list that is in force stays as it is until a policy names the other. False: the list is not
 * complete, so the shield cannot be on. */
static bool sync_permitted(struct relay_service *service)
{
	const struct config_prefixes *permit = &service->config->permit_gateways;
	struct service_shield *shield = service->shield;
	struct amt_prefix *copy;

	if (permit->n == shield->npermitted &&
	    (!permit->n || !memcmp(permit->list, shield->permitted, permit->n * sizeof(*copy))))
		return !shield->incomplete;
	copy = realloc(shield->permitted, (permit->n + 1) * sizeof(*copy));
	if (!copy)
		return false;
	shield->permitted = copy;
	shield->npermitted = permit->n;
	if (permit->n)
		memcpy(copy, permit->list, permit->n * sizeof(*copy));
	shield->list = (shield->list + 1) % AMT_SHIELD_LISTS;
	shield->incomplete =
		datapath_shield_permit(service->datapath, shield->list, copy, permit->n);
	return !shield->incomplete;
}

/* ---- policy ---- */

static void switch_off(struct relay_service *service, const char *why)
{
	if (!service->shield->on)
		return;
	service->shield->on = false;
	datapath_shield_set(service->datapath, NULL);
	if (why)
		log_warning("shield off: %s", why);
}

void service_shield_policy(struct relay_service *service)
{
	struct service_shield *shield = service->shield;
	struct amt_shield policy;

	if (!service->config->shield || !shield->listed)
		return;
	relay_shield(service->relay, &policy);
	policy.port = htons(service->config->port);
	policy.permitted = shield->list;
	if (shield->on && !memcmp(&policy, &shield->policy, sizeof(policy)))
		return;
	shield->on = !datapath_shield_set(service->datapath, &policy);
	shield->policy = policy;
}

void service_shield_sync(struct relay_service *service)
{
	struct service_shield *shield = service->shield;

	if (!service->config->shield) {
		switch_off(service, NULL);
		return;
	}
	sync_addresses(service);
	shield->listed = sync_permitted(service);
	if (shield->listed)
		service_shield_policy(service);
	else
		switch_off(service, "permit-gateways has more prefixes than its map takes");
}
