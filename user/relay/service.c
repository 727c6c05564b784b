/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "relay/service.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/descriptors.h"
#include "base/log.h"
#include "base/loop.h"
#include "relay/holder_start.h"
#include "relay/service_state.h"

#define SETS_PER_SECOND	  256 /* that service_sets_review() looks at */
#define HOLDER_SECONDS	  3   /* after a start, until the holder has surely told who listens */
#define ADDRESSES_SECONDS 5   /* between two looks at the interfaces' addresses */

/* ---- timers ---- */

/* Runs the engine's timers and comes back when it says. */
static void tick(struct relay_service *service)
{
	uint64_t now, at;

	do { /* each bounds its work */
		now = clock_now();
		at = relay_tick(service->relay, now);
	} while (at <= now && !loop_turn_is_long());
	service_shield_policy(service); /* tunnels may have come or gone */
	wakeup_set(&service->tick, now, at);
}

/* It is time; or messages came, and a new tunnel may have a deadline before all others. */
static void on_tick(void *arg)
{
	tick(arg);
}

static void on_second(evutil_socket_t fd, short what, void *arg)
{
	struct relay_service *service = arg;
	struct error err = {0};

	datapath_lease(service->datapath, clock_now());
	if (service->seconds >= HOLDER_SECONDS)
		service_sets_review(service, SETS_PER_SECOND);
	if (++service->seconds % ADDRESSES_SECONDS)
		return;
	if (service_addresses_sync(service, &err))
		log_debug("%s", err.text);
	service_shield_sync(service);
	service_unreachable(service);
	tick(service); /* a tunnel may have begun to end */
}

static int timers_open(struct relay_service *service, struct error *err)
{
	static const struct timeval second = {.tv_sec = 1};

	service->second = event_new(service->base, -1, EV_PERSIST, on_second, service);
	if (wakeup_open(&service->tick, service->base, on_tick, service) || !service->second ||
	    event_add(service->second, &second))
		return error_set(err, -ENOMEM, "relay: no memory");
	datapath_lease(service->datapath, clock_now());
	if (service_shield_open(service))
		return error_set(err, -ENOMEM, "relay: no memory");
	tick(service);
	return 0;
}

/* ---- opening ---- */

static uint64_t gmi_ns(const struct config_relay *config)
{
	return ((uint64_t)config->robustness * config->query_interval +
		config->query_response_interval) *
	       NSEC_PER_SEC;
}

static uint32_t config_flags(const struct config_relay *config)
{
	uint32_t flags = 0;

	if (!strcmp(config->ttl, "keep"))
		flags |= AMT_CONFIG_TTL_KEEP;
	if (strcmp(config->dscp, "copy") != 0)
		flags |= AMT_CONFIG_DSCP_FIXED;
	if (config->udp_checksum)
		flags |= AMT_CONFIG_UDP4_CHECKSUM;
	return flags;
}

static struct datapath_options datapath_options(const struct relay_service *service)
{
	const struct config_relay *config = service->config;

	return (struct datapath_options){
		.instance = service->instance,
		.max_tunnels = config->max_tunnels,
		.max_groups = config->max_channels,
		.max_blocks = config->max_blocks,
		.max_nexthops = config->max_nexthops,
		.config_flags = config_flags(config),
		.ttl = (uint8_t)config->outer_ttl,
		.dscp = (uint8_t)(strtoul(config->dscp, NULL, 10) << 2), /* "copy" is 0 */
		.events_per_second = config->events_per_second,
		.group_rate = config->max_group_rate,
		.lease_ns = gmi_ns(config),
		.tunnel_mtu = config->tunnel_mtu,
		.tunnel_mtu_min = config->tunnel_mtu_min,
		.spread = config->spread_groups,
	};
}

static int open_datapath(struct relay_service *service, struct error *err)
{
	const struct datapath_options options = datapath_options(service);
	const struct datapath_callbacks callbacks = {
		.too_big = service_too_big,
		.interface_changed = service_interface_changed,
		.arg = service,
	};

	return datapath_open(&service->datapath, &options, service->base, &callbacks, err);
}

static void sockets_to_keep(void *arg, struct descriptors *out)
{
	const struct relay_service *service = arg;

	relay_sockets_list(service->sockets, out);
}

static int open_upstream(struct relay_service *service, struct error *err)
{
	const struct upstream_options options = {
		.instance = service->instance,
		.hold_ns = gmi_ns(service->config),
		.retry_s = service->config->upstream_retry,
		.changed = service_group_changed,
		.sockets = sockets_to_keep,
		.arg = service,
	};

	return upstream_open(&service->upstream, &options, service->base, err);
}

