/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The data path against the kernel: pins, programs on interfaces, maps as a packet or bpftool sees
 * them, adoption after a restart. Runs in a network namespace of its own.
 */
#include "unit/unit.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <event2/event.h>
#include <linux/if_link.h>
#include "base/addr.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "datapath/datapath.h"
#include "datapath/device.h"

#define BLOCK_MAX 16 /* a veth's ring of 256: 256 / 16 */

static struct {
	char instance[32];
	struct event_base *base;
	struct datapath *dp;
	char vanished[16], returned[16];
} t;

static void sh(const char *command)
{
	if (system(command)) {
		print_error("failed: %s\n", command);
		fail();
	}
}

static void on_interface(void *arg, const char *name, bool present)
{
	snprintf(present ? t.returned : t.vanished, sizeof(t.vanished), "%s", name);
}

static struct datapath_options options(void)
{
	return (struct datapath_options){
		.instance = t.instance,
		.max_tunnels = 600,
		.max_groups = 64,
		.max_blocks = 512,
		.max_nexthops = 64,
		.ttl = 64,
		.events_per_second = 100,
		.lease_ns = 260 * NSEC_PER_SEC,
		.spread = true,
	};
}

static int try_open(const struct datapath_options *o, struct datapath **dp, struct error *err)
{
	static const struct datapath_callbacks callbacks = {.interface_changed = on_interface};

	return datapath_open(dp, o, t.base, &callbacks, err);
}

static void open_with(struct datapath_options o)
{
	struct error err = {""};
	int ret = try_open(&o, &t.dp, &err);

	if (ret)
		print_error("open: %s\n", err.text);
	assert_int_equal(ret, 0);
}

static void turn(unsigned int ms)
{
	const struct timeval period = {ms / 1000, ms % 1000 * 1000};

	event_base_loopexit(t.base, &period);
	event_base_dispatch(t.base);
}

static void attach(const char *name, bool upstream, bool uplink, enum datapath_mode mode)
{
	struct error err = {""};
	int ret = datapath_attach(t.dp, name, upstream, uplink, mode, false, &err);

	if (ret)
		print_error("attach %s: %s\n", name, err.text);
	assert_int_equal(ret, 0);
}

static bool pinned(const char *name)
{
	struct stat st;
	char path[256];

	snprintf(path, sizeof(path), "/sys/fs/bpf/amt/%s/%s", t.instance, name);
	return !stat(path, &st);
}

static int pin_fd(const char *name)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "/sys/fs/bpf/amt/%s/%s", t.instance, name);
	fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	return fd;
}

static int lookup(const char *map, const void *key, void *value)
{
	int fd = pin_fd(map), ret = bpf_map_lookup_elem(fd, key, value) ? -errno : 0;

	close(fd);
	return ret;
}

static uint32_t xdp_program_on(const char *name)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, opts);

	assert_int_equal(bpf_xdp_query((int)if_nametoindex(name), 0, &opts), 0);
	assert_int_not_equal(opts.attach_mode, XDP_ATTACHED_SKB); /* never (bpf/fanout.h) */
	return opts.prog_id ?: opts.drv_prog_id;
}

static uint32_t tc_program_on(const char *name)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)if_nametoindex(name),
		    .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = 1, .priority = 2268);

	return bpf_tc_query(&hook, &opts) ? 0 : opts.prog_id;
}

static struct amt_addr addr(const char *text)
{
	struct amt_addr out;

	assert_int_equal(addr_parse(text, &out), 0);
	return out;
}

static uint32_t tunnel(const char *gateway, uint16_t port, const char *relay, bool ecn)
{
	const struct datapath_tunnel in = {
		.gateway = {addr(gateway), htons(port)},
		.relay = {addr(relay), htons(2268)},
		.ecn = ecn,
		.created_ns = clock_now(),
		.expires_ns = clock_now() + NSEC_PER_SEC,
	};
	uint32_t id;

	assert_int_equal(datapath_tunnel_add(t.dp, &in, &id), 0);
	return id;
}

static struct amt_group_key group_key(const char *source, const char *group)
{
	struct amt_group_key key = {.group = addr(group)};

	if (source)
		key.source = addr(source);
	return key;
}

static uint32_t set(const char *source, const char *group)
{
	const struct amt_group_key key = group_key(source, group);
	uint32_t id;

	assert_int_equal(datapath_set_create(t.dp, &key, &id), 0);
	return id;
}

static struct amt_group group_entry(const char *source, const char *group)
{
	const struct amt_group_key key = group_key(source, group);
	struct amt_group out;

	assert_int_equal(lookup("groups", &key, &out), 0);
	return out;
}

/* Every copy that a packet of the set would make, as "gateway:port", by the pinned maps alone.
 * Returns how many there are; asserts that each is there once. */
#define COPIES_MAX 512
static struct copy {
	struct amt_sockaddr gateway;
	uint32_t endpoint, nexthop;
} copies[COPIES_MAX];

static struct copy read_member(uint32_t block, uint32_t i, const struct amt_endpoint *endpoint)
{
	uint32_t at = block * AMT_BLOCK_MEMBERS + i;
	struct amt_member4 m4;
	struct amt_member6 m6;

