// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The real broadcast over veth pairs: every member gets every packet exactly once, in order,
 * unchanged but for what a router changes, in a right outer header; nobody gets anything else.
 */
#include "bpf/helper_path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FIRST_PORT 1000
#define PORTS	   20000
#define PATIENCE   300 /* ms without a frame: no more will come */

static struct path path;

/* Which packets a member has had. */
struct member {
	unsigned int copies, next;
	bool disordered;
};

struct delivery {
	struct packet_spec packet;
	unsigned int packets;
	unsigned int endpoints; /* bit i: members at endpoint i, `members` each */
	unsigned int members;
	enum amt_path how;
	uint32_t group_flags;
	bool live; /* one burst of equal packets by a test run, in polls of 64 */
};

static int setup(void **state)
{
	path_open(&path);
	return 0;
}

static int teardown(void **state)
{
	path_close(&path);
	return 0;
}

static unsigned int port_of(unsigned int endpoint, const struct delivery *delivery)
{
	unsigned int before = __builtin_popcount(delivery->endpoints & ((1U << endpoint) - 1));

	return FIRST_PORT + before * delivery->members;
}

static void prepare(const struct delivery *delivery)
{
	const char *group = delivery->packet.ipv6 ? GROUP6 : GROUP4;
	struct amt_group record = path_record(7, delivery->how);
	bool first = true;

	for (unsigned int endpoint = 0; endpoint < 8; endpoint++) {
		unsigned int port = port_of(endpoint, delivery);

		if (!(delivery->endpoints & 1U << endpoint))
			continue;
		if (first)
			path_group(&path, 7, NULL, group, delivery->how, endpoint, port,
				   delivery->members);
		else
			path_append(&path, 7, endpoint, port, delivery->members);
		first = false;
	}
	record.flags = delivery->group_flags;
	path_change(&path, NULL, group, &record);
}

/* One frame out of an uplink: whose copy of which packet is it? */
static void judge(const struct delivery *delivery, unsigned int uplink, const uint8_t *frame,
		  uint32_t length, struct member *members)
{
	struct packet_spec spec = delivery->packet;
	const char *why = "no endpoint there";
	struct packet expected;
	const uint8_t *inner;
	uint32_t inner_length;
	struct member *member;
	int port = -1;

	for (unsigned int i = uplink * 4; port < 0 && i < uplink * 4 + 4; i++) {
		struct copy_spec copy = path_copy(&path, i, spec.tos);

		if (!(delivery->endpoints & 1U << i))
			continue;
		port = copy_check(frame, length, &copy, &inner, &inner_length, &why);
	}
	if (port < 0)
		fail_msg("frame of %u octets out of uplink %u: %s", length, uplink, why);
	member = &members[port - FIRST_PORT];
	if (delivery->live)
		spec.sequence = 0;
	else
		spec.sequence = inner[inner_length - spec.payload + 2] << 8 |
				inner[inner_length - spec.payload + 3];
	packet_forwarded(&expected, &spec);
	assert_int_equal(inner_length, expected.inner);
	assert_memory_equal(inner, expected.frame + expected.front, inner_length);
	if (!delivery->live && member->next != spec.sequence)
		member->disordered = true;
	member->next = spec.sequence + 1;
	member->copies++;
}

static unsigned int collect(const struct delivery *delivery, struct member *members,
			    unsigned int expected)
{
	uint8_t frame[FRAME_MAX];
	unsigned int got = 0;
	uint32_t length;

	for (int idle = 0; idle < 2;) {
		idle++;
		for (unsigned int uplink = 0; uplink < PATH_UPLINKS; uplink++) {
			int wait = got < expected ? PATIENCE : 20;

			while ((length = path_receive(&path, uplink, frame, wait))) {
				judge(delivery, uplink, frame, length, members);
				got++;
				idle = 0;
				wait = 20;
			}
		}
	}
	return got;
}

