/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which interfaces the relay works on and in which roles: those of the configuration and those that
 * were attached at run time. One that is not there is waited for.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "relay/service_state.h"

/* ---- one interface ---- */

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
	if (as->upstream && as->ifindex && !joins)
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

	if (strlen(name) >= sizeof(as.name))
		return error_set(err, -ENODEV, "no interface %s here; see: ip link", name);
	strncpy(as.name, name, sizeof(as.name) - 1);
	if (there)
		before = *there;
	rc = attach_as(service, &as, err);
	if (rc && there)
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
	if ((uplink || !upstream) && !service->naddresses)
		log_warning("no address to listen on: %s has no global address, and amtd.conf "
			    "names none",
			    name);
	return 0;
}

/* As relay_service_detach(); the caller has the sets reviewed. */
static int interface_leave(struct relay_service *service, const char *name, struct error *err)
{
	struct service_interface *interface = interface_find(service, name);
	int rc = datapath_detach(service->datapath, name, err);

	if (interface)
		interface_forget(service, interface);
	service_addresses_sync(service, NULL);
	return rc;
}

int relay_service_detach(struct relay_service *service, const char *name, struct error *err)
{
	int rc = interface_leave(service, name, err);

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

static bool same(const struct service_interface *a, const struct service_interface *b)
{
	return a->upstream == b->upstream && a->uplink == b->uplink && a->runtime == b->runtime &&
	       a->mode == b->mode;
}

static int attach_configured(struct relay_service *service, const struct config_names *names,
			     struct error *err)
{
	const struct config_relay *config = service->config;
	const struct service_interface *there;
	unsigned int i;
	int rc = 0;

	for (i = 0; i < names->n && !rc; i++) {
		const char *name = names->list[i];
		const struct service_interface as = {
			.upstream = names_contain(&config->upstream, name),
			.uplink = names_contain(&config->uplink, name),
			.mode = configured_mode(config),
		};

		/* one in both lists is there the second time */
		there = interface_find(service, name);
		if (!there || !same(there, &as))
			rc = attach(service, name, as.upstream, as.uplink, as.mode, false, err);
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
	int rc = service_addresses_configured(service, err);

	if (!rc)
		rc = attach_configured(service, &service->config->upstream, err);
	if (!rc)
		rc = attach_configured(service, &service->config->uplink, err);
	if (!rc && datapath_adopted(service->datapath))
		attach_adopted(service);
	return rc;
}

/* ---- at a reload ---- */

static void detach_unnamed(struct relay_service *service)
{
	const struct config_relay *config = service->config;
	unsigned int i;

	for (i = service->ninterfaces; i-- > 0;) {
		const struct service_interface *interface = &service->interfaces[i];

		if (!interface->runtime && !names_contain(&config->upstream, interface->name) &&
		    !names_contain(&config->uplink, interface->name))
			interface_leave(service, interface->name, NULL);
	}
}

/* The interfaces as they were, after something could not be had. */
static void interfaces_restore(struct relay_service *service, const struct service_interface *list,
			       unsigned int n)
{
	unsigned int i, j;

	for (i = service->ninterfaces; i-- > 0;) {
		const struct service_interface *interface = &service->interfaces[i];

		for (j = 0; j < n && strcmp(list[j].name, interface->name) != 0; j++)
			;
		if (j == n)
			interface_leave(service, interface->name, NULL);
		else if (!same(interface, &list[j]))
			attach_as(service, &list[j], NULL);
	}
}

int service_interfaces_reload(struct relay_service *service, struct error *err)
{
	struct service_interface before[AMT_INTERFACES_MAX];
	unsigned int ninterfaces = service->ninterfaces, naddresses = service->naddresses;
	int rc;

	memcpy(before, service->interfaces, sizeof(before));
	/* the new before the old goes */
	rc = service_addresses_configured(service, err);
	if (!rc)
		rc = attach_configured(service, &service->config->upstream, err);
	if (!rc)
		rc = attach_configured(service, &service->config->uplink, err);
	if (rc) {
		service_addresses_cut(service, naddresses);
		interfaces_restore(service, before, ninterfaces);
		return rc;
	}
	detach_unnamed(service);
	service_addresses_reload(service);
	service_sets_review(service, service->nsets);
	return 0;
}