	if (endpoint->flags & AMT_ENDPOINT_IPV6) {
		assert_int_equal(lookup("fanout6", &at, &m6), 0);
		return (struct copy){{addr_from_ipv6(m6.gateway), m6.port}, 0, m6.nexthop};
	}
	assert_int_equal(lookup("fanout4", &at, &m4), 0);
	return (struct copy){{addr_from_ipv4(m4.gateway), m4.port}, 0, m4.nexthop};
}

static unsigned int read_copies(uint32_t set_id)
{
	struct amt_group_blocks list;
	struct amt_endpoint endpoint;
	struct amt_block_ref ref;
	struct amt_block block;
	unsigned int n = 0, j;
	uint32_t i, slot, id;

	assert_int_equal(lookup("group_blocks", &set_id, &list), 0);
	for (slot = list.first; slot < list.first + list.count; slot++) {
		assert_int_equal(lookup("block_list", &slot, &ref), 0);
		assert_int_equal(lookup("blocks", &ref.block, &block), 0);
		id = block.endpoint;
		assert_int_equal(lookup("endpoints", &id, &endpoint), 0);
		assert_true(endpoint.flags & AMT_ENDPOINT_VALID);
		assert_true(block.count <= endpoint.block_max);
		for (i = 0; i < block.count; i++) {
			assert_true(n < COPIES_MAX);
			copies[n] = read_member(ref.block, i, &endpoint);
			copies[n].endpoint = block.endpoint;
			for (j = 0; j < n; j++)
				assert_false(
					sockaddr_equal(&copies[j].gateway, &copies[n].gateway));
			n++;
		}
	}
	return n;
}

static bool copied_to(const char *gateway, uint16_t port, unsigned int n)
{
	const struct amt_sockaddr want = {addr(gateway), htons(port)};
	unsigned int i;

	for (i = 0; i < n; i++)
		if (sockaddr_equal(&copies[i].gateway, &want))
			return true;
	return false;
}

/* ---- the network: two uplinks with a router each, an upstream ---- */

static int make_network(void **state)
{
	memset(t.vanished, 0, sizeof(t.vanished));
	memset(t.returned, 0, sizeof(t.returned));
	t.base = event_base_new();
	sh("ip link add src0 type veth peer name src1 && ip link set src0 up && ip link set src1 "
	   "up");
	sh("ip link add dn0 type veth peer name dn1 && ip link set dn0 up && ip link set dn1 up");
	sh("ip link add dn2 type veth peer name dn3 && ip link set dn2 up && ip link set dn3 up");
	sh("ethtool -K dn1 gro on >/dev/null && ethtool -K dn3 gro on >/dev/null");
	sh("ip addr add 10.9.0.1/24 dev dn0 && ip addr add 10.9.1.1/24 dev dn2");
	sh("ip -6 addr add 2001:db8:9::1/64 dev dn0 nodad");
	sh("ip neigh add 10.9.0.2 lladdr 02:00:00:00:00:02 dev dn0");
	sh("ip neigh add 10.9.1.2 lladdr 02:00:00:00:01:02 dev dn2");
	sh("ip neigh add 2001:db8:9::2 lladdr 02:00:00:00:00:02 dev dn0");
	sh("ip route add 10.8.0.0/16 via 10.9.0.2");
	sh("ip -6 route add 2001:db8:8::/48 via 2001:db8:9::2");
	return 0;
}

static int drop_network(void **state)
{
	datapath_destroy(t.dp);
	t.dp = NULL;
	sh("for i in src0 dn0 dn2; do ip link del $i 2>/dev/null; done; true");
	event_base_free(t.base);
	assert_false(pinned(""));
	return 0;
}

/* The uplink's mode is said: before Linux 6.3 nobody tells whether a veth takes XDP frames. */
static void open_attached(void)
{
	open_with(options());
	attach("src0", true, false, DATAPATH_MODE_AUTO);
	attach("dn0", false, true, DATAPATH_MODE_XDP);
}

/* ---- tests ---- */

static void everything_is_pinned_and_goes(void **state)
{
	struct datapath_map_view map;
	struct stat st;
	unsigned int i;

	open_with(options());
	assert_false(datapath_adopted(t.dp));
	for (i = 0; datapath_map(t.dp, i, &map); i++) {
		assert_int_equal(stat(map.path, &st), 0);
		assert_true(map.holds[0] && map.max_entries);
	}
	assert_true(i >= 18);
	assert_true(datapath_counts_xmit_drops(t.dp));
	datapath_destroy(t.dp);
	t.dp = NULL;
	assert_false(pinned(""));
	assert_int_not_equal(system("ip -br link | grep -q amtr-"), 0);
}

static void one_owner_at_a_time(void **state)
{
	struct datapath_options o = options();
	struct datapath *second;
	struct error err = {""};

	open_with(o);
	assert_int_equal(try_open(&o, &second, &err), -EBUSY);
	assert_non_null(strstr(err.text, "-i"));
	o.instance = "../x";
	assert_int_equal(try_open(&o, &second, &err), -EINVAL);
	o = options();
	o.max_nexthops = 70000;
	assert_int_equal(try_open(&o, &second, &err), -EINVAL);
}