static void deliver(const struct delivery *delivery)
{
	unsigned int number = __builtin_popcount(delivery->endpoints) * delivery->members;
	struct member *members = calloc(PORTS, sizeof(*members));
	struct packet_spec spec = delivery->packet;
	struct packet packet;
	unsigned int got;

	path_config(&path);
	prepare(delivery);
	packet_build(&packet, &spec);
	if (delivery->live)
		path_live(&path, &packet, delivery->packets);
	for (unsigned int i = 0; !delivery->live && i < delivery->packets; i++) {
		spec.sequence = i;
		packet_build(&packet, &spec);
		path_send(&path, &packet);
	}
	got = collect(delivery, members, number * delivery->packets);
	for (unsigned int i = 0; i < number; i++) {
		if (members[i].copies != delivery->packets || members[i].disordered)
			fail_msg("member %u of %u: %u of %u packets%s; %u copies in all, "
				 "%llu dropped at transmit, %llu in recirculation",
				 i, number, members[i].copies, delivery->packets,
				 members[i].disordered ? ", out of order" : "", got,
				 (unsigned long long)path_counter(&path, AMT_COUNT_XMIT_DROPS),
				 (unsigned long long)path_counter(&path,
								  AMT_COUNT_RECIRCULATION_DROPS));
	}
	assert_int_equal(got, number * delivery->packets);
	assert_int_equal(path_counter(&path, AMT_COUNT_COPIES_OUT), got);
	assert_int_equal(path_counter(&path, AMT_COUNT_PACKETS_IN), delivery->packets);
	assert_int_equal(path_counter(&path, AMT_COUNT_XMIT_DROPS), 0);
	assert_int_equal(path_counter(&path, AMT_COUNT_RECIRCULATION_DROPS), 0);
	free(members);
	path_reset(&path);
}

#define EVERY_ENDPOINT 0xff

static void test_one_copy(void **state)
{
	for (int ipv6 = 0; ipv6 < 2; ipv6++)
		for (unsigned int endpoint = 0; endpoint < 8; endpoint++)
			deliver(&(struct delivery){
				.packet = {.ipv6 = ipv6, .payload = 100, .tos = 0xb9},
				.packets = 3,
				.endpoints = 1U << endpoint,
				.members = 1,
			});
}

static void test_direct(void **state)
{
	deliver(&(struct delivery){.packet = {.payload = 1316},
				   .packets = 100,
				   .endpoints = 1,
				   .members = amt_direct_max(PATH_RING)});
	assert_int_equal(path_counter(&path, AMT_COUNT_PACKETS_RECIRCULATED), 0);
}

static void test_recirculated(void **state)
{
	static const unsigned int sizes[] = {16, 17, 64, 256, 257, 1024, 4096, 16384};

	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		deliver(&(struct delivery){.packet = {.payload = 1316},
					   .packets = sizes[i] > 1024 ? 3 : 10,
					   .endpoints = 1,
					   .members = sizes[i]});
}

/* Both families, both uplinks, with and without a tag, in one group. */
static void test_every_endpoint(void **state)
{
	static const unsigned int sizes[] = {1, 16, 40, 256};

	for (int ipv6 = 0; ipv6 < 2; ipv6++)
		for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
			deliver(&(struct delivery){
				.packet = {.ipv6 = ipv6, .payload = 700 + i, .tos = 0x2a},
				.packets = 5,
				.endpoints = EVERY_ENDPOINT,
				.members = sizes[i],
				.group_flags = i & 1 ? AMT_GROUP_CHECKSUM : 0,
			});
}

/* 64 packets in one poll: the rings hold whatever a poll can bring. */
static void test_burst(void **state)
{
	static const unsigned int sizes[] = {3, 4, 16, 64, 256, 1024};

	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		deliver(&(struct delivery){.packet = {.payload = 1316},
					   .packets = 64,
					   .endpoints = 1,
					   .members = sizes[i],
					   .live = true});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_copy),     cmocka_unit_test(test_direct),
		cmocka_unit_test(test_recirculated), cmocka_unit_test(test_every_endpoint),
		cmocka_unit_test(test_burst),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
