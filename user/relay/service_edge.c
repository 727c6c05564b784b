/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine's edge made of the real parts: sockets, the packet path's tunnels and secrets,
 * getrandom(2); and ICMP errors about our data.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "base/clock.h"
#include "base/counters.h"
#include "base/log.h"
#include "relay/icmp_unreachable.h"
#include "relay/service_state.h"

/* Of each family, however many come: a flood of them costs a few ms of each second. */
#define UNREACHABLE_A_SECOND 2048

static void edge_send(void *arg, const struct amt_sockaddr *local, const struct amt_sockaddr *peer,
		      const void *buf, size_t len)
{
	struct relay_service *service = arg;

	relay_sockets_send(service->sockets, local, peer, buf, len);
}

void service_random(void *arg, void *buf, size_t len)
{
	uint8_t *at = buf;
	ssize_t n;

	while (len) {
		n = getrandom(at, len, 0);
		if (n < 0 && errno != EINTR) { /* no secret is better than a weak one */
			log_error("no random numbers: %s", strerror(errno));
			abort();
		}
		if (n > 0) {
			at += n;
			len -= (size_t)n;
		}
	}
}

static void edge_secret_get(void *arg, unsigned int index, struct amt_secret *secret)
{
	struct relay_service *service = arg;

	datapath_secret_get(service->datapath, index, secret);
}

static void edge_secret_set(void *arg, unsigned int index, const struct amt_secret *secret)
{
	struct relay_service *service = arg;
	int rc = datapath_secret_set(service->datapath, index, secret);

	if (rc)
		log_warning("secret not pinned (%s): a restart would lose it", strerror(-rc));
}

static int edge_tunnel_add(void *arg, const struct amt_sockaddr *gateway,
			   const struct amt_sockaddr *relay, bool ecn, uint64_t created_ns,
			   uint64_t expires_ns, uint32_t *id)
{
	struct relay_service *service = arg;
	const struct datapath_tunnel tunnel = {
		.gateway = *gateway,
		.relay = *relay,
		.ecn = ecn,
		.created_ns = created_ns,
		.expires_ns = expires_ns,
	};

	return datapath_tunnel_add(service->datapath, &tunnel, id);
}

static void edge_tunnel_remove(void *arg, uint32_t id)
{
	struct relay_service *service = arg;

	datapath_tunnel_remove(service->datapath, id);
}

static void edge_tunnel_set_expiry(void *arg, uint32_t id, uint64_t expires_ns)
{
	struct relay_service *service = arg;

	datapath_tunnel_set_expiry(service->datapath, id, expires_ns);
}

static int edge_tunnel_set_ecn(void *arg, uint32_t id, bool ecn)
{
	struct relay_service *service = arg;

	return datapath_tunnel_set_ecn(service->datapath, id, ecn);
}

void service_edge(struct relay_service *service, struct relay_edge *edge)
{
	*edge = (struct relay_edge){
		.arg = service,
		.send = edge_send,
		.random = service_random,
		.secret_get = edge_secret_get,
		.secret_set = edge_secret_set,
		.tunnel_add = edge_tunnel_add,
		.tunnel_remove = edge_tunnel_remove,
		.tunnel_set_expiry = edge_tunnel_set_expiry,
		.tunnel_set_ecn = edge_tunnel_set_ecn,
		.rate = service_rate,
	};
	service_sets_sink(&edge->sink);
}

/* ---- gateways that cannot be reached ---- */

static void read_unreachable(struct relay_service *service, bool ipv6)
{
	struct amt_sockaddr relay, gateway;
	uint8_t buf[ICMP_MESSAGE_MAX];
	const void *message;
	unsigned int n;
	size_t len;

	for (n = 0; n < UNREACHABLE_A_SECOND; n++) {
		message = icmp_socket_receive(&service->icmp, ipv6, buf, &len);
		if (!message)
			return;
		if (icmp_unreachable_parse(ipv6, message, len, &relay, &gateway))
			relay_unreachable(service->relay, clock_now(), &relay, &gateway);
		else
			counter_add(AMT_COUNT_UNREACHABLE_IGNORED, 1);
	}
}

void service_unreachable(struct relay_service *service)
{
	read_unreachable(service, false);
	read_unreachable(service, true);
}