static struct datapath_interface view_of(const char *name)
{
	struct datapath_interface list[8];
	unsigned int n = datapath_interfaces(t.dp, list, 8), i;

	for (i = 0; i < n; i++)
		if (!strcmp(list[i].name, name))
			return list[i];
	fail();
	return list[0];
}

static void programs_on_interfaces(void **state)
{
	struct error err = {""};
	uint32_t before;

	open_attached();
	assert_true(view_of("src0").xdp);
	assert_true(view_of("src0").tc);
	assert_true(view_of("dn0").xdp);
	assert_false(view_of("dn0").tc);
	assert_int_equal(view_of("dn0").ring, 256);
	before = xdp_program_on("src0");
	assert_true(before && tc_program_on("src0") && xdp_program_on("dn0"));
	assert_int_equal(tc_program_on("dn0"), 0);

	attach("src0", true, true, DATAPATH_MODE_AUTO); /* other roles: another program */
	assert_int_not_equal(xdp_program_on("src0"), before);
	assert_true(view_of("src0").uplink);
	attach("src0", true, false, DATAPATH_MODE_TC);
	assert_int_equal(xdp_program_on("src0"), 0);
	assert_true(tc_program_on("src0"));
	assert_string_not_equal(view_of("src0").why, "");

	assert_int_equal(
		datapath_attach(t.dp, "nonesuch", true, true, DATAPATH_MODE_AUTO, true, &err),
		-ENODEV);
	assert_int_equal(datapath_detach(t.dp, "nonesuch", &err), -ENODEV);
	assert_int_equal(datapath_detach(t.dp, "src0", &err), 0);
	assert_int_equal(datapath_detach(t.dp, "dn0", &err), 0);
	assert_int_equal(xdp_program_on("dn0"), 0);
	assert_int_equal(tc_program_on("src0"), 0);
	assert_int_not_equal(system("tc qdisc show dev src0 | grep -q clsact"), 0);
}

static void foreign_programs_stay(void **state)
{
	const struct bpf_insn pass[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = XDP_PASS},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int foreign = bpf_prog_load(BPF_PROG_TYPE_XDP, "foreign", "GPL", pass, 2, NULL);
	struct error err = {""};
	uint32_t before;

	assert_true(foreign >= 0);
	open_with(options());
	assert_int_equal(
		bpf_xdp_attach((int)if_nametoindex("src0"), foreign, XDP_FLAGS_DRV_MODE, NULL), 0);
	before = xdp_program_on("src0");
	assert_int_equal(datapath_attach(t.dp, "src0", true, true, DATAPATH_MODE_XDP, false, &err),
			 -EBUSY);
	assert_non_null(strstr(err.text, "another XDP program"));
	assert_int_equal(datapath_interfaces(t.dp, NULL, 0), 0);
	assert_int_equal(tc_program_on("src0"), 0);
	attach("src0", true, true, DATAPATH_MODE_AUTO);
	assert_int_equal(xdp_program_on("src0"), before);
	assert_true(tc_program_on("src0"));
	assert_false(view_of("src0").xdp);
	assert_int_equal(datapath_detach(t.dp, "src0", NULL), 0);
	assert_int_equal(xdp_program_on("src0"), before);
	close(foreign);
}

/* A CPU that makes copies of the set, for each block. Returns how many blocks there are. */
static uint32_t read_cpus(uint32_t set_id, uint64_t *cpus)
{
	struct amt_group_blocks list;
	struct amt_block_ref ref;
	struct amt_block block;
	uint32_t slot;

	*cpus = 0;
	assert_int_equal(lookup("group_blocks", &set_id, &list), 0);
	for (slot = list.first; slot < list.first + list.count; slot++) {
		assert_int_equal(lookup("block_list", &slot, &ref), 0);
		assert_int_equal(lookup("blocks", &ref.block, &block), 0);
		*cpus |= 1ull << block.cpu % 64;
	}
	return list.count;
}

static bool config_says_spread(void)
{
	struct amt_config config;

	assert_int_equal(lookup("config", &(uint32_t){0}, &config), 0);
	return config.flags & AMT_CONFIG_SPREAD;
}

static void add_members(uint32_t id, uint16_t first_port, unsigned int n)
{
	while (n--)
		assert_int_equal(
			datapath_member_add(t.dp, id,
					    tunnel("10.7.0.1", first_port++, "10.9.4.1", false)),
			0);
}

/* One CPU for a small set; all of them for a large one, unless they have to share a queue or the
 * operator does not want it. What is spread stays so, and a successor knows. */
