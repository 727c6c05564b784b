/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/service.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "gateway/service_state.h"

/* A gateway makes no copies: the relay's tables are as small as they can be. */
#define TABLE_SIZE	  64
#define EVENTS_PER_SECOND 1000
#define LEASE_NS	  (260 * NSEC_PER_SEC)

/* ---- timers ---- */

static void engine_tick(struct gateway_service *service, uint64_t now)
{
	uint64_t at = gateway_tick(service->gateway, now);

	if (service->unresolved >= 0) {
		unsigned int candidate = (unsigned int)service->unresolved;

		service->unresolved = -1;
		gateway_resolved(service->gateway, now, candidate, NULL, 0);
		at = gateway_tick(service->gateway, now);
	}
	wakeup_set(&service->tick, now, at);
	if (at == TIME_NEVER && service->leaving)
		service_left(service);
}

void service_settle(struct gateway_service *service)
{
	struct gateway_saved *saved = &service->record.saved;

	if (!service->gateway)
		return;
	engine_tick(service, clock_now());
	if (!service->gateway || service->leaving)
		return;
	service_network_relay(service);
	service->record.saved_valid = gateway_save(service->gateway, saved);
	if (!service->record.saved_valid)
		memset(saved, 0, sizeof(*saved));
	service_record_save(service);
}

static void on_tick(void *arg)
{
	service_settle(arg);
}

static void on_second(evutil_socket_t fd, short what, void *arg)
{
	struct gateway_service *service = arg;
	uint64_t now = clock_now();

	datapath_lease(service->datapath, now);
	if (!service->gateway || service->leaving)
		return;
	joined_tick(service->joined, now);
	gateway_data_seen(service->gateway, now,
			  datapath_decap_packets(service->datapath) + service->slow_packets);
	service_tap_review(service);
	service_verify_second(service);
	service_settle(service);
}

static int timers_open(struct gateway_service *service, struct error *err)
{
	static const struct timeval second = {.tv_sec = 1};

	service->second = event_new(service->base, -1, EV_PERSIST, on_second, service);
	if (wakeup_open(&service->tick, service->base, on_tick, service) || !service->second ||
	    event_add(service->second, &second))
		return error_set(err, -ENOMEM, "gateway: no memory");
	return 0;
}

/* ---- interfaces ---- */

static struct service_uplink *uplink_find(struct gateway_service *service, const char *name)
{
	unsigned int i;

	for (i = 0; i < service->nuplinks; i++)
		if (strcmp(service->uplinks[i].name, name) == 0)
			return &service->uplinks[i];
	return NULL;
}

static void uplink_forget(struct gateway_service *service, struct service_uplink *uplink)
{
	unsigned int i = (unsigned int)(uplink - service->uplinks);

	service->nuplinks--;
	memmove(uplink, uplink + 1, (service->nuplinks - i) * sizeof(*uplink));
}

static void uplinks_read_mtu(struct gateway_service *service)
{
	struct datapath_interface list[AMT_INTERFACES_MAX];
	unsigned int n = datapath_interfaces(service->datapath, list, AMT_INTERFACES_MAX), i;
	struct service_uplink *uplink;

	for (i = 0; i < n; i++) {
		uplink = uplink_find(service, list[i].name);
		if (uplink && list[i].mtu)
			uplink->mtu = list[i].mtu;
	}
}

static int attach(struct gateway_service *service, const char *name, enum datapath_mode mode,
		  bool runtime, struct error *err)
{
	bool there = uplink_find(service, name);
	int rc;

	if (strlen(name) >= IF_NAMESIZE)
		return error_set(err, -ENODEV, "no interface %s here; see: ip link", name);
	if (!there && service->nuplinks == AMT_INTERFACES_MAX)
		return error_set(err, -ENOSPC, "%s: no more than %d interfaces can be attached",
				 name, AMT_INTERFACES_MAX);
	rc = datapath_attach_gateway(service->datapath, name, mode, runtime, err);
	if (rc || there)
		return rc;
	strncpy(service->uplinks[service->nuplinks++].name, name, IF_NAMESIZE - 1);
	uplinks_read_mtu(service);
	if (!gateway_service_running(service) || service->leaving)
		rc = service_start(service, err);
	else if (service->pseudo)
		rc = pseudo_set_mtu(service->pseudo, service_mtu(service));
	if (!rc)
		return 0;
	uplink_forget(service, uplink_find(service, name));
	if (!service->adopted)
		datapath_detach(service->datapath, name, NULL);
	return rc;
}

int gateway_service_attach(struct gateway_service *service, const char *name,
			   enum datapath_mode mode, const char *const *relays, unsigned int nrelays,
			   struct error *err)
{
	bool running = gateway_service_running(service);
	int rc = 0;

