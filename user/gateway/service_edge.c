/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the engine asks for, made of the real parts; and what happens around it, passed on to it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <amt/wire.h>
#include "base/clock.h"
#include "base/counters.h"
#include "base/log.h"
#include "gateway/service_state.h"

/* ---- the engine's edge ---- */

static int edge_send(void *arg, const struct amt_sockaddr *peer, const void *buf, size_t len)
{
	struct gateway_service *service = arg;

	return port_send(service->port, peer, buf, len);
}

static void edge_random(void *arg, void *buf, size_t len)
{
	uint8_t *at = buf;
	ssize_t n;

	while (len) {
		n = getrandom(at, len, 0);
		if (n < 0 && errno != EINTR) { /* no nonce is better than a weak one */
			log_error("no random numbers: %s", strerror(errno));
			abort();
		}
		if (n > 0) {
			at += n;
			len -= (size_t)n;
		}
	}
}

static void edge_query(void *arg, bool mld, unsigned int robustness, unsigned int interval_s)
{
	struct gateway_service *service = arg;
	int rc;

	if (!service->pseudo)
		return;
	joined_set_timing(service->joined, mld, robustness, interval_s);
	rc = pseudo_query(service->pseudo, mld, robustness, interval_s);
	if (rc)
		log_debug("the query did not get into the pseudo-interface: %s", strerror(-rc));
}

static void tap_remove(struct gateway_service *service, const struct datapath_decap_relay *tap)
{
	if (!addr_is_any(&tap->relay.addr))
		datapath_decap_relay_remove(service->datapath, &tap->relay, &tap->local);
}

/* The new one before the old one goes: no packet finds neither. */
static void tap_set(struct gateway_service *service, const struct gateway_relay *relay)
{
	struct datapath_decap_relay before = service->tap,
				    tap = {relay->relay, {{{0}}, 0}, relay->ecn};
	int rc = port_local(service->port, &relay->relay.addr, &tap.local);

	if (!rc)
		rc = datapath_decap_relay_add(service->datapath, &tap);
	if (rc) { /* without a route: service_tap_review() comes again */
		log_debug("no data can be taken from the relay now: %s", strerror(-rc));
		if (!sockaddr_equal(&before.relay, &tap.relay))
			tap_remove(service, &before);
		else
			tap.local = before.local;
		service->tap = tap;
		return;
	}
	service->tap = tap;
	if (!sockaddr_equal(&before.relay, &tap.relay) ||
	    !sockaddr_equal(&before.local, &tap.local))
		tap_remove(service, &before);
}

void service_tap_review(struct gateway_service *service)
{
	const struct gateway_relay relay = {service->tap.relay, service->tap.ecn};

	if (!addr_is_any(&relay.relay.addr))
		tap_set(service, &relay);
}

static void edge_relay_changed(void *arg, const struct gateway_relay *relay)
{
	struct gateway_service *service = arg;
	char text[AMT_SOCKADDR_STRLEN];

	if (!relay) {
		tap_remove(service, &service->tap);
		memset(&service->tap, 0, sizeof(service->tap));
		return;
	}
	if (!sockaddr_equal(&service->tap.relay, &relay->relay))
		log_info("relay %s", sockaddr_print(&relay->relay, text));
	tap_set(service, relay);
}

static void edge_resolve(void *arg, unsigned int candidate, const char *name)
{
	struct gateway_service *service = arg;

	if (names_resolve(service->names, candidate, name))
		service->unresolved = (int)candidate; /* service_settle() tells the engine */
}

void service_gateway_edge(struct gateway_service *service, struct gateway_edge *edge)
{
	*edge = (struct gateway_edge){
		.arg = service,
		.send = edge_send,
		.random = edge_random,
		.query = edge_query,
		.relay_changed = edge_relay_changed,
		.resolve = edge_resolve,
	};
}

void service_resolved(void *arg, unsigned int id, const struct amt_addr *addrs, unsigned int naddrs,
		      const char *why)
{
	struct gateway_service *service = arg;

	if (!naddrs)
		log_info("relay name %s: %s", service->candidates[id].name, why ? why : "unknown");
	gateway_resolved(service->gateway, clock_now(), id, addrs, naddrs);
	service_settle(service);
}

/* ---- the UDP port ---- */

static void on_message(void *arg, uint64_t now, const struct amt_sockaddr *peer, const void *buf,
		       size_t len)
{
	struct gateway_service *service = arg;

	gateway_receive(service->gateway, now, peer, buf, len);
	service_settle(service);
}

static void on_unreachable(void *arg, uint64_t now, const struct amt_sockaddr *peer)
{
	struct gateway_service *service = arg;

	gateway_unreachable(service->gateway, now, &peer->addr);
	service_settle(service);
}

void service_port_options(struct gateway_service *service, struct port_options *options)
{
	const struct config_gateway *config = service->config;

	*options = (struct port_options){
		.port = (uint16_t)config->local_port,
		.saved_ipv4 = service->record.port_ipv4,
		.saved_ipv6 = service->record.port_ipv6,
		.receive = on_message,
		.data = service_data,
		.unreachable = on_unreachable,
		.arg = service,
	};
	if (addr_is_unicast_source(&config->source_ipv4))
		options->source_ipv4 = config->source_ipv4;
	if (addr_is_unicast_source(&config->source_ipv6))
		options->source_ipv6 = config->source_ipv6;
}

/* ---- the pseudo-interface ---- */

/* The filter is open before the relay hears of it. */
void service_report(void *arg, uint64_t now, const void *datagram, size_t len)
{
	struct gateway_service *service = arg;

	joined_report(service->joined, now, datagram, len);
	gateway_report(service->gateway, now, datagram, len);
	service_settle(service);
}

void service_joined_changed(void *arg, const struct amt_group_key *key, enum joined_verdict verdict)
{
	struct gateway_service *service = arg;
	int rc;

	if (verdict == JOINED_NO) {
		datapath_decap_wanted_remove(service->datapath, key);
		return;
	}
	rc = datapath_decap_wanted_set(service->datapath, key, verdict == JOINED_EXCLUDED);
	if (!rc)
		return;
	counter_add(AMT_COUNT_DATAPATH_FULL, 1);
	if (!service->full)
		log_warning("a group cannot be received, the packet path takes no more: %s",
			    strerror(-rc));
	service->full = true;
}
