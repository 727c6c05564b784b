/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tunnel table: by endpoint, by gateway address and by id, with one lazily moved deadline a
 * tunnel; and the way of a membership change into the merge. Tunnels begin and end here.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/counters.h"
#include "base/log.h"
#include "base/siphash.h"
#include "relay/engine.h"

#define TICK_WORK 128 /* tunnels, groups and sources that one relay_tick() ends or looks at */
#define END_WORK  128 /* groups and sources that end with their tunnel at once */

#define tunnel_of(item) ((struct tunnel *)((char *)(item)-offsetof(struct tunnel, deadline)))

static uint32_t hash(const struct relay *relay, const void *data, size_t len)
{
	return (uint32_t)siphash24(relay->hash_key, data, len);
}

struct tunnel *tunnel_find(const struct relay *relay, const struct amt_sockaddr *gateway,
			   const struct amt_addr *local)
{
	const struct tunnel_key key = {
		.gateway = gateway->addr, .relay = *local, .port = gateway->port};
	uint32_t id = idtable_first(&relay->endpoints, hash(relay, &key, sizeof(key)));

	while (id != IDTABLE_NONE && memcmp(&relay->by_id[id]->key, &key, sizeof(key)) != 0)
		id = idtable_next(&relay->endpoints, id);
	return id == IDTABLE_NONE ? NULL : relay->by_id[id];
}

struct tunnel *tunnel_by_id(const struct relay *relay, uint32_t id)
{
	return id < relay->by_id_room ? relay->by_id[id] : NULL;
}

struct tunnel *tunnel_first_of(const struct relay *relay, const struct amt_addr *gateway)
{
	uint32_t id = idtable_first(&relay->gateways, hash(relay, gateway, sizeof(*gateway)));

	while (id != IDTABLE_NONE && !addr_equal(&relay->by_id[id]->key.gateway, gateway))
		id = idtable_next(&relay->gateways, id);
	return id == IDTABLE_NONE ? NULL : relay->by_id[id];
}

struct tunnel *tunnel_next_of(const struct relay *relay, const struct tunnel *tunnel)
{
	return tunnel_by_id(relay, tunnel->next);
}

struct tunnel *tunnel_new(const struct amt_sockaddr *gateway, const struct amt_sockaddr *local,
			  bool ecn)
{
	struct tunnel *tunnel = calloc(1, sizeof(*tunnel));

	if (!tunnel)
		return NULL;
	tunnel->key = (struct tunnel_key){
		.gateway = gateway->addr,
		.relay = local->addr,
		.port = gateway->port,
	};
	tunnel->relay_port = local->port;
	tunnel->ecn = ecn;
	tunnel->id = TUNNEL_NO_ID;
	tunnel->membership = membership_new();
	if (!tunnel->membership) {
		free(tunnel);
		return NULL;
	}
	return tunnel;
}

void tunnel_discard(struct tunnel *tunnel)
{
	membership_free(tunnel->membership);
	free(tunnel);
}

static int by_id_reserve(struct relay *relay, uint32_t id)
{
	uint32_t room = relay->by_id_room ? relay->by_id_room : 256;
	struct tunnel **by_id;

	if (id < relay->by_id_room)
		return 0;
	while (room <= id)
		room = room < UINT32_MAX / 2 ? room * 2 : UINT32_MAX;
	by_id = realloc(relay->by_id, room * sizeof(*by_id));
	if (!by_id)
		return -ENOMEM;
	memset(by_id + relay->by_id_room, 0, (room - relay->by_id_room) * sizeof(*by_id));
	relay->by_id = by_id;
	relay->by_id_room = room;
	return 0;
}

/* ---- tunnels of one gateway address ---- */

static void gateway_add(struct relay *relay, const struct tunnel *first)
{
	const struct amt_addr *addr = &first->key.gateway;

	idtable_add(&relay->gateways, first->id, hash(relay, addr, sizeof(*addr)));
}

