/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Next hops against a real kernel: routes, neighbours and links that come, change and go. */
#include "unit/unit.h"
#include "bpf/net.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <event2/event.h>
#include "base/clock.h"
#include "datapath/nexthop.h"

#define TUNNELS	 2048
#define NEXTHOPS 64

static struct event_base *base;
static struct nexthops *nexthops;
static struct amt_nexthop record[NEXTHOPS]; /* as written */
static struct nexthop_route route[TUNNELS]; /* as told */
static unsigned int told, told_this_turn, told_most;
static unsigned int invalidated; /* next hops written as unresolved */
static struct {
	char name[16];
	bool present;
	uint32_t mtu;
} last_link;

static void on_write(void *arg, uint16_t id, const struct amt_nexthop *written)
{
	assert_true(id > 0 && id < NEXTHOPS);
	invalidated +=
		(record[id].flags & AMT_NEXTHOP_VALID) && !(written->flags & AMT_NEXTHOP_VALID);
	record[id] = *written;
}

static void on_route(void *arg, uint32_t tunnel, const struct nexthop_route *now)
{
	assert_true(tunnel < TUNNELS);
	route[tunnel] = *now;
	told++;
	told_this_turn++;
}

static void on_link(void *arg, uint32_t ifindex, const char *name, bool present, uint32_t mtu)
{
	snprintf(last_link.name, sizeof(last_link.name), "%s", name);
	last_link.present = present;
	last_link.mtu = mtu;
}

static void turn_loop(unsigned int ms)
{
	struct timeval wait = {.tv_usec = ms * 1000};

	told_this_turn = 0;
	event_base_loopexit(base, &wait);
	event_base_loop(base, EVLOOP_ONCE);
	if (told_this_turn > told_most)
		told_most = told_this_turn;
}