static void large_sets_have_all_cpus(void **state)
{
	long ncpus = sysconf(_SC_NPROCESSORS_CONF);
	struct datapath_options alone = options();
	uint64_t cpus;
	uint32_t id;

	if (ncpus < 2)
		skip();
	sh("n=$(nproc --all) && q=\"numtxqueues $n numrxqueues $n\" && "
	   "ip link add dn4 $q type veth peer name dn5 $q && "
	   "ip link set dn4 up && ip link set dn5 up && ethtool -K dn5 gro on >/dev/null && "
	   "ip addr add 10.9.4.1/24 dev dn4 && "
	   "ip neigh add 10.9.4.2 lladdr 02:00:00:00:04:02 dev dn4 && "
	   "ip route add 10.7.0.0/16 via 10.9.4.2");
	open_with(options());
	attach("src0", true, false, DATAPATH_MODE_AUTO);
	attach("dn0", false, true, DATAPATH_MODE_XDP); /* has one queue */
	attach("dn4", false, true, DATAPATH_MODE_XDP);
	id = set(NULL, "239.1.1.1");
	add_members(id, 1, (AMT_RECIRCULATE_MAX + 1) * BLOCK_MAX);
	assert_int_equal(read_cpus(id, &cpus), AMT_RECIRCULATE_MAX + 1);
	assert_int_equal(cpus, 1ull << id % (uint32_t)ncpus);
	assert_false(config_says_spread());

	assert_int_equal(datapath_detach(t.dp, "dn0", NULL), 0);
	turn(2500);
	assert_true(config_says_spread());
	add_members(id, 1000, BLOCK_MAX);
	read_cpus(id, &cpus);
	assert_int_not_equal(cpus, 1ull << id % (uint32_t)ncpus);
	assert_int_equal(read_copies(id), (AMT_RECIRCULATE_MAX + 2) * BLOCK_MAX);

	alone.spread = false;
	datapath_close(t.dp);
	open_with(alone);
	assert_true(config_says_spread());
	id = set(NULL, "239.1.1.2");
	add_members(id, 2000, (AMT_RECIRCULATE_MAX + 1) * BLOCK_MAX);
	read_cpus(id, &cpus);
	assert_int_equal(cpus, 1ull << id % (uint32_t)ncpus);
	sh("ip link del dn4");
}

static void members_as_packets_see_them(void **state)
{
	uint32_t id, a, b, six, i, many[40];
	struct datapath_set_view view;
	struct amt_nexthop hop;
	struct amt_endpoint endpoint;
	unsigned int n;

	open_attached();
	id = set("192.0.2.1", "232.1.1.1");
	a = tunnel("10.8.0.1", 1000, "10.9.0.1", false);
	b = tunnel("10.8.0.1", 1001, "10.9.0.1", false); /* two behind one address */
	assert_int_equal(datapath_member_add(t.dp, id, a), 0);
	assert_int_equal(datapath_member_add(t.dp, id, b), 0);
	assert_int_equal(datapath_set_publish(t.dp, id, 0), 0);
	n = read_copies(id);
	assert_int_equal(n, 2);
	assert_true(copied_to("10.8.0.1", 1000, n) && copied_to("10.8.0.1", 1001, n));
	assert_int_equal(group_entry("192.0.2.1", "232.1.1.1").id, id);
	assert_int_equal(group_entry("192.0.2.1", "232.1.1.1").path, AMT_PATH_XDP_DIRECT);
	assert_int_equal(group_entry("192.0.2.1", "232.1.1.1").mtu, 1500 - 30);
	assert_int_equal(lookup("nexthops", &copies[0].nexthop, &hop), 0);
	assert_true(hop.flags & AMT_NEXTHOP_VALID);
	assert_int_equal(hop.dmac[5], 2);
	assert_int_equal(lookup("endpoints", &copies[0].endpoint, &endpoint), 0);
	assert_int_equal(endpoint.uplink_ifindex, if_nametoindex("dn0"));
	assert_int_equal(endpoint.block_max, BLOCK_MAX);
	assert_int_equal(endpoint.direct_max, amt_direct_max(256));

	/* the other outer family: another endpoint, so another block, so recirculated */
	six = tunnel("2001:db8:8::1", 1000, "2001:db8:9::1", false);
	assert_int_equal(datapath_member_add(t.dp, id, six), 0);
	assert_int_equal(group_entry("192.0.2.1", "232.1.1.1").path, AMT_PATH_XDP_RECIRCULATED);
	assert_int_equal(group_entry("192.0.2.1", "232.1.1.1").mtu, 1500 - 50);
	assert_int_equal(group_entry("192.0.2.1", "232.1.1.1").flags, AMT_GROUP_CHECKSUM);
	datapath_member_remove(t.dp, id, six);
	assert_int_equal(read_copies(id), 2);
	assert_int_equal(group_entry("192.0.2.1", "232.1.1.1").mtu, 1500 - 30);
	assert_int_equal(group_entry("192.0.2.1", "232.1.1.1").flags, 0);
	/* once recirculated it stays so */
	assert_int_equal(group_entry("192.0.2.1", "232.1.1.1").path, AMT_PATH_XDP_RECIRCULATED);

	for (i = 0; i < 40; i++) {
		many[i] = tunnel("10.8.1.1", (uint16_t)(2000 + i), "10.9.0.1", false);
		assert_int_equal(datapath_member_add(t.dp, id, many[i]), 0);
	}
	assert_int_equal(read_copies(id), 42);
	assert_int_equal(datapath_set_view(t.dp, id, &view), 0);
	assert_int_equal(view.members, 42);
	assert_int_equal(view.blocks, 3);
	for (i = 0; i < 40; i++)
		datapath_tunnel_remove(t.dp, many[i]);
	n = read_copies(id);
	assert_int_equal(n, 2);
	datapath_set_wanted_here(t.dp, id, true);
	assert_int_equal(group_entry("192.0.2.1", "232.1.1.1").path, AMT_PATH_TC);
	assert_int_equal(group_entry("192.0.2.1", "232.1.1.1").flags, AMT_GROUP_HOST);
	datapath_set_destroy(t.dp, id);
	assert_int_equal(datapath_set_view(t.dp, id, &view), -ENOENT);
}

