// SPDX-License-Identifier: GPL-2.0-or-later
/* See helper_path.h. */
#include "bpf/helper_path.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <amt/wire.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "base/clock.h"

static void run(const char *command)
{
	int status = system(command);

	if (status)
		fail_msg("'%s' ended with %d", command, status);
}

static void make_pair(const char *near, const char *far, unsigned int mtu, int queues)
{
	char command[512], more[64];

	snprintf(more, sizeof(more), "mtu %u numrxqueues %d numtxqueues %d", mtu, queues, queues);
	snprintf(command, sizeof(command),
		 "ip link add %s %s type veth peer name %s %s && "
		 "sysctl -qw net.ipv6.conf.%s.disable_ipv6=1 net.ipv6.conf.%s.disable_ipv6=1 && "
		 "ip link set %s up && ip link set %s up",
		 near, more, far, more, near, far, near, far);
	run(command);
}

/* Debug output of libbpf only where somebody asked for it. */
static int libbpf_print(enum libbpf_print_level level, const char *format, va_list args)
{
	if (level == LIBBPF_WARN || getenv("AMT_TEST_VERBOSE"))
		return vfprintf(stderr, format, args);
	return 0;
}

/* A veth drops what XDP sends to it unless its peer runs an XDP program (or GRO). */
static void attach_pass(int ifindex)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = XDP_PASS},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "xdp_pass", "GPL", insns, 2, NULL);

	assert_true(fd >= 0);
	assert_int_equal(bpf_xdp_attach(ifindex, fd, XDP_FLAGS_DRV_MODE, NULL), 0);
	close(fd);
}

static int packet_socket(int ifindex, int protocol)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET, .sll_protocol = htons(protocol), .sll_ifindex = ifindex};
	int size = 256 << 20, one = 1;
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(protocol));

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (void *)&address, sizeof(address)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one));
	setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one));
	/* a tag that the stack took out of the frame is put back by path_receive() */
	setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &one, sizeof(one));
	return fd;
}

static void make_links(struct path *path)
{
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	make_pair("up0", "up1", 1600, 1);
	/* a queue for each CPU that fills them */
	make_pair("ul0", "ul1", 1700, libbpf_num_possible_cpus());
	make_pair("um0", "um1", 1700, libbpf_num_possible_cpus());
	make_pair("rc0", "rc1", AMT_RECIRCULATE_MTU, libbpf_num_possible_cpus());
	path->up0 = if_nametoindex("up0");
	path->up1 = if_nametoindex("up1");
	path->uplink[0] = if_nametoindex("ul0");
	path->uplink[1] = if_nametoindex("um0");
	path->rc0 = if_nametoindex("rc0");
	path->rc1 = if_nametoindex("rc1");
	attach_pass(if_nametoindex("ul1"));
	attach_pass(if_nametoindex("um1"));
	path->sender = packet_socket(path->up1, 0);
	path->receiver[0] = packet_socket(if_nametoindex("ul1"), ETH_P_ALL);
	path->receiver[1] = packet_socket(if_nametoindex("um1"), ETH_P_ALL);
}

static void size_maps(struct bpf_object *object)
{
	static const struct {
		const char *name;
		uint32_t entries;
	} sizes[] = {
		{"groups", PATH_GROUPS},
		{"group_blocks", PATH_GROUPS},
		{"group_counters", PATH_GROUPS},
		{"group_buckets", PATH_GROUPS},
		{"block_list", PATH_BLOCKS},
		{"blocks", PATH_BLOCKS},
		{"fanout4", PATH_BLOCKS * AMT_BLOCK_MEMBERS},
		{"fanout6", PATH_BLOCKS * AMT_BLOCK_MEMBERS},
		{"nexthops", PATH_NEXTHOPS},
	};
	struct bpf_map *map;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		map = bpf_object__find_map_by_name(object, sizes[i].name);
		assert_non_null(map);
		assert_int_equal(bpf_map__set_max_entries(map, sizes[i].entries), 0);
	}
	map = bpf_object__find_map_by_name(object, "cpus");
	if (map)
		bpf_map__set_max_entries(map, libbpf_num_possible_cpus());
}

static void share_maps(struct path *path)
{
	struct bpf_map *map, *other;

	bpf_object__for_each_map(map, path->tc->obj)
	{
		other = bpf_object__find_map_by_name(path->xdp->obj, bpf_map__name(map));
		/* .rodata and the like are each object's own */
		if (other && bpf_map__name(map)[0] != '.' && !strchr(bpf_map__name(map), '.'))
			assert_int_equal(bpf_map__reuse_fd(map, bpf_map__fd(other)), 0);
	}
}