/* Runs the loop until the condition holds. */
#define await(condition, seconds)                                                    \
	do {                                                                         \
		uint64_t end_ = clock_now() + (seconds)*NSEC_PER_SEC;                \
		while (!(condition) && clock_now() < end_)                           \
			turn_loop(20);                                               \
		if (!(condition))                                                    \
			fail_msg("not within %d s: %s", (int)(seconds), #condition); \
	} while (0)

static void settle(unsigned int ms)
{
	uint64_t end = clock_now() + ms * NSEC_PER_MSEC;

	while (clock_now() < end)
		turn_loop(20);
}

static bool valid(uint32_t tunnel)
{
	return route[tunnel].routed && (record[route[tunnel].nexthop].flags & AMT_NEXTHOP_VALID);
}

static bool mac_is(uint32_t tunnel, const char *text)
{
	const uint8_t *mac = record[route[tunnel].nexthop].dmac;
	char buf[18];

	snprintf(buf, sizeof(buf), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
		 mac[4], mac[5]);
	return valid(tunnel) && strcmp(buf, text) == 0;
}

static void track(uint32_t tunnel, const char *gateway, const char *relay)
{
	struct amt_addr to = net_addr(gateway), from = net_addr(relay);

	assert_int_equal(nexthop_track(nexthops, tunnel, &to, &from), 0);
}

/* So many destinations that the rolling refresh takes its ten seconds: what changes sooner, changed
 * because of a notification. */
static void crowd(void)
{
	char gateway[32];
	unsigned int i;

	for (i = 0; i < 200; i++) {
		snprintf(gateway, sizeof(gateway), "10.5.0.%u", i + 1);
		track(TUNNELS - 1 - i, gateway, "10.0.1.1");
	}
}

/* Two uplinks to the peer's namespace, IPv4 and IPv6 on both, known MAC addresses there. */
static int setup(void **state)
{
	static const struct nexthop_callbacks callbacks = {
		.write = on_write, .route = on_route, .link = on_link};
	struct error err;

	memset(record, 0, sizeof(record));
	memset(route, 0, sizeof(route));
	told = told_most = invalidated = 0;
	if (!net_enter())
		return -1;
	net_veth("up0", "peer0");
	net_veth("up1", "peer1");
	net_peer("ip link set peer0 address 02:00:00:00:00:02");
	net_peer("ip link set peer1 address 02:00:00:00:01:02");
	net_run("ip addr add 10.0.1.1/24 dev up0; ip addr add 10.0.2.1/24 dev up1");
	net_run("ip addr add 2001:db8:1::1/64 dev up0; ip addr add 2001:db8:2::1/64 dev up1");
	net_peer("ip addr add 10.0.1.2/24 dev peer0");
	net_peer("ip addr add 10.0.2.2/24 dev peer1");
	net_peer("ip addr add 2001:db8:1::2/64 dev peer0");
	net_peer("ip addr add 2001:db8:2::2/64 dev peer1");
	net_peer("ip addr add fe80::2/64 dev peer0");
	net_run("ip route add 10.9.0.0/16 via 10.0.1.2");
	net_run("ip route add 2001:db8:9::/48 via 2001:db8:1::2");
	base = event_base_new();
	assert_non_null(base);
	assert_int_equal(nexthops_open(&nexthops, NEXTHOPS, TUNNELS, base, &callbacks, &err), 0);
	return 0;
}

static int teardown(void **state)
{
	nexthops_close(nexthops);
	event_base_free(base);
	net_leave();
	return 0;
}

static void direct_neighbour(void **state)
{
	track(1, "10.0.1.2", "10.0.1.1");
	track(2, "2001:db8:1::2", "2001:db8:1::1");
	assert_true(route[1].routed && route[2].routed); /* told at once */
	assert_int_equal(route[1].ifindex, net_ifindex("up0"));
	assert_int_equal(route[1].logical, net_ifindex("up0"));
	assert_int_equal(route[1].vlan_proto, 0);
	assert_int_equal(route[1].mtu, 1500);
	assert_int_not_equal(route[1].nexthop, route[2].nexthop);
	await(mac_is(1, "02:00:00:00:00:02") && mac_is(2, "02:00:00:00:00:02"), 3);
	assert_int_equal(record[route[1].nexthop].ifindex, net_ifindex("up0"));
	await(record[route[1].nexthop].users == 1, 3);
	nexthop_untrack(nexthops, 1);
	/* packets under way still need it for a while */
	assert_int_equal(record[route[1].nexthop].flags, AMT_NEXTHOP_VALID);
	await(record[route[1].nexthop].flags == 0, 4);
}

static void via_router(void **state)
{
	struct amt_addr router = net_addr("10.0.1.2"), router6 = net_addr("2001:db8:1::2");

	track(1, "10.9.3.4", "10.0.1.1");
	track(2, "10.9.77.1", "10.0.1.1");
	track(3, "2001:db8:9::77", "2001:db8:1::1");
	assert_int_equal(route[1].nexthop, route[2].nexthop); /* one next hop for both */
	await(mac_is(1, "02:00:00:00:00:02") && mac_is(3, "02:00:00:00:00:02"), 3);
	assert_memory_equal(&record[route[1].nexthop].address, &router, sizeof(router));
	assert_memory_equal(&record[route[3].nexthop].address, &router6, sizeof(router6));
	await(record[route[1].nexthop].users == 2, 3);
}

static void via_other_family(void **state)
{
	net_run("ip route add 10.8.0.0/16 via inet6 fe80::2 dev up0");
	track(1, "10.8.0.1", "10.0.1.1");
	await(mac_is(1, "02:00:00:00:00:02"), 3);
}

static void unusable_routes(void **state)
{
	net_run("ip route add blackhole 10.7.1.0/24; ip route add unreachable 10.7.2.0/24");
	net_run("ip -6 route add blackhole 2001:db8:7::/48");
	track(1, "10.0.1.1", "10.0.1.1"); /* this host */
	track(2, "10.7.1.1", "10.0.1.1");
	track(3, "10.7.2.1", "10.0.1.1");
	track(4, "192.0.2.1", "10.0.1.1");  /* no route */
	track(5, "10.0.1.255", "10.0.1.1"); /* broadcast */
	track(6, "2001:db8:7::1", "2001:db8:1::1");
	track(7, "2001:db8:1::1", "2001:db8:1::1");
	track(8, "127.0.0.5", "10.0.1.1");
	for (unsigned int i = 1; i <= 8; i++)
		assert_false(route[i].routed);
	assert_int_equal(told, 8);
	net_run("ip route add 192.0.2.0/24 via 10.0.1.2");
	await(valid(4), 3);
}

static void foreign_source(void **state)
{
	track(1, "10.9.3.4", "198.51.100.1"); /* not an address of this host */
	assert_true(route[1].routed);
}

static void changed_mac(void **state)
{
	track(1, "10.0.1.2", "10.0.1.1");
	track(2, "2001:db8:1::2", "2001:db8:1::1");
	await(valid(1) && valid(2), 3);
	net_peer("sysctl -qw net.ipv4.conf.peer0.arp_notify=1 net.ipv6.conf.peer0.ndisc_notify=1");
	net_peer("ip link set peer0 address 02:00:00:00:00:22");
	net_peer("ip link set peer0 down");
	net_peer("ip link set peer0 up");
	net_peer("ip -6 addr replace 2001:db8:1::2/64 dev peer0");
	await(mac_is(1, "02:00:00:00:00:22") && mac_is(2, "02:00:00:00:00:22"), 10);
}

/* The kernel learns another MAC address while the link stays up. */
static void updated_neighbour(void **state)
{
	track(1, "10.9.3.4", "10.0.1.1");
	await(valid(1), 3);
	net_run("ip neigh replace 10.0.1.2 lladdr 02:00:00:00:00:33 dev up0 nud reachable");
	await(mac_is(1, "02:00:00:00:00:33"), 1);
	net_run("ip link set up0 address 02:00:00:00:00:44");
	await(record[route[1].nexthop].smac[5] == 0x44, 3);
}

static void changed_route(void **state)
{
	crowd();
	track(1, "10.9.3.4", "10.0.1.1");
	track(2, "2001:db8:9::77", "2001:db8:1::1");
	await(valid(1) && valid(2), 3);
	net_run("ip route replace 10.9.0.0/16 via 10.0.2.2");
	net_run("ip -6 route replace 2001:db8:9::/48 via 2001:db8:2::2");
	await(mac_is(1, "02:00:00:00:01:02") && mac_is(2, "02:00:00:00:01:02"), 3);
	assert_int_equal(route[1].ifindex, net_ifindex("up1"));
	/* a more specific one, then none */
	net_run("ip route add 10.9.3.4 via 10.0.1.2 mtu 1400");
	await(mac_is(1, "02:00:00:00:00:02") && route[1].mtu == 1400, 3);
	net_run("ip route del 10.9.3.4; ip route del 10.9.0.0/16");
	await(!route[1].routed, 3);
	/* by rule */
	net_run("ip route add 10.9.0.0/16 via 10.0.2.2 table 77");
	settle(100);
	assert_false(route[1].routed);
	net_run("ip rule add to 10.9.0.0/16 lookup 77");
	await(route[1].routed, 1); /* sooner than a refresh */
	await(mac_is(1, "02:00:00:00:01:02"), 3);
}

static void multipath(void **state)
{
	net_run("ip route add 10.6.0.0/16 nexthop via 10.0.1.2 nexthop via 10.0.2.2");
	track(1, "10.6.0.1", "10.0.1.1");
	await(valid(1), 3);
	net_run("ip link set %s down", route[1].ifindex == net_ifindex("up0") ? "up0" : "up1");
	await(valid(1), 3);
}

static void neighbour_vanishes(void **state)
{
	net_run("sysctl -qw net.ipv4.neigh.up0.base_reachable_time_ms=1000 "
		"net.ipv4.neigh.up0.delay_first_probe_time=1 "
		"net.ipv4.neigh.up0.retrans_time_ms=200");
	track(1, "10.0.1.2", "10.0.1.1");
	await(valid(1), 3);
	/* silent, while its link stays up: found by confirming the stale entry */
	net_peer("ip link set peer0 arp off");
	net_peer("ip addr del 10.0.1.2/24 dev peer0");
	await(!valid(1), 25);
	assert_true(route[1].routed);
	net_peer("ip link set peer0 arp on");
	net_peer("ip addr add 10.0.1.2/24 dev peer0");
	await(valid(1), 10);
}

static void stale_stays_valid(void **state)
{
	track(1, "10.0.1.2", "10.0.1.1");
	await(valid(1), 3);
	net_run("ip neigh change 10.0.1.2 dev up0 nud stale");
	settle(300);
	assert_true(valid(1));
	/* one that the kernel knew before */
	net_run("ip neigh add 10.0.1.50 lladdr 02:00:00:00:00:66 dev up0 nud stale");
	track(2, "10.0.1.50", "10.0.1.1");
	assert_true(mac_is(2, "02:00:00:00:00:66"));
}

/* A flushed entry is resolved again and its packets go on meanwhile. */
static void neighbour_flushed(void **state)
{
	unsigned int i;

	track(1, "10.0.1.2", "10.0.1.1");
	await(valid(1), 3);
	net_run("ip neigh del 10.0.1.2 dev up0");
	for (i = 0; i < 125; i++) { /* it is asked for once a second at most */
		settle(20);
		assert_true(valid(1));
	}
	net_run("ip neigh show 10.0.1.2 dev up0 | grep -q lladdr");
	assert_int_equal(invalidated, 0);
	/* deleted and silent: invalid after the grace */
	net_peer("ip addr del 10.0.1.2/24 dev peer0");
	net_run("ip neigh del 10.0.1.2 dev up0");
	await(!valid(1), 8);
}

static void kicked(void **state)
{
	track(1, "10.0.1.77", "10.0.1.1");
	settle(500);
	assert_true(route[1].routed && !valid(1));
	net_peer("ip addr add 10.0.1.77/24 dev peer0");
	settle(600);
	nexthop_kick(nexthops, route[1].nexthop);
	nexthop_kick(nexthops, 0);
	nexthop_kick(nexthops, NEXTHOPS - 1);
	nexthop_kick(nexthops, UINT16_MAX);
	await(valid(1), 3);
}

static void link_down_and_up(void **state)
{
	crowd();
	track(1, "10.9.3.4", "10.0.1.1");
	await(valid(1), 3);
	net_run("ip link set up0 down");
	await(!valid(1), 3);
	assert_string_equal(last_link.name, "up0");
	assert_true(last_link.present);
	net_run("ip link set up0 up; ip route add 10.9.0.0/16 via 10.0.1.2");
	await(valid(1), 5);
	/* the carrier alone */
	net_peer("ip link set peer0 down");
	await(!valid(1), 3);
	net_peer("ip link set peer0 up");
	await(valid(1), 5);
}

static void link_deleted(void **state)
{
	uint16_t before;

	crowd();
	track(1, "10.0.1.2", "10.0.1.1");
	await(valid(1), 3);
	before = route[1].nexthop;
	net_run("ip link del up0");
	await(!route[1].routed && !last_link.present, 3);
	assert_string_equal(last_link.name, "up0");
	assert_int_equal(record[before].flags, 0);
	net_veth("up0", "peer0");
	net_peer("ip addr add 10.0.1.2/24 dev peer0");
	net_run("ip addr add 10.0.1.1/24 dev up0");
	await(valid(1), 5);
	assert_int_equal(route[1].ifindex, net_ifindex("up0"));
	net_run("ip link set up0 down; ip link set up0 name other0; ip link set other0 up");
	await(!strcmp(last_link.name, "other0") && last_link.present, 3);
}

static void mtu_change(void **state)
{
	crowd();
	track(1, "10.9.3.4", "10.0.1.1");
	net_run("ip link set up0 mtu 1400");
	await(route[1].mtu == 1400, 3);
	assert_int_equal(last_link.mtu, 1400);
	net_run("ip route change 10.9.0.0/16 via 10.0.1.2 mtu 1300");
	await(route[1].mtu == 1300, 3);
}

static void send_large(const char *to)
{
	static const char payload[1400];
	struct amt_sockaddr peer = {.addr = net_addr(to), .port = htons(9)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), on = IP_PMTUDISC_DO;
	struct sockaddr_storage native;
	socklen_t len = sockaddr_to_native(&peer, &native);

	assert_int_equal(setsockopt(fd, SOL_IP, IP_MTU_DISCOVER, &on, sizeof(on)), 0);
	assert_int_equal(sendto(fd, payload, sizeof(payload), 0, (struct sockaddr *)&native, len),
			 sizeof(payload));
	close(fd);
}

/* What the kernel learns of a path it tells nobody; it must be noticed all the same. */
static void path_mtu(void **state)
{
	net_peer("sysctl -qw net.ipv4.ip_forward=1");
	net_peer("ip link add mid0 type veth peer name mid1");
	net_peer("ip link set mid1 up");
	net_peer("ip addr add 10.9.0.1/16 dev mid0");
	net_peer("ip link set mid0 mtu 1280 up");
	track(1, "10.9.3.4", "10.0.1.1");
	await(valid(1), 3);
	send_large("10.9.3.4");
	settle(200);
	net_run("ip route get 10.9.3.4 | grep -q 'mtu 1280'");
	await(route[1].mtu == 1280, 15);
}

/* 1,000 gateways behind one router, and 500 behind one NAT: all told, never too many a turn. */
static void many_tunnels(void **state)
{
	char gateway[32];
	unsigned int i;

	for (i = 0; i < 1000; i++) {
		snprintf(gateway, sizeof(gateway), "10.9.%u.%u", 1 + i / 200, 1 + i % 200);
		track(i, gateway, "10.0.1.1");
	}
	for (; i < 1500; i++)
		track(i, "10.9.100.1", "10.0.1.1");
	await(valid(0) && valid(1499), 3);
	settle(100);
	told = told_most = 0;
	net_run("ip route replace 10.9.0.0/16 via 10.0.2.2");
	await(told >= 1500, 5);
	assert_true(told_most <= 256);
	for (i = 0; i < 1500; i++)
		assert_int_equal(route[i].ifindex, net_ifindex("up1"));
	await(mac_is(0, "02:00:00:00:01:02") && mac_is(1499, "02:00:00:00:01:02"), 3);
	await(record[route[0].nexthop].users == 1500, 3);
	/* half of them leave while the rest is being told */
	net_run("ip route replace 10.9.0.0/16 via 10.0.1.2");
	turn_loop(20);
	for (i = 0; i < 1500; i += 2)
		nexthop_untrack(nexthops, i);
	await(route[1].ifindex == net_ifindex("up0") && route[1499].ifindex == net_ifindex("up0"),
	      3);
	await(record[route[1].nexthop].users == 750, 3);
}

/* Gateways behind one address leave while they are being told. */
static void nat_leaves_midway(void **state)
{
	unsigned int i;

	for (i = 0; i < 1500; i++)
		track(i, "10.9.100.1", "10.0.1.1");
	await(valid(0), 3);
	told = 0;
	net_run("ip route replace 10.9.0.0/16 via 10.0.2.2");
	for (i = 0; i < 100 && told == 0; i++)
		turn_loop(20);
	assert_true(told > 0 && told < 1500);
	for (i = 1; i < 1500; i++)
		nexthop_untrack(nexthops, i);
	await(route[0].ifindex == net_ifindex("up1"), 1);
	await(record[route[0].nexthop].users == 1, 3);
}

/* More notifications than the socket holds: what was lost is asked for. */
static void lost_notifications(void **state)
{
	track(1, "10.9.3.4", "10.0.1.1");
	track(2, "10.0.1.2", "10.0.1.1");
	await(valid(1) && valid(2), 3);
	settle(1200);
	/* nobody reads meanwhile */
	net_run("for i in $(seq 12000); do echo \"route replace 172.16.0.0/24 dev up1 mtu $((1000 "
		"+ "
		"i %% 2))\"; done | ip -batch -");
	net_run("ip route replace 10.9.0.0/16 via 10.0.2.2");
	net_run("ip neigh replace 10.0.1.2 lladdr 02:00:00:00:00:55 dev up0 nud permanent");
	net_run("ip link set up1 mtu 1400");
	await(mac_is(1, "02:00:00:00:01:02"), 4);
	await(mac_is(2, "02:00:00:00:00:55"), 4);
	await(route[1].mtu == 1400, 4);
}

static void unrelated_routes(void **state)
{
	track(1, "10.9.3.4", "10.0.1.1");
	await(valid(1), 3);
	told = 0;
	net_run("for i in $(seq 40); do ip route add 172.16.$i.0/24 via 10.0.2.2; done");
	settle(300);
	assert_int_equal(told, 0);
}

static void track_again(void **state)
{
	track(1, "10.0.1.2", "10.0.1.1");
	track(1, "10.0.2.2", "10.0.2.1");
	assert_int_equal(route[1].ifindex, net_ifindex("up1"));
	track(1, "10.0.2.2", "10.0.2.1");
	await(mac_is(1, "02:00:00:00:01:02"), 3);
	await(record[route[1].nexthop].users == 1, 3);
	nexthop_untrack(nexthops, 1);
	nexthop_untrack(nexthops, 1);
	nexthop_untrack(nexthops, TUNNELS + 5);
}

static unsigned int routed_of(unsigned int first, unsigned int end)
{
	unsigned int n = 0;

	for (; first < end; first++)
		n += route[first].routed;
	return n;
}

static void ids_run_out(void **state)
{
	struct amt_nexthop found;
	char gateway[32];
	unsigned int i, routed = 0;

	for (i = 0; i < NEXTHOPS + 10; i++) {
		snprintf(gateway, sizeof(gateway), "10.0.1.%u", 10 + i);
		track(i, gateway, "10.0.1.1");
		routed += route[i].routed;
	}
	assert_int_equal(routed, NEXTHOPS - 1);
	assert_false(nexthop_get(nexthops, 0, &found));
	assert_true(nexthop_get(nexthops, NEXTHOPS - 1, &found));
	nexthop_untrack(nexthops, 0);
	await(routed_of(NEXTHOPS - 1, NEXTHOPS + 10) == 1, 15);
}

static void adoption(void **state)
{
	struct amt_nexthop kept = {
		.dmac = {2, 0, 0, 0, 0, 2},
		.smac = {2, 0, 0, 0, 0, 1},
		.ifindex = net_ifindex("up0"),
		.flags = AMT_NEXTHOP_VALID,
		.users = 7,
		.address = net_addr("10.0.1.2"),
	};
	struct amt_nexthop gone = kept, found;

	gone.address = net_addr("10.0.1.3");
	nexthop_adopt(nexthops, 17, &kept);
	nexthop_adopt(nexthops, 18, &gone);
	track(1, "10.9.3.4", "10.0.1.1");
	assert_int_equal(route[1].nexthop, 17);
	/* packets go on before the kernel knows the neighbour */
	assert_true(nexthop_get(nexthops, 17, &found));
	assert_true(found.flags & AMT_NEXTHOP_VALID);
	nexthop_adopt_done(nexthops);
	await(!nexthop_get(nexthops, 18, &found), 4);
	await(mac_is(1, "02:00:00:00:00:02") && record[17].users == 1, 3);
}

static void track_later(uint32_t tunnel, const char *gateway)
{
	struct amt_addr to = net_addr(gateway), from = net_addr("10.0.1.1");

	assert_int_equal(nexthop_track_later(nexthops, tunnel, &to, &from), 0);
}

/* Tunnels of before a restart go on with the next hop that they have until theirs is looked up. */
static void adoption_later(void **state)
{
	struct amt_nexthop kept = {
		.dmac = {2, 0, 0, 0, 0, 2},
		.smac = {2, 0, 0, 0, 0, 1},
		.ifindex = net_ifindex("up0"),
		.flags = AMT_NEXTHOP_VALID,
		.address = net_addr("10.0.1.2"),
	};
	struct amt_nexthop gone = kept, found;

	gone.address = net_addr("10.0.1.3");
	nexthop_adopt(nexthops, 17, &kept);
	nexthop_adopt(nexthops, 18, &gone);
	track_later(1, "10.9.3.4");
	track_later(2, "192.0.2.1"); /* no route */
	track_later(3, "10.9.3.5");
	nexthop_adopt_done(nexthops);
	assert_int_equal(told, 0);	  /* all of it is left to the loop */
	track(4, "10.9.3.4", "10.0.1.1"); /* behind the same NAT as the first */
	assert_int_equal(route[4].nexthop, 17);
	await(told >= 4, 1);
	assert_int_equal(route[1].nexthop, 17);
	assert_false(route[2].routed);
	assert_int_equal(route[3].nexthop, 17);
	await(!nexthop_get(nexthops, 18, &found), 4);
	await(record[17].users == 3, 3);
}

int main(int argc, char **argv)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(direct_neighbour),
		CASE(via_router),
		CASE(via_other_family),
		CASE(unusable_routes),
		CASE(foreign_source),
		CASE(changed_mac),
		CASE(updated_neighbour),
		CASE(changed_route),
		CASE(multipath),
		CASE(neighbour_vanishes),
		CASE(stale_stays_valid),
		CASE(neighbour_flushed),
		CASE(kicked),
		CASE(link_down_and_up),
		CASE(link_deleted),
		CASE(mtu_change),
		CASE(path_mtu),
		CASE(many_tunnels),
		CASE(nat_leaves_midway),
		CASE(lost_notifications),
		CASE(unrelated_routes),
		CASE(track_again),
		CASE(ids_run_out),
		CASE(adoption),
		CASE(adoption_later),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