static void direct_as_long_as_it_fits(void **state)
{
	uint32_t id, i;

	open_attached();
	id = set(NULL, "239.1.1.1");
	assert_int_equal(datapath_set_publish(t.dp, id, 0), 0);
	for (i = 0; i < 5; i++) {
		assert_int_equal(
			datapath_member_add(t.dp, id,
					    tunnel("10.8.0.1", (uint16_t)(1 + i), "10.9.0.1", 0)),
			0);
		assert_int_equal(group_entry(NULL, "239.1.1.1").path,
				 i < amt_direct_max(256) ? AMT_PATH_XDP_DIRECT
							 : AMT_PATH_XDP_RECIRCULATED);
	}
}

/* ---- sets that end while the loop has no time for all of their members ---- */

#define MANY	100
#define PACKETS 7 /* of the set */

static struct {
	uint32_t set, tunnels[MANY];
	void (*then)(void); /* in the same turn */
} ending;

static void end_in_a_long_turn(evutil_socket_t fd, short what, void *arg)
{
	while (!loop_turn_is_long())
		;
	datapath_set_destroy(t.dp, ending.set);
	if (ending.then)
		ending.then();
	event_base_loopbreak(t.base);
}

static uint64_t packets_of(uint32_t id)
{
	uint64_t packets, bytes;

	datapath_tunnel_traffic(t.dp, id, &packets, &bytes);
	return packets;
}

static void count_packets(uint32_t set_id)
{
	struct amt_group_counters *values =
		calloc((size_t)libbpf_num_possible_cpus(), sizeof(*values));
	int fd = pin_fd("group_counters");

	assert_non_null(values);
	values[0].packets = PACKETS;
	assert_int_equal(bpf_map_update_elem(fd, &set_id, values, 0), 0);
	free(values);
	close(fd);
}

/* Returns after the turn in which the set of all tunnels has ended, with most of them still in it.
 */
static void end_large_set(void (*then)(void))
{
	unsigned int i;

	open_attached();
	ending.set = set("192.0.2.1", "232.1.1.1");
	ending.then = then;
	for (i = 0; i < MANY; i++) {
		ending.tunnels[i] = tunnel("10.8.0.1", (uint16_t)(1 + i), "10.9.0.1", false);
		assert_int_equal(datapath_member_add(t.dp, ending.set, ending.tunnels[i]), 0);
	}
	assert_int_equal(datapath_set_publish(t.dp, ending.set, 0), 0);
	count_packets(ending.set);
	assert_int_equal(event_base_once(t.base, -1, EV_TIMEOUT, end_in_a_long_turn, NULL, NULL),
			 0);
	loop_run(t.base);
}

static void change_all_while_it_ends(void)
{
	const struct amt_group_key key = group_key("192.0.2.1", "232.1.1.1");
	struct datapath_set_view view;
	uint32_t again;

	assert_int_equal(lookup("groups", &key, &(struct amt_group){0}), -ENOENT);
	assert_int_equal(datapath_set_view(t.dp, ending.set, &view), -ENOENT);
	assert_int_equal(datapath_member_add(t.dp, ending.set, ending.tunnels[1]), -ENOENT);
	again = set("192.0.2.1", "232.1.1.1");
	assert_int_not_equal(again, ending.set);
	assert_int_equal(datapath_member_add(t.dp, again, ending.tunnels[0]), 0);
	assert_int_equal(datapath_member_add(t.dp, again, ending.tunnels[MANY - 1]), 0);
	assert_int_equal(datapath_set_publish(t.dp, again, 0), 0);
	datapath_tunnel_remove(t.dp, ending.tunnels[MANY - 2]);
	assert_int_equal(datapath_tunnel_set_ecn(t.dp, ending.tunnels[MANY - 1], true), 0);
	ending.set = again;
}

static void large_sets_end_by_and_by(void **state)
{
	const struct amt_group_key key = group_key("192.0.2.1", "232.1.1.1");
	unsigned int i;
	uint32_t id;

	end_large_set(change_all_while_it_ends);
	turn(20);
	assert_int_equal(datapath_set_create(t.dp, &key, &id), -EEXIST);
	assert_int_equal(read_copies(ending.set), 2);
	assert_true(copied_to("10.8.0.1", 1, 2));
	assert_true(copied_to("10.8.0.1", MANY, 2));
	for (i = 0; i < MANY; i++)
		assert_int_equal(packets_of(ending.tunnels[i]), i == MANY - 2 ? 0 : PACKETS);
	for (i = 0; i < MANY; i++)
		datapath_tunnel_remove(t.dp, ending.tunnels[i]);
	assert_int_equal(read_copies(ending.set), 0);
}