/* A devmap of n equal entries. */
static void put_devmap(int outer, uint32_t index, unsigned int n, int ifindex, int program)
{
	struct bpf_devmap_val value = {.ifindex = ifindex, .bpf_prog.fd = program};
	int fd = bpf_map_create(BPF_MAP_TYPE_DEVMAP, "copies", 4, sizeof(value), n, NULL);

	assert_true(fd >= 0);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(bpf_map_update_elem(fd, &i, &value, 0), 0);
	assert_int_equal(bpf_map_update_elem(outer, &index, &fd, 0), 0);
	close(fd);
}

static void fill_devmaps(struct path *path)
{
	int egress = bpf_program__fd(path->xdp->progs.amt_egress);
	int fanout = bpf_program__fd(path->xdp->progs.amt_fanout);
	struct bpf_cpumap_val cpu = {.qsize = AMT_CPU_QUEUE, .bpf_prog.fd = fanout};
	int cpus = bpf_map__fd(path->xdp->maps.cpus);

	for (unsigned int uplink = 0; uplink < PATH_UPLINKS; uplink++)
		for (unsigned int n = 1; n <= AMT_BLOCK_MEMBERS; n++)
			put_devmap(bpf_map__fd(path->xdp->maps.clones),
				   uplink * AMT_CLONES_STRIDE + n, n, path->uplink[uplink], egress);
	for (unsigned int n = 1; n <= AMT_RECIRCULATE_MAX; n++)
		put_devmap(bpf_map__fd(path->xdp->maps.recirculate), n, n, path->rc0, egress);
	for (int i = 0; i < libbpf_num_possible_cpus(); i++)
		assert_int_equal(bpf_map_update_elem(cpus, &i, &cpu, 0), 0);
}

static void attach(struct path *path)
{
	int ingress = bpf_program__fd(path->xdp->progs.amt_ingress);
	int recirculate = bpf_program__fd(path->xdp->progs.amt_recirculate);

	assert_int_equal(bpf_xdp_attach(path->up0, ingress, XDP_FLAGS_DRV_MODE, NULL), 0);
	assert_int_equal(bpf_xdp_attach(path->rc1, recirculate, XDP_FLAGS_DRV_MODE, NULL), 0);
	attach_pass(path->rc0);
	path->xmit_link = bpf_raw_tracepoint_open("xdp_devmap_xmit",
						  bpf_program__fd(path->xdp->progs.amt_xmit_drops));
	assert_true(path->xmit_link >= 0);
	path->queue_link = bpf_raw_tracepoint_open(
		"xdp_cpumap_enqueue", bpf_program__fd(path->xdp->progs.amt_queue_drops));
	assert_true(path->queue_link >= 0);
}

/* Ours, and behind it a filter that mirrors what it lets through to the second uplink. */
static void attach_tc(struct path *path)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 2, .imm = path->uplink[1]},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 3, .imm = 0},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_clone_redirect},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = -1},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = path->up0, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, ours, .priority = 1,
		    .prog_fd = bpf_program__fd(path->tc->progs.amt_relay_tc));
	LIBBPF_OPTS(bpf_tc_opts, mirror, .priority = 2);

	assert_int_equal(bpf_tc_hook_create(&hook), 0);
	assert_int_equal(bpf_tc_attach(&hook, &ours), 0);
	mirror.prog_fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "mirror", "GPL", insns, 5, NULL);
	assert_true(mirror.prog_fd >= 0);
	assert_int_equal(bpf_tc_attach(&hook, &mirror), 0);
	close(mirror.prog_fd);
}

void path_open(struct path *path)
{
	memset(path, 0, sizeof(*path));
	libbpf_set_print(libbpf_print);
	make_links(path);
	path->xdp = amt_xdp__open();
	assert_non_null(path->xdp);
	path->xdp->rodata->interface_flags = AMT_INTERFACE_UPSTREAM;
	size_maps(path->xdp->obj);
	assert_int_equal(amt_xdp__load(path->xdp), 0);
	path->tc = amt_tc__open();
	assert_non_null(path->tc);
	size_maps(path->tc->obj);
	share_maps(path);
	assert_int_equal(amt_tc__load(path->tc), 0);
	fill_devmaps(path);
	attach(path);
	attach_tc(path);
	path_reset(path);
}

