// SPDX-License-Identifier: GPL-2.0-or-later
/* The real broadcast over veth pairs, direct and recirculated, in XDP. */
#include "bpf/helper_delivery.h"

#include <stdlib.h>

static struct path path;

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

/* A failed delivery leaves nothing to the next. */
static int reset(void **state)
{
	path_reset(&path);
	return 0;
}

static void test_one_copy(void **state)
{
	for (int ipv6 = 0; ipv6 < 2; ipv6++)
		for (unsigned int endpoint = 0; endpoint < 8; endpoint++)
			deliver(&path,
				&(struct delivery){
					.packet = {.ipv6 = ipv6, .payload = 100, .tos = 0xb9},
					.packets = 3,
					.endpoints = 1U << endpoint,
					.members = 1,
				});
}

static void test_direct(void **state)
{
	deliver(&path, &(struct delivery){.packet = {.payload = 1316},
					  .packets = 100,
					  .endpoints = 1,
					  .members = amt_direct_max(PATH_RING)});
	assert_int_equal(path_counter(&path, AMT_COUNT_PACKETS_RECIRCULATED), 0);
}

static void test_recirculated(void **state)
{
	static const unsigned int sizes[] = {16, 17, 64, 256, 257, 1024, 4096, 16384};

	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		deliver(&path, &(struct delivery){.packet = {.payload = 1316},
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
			deliver(&path,
				&(struct delivery){
					.packet = {.ipv6 = ipv6, .payload = 700 + i, .tos = 0x2a},
					.packets = 5,
					.endpoints = EVERY_ENDPOINT,
					.members = sizes[i],
					.group_flags = i & 1 ? AMT_GROUP_CHECKSUM : 0,
				});
}

/* The largest group: 16,384 members of both families, by both uplinks, in three rounds. */
static void test_largest(void **state)
{
	deliver(&path, &(struct delivery){.packet = {.payload = 64},
					  .packets = 4,
					  .endpoints = EVERY_ENDPOINT,
					  .members = 2048});
	/* more frames than these would not fit the receiving sockets */
	deliver(&path, &(struct delivery){.packet = {.payload = 64},
					  .packets = 8,
					  .endpoints = EVERY_ENDPOINT,
					  .members = 2048,
					  .live = true});
}

/* A packet may wait three seconds for its turn, and an emulated machine (AMT_TEST_SLOW) gets
 * through so much less meanwhile. */
static unsigned int burst(unsigned int packets)
{
	return getenv("AMT_TEST_SLOW") ? packets / 4 : packets;
}

/* 64 packets in one poll: the rings hold whatever a poll can bring. */
static void test_burst(void **state)
{
	static const unsigned int sizes[] = {3, 4, 16, 64, 256, 1024};

	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		deliver(&path, &(struct delivery){.packet = {.payload = 1316},
						  .packets = burst(64),
						  .endpoints = 1,
						  .members = sizes[i],
						  .live = true});
	deliver(&path, &(struct delivery){.packet = {.payload = 64},
					  .packets = burst(32),
					  .endpoints = EVERY_ENDPOINT,
					  .members = 512,
					  .live = true});
}

/* Packets one behind the other, without a pause: each member has them in the order in which they
 * came, on whichever path and however deep the tree of blocks is. */
static void test_order(void **state)
{
	static const unsigned int sizes[] = {3, 4, 64, 300, 4096};

	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		deliver(&path, &(struct delivery){.packet = {.payload = 64},
						  .packets = sizes[i] > 1024 ? 16 : 64,
						  .endpoints = 1,
						  .members = sizes[i]});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_one_copy, reset),
		cmocka_unit_test_teardown(test_direct, reset),
		cmocka_unit_test_teardown(test_recirculated, reset),
		cmocka_unit_test_teardown(test_every_endpoint, reset),
		cmocka_unit_test_teardown(test_burst, reset),
		cmocka_unit_test_teardown(test_order, reset),
		cmocka_unit_test_teardown(test_largest, reset),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
