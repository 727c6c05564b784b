/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Start and stop of the running gateway: everything behind the attached uplinks.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "gateway/service_state.h"
#include "proto/query.h"

#define MTU_DEFAULT 1500

/* ---- the pseudo-interface ---- */

static void on_gone(void *arg)
{
	static const struct timeval soon = {.tv_sec = 1};
	struct gateway_service *service = arg;

	event_add(service->revive, &soon);
}

/* What a relay sends fits into it: our path's MTU less the overhead, so an uplink's own is enough.
 */
uint32_t service_mtu(const struct gateway_service *service)
{
	uint32_t mtu = MTU_DEFAULT;
	unsigned int i;

	if (service->config->mtu)
		return service->config->mtu;
	for (i = 0; i < service->nuplinks; i++)
		if (service->uplinks[i].mtu > mtu)
			mtu = service->uplinks[i].mtu;
	return mtu;
}

int service_pseudo_open(struct gateway_service *service, struct error *err)
{
	const struct config_gateway *config = service->config;
	const struct pseudo_options options = {
		.instance = service->instance,
		.name = config->interface,
		.addresses = config->addresses.list,
		.naddresses = config->addresses.n,
		.mtu = service_mtu(service),
		.route_metric = config->route_metric,
		.report = service_report,
		.gone = on_gone,
		.arg = service,
	};
	struct pseudo_info info;
	int rc = pseudo_open(&service->pseudo, &options, service->base, err);

	if (rc)
		return rc;
	pseudo_info(service->pseudo, &info);
	if (info.warning[0])
		log_warning("%s", info.warning);
	memcpy(service->record.interface, info.name, sizeof(service->record.interface));
	rc = datapath_decap_target(service->datapath, info.peer_ifindex);
	if (rc)
		error_set(err, rc, "the packet path does not take interface %s: %s", info.peer,
			  strerror(-rc));
	return rc;
}

/* Asks the host's stack what is joined, without a relay: whatever is there stays, and what a
 * predecessor's programs have left meanwhile goes. */
static void ask_host(struct gateway_service *service)
{
	pseudo_query(service->pseudo, false, QUERY_ROBUSTNESS_DEFAULT, QUERY_INTERVAL_DEFAULT);
	pseudo_query(service->pseudo, true, QUERY_ROBUSTNESS_DEFAULT, QUERY_INTERVAL_DEFAULT);
}

static void on_revive(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval later = {.tv_sec = 5};
	struct gateway_service *service = arg;
	struct error err = {0};

	pseudo_close(service->pseudo);
	service->pseudo = NULL;
	if (service_pseudo_open(service, &err)) {
		log_error("%s", err.text);
		event_add(service->revive, &later);
	} else {
		log_info("interface %s is made again; programs have to join again",
			 service->config->interface);
	}
}

/* ---- what a predecessor left ---- */

struct entries {
	struct joined_entry *list;
	unsigned int n;
	int rc;
};

static void add_entry(void *arg, const struct datapath_decap_group *group)
{
	struct entries *to = arg;
	struct joined_entry *grown = reallocarray(to->list, to->n + 1, sizeof(*grown));

	if (!grown) {
		to->rc = -ENOMEM;
		return;
	}
	to->list = grown;
	grown[to->n++] = (struct joined_entry){group->key,
					       group->excluded ? JOINED_EXCLUDED : JOINED_WANTED};
}

static int adopt_joined(struct gateway_service *service)
{
	struct entries entries = {0};

	datapath_decap_wanted_walk(service->datapath, add_entry, &entries);
	if (!entries.rc && entries.n)
		entries.rc = joined_adopt(service->joined, clock_now(), entries.list, entries.n);
	free(entries.list);
	return entries.rc;
}

struct taps {
	struct datapath_decap_relay list[AMT_DECAP_RELAYS_MAX];
	unsigned int n;
};

static void add_tap(void *arg, const struct datapath_decap_relay *relay, uint64_t packets,
		    uint64_t bytes, uint64_t last_ns)
{
	struct taps *to = arg;

	if (to->n < AMT_DECAP_RELAYS_MAX)
		to->list[to->n++] = *relay;
}

/* Of the relays that a predecessor took data from, only the one in use stays. */
static void sweep_taps(struct gateway_service *service)
{
	struct taps taps = {.n = 0};
	unsigned int i;

	datapath_decap_relay_walk(service->datapath, add_tap, &taps);
	for (i = 0; i < taps.n; i++)
		if (!sockaddr_equal(&taps.list[i].relay, &service->tap.relay) ||
		    !sockaddr_equal(&taps.list[i].local, &service->tap.local))
			datapath_decap_relay_remove(service->datapath, &taps.list[i].relay,
						    &taps.list[i].local);
}

