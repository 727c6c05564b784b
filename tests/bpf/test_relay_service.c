/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The whole relay in one process against a real kernel: a gateway asks and joins, a source sends,
 * copies arrive; and then amtd restarts, interfaces come and go, datagrams are too big.
 */
#include "unit/unit.h"
#include "bpf/net.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <event2/event.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include "base/clock.h"
#include "base/config.h"
#include "base/counters.h"
#include "proto/message.h"
#include "proto/report.h"
#include "relay/holder.h"
#include "relay/service.h"

#define GROUP4	"232.1.1.1"
#define GROUP6	"ff3e::8000:1"
#define SOURCE4 "198.51.100.1"
#define SOURCE6 "2001:db8:5::1"

static struct {
	char instance[32];
	struct event_base *base;
	struct config config;
	struct relay_service *service;
} t;

static void turn_loop(unsigned int ms)
{
	const struct timeval wait = {.tv_usec = ms * 1000};

	event_base_loopexit(t.base, &wait);
	event_base_loop(t.base, EVLOOP_ONCE);
}

/* The condition is asked once a turn: it may take something in. */
#define await(condition, seconds)                                                    \
	do {                                                                         \
		uint64_t end_ = clock_now() + (seconds)*NSEC_PER_SEC;                \
		bool met_;                                                           \
		while (!(met_ = (condition)) && clock_now() < end_)                  \
			turn_loop(5);                                                \
		if (!met_)                                                           \
			fail_msg("not within %d s: %s", (int)(seconds), #condition); \
	} while (0)

/* ---- the relay ---- */

static int try_service(struct error *err)
{
	const struct relay_service_options options = {t.instance, &t.config.relay};

	return relay_service_open(&t.service, &options, t.base, err);
}

static void open_service(void)
{
	struct error err = {""};

	if (try_service(&err))
		fail_msg("%s", err.text);
}

static void name_interface(struct config_names *names, const char *name)
{
	names->list = realloc(names->list, (names->n + 1) * sizeof(*names->list));
	assert_non_null(names->list);
	names->list[names->n] = strdup(name);
	assert_non_null(names->list[names->n]);
	names->n++;
}

static void name_address(struct config_addresses *addresses, const char *text)
{
	addresses->list = realloc(addresses->list, (addresses->n + 1) * sizeof(*addresses->list));
	assert_non_null(addresses->list);
	addresses->list[addresses->n++] = net_addr(text);
}

static unsigned int tunnels(void)
{
	return relay_tunnels(relay_service_relay(t.service));
}

static unsigned int joined(void)
{
	struct upstream_status status;

	upstream_status(relay_service_upstream(t.service), &status);
	return status.groups - status.failed;
}

static unsigned int addresses(void)
{
	return relay_service_addresses(t.service, NULL, 0);
}

static bool is_pinned(void)
{
	char path[128];
	struct stat st;

	snprintf(path, sizeof(path), "/sys/fs/bpf/amt/%s", t.instance);
	return !stat(path, &st);
}

static int setup(void **state)
{
	counter_reset_all();
	net_veth("up0", "src0");
	net_veth("ul0", "gw0");
	net_run("ip address add 198.51.100.254/24 dev up0");
	net_run("ip address add 2001:db8:5::254/64 dev up0");
	net_run("ip address add 192.0.2.1/24 dev ul0");
	net_run("ip address add 2001:db8::1/64 dev ul0");
	net_peer("ip address add " SOURCE4 "/24 dev src0");
	net_peer("ip address add " SOURCE6 "/64 dev src0");
	net_peer("ip address add 192.0.2.9/24 dev gw0");
	net_peer("ip address add 2001:db8::9/64 dev gw0");
	net_peer("ethtool -K src0 tx off >/dev/null"); /* finish checksums in the stack */
	net_peer("ethtool -K gw0 gro on >/dev/null");  /* it takes frames from XDP only then */
	t.base = event_base_new();
	assert_non_null(t.base);
	assert_int_equal(config_default(&t.config), 0);
	t.config.relay.max_tunnels = 100;
	t.config.relay.max_channels = 100;
	t.config.relay.max_blocks = 200;
	t.config.relay.max_nexthops = 100;
	snprintf(t.instance, sizeof(t.instance), "test-service-%d", (int)getpid());
	return 0;
}

static int teardown(void **state)
{
	relay_service_destroy(t.service);
	t.service = NULL;
	config_free(&t.config);
	event_base_free(t.base);
	net_run("ip link del up0");
	net_run("ip link del ul0");
	return 0;
}

/* ---- a gateway and a source ---- */

struct host {
	int fd;
	struct amt_sockaddr relay;
	uint32_t nonce;
	uint8_t mac[AMT_MAC_LEN];
	uint8_t got[2048];
	ssize_t len; /* of got */
};

static struct host gateway(const char *addr, const char *relay)
{
	struct host g = {.relay = {net_addr(relay), htons(AMT_PORT)}, .nonce = 0x01020304};
	const struct amt_sockaddr at = {net_addr(addr), 0};
	struct sockaddr_storage native;
	socklen_t len = sockaddr_to_native(&at, &native);

	g.fd = net_peer_socket(native.ss_family, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(g.fd, (struct sockaddr *)&native, len), 0);
	len = sockaddr_to_native(&g.relay, &native);
	assert_int_equal(connect(g.fd, (struct sockaddr *)&native, len), 0); /* */
	return g;
}

static bool receives(struct host *h)
{
	h->len = recv(h->fd, h->got, sizeof(h->got), 0);
	return h->len >= 0;
}

static void say(struct host *h, const struct amt_message *msg)
{
	uint8_t buf[512];
	int len = message_write(msg, buf, sizeof(buf));

	assert_true(len > 0);
	assert_int_equal(send(h->fd, buf, (size_t)len, 0), len);
}

static void join(struct host *h, enum record_type type, const char *group, const char *source)
{
	struct amt_addr from = net_addr(source);
	struct report_build record = {type, net_addr(group), &from, 1};
	bool mld = !addr_is_ipv4(&record.group);
	struct amt_message msg = {.type = AMT_REQUEST, .nonce = h->nonce, .want_mld = mld};
	uint8_t report[256];
	int len;

	say(h, &msg);
	await(receives(h), 3);
	assert_int_equal(message_parse(h->got, (size_t)h->len, &msg), 0);
	assert_int_equal(msg.type, AMT_QUERY);
	memcpy(h->mac, msg.mac, AMT_MAC_LEN);
	len = report_write(mld, NULL, &record, 1, report, sizeof(report));
	assert_true(len > 0);
	msg = (struct amt_message){.type = AMT_UPDATE, .nonce = h->nonce};
	memcpy(msg.mac, h->mac, AMT_MAC_LEN);
	msg.datagram = report;
	msg.datagram_len = (size_t)len;
	say(h, &msg);
}

static struct host source_of(const char *addr)
{
	const struct amt_sockaddr at = {net_addr(addr), htons(6000)};
	struct sockaddr_storage native;
	socklen_t len = sockaddr_to_native(&at, &native);
	struct host s = {.fd = net_peer_socket(native.ss_family, SOCK_DGRAM, 0)};
	int hops = 8;

	assert_int_equal(bind(s.fd, (struct sockaddr *)&native, len), 0);
	if (native.ss_family == AF_INET) {
		assert_int_equal(
			setsockopt(s.fd, IPPROTO_IP, IP_MULTICAST_TTL, &hops, sizeof(hops)), 0);
		net_peer("ip route replace 224.0.0.0/4 dev src0");
	} else {
		assert_int_equal(
			setsockopt(s.fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof(hops)),
			0);
		net_peer("ip -6 route replace multicast ff00::/8 dev src0 table local metric 1");
	}
	return s;
}

static void stream(const struct host *s, const char *group, const void *buf, size_t len)
{
	const struct amt_sockaddr to = {net_addr(group), htons(5004)};
	struct sockaddr_storage native;
	socklen_t native_len = sockaddr_to_native(&to, &native);

	assert_int_equal(sendto(s->fd, buf, len, 0, (struct sockaddr *)&native, native_len), len);
}

/* One packet sent until the gateway has a copy; then exactly that copy. */
static bool has_copy(struct host *g, const struct host *s, const char *group)
{
	size_t header = strchr(group, ':') ? 40 : 20;

	stream(s, group, "payload!", 8);
	turn_loop(20);
	if (!receives(g) || g->got[0] != AMT_DATA)
		return false;
	assert_int_equal(g->len, AMT_DATA_LEN + header + 8 + 8);
	assert_memory_equal(g->got + g->len - 8, "payload!", 8);
	return true;
}

static void drain(struct host *g)
{
	turn_loop(50);
	while (receives(g))
		;
}

/* ---- what it does ---- */

static void joins_and_receives(const char *at, const char *relay, const char *group,
			       const char *source)
{
	struct host g = gateway(at, relay), s = source_of(source);

	join(&g, RECORD_ALLOW, group, source);
	await(tunnels() == 1 && joined() == 1, 3);
	await(has_copy(&g, &s, group), 3);
	join(&g, RECORD_BLOCK, group, source);
	await(tunnels() == 0, 3);
	drain(&g);
	assert_false(has_copy(&g, &s, group));
	await(joined() == 0, 3);
	close(g.fd);
	close(s.fd);
}

static void streams_reach_gateways_in_all_combinations(void **state)
{
	name_interface(&t.config.relay.upstream, "up0");
	name_interface(&t.config.relay.uplink, "ul0");
	open_service();
	joins_and_receives("192.0.2.9", "192.0.2.1", GROUP4, SOURCE4);
	joins_and_receives("192.0.2.9", "192.0.2.1", GROUP6, SOURCE6);
	joins_and_receives("2001:db8::9", "2001:db8::1", GROUP4, SOURCE4);
	joins_and_receives("2001:db8::9", "2001:db8::1", GROUP6, SOURCE6);
}

/* No address configured: the uplink's own are listened on and advertised */
static void addresses_come_with_the_uplink(void **state)
{
	struct relay_service_address list[8];
	struct error err = {""};
	struct host g;

	open_service();
	assert_int_equal(addresses(), 0);
	assert_int_equal(
		relay_service_attach(t.service, "ul0", false, true, DATAPATH_MODE_AUTO, &err), 0);
	assert_int_equal(relay_service_addresses(t.service, list, 8), 2);
	assert_string_equal(list[0].interface, "ul0");
	assert_true(list[0].advertised && !list[0].configured);
	g = gateway("192.0.2.9", "192.0.2.1");
	say(&g, &(struct amt_message){.type = AMT_DISCOVERY, .nonce = 7});
	await(receives(&g), 3);
	assert_int_equal(g.len, AMT_ADVERTISEMENT_LEN4);
	close(g.fd);
	net_run("ip address add 192.0.2.2/24 dev ul0"); /* later ones are found */
	await(addresses() == 3, 8);
	net_run("ip address del 192.0.2.2/24 dev ul0");
	await(addresses() == 2, 8);
	assert_int_equal(relay_service_detach(t.service, "ul0", &err), 0);
	assert_int_equal(addresses(), 0);
	assert_int_equal(relay_service_detach(t.service, "ul0", &err), -ENODEV);
}

static void configured_addresses_are_the_only_ones(void **state)
{
	struct relay_service_address list[8];
	struct error err = {""};

	name_address(&t.config.relay.address, "192.0.2.1");
	name_address(&t.config.relay.discovery, "198.51.100.254");
	open_service();
	assert_int_equal(
		relay_service_attach(t.service, "ul0", false, false, DATAPATH_MODE_AUTO, &err), 0);
	assert_int_equal(relay_service_addresses(t.service, list, 8), 2);
	assert_true(list[0].advertised && list[0].configured);
	assert_false(list[1].advertised);
	assert_int_equal(relay_service_detach_all(t.service), 1);
	assert_int_equal(addresses(), 2);
}

static void bad_configuration_leaves_nothing_behind(void **state)
{
	struct error err = {""};

	name_address(&t.config.relay.address, "192.0.2.77");
	assert_int_equal(try_service(&err), -EADDRNOTAVAIL);
	assert_non_null(strstr(err.text, "192.0.2.77"));
	assert_false(is_pinned());
	t.service = NULL;
}

static void unknown_interfaces_cannot_be_attached(void **state)
{
	struct error err = {""};

	open_service();
	assert_int_equal(
		relay_service_attach(t.service, "nosuch0", true, true, DATAPATH_MODE_AUTO, &err),
		-ENODEV);
	assert_non_null(strstr(err.text, "nosuch0"));
}

/* A change of roles that fails must not cost what was there */
static void failed_attach_leaves_what_was(void **state)
{
	struct relay_service_address list[8];
	struct datapath_interface view[4];
	struct error err = {""};
	struct sockaddr_in taken = {.sin_family = AF_INET, .sin_port = htons(AMT_PORT)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&taken, sizeof(taken)), 0);
	open_service();
	assert_int_equal(
		relay_service_attach(t.service, "ul0", true, false, DATAPATH_MODE_AUTO, &err), 0);
	assert_int_equal(
		relay_service_attach(t.service, "ul0", true, true, DATAPATH_MODE_AUTO, &err),
		-EADDRINUSE);
	assert_non_null(strstr(err.text, "192.0.2.1:2268"));
	assert_int_equal(datapath_interfaces(relay_service_datapath(t.service), view, 4), 1);
	assert_true(view[0].upstream && !view[0].uplink);
	assert_int_equal(addresses(), 0);
	assert_int_equal(
		relay_service_attach(t.service, "up0", false, true, DATAPATH_MODE_AUTO, &err),
		-EADDRINUSE);
	assert_int_equal(datapath_interfaces(relay_service_datapath(t.service), view, 4), 1);
	close(fd);
	assert_int_equal(
		relay_service_attach(t.service, "ul0", true, true, DATAPATH_MODE_AUTO, &err), 0);
	assert_int_equal(relay_service_addresses(t.service, list, 8), 2);
}

