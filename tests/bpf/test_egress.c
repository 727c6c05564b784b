// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What amt_egress does with copies that cannot go out and with frames of others, and what the
 * drop counters see; policies of the outer header.
 */
#include "bpf/helper_delivery.h"

#include <linux/bpf.h>
#include <linux/if_link.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "base/clock.h"

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

static void put_nexthop(uint32_t id, uint32_t flags)
{
	struct amt_nexthop nexthop;
	int map = bpf_map__fd(path.xdp->maps.nexthops);

	assert_int_equal(bpf_map_lookup_elem(map, &id, &nexthop), 0);
	nexthop.flags = flags;
	assert_int_equal(bpf_map_update_elem(map, &id, &nexthop, 0), 0);
}

static bool is_stub(const uint8_t *frame)
{
	return !memcmp(frame, "\x01\x80\xc2\0\0\x0f", 6) && !memcmp(frame + 12, "\x88\xb5", 2);
}

/* Copies out of the first uplink; *stubs of them are no copies. */
static unsigned int collect(unsigned int *stubs)
{
	uint8_t frame[FRAME_MAX];
	unsigned int copies = 0;
	uint32_t length;

	*stubs = 0;
	while ((length = path_receive(&path, 0, frame, 300))) {
		if (is_stub(frame)) {
			assert_int_equal(length, 60);
			++*stubs;
		} else {
			copies++;
		}
	}
	return copies;
}

static void send_one(void)
{
	struct packet packet;

	packet_build(&packet, &(struct packet_spec){.payload = 200});
	path_send(&path, &packet);
}

static int count_event(void *context, void *data, size_t size)
{
	struct amt_event *event = data;

	assert_int_equal(size, sizeof(*event));
	assert_int_equal(event->type, AMT_EVENT_NEXTHOP_UNRESOLVED);
	assert_int_equal(event->id, 3); /* of endpoint 2 */
	++*(unsigned int *)context;
	return 0;
}

/* The resolved members get theirs, and each of the others is counted and asked for. */
static void test_unresolved(void **state)
{
	struct ring_buffer *ring;
	unsigned int events = 0, stubs;

	ring = ring_buffer__new(bpf_map__fd(path.xdp->maps.events), count_event, &events, NULL);
	put_nexthop(3, 0);
	path_group(&path, 1, NULL, GROUP4, AMT_PATH_XDP_RECIRCULATED, 0, 1000, 40);
	path_append(&path, 1, path_endpoint(0, true, false), 2000, 5);
	path_append(&path, 1, 0, 3000, 7);
	send_one();
	assert_int_equal(collect(&stubs), 47);
	assert_int_equal(path_counter(&path, AMT_COUNT_COPIES_OUT), 47);
	assert_int_equal(path_counter(&path, AMT_COUNT_NEXTHOP_UNRESOLVED), 5);
	assert_int_equal(path_counter(&path, AMT_COUNT_XMIT_DROPS), 0);
	ring_buffer__consume(ring);
	assert_int_equal(events, 5);
	ring_buffer__free(ring);
}

/* Where the whole last bulk is dropped, the copies before it leave all the same. */
static void test_last_bulk_dropped(void **state)
{
	unsigned int stubs;

	put_nexthop(3, 0);
	path_group(&path, 1, NULL, GROUP4, AMT_PATH_XDP_RECIRCULATED, 0, 1000, 32);
	path_append(&path, 1, path_endpoint(0, true, false), 2000, 32);
	send_one();
	assert_int_equal(collect(&stubs), 32);
	assert_in_range(stubs, 1, 2);
	assert_int_equal(path_counter(&path, AMT_COUNT_NEXTHOP_UNRESOLVED), 32);
	assert_int_equal(path_counter(&path, AMT_COUNT_XMIT_DROPS), 0);
}

/* Packets whose copies all fail cost the link no frames, once nothing is waiting before them. */
static void test_all_dropped(void **state)
{
	unsigned int stubs;

	put_nexthop(1, 0);
	path_group(&path, 1, NULL, GROUP4, AMT_PATH_XDP_DIRECT, 0, 1000, 3);
	for (int i = 0; i < 5; i++)
		send_one();
	assert_int_equal(collect(&stubs), 0);
	assert_in_range(stubs, 0, 1);
	assert_int_equal(path_counter(&path, AMT_COUNT_NEXTHOP_UNRESOLVED), 15);
	put_nexthop(1, AMT_NEXTHOP_VALID);
	send_one();
	assert_int_equal(collect(&stubs), 3);
}

