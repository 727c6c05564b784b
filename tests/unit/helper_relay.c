/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit/unit.h"
#include "unit/helper_relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- the edge ---- */

static bool has(const uint8_t *bits, uint32_t i)
{
	return bits[i / 8] >> i % 8 & 1;
}

static void world_send(void *arg, const struct amt_sockaddr *local, const struct amt_sockaddr *peer,
		       const void *buf, size_t len)
{
	struct world *w = arg;

	assert_true(len <= sizeof(w->sent));
	w->sent_from = *local;
	w->sent_to = *peer;
	memcpy(w->sent, buf, len);
	w->sent_len = len;
	w->nsent++;
}

static void world_random(void *arg, void *buf, size_t len)
{
	struct world *w = arg;
	uint8_t *at = buf;

	while (len--) {
		w->random = w->random * 6364136223846793005ull + 1442695040888963407ull;
		*at++ = (uint8_t)(w->random >> 56);
	}
}

static void world_secret_get(void *arg, unsigned int index, struct amt_secret *secret)
{
	struct world *w = arg;

	*secret = w->secrets[index];
}

static void world_secret_set(void *arg, unsigned int index, const struct amt_secret *secret)
{
	struct world *w = arg;

	w->secrets[index] = *secret;
}

static int world_tunnel_add(void *arg, const struct amt_sockaddr *gateway,
			    const struct amt_sockaddr *relay, bool ecn, uint64_t created_ns,
			    uint64_t expires_ns, uint32_t *id)
{
	struct world *w = arg;
	uint32_t i;

	for (i = 0; i < w->room; i++) {
		if (w->tunnels[i].exists)
			continue;
		w->tunnels[i] = (struct world_tunnel){true, ecn, *gateway, *relay, expires_ns};
		*id = i;
		return 0;
	}
	return -ENOSPC;
}

static void world_tunnel_remove(void *arg, uint32_t id)
{
	struct world *w = arg;
	unsigned int i;

	assert_true(w->tunnels[id].exists);
	w->tunnels[id].exists = false;
	for (i = 0; i < WORLD_SETS; i++) {
		if (!w->sets[i].exists || !has(w->sets[i].member, id))
			continue;
		/* the engine takes it out of every set before, but for sets not adopted */
		assert_true(w->adopting && !has(w->sets[i].member_said, id));
		w->sets[i].member[id / 8] &= (uint8_t) ~(1 << id % 8);
	}
}

static void world_tunnel_set_expiry(void *arg, uint32_t id, uint64_t expires_ns)
{
	struct world *w = arg;

	assert_true(w->tunnels[id].exists);
	w->tunnels[id].expires_ns = expires_ns;
}

static int world_tunnel_set_ecn(void *arg, uint32_t id, bool ecn)
{
	struct world *w = arg;

	assert_true(w->tunnels[id].exists);
	w->tunnels[id].ecn = ecn;
	return 0;
}

static int world_set_create(void *arg, const struct amt_group_key *key, uint32_t *set)
{
	struct world *w = arg;
	uint32_t i;

	for (i = 0; w->adopting && i < WORLD_SETS; i++)
		if (w->sets[i].exists && !memcmp(&w->sets[i].key, key, sizeof(*key))) {
			w->sets[i].said = true;
			*set = i;
			return 0;
		}
	assert_false(w->adopting);
	for (i = 0; i < WORLD_SETS && w->sets[i].exists; i++)
		;
	if (i == WORLD_SETS)
		return -ENOSPC;
	memset(&w->sets[i], 0, sizeof(w->sets[i]));
	w->sets[i].exists = true;
	w->sets[i].key = *key;
	*set = i;
	return 0;
}

static int world_set_publish(void *arg, uint32_t set)
{
	struct world *w = arg;

	assert_true(w->sets[set].exists);
	w->sets[set].published = true;
	return 0;
}

static void world_set_destroy(void *arg, uint32_t set)
{
	struct world *w = arg;

	assert_true(w->sets[set].exists && !w->adopting);
	w->sets[set].exists = false;
}