	if (running && nrelays)
		return error_set(err, -EBUSY,
				 "this gateway has its relays already (see: amt-ctl relays); to "
				 "name others: amt-ctl detach --all, then attach");
	if (!running)
		rc = service_record_set_relays(service, relays, nrelays);
	if (rc)
		return error_set(err, rc, "too many relays, or their names are too long");
	if (!running)
		service->record.runtime = true;
	rc = attach(service, name, mode, true, err);
	if (rc && !running)
		service_record_clear(service);
	return rc;
}

int gateway_service_detach(struct gateway_service *service, const char *name, struct error *err)
{
	struct service_uplink *uplink = uplink_find(service, name);
	int rc;

	/* the relay is told while its answers could still come in */
	if (uplink && service->nuplinks == 1)
		service_stop(service);
	rc = datapath_detach(service->datapath, name, err);
	if (uplink)
		uplink_forget(service, uplink);
	return rc;
}

unsigned int gateway_service_detach_all(struct gateway_service *service)
{
	char name[IF_NAMESIZE];
	unsigned int n = 0;

	while (service->nuplinks) {
		memcpy(name, service->uplinks[0].name, sizeof(name));
		if (!gateway_service_detach(service, name, NULL))
			n++;
	}
	return n;
}

bool gateway_service_leaving(const struct gateway_service *service)
{
	return service->leaving;
}

bool gateway_service_running(const struct gateway_service *service)
{
	return service->gateway && !service->leaving;
}

/* ---- opening ---- */

static enum datapath_mode configured_mode(const struct config_gateway *config)
{
	if (!strcmp(config->mode, "xdp"))
		return DATAPATH_MODE_XDP;
	return strcmp(config->mode, "tc") ? DATAPATH_MODE_AUTO : DATAPATH_MODE_TC;
}

/* An uplink may come back under its name with another MTU. */
static void on_interface(void *arg, const char *name, bool present)
{
	struct gateway_service *service = arg;

	if (!present || !service->pseudo)
		return;
	uplinks_read_mtu(service);
	if (pseudo_set_mtu(service->pseudo, service_mtu(service)))
		log_warning("the MTU of %s cannot be set", service->config->interface);
}

static int open_datapath(struct gateway_service *service, struct error *err)
{
	const struct datapath_options options = {
		.instance = service->instance,
		.max_tunnels = TABLE_SIZE,
		.max_groups = TABLE_SIZE,
		.max_blocks = TABLE_SIZE,
		.max_nexthops = TABLE_SIZE,
		.ttl = 64,
		.events_per_second = EVENTS_PER_SECOND,
		.lease_ns = LEASE_NS,
		.tunnel_mtu_min = 552,
	};
	const struct datapath_callbacks callbacks = {
		.interface_changed = on_interface,
		.arg = service,
	};

	return datapath_open(&service->datapath, &options, service->base, &callbacks, err);
}

static int attach_configured(struct gateway_service *service, struct error *err)
{
	const struct config_names *uplink = &service->config->uplink;
	unsigned int i;
	int rc = 0;

	for (i = 0; i < uplink->n && !rc; i++)
		rc = attach(service, uplink->list[i], configured_mode(service->config), false, err);
	return rc;
}

/* The relays of an attach were for that attach. */
static void forget_attached_relays(struct gateway_service *service)
{
	if (!service->config->uplink.n)
		return;
	service->record.runtime = false;
	memset(service->record.relays, 0, sizeof(service->record.relays));
}

static bool is_configured(const struct gateway_service *service, const char *name)
{
	const struct config_names *uplink = &service->config->uplink;
	unsigned int i;

	for (i = 0; i < uplink->n; i++)
		if (strcmp(uplink->list[i], name) == 0)
			return true;
	return false;
}

/* What a predecessor had attached: run-time interfaces are taken up again, others that the
 * configuration no longer names are let go. */
static void attach_adopted(struct gateway_service *service)
{
	struct datapath_interface list[AMT_INTERFACES_MAX];
	unsigned int n = datapath_interfaces(service->datapath, list, AMT_INTERFACES_MAX), i;
	struct error err = {0};

	for (i = 0; i < n && i < AMT_INTERFACES_MAX; i++) {
		if (is_configured(service, list[i].name))
			continue;
		if (!list[i].runtime || !list[i].gateway)
			datapath_detach(service->datapath, list[i].name, NULL);
		else if (attach(service, list[i].name, list[i].asked, true, &err))
			log_warning("%s, attached before the restart, is not now: %s", list[i].name,
				    err.text);
	}
}

/* The pseudo-interface had another name, or no uplink is left that it could serve. */
static void sweep_pseudo(struct gateway_service *service)
{
	const char *before = service->pinned.interface;

	if (before[0] && (strcmp(before, service->config->interface) != 0 || !service->nuplinks))
		pseudo_remove_leftover(service->instance, before, NULL);
	if (!service->nuplinks)
		service_record_clear(service);
}