static void a_restart_while_a_set_ends(void **state)
{
	struct amt_tunnel record;
	unsigned int i;

	end_large_set(NULL);
	datapath_close(t.dp);
	open_with(options());
	assert_true(datapath_adopted(t.dp));
	assert_int_equal(read_copies(ending.set), 0);
	for (i = 0; i < MANY; i++) {
		assert_int_equal(lookup("tunnels", &ending.tunnels[i], &record), 0);
		assert_int_equal(record.packets_offset, PACKETS);
	}
}

static void flag_and_route_move_members(void **state)
{
	uint32_t id, a, b, before;
	struct datapath_nexthop_view hop;
	unsigned int n;

	open_attached();
	attach("dn2", false, true, DATAPATH_MODE_XDP);
	id = set(NULL, "239.1.1.1");
	a = tunnel("10.8.0.1", 1000, "10.9.0.1", false);
	b = tunnel("10.8.0.2", 1000, "10.9.0.1", false);
	assert_int_equal(datapath_member_add(t.dp, id, a), 0);
	assert_int_equal(datapath_member_add(t.dp, id, b), 0);
	assert_int_equal(read_copies(id), 2);
	before = copies[0].endpoint;
	assert_int_equal(copies[1].endpoint, before);
	assert_int_equal(datapath_tunnel_set_ecn(t.dp, a, true), 0);
	assert_int_equal(read_copies(id), 2);
	assert_int_not_equal(copies[0].endpoint, copies[1].endpoint);
	assert_int_equal(datapath_tunnel_set_ecn(t.dp, a, false), 0);
	assert_int_equal(read_copies(id), 2);
	assert_int_equal(copies[0].endpoint, before);
	assert_int_equal(copies[1].endpoint, before);

	sh("ip route replace 10.8.0.2/32 via 10.9.1.2");
	turn(1500);
	n = read_copies(id);
	assert_int_equal(n, 2);
	assert_int_not_equal(copies[0].endpoint, copies[1].endpoint);
	datapath_tunnel_nexthop(t.dp, b, &hop);
	assert_true(hop.routed && hop.resolved);
	assert_string_equal(hop.interface, "dn2");

	sh("ip route add unreachable 10.8.0.1/32");
	turn(1500);
	n = read_copies(id);
	assert_int_equal(n, 1);
	assert_true(copied_to("10.8.0.2", 1000, n));
	datapath_tunnel_nexthop(t.dp, a, &hop);
	assert_false(hop.routed);
	sh("ip route del unreachable 10.8.0.1/32");
	turn(1500);
	assert_int_equal(read_copies(id), 2);
}

static void uplinks_come_and_go(void **state)
{
	struct error err;
	uint32_t id, a;

	open_attached();
	id = set(NULL, "239.1.1.1");
	a = tunnel("10.8.0.1", 1000, "10.9.0.1", false);
	assert_int_equal(datapath_member_add(t.dp, id, a), 0);
	assert_int_equal(datapath_set_publish(t.dp, id, 0), 0);
	assert_int_equal(datapath_detach(t.dp, "dn0", &err), 0);
	assert_int_equal(read_copies(id), 0);
	attach("dn0", false, true, DATAPATH_MODE_TC);
	assert_int_equal(read_copies(id), 1);
	assert_int_equal(group_entry(NULL, "239.1.1.1").path, AMT_PATH_TC);
	attach("dn0", false, true, DATAPATH_MODE_XDP);
	assert_int_equal(read_copies(id), 1);
	assert_int_equal(group_entry(NULL, "239.1.1.1").path, AMT_PATH_XDP_DIRECT);
	if (device_xdp_xmit(if_nametoindex("dn0")) != DEVICE_XMIT_UNKNOWN) { /* from Linux 6.3 on */
		sh("ethtool -K dn1 gro off >/dev/null"); /* frames handed over would vanish */
		turn(2600);
		assert_int_equal(group_entry(NULL, "239.1.1.1").path, AMT_PATH_TC);
		sh("ethtool -K dn1 gro on >/dev/null");
		turn(2600);
		assert_int_equal(group_entry(NULL, "239.1.1.1").path, AMT_PATH_XDP_DIRECT);
	}

	sh("ip link del dn0");
	turn(1500);
	assert_string_equal(t.vanished, "dn0");
	assert_int_equal(read_copies(id), 0);
	assert_int_equal(view_of("dn0").ifindex, 0);
	sh("ip link add dn0 type veth peer name dn1 && ip link set dn0 up && ip link set dn1 up");
	sh("ethtool -K dn1 gro on >/dev/null; ip addr add 10.9.0.1/24 dev dn0");
	sh("ip neigh add 10.9.0.2 lladdr 02:00:00:00:00:02 dev dn0");
	sh("ip route add 10.8.0.0/16 via 10.9.0.2");
	turn(2600);
	assert_string_equal(t.returned, "dn0");
	assert_true(view_of("dn0").xdp && xdp_program_on("dn0"));
	assert_int_equal(read_copies(id), 1);
	assert_int_equal(group_entry(NULL, "239.1.1.1").path, AMT_PATH_XDP_DIRECT);
}