static int world_member_add(void *arg, uint32_t set, uint32_t tunnel)
{
	struct world *w = arg;

	assert_true(w->sets[set].exists && w->tunnels[tunnel].exists);
	assert_int_equal(has(w->sets[set].member, tunnel), w->adopting);
	w->sets[set].member_said[tunnel / 8] |= (uint8_t)(1 << tunnel % 8);
	w->sets[set].member[tunnel / 8] |= (uint8_t)(1 << tunnel % 8);
	return 0;
}

static void world_member_remove(void *arg, uint32_t set, uint32_t tunnel)
{
	struct world *w = arg;

	assert_true(w->sets[set].exists && !w->adopting);
	assert_true(has(w->sets[set].member, tunnel));
	w->sets[set].member[tunnel / 8] &= (uint8_t) ~(1 << tunnel % 8);
}

static void world_upstream_changed(void *arg, const struct amt_addr *group)
{
	struct world *w = arg;

	w->upstream_changes++;
}

/* ---- the world ---- */

struct world *world_new(void)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	assert_int_equal(relay_options_default(&w->options), 0);
	w->now = SECONDS(1);
	w->random = 1;
	w->room = WORLD_TUNNELS;
	counter_reset_all();
	return w;
}

static uint64_t edge_rate(void *arg, const struct amt_addr *group, const struct amt_addr *source)
{
	const struct world *w = arg;

	return source ? w->rate : 2 * w->rate;
}

void world_start(struct world *w)
{
	const struct relay_edge edge = {
		.arg = w,
		.send = world_send,
		.random = world_random,
		.secret_get = world_secret_get,
		.secret_set = world_secret_set,
		.tunnel_add = world_tunnel_add,
		.tunnel_remove = world_tunnel_remove,
		.tunnel_set_expiry = world_tunnel_set_expiry,
		.tunnel_set_ecn = world_tunnel_set_ecn,
		.rate = edge_rate,
		.sink = {world_set_create, world_set_publish, world_set_destroy, world_member_add,
			 world_member_remove, world_upstream_changed},
	};

	w->relay = relay_new(&w->options, &edge, w->now);
	assert_non_null(w->relay);
}

void world_restart(struct world *w)
{
	relay_free(w->relay);
	world_start(w);
}

void world_free(struct world *w)
{
	relay_free(w->relay);
	free(w);
}

int world_setup(void **state)
{
	*state = world_new();
	return 0;
}

int world_teardown(void **state)
{
	world_free(*state);
	return 0;
}

void world_receive(struct world *w, const struct amt_sockaddr *local,
		   const struct amt_sockaddr *peer, const void *buf, size_t len)
{
	struct exact exact = exact_copy(buf, len);

	relay_receive(w->relay, w->now, local, peer, exact.data, len);
	free_exact(&exact);
}

void world_pass(struct world *w, uint64_t ns)
{
	uint64_t until = w->now + ns, next;
	unsigned int turns = 0;

	while ((next = relay_tick(w->relay, w->now)) <= until) {
		w->now = next > w->now ? next : w->now;
		assert_true(++turns < 1000000);
	}
	w->now = until;
}

unsigned int world_tunnels(const struct world *w)
{
	unsigned int i, n = 0;

	for (i = 0; i < WORLD_TUNNELS; i++)
		n += w->tunnels[i].exists;
	assert_int_equal(n, relay_tunnels(w->relay));
	return n;
}

unsigned int world_sets(const struct world *w)
{
	unsigned int i, n = 0;

	for (i = 0; i < WORLD_SETS; i++)
		n += w->sets[i].exists;
	return n;
}

uint32_t world_tunnel_of(const struct world *w, const struct amt_sockaddr *gateway,
			 const struct amt_addr *relay)
{
	uint32_t i;

	for (i = 0; i < WORLD_TUNNELS; i++)
		if (w->tunnels[i].exists && sockaddr_equal(&w->tunnels[i].gateway, gateway) &&
		    addr_equal(&w->tunnels[i].relay.addr, relay))
			return i;
	return UINT32_MAX;
}