/* Everything is as before: tunnel, wishes, MAC, run-time interfaces; and packets never stop */
static void restart_goes_on_where_it_was(void **state)
{
	struct relay_tunnel_view before, after;
	struct error err = {""};
	struct host g, s;

	open_service();
	assert_false(relay_service_adopted(t.service));
	assert_int_equal(
		relay_service_attach(t.service, "up0", true, false, DATAPATH_MODE_AUTO, &err), 0);
	assert_int_equal(
		relay_service_attach(t.service, "ul0", false, true, DATAPATH_MODE_AUTO, &err), 0);
	g = gateway("192.0.2.9", "192.0.2.1");
	s = source_of(SOURCE4);
	join(&g, RECORD_ALLOW, GROUP4, SOURCE4);
	await(tunnels() == 1 && joined() == 1, 3);
	join(&g, RECORD_TO_EX, "239.1.1.1", "198.51.100.7");
	await(joined() == 2, 3);
	await(has_copy(&g, &s, GROUP4), 3);
	assert_true(relay_view(relay_service_relay(t.service), 0, &before));
	relay_service_close(t.service);
	t.service = NULL;
	drain(&g);
	stream(&s, GROUP4, "meanwhile", 9);
	usleep(50000);
	assert_true(receives(&g));
	assert_memory_equal(g.got + g.len - 9, "meanwhile", 9);
	open_service();
	assert_true(relay_service_adopted(t.service));
	assert_int_equal(tunnels(), 1);
	assert_int_equal(addresses(), 2);
	assert_true(relay_view(relay_service_relay(t.service), 0, &after));
	assert_int_equal(after.groups, 2);
	assert_int_equal(after.created_ns, before.created_ns);
	assert_true(after.expires_ns > before.expires_ns);
	await(joined() == 2, 3);
	await(has_copy(&g, &s, GROUP4), 3);
	assert_false(has_copy(&g, &s, "239.1.1.2"));
	assert_true(has_copy(&g, &s, "239.1.1.1"));
	join(&g, RECORD_BLOCK, GROUP4, SOURCE4);
	join(&g, RECORD_TO_IN, "239.1.1.1", SOURCE4);
	join(&g, RECORD_BLOCK, "239.1.1.1", SOURCE4);
	await(tunnels() == 0, 3);
	close(g.fd);
	close(s.fd);
}

