// SPDX-License-Identifier: GPL-2.0-or-later
/* The TC program, packet in, copies out, and what the host gets of it. */
#include "bpf/helper_delivery.h"

#include <string.h>

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

static int reset(void **state)
{
	path_reset(&path);
	return 0;
}

static void test_one_copy(void **state)
{
	for (int ipv6 = 0; ipv6 < 2; ipv6++)
		for (unsigned int endpoint = 0; endpoint < 8; endpoint++)
			deliver(&path, &(struct delivery){
					       .packet = {.ipv6 = ipv6, .payload = 99, .tos = 0xb9},
					       .packets = 3,
					       .endpoints = 1U << endpoint,
					       .members = 1,
					       .how = AMT_PATH_TC,
				       });
}

static void test_every_endpoint(void **state)
{
	static const unsigned int sizes[] = {1, 16, 60}; /* a veth ring takes 256 in one go */

	for (int ipv6 = 0; ipv6 < 2; ipv6++)
		for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
			deliver(&path,
				&(struct delivery){
					.packet = {.ipv6 = ipv6, .payload = 1316 + i, .tos = 0x2a},
					.packets = 10,
					.endpoints = EVERY_ENDPOINT,
					.members = sizes[i],
					.how = AMT_PATH_TC,
				});
}

static void test_shapes(void **state)
{
	const struct packet_spec shapes[] = {
		{.payload = 50, .vlans = 1},
		{.payload = 51, .vlans = 2},
		{.payload = 52, .vlans = 2, .ipv6 = true},
		{.payload = 4, .padding = 14},
		{.payload = 5, .padding = 13},
		{.payload = 500, .options = 6},
		{.payload = 500, .options = 1, .ipv6 = true},
		{.payload = 500, .fragment = true},
		{.payload = 500, .fragment = true, .ipv6 = true},
		{.payload = 500, .ttl = 2},
	};

	for (unsigned int i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		deliver(&path, &(struct delivery){
				       .packet = shapes[i],
				       .packets = 2,
				       .endpoints = 0x05,
				       .members = 3,
				       .how = AMT_PATH_TC,
			       });
}

static void test_udp4_checksum(void **state)
{
	path.config.flags = AMT_CONFIG_UDP4_CHECKSUM;
	deliver(&path, &(struct delivery){
			       .packet = {.payload = 1001},
			       .packets = 4,
			       .endpoints = EVERY_ENDPOINT,
			       .members = 5,
			       .how = AMT_PATH_TC,
		       });
}

/* What the host gets is what came, octet by octet, tags and all. */
static void host_gets(const struct packet_spec *spec, uint32_t group_flags)
{
	struct amt_group record = path_record(9, AMT_PATH_TC);
	const char *group = spec->ipv6 ? GROUP6 : GROUP4;
	uint8_t frame[FRAME_MAX];
	struct packet packet;
	uint32_t length;

	path_group(&path, 9, NULL, group, AMT_PATH_TC, path_endpoint(0, !spec->ipv6, true), 2000,
		   20);
	record.flags = group_flags;
	path_change(&path, NULL, group, &record);
	packet_build(&packet, spec);
	path_send(&path, &packet);
	length = path_receive(&path, 1, frame, 300);
	if (!group_flags) {
		assert_int_equal(length, 0);
	} else {
		assert_int_equal(length, packet.length - spec->padding);
		assert_memory_equal(frame, packet.frame, length);
	}
	for (int i = 0; i < 20; i++)
		assert_true(path_receive(&path, 0, frame, 100));
	assert_int_equal(path_counter(&path, AMT_COUNT_COPIES_OUT), 20);
	path_reset(&path);
}

static void test_host(void **state)
{
	for (int ipv6 = 0; ipv6 < 2; ipv6++)
		for (unsigned int vlans = 0; vlans < 3; vlans++) {
			struct packet_spec spec = {
				.ipv6 = ipv6, .vlans = vlans, .payload = 301, .padding = 3};

			host_gets(&spec, 0);
			host_gets(&spec, AMT_GROUP_HOST);
		}
}

/* Groups of XDP's are none of TC's business. */
static void test_other_paths(void **state)
{
	uint8_t frame[FRAME_MAX];
	struct packet packet;

	path_group(&path, 9, NULL, GROUP4, AMT_PATH_TC, 0, 2000, 2);
	packet_build(&packet, &(struct packet_spec){.payload = 8, .group = "232.9.9.9"});
	path_send(&path, &packet);
	assert_int_equal(path_receive(&path, 1, frame, 300), packet.length);
	assert_memory_equal(frame, packet.frame, packet.length);
	assert_int_equal(path_receive(&path, 0, frame, 50), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_one_copy, reset),
		cmocka_unit_test_teardown(test_every_endpoint, reset),
		cmocka_unit_test_teardown(test_shapes, reset),
		cmocka_unit_test_teardown(test_udp4_checksum, reset),
		cmocka_unit_test_teardown(test_host, reset),
		cmocka_unit_test_teardown(test_other_paths, reset),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
