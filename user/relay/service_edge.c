/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine's edge made of the real parts: sockets, the packet path's tunnels and secrets,
 * getrandom(2); the slow path of datagrams that are too big; and ICMP errors about our data.
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

/* ---- datagrams that are too big ---- */

static void too_big_send(void *arg, const struct amt_sockaddr *local,
			 const struct amt_sockaddr *peer, uint8_t tos, const void *buf, size_t len)
{
	struct relay_service *service = arg;

	relay_sockets_send_data(service->sockets, local, peer, tos, buf, len);
}

static void too_big_icmp(void *arg, const struct amt_addr *to, const void *buf, size_t len)
{
	struct relay_service *service = arg;

	icmp_socket_send(&service->icmp, to, buf, len);
}

static struct too_big_options too_big_options(const struct relay_service *service)
{
	const struct config_relay *config = service->config;
	struct too_big_options options = {
		.ssm = config->ssm_range.list,
		.nssm = config->ssm_range.n,
		.dscp_fixed = strcmp(config->dscp, "copy") != 0,
	};

	if (options.dscp_fixed)
		options.dscp = (uint8_t)(strtoul(config->dscp, NULL, 10) << 2);
	return options;
}

void service_too_big_reload(struct relay_service *service)
{
	const struct too_big_options options = too_big_options(service);

	too_big_set_options(service->too_big, &options);
}

int service_too_big_open(struct relay_service *service, struct error *err)
{
	const struct too_big_edge edge = {service, too_big_send, too_big_icmp};
	struct too_big_options options = too_big_options(service);
	int rc;

	service_random(service, options.hash_key, sizeof(options.hash_key));
	service->too_big = too_big_new(&options, &edge);
	if (!service->too_big)
		return error_set(err, -ENOMEM, "relay: no memory");
	rc = icmp_socket_open(&service->icmp);
	if (rc)
		log_warning("no raw socket (%s): sources of too big datagrams are not told, nor "
			    "does amtd hear of unreachable gateways; it needs CAP_NET_RAW",
			    strerror(-rc));
	return 0;
}

static void add_target(void *arg, uint32_t tunnel)
{
	struct relay_service *service = arg;
	const struct amt_tunnel *record = datapath_tunnel(service->datapath, tunnel);
	unsigned int room = service->targets_room ? service->targets_room * 2 : 64;

	if (!record)
		return;
	if (service->ntargets == service->targets_room) {
		struct too_big_target *targets = realloc(service->targets, room * sizeof(*targets));

		if (!targets)
			return;
		service->targets = targets;
		service->targets_room = room;
	}
	service->targets[service->ntargets++] = (struct too_big_target){
		.local = {record->relay, record->relay_port},
		.peer = {record->gateway, record->gateway_port},
		.mtu = record->mtu,
		.ecn = record->flags & AMT_TUNNEL_ECN,
	};
}

void service_too_big(void *arg, uint32_t set, uint32_t ifindex, const void *datagram,
		     uint32_t length)
{
	struct relay_service *service = arg;

	if (!service->too_big) /* not open yet */
		return;
	service->ntargets = 0;
	datapath_set_members(service->datapath, set, add_target, service);
	too_big_datagram(service->too_big, clock_now(), datagram, length, service->targets,
			 service->ntargets);
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
