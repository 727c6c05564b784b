/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a hostile network may send: floods and damaged messages, and normal service after them. */
#include "unit/unit.h"
#include "unit/helper_relay.h"

#include <arpa/inet.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FLOOD	1000000
#define MUTATED 100000

static int setup(void **state)
{
	*state = world_new();
	srand(42);
	return 0;
}

static double cpu_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void assert_normal_service(struct world *w)
{
	struct fake_gateway g = fake_at(w, "203.0.113.200", 50000, RELAY4);

	assert_true(fake_request(&g, false));
	assert_false(g.query.limit);
	fake_report(&g, RECORD_ALLOW, "232.9.9.9", "198.51.100.9");
	assert_true(fake_gets(&g, "198.51.100.9", "232.9.9.9"));
	fake_report(&g, RECORD_BLOCK, "232.9.9.9", "198.51.100.9");
	assert_int_equal(fake_tunnel(&g), UINT32_MAX);
}

/* no state, no memory, from a million forged sources */
static void request_flood_keeps_nothing(void **state)
{
	struct world *w = *state;
	uint8_t request[AMT_REQUEST_LEN] = {AMT_REQUEST};
	struct amt_sockaddr local = {address(RELAY4), htons(AMT_PORT)}, peer = local;
	size_t before;
	double began;
	uint32_t i;

	world_start(w);
	assert_normal_service(w);
	w->nsent = 0;
	before = mallinfo2().uordblks;
	began = cpu_seconds();
	for (i = 0; i < FLOOD; i++) {
		uint32_t octets = 0x0a000000u + i * 7;

		memcpy(peer.addr.bytes + AMT_ADDR_V4_OFFSET, &octets, sizeof(octets));
		peer.addr.bytes[AMT_ADDR_V4_OFFSET] = 11;
		peer.port = (__be16)(i | 1);
		memcpy(request + AMT_REQUEST_NONCE, &i, sizeof(i));
		relay_receive(w->relay, w->now, &local, &peer, request, sizeof(request));
	}
	print_message("%.0f Requests answered per second of CPU time\n",
		      FLOOD / (cpu_seconds() - began));
	assert_int_equal(mallinfo2().uordblks, before);
	assert_int_equal(world_tunnels(w), 0);
	assert_int_equal(counter_get(AMT_COUNT_REQUEST_RECEIVED), FLOOD + 1);
	assert_int_equal(w->nsent + counter_get(AMT_COUNT_REQUEST_RATE_LIMITED), FLOOD);
	assert_true(w->nsent > FLOOD / 100 * 99);
	assert_normal_service(w);
}

/* Updates with a guessed MAC */
static void update_flood_keeps_nothing(void **state)
{
	struct world *w = *state;
	struct amt_sockaddr local = {address(RELAY4), htons(AMT_PORT)}, peer = local;
	struct amt_addr source = address("198.51.100.1");
	struct report_build record = {RECORD_ALLOW, address("232.1.1.1"), &source, 1};
	struct amt_message update = {.type = AMT_UPDATE};
	uint8_t report[128], buf[256];
	size_t before;
	double began;
	int i, len;

	world_start(w);
	update.datagram = report;
	update.datagram_len = (size_t)report_write(false, NULL, &record, 1, report, sizeof(report));
	len = message_write(&update, buf, sizeof(buf));
	assert_true(len > 0);
	before = mallinfo2().uordblks;
	began = cpu_seconds();
	for (i = 0; i < FLOOD / 4; i++) {
		memcpy(peer.addr.bytes + AMT_ADDR_V4_OFFSET, &i, sizeof(i));
		peer.addr.bytes[AMT_ADDR_V4_OFFSET] = 11;
		memcpy(buf + AMT_UPDATE_MAC, &i, sizeof(i));
		relay_receive(w->relay, w->now, &local, &peer, buf, (size_t)len);
	}
	print_message("%.0f forged Updates refused per second of CPU time\n",
		      FLOOD / 4 / (cpu_seconds() - began));
	assert_int_equal(mallinfo2().uordblks, before);
	assert_int_equal(world_tunnels(w), 0);
	assert_int_equal(counter_get(AMT_COUNT_BAD_MAC), FLOOD / 4);
	assert_normal_service(w);
}