static void count_tunnel(void *arg, uint32_t id, const struct amt_tunnel *tunnel)
{
	(*(unsigned int *)arg)++;
}

static void count_set(void *arg, uint32_t set, const struct amt_group_key *key)
{
	(*(unsigned int *)arg)++;
}

/* What the new configuration does not want is swept out of the packet path and upstream */
static void restart_sweeps_what_is_not_wanted_any_more(void **state)
{
	struct datapath_interface view[4];
	unsigned int n = 0;
	struct host g;

	name_interface(&t.config.relay.upstream, "up0");
	name_interface(&t.config.relay.uplink, "ul0");
	open_service();
	g = gateway("192.0.2.9", "192.0.2.1");
	join(&g, RECORD_ALLOW, GROUP4, SOURCE4);
	await(joined() == 1, 3);
	relay_service_close(t.service);
	t.config.relay.permit_groups.list = calloc(1, sizeof(struct amt_prefix));
	assert_non_null(t.config.relay.permit_groups.list);
	assert_int_equal(prefix_parse("239.0.0.0/8", t.config.relay.permit_groups.list), 0);
	t.config.relay.permit_groups.n = 1;
	free(t.config.relay.upstream.list[0]);
	t.config.relay.upstream.n = 0;
	open_service();
	assert_true(relay_service_adopted(t.service));
	datapath_walk_sets(relay_service_datapath(t.service), count_set, &n);
	assert_int_equal(n, 0);
	assert_int_equal(joined(), 0);
	assert_int_equal(datapath_interfaces(relay_service_datapath(t.service), view, 4), 1);
	assert_string_equal(view[0].name, "ul0");
	assert_int_equal(tunnels(), 0);
	datapath_walk_tunnels(relay_service_datapath(t.service), count_tunnel, &n);
	assert_int_equal(n, 0);
	close(g.fd);
}