void path_close(struct path *path)
{
	close(path->xmit_link);
	close(path->queue_link);
	close(path->sender);
	for (unsigned int i = 0; i < PATH_UPLINKS; i++)
		close(path->receiver[i]);
	amt_tc__destroy(path->tc);
	amt_xdp__destroy(path->xdp);
}

void path_config(struct path *path)
{
	uint32_t zero = 0;

	assert_int_equal(
		bpf_map_update_elem(bpf_map__fd(path->xdp->maps.config), &zero, &path->config, 0),
		0);
}

uint32_t path_endpoint(unsigned int uplink, bool ipv6, bool variant)
{
	return uplink * 4 + (ipv6 ? 2 : 0) + (variant ? 1 : 0);
}

static void nexthop_macs(uint32_t uplink, uint8_t *dmac, uint8_t *smac)
{
	memcpy(dmac, "\x02\xaa\x00\x00\x01\x00", 6);
	memcpy(smac, "\x02\xbb\x00\x00\x02\x00", 6);
	dmac[5] = smac[5] = uplink;
}

struct copy_spec path_copy(const struct path *path, uint32_t endpoint, uint8_t inner_tos)
{
	bool variant = endpoint & 1, ipv6 = endpoint & 2;
	struct copy_spec spec = {
		.ipv6 = ipv6,
		.vlan = variant,
		.checksum = ipv6 || path->config.flags & AMT_CONFIG_UDP4_CHECKSUM,
		.relay = ipv6 ? RELAY6 : RELAY4,
		.relay_port = AMT_PORT,
		.vlan_tci = 0x6000 | 42,
	};
	uint8_t dscp = path->config.flags & AMT_CONFIG_DSCP_FIXED ? path->config.dscp : inner_tos;

	spec.tos = (dscp & 0xfc) | (variant ? inner_tos & 3 : 0);
	nexthop_macs(endpoint / 4, spec.dmac, spec.smac);
	return spec;
}

static void put_endpoint(struct path *path, uint32_t id)
{
	bool variant = id & 1, ipv6 = id & 2;
	struct amt_endpoint endpoint = {
		.relay = packet_address(ipv6 ? RELAY6 : RELAY4),
		.port = htons(AMT_PORT),
		.flags = AMT_ENDPOINT_VALID | (ipv6 ? AMT_ENDPOINT_IPV6 : 0) |
			 (variant ? AMT_ENDPOINT_VLAN | AMT_ENDPOINT_ECN : 0),
		.vlan_proto = htons(ETH_P_8021Q),
		.vlan_tci = htons(0x6000 | 42),
		.uplink = id / 4,
		.uplink_ifindex = path->uplink[id / 4],
		.direct_max = amt_direct_max(PATH_RING),
		.block_max = amt_block_max(PATH_RING),
	};
	struct amt_nexthop nexthop = {.ifindex = path->uplink[id / 4], .flags = AMT_NEXTHOP_VALID};
	uint32_t nexthop_id = id + 1;

	nexthop_macs(id / 4, nexthop.dmac, nexthop.smac);
	assert_int_equal(
		bpf_map_update_elem(bpf_map__fd(path->xdp->maps.endpoints), &id, &endpoint, 0), 0);
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(path->xdp->maps.nexthops), &nexthop_id,
					     &nexthop, 0),
			 0);
}

static void clear_counters(struct path *path)
{
	int cpus = libbpf_num_possible_cpus();
	void *zero = calloc(cpus, sizeof(struct amt_group_counters));

	for (uint32_t i = 0; i < AMT_DATA_COUNTERS_NUM; i++)
		bpf_map_update_elem(bpf_map__fd(path->xdp->maps.counters), &i, zero, 0);
	for (uint32_t i = 0; i < PATH_GROUPS; i++)
		bpf_map_update_elem(bpf_map__fd(path->xdp->maps.group_counters), &i, zero, 0);
	free(zero);
}

void path_reset(struct path *path)
{
	int groups = bpf_map__fd(path->xdp->maps.groups);
	struct amt_event_rate rate = {};
	uint8_t frame[FRAME_MAX];
	struct amt_group_key key;
	uint32_t zero = 0;

	while (!bpf_map_get_next_key(groups, NULL, &key))
		bpf_map_delete_elem(groups, &key);
	for (unsigned int uplink = 0; uplink < PATH_UPLINKS; uplink++)
		while (path_receive(path, uplink, frame, 10))
			continue;
	bpf_map_update_elem(bpf_map__fd(path->xdp->maps.event_rate), &zero, &rate, 0);
	path->next_block = path->next_slot = 0;
	path->config = (struct amt_config){
		.schema = AMT_SCHEMA_VERSION,
		.lease_ns = UINT64_MAX,
		.copy_life_ns = 60 * NSEC_PER_SEC,
		.ttl = AMT_OUTER_TTL,
		.cpus = libbpf_num_possible_cpus(),
		.recirculate_ifindex = path->rc0,
		.recirculate_peer = path->rc1,
		.events_per_second = 100,
	};
	path_config(path);
	for (uint32_t id = 0; id < PATH_UPLINKS * 4; id++)
		put_endpoint(path, id);
	clear_counters(path);
}

