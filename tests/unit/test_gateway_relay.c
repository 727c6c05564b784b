/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The gateway engine against the relay engine, over a network that loses, rebinds and forges. */
#include "unit/unit.h"
#include "unit/helper_gateway.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MUTATIONS 100000

/* Both, with a NAT between them. */
struct wire {
	struct house *h;
	struct world *w;
	struct amt_sockaddr outside; /* the gateway as the relay sees it */
	bool cut;		     /* nothing goes */
	unsigned int lost;	     /* letters lost */
	bool joined4, joined6;	     /* what the host answers queries with */
	unsigned int seen[2];	     /* queries answered */
};

static struct wire wire_new(const char *relay, const char *outside)
{
	struct wire wire = {.h = house_new(), .w = world_new()};

	world_start(wire.w);
	wire.outside = (struct amt_sockaddr){address(outside), htons(40000)};
	wire.h->now = wire.w->now;
	wire.h->options.ipv6_groups = true;
	house_candidate(wire.h, CANDIDATE_ADDRESS, relay);
	house_start(wire.h);
	return wire;
}

static void wire_free(struct wire *wire)
{
	house_free(wire->h);
	world_free(wire->w);
}

/* The host's stack answers what was put into the pseudo-interface. */
static void host_answers(struct wire *wire)
{
	struct house *h = wire->h;

	if (wire->seen[IGMP] != h->queries[IGMP] && wire->joined4)
		house_report(h, RECORD_IS_EX, GROUP_ANY, "");
	if (wire->seen[MLD] != h->queries[MLD] && wire->joined6)
		house_report(h, RECORD_IS_IN, GROUP6, "2001:db8::5");
	wire->seen[IGMP] = h->queries[IGMP];
	wire->seen[MLD] = h->queries[MLD];
}

/* Carries letters both ways until all is quiet. */
static void carry(struct wire *wire)
{
	struct house *h = wire->h;
	struct world *w = wire->w;

	for (host_answers(wire); h->nsent; host_answers(wire)) {
		struct letter letter = house_letter(h);
		unsigned int before = w->nsent;

		if (wire->cut) {
			wire->lost++;
			continue;
		}
		world_receive(w, &letter.to, &wire->outside, letter.buf, letter.len);
		if (w->nsent != before && sockaddr_equal(&w->sent_to, &wire->outside))
			gateway_receive(h->gateway, h->now, &w->sent_from, w->sent, w->sent_len);
	}
}

static void pass(struct wire *wire, uint64_t ns)
{
	struct house *h = wire->h;
	uint64_t until = h->now + ns, next;
	unsigned int turns = 0;

	while ((next = gateway_tick(h->gateway, h->now)) <= until || h->nsent) {
		if (!h->nsent && next > h->now) {
			world_pass(wire->w, next - wire->w->now);
			h->now = next;
		}
		carry(wire);
		assert_true(++turns < 100000);
	}
	world_pass(wire->w, until - wire->w->now);
	h->now = until;
}

static uint32_t tunnel(const struct wire *wire)
{
	struct amt_addr relay = house_status(wire->h).relay.addr;

	return world_tunnel_of(wire->w, &wire->outside, &relay);
}

static void shake_hands(const char *relay, const char *outside)
{
	struct wire wire = wire_new(relay, outside);
	struct gateway_status status;

	wire.joined4 = true;
	wire.joined6 = true;
	pass(&wire, SECONDS(1));
	status = house_status(wire.h);
	assert_int_equal(status.state, GATEWAY_UP);
	assert_true(status.ecn && status.answered[IGMP] && status.answered[MLD]);
	assert_true(sockaddr_equal(&status.endpoint, &wire.outside)); /* G, since E was set */
	assert_int_equal(world_tunnels(wire.w), 1);
	assert_true(wire.w->tunnels[tunnel(&wire)].ecn);
	assert_true(world_forwards(wire.w, tunnel(&wire), "10.0.0.1", GROUP_ANY));
	assert_true(world_forwards(wire.w, tunnel(&wire), "2001:db8::5", GROUP6));
	assert_false(world_forwards(wire.w, tunnel(&wire), "2001:db8::6", GROUP6));
	/* for days */
	pass(&wire, SECONDS(3 * 86400));
	assert_int_equal(world_tunnels(wire.w), 1);
	assert_true(world_forwards(wire.w, tunnel(&wire), "10.0.0.1", GROUP_ANY));
	assert_int_equal(counter_get(AMT_COUNT_BAD_MAC), 0);
	assert_int_equal(counter_get(AMT_COUNT_GATEWAY_RELAY_FAILED), 0);
	assert_int_equal(counter_get(AMT_COUNT_MEMBERSHIP_EXPIRED), 0);
	gateway_shutdown(wire.h->gateway, wire.h->now);
	carry(&wire);
	assert_int_equal(world_tunnels(wire.w), 0);
	wire_free(&wire);
}

