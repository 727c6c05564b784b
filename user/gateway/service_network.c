/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Changes of this host's addresses and routes. The kernel tells of all of them, in bursts; what
 * matters is whether relays are now reached from another address, or at all.
 */
#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <unistd.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include "base/clock.h"
#include "base/log.h"
#include "datapath/rtnl.h"
#include "gateway/service_state.h"

#define SETTLE_US 300000 /* from the first message of a burst */

static uint64_t mix(uint64_t hash, const void *data, size_t len)
{
	const uint8_t *at = data;

	while (len--)
		hash = (hash ^ *at++) * 0x100000001b3ull; /* FNV-1a */
	return hash;
}

static uint64_t mix_path(const struct gateway_service *service, uint64_t hash,
			 const struct amt_addr *relay)
{
	struct amt_sockaddr local;

	memset(&local, 0, sizeof(local));
	if (port_local(service->port, relay, &local))
		memset(&local, 0, sizeof(local));
	return mix(hash, &local.addr, sizeof(local.addr));
}

/* From which addresses the relay in use and each that could be would be reached. */
static uint64_t view(const struct gateway_service *service)
{
	struct gateway_options defaults;
	struct gateway_status status;
	uint64_t hash = 0xcbf29ce484222325ull;
	unsigned int i;

	gateway_options_default(&defaults);
	gateway_status(service->gateway, &status);
	if (!addr_is_any(&status.relay.addr))
		hash = mix_path(service, hash, &status.relay.addr);
	for (i = 0; i < defaults.ncandidates; i++)
		hash = mix_path(service, hash, &defaults.candidates[i].addr);
	for (i = 0; i < service->ncandidates; i++)
		if (service->candidates[i].kind == CANDIDATE_ADDRESS)
			hash = mix_path(service, hash, &service->candidates[i].addr);
	return hash;
}

/* Another relay is no change of the network. */
void service_network_relay(struct gateway_service *service)
{
	struct gateway_status status;

	gateway_status(service->gateway, &status);
	if (addr_equal(&status.relay.addr, &service->network_relay))
		return;
	service->network_relay = status.relay.addr;
	service->network_view = view(service);
}

static void on_settled(evutil_socket_t fd, short what, void *arg)
{
	struct gateway_service *service = arg;
	uint64_t now_seen = view(service);

	service_tap_review(service);
	if (now_seen != service->network_view) {
		service->network_view = now_seen;
		gateway_network_changed(service->gateway, clock_now());
	}
	service_settle(service);
}

/* What exactly changed does not matter; a lost message (ENOBUFS) means a change, too. */
static void on_change(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval settle = {.tv_usec = SETTLE_US};
	struct gateway_service *service = arg;
	char buf[8192];

	while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT | MSG_TRUNC) > 0 || errno == ENOBUFS)
		errno = 0;
	if (!event_pending(service->settle, EV_TIMEOUT, NULL))
		event_add(service->settle, &settle);
}

int service_network_open(struct gateway_service *service, struct error *err)
{
	static const unsigned int groups[] = {
		RTNLGRP_LINK,	    RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE,
		RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_RULE,	 RTNLGRP_IPV6_RULE,
	};

	service->network_fd = rtnl_subscribe(groups, sizeof(groups) / sizeof(groups[0]));
	if (service->network_fd < 0)
		return error_set(err, service->network_fd, "cannot listen to rtnetlink: %s",
				 strerror(-service->network_fd));
	service->settle = evtimer_new(service->base, on_settled, service);
	service->network = event_new(service->base, service->network_fd, EV_READ | EV_PERSIST,
				     on_change, service);
	if (!service->settle || !service->network || event_add(service->network, NULL))
		return error_set(err, -ENOMEM, "gateway: no memory");
	service->network_view = view(service);
	return 0;
}

void service_network_close(struct gateway_service *service)
{
	if (service->network)
		event_free(service->network);
	if (service->settle)
		event_free(service->settle);
	if (service->network_fd >= 0)
		close(service->network_fd);
	service->network = service->settle = NULL;
	service->network_fd = -1;
}
