/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Decapsulation for real: a relay in another namespace sends, the uplink's program strips, and a
 * program that joined on the pseudo-interface receives; with XDP and with TC, over restarts.
 */
#include "unit/unit.h"
#include "bpf/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <event2/event.h>
#include "base/clock.h"
#include "bpf/helper_packet.h"
#include "datapath/decap.h"
#include "gateway/pseudo.h"

#define RELAY  "192.0.2.1"
#define LOCAL  "192.0.2.2"
#define RELAY6 "2001:db8::1"
#define LOCAL6 "2001:db8::2"
#define PORT   40000
#define STREAM 5004

static struct {
	char instance[32];
	struct event_base *base;
	struct datapath *dp;
	struct pseudo *pseudo;
	int relay, relay6;	 /* sockets of port 2268 there */
	int receiver, receiver6; /* joined here */
	int endpoint, endpoint6; /* the gateway's own */
} t;

static void open_datapath(void)
{
	const struct datapath_options options = {
		.instance = t.instance,
		.max_tunnels = 16,
		.max_groups = 16,
		.max_blocks = 64,
		.max_nexthops = 16,
		.ttl = 64,
		.events_per_second = 10,
		.lease_ns = 60 * NSEC_PER_SEC,
	};
	static const struct datapath_callbacks callbacks;
	struct error err = {""};

	if (datapath_open(&t.dp, &options, t.base, &callbacks, &err))
		fail_msg("%s", err.text);
}

static void open_pseudo(void)
{
	const struct pseudo_options options = {.instance = t.instance, .name = "amt0", .mtu = 1470};
	struct pseudo_info info;
	struct error err = {""};

	if (pseudo_open(&t.pseudo, &options, t.base, &err))
		fail_msg("%s", err.text);
	pseudo_info(t.pseudo, &info);
	assert_int_equal(datapath_decap_target(t.dp, info.peer_ifindex), 0);
}

static void attach(enum datapath_mode mode)
{
	struct datapath_interface view;
	struct error err = {""};

	if (datapath_attach_gateway(t.dp, "ul0", mode, true, &err))
		fail_msg("%s", err.text);
	assert_int_equal(datapath_interfaces(t.dp, &view, 1), 1);
	assert_true(view.gateway && view.runtime && !view.uplink && !view.upstream);
	assert_int_equal(view.xdp, mode == DATAPATH_MODE_XDP);
	assert_int_equal(view.tc, mode == DATAPATH_MODE_TC);
}

static void bind_to(int fd, const char *address, uint16_t port)
{
	struct amt_sockaddr at = {net_addr(address), htons(port)};
	struct sockaddr_storage native;
	socklen_t length = sockaddr_to_native(&at, &native);

	assert_int_equal(bind(fd, (struct sockaddr *)&native, length), 0);
}

static int here(int family, const char *address, uint16_t port)
{
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0), yes = 1;

	assert_true(fd >= 0);
	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof(yes));
	bind_to(fd, address, port);
	return fd;
}

static void open_sockets(void)
{
	struct ip_mreqn join = {.imr_ifindex = (int)net_ifindex("amt0")};
	struct ipv6_mreq join6 = {.ipv6mr_interface = net_ifindex("amt0")};

	t.relay = net_peer_socket(AF_INET, SOCK_DGRAM, 0);
	t.relay6 = net_peer_socket(AF_INET6, SOCK_DGRAM, 0);
	bind_to(t.relay, RELAY, 2268);
	bind_to(t.relay6, RELAY6, 2268);
	t.endpoint = here(AF_INET, LOCAL, PORT);
	t.endpoint6 = here(AF_INET6, LOCAL6, PORT);
	t.receiver = here(AF_INET, "0.0.0.0", STREAM);
	t.receiver6 = here(AF_INET6, "::", STREAM);
	inet_pton(AF_INET, GROUP4, &join.imr_multiaddr);
	assert_int_equal(setsockopt(t.receiver, IPPROTO_IP, IP_ADD_MEMBERSHIP, &join, sizeof(join)),
			 0);
	inet_pton(AF_INET6, GROUP6, &join6.ipv6mr_multiaddr);
	assert_int_equal(
		setsockopt(t.receiver6, IPPROTO_IPV6, IPV6_JOIN_GROUP, &join6, sizeof(join6)), 0);
}

