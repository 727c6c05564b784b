/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The data path while packets flow: members come and go, routes change, amtd restarts. Whoever is
 * not concerned gets every packet exactly once. (A packet may overtake another when the number of
 * blocks changes between them, since the recirculation tree gets another depth: shown, not judged.)
 */
#include "unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <event2/event.h>
#include "base/addr.h"
#include "base/clock.h"
#include "base/log.h"
#include "bpf/helper_packet.h"
#include "bpf/helper_stream.h"
#include "bpf/net.h"
#include "datapath/datapath.h"

#define DIRECT	     3	 /* members of the small group, ports from 1 */
#define RECIRCULATED 40	 /* of the large one, ports from 100 */
#define VISITORS     150 /* ports above: these come and go */
#define PACKETS_MAX  60000
#define PERIOD_US    700
#define GROUP_SMALL  "232.1.1.1"
#define GROUP_LARGE  "232.1.1.2"

#define PORT_SMALL   1
#define PORT_LARGE   100
#define PORT_VISITOR 1000
#define STEADY	     (PORT_LARGE + RECIRCULATED)

static struct {
	char instance[32];
	struct event_base *base;
	struct datapath *dp;
	uint32_t small, large, tunnels[STEADY];
	struct stream stream;
	int out; /* packet socket behind the uplink */
	pthread_t receiver;
	volatile bool stop_receiving;
	uint8_t (*seen)[PACKETS_MAX]; /* by port and sequence */
	uint32_t newest[STEADY];
	unsigned int lost, repeated, foreign, overtaken;
} t = {
	/* odd numbers to the small group, even ones to the large one */
	.stream = {.interface = "src1",
		   .groups = {GROUP_LARGE, GROUP_SMALL},
		   .payload = 200,
		   .most = PACKETS_MAX},
};

static int packet_socket(const char *name)
{
	const struct sockaddr_ll at = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)net_ifindex(name),
	};
	const struct timeval patience = {0, 100000};
	const int buffer = 64 << 20;
	int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static bool steady(unsigned int port)
{
	return (port >= PORT_SMALL && port < PORT_SMALL + DIRECT) ||
	       (port >= PORT_LARGE && port < STEADY);
}

static bool meant_for(uint32_t sequence, unsigned int port)
{
	return sequence < PACKETS_MAX && sequence % 2 == (port < PORT_LARGE);
}

static void judge(const uint8_t *frame, size_t length)
{
	uint32_t sequence;
	uint16_t port;

	if (length < 14 + 20 + 8 + 2 + 28 + 4 || frame[12] != 0x08 || frame[23] != IPPROTO_UDP)
		return;
	memcpy(&port, frame + 36, sizeof(port));
	memcpy(&sequence, frame + 72, sizeof(sequence));
	sequence = ntohl(sequence);
	port = ntohs(port);
	if (port >= PORT_VISITOR)
		return;
	if (!steady(port) || !meant_for(sequence, port)) {
		t.foreign++;
		return;
	}
	t.repeated += t.seen[port][sequence]++ > 0;
	t.overtaken += sequence < t.newest[port];
	t.newest[port] = sequence;
}

static void *receive_all(void *arg)
{
	uint8_t frame[2048];
	ssize_t n;

	while ((n = recv(t.out, frame, sizeof(frame), 0)) > 0 || !t.stop_receiving)
		if (n > 0)
			judge(frame, (size_t)n);
	return NULL;
}

static void open_datapath(void)
{
	static const struct datapath_callbacks callbacks;
	const struct datapath_options options = {
		.instance = t.instance,
		.max_tunnels = 1000,
		.max_groups = 64,
		.max_blocks = 2048,
		.max_nexthops = 64,
		.ttl = 64,
		.lease_ns = 260 * NSEC_PER_SEC,
	};
	struct error err = {""};

	if (datapath_open(&t.dp, &options, t.base, &callbacks, &err))
		print_error("%s\n", err.text);
	assert_non_null(t.dp);
	assert_int_equal(datapath_attach(t.dp, "src0", true, false, DATAPATH_MODE_AUTO, 0, &err),
			 0);
	/* said, since before Linux 6.3 nobody tells whether a veth takes XDP frames */
	assert_int_equal(datapath_attach(t.dp, "dn0", false, true, DATAPATH_MODE_XDP, 0, &err), 0);
}

static uint32_t make_set(const char *group)
{
	struct amt_group_key key;
	uint32_t id;

	assert_int_equal(addr_parse(SOURCE4, &key.source), 0);
	assert_int_equal(addr_parse(group, &key.group), 0);
	assert_int_equal(datapath_set_create(t.dp, &key, &id), 0);
	return id;
}