static void destroy_leaves_nothing(void **state)
{
	name_interface(&t.config.relay.upstream, "up0");
	name_interface(&t.config.relay.uplink, "up0");
	open_service();
	assert_true(is_pinned());
	assert_int_equal(addresses(), 2); /* one-armed */
	relay_service_destroy(t.service);
	t.service = NULL;
	assert_false(is_pinned());
	assert_int_not_equal(system("ip -d link show up0 | grep -q xdp"), 0);
}

static void vanished_interfaces_are_taken_up_again(void **state)
{
	struct host g, s;

	name_interface(&t.config.relay.upstream, "up0");
	name_interface(&t.config.relay.uplink, "ul0");
	open_service();
	g = gateway("192.0.2.9", "192.0.2.1");
	s = source_of(SOURCE4);
	join(&g, RECORD_ALLOW, GROUP4, SOURCE4);
	await(joined() == 1, 3);
	await(has_copy(&g, &s, GROUP4), 3);
	close(s.fd);
	net_run("ip link del up0");
	turn_loop(300);
	net_veth("up0", "src0");
	net_run("ip address add 198.51.100.254/24 dev up0");
	net_peer("ip address add " SOURCE4 "/24 dev src0");
	net_peer("ethtool -K src0 tx off >/dev/null");
	s = source_of(SOURCE4);
	await(has_copy(&g, &s, GROUP4), 5);
	await(joined() == 1, 3);
	close(g.fd);
	close(s.fd);
}