static void put_member(struct path *path, uint32_t block, unsigned int i, uint32_t endpoint,
		       unsigned int port)
{
	struct amt_member4 v4 = {
		.gateway = {10, 1, port >> 8, port}, .port = htons(port), .nexthop = endpoint + 1};
	struct amt_member6 v6 = {.gateway = {0x20, 0x01, 0x0d, 0xb8, [14] = port >> 8, port},
				 .port = htons(port),
				 .nexthop = endpoint + 1};
	uint32_t slot = block * AMT_BLOCK_MEMBERS + i;
	bool ipv6 = endpoint & 2;
	int map = bpf_map__fd(ipv6 ? path->xdp->maps.fanout6 : path->xdp->maps.fanout4);
	const void *value = ipv6 ? (void *)&v6 : (void *)&v4;

	assert_int_equal(bpf_map_update_elem(map, &slot, value, 0), 0);
}

/* As amtd does it. */
static uint16_t cpu_of(const struct path *path, uint32_t id, uint32_t position)
{
	bool spread = path->config.flags & AMT_CONFIG_SPREAD && position >= AMT_RECIRCULATE_MAX;

	return (id + (spread ? position : 0)) % path->config.cpus;
}

void path_append(struct path *path, uint32_t id, uint32_t endpoint, unsigned int first_port,
		 unsigned int members)
{
	struct amt_group_blocks list;
	int map = bpf_map__fd(path->xdp->maps.group_blocks);

	assert_int_equal(bpf_map_lookup_elem(map, &id, &list), 0);
	for (unsigned int done = 0; done < members;) {
		struct amt_block block = {
			.endpoint = endpoint,
			.cpu = cpu_of(path, id, list.count),
		};
		struct amt_block_ref ref = {.block = path->next_block++};
		uint32_t slot = path->next_slot++;

		for (; block.count < amt_block_max(PATH_RING) && done < members;
		     block.count++, done++)
			put_member(path, ref.block, block.count, endpoint, first_port + done);
		assert_int_equal(bpf_map_update_elem(bpf_map__fd(path->xdp->maps.blocks),
						     &ref.block, &block, 0),
				 0);
		assert_int_equal(bpf_map_update_elem(bpf_map__fd(path->xdp->maps.block_list), &slot,
						     &ref, 0),
				 0);
		list.count++;
	}
	assert_int_equal(bpf_map_update_elem(map, &id, &list, 0), 0);
}

void path_blocks_to(struct path *path, uint16_t cpu)
{
	int map = bpf_map__fd(path->xdp->maps.blocks);
	struct amt_block block;

	for (uint32_t id = 0; id < path->next_block; id++) {
		assert_int_equal(bpf_map_lookup_elem(map, &id, &block), 0);
		block.cpu = cpu;
		assert_int_equal(bpf_map_update_elem(map, &id, &block, 0), 0);
	}
}

struct amt_group path_record(uint32_t id, enum amt_path how)
{
	return (struct amt_group){.id = id, .path = how, .mtu = 1500};
}

void path_change(struct path *path, const char *source, const char *group,
		 const struct amt_group *value)
{
	struct amt_group_key key = {.group = packet_address(group)};

	if (source)
		key.source = packet_address(source);
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(path->xdp->maps.groups), &key, value, 0),
			 0);
}

void path_group(struct path *path, uint32_t id, const char *source, const char *group,
		enum amt_path how, uint32_t endpoint, unsigned int first_port, unsigned int members)
{
	struct amt_group record = path_record(id, how);
	struct amt_group_blocks list = {.first = path->next_slot};

	assert_int_equal(
		bpf_map_update_elem(bpf_map__fd(path->xdp->maps.group_blocks), &id, &list, 0), 0);
	path_append(path, id, endpoint, first_port, members);
	path_change(path, source, group, &record);
}