static uint32_t make_tunnel(uint16_t port)
{
	struct datapath_tunnel in = {.gateway.port = htons(port), .relay.port = htons(2268)};
	uint32_t id;

	assert_int_equal(addr_parse("10.8.0.1", &in.gateway.addr), 0);
	assert_int_equal(addr_parse("10.9.0.1", &in.relay.addr), 0);
	assert_int_equal(datapath_tunnel_add(t.dp, &in, &id), 0);
	return id;
}

static void join_steady(bool again)
{
	uint16_t port;

	t.small = make_set(GROUP_SMALL);
	t.large = make_set(GROUP_LARGE);
	for (port = PORT_SMALL; port < STEADY; port++) {
		if (!steady(port))
			continue;
		if (!again)
			t.tunnels[port] = make_tunnel(port);
		datapath_tunnel_adopted(t.dp, t.tunnels[port]);
		assert_int_equal(datapath_member_add(t.dp, port < PORT_LARGE ? t.small : t.large,
						     t.tunnels[port]),
				 0);
	}
	assert_int_equal(datapath_set_publish(t.dp, t.small, 0), 0);
	assert_int_equal(datapath_set_publish(t.dp, t.large, 0), 0);
}

static void start_stream(void)
{
	struct datapath_set_view view;

	assert_int_equal(datapath_set_view(t.dp, t.small, &view), 0);
	assert_int_equal(view.path, AMT_PATH_XDP_DIRECT);
	assert_int_equal(datapath_set_view(t.dp, t.large, &view), 0);
	assert_int_equal(view.path, AMT_PATH_XDP_RECIRCULATED);
	t.seen = calloc(STEADY, sizeof(*t.seen));
	assert_non_null(t.seen);
	memset(t.newest, 0, sizeof(t.newest));
	t.lost = t.repeated = t.foreign = t.overtaken = 0;
	t.stop_receiving = false;
	assert_int_equal(pthread_create(&t.receiver, NULL, receive_all, NULL), 0);
	stream_start(&t.stream, PERIOD_US);
	usleep(100000);
}

/* What was dropped, at most, because this machine was too slow for its load: counted, and not our
 * matter here. */
static uint64_t dropped_by_load(void)
{
	uint64_t counters[AMT_DATA_COUNTERS_NUM];

	assert_int_equal(datapath_counters(t.dp, counters), 0);
	return counters[AMT_COUNT_XMIT_DROPS] + counters[AMT_COUNT_RECIRCULATION_DROPS] +
	       counters[AMT_COUNT_BLOCKS_LATE] * AMT_BLOCK_MEMBERS;
}

static void end_stream(void)
{
	unsigned int port;
	uint32_t sequence;

	stream_stop(&t.stream);
	usleep(300000);
	t.stop_receiving = true;
	pthread_join(t.receiver, NULL);
	for (port = 0; port < STEADY; port++)
		for (sequence = 0; steady(port) && sequence < t.stream.sent; sequence++)
			t.lost += meant_for(sequence, port) && !t.seen[port][sequence];
	free(t.seen);
	print_message("%u packets sent: %u copies lost, %u repeated, %u foreign, %u overtaken\n",
		      t.stream.sent, t.lost, t.repeated, t.foreign, t.overtaken);
	assert_true(t.stream.sent > 100);
	assert_true(t.lost <= dropped_by_load());
	assert_int_equal(t.repeated, 0);
	assert_int_equal(t.foreign, 0);
}

static void turn(unsigned int ms)
{
	const struct timeval period = {ms / 1000, ms % 1000 * 1000};

	event_base_loopexit(t.base, &period);
	event_base_dispatch(t.base);
}

static int make_network(void **state)
{
	t.base = event_base_new();
	/* The uplink has a queue for each CPU, as NICs give XDP: two CPUs on one queue of a veth,
	 * the small group's and the large one's, overflow its ring while the one that empties it is
	 * kept from it. */
	net_run("ip link add src0 type veth peer name src1");
	net_run("n=$(nproc) && q=\"numtxqueues $n numrxqueues $n\" && "
		"ip link add dn0 $q type veth peer name dn1 $q");
	net_run("for i in src0 src1 dn0 dn1; do ip link set $i up; done");
	net_run("ethtool -K dn1 gro on >/dev/null && ip addr add 10.9.0.1/24 dev dn0");
	net_run("ip neigh add 10.9.0.2 lladdr 02:00:00:00:00:02 dev dn0");
	net_run("ip neigh add 10.9.0.3 lladdr 02:00:00:00:00:03 dev dn0");
	net_run("ip route add 10.8.0.0/16 via 10.9.0.2");
	t.out = packet_socket("dn1");
	open_datapath();
	join_steady(false);
	return 0;
}

static int drop_network(void **state)
{
	datapath_destroy(t.dp);
	t.dp = NULL;
	close(t.out);
	net_run("ip link del src0; ip link del dn0");
	event_base_free(t.base);
	return 0;
}