static void shakes_hands_over_ipv4(void **state)
{
	shake_hands(RELAY4, GATEWAY4);
}

static void shakes_hands_over_ipv6(void **state)
{
	shake_hands(RELAY6, GATEWAY6);
}

static void joins_and_leaves_at_once(void **state)
{
	struct wire wire = wire_new(RELAY4, GATEWAY4);

	pass(&wire, SECONDS(1));
	assert_int_equal(world_tunnels(wire.w), 0);
	house_report(wire.h, RECORD_TO_EX, GROUP_ANY, "");
	carry(&wire);
	assert_true(world_forwards(wire.w, tunnel(&wire), "10.0.0.1", GROUP_ANY));
	house_report(wire.h, RECORD_TO_IN, GROUP_ANY, "");
	carry(&wire);
	assert_int_equal(world_tunnels(wire.w), 0);
	wire_free(&wire);
}

/* the NAT forgets us; the next cycle finds the new endpoint, and the old tunnel goes. */
static void roams(void **state)
{
	struct wire wire = wire_new(RELAY4, GATEWAY4);

	wire.joined4 = true;
	wire.joined6 = true;
	pass(&wire, SECONDS(1));
	wire.outside.port = htons(50000);
	pass(&wire, SECONDS(130));
	assert_int_equal(world_tunnels(wire.w), 1);
	assert_true(world_forwards(wire.w, tunnel(&wire), "10.0.0.1", GROUP_ANY));
	assert_true(world_forwards(wire.w, tunnel(&wire), "2001:db8::5", GROUP6));
	assert_int_equal(counter_get(AMT_COUNT_TEARDOWN_ACCEPTED), 1);
	assert_int_equal(house_status(wire.h).endpoint.port, htons(50000));
	assert_int_equal(counter_get(AMT_COUNT_GATEWAY_ENDPOINT_CHANGED), 1);
	wire_free(&wire);
}

static void survives_an_outage(void **state)
{
	struct wire wire = wire_new(RELAY4, GATEWAY4);

	wire.joined4 = true;
	pass(&wire, SECONDS(1));
	wire.cut = true;
	pass(&wire, SECONDS(3600));
	assert_int_equal(world_tunnels(wire.w), 0);
	assert_in_range(wire.lost, 3600 / 20, 3600 / 4); /* neither mute nor a flood */
	wire.cut = false;
	pass(&wire, SECONDS(125));
	assert_int_equal(house_state(wire.h), GATEWAY_UP);
	assert_true(world_forwards(wire.w, tunnel(&wire), "10.0.0.1", GROUP_ANY));
	wire_free(&wire);
}

/* The relay is found again after it was given up: what it keeps of us goes on, and is torn down
 * when we have another endpoint by then. */
static void finds_the_same_relay_again(void **state)
{
	struct wire wire = wire_new(RELAY4, GATEWAY4);
	unsigned int rebinds;

	wire.joined4 = true;
	pass(&wire, SECONDS(1));
	for (rebinds = 0; rebinds < 2; rebinds++) {
		uint64_t failed = counter_get(AMT_COUNT_GATEWAY_RELAY_FAILED);

		wire.cut = true;
		while (counter_get(AMT_COUNT_GATEWAY_RELAY_FAILED) == failed)
			pass(&wire, SECONDS(1));
		wire.cut = false;
		wire.outside.port = htons((uint16_t)(40000 + rebinds));
		pass(&wire, SECONDS(15));
		assert_int_equal(house_state(wire.h), GATEWAY_UP);
		assert_int_equal(counter_get(AMT_COUNT_TEARDOWN_ACCEPTED), rebinds);
		assert_int_equal(counter_get(AMT_COUNT_GATEWAY_ENDPOINT_CHANGED), rebinds);
		assert_int_equal(world_tunnels(wire.w), 1);
	}
	assert_int_equal(counter_get(AMT_COUNT_TUNNEL_EXPIRED), 0);
	wire_free(&wire);
}

