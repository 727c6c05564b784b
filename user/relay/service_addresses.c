/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which addresses the relay listens on and advertises: those of the configuration, or, when it
 * names none, those of the uplinks.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "relay/service_state.h"

static struct relay_service_address *address_find(struct relay_service *service,
						  const struct amt_addr *addr)
{
	unsigned int i;

	for (i = 0; i < service->naddresses; i++)
		if (addr_equal(&service->addresses[i].local.addr, addr))
			return &service->addresses[i];
	return NULL;
}

static int address_add(struct relay_service *service, const struct amt_addr *addr, bool advertised,
		       const char *interface, struct error *err)
{
	uint16_t port = service->config->port;
	struct relay_service_address *list, *added;
	int rc;

	if (address_find(service, addr))
		return 0;
	list = realloc(service->addresses, (service->naddresses + 1) * sizeof(*list));
	if (!list)
		return error_set(err, -ENOMEM, "cannot listen: no memory");
	service->addresses = list;
	rc = relay_sockets_listen(service->sockets, addr, port, err);
	if (rc)
		return rc;
	if (advertised && relay_add_address(service->relay, addr)) {
		relay_sockets_close(service->sockets, addr);
		return error_set(err, -ENOMEM, "cannot listen: no memory");
	}
	upstream_sockets_changed(service->upstream);
	added = &service->addresses[service->naddresses++];
	*added = (struct relay_service_address){
		.local = {*addr, htons(port)},
		.advertised = advertised,
		.configured = !interface,
	};
	if (interface)
		strncpy(added->interface, interface, sizeof(added->interface) - 1);
	return 0;
}

static void address_remove(struct relay_service *service, struct relay_service_address *address)
{
	unsigned int i = (unsigned int)(address - service->addresses);

	relay_sockets_close(service->sockets, &address->local.addr);
	relay_remove_address(service->relay, &address->local.addr);
	upstream_sockets_changed(service->upstream);
	service->naddresses--;
	memmove(address, address + 1, (service->naddresses - i) * sizeof(*address));
}

int service_addresses_configured(struct relay_service *service, struct error *err)
{
	const struct config_relay *config = service->config;
	unsigned int i;
	int rc = 0;

	for (i = 0; i < config->address.n && !rc; i++)
		rc = address_add(service, &config->address.list[i], true, NULL, err);
	for (i = 0; i < config->discovery.n && !rc; i++)
		rc = address_add(service, &config->discovery.list[i], false, NULL, err);
	return rc;
}

static bool addresses_contain(const struct config_addresses *list, const struct amt_addr *addr)
{
	unsigned int i;

	for (i = 0; i < list->n; i++)
		if (addr_equal(&list->list[i], addr))
			return true;
	return false;
}

/* Lets go of those that the configuration no longer names; with some named, interfaces bring none.
 */
static void addresses_trim(struct relay_service *service)
{
	const struct config_relay *config = service->config;
	unsigned int i;

	for (i = service->naddresses; i-- > 0;) {
		struct relay_service_address *address = &service->addresses[i];
		bool advertised = addresses_contain(&config->address, &address->local.addr);
		bool named =
			advertised || addresses_contain(&config->discovery, &address->local.addr);

		if (named) {
			address->configured = true;
			address->advertised = advertised;
			address->interface[0] = '\0';
		} else if (address->configured || config->address.n) {
			address_remove(service, address);
		}
	}
}

/* What is advertised, in the order of the configuration. */
static void addresses_advertise(struct relay_service *service)
{
	const struct config_addresses *configured = &service->config->address;
	unsigned int i;

	for (i = 0; i < service->naddresses; i++)
		relay_remove_address(service->relay, &service->addresses[i].local.addr);
	for (i = 0; i < configured->n; i++)
		relay_add_address(service->relay, &configured->list[i]);
	for (i = 0; i < service->naddresses; i++)
		if (service->addresses[i].advertised && !service->addresses[i].configured)
			relay_add_address(service->relay, &service->addresses[i].local.addr);
}

void service_addresses_cut(struct relay_service *service, unsigned int n)
{
	while (service->naddresses > n)
		address_remove(service, &service->addresses[service->naddresses - 1]);
	relay_sockets_settle(service->sockets);
}

/* One that gateways elsewhere can send to. */
static bool is_global(const struct amt_addr *addr)
{
	const uint8_t *octet = addr->bytes;

	if (!addr_is_unicast_source(addr))
		return false;
	if (addr_is_ipv4(addr))
		return !(octet[AMT_ADDR_V4_OFFSET] == 169 && octet[AMT_ADDR_V4_OFFSET + 1] == 254);
	return !(octet[0] == 0xfe && (octet[1] & 0xc0) == 0x80);
}

static bool is_uplink(const struct relay_service *service, const char *name)
{
	unsigned int i;

	for (i = 0; i < service->ninterfaces; i++)
		if (service->interfaces[i].uplink && !strcmp(service->interfaces[i].name, name))
			return true;
	return false;
}

/* Whether the interface still has the address; and its addresses that are not listened on yet. */
static bool still_there(const struct relay_service *service, const struct ifaddrs *list,
			const struct relay_service_address *address)
{
	const struct ifaddrs *at;
	struct amt_sockaddr sa;

	if (!is_uplink(service, address->interface))
		return false;
	for (at = list; at; at = at->ifa_next)
		if (at->ifa_addr && !strcmp(at->ifa_name, address->interface) &&
		    !sockaddr_from_native(at->ifa_addr, &sa) &&
		    addr_equal(&sa.addr, &address->local.addr))
			return true;
	return false;
}

/* An address that cannot be had keeps nobody from the others; the first error is returned. */
static int add_missing(struct relay_service *service, const struct ifaddrs *list, struct error *err)
{
	const struct ifaddrs *at;
	struct amt_sockaddr sa;
	int rc, first = 0;

	for (at = list; at; at = at->ifa_next) {
		if (!at->ifa_addr || !is_uplink(service, at->ifa_name) ||
		    sockaddr_from_native(at->ifa_addr, &sa) || !is_global(&sa.addr))
			continue;
		rc = address_add(service, &sa.addr, true, at->ifa_name, first ? NULL : err);
		/* A new IPv6 address can be bound once it is known to be unique */
		if (rc && rc != -EADDRNOTAVAIL && !first)
			first = rc;
	}
	return first;
}

int service_addresses_sync(struct relay_service *service, struct error *err)
{
	struct ifaddrs *list;
	unsigned int i;
	int rc;

	if (service->config->address.n)
		return 0;
	if (getifaddrs(&list))
		return error_set(err, -errno, "cannot read the interfaces' addresses: %s",
				 strerror(errno));
	for (i = service->naddresses; i-- > 0;)
		if (!service->addresses[i].configured &&
		    !still_there(service, list, &service->addresses[i]))
			address_remove(service, &service->addresses[i]);
	rc = add_missing(service, list, err);
	freeifaddrs(list);
	return rc;
}

unsigned int relay_service_addresses(const struct relay_service *service,
				     struct relay_service_address *out, unsigned int max)
{
	unsigned int n = service->naddresses < max ? service->naddresses : max;

	if (n)
		memcpy(out, service->addresses, n * sizeof(*out));
	return service->naddresses;
}

void service_addresses_reload(struct relay_service *service)
{
	struct error err = {""};

	addresses_trim(service);
	if (service_addresses_sync(service, &err))
		log_warning("%s", err.text);
	addresses_advertise(service);
}
