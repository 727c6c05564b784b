/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which interfaces the relay works on and in which roles, and which addresses it therefore listens
 * on: those of the configuration, or, when it names none, those of the uplinks.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "relay/service_state.h"

/* ---- addresses ---- */

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
	service->naddresses--;
	memmove(address, address + 1, (service->naddresses - i) * sizeof(*address));
}

static int configured_addresses(struct relay_service *service, struct error *err)
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

static const struct service_interface *uplink_find(const struct relay_service *service,
						   const char *name)
{
	unsigned int i;

	for (i = 0; i < service->ninterfaces; i++)
		if (service->interfaces[i].uplink && !strcmp(service->interfaces[i].name, name))
			return &service->interfaces[i];
	return NULL;
}

/* Whether the interface still has the address; and its addresses that are not listened on yet. */
static bool still_there(const struct relay_service *service, const struct ifaddrs *list,
			const struct relay_service_address *address)
{
	const struct ifaddrs *at;
	struct amt_sockaddr sa;

	if (!uplink_find(service, address->interface))
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
		if (!at->ifa_addr || !uplink_find(service, at->ifa_name) ||
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

/* ---- interfaces ---- */

static struct service_interface *interface_find(struct relay_service *service, const char *name)
{
	unsigned int i;

	for (i = 0; i < service->ninterfaces; i++)
		if (!strcmp(service->interfaces[i].name, name))
			return &service->interfaces[i];
	return NULL;
}

static void interface_forget(struct relay_service *service, struct service_interface *interface)
{
	unsigned int i = (unsigned int)(interface - service->interfaces);

	if (interface->upstream && interface->ifindex)
		upstream_remove_interface(service->upstream, interface->ifindex);
	service->ninterfaces--;
	memmove(interface, interface + 1, (service->ninterfaces - i) * sizeof(*interface));
}

/* Takes the interface with these roles into the table, and upstream where it has that role.
 * Groups joined on it stay joined when it only gets another role as well. */
static int interface_note(struct relay_service *service, const struct service_interface *as,
			  struct error *err)
{
	struct service_interface *interface = interface_find(service, as->name);
	bool joins = interface && interface->upstream && interface->ifindex == as->ifindex;
	int rc = 0;

	if (!interface && service->ninterfaces == AMT_INTERFACES_MAX)
		return error_set(err, -ENOSPC, "%s: no more than %d interfaces can be attached",
				 as->name, AMT_INTERFACES_MAX);
	if (as->upstream && !joins)
		rc = upstream_add_interface(service->upstream, as->ifindex);
	if (rc)
		return error_set(err, rc, "%s: cannot join groups there: %s", as->name,
				 strerror(-rc));
	if (interface && interface->upstream && interface->ifindex && !(joins && as->upstream))
		upstream_remove_interface(service->upstream, interface->ifindex);
	if (!interface)
		interface = &service->interfaces[service->ninterfaces++];
	*interface = *as;
	return 0;
}

static int attach_as(struct relay_service *service, const struct service_interface *as,
		     struct error *err)
{
	int rc = datapath_attach(service->datapath, as->name, as->upstream, as->uplink, as->mode,
				 as->runtime, err);

	if (!rc)
		rc = interface_note(service, as, err);
	if (!rc)
		rc = service_addresses_sync(service, err);
	return rc;
}

/* What fails leaves the interface as it was before. */
static int attach(struct relay_service *service, const char *name, bool upstream, bool uplink,
		  enum datapath_mode mode, bool runtime, struct error *err)
{
	const struct service_interface *there = interface_find(service, name);
	struct service_interface before = {0}, as = {
						       .ifindex = if_nametoindex(name),
						       .upstream = upstream || !uplink,
						       .uplink = uplink || !upstream,
						       .runtime = runtime,
						       .mode = mode,
					       };
	int rc;

	if (!as.ifindex || strlen(name) >= sizeof(as.name))
		return error_set(err, -ENODEV, "no interface %s here; see: ip link", name);
	strncpy(as.name, name, sizeof(as.name) - 1);
	if (there)
		before = *there;
	rc = attach_as(service, &as, err);
	if (rc && before.ifindex)
		attach_as(service, &before, NULL);
	else if (rc)
		relay_service_detach(service, name, NULL);
	return rc;
}

int relay_service_attach(struct relay_service *service, const char *name, bool upstream,
			 bool uplink, enum datapath_mode mode, struct error *err)
{
	int rc = attach(service, name, upstream, uplink, mode, true, err);

	if (rc)
		return rc;
	service_sets_review(service, service->nsets);
	if (uplink_find(service, name) && !service->naddresses)
		log_warning("no address to listen on: %s has no global address, and amtd.conf "
			    "names none",
			    name);
	return 0;
}

int relay_service_detach(struct relay_service *service, const char *name, struct error *err)
{
	struct service_interface *interface = interface_find(service, name);
	int rc = datapath_detach(service->datapath, name, err);

	if (interface)
		interface_forget(service, interface);
	service_addresses_sync(service, NULL);
	service_sets_review(service, service->nsets);
	return rc;
}

unsigned int relay_service_detach_all(struct relay_service *service)
{
	char name[IF_NAMESIZE];
	unsigned int n = 0;

	while (service->ninterfaces) {
		memcpy(name, service->interfaces[0].name, sizeof(name));
		if (!relay_service_detach(service, name, NULL))
			n++;
	}
	return n;
}

void service_interface_changed(void *arg, const char *name, bool present)
{
	struct relay_service *service = arg;
	struct service_interface *interface = interface_find(service, name);
	struct error err = {0};

	if (!interface)
		return;
	if (interface->upstream && interface->ifindex)
		upstream_remove_interface(service->upstream, interface->ifindex);
	interface->ifindex = present ? if_nametoindex(name) : 0;
	if (interface->upstream && interface->ifindex)
		upstream_add_interface(service->upstream, interface->ifindex);
	if (service_addresses_sync(service, &err))
		log_warning("%s", err.text);
	service_sets_review(service, service->nsets);
}

/* ---- at start ---- */

static bool names_contain(const struct config_names *names, const char *name)
{
	unsigned int i;

	for (i = 0; i < names->n; i++)
		if (!strcmp(names->list[i], name))
			return true;
	return false;
}

static enum datapath_mode configured_mode(const struct config_relay *config)
{
	if (!strcmp(config->mode, "xdp"))
		return DATAPATH_MODE_XDP;
	return strcmp(config->mode, "tc") ? DATAPATH_MODE_AUTO : DATAPATH_MODE_TC;
}

static int attach_configured(struct relay_service *service, const struct config_names *names,
			     struct error *err)
{
	const struct config_relay *config = service->config;
	unsigned int i;
	int rc = 0;

	for (i = 0; i < names->n && !rc; i++) {
		const char *name = names->list[i];

		if (!interface_find(service, name)) /* in both lists: once, with both roles */
			rc = attach(service, name, names_contain(&config->upstream, name),
				    names_contain(&config->uplink, name), configured_mode(config),
				    false, err);
	}
	return rc;
}

/* What a predecessor had attached: run-time interfaces are taken up again, others that the
 * configuration no longer names are let go. */
static void attach_adopted(struct relay_service *service)
{
	struct datapath_interface list[AMT_INTERFACES_MAX];
	unsigned int n = datapath_interfaces(service->datapath, list, AMT_INTERFACES_MAX), i;
	struct error err = {0};

	for (i = 0; i < n && i < AMT_INTERFACES_MAX; i++) {
		if (interface_find(service, list[i].name))
			continue;
		if (!list[i].runtime)
			datapath_detach(service->datapath, list[i].name, NULL);
		else if (attach(service, list[i].name, list[i].upstream, list[i].uplink,
				list[i].asked, true, &err))
			log_warning("%s, attached before the restart, is not now: %s", list[i].name,
				    err.text);
	}
}

int service_interfaces_open(struct relay_service *service, struct error *err)
{
	int rc = configured_addresses(service, err);

	if (!rc)
		rc = attach_configured(service, &service->config->upstream, err);
	if (!rc)
		rc = attach_configured(service, &service->config->uplink, err);
	if (!rc && datapath_adopted(service->datapath))
		attach_adopted(service);
	return rc;
}
