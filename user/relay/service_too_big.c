/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The slow path of datagrams that are too big for their group (too_big.h): each goes to all members
 * of its set, in the order in which they came, as many copies in each turn of the loop as it has
 * time for. A large set's members are found by going up the tunnels' ids, so that it does not
 * matter who joins and leaves meanwhile.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/counters.h"
#include "base/log.h"
#include "base/loop.h"
#include "relay/service_state.h"

#define WAITING_MAX 256	 /* datagrams; more are dropped */
#define AT_ONCE	    1024 /* members; a turn has time for them */
#define LOOK_EVERY  16	 /* tunnels, whether the turn has become long */

struct service_datagram {
	struct service_datagram *next;
	struct amt_group_key key; /* of its set */
	uint32_t tunnel;	  /* may be the next that gets it */
	bool begun;
	struct too_big_passage passage;
	uint32_t length;
	uint8_t octets[];
};

/* ---- one datagram ---- */

struct sending {
	struct relay_service *service;
	struct service_datagram *datagram;
};

static void send_to(void *arg, uint32_t tunnel)
{
	struct sending *to = arg;
	struct relay_service *service = to->service;
	const struct amt_tunnel *record = datapath_tunnel(service->datapath, tunnel);
	struct too_big_target target;

	if (!record)
		return;
	target = (struct too_big_target){
		.local = {record->relay, record->relay_port},
		.peer = {record->gateway, record->gateway_port},
		.mtu = record->mtu,
		.ecn = record->flags & AMT_TUNNEL_ECN,
	};
	too_big_send(service->too_big, &to->datagram->passage, &target);
}

/* Sends some copies; true: the last of them. */
static bool send_some(struct relay_service *service, struct service_datagram *it)
{
	struct sending to = {service, it};
	uint32_t top = relay_tunnel_ids(service->relay), looked;

	if (!it->tunnel && datapath_set_size(service->datapath, &it->key) <= AT_ONCE) {
		datapath_set_members(service->datapath, &it->key, send_to, &to);
		return true;
	}
	for (looked = 0; looked < LOOK_EVERY && it->tunnel < top; looked++, it->tunnel++)
		if (datapath_set_has(service->datapath, &it->key, it->tunnel))
			send_to(&to, it->tunnel);
	return it->tunnel >= top;
}

/* ---- all that wait ---- */

static void drop_first(struct relay_service *service)
{
	struct service_datagram *first = service->datagrams;

	service->datagrams = first->next;
	if (!first->next)
		service->last_datagram = &service->datagrams;
	service->ndatagrams--;
	free(first);
}

static void go_on(void *arg)
{
	struct relay_service *service = arg;
	uint64_t now = clock_now();

	while (service->datagrams) {
		struct service_datagram *first = service->datagrams;

		if (loop_turn_is_long()) {
			wakeup_set(&service->too_big_turn, now, now);
			return;
		}
		if (!first->begun && !too_big_begin(service->too_big, now, first->octets,
						    first->length, &first->passage)) {
			drop_first(service);
			continue;
		}
		first->begun = true;
		if (!send_some(service, first))
			continue;
		too_big_end(service->too_big, now, &first->passage);
		drop_first(service);
	}
}

void service_too_big(void *arg, const struct amt_group_key *key, uint32_t ifindex,
		     const void *octets, uint32_t length)
{
	struct relay_service *service = arg;
	struct service_datagram *it = NULL;

	if (!service->too_big) /* not open yet */
		return;
	if (service->ndatagrams < WAITING_MAX)
		it = calloc(1, sizeof(*it) + length);
	if (!it) {
		counter_add(AMT_COUNT_EVENT_LOST, 1);
		return;
	}
	it->key = *key;
	it->length = length;
	memcpy(it->octets, octets, length);
	*service->last_datagram = it;
	service->last_datagram = &it->next;
	if (!service->ndatagrams++)
		go_on(service);
}

/* ---- life ---- */

static void send_data(void *arg, const struct amt_sockaddr *local, const struct amt_sockaddr *peer,
		      uint8_t tos, const void *buf, size_t len)
{
	struct relay_service *service = arg;

	relay_sockets_send_data(service->sockets, local, peer, tos, buf, len);
}

static void send_icmp(void *arg, const struct amt_addr *to, const void *buf, size_t len)
{
	struct relay_service *service = arg;

	icmp_socket_send(&service->icmp, to, buf, len);
}

static struct too_big_options options_of(const struct relay_service *service)
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
	const struct too_big_options options = options_of(service);

	too_big_set_options(service->too_big, &options);
}

int service_too_big_open(struct relay_service *service, struct error *err)
{
	const struct too_big_edge edge = {service, send_data, send_icmp};
	struct too_big_options options = options_of(service);
	int rc;

	service_random(service, options.hash_key, sizeof(options.hash_key));
	service->too_big = too_big_new(&options, &edge);
	if (!service->too_big)
		return error_set(err, -ENOMEM, "relay: no memory");
	service->last_datagram = &service->datagrams;
	if (wakeup_open(&service->too_big_turn, service->base, go_on, service))
		return error_set(err, -ENOMEM, "relay: no memory");
	rc = icmp_socket_open(&service->icmp);
	if (rc)
		log_warning("no raw socket (%s): sources of too big datagrams are not told, nor "
			    "does amtd hear of unreachable gateways; it needs CAP_NET_RAW",
			    strerror(-rc));
	return 0;
}

void service_too_big_close(struct relay_service *service)
{
	while (service->datagrams)
		drop_first(service);
	wakeup_close(&service->too_big_turn);
	too_big_free(service->too_big);
	icmp_socket_close(&service->icmp);
}