static int open_parts(struct gateway_service *service, struct error *err)
{
	struct service_record before;
	int rc = open_datapath(service, err);

	if (rc)
		return rc;
	service_record_load(service);
	before = service->record;
	service->adopted = datapath_adopted(service->datapath) && before.magic;
	forget_attached_relays(service);
	rc = timers_open(service, err);
	if (!rc)
		rc = attach_configured(service, err);
	if (rc)
		return rc;
	if (datapath_adopted(service->datapath)) {
		attach_adopted(service);
		datapath_adopt_done(service->datapath);
	}
	sweep_pseudo(service);
	datapath_lease(service->datapath, clock_now());
	return 0;
}

int gateway_service_open(struct gateway_service **out,
			 const struct gateway_service_options *options, struct event_base *base,
			 struct error *err)
{
	struct gateway_service *service = calloc(1, sizeof(*service));
	int rc;

	if (!service)
		return error_set(err, -ENOMEM, "gateway: no memory");
	service->base = base;
	service->config = options->config;
	service->started_ns = clock_now();
	service->network_fd = -1;
	service->unresolved = -1;
	service->instance = strdup(options->instance);
	rc = service->instance ? open_parts(service, err)
			       : error_set(err, -ENOMEM, "gateway: no memory");
	if (!rc) {
		*out = service;
		return 0;
	}
	/* What a predecessor left is left; what was made here goes */
	if (service->datapath && datapath_adopted(service->datapath))
		gateway_service_close(service);
	else
		gateway_service_destroy(service);
	return rc;
}

/* ---- another configuration ---- */

/* What the configuration says now is begun with, as after a restart: the same port, the same tunnel
 * if its relay is still a candidate, the same pseudo-interface. */
static int start_again(struct gateway_service *service, struct error *err)
{
	bool adopted = service->adopted;
	int rc;

	if (!gateway_service_running(service))
		return 0;
	service_settle(service); /* notes the tunnel */
	service_abandon(service);
	service->adopted = true; /* what fails leaves the packet path alone */
	rc = service_start(service, err);
	service->adopted = adopted;
	return rc;
}

/* Those that run-time attaches did not ask for. */
static void detach_unnamed(struct gateway_service *service)
{
	struct datapath_interface list[AMT_INTERFACES_MAX];
	unsigned int n = datapath_interfaces(service->datapath, list, AMT_INTERFACES_MAX), i;

	for (i = 0; i < n; i++)
		if (!list[i].runtime && !is_configured(service, list[i].name))
			gateway_service_detach(service, list[i].name, NULL);
}

int gateway_service_reload(struct gateway_service *service, struct error *err)
{
	bool running = gateway_service_running(service);
	int rc;

	forget_attached_relays(service);
	rc = attach_configured(service, err);
	if (!rc && running)
		rc = start_again(service, err);
	if (rc)
		return rc;
	detach_unnamed(service);
	return 0;
}

/* ---- closing ---- */

static void service_free(struct gateway_service *service)
{
	wakeup_close(&service->tick);
	if (service->second)
		event_free(service->second);
	free(service->instance);
	free(service);
}

void gateway_service_close(struct gateway_service *service)
{
	if (!service)
		return;
	service_abandon(service);
	if (service->datapath)
		datapath_close(service->datapath);
	service_free(service);
}

void gateway_service_destroy(struct gateway_service *service)
{
	if (!service)
		return;
	gateway_service_detach_all(service);
	service_abandon(service);
	if (service->datapath)
		datapath_destroy(service->datapath);
	service_free(service);
}

/* ---- for control ---- */

struct datapath *gateway_service_datapath(struct gateway_service *service)
{
	return service->datapath;
}

uint64_t gateway_service_started_ns(const struct gateway_service *service)
{
	return service->started_ns;
}

bool gateway_service_adopted(const struct gateway_service *service)
{
	return service->adopted;
}

bool gateway_service_status(const struct gateway_service *service,
			    struct gateway_service_status *out)
{
	const struct amt_sockaddr *endpoint = &out->engine.endpoint;

	memset(out, 0, sizeof(*out));
	if (!gateway_service_running(service))
		return false;
	gateway_status(service->gateway, &out->engine);
	if (!addr_is_any(&out->engine.relay.addr))
		port_local(service->port, &out->engine.relay.addr, &out->local);
	if (endpoint->port)
		out->nat = sockaddr_equal(endpoint, &out->local) ? NAT_NO : NAT_YES;
	if (service->pseudo)
		pseudo_info(service->pseudo, &out->pseudo);
	out->slow_packets = service->slow_packets;
	return true;
}

void gateway_service_walk_candidates(const struct gateway_service *service, uint64_t now,
				     void (*fn)(void *arg,
						const struct gateway_candidate_view *view),
				     void *arg)
{
	if (gateway_service_running(service))
		gateway_walk_candidates(service->gateway, now, fn, arg);
}