static void on_message(void *arg, uint64_t now, const struct amt_sockaddr *local,
		       const struct amt_sockaddr *peer, const void *buf, size_t len)
{
	struct relay_service *service = arg;

	relay_receive(service->relay, now, local, peer, buf, len);
}

static int open_sockets(struct relay_service *service, struct error *err)
{
	struct descriptors kept;

	service->sockets = relay_sockets_new(service->base, on_message, on_tick, service);
	if (!service->sockets)
		return error_set(err, -ENOMEM, "relay: no memory");
	holder_take(service->instance, &kept);
	relay_sockets_adopt(service->sockets, &kept);
	return 0;
}

static int open_engine(struct relay_service *service, struct error *err)
{
	struct relay_options options;
	struct relay_edge edge;

	relay_options_set(&options, service->config);
	service_edge(service, &edge);
	service->relay = relay_new(&options, &edge, clock_now());
	if (!service->relay)
		return error_set(err, -ENOMEM, "relay: no memory");
	return 0;
}

static int open_parts(struct relay_service *service, struct error *err)
{
	int rc = open_datapath(service, err);

	if (!rc)
		rc = open_sockets(service, err);
	if (!rc)
		rc = open_upstream(service, err);
	if (!rc)
		rc = open_engine(service, err);
	if (!rc)
		rc = service_too_big_open(service, err);
	if (!rc)
		rc = service_interfaces_open(service, err);
	if (!rc)
		relay_sockets_settle(service->sockets);
	if (!rc)
		rc = service_adopt(service, err);
	if (!rc)
		rc = timers_open(service, err);
	return rc;
}

int relay_service_open(struct relay_service **out, const struct relay_service_options *options,
		       struct event_base *base, struct error *err)
{
	struct relay_service *service = calloc(1, sizeof(*service));
	int rc;

	if (!service)
		return error_set(err, -ENOMEM, "relay: no memory");
	service->base = base;
	service->config = options->config;
	service->started_ns = clock_now();
	service->icmp.ipv4 = -1;
	service->icmp.ipv6 = -1;
	service->instance = strdup(options->instance);
	rc = service->instance ? open_parts(service, err)
			       : error_set(err, -ENOMEM, "relay: no memory");
	if (!rc) {
		*out = service;
		return 0;
	}
	/* What a predecessor left is left; what was made here goes */
	if (service->datapath && datapath_adopted(service->datapath))
		relay_service_close(service);
	else
		relay_service_destroy(service);
	return rc;
}

int relay_service_reload(struct relay_service *service, struct error *err)
{
	const struct datapath_options options = datapath_options(service);
	struct relay_options engine;
	int rc = service_interfaces_reload(service, err);

	if (rc)
		return rc;
	/* from here on nothing fails */
	service_too_big_reload(service);
	relay_options_set(&engine, service->config);
	relay_set_options(service->relay, &engine, clock_now());
	datapath_set_options(service->datapath, &options);
	upstream_set_timing(service->upstream, gmi_ns(service->config),
			    service->config->upstream_retry);
	service_shield_sync(service);
	tick(service);
	return 0;
}

/* ---- closing ---- */

/* Nobody sends or hears anything any more; the packet path and upstream are still open. */
static void close_engine(struct relay_service *service)
{
	wakeup_close(&service->tick);
	if (service->second)
		event_free(service->second);
	service_too_big_close(service);
	relay_sockets_free(service->sockets);
	relay_free(service->relay);
}

static void service_free(struct relay_service *service)
{
	service_sets_free(service);
	service_shield_free(service);
	free(service->addresses);
	free(service->instance);
	free(service);
}

void relay_service_close(struct relay_service *service)
{
	if (!service)
		return;
	close_engine(service);
	if (service->upstream)
		upstream_close(service->upstream);
	if (service->datapath)
		datapath_close(service->datapath);
	service_free(service);
}

void relay_service_destroy(struct relay_service *service)
{
	if (!service)
		return;
	close_engine(service); /* the order of R-182 */
	if (service->datapath)
		datapath_destroy(service->datapath);
	if (service->upstream)
		upstream_destroy(service->upstream);
	service_free(service);
}

/* ---- for control ---- */

struct relay *relay_service_relay(struct relay_service *service)
{
	return service->relay;
}

struct datapath *relay_service_datapath(struct relay_service *service)
{
	return service->datapath;
}

struct upstream *relay_service_upstream(struct relay_service *service)
{
	return service->upstream;
}

void relay_service_set_draining(struct relay_service *service, bool draining)
{
	service->draining = draining;
	relay_set_draining(service->relay, draining);
	service_shield_policy(service);
}

bool relay_service_draining(const struct relay_service *service)
{
	return service->draining;
}

uint64_t relay_service_started_ns(const struct relay_service *service)
{
	return service->started_ns;
}

bool relay_service_adopted(const struct relay_service *service)
{
	return service->adopted;
}