/* ---- too big ---- */

static void set_df(const struct host *s, int mode)
{
	int one = 1;

	assert_int_equal(setsockopt(s->fd, IPPROTO_IP, IP_MTU_DISCOVER, &mode, sizeof(mode)), 0);
	assert_int_equal(setsockopt(s->fd, IPPROTO_IP, IP_RECVERR, &one, sizeof(one)), 0);
}

/* The MTU that an ICMP error told the source, or 0. */
static uint32_t told_mtu(const struct host *s)
{
	char control[512] __attribute__((aligned(8)));
	struct msghdr msg = {.msg_control = control, .msg_controllen = sizeof(control)};
	struct cmsghdr *cmsg;

	if (recvmsg(s->fd, &msg, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
		return 0;
	for (cmsg = CMSG_FIRSTHDR(&msg); cmsg; cmsg = CMSG_NXTHDR(&msg, cmsg))
		if (cmsg->cmsg_type == IP_RECVERR)
			return ((struct sock_extended_err *)CMSG_DATA(cmsg))->ee_info;
	return 0;
}

/* 1472 octets of payload make a datagram of 1500; a tunnel over 1500 carries 1470 */
static void too_big_datagrams(void **state)
{
	uint8_t large[1472] = {0}, whole[3000];
	struct host g, s;
	size_t n = 0;

	name_interface(&t.config.relay.upstream, "up0");
	name_interface(&t.config.relay.uplink, "ul0");
	open_service();
	g = gateway("192.0.2.9", "192.0.2.1");
	s = source_of(SOURCE4);
	join(&g, RECORD_ALLOW, GROUP4, SOURCE4);
	await(joined() == 1, 3);
	await(has_copy(&g, &s, GROUP4), 3);
	drain(&g);
	memset(large, 0x5a, sizeof(large));
	set_df(&s, IP_PMTUDISC_DONT);
	stream(&s, GROUP4, large, sizeof(large));
	while (n < 8 + sizeof(large)) {
		await(receives(&g), 3);
		assert_int_equal(g.got[0], AMT_DATA);
		assert_int_equal(g.got[2], 0x45);
		assert_true(g.len <= 1472);
		memcpy(whole + n, g.got + 22, (size_t)g.len - 22);
		n += (size_t)g.len - 22;
	}
	assert_int_equal(n, 8 + sizeof(large));
	assert_memory_equal(whole + 8, large, sizeof(large));
	assert_int_equal(counter_get(AMT_COUNT_FRAGMENTED), 1);
	set_df(&s, IP_PMTUDISC_PROBE);
	stream(&s, GROUP4, large, sizeof(large));
	await(told_mtu(&s) == 1470, 3);
	assert_int_equal(counter_get(AMT_COUNT_ICMP_TOO_BIG_SENT), 1);
	assert_false(receives(&g));
	close(g.fd);
	close(s.fd);
}

static void copies_are_counted(void **state)
{
	uint64_t counters[AMT_DATA_COUNTERS_NUM];
	struct host g, s;

	name_interface(&t.config.relay.upstream, "up0");
	name_interface(&t.config.relay.uplink, "ul0");
	open_service();
	g = gateway("192.0.2.9", "192.0.2.1");
	s = source_of(SOURCE4);
	join(&g, RECORD_ALLOW, GROUP4, SOURCE4);
	await(has_copy(&g, &s, GROUP4), 3);
	assert_int_equal(datapath_counters(relay_service_datapath(t.service), counters), 0);
	assert_int_equal(counter_get(AMT_COUNT_TUNNEL_CREATED), 1);
	assert_true(counters[AMT_COUNT_COPIES_OUT] >= 1);
	close(g.fd);
	close(s.fd);
}

static int enter(void **state)
{
	return net_enter() ? 0 : -1;
}

static int leave(void **state)
{
	net_leave();
	return 0;
}

int main(int argc, char **argv)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(streams_reach_gateways_in_all_combinations),
		CASE(addresses_come_with_the_uplink),
		CASE(configured_addresses_are_the_only_ones),
		CASE(bad_configuration_leaves_nothing_behind),
		CASE(unknown_interfaces_cannot_be_attached),
		CASE(failed_attach_leaves_what_was),
		CASE(restart_goes_on_where_it_was),
		CASE(restart_sweeps_what_is_not_wanted_any_more),
		CASE(destroy_leaves_nothing),
		CASE(vanished_interfaces_are_taken_up_again),
		CASE(too_big_datagrams),
		CASE(copies_are_counted),
	};

	if (argc > 1 && !strcmp(argv[1], HOLDER_ARGUMENT))
		return upstream_holder_main(argc, argv);
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	if (geteuid() != 0) {
		puts("needs root");
		return 77;
	}
	return cmocka_run_group_tests(tests, enter, leave);
}