/* ---- restart ---- */

static void restart(struct wire *wire, int expected)
{
	struct gateway_saved saved;

	assert_true(gateway_save(wire->h->gateway, &saved));
	gateway_free(wire->h->gateway);
	house_start(wire->h);
	assert_int_equal(gateway_restore(wire->h->gateway, wire->h->now, &saved), expected);
}

static void goes_on_after_a_restart(void **state)
{
	struct wire wire = wire_new(RELAY4, GATEWAY4);

	wire.joined4 = true;
	wire.joined6 = true;
	pass(&wire, SECONDS(1));
	wire.h->tapped = false;
	restart(&wire, 0);
	assert_true(wire.h->tapped && wire.h->tap.ecn);
	assert_int_equal(house_state(wire.h), GATEWAY_UP);
	/* a join before the first Query goes with the old MAC */
	wire.cut = true;
	carry(&wire);
	wire.cut = false;
	house_report(wire.h, RECORD_TO_EX, "239.7.7.7", "");
	carry(&wire);
	assert_true(world_forwards(wire.w, tunnel(&wire), "10.0.0.1", "239.7.7.7"));
	pass(&wire, SECONDS(2));
	assert_int_equal(membership_groups(gateway_membership(wire.h->gateway)), 3);
	assert_int_equal(world_tunnels(wire.w), 1);
	assert_int_equal(counter_get(AMT_COUNT_DISCOVERY_RECEIVED), 1);
	/* and it knows its old endpoint: the NAT rebinds during the next restart */
	restart(&wire, 0);
	wire.outside.port = htons(50000);
	pass(&wire, SECONDS(2));
	assert_int_equal(world_tunnels(wire.w), 1);
	assert_int_equal(counter_get(AMT_COUNT_TEARDOWN_ACCEPTED), 1);
	wire_free(&wire);
}

/* The configuration has another relay now: the old one is left when the new one is there. */
static void restarts_with_another_relay(void **state)
{
	struct wire wire = wire_new(RELAY4, GATEWAY4);
	uint32_t old;

	wire.joined4 = true;
	pass(&wire, SECONDS(1));
	old = tunnel(&wire);
	wire.h->candidates[0].addr = address(RELAY_B);
	restart(&wire, -ENOENT);
	assert_true(wire.w->tunnels[old].exists);
	pass(&wire, SECONDS(2));
	assert_int_equal(house_state(wire.h), GATEWAY_UP);
	assert_int_equal(wire.h->tap.relay.addr.bytes[15], 2);
	assert_int_equal(world_tunnels(wire.w), 1);
	assert_int_equal(counter_get(AMT_COUNT_TEARDOWN_ACCEPTED), 1);
	wire_free(&wire);
}

static void refuses_nonsense_saved(void **state)
{
	struct house *h = house_new();
	struct gateway_saved saved = {0};

	house_candidate(h, CANDIDATE_ADDRESS, RELAY_A);
	house_start(h);
	assert_false(gateway_save(h->gateway, &saved));
	assert_int_equal(gateway_restore(h->gateway, h->now, &saved), -EINVAL);
	saved.relay = (struct amt_sockaddr){address(RELAY_A), htons(AMT_PORT)};
	assert_int_equal(gateway_restore(h->gateway, h->now, &saved), -EINVAL);
	saved.query[MLD].valid = 1;
	saved.reported = IGMP;
	assert_int_equal(gateway_restore(h->gateway, h->now, &saved), -EINVAL);
	saved.reported = 77;
	assert_int_equal(gateway_restore(h->gateway, h->now, &saved), -EINVAL);
	assert_false(h->tapped);
	house_wait(h, AMT_DISCOVERY, RELAY_A);
	house_free(h);
}

/* ---- bad input ---- */