/* One of the messages that a gateway sends, with a MAC that is right. */
static size_t sound_message(struct fake_gateway *g, uint8_t *buf, size_t size)
{
	static const char *const groups[] = {"232.1.1.1", "239.1.1.1",	  "224.0.0.5",
					     "ff3e::1",	  "ff0e::1:1:1",  "ff02::16",
					     "224.1.1.1", "ff3e::8000:7", "239.255.1.2"};
	struct amt_addr sources[8];
	struct amt_message msg = {.type = AMT_UPDATE, .nonce = g->nonce};
	struct report_build records[3];
	uint8_t report[1024];
	unsigned int i, n = 1 + (unsigned int)rand() % 3;
	int len;

	memcpy(msg.mac, g->mac, AMT_MAC_LEN);
	for (i = 0; i < n; i++) {
		records[i] = (struct report_build){
			.type = (enum record_type)(rand() % 8),
			.group = address(groups[rand() % 9]),
			.sources = sources,
			.nsources = (unsigned int)rand() % 8,
		};
		if (i && addr_is_ipv4(&records[i].group) != addr_is_ipv4(&records[0].group))
			records[i].group = records[0].group;
	}
	for (i = 0; i < 8; i++) {
		sources[i] =
			address(addr_is_ipv4(&records[0].group) ? "198.51.100.1" : "2001:db8:5::1");
		sources[i].bytes[15] = (uint8_t)(rand() % 16);
	}
	len = rand() % 8 == 0 ? report_write_old(NULL, &records[0].group, rand() % 2, report,
						 sizeof(report))
			      : report_write(!addr_is_ipv4(&records[0].group), NULL, records, n,
					     report, sizeof(report));
	if (len < 0)
		len = 0;
	msg.datagram = report;
	msg.datagram_len = (size_t)len;
	msg.gateway = g->addr;
	msg.ecn = rand() % 2;
	switch (rand() % 16) {
	case 0:
		msg.type = AMT_DISCOVERY;
		break;
	case 1:
		msg.type = AMT_REQUEST;
		break;
	case 2:
		msg.type = AMT_TEARDOWN;
		break;
	default:
		break;
	}
	len = message_write(&msg, buf, size);
	assert_true(len > 0);
	return (size_t)len;
}

/* Damages a message; one in three stays whole. */
static size_t mutate(uint8_t *buf, size_t len)
{
	int flips;

	switch (rand() % 3) {
	case 0:
		return len;
	case 1:
		return (size_t)rand() % (len + 1);
	default:
		for (flips = 1 + rand() % 4; flips; flips--)
			buf[(size_t)rand() % len] ^= (uint8_t)(1 << rand() % 8);
		return len;
	}
}

static void mutated_messages_then_normal_service(void **state)
{
	struct world *w = *state;
	struct fake_gateway g[16];
	uint8_t buf[2048];
	unsigned int i;
	size_t len;

	world_start(w);
	for (i = 0; i < 16; i++) {
		bool v6 = i % 2;

		g[i] = fake_at(w, v6 ? GATEWAY6 : GATEWAY4, (uint16_t)(40000 + i),
			       v6 ? RELAY6 : RELAY4);
		g[i].ecn = i & 2;
	}
	for (i = 0; i < MUTATED; i++) {
		struct fake_gateway *at = &g[rand() % 16];

		if (i % 1000 == 0)
			for (len = 0; len < 16; len++)
				fake_request(&g[len], false);
		len = sound_message(at, buf, sizeof(buf));
		len = mutate(buf, len);
		world_receive(w, &at->local, &at->addr, buf, len);
		if (i % 64 == 0)
			world_pass(w, SECONDS(rand() % 20));
	}
	assert_true(counter_get(AMT_COUNT_UPDATE_ACCEPTED) > MUTATED / 10);
	assert_true(counter_get(AMT_COUNT_TEARDOWN_ACCEPTED) > 100);
	assert_normal_service(w);
	world_pass(w, SECONDS(300)); /* and nothing is left behind */
	assert_int_equal(world_tunnels(w), 0);
	assert_int_equal(world_sets(w), 0);
	assert_int_equal(merge_groups(relay_merge(w->relay)), 0);
}

/* Joins, refreshes and leaves of many tunnels: what one costs */
static void cost_of_an_update(void **state)
{
	struct world *w = *state;
	struct fake_gateway *g = calloc(1000, sizeof(*g));
	double began;
	unsigned int i;

	world_start(w);
	assert_non_null(g);
	for (i = 0; i < 1000; i++) {
		g[i] = fake_at(w, GATEWAY4, (uint16_t)(40000 + i), RELAY4);
		fake_request(&g[i], false);
	}
	began = cpu_seconds();
	for (i = 0; i < 1000; i++)
		fake_report(&g[i], RECORD_ALLOW, "232.1.1.1", "198.51.100.1");
	print_message("%.2f us a join, codec and fake packet path included\n",
		      (cpu_seconds() - began) * 1e6 / 1000);
	began = cpu_seconds();
	for (i = 0; i < 100000; i++)
		fake_report(&g[i % 1000], RECORD_IS_IN, "232.1.1.1", "198.51.100.1");
	print_message("%.2f us a refresh\n", (cpu_seconds() - began) * 1e6 / 100000);
	assert_int_equal(world_tunnels(w), 1000);
	free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, world_teardown)
		TEST(request_flood_keeps_nothing),
		TEST(update_flood_keeps_nothing),
		TEST(mutated_messages_then_normal_service),
		TEST(cost_of_an_update),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
