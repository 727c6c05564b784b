/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine's outside: its life, what it is told by the configuration and control, and the way
 * of a message to the file that handles its type.
 */
#include "relay/relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/counters.h"
#include "relay/engine.h"

/* A Query with the longer inner datagram and the G fields: nothing that is sent is longer. */
#define MESSAGE_MAX (AMT_QUERY_DATAGRAM + QUERY_MLD_LEN + AMT_GATEWAY_LEN)

#define MERGE_WORK 128 /* members that new sets get in one relay_tick() */

static void membership_prepare(struct relay *relay)
{
	const struct relay_options *options = &relay->options;

	relay->membership = (struct membership_config){
		.gmi_ns = relay->gmi_ns,
		.max_groups = options->max_groups_per_tunnel,
		.max_sources = options->max_sources_per_group,
		.ssm = options->ssm,
		.nssm = options->nssm,
		.admit = admission_subscription,
		.admit_arg = relay,
	};
}

struct relay *relay_new(const struct relay_options *options, const struct relay_edge *edge,
			uint64_t now)
{
	struct relay *relay = calloc(1, sizeof(*relay));
	uint8_t limit_key[16];

	if (!relay)
		return NULL;
	relay->options = *options;
	relay->edge = *edge;
	edge->random(edge->arg, relay->hash_key, sizeof(relay->hash_key));
	edge->random(edge->arg, limit_key, sizeof(limit_key));
	relay->merge = merge_new(&edge->sink, edge->arg);
	relay->requests =
		ratelimit_new(options->requests_per_second, options->requests_burst, limit_key);
	if (!relay->merge || !relay->requests) {
		relay_free(relay);
		return NULL;
	}
	timing_settle(relay);
	ratelimit_set_amplification(relay->requests, options->amplification);
	membership_prepare(relay);
	request_prepare(relay);
	secrets_load(relay, now);
	return relay;
}

void relay_set_options(struct relay *relay, const struct relay_options *options, uint64_t now)
{
	relay->options = *options;
	timing_change(relay, now);
	membership_prepare(relay);
	request_prepare(relay);
	ratelimit_set(relay->requests, options->requests_per_second, options->requests_burst);
	ratelimit_set_amplification(relay->requests, options->amplification);
	admission_review(relay, now);
}

void relay_free(struct relay *relay)
{
	if (!relay)
		return;
	tunnels_free(relay);
	if (relay->merge)
		merge_free(relay->merge);
	ratelimit_free(relay->requests);
	free(relay->addresses);
	explicit_bzero(relay, sizeof(*relay)); /* the secrets */
	free(relay);
}

int relay_add_address(struct relay *relay, const struct amt_addr *addr)
{
	struct amt_addr *addresses;
	unsigned int i;

	for (i = 0; i < relay->naddresses; i++)
		if (addr_equal(&relay->addresses[i], addr))
			return 0;
	addresses = realloc(relay->addresses, (relay->naddresses + 1) * sizeof(*addresses));
	if (!addresses)
		return -ENOMEM;
	addresses[relay->naddresses++] = *addr;
	relay->addresses = addresses;
	return 0;
}

void relay_remove_address(struct relay *relay, const struct amt_addr *addr)
{
	unsigned int i;

	for (i = 0; i < relay->naddresses; i++) {
		if (!addr_equal(&relay->addresses[i], addr))
			continue;
		relay->naddresses--;
		memmove(&relay->addresses[i], &relay->addresses[i + 1],
			(relay->naddresses - i) * sizeof(*addr));
		return;
	}
}

void engine_send(struct relay *relay, const struct receipt *in, const struct amt_message *msg)
{
	uint8_t buf[MESSAGE_MAX];
	int len = message_write(msg, buf, sizeof(buf));

	if (len > 0) /* from where it was asked to where it came from */
		relay->edge.send(relay->edge.arg, in->local, in->peer, buf, (size_t)len);
}

static void dispatch(struct relay *relay, const struct receipt *in)
{
	switch (in->msg.type) {
	case AMT_DISCOVERY:
		discovery_receive(relay, in);
		break;
	case AMT_REQUEST:
		request_receive(relay, in);
		break;
	case AMT_UPDATE:
		update_receive(relay, in);
		break;
	case AMT_TEARDOWN:
		teardown_receive(relay, in);
		break;
	case AMT_DATA: /* sources behind gateways are not supported */
		counter_add(AMT_COUNT_DATA_FROM_GATEWAY, 1);
		break;
	default: /* */
		counter_add(AMT_COUNT_BAD_TYPE, 1);
	}
}

void relay_receive(struct relay *relay, uint64_t now, const struct amt_sockaddr *local,
		   const struct amt_sockaddr *peer, const void *buf, size_t len)
{
	struct receipt in = {.now = now, .local = local, .peer = peer, .buf = buf, .len = len};
	int rc = message_parse(buf, len, &in.msg);

	if (rc < 0) {
		counter_add((enum amt_counter) - rc, 1);
		return;
	}
	if (!admission_gateway(relay, peer)) {
		counter_add(AMT_COUNT_GATEWAY_NOT_PERMITTED, 1);
		return;
	}
	dispatch(relay, &in);
}

uint64_t relay_tick(struct relay *relay, uint64_t now)
{
	uint64_t next = timing_tick(relay, now), secrets = secrets_tick(relay, now),
		 tunnels = tunnels_tick(relay, now);

	if (merge_go_on(relay->merge, MERGE_WORK))
		return now;
	next = secrets < next ? secrets : next;
	return tunnels < next ? tunnels : next;
}

void relay_set_draining(struct relay *relay, bool draining)
{
	relay->draining = draining;
}

unsigned int relay_tunnels(const struct relay *relay)
{
	return relay->endpoints.n;
}

struct merge *relay_merge(struct relay *relay)
{
	return relay->merge;
}

uint64_t relay_gmi(const struct relay *relay)
{
	return relay->gmi_ns;
}

uint64_t relay_secret_age(const struct relay *relay, uint64_t now)
{
	return now > relay->current.installed_ns ? now - relay->current.installed_ns : 0;
}

bool relay_at_limit(const struct relay *relay)
{
	return relay->draining ||
	       (relay->options.max_tunnels && relay_tunnels(relay) >= relay->options.max_tunnels);
}

static struct relay_tunnel_view view(const struct tunnel *tunnel)
{
	return (struct relay_tunnel_view){
		.id = tunnel->id,
		.gateway = {tunnel->key.gateway, tunnel->key.port},
		.relay = {tunnel->key.relay, tunnel->relay_port},
		.ecn = tunnel->ecn,
		.created_ns = tunnel->created_ns,
		.expires_ns = tunnel->expires_ns,
		.last_update_ns = tunnel->last_update_ns,
		.groups = membership_groups(tunnel->membership),
		.membership = tunnel->membership,
	};
}

uint32_t relay_tunnel_ids(const struct relay *relay)
{
	return relay->by_id_room;
}

bool relay_view(const struct relay *relay, uint32_t id, struct relay_tunnel_view *out)
{
	const struct tunnel *tunnel = tunnel_by_id(relay, id);

	if (tunnel)
		*out = view(tunnel);
	return tunnel != NULL;
}

void relay_walk(struct relay *relay, const struct amt_addr *gateway,
		void (*fn)(void *arg, const struct relay_tunnel_view *view), void *arg)
{
	const struct tunnel *tunnel;
	struct relay_tunnel_view out;

	for (tunnel = tunnel_first_of(relay, gateway); tunnel;
	     tunnel = tunnel_next_of(relay, tunnel)) {
		out = view(tunnel);
		fn(arg, &out);
	}
}