static void mutate(struct wire *wire, uint8_t *buf, size_t *len)
{
	unsigned int n = (unsigned int)rand() % 4, i;

	for (i = 0; i <= n && *len; i++)
		buf[(size_t)rand() % *len] ^= (uint8_t)(1 << rand() % 8);
	if (rand() % 8 == 0)
		*len = (size_t)rand() % (*len + 1);
}

/* What comes in must be the relay's octets to be believed; the mutation may only by chance leave
 * them right, or hit a reserved bit, the MAC, L or G, and then a handshake mends it. */
static void lives_through_mutated_messages(void **state)
{
	struct wire wire = wire_new(RELAY4, GATEWAY4);
	uint8_t buf[512], good[512];
	unsigned int i;
	size_t len, good_len;

	srand(7450);
	wire.joined4 = true;
	pass(&wire, SECONDS(1));
	assert_true(wire.w->sent_len <= sizeof(good));
	memcpy(good, wire.w->sent, wire.w->sent_len);
	good_len = wire.w->sent_len;
	for (i = 0; i < MUTATIONS; i++) {
		struct exact exact;

		if (i % 1000 == 0) { /* the last answer of a cycle that waits meanwhile */
			gateway_network_changed(wire.h->gateway, wire.h->now);
			carry(&wire);
			memcpy(good, wire.w->sent, wire.w->sent_len);
			good_len = wire.w->sent_len;
			gateway_network_changed(wire.h->gateway, wire.h->now);
		}
		memcpy(buf, good, good_len);
		len = good_len;
		mutate(&wire, buf, &len);
		exact = exact_copy(buf, len);
		gateway_receive(wire.h->gateway, wire.h->now, &wire.w->sent_from, exact.data, len);
		gateway_report(wire.h->gateway, wire.h->now, exact.data + (len > 12 ? 12 : len),
			       len > 12 ? len - 12 : 0);
		free_exact(&exact);
		while (wire.h->nsent)
			house_letter(wire.h);
	}
	pass(&wire, SECONDS(600));
	assert_int_equal(house_state(wire.h), GATEWAY_UP);
	assert_true(world_forwards(wire.w, tunnel(&wire), "10.0.0.1", GROUP_ANY));
	wire_free(&wire);
}

/* A Query with every bit of it changed, one at a time, while it is awaited: only what the gateway
 * cannot know to be wrong is taken, and then for no longer than a cycle. */
static void takes_no_forged_query(void **state)
{
	static const struct reply plain = {.mac = 0x44};
	struct house *h = house_new();
	struct letter letter;
	uint8_t buf[256];
	size_t len, i;
	unsigned int bit, taken = 0;

	h->options.ecn = false;
	house_candidate(h, CANDIDATE_ADDRESS, RELAY_A);
	house_start(h);
	letter = house_wait(h, AMT_DISCOVERY, RELAY_A);
	house_advertise(h, &letter, RELAY_A);
	letter = house_expect(h, AMT_REQUEST, RELAY_A);
	len = query_message(&letter, &plain, buf, sizeof(buf));
	for (i = 8; i < len; i++) { /* behind the MAC, which only the relay understands */
		for (bit = 0; bit < 8; bit++) {
			buf[i] ^= (uint8_t)(1 << bit);
			house_receive(h, RELAY_A, buf, len);
			buf[i] ^= (uint8_t)(1 << bit);
			taken += house_state(h) == GATEWAY_UP;
		}
	}
	assert_int_equal(taken, 0);
	assert_int_equal(counter_get(AMT_COUNT_GATEWAY_WRONG_NONCE) +
				 counter_get(AMT_COUNT_GATEWAY_BAD_QUERY),
			 (len - 8) * 8);
	house_free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shakes_hands_over_ipv4),
		cmocka_unit_test(shakes_hands_over_ipv6),
		cmocka_unit_test(joins_and_leaves_at_once),
		cmocka_unit_test(roams),
		cmocka_unit_test(survives_an_outage),
		cmocka_unit_test(finds_the_same_relay_again),
		cmocka_unit_test(goes_on_after_a_restart),
		cmocka_unit_test(restarts_with_another_relay),
		cmocka_unit_test(refuses_nonsense_saved),
		cmocka_unit_test(lives_through_mutated_messages),
		cmocka_unit_test(takes_no_forged_query),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