static void clone_maps(void **state)
{
	struct bpf_devmap_val value;
	struct bpf_map_info info;
	__u32 length, key, inner, i;
	int fd;

	open_attached();
	for (i = 1; i <= AMT_BLOCK_MEMBERS; i++) {
		key = i;
		assert_int_equal(lookup("clones", &key, &inner), 0);
		fd = bpf_map_get_fd_by_id(inner);
		assert_true(fd >= 0);
		memset(&info, 0, sizeof(info));
		length = sizeof(info);
		assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &length), 0);
		assert_int_equal(info.max_entries, i);
		key = i - 1;
		assert_int_equal(bpf_map_lookup_elem(fd, &key, &value), 0);
		assert_int_equal(value.ifindex, if_nametoindex("dn0"));
		assert_true(value.bpf_prog.id);
		close(fd);
	}
	key = 0;
	assert_int_equal(lookup("clones", &key, &inner), -ENOENT);
	for (key = 1; key <= AMT_RECIRCULATE_MAX; key++)
		assert_int_equal(lookup("recirculate", &key, &inner), 0);
}

/* ---- restart ---- */

static void say_again(uint32_t id, const char *source, const char *group)
{
	const struct amt_group_key key = group_key(source, group);
	uint32_t again;

	assert_int_equal(datapath_set_create(t.dp, &key, &again), 0);
	assert_int_equal(again, id);
}

static void count_tunnel(void *arg, uint32_t id, const struct amt_tunnel *record)
{
	++*(unsigned int *)arg;
}

static void restart_adopts_and_sweeps(void **state)
{
	const struct amt_secret secret = {.key = {1, 2, 3}, .installed_ns = 7};
	uint32_t kept, swept, tunnels[30], i, program, tc;
	struct amt_secret got;
	unsigned int n = 0;

	open_attached();
	kept = set("192.0.2.1", "232.1.1.1");
	swept = set(NULL, "239.1.1.1");
	for (i = 0; i < 30; i++) {
		tunnels[i] = i % 3 ? tunnel("10.8.0.1", (uint16_t)(1 + i), "10.9.0.1", i % 2)
				   : tunnel("2001:db8:8::1", (uint16_t)(1 + i), "2001:db8:9::1", 0);
		assert_int_equal(datapath_member_add(t.dp, kept, tunnels[i]), 0);
	}
	assert_int_equal(datapath_member_add(t.dp, swept, tunnels[0]), 0);
	assert_int_equal(datapath_set_publish(t.dp, kept, if_nametoindex("src0")), 0);
	assert_int_equal(datapath_set_publish(t.dp, swept, 0), 0);
	assert_int_equal(datapath_secret_set(t.dp, 0, &secret), 0);
	program = xdp_program_on("src0");
	tc = tc_program_on("src0");
	datapath_close(t.dp);
	/* without amtd everything stays */
	assert_int_equal(xdp_program_on("src0"), program);
	assert_int_equal(read_copies(kept), 30);

	open_with(options());
	assert_true(datapath_adopted(t.dp));
	assert_int_equal(read_copies(kept), 30);
	assert_true(xdp_program_on("src0") && xdp_program_on("src0") != program);
	assert_true(tc_program_on("src0") && tc_program_on("src0") != tc);
	datapath_secret_get(t.dp, 0, &got);
	assert_memory_equal(&got, &secret, sizeof(got));
	datapath_walk_tunnels(t.dp, count_tunnel, &n);
	assert_int_equal(n, 30);
	attach("dn0", false, true, DATAPATH_MODE_XDP);
	say_again(kept, "192.0.2.1", "232.1.1.1");
	for (i = 0; i < 20; i++) {
		datapath_tunnel_adopted(t.dp, tunnels[i]);
		assert_int_equal(datapath_member_add(t.dp, kept, tunnels[i]), 0);
	}
	assert_int_equal(datapath_set_publish(t.dp, kept, 0), 0);
	assert_int_equal(read_copies(kept), 30);
	datapath_adopt_done(t.dp);
	n = read_copies(kept);
	assert_int_equal(n, 20);
	assert_true(copied_to("10.8.0.1", 20, n));
	assert_false(copied_to("10.8.0.1", 21, n));
	assert_null(datapath_tunnel(t.dp, tunnels[25]));
	assert_non_null(datapath_tunnel(t.dp, tunnels[5]));
	assert_int_equal(lookup("groups", &(struct amt_group_key){.group = addr("239.1.1.1")},
				&(struct amt_group){0}),
			 -ENOENT);
	/* src0 was not named again */
	assert_int_equal(xdp_program_on("src0"), 0);
	assert_true(xdp_program_on("dn0"));
	assert_int_equal(datapath_member_add(t.dp, kept, tunnel("10.8.0.9", 9, "10.9.0.1", 0)), 0);
	assert_int_equal(read_copies(kept), 21);
}