static void test_policies(void **state)
{
	static const struct {
		uint32_t flags;
		uint8_t dscp, tos;
	} policies[] = {
		{0, 0, 0xff},
		{0, 0, 0x01},
		{AMT_CONFIG_DSCP_FIXED, 0x88, 0x03},
		{AMT_CONFIG_DSCP_FIXED, 0x8b, 0xfe}, /* only DSCP bits of it count */
		{AMT_CONFIG_DSCP_FIXED, 0x00, 0xb9},
		{AMT_CONFIG_UDP4_CHECKSUM, 0, 0x2e},
	};

	for (unsigned int i = 0; i < sizeof(policies) / sizeof(policies[0]); i++)
		for (unsigned int ipv6 = 0; ipv6 < 2; ipv6++)
			for (enum amt_path how = 0; how <= AMT_PATH_TC; how++) {
				path.config.flags = policies[i].flags;
				path.config.dscp = policies[i].dscp;
				deliver(&path, &(struct delivery){
						       .packet = {.payload = 333 + i,
								  .tos = policies[i].tos,
								  .ipv6 = ipv6},
						       .packets = 2,
						       .endpoints = EVERY_ENDPOINT,
						       .members = 2,
						       .how = how,
					       });
			}
}

/* An unfinished checksum inside is finished, and right under a checksum outside as well. */
static void test_unfinished(void **state)
{
	for (unsigned int ipv6 = 0; ipv6 < 2; ipv6++)
		for (unsigned int size = 0; size < 5; size++)
			deliver(&path, &(struct delivery){
					       .packet = {.payload = 600 + size,
							  .ipv6 = ipv6,
							  .unfinished = true},
					       .packets = 3,
					       .endpoints = EVERY_ENDPOINT,
					       .members = 3,
				       });
}

/* ---- transmit drops ---- */

static void set_direct_max(uint16_t copies)
{
	struct amt_endpoint endpoint;
	uint32_t id = 0;
	int map = bpf_map__fd(path.xdp->maps.endpoints);

	assert_int_equal(bpf_map_lookup_elem(map, &id, &endpoint), 0);
	endpoint.direct_max = copies;
	assert_int_equal(bpf_map_update_elem(map, &id, &endpoint, 0), 0);
}

/* Too many copies for the ring: what is missing is counted. */
static void test_drops_counted(void **state)
{
	struct packet packet;
	unsigned int got, stubs;
	uint64_t drops;

	set_direct_max(32);
	path_group(&path, 1, NULL, GROUP4, AMT_PATH_XDP_DIRECT, 0, 1000, 16);
	packet_build(&packet, &(struct packet_spec){.payload = 100});
	path_live(&path, &packet, 64);
	got = collect(&stubs);
	drops = path_counter(&path, AMT_COUNT_XMIT_DROPS);
	assert_true(drops > 0);
	assert_int_equal(got + drops, 64 * 16);
	assert_int_equal(path_counter(&path, AMT_COUNT_COPIES_OUT), 64 * 16);
}

/* A program of somebody else's, in the place of ours, that broadcasts 16 times to our uplink, with
 * or without our egress program in its devmap. */