/* ---- tests ---- */

static void members_come_and_go(void **state)
{
	uint32_t visitors[VISITORS];
	unsigned int i, round;

	start_stream();
	for (round = 0; round < 4; round++) {
		for (i = 0; i < VISITORS; i++) {
			visitors[i] = make_tunnel((uint16_t)(PORT_VISITOR + i));
			assert_int_equal(datapath_member_add(t.dp, t.large, visitors[i]), 0);
			if (i % 20 == 0)
				turn(2);
		}
		for (i = 0; i < VISITORS; i++) {
			datapath_tunnel_remove(t.dp, visitors[(i * 7) % VISITORS]);
			if (i % 20 == 0)
				turn(2);
		}
		turn(300);
	}
	end_stream();
}

/* More leaves than there are free blocks: they wait, the others notice nothing. */
static void leaves_faster_than_blocks_come_free(void **state)
{
	unsigned int i, round;
	uint32_t visitor;

	start_stream();
	for (round = 0; round < 3000; round++) {
		visitor = make_tunnel((uint16_t)(PORT_VISITOR + round));
		if (!datapath_member_add(t.dp, t.large, visitor))
			datapath_member_remove(t.dp, t.large, visitor);
		datapath_tunnel_remove(t.dp, visitor);
		if (round % 100 == 0)
			turn(1);
	}
	for (i = 0; i < 10; i++)
		turn(250);
	end_stream();
}

static void next_hop_changes(void **state)
{
	unsigned int i;

	start_stream();
	for (i = 0; i < 4; i++) {
		net_run(i % 2 ? "ip route replace 10.8.0.0/16 via 10.9.0.2"
			      : "ip route replace 10.8.0.0/16 via 10.9.0.3");
		turn(400);
	}
	for (i = PORT_LARGE; i < STEADY; i++) /* to blocks of another endpoint, and back */
		assert_int_equal(datapath_tunnel_set_ecn(t.dp, t.tunnels[i], true), 0);
	turn(100);
	for (i = PORT_LARGE; i < STEADY; i++)
		assert_int_equal(datapath_tunnel_set_ecn(t.dp, t.tunnels[i], false), 0);
	turn(100);
	end_stream();
}

/* As the packet path would count them. */
static void pretend_drops(uint64_t n)
{
	char path[128];
	uint64_t values[64] = {n};
	uint32_t uplink = 0;
	int fd;

	snprintf(path, sizeof(path), "/sys/fs/bpf/amt/%s/uplink_drops", t.instance);
	fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	assert_true(libbpf_num_possible_cpus() <= 64);
	assert_int_equal(bpf_map_update_elem(fd, &uplink, values, 0), 0);
	close(fd);
}

static unsigned int halvings_of_uplink(void)
{
	struct datapath_interface list[2];
	unsigned int i, n = datapath_interfaces(t.dp, list, 2);

	for (i = 0; i < n; i++)
		if (list[i].uplink)
			return list[i].halvings;
	return 99;
}

/* The uplink drops copies: the blocks of those who listen become smaller under the stream. */
static void blocks_become_smaller(void **state)
{
	struct datapath_set_view before, after;

	turn(2500); /* how much was dropped before does not matter */
	start_stream();
	assert_int_equal(datapath_set_view(t.dp, t.large, &before), 0);
	pretend_drops(10);
	turn(5000);
	assert_int_equal(halvings_of_uplink(), 1);
	assert_int_equal(datapath_set_view(t.dp, t.large, &after), 0);
	assert_int_equal(after.members, before.members);
	assert_true(after.blocks >= 2 * before.blocks - 1);
	assert_int_equal(datapath_set_view(t.dp, t.small, &after), 0);
	assert_int_equal(after.path, AMT_PATH_XDP_RECIRCULATED); /* was direct */
	end_stream();
}

static void restarts(void **state)
{
	unsigned int i;

	start_stream();
	for (i = 0; i < 2; i++) {
		datapath_close(t.dp);
		t.dp = NULL;
		usleep(50000);
		open_datapath();
		assert_true(datapath_adopted(t.dp));
		join_steady(true);
		datapath_adopt_done(t.dp);
		turn(200);
	}
	end_stream();
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_network, drop_network)
	const struct CMUnitTest tests[] = {
		TEST(members_come_and_go),
		TEST(leaves_faster_than_blocks_come_free),
		TEST(next_hop_changes),
		TEST(blocks_become_smaller),
		TEST(restarts),
	};

	int failed;

	if (geteuid() || !net_enter()) {
		puts("skip datapath_stream: needs root");
		return 77;
	}
	snprintf(t.instance, sizeof(t.instance), "test-stream-%d", getpid());
	log_set_level(getenv("AMT_TEST_LOG") ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	net_leave();
	return failed;
}