static void restart_keeps_runtime_interfaces(void **state)
{
	open_with(options());
	assert_int_equal(datapath_attach(t.dp, "dn0", true, true, DATAPATH_MODE_AUTO, true, NULL),
			 0);
	attach("src0", true, false, DATAPATH_MODE_AUTO);
	datapath_close(t.dp);
	sh("ip link del src0"); /* gone while nobody looked */
	open_with(options());
	datapath_adopt_done(t.dp);
	assert_int_equal(datapath_interfaces(t.dp, NULL, 0), 1);
	assert_true(view_of("dn0").runtime && view_of("dn0").xdp && view_of("dn0").tc);
}

static void other_sizes_begin_anew(void **state)
{
	struct datapath_options o = options();
	uint32_t id;

	open_attached();
	id = set(NULL, "239.1.1.1");
	assert_int_equal(datapath_set_publish(t.dp, id, 0), 0);
	datapath_close(t.dp);
	o.max_tunnels *= 2;
	open_with(o);
	assert_false(datapath_adopted(t.dp));
	assert_int_equal(xdp_program_on("src0"), 0);
	assert_int_equal(tc_program_on("src0"), 0);
	assert_int_equal(lookup("groups", &(struct amt_group_key){.group = addr("239.1.1.1")},
				&(struct amt_group){0}),
			 -ENOENT);
}

/* The predecessor was killed between two stores. */
static void restart_after_a_crash(void **state)
{
	struct amt_group_blocks list;
	uint32_t id, i, slot, at, broken;
	struct amt_block block;
	struct amt_block_ref ref;
	int fd;

	open_attached();
	id = set(NULL, "239.1.1.1");
	broken = set(NULL, "239.1.1.2");
	for (i = 0; i < 5; i++)
		assert_int_equal(
			datapath_member_add(t.dp, id,
					    tunnel("10.8.0.1", (uint16_t)(1 + i), "10.9.0.1", 0)),
			0);
	assert_int_equal(datapath_member_add(t.dp, broken, 0), 0);
	assert_int_equal(datapath_set_publish(t.dp, id, 0), 0);
	assert_int_equal(datapath_set_publish(t.dp, broken, 0), 0);
	assert_int_equal(lookup("group_blocks", &id, &list), 0);
	slot = list.first;
	assert_int_equal(lookup("block_list", &slot, &ref), 0);
	assert_int_equal(lookup("blocks", &ref.block, &block), 0);
	datapath_close(t.dp);
	/* a member twice, one of nobody, and a list that leads nowhere */
	fd = pin_fd("fanout4");
	at = ref.block * AMT_BLOCK_MEMBERS;
	struct amt_member4 member;
	assert_int_equal(bpf_map_lookup_elem(fd, &at, &member), 0);
	at += 5;
	assert_int_equal(bpf_map_update_elem(fd, &at, &member, 0), 0);
	at++;
	member.gateway[0] ^= 1;
	assert_int_equal(bpf_map_update_elem(fd, &at, &member, 0), 0);
	close(fd);
	fd = pin_fd("blocks");
	block.count = 7;
	assert_int_equal(bpf_map_update_elem(fd, &ref.block, &block, 0), 0);
	close(fd);
	fd = pin_fd("group_blocks");
	list.first = UINT32_MAX;
	assert_int_equal(bpf_map_update_elem(fd, &broken, &list, 0), 0);
	close(fd);

	open_with(options());
	assert_true(datapath_adopted(t.dp));
	assert_int_equal(read_copies(id), 5);
	assert_int_equal(lookup("groups", &(struct amt_group_key){.group = addr("239.1.1.2")},
				&(struct amt_group){0}),
			 -ENOENT);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_network, drop_network)
	const struct CMUnitTest tests[] = {
		TEST(everything_is_pinned_and_goes),
		TEST(one_owner_at_a_time),
		TEST(programs_on_interfaces),
		TEST(foreign_programs_stay),
		TEST(clone_maps),
		TEST(large_sets_have_all_cpus),
		TEST(members_as_packets_see_them),
		TEST(direct_as_long_as_it_fits),
		TEST(large_sets_end_by_and_by),
		TEST(a_restart_while_a_set_ends),
		TEST(flag_and_route_move_members),
		TEST(uplinks_come_and_go),
		TEST(restart_adopts_and_sweeps),
		TEST(restart_keeps_runtime_interfaces),
		TEST(other_sizes_begin_anew),
		TEST(restart_after_a_crash),
	};

	if (geteuid()) {
		puts("skip datapath: needs root");
		return 77;
	}
	if (unshare(CLONE_NEWNET)) {
		perror("unshare");
		return 99;
	}
	snprintf(t.instance, sizeof(t.instance), "test-datapath-%d", getpid());
	log_set_level(getenv("AMT_TEST_LOG") ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
	sh("ip link set lo up");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