uint64_t path_counter(struct path *path, enum amt_counter counter)
{
	int cpus = libbpf_num_possible_cpus();
	uint64_t values[cpus], sum = 0;
	uint32_t key = counter;

	assert_int_equal(bpf_map_lookup_elem(bpf_map__fd(path->xdp->maps.counters), &key, values),
			 0);
	for (int i = 0; i < cpus; i++)
		sum += values[i];
	return sum;
}

struct amt_group_counters path_group_counters(struct path *path, uint32_t id)
{
	int cpus = libbpf_num_possible_cpus();
	struct amt_group_counters values[cpus], sum = {};
	int map = bpf_map__fd(path->xdp->maps.group_counters);

	assert_int_equal(bpf_map_lookup_elem(map, &id, values), 0);
	for (int i = 0; i < cpus; i++) {
		sum.packets += values[i].packets;
		sum.bytes += values[i].bytes;
		sum.drops += values[i].drops;
		sum.limited += values[i].limited;
	}
	return sum;
}

int path_run(struct path *path, int ifindex, const struct packet *in, uint8_t *out,
	     uint32_t *out_length)
{
	struct xdp_md context = {.data_end = in->length, .ingress_ifindex = ifindex};
	struct xdp_md context_out = {};
	uint8_t buffer[FRAME_MAX];
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = in->frame, .data_size_in = in->length,
		    .data_out = buffer, .data_size_out = sizeof(buffer), .ctx_in = &context,
		    .ctx_size_in = sizeof(context), .ctx_out = &context_out,
		    .ctx_size_out = sizeof(context_out), .repeat = 1);

	assert_int_equal(
		bpf_prog_test_run_opts(bpf_program__fd(path->xdp->progs.amt_ingress), &options), 0);
	/* the metadata comes first */
	*out_length = options.data_size_out - context_out.data;
	memcpy(out, buffer + context_out.data, *out_length);
	return options.retval;
}

/* All that comes in is sent out by a link; where that cannot be, the run fails. */
static int redirect_program(int ifindex)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 1, .imm = ifindex},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 2, .imm = 0},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "redirect", "GPL", insns, 4, NULL);

	assert_true(fd >= 0);
	return fd;
}

void path_live_by(int program, const struct packet *in, unsigned int number)
{
	struct xdp_md context = {.data_end = in->length};
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = in->frame, .data_size_in = in->length,
		    .ctx_in = &context, .ctx_size_in = sizeof(context), .repeat = number,
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = 64);

	assert_int_equal(bpf_prog_test_run_opts(program, &options), 0);
}

/* By way of up1, not straight into the program: before Linux 6.3 the kernel looks for a live
 * frame's data 40 octets before it when it makes clones. From up1 it comes as from any driver. */
void path_live(struct path *path, const struct packet *in, unsigned int number)
{
	int program = redirect_program(path->up1);

	path_live_by(program, in, number);
	close(program);
}

void path_send(struct path *path, const struct packet *packet)
{
	assert_int_equal(send(path->sender, packet->frame, packet->length, 0), packet->length);
}

/* Puts a VLAN tag back that the stack took out of the frame. */
static uint32_t restore_tag(struct msghdr *message, uint8_t *frame, uint32_t length)
{
	struct cmsghdr *header;

	for (header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
		struct tpacket_auxdata aux;
		uint16_t tag[2];

		if (header->cmsg_level != SOL_PACKET || header->cmsg_type != PACKET_AUXDATA)
			continue;
		memcpy(&aux, CMSG_DATA(header), sizeof(aux));
		if (!(aux.tp_status & TP_STATUS_VLAN_VALID))
			continue;
		memmove(frame + 16, frame + 12, length - 12);
		tag[0] = htons(aux.tp_vlan_tpid);
		tag[1] = htons(aux.tp_vlan_tci);
		memcpy(frame + 12, tag, sizeof(tag));
		return length + 4;
	}
	return length;
}

uint32_t path_receive(struct path *path, unsigned int uplink, uint8_t *frame, int wait)
{
	struct pollfd poller = {.fd = path->receiver[uplink], .events = POLLIN};
	char control[256];
	struct iovec vector = {.iov_base = frame, .iov_len = FRAME_MAX - 4};
	struct msghdr message = {.msg_iov = &vector,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	ssize_t length = recvmsg(path->receiver[uplink], &message, MSG_DONTWAIT);

	if (length < 0 && poll(&poller, 1, wait) == 1) {
		message.msg_controllen = sizeof(control);
		length = recvmsg(path->receiver[uplink], &message, MSG_DONTWAIT);
	}
	return length > 0 ? restore_tag(&message, frame, length) : 0;
}