static void foreign_run(int egress, unsigned int packets)
{
	struct bpf_devmap_val value = {.ifindex = path.uplink[0], .bpf_prog.fd = egress};
	int map = bpf_map_create(BPF_MAP_TYPE_DEVMAP, "foreign", 4, sizeof(value), 16, NULL);
	const struct bpf_insn insns[] = {
		{.code = BPF_LD | BPF_DW | BPF_IMM,
		 .dst_reg = 1,
		 .src_reg = BPF_PSEUDO_MAP_FD,
		 .imm = map},
		{},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 2, .imm = 0},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 3, .imm = BPF_F_BROADCAST},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect_map},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int ours = bpf_program__fd(path.xdp->progs.amt_ingress);
	int program = bpf_prog_load(BPF_PROG_TYPE_XDP, "foreign", "GPL", insns, 6, NULL);
	struct packet packet;

	assert_true(map >= 0);
	assert_true(program >= 0);
	for (uint32_t i = 0; i < 16; i++)
		assert_int_equal(bpf_map_update_elem(map, &i, &value, 0), 0);
	assert_int_equal(bpf_xdp_attach(path.up0, program, XDP_FLAGS_DRV_MODE, NULL), 0);
	packet_build(&packet, &(struct packet_spec){.payload = 100});
	path_live(&path, &packet, packets);
	assert_int_equal(bpf_xdp_attach(path.up0, ours, XDP_FLAGS_DRV_MODE, NULL), 0);
	close(program);
	close(map);
}

static void test_foreign_drops(void **state)
{
	unsigned int stubs;

	foreign_run(-1, 64);
	assert_true(collect(&stubs) < 64 * 16);
	assert_int_equal(path_counter(&path, AMT_COUNT_XMIT_DROPS), 0);
}

/* Frames of other programs that a bulk takes through ours leave as they came. */
static void test_foreign_frames(void **state)
{
	uint8_t frame[FRAME_MAX];
	struct packet packet;

	foreign_run(bpf_program__fd(path.xdp->progs.amt_egress), 1);
	packet_build(&packet, &(struct packet_spec){.payload = 100});
	for (int i = 0; i < 16; i++) {
		assert_int_equal(path_receive(&path, 0, frame, 300), packet.length);
		assert_memory_equal(frame, packet.frame, packet.length);
	}
	assert_int_equal(path_counter(&path, AMT_COUNT_COPIES_OUT), 0);
	assert_int_equal(path_counter(&path, AMT_COUNT_CURSOR_LOST), 0);
}

/* One packet to three blocks, whose life is that long. */
static unsigned int copies_after(int64_t life_ns)
{
	unsigned int stubs;

	path.config.copy_life_ns = (uint64_t)life_ns;
	path_config(&path);
	send_one();
	return collect(&stubs);
}

/* A packet is copied until its life ends, for all that 16 bits of time can tell. */
static void test_late(void **state)
{
	static const int64_t second = NSEC_PER_SEC;

	path_group(&path, 1, NULL, GROUP4, AMT_PATH_XDP_RECIRCULATED,
		   path_endpoint(0, false, false), 1000, 3 * amt_block_max(PATH_RING));
	assert_int_equal(copies_after(60 * second), 3 * amt_block_max(PATH_RING));
	assert_int_equal(copies_after(500 * second), 3 * amt_block_max(PATH_RING));
	assert_int_equal(path_counter(&path, AMT_COUNT_BLOCKS_LATE), 0);
	assert_int_equal(copies_after(-second), 0);
	assert_int_equal(copies_after(-500 * second), 0);
	assert_int_equal(path_counter(&path, AMT_COUNT_BLOCKS_LATE), 2 * 3);
	assert_int_equal(path_counter(&path, AMT_COUNT_PACKETS_RECIRCULATED), 4);
}

/* Nothing waits on the way of a group of one block. */
static void test_never_late(void **state)
{
	path_group(&path, 1, NULL, GROUP4, AMT_PATH_XDP_DIRECT, path_endpoint(0, false, false),
		   1000, 3);
	assert_int_equal(copies_after(-(int64_t)NSEC_PER_SEC), 3);
	assert_int_equal(path_counter(&path, AMT_COUNT_BLOCKS_LATE), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_unresolved, reset),
		cmocka_unit_test_teardown(test_last_bulk_dropped, reset),
		cmocka_unit_test_teardown(test_all_dropped, reset),
		cmocka_unit_test_teardown(test_policies, reset),
		cmocka_unit_test_teardown(test_unfinished, reset),
		cmocka_unit_test_teardown(test_drops_counted, reset),
		cmocka_unit_test_teardown(test_foreign_drops, reset),
		cmocka_unit_test_teardown(test_foreign_frames, reset),
		cmocka_unit_test_teardown(test_late, reset),
		cmocka_unit_test_teardown(test_never_late, reset),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