static const struct world_set *set_find(const struct world *w, const struct amt_addr *source,
					const struct amt_addr *group)
{
	unsigned int i;

	for (i = 0; i < WORLD_SETS; i++)
		if (w->sets[i].exists && w->sets[i].published &&
		    addr_equal(&w->sets[i].key.source, source) &&
		    addr_equal(&w->sets[i].key.group, group))
			return &w->sets[i];
	return NULL;
}

bool world_forwards(const struct world *w, uint32_t tunnel, const char *source, const char *group)
{
	struct amt_addr s = address(source), g = address(group), any = {0};
	const struct world_set *set = set_find(w, &s, &g);

	if (!set)
		set = set_find(w, &any, &g);
	return set && tunnel != UINT32_MAX && has(set->member, tunnel);
}

/* ---- gateways ---- */

struct fake_gateway fake_at(struct world *w, const char *addr, uint16_t port, const char *relay)
{
	struct fake_gateway g = {
		.w = w,
		.local = {address(relay), htons(AMT_PORT)},
		.addr = {address(addr), htons(port)},
		.nonce = 0x01020304u + port,
	};

	return g;
}

bool fake_request(struct fake_gateway *g, bool mld)
{
	const struct amt_message request = {
		.type = AMT_REQUEST,
		.nonce = g->nonce,
		.want_mld = mld,
		.ecn = g->ecn,
	};
	unsigned int before = g->w->nsent;
	uint8_t buf[AMT_REQUEST_LEN];

	assert_int_equal(message_write(&request, buf, sizeof(buf)), sizeof(buf));
	world_receive(g->w, &g->local, &g->addr, buf, sizeof(buf));
	if (g->w->nsent == before)
		return false;
	assert_int_equal(g->w->nsent, before + 1); /* */
	assert_int_equal(message_parse(g->w->sent, g->w->sent_len, &g->query), 0);
	assert_int_equal(g->query.type, AMT_QUERY);
	assert_int_equal(g->query.nonce, g->nonce);
	memcpy(g->mac, g->query.mac, AMT_MAC_LEN);
	return true;
}

void fake_update(struct fake_gateway *g, const void *datagram, size_t len)
{
	struct amt_message update = {
		.type = AMT_UPDATE,
		.nonce = g->nonce,
		.datagram = datagram,
		.datagram_len = len,
	};
	uint8_t buf[4096];
	int n;

	memcpy(update.mac, g->mac, AMT_MAC_LEN);
	n = message_write(&update, buf, sizeof(buf));
	assert_true(n > 0);
	world_receive(g->w, &g->local, &g->addr, buf, (size_t)n);
}

void fake_report(struct fake_gateway *g, enum record_type type, const char *group,
		 const char *sources)
{
	struct amt_addr list[64];
	struct report_build record = {.type = type, .group = address(group), .sources = list};
	char text[1024], *word, *rest = text;
	uint8_t buf[2048];
	int len;

	assert_true(strlen(sources) < sizeof(text));
	strcpy(text, sources);
	while ((word = strtok_r(rest, " ", &rest)))
		list[record.nsources++] = address(word);
	len = report_write(!addr_is_ipv4(&record.group), NULL, &record, 1, buf, sizeof(buf));
	assert_true(len > 0);
	fake_update(g, buf, (size_t)len);
}

void fake_teardown(struct fake_gateway *g, const struct amt_sockaddr *from)
{
	struct amt_message teardown = {
		.type = AMT_TEARDOWN,
		.nonce = g->nonce,
		.gateway = g->addr,
	};
	uint8_t buf[AMT_TEARDOWN_LEN];

	memcpy(teardown.mac, g->mac, AMT_MAC_LEN);
	assert_int_equal(message_write(&teardown, buf, sizeof(buf)), sizeof(buf));
	world_receive(g->w, &g->local, from ? from : &g->addr, buf, sizeof(buf));
}

uint32_t fake_tunnel(const struct fake_gateway *g)
{
	return world_tunnel_of(g->w, &g->addr, &g->local.addr);
}

bool fake_gets(const struct fake_gateway *g, const char *source, const char *group)
{
	return world_forwards(g->w, fake_tunnel(g), source, group);
}