static int adopt(struct gateway_service *service)
{
	const struct gateway_saved *saved = &service->record.saved;
	int rc = adopt_joined(service);

	if (!rc && service->record.saved_valid)
		rc = gateway_restore(service->gateway, clock_now(), saved);
	/* the configuration names other relays now, or the state is of no use: we begin anew */
	if (rc == -ENOENT || rc == -EINVAL)
		rc = 0;
	sweep_taps(service);
	ask_host(service);
	return rc;
}

/* ---- start ---- */

static int open_engine(struct gateway_service *service, struct error *err)
{
	struct gateway_options options;
	struct gateway_edge edge;
	int rc = service_candidates(service);

	service_engine_options(service, &options);
	service_gateway_edge(service, &edge);
	if (!rc) {
		service->joined = joined_new(service_joined_changed, service);
		service->names = names_new(service->base, NULL, service_resolved, service);
		service->gateway = gateway_new(&options, &edge, clock_now());
	}
	if (rc || !service->joined || !service->names || !service->gateway)
		return error_set(err, -ENOMEM, "gateway: no memory");
	return 0;
}

static int open_port(struct gateway_service *service, struct error *err)
{
	struct port_options options;
	int rc;

	service_port_options(service, &options);
	rc = port_open(&service->port, &options, service->base, err);
	if (rc)
		return rc;
	service->record.port_ipv4 = port_number(service->port, AF_INET);
	service->record.port_ipv6 = port_number(service->port, AF_INET6);
	return 0;
}

static int start_parts(struct gateway_service *service, struct error *err)
{
	int rc;

	service->revive = evtimer_new(service->base, on_revive, service);
	if (!service->revive)
		return error_set(err, -ENOMEM, "gateway: no memory");
	rc = open_port(service, err);
	if (!rc)
		rc = open_engine(service, err);
	if (!rc)
		rc = service_pseudo_open(service, err);
	if (!rc)
		rc = service_network_open(service, err);
	if (rc)
		return rc;
	rc = adopt(service);
	return rc ? error_set(err, rc, "cannot take up the state of the amtd before: %s",
			      strerror(-rc))
		  : 0;
}

int service_start(struct gateway_service *service, struct error *err)
{
	int rc;

	if (service->leaving)
		service_left(service);
	rc = start_parts(service, err);
	if (rc) {
		if (service->pseudo && !service->adopted)
			pseudo_remove(service->pseudo);
		else
			pseudo_close(service->pseudo);
		service->pseudo = NULL;
		service_abandon(service);
		return rc;
	}
	service->record.magic = SERVICE_RECORD_MAGIC;
	service_settle(service);
	return 0;
}

/* ---- stop ---- */

static void free_event(struct event **event)
{
	if (*event)
		event_free(*event);
	*event = NULL;
}

/* Everything but what the farewell needs. */
static void close_surroundings(struct gateway_service *service)
{
	gateway_service_verify_end(service);
	service_network_close(service);
	free_event(&service->revive);
	pseudo_close(service->pseudo);
	service->pseudo = NULL;
	joined_free(service->joined);
	service->joined = NULL;
	if (service->names)
		names_free(service->names);
	service->names = NULL;
}

void service_abandon(struct gateway_service *service)
{
	close_surroundings(service);
	service_left(service);
}

void service_left(struct gateway_service *service)
{
	gateway_free(service->gateway);
	service->gateway = NULL;
	port_close(service->port);
	service->port = NULL;
	free(service->candidates);
	service->candidates = NULL;
	service->ncandidates = 0;
	memset(&service->tap, 0, sizeof(service->tap));
	service->unresolved = -1;
	service->leaving = false;
}

static void forget_wanted(void *arg, const struct joined_entry *entry)
{
	struct gateway_service *service = arg;

	datapath_decap_wanted_remove(service->datapath, &entry->key);
}

void service_stop(struct gateway_service *service)
{
	gateway_shutdown(service->gateway, clock_now());
	joined_walk(service->joined, forget_wanted, service);
	datapath_decap_target(service->datapath, 0);
	if (service->pseudo)
		pseudo_remove(service->pseudo);
	service->pseudo = NULL;
	close_surroundings(service);
	service->leaving = true;
	service_record_clear(service);
	service_settle(service);
}