/* Behind the first, which then stays the one that the table names. */
static void gateway_link(struct relay *relay, struct tunnel *tunnel)
{
	struct tunnel *first = tunnel_first_of(relay, &tunnel->key.gateway), *next;

	tunnel->prev = first ? first->id : TUNNEL_NO_ID;
	tunnel->next = first ? first->next : TUNNEL_NO_ID;
	tunnel->siblings = 1;
	if (!first) {
		gateway_add(relay, tunnel);
		return;
	}
	next = tunnel_next_of(relay, tunnel);
	if (next)
		next->prev = tunnel->id;
	first->next = tunnel->id;
	first->siblings++;
}

static void gateway_unlink(struct relay *relay, struct tunnel *tunnel)
{
	struct tunnel *prev = tunnel_by_id(relay, tunnel->prev);
	struct tunnel *next = tunnel_next_of(relay, tunnel);

	if (next)
		next->prev = tunnel->prev;
	if (prev) {
		prev->next = tunnel->next;
		tunnel_first_of(relay, &tunnel->key.gateway)->siblings--;
		return;
	}
	idtable_remove(&relay->gateways, tunnel->id);
	if (!next)
		return;
	next->siblings = tunnel->siblings - 1;
	gateway_add(relay, next);
}

/* ---- the tables ---- */

int tunnel_link(struct relay *relay, struct tunnel *tunnel, uint32_t id)
{
	if (by_id_reserve(relay, id) || idtable_reserve(&relay->endpoints, id) ||
	    idtable_reserve(&relay->gateways, id) ||
	    deadlines_add(&relay->deadlines, &tunnel->deadline, 0))
		return -ENOMEM;
	tunnel->id = id;
	relay->by_id[id] = tunnel;
	idtable_add(&relay->endpoints, id, hash(relay, &tunnel->key, sizeof(tunnel->key)));
	gateway_link(relay, tunnel);
	return 0;
}

static void tunnel_unlink(struct relay *relay, struct tunnel *tunnel)
{
	deadlines_remove(&relay->deadlines, &tunnel->deadline);
	gateway_unlink(relay, tunnel);
	idtable_remove(&relay->endpoints, tunnel->id);
	relay->by_id[tunnel->id] = NULL;
}

/* whether a new endpoint may be taken in. */
static bool limits_allow(const struct relay *relay, const struct tunnel *tunnel)
{
	const struct tunnel *first;

	if (relay_at_limit(relay)) {
		counter_add(AMT_COUNT_TUNNEL_LIMIT, 1);
		return false;
	}
	if (!relay->options.max_tunnels_per_address)
		return true;
	first = tunnel_first_of(relay, &tunnel->key.gateway);
	if (first && first->siblings >= relay->options.max_tunnels_per_address) {
		counter_add(AMT_COUNT_TUNNEL_PER_ADDRESS_LIMIT, 1);
		return false;
	}
	return true;
}

/* For whoever follows one gateway; peers must not be able to fill a log. */
static void tunnel_log(const struct tunnel *tunnel, const char *what)
{
	const struct amt_sockaddr gateway = {tunnel->key.gateway, tunnel->key.port};
	char peer[AMT_SOCKADDR_STRLEN], local[AMT_ADDR_STRLEN];

	log_debug("tunnel %s to %s: %s", addr_print(&tunnel->key.relay, local),
		  sockaddr_print(&gateway, peer), what);
}

int tunnel_establish(struct relay *relay, struct tunnel *tunnel, uint64_t now)
{
	const struct amt_sockaddr gateway = {tunnel->key.gateway, tunnel->key.port};
	const struct amt_sockaddr local = {tunnel->key.relay, tunnel->relay_port};
	uint32_t id;
	int rc;

	if (!limits_allow(relay, tunnel))
		return -EDQUOT;
	tunnel->created_ns = now;
	tunnel->last_update_ns = now;
	tunnel->expires_ns = now + relay->gmi_ns;
	rc = relay->edge.tunnel_add(relay->edge.arg, &gateway, &local, tunnel->ecn, now,
				    tunnel->expires_ns, &id);
	if (rc == -ENOSPC)
		counter_add(AMT_COUNT_DATAPATH_FULL, 1);
	if (rc)
		return rc;
	rc = tunnel_link(relay, tunnel, id);
	if (rc) {
		relay->edge.tunnel_remove(relay->edge.arg, id);
		return rc;
	}
	counter_add(AMT_COUNT_TUNNEL_CREATED, 1);
	tunnel_log(tunnel, tunnel->ecn ? "made, with ECN" : "made");
	return 0;
}