static struct datapath_decap_relay relay_of(bool ipv6)
{
	return (struct datapath_decap_relay){
		.relay = {net_addr(ipv6 ? RELAY6 : RELAY), htons(2268)},
		.local = {net_addr(ipv6 ? LOCAL6 : LOCAL), htons(PORT)},
		.ecn = true,
	};
}

static void tell(void)
{
	const struct amt_group_key v4 = {.group = net_addr(GROUP4)},
				   v6 = {.group = net_addr(GROUP6)};

	for (unsigned int ipv6 = 0; ipv6 < 2; ipv6++) {
		const struct datapath_decap_relay relay = relay_of(ipv6);

		assert_int_equal(datapath_decap_relay_add(t.dp, &relay), 0);
	}
	assert_int_equal(datapath_decap_wanted_set(t.dp, &v4, false), 0);
	assert_int_equal(datapath_decap_wanted_set(t.dp, &v6, false), 0);
}

/* Sends one datagram of the stream in Multicast Data; its UDP payload in *sent. */
static void send_data(bool outer6, const struct packet_spec *spec, struct packet *inner)
{
	const struct amt_sockaddr to = relay_of(outer6).local;
	struct sockaddr_storage native;
	socklen_t length = sockaddr_to_native(&to, &native);
	uint8_t message[FRAME_MAX] = {6};

	packet_build(inner, spec);
	memcpy(message + 2, inner->frame + inner->front, inner->inner);
	assert_int_equal(sendto(outer6 ? t.relay6 : t.relay, message, 2 + inner->inner, 0,
				(struct sockaddr *)&native, length),
			 2 + inner->inner);
}

static ssize_t receive(int fd, void *buf, size_t size, int wait)
{
	struct pollfd poller = {.fd = fd, .events = POLLIN};

	return poll(&poller, 1, wait) == 1 ? recv(fd, buf, size, MSG_DONTWAIT) : -1;
}

static void expect_stream(void)
{
	uint8_t got[FRAME_MAX];
	struct packet inner;

	for (unsigned int i = 0; i < 64; i++) {
		bool inner6 = i & 2;
		uint32_t payload = 8 + 21 * i, header = inner6 ? 48 : 28;

		send_data(i & 1,
			  &(struct packet_spec){.ipv6 = inner6, .payload = payload, .sequence = i},
			  &inner);
		assert_int_equal(receive(inner6 ? t.receiver6 : t.receiver, got, sizeof(got), 2000),
				 payload);
		assert_memory_equal(got, inner.frame + inner.front + header, payload);
	}
	assert_int_equal(receive(t.endpoint, got, sizeof(got), 0), -1);
	assert_int_equal(receive(t.endpoint6, got, sizeof(got), 0), -1);
}

static void count_relay(void *arg, const struct datapath_decap_relay *relay, uint64_t packets,
			uint64_t bytes, uint64_t last_ns)
{
	uint64_t *sum = arg;

	assert_true(relay->ecn && last_ns <= clock_now());
	*sum += packets;
}

static void count_group(void *arg, const struct datapath_decap_group *group)
{
	uint64_t *sum = arg;

	assert_false(group->excluded);
	*sum += group->packets;
}

static void expect_counted(uint64_t packets)
{
	uint64_t relays = 0, groups = 0;

	datapath_decap_relay_walk(t.dp, count_relay, &relays);
	datapath_decap_wanted_walk(t.dp, count_group, &groups);
	assert_int_equal(relays, packets);
	assert_int_equal(groups, packets);
	assert_int_equal(datapath_decap_packets(t.dp), packets);
}

static void streams(enum datapath_mode mode)
{
	attach(mode);
	tell();
	expect_stream();
	expect_counted(64);
	tell(); /* says nothing new */
	expect_counted(64);
}