void tunnel_changed(void *arg, const struct wish_change *change)
{
	struct tunnel_change *to = arg;

	if (to->tunnel->id == TUNNEL_NO_ID && !to->refused)
		to->refused = tunnel_establish(to->relay, to->tunnel, to->now) != 0;
	if (!to->refused)
		merge_apply(to->relay->merge, to->tunnel->id, change);
}

void tunnel_settle(struct relay *relay, struct tunnel *tunnel, uint64_t now)
{
	uint64_t next;

	if (membership_is_empty(tunnel->membership)) {
		counter_add(AMT_COUNT_TUNNEL_LEFT, 1);
		tunnel_log(tunnel, "ended: last group left");
		tunnel_end(relay, tunnel);
		return;
	}
	tunnel->last_update_ns = now;
	tunnel->unreachable = 0;
	tunnel->expires_ns = now + relay->gmi_ns;
	relay->edge.tunnel_set_expiry(relay->edge.arg, tunnel->id, tunnel->expires_ns);
	/* Usually the deadline has moved away: then it stays in its place until it comes up */
	next = membership_deadline(tunnel->membership);
	if (next < tunnel->deadline.at || !tunnel->deadline.at)
		deadlines_move(&relay->deadlines, &tunnel->deadline, next);
}

/* Ends what the budget allows (NULL: no limit), and with the last of it the tunnel. */
static void end_some(struct relay *relay, struct tunnel *tunnel, unsigned int *budget)
{
	struct tunnel_change change = {.relay = relay, .tunnel = tunnel};

	membership_clear(tunnel->membership, budget, tunnel_changed, &change);
	if (!membership_is_empty(tunnel->membership)) {
		tunnel->ending = true;
		deadlines_move(&relay->deadlines, &tunnel->deadline, 0); /* before all others */
		return;
	}
	tunnel_unlink(relay, tunnel);
	relay->edge.tunnel_remove(relay->edge.arg, tunnel->id);
	tunnel_discard(tunnel);
}

void tunnel_end(struct relay *relay, struct tunnel *tunnel)
{
	unsigned int budget = END_WORK;

	end_some(relay, tunnel, &budget);
}

struct tunnel *tunnel_living(struct relay *relay, struct tunnel *tunnel)
{
	if (!tunnel || !tunnel->ending)
		return tunnel;
	end_some(relay, tunnel, NULL);
	return NULL;
}

static void tunnel_expire(struct relay *relay, struct tunnel *tunnel, uint64_t now,
			  unsigned int *budget)
{
	struct tunnel_change change = {.relay = relay, .tunnel = tunnel, .now = now};
	uint64_t next;

	if (tunnel->ending) {
		end_some(relay, tunnel, budget);
		return;
	}
	next = membership_expire(tunnel->membership, now, budget, tunnel_changed, &change);

	if (!membership_is_empty(tunnel->membership)) {
		deadlines_move(&relay->deadlines, &tunnel->deadline, next);
		return;
	}
	counter_add(AMT_COUNT_TUNNEL_EXPIRED, 1);
	tunnel_log(tunnel, "ended: not refreshed");
	tunnel_end(relay, tunnel);
}

uint64_t tunnels_tick(struct relay *relay, uint64_t now)
{
	unsigned int budget = TICK_WORK;
	struct deadline *first;

	while (budget) {
		first = deadlines_first(&relay->deadlines);
		if (!first || first->at > now)
			break;
		budget--; /* one that was refreshed costs little, but not nothing */
		tunnel_expire(relay, tunnel_of(first), now, &budget);
	}
	first = deadlines_first(&relay->deadlines);
	return first ? first->at : TIME_NEVER;
}

void tunnels_free(struct relay *relay)
{
	uint32_t id;

	for (id = 0; id < relay->by_id_room; id++)
		if (relay->by_id[id])
			tunnel_discard(relay->by_id[id]);
	idtable_free(&relay->endpoints);
	idtable_free(&relay->gateways);
	deadlines_free(&relay->deadlines);
	free(relay->by_id);
}