static void stream_by_xdp(void **state)
{
	streams(DATAPATH_MODE_XDP);
}

static void stream_by_tc(void **state)
{
	streams(DATAPATH_MODE_TC);
}

/* Nobody is there, and it flows; then a successor finds everything, and need not say it again. */
static void restart(void **state)
{
	struct datapath_interface view;
	char before[100] = "handshake", after[100] = "";

	attach(DATAPATH_MODE_XDP);
	tell();
	assert_int_equal(datapath_gateway_state_set(t.dp, before, sizeof(before)), 0);
	datapath_close(t.dp);
	expect_stream();
	open_datapath();
	expect_stream();
	datapath_adopt_done(t.dp);
	assert_int_equal(datapath_interfaces(t.dp, &view, 1), 1);
	assert_true(view.gateway && view.runtime && view.xdp);
	expect_stream();
	expect_counted(3 * 64);
	assert_int_equal(datapath_gateway_state_get(t.dp, after, sizeof(after)), 0);
	assert_memory_equal(before, after, sizeof(before));
	assert_int_equal(datapath_gateway_state_get(t.dp, after, AMT_GATEWAY_STATE_MAX + 1),
			 -EINVAL);
}

/* The relay's roles and the gateway's keep out of each other's way. */
static void with_relay(void **state)
{
	static const enum datapath_mode modes[] = {DATAPATH_MODE_XDP, DATAPATH_MODE_TC};
	struct datapath_interface view;
	struct error err = {""};

	tell();
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(datapath_attach_gateway(t.dp, "ul0", modes[i], false, &err), 0);
		assert_int_equal(datapath_attach(t.dp, "ul0", true, true, modes[i], false, &err),
				 0);
		assert_int_equal(datapath_interfaces(t.dp, &view, 1), 1);
		assert_true(view.gateway && view.uplink && view.upstream && view.tc);
		assert_int_equal(view.xdp, !i);
		expect_stream();
	}
	expect_counted(2 * 64);
}

/* What the packet path is not told to take goes to the socket, as does what comes after detach. */
static void ends(void **state)
{
	const struct datapath_decap_relay relay = relay_of(false);
	struct packet_spec spec = {.payload = 50};
	struct error err = {""};
	uint8_t got[FRAME_MAX];
	struct packet inner;

	attach(DATAPATH_MODE_XDP);
	send_data(false, &spec, &inner);
	assert_int_equal(receive(t.endpoint, got, sizeof(got), 2000), 2 + inner.inner);
	tell();
	send_data(false, &spec, &inner);
	assert_int_equal(receive(t.receiver, got, sizeof(got), 2000), 50);
	datapath_decap_relay_remove(t.dp, &relay.relay, &relay.local);
	send_data(false, &spec, &inner);
	assert_int_equal(receive(t.endpoint, got, sizeof(got), 2000), 2 + inner.inner);
	tell();
	assert_int_equal(datapath_detach(t.dp, "ul0", &err), 0);
	send_data(false, &spec, &inner);
	assert_int_equal(receive(t.endpoint, got, sizeof(got), 2000), 2 + inner.inner);
	assert_int_equal(receive(t.receiver, got, sizeof(got), 0), -1);
}

static uint64_t xmit_drops(void)
{
	uint64_t counters[AMT_DATA_COUNTERS_NUM];

	assert_int_equal(datapath_counters(t.dp, counters), 0);
	return counters[AMT_COUNT_DECAP_XMIT_DROPS];
}

/* An XDP program that redirects frames into an interface of the other namespace, where the driver
 * drops them: the other end of the pair takes none as large. */
static void drop_elsewhere(uint32_t ifindex, int frames)
{
	const struct bpf_insn redirect[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 1, .imm = (int)ifindex},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 2},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect},
		{.code = BPF_JMP | BPF_EXIT},
	};
	uint8_t frame[1000] = {0};
	DECLARE_LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = sizeof(frame),
			    .repeat = frames, .flags = BPF_F_TEST_XDP_LIVE_FRAMES);
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "elsewhere", "GPL", redirect,
			       sizeof(redirect) / sizeof(redirect[0]), NULL),
	    ret;

	assert_true(fd >= 0);
	net_peer("ip link add name far0 index %u type veth peer name far1", ifindex);
	/* the kernel looks at GRO when the other end comes up */
	net_peer("ethtool -K far1 gro on");
	net_peer("ip link set far1 up mtu 600");
	net_peer("ip link set far0 up");
	net_peer_enter();
	ret = bpf_prog_test_run_opts(fd, &run);
	net_peer_leave();
	close(fd);
	assert_int_equal(ret, 0);
}

/* What does not get into the pseudo-interface is counted; not what is dropped at an interface of
 * the same index in another namespace. */
static void drops(void **state)
{
	const struct packet_spec spec = {.payload = 1000};
	struct pseudo_info info;
	struct packet inner;

	attach(DATAPATH_MODE_XDP);
	tell();
	net_run("ip link set amt0 mtu 600");
	for (unsigned int i = 0; i < 5; i++)
		send_data(false, &spec, &inner);
	for (unsigned int i = 0; i < 200 && xmit_drops() < 5; i++)
		usleep(10000);
	assert_int_equal(xmit_drops(), 5);
	pseudo_info(t.pseudo, &info);
	drop_elsewhere(info.peer_ifindex, 64);
	assert_int_equal(xmit_drops(), 5);
}

static void limits(void **state)
{
	struct datapath_decap_relay relay = relay_of(false);
	const struct amt_group_key unicast = {.group = net_addr(LOCAL)};

	assert_int_equal(datapath_decap_wanted_set(t.dp, &unicast, false), -EINVAL);
	for (unsigned int i = 0; i < AMT_DECAP_RELAYS_MAX; i++) {
		relay.relay.addr.bytes[15] = (uint8_t)(10 + i);
		assert_int_equal(datapath_decap_relay_add(t.dp, &relay), 0);
	}
	assert_int_equal(datapath_decap_relay_add(t.dp, &relay), 0); /* there already */
	relay.relay.addr.bytes[15] = 200;
	assert_int_equal(datapath_decap_relay_add(t.dp, &relay), -ENOSPC);
	relay.relay.port = 0;
	assert_int_equal(datapath_decap_relay_add(t.dp, &relay), -EINVAL);
	assert_int_equal(datapath_decap_target(t.dp, 0x7fffffff), -ENODEV);
}

static int setup(void **state)
{
	static unsigned int n;

	if (!net_enter())
		return -1;
	snprintf(t.instance, sizeof(t.instance), "decap%d-%u", (int)getpid(), n++);
	net_veth("ul0", "ul1");
	net_run("ip addr add " LOCAL "/24 dev ul0; ip addr add " LOCAL6 "/64 nodad dev ul0");
	net_peer("ip addr add " RELAY "/24 dev ul1");
	net_peer("ip addr add " RELAY6 "/64 nodad dev ul1");
	t.base = event_base_new();
	open_datapath();
	open_pseudo();
	open_sockets();
	return 0;
}

static int teardown(void **state)
{
	const int fds[] = {t.relay, t.relay6, t.endpoint, t.endpoint6, t.receiver, t.receiver6};

	for (unsigned int i = 0; i < 6; i++)
		close(fds[i]);
	pseudo_remove(t.pseudo);
	datapath_destroy(t.dp);
	event_base_free(t.base);
	net_leave();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(stream_by_xdp, setup, teardown),
		cmocka_unit_test_setup_teardown(stream_by_tc, setup, teardown),
		cmocka_unit_test_setup_teardown(restart, setup, teardown),
		cmocka_unit_test_setup_teardown(with_relay, setup, teardown),
		cmocka_unit_test_setup_teardown(ends, setup, teardown),
		cmocka_unit_test_setup_teardown(drops, setup, teardown),
		cmocka_unit_test_setup_teardown(limits, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
