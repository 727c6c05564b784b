/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pseudo-interface against a real kernel: what the host's stack reports when programs join on
 * it, what programs receive of what is put in, and what stays after a restart.
 */
#include "unit/unit.h"
#include "bpf/net.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <event2/event.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "base/checksum.h"
#include "base/clock.h"
#include "gateway/pseudo.h"
#include "gateway/pseudo_packet.h"
#include "proto/query.h"
#include "proto/report.h"

#define SEEN_MAX 4096

static struct event_base *base;
static struct pseudo *pseudo;
static struct pseudo_info info;
static struct error failure;
static int sockets[64];
static unsigned int nsockets, ngone, nbad, nseen;

static struct seen {
	uint64_t at;
	enum record_type type;
	struct amt_addr group;
	struct amt_addr source; /* of the record; any: none */
} seen[SEEN_MAX];

static void on_report(void *arg, uint64_t now, const void *datagram, size_t len)
{
	static const struct report_options strict = {.require_router_alert = true};
	struct report_record record;
	struct report report;

	if (report_parse(datagram, len, &strict, &report)) {
		nbad++;
		return;
	}
	while (report_next(&report, &record, NULL)) {
		if (addr_is_multicast_local(&record.group))
			continue;
		assert_true(nseen < SEEN_MAX);
		seen[nseen] = (struct seen){clock_now(), record.type, record.group, {{0}}};
		if (record.nsources)
			seen[nseen].source = report_source(&record, 0);
		nseen++;
	}
}

static void on_gone(void *arg)
{
	ngone++;
}

static struct pseudo_options options_of(void)
{
	return (struct pseudo_options){.instance = "test",
				       .name = "amt0",
				       .mtu = 1470,
				       .report = on_report,
				       .gone = on_gone};
}

static void open_with(const struct pseudo_options *options)
{
	if (pseudo_open(&pseudo, options, base, &failure))
		fail_msg("%s", failure.text);
	pseudo_info(pseudo, &info);
}

static void open_pseudo(void)
{
	struct pseudo_options options = options_of();

	open_with(&options);
}

static void turn_loop(unsigned int ms)
{
	struct timeval wait = {.tv_usec = ms * 1000};

	event_base_loopexit(base, &wait);
	event_base_loop(base, EVLOOP_ONCE);
}

static void settle(unsigned int ms)
{
	uint64_t end = clock_now() + ms * NSEC_PER_MSEC;

	while (clock_now() < end)
		turn_loop(5);
}

static void forget_seen(void)
{
	nseen = 0;
	nbad = 0;
}

/* When the record came in, or 0: not yet. source NULL: none, or not asked for. */
static uint64_t when_seen(enum record_type type, const char *group, const char *source)
{
	struct amt_addr g = net_addr(group), s = {{0}};
	unsigned int i;

	if (source)
		s = net_addr(source);
	for (i = 0; i < nseen; i++)
		if (seen[i].type == type && addr_equal(&seen[i].group, &g) &&
		    addr_equal(&seen[i].source, &s))
			return seen[i].at;
	return 0;
}

static unsigned int count_seen(enum record_type type)
{
	unsigned int count = 0, i;

	for (i = 0; i < nseen; i++)
		count += seen[i].type == type;
	return count;
}

static uint64_t await_record(enum record_type type, const char *group, const char *source)
{
	uint64_t end = clock_now() + 20 * NSEC_PER_SEC; /* a slow machine */

	while (!when_seen(type, group, source) && clock_now() < end)
		turn_loop(1);
	if (!when_seen(type, group, source))
		fail_msg("no record of type %d for %s", type, group);
	return when_seen(type, group, source);
}

static int setup(void **state)
{
	if (!net_enter())
		return -1;
	base = event_base_new();
	assert_non_null(base);
	nsockets = 0;
	ngone = 0;
	forget_seen();
	open_pseudo();
	return 0;
}

static int teardown(void **state)
{
	while (nsockets)
		close(sockets[--nsockets]);
	if (pseudo)
		pseudo_remove(pseudo);
	pseudo = NULL;
	event_base_free(base);
	net_leave();
	return 0;
}

/* ---- programs ---- */

static int program(int family, uint16_t port)
{
	struct sockaddr_in6 local6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	struct sockaddr_in local4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), yes = 1;

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)), 0);
	if (family == AF_INET)
		assert_int_equal(bind(fd, (struct sockaddr *)&local4, sizeof(local4)), 0);
	else
		assert_int_equal(bind(fd, (struct sockaddr *)&local6, sizeof(local6)), 0);
	sockets[nsockets++] = fd;
	return fd;
}

static int level_of(const struct amt_addr *addr)
{
	return addr_is_ipv4(addr) ? IPPROTO_IP : IPPROTO_IPV6;
}

/* source NULL: any. */
static void change_membership(int fd, uint32_t ifindex, const char *group, const char *source,
			      bool join)
{
	struct amt_sockaddr g = {.addr = net_addr(group)}, s = {{{0}}, 0};
	struct group_source_req with_source = {.gsr_interface = ifindex};
	struct group_req any = {.gr_interface = ifindex};
	int level = level_of(&g.addr), ret;

	if (source) {
		s.addr = net_addr(source);
		sockaddr_to_native(&g, &with_source.gsr_group);
		sockaddr_to_native(&s, &with_source.gsr_source);
		ret = setsockopt(fd, level,
				 join ? MCAST_JOIN_SOURCE_GROUP : MCAST_LEAVE_SOURCE_GROUP,
				 &with_source, sizeof(with_source));
	} else {
		sockaddr_to_native(&g, &any.gr_group);
		ret = setsockopt(fd, level, join ? MCAST_JOIN_GROUP : MCAST_LEAVE_GROUP, &any,
				 sizeof(any));
	}
	if (ret)
		fail_msg("%s %s: %s", join ? "join" : "leave", group, strerror(errno));
}

static int join(const char *group, const char *source, uint16_t port)
{
	struct amt_addr g = net_addr(group);
	int fd = program(addr_family(&g), port);

	change_membership(fd, info.ifindex, group, source, true);
	return fd;
}

/* ---- what comes from the relay ---- */

static void ask(bool mld)
{
	assert_int_equal(pseudo_query(pseudo, mld, 2, 125), 0);
}

/* A UDP datagram from source to group:port that carries the text. */
static size_t make_data(const char *source, const char *group, uint16_t port, const char *text,
			uint8_t *buf)
{
	struct amt_addr from = net_addr(source), to = net_addr(group);
	bool ipv4 = addr_is_ipv4(&to);
	size_t header = ipv4 ? 20 : 40, payload = strlen(text), udp = 8 + payload;
	uint8_t *u = buf + header;
	__be16 sum;

	memset(buf, 0, header + 8);
	buf[0] = ipv4 ? 0x45 : 0x60;
	if (ipv4) {
		buf[2] = (uint8_t)((header + udp) >> 8);
		buf[3] = (uint8_t)(header + udp);
		buf[8] = 5;
		buf[9] = IPPROTO_UDP;
		memcpy(buf + 12, from.bytes + 12, 4);
		memcpy(buf + 16, to.bytes + 12, 4);
		sum = checksum_finish(checksum_add(0, buf, 20));
		memcpy(buf + 10, &sum, 2);
	} else {
		buf[4] = (uint8_t)(udp >> 8);
		buf[5] = (uint8_t)udp;
		buf[6] = IPPROTO_UDP;
		buf[7] = 5;
		memcpy(buf + 8, from.bytes, 16);
		memcpy(buf + 24, to.bytes, 16);
	}
	u[0] = 0x30;
	u[2] = (uint8_t)(port >> 8);
	u[3] = (uint8_t)port;
	u[4] = (uint8_t)(udp >> 8);
	u[5] = (uint8_t)udp;
	memcpy(u + 8, text, payload);
	sum = checksum_finish(checksum_add(
		checksum_add_pseudo(0, &from, &to, IPPROTO_UDP, (uint32_t)udp), u, udp));
	memcpy(u + 6, &sum, 2);
	return header + udp;
}

static void put_data(const char *source, const char *group, uint16_t port, const char *text)
{
	uint8_t buf[2048];
	size_t len = make_data(source, group, port, text, buf);

	assert_int_equal(pseudo_inject(pseudo, buf, len), 0);
}

/* Whether the next datagram is this one; it may take its time. */
static bool receives(int fd, const char *text)
{
	uint64_t end = clock_now() + 10 * NSEC_PER_SEC;
	char buf[2048];
	ssize_t len;

	do {
		turn_loop(5);
		len = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
	} while (len < 0 && clock_now() < end);
	return len == (ssize_t)strlen(text) && memcmp(buf, text, (size_t)len) == 0;
}

/* ---- the pair ---- */

static bool gro_is_on(const char *name)
{
	struct ethtool_value value = {.cmd = ETHTOOL_GGRO};
	struct ifreq request = {.ifr_data = (void *)&value};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strcpy(request.ifr_name, name);
	assert_int_equal(ioctl(fd, SIOCETHTOOL, &request), 0);
	close(fd);
	return value.data;
}

static void test_pair_is_made(void **state)
{
	assert_string_equal(info.name, "amt0");
	assert_string_equal(info.peer, "amt0-peer");
	assert_int_equal(info.ifindex, net_ifindex("amt0"));
	assert_int_equal(info.peer_ifindex, net_ifindex("amt0-peer"));
	assert_int_equal(info.mtu, 1470);
	assert_false(info.adopted);
	assert_string_equal(info.warning, "");
	assert_true(gro_is_on("amt0"));
	net_run("ip link show amt0 | grep -q 'MULTICAST,UP,LOWER_UP.*mtu 1470'");
	net_run("ip link show amt0-peer | grep -q 'NOARP,UP,LOWER_UP.*mtu 1470'");
	net_run("ip link show amt0 | grep -q 'alias amt-xdp gateway test$'");
	net_run("ip -4 addr show amt0 | grep -q 'inet 169\\.254\\..*/32 scope link'");
	net_run("ip -6 addr show amt0 | grep 'inet6 fe80' | grep -qv tentative");
	net_run("test -z \"$(ip addr show amt0-peer | grep inet)\"");
	net_run("test $(cat /proc/sys/net/ipv4/conf/amt0/rp_filter) = 0");
}

static void test_mtu_follows(void **state)
{
	assert_int_equal(pseudo_set_mtu(pseudo, 1400), 0);
	net_run("ip link show amt0 | grep -q 'mtu 1400'");
	net_run("ip link show amt0-peer | grep -q 'mtu 1400'");
	assert_int_equal(pseudo_set_mtu(pseudo, 576), 0);
	net_run("ip link show amt0 | grep -q 'mtu 1280'");
	net_run("ip -6 addr show amt0 | grep -q 'inet6 fe80'");
}

static void test_nothing_of_its_own_enters(void **state)
{
	settle(1500);
	net_run("test \"$(ip -s -j link show amt0 | jq .[0].stats64.rx.packets)\" = 0");
}

static void test_restart_keeps_joins(void **state)
{
	struct pseudo_info before = info;
	int fd = join("232.1.2.3", "198.51.100.7", 5000);

	await_record(RECORD_ALLOW, "232.1.2.3", "198.51.100.7");
	pseudo_close(pseudo);
	forget_seen();
	open_pseudo();
	assert_true(info.adopted);
	assert_int_equal(info.ifindex, before.ifindex);
	assert_int_equal(info.peer_ifindex, before.peer_ifindex);
	assert_true(addr_equal(&info.ipv4, &before.ipv4));
	ask(false);
	await_record(RECORD_IS_IN, "232.1.2.3", "198.51.100.7");
	put_data("198.51.100.7", "232.1.2.3", 5000, "after the restart");
	assert_true(receives(fd, "after the restart"));
}

static void test_addresses_follow_the_options(void **state)
{
	struct pseudo_options options = options_of();
	struct amt_prefix list[2];

	assert_int_equal(prefix_parse_host("192.0.2.5/24", &list[0]), 0);
	assert_int_equal(prefix_parse_host("2001:db8:5::1/64", &list[1]), 0);
	net_run("ip addr add 203.0.113.1/32 dev amt0"); /* the operator's own */
	pseudo_close(pseudo);
	options.addresses = list;
	options.naddresses = 2;
	open_with(&options);
	assert_true(addr_equal(&info.ipv4, &list[0].addr));
	net_run("ip addr show amt0 | grep -q 'inet 192.0.2.5/24'");
	net_run("ip addr show amt0 | grep 2001:db8:5::1/64 | grep -qv tentative");
	net_run("ip addr show amt0 | grep -q 'inet 203.0.113.1'");
	net_run("test -z \"$(ip addr show amt0 | grep 169.254)\"");
	pseudo_close(pseudo);
	open_pseudo();
	net_run("test -z \"$(ip addr show amt0 | grep -e 192.0.2.5 -e 2001:db8:5)\"");
	net_run("ip addr show amt0 | grep -q 169.254");
	net_run("ip addr show amt0 | grep -q 203.0.113.1");
}

static void test_local_address_is_free(void **state)
{
	char text[AMT_ADDR_STRLEN];
	struct amt_addr first = info.ipv4;

	pseudo_remove(pseudo);
	net_run("ip addr add %s/16 dev lo", addr_print(&first, text));
	open_pseudo();
	assert_false(addr_equal(&info.ipv4, &first));
}

static void test_foreign_interface_is_refused(void **state)
{
	struct pseudo_options options = options_of();

	pseudo_remove(pseudo);
	pseudo = NULL;
	net_run("ip link add amt0 type veth peer name other");
	assert_int_equal(pseudo_open(&pseudo, &options, base, &failure), -EEXIST);
	assert_non_null(strstr(failure.text, "amt0 exists"));
	assert_null(strchr(failure.text, '\n'));
	assert_int_equal(pseudo_remove_leftover("test", "amt0", &failure), -EEXIST);
	assert_int_not_equal(net_ifindex("amt0"), 0);
	net_run("ip link set amt0 alias 'amt-xdp gateway another'; ip link set other up");
	assert_int_equal(pseudo_open(&pseudo, &options, base, &failure), -EEXIST);
	net_run("ip link delete amt0");
	options.name = "all";
	assert_int_equal(pseudo_open(&pseudo, &options, base, &failure), -EINVAL);
	options.name = "amt0";
	open_with(&options);
}

static void test_leftovers(void **state)
{
	struct pseudo_options options = options_of();

	pseudo_remove(pseudo);
	pseudo = NULL;
	assert_int_equal(net_ifindex("amt0"), 0);
	assert_int_equal(net_ifindex("amt0-peer"), 0);
	/* a start that ended early */
	net_run("ip link add amt0 type veth peer name amt0-peer");
	open_pseudo();
	assert_false(info.adopted);
	/* nobody closes it */
	pseudo_close(pseudo);
	pseudo = NULL;
	assert_int_equal(pseudo_remove_leftover("test", "amt0", &failure), 0);
	assert_int_equal(pseudo_remove_leftover("test", "amt0", &failure), 0);
	assert_int_equal(net_ifindex("amt0"), 0);
	/* moved into a container: not to be taken away from it (renamed while down: Linux 6.1) */
	open_pseudo();
	net_run("ip link set amt0 down; ip link set amt0 name other");
	pseudo_close(pseudo);
	pseudo = NULL;
	assert_int_equal(pseudo_open(&pseudo, &options, base, &failure), -EEXIST);
	assert_non_null(strstr(failure.text, "amt0-peer"));
	net_run("ip link set other name amt0");
	open_pseudo();
	assert_true(info.adopted);
}

static void test_long_name(void **state)
{
	struct pseudo_options options = options_of();

	pseudo_remove(pseudo);
	options.name = "multicast.in.15";
	open_with(&options);
	assert_string_equal(info.name, "multicast.in.15");
	assert_true(strncmp(info.peer, "amtg-", 5) == 0);
	join("239.1.1.1", NULL, 5000);
	await_record(RECORD_TO_EX, "239.1.1.1", NULL);
}

static void test_removal_is_noticed(void **state)
{
	net_run("ip link set amt0-peer down");
	settle(50);
	assert_int_equal(ngone, 0);
	net_run("ip link set amt0-peer up");
	settle(50);
	forget_seen();
	join("239.1.1.1", NULL, 5000);
	await_record(RECORD_TO_EX, "239.1.1.1", NULL);
	net_run("ip link delete amt0");
	settle(50);
	assert_int_equal(ngone, 1);
	assert_true(pseudo_inject(pseudo, "", 0) < 0);
}

/* ---- reports ---- */

static void test_joins_are_seen(void **state)
{
	static const struct {
		const char *group, *source;
	} cases[] = {
		{"239.1.2.3", NULL},
		{"232.1.2.3", "198.51.100.7"},
		{"ff3e::1234", "2001:db8::7"},
		{"ff0e::1234", NULL},
	};
	uint64_t slowest = 0;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum record_type in = cases[i].source ? RECORD_ALLOW : RECORD_TO_EX;
		enum record_type out = cases[i].source ? RECORD_BLOCK : RECORD_TO_IN;
		uint64_t start = clock_now(), took;
		int fd = join(cases[i].group, cases[i].source, (uint16_t)(5000 + i));

		took = await_record(in, cases[i].group, cases[i].source) - start;
		slowest = took > slowest ? took : slowest;
		settle(20);
		start = clock_now();
		change_membership(fd, info.ifindex, cases[i].group, cases[i].source, false);
		took = await_record(out, cases[i].group, cases[i].source) - start;
		slowest = took > slowest ? took : slowest;
	}
	print_message("slowest state change: %llu us\n", (unsigned long long)slowest / 1000);
	assert_int_equal(nbad, 0);
}

static void test_queries_are_answered(void **state)
{
	unsigned int mld;

	join("239.1.2.3", NULL, 5000);
	join("232.1.2.3", "198.51.100.7", 5001);
	join("ff3e::1234", "2001:db8::7", 5002);
	join("ff0e::1234", NULL, 5003);
	settle(200); /* unsolicited reports are over but for repetitions */
	for (mld = 0; mld < 2; mld++) {
		forget_seen();
		ask(mld);
		await_record(RECORD_IS_EX, mld ? "ff0e::1234" : "239.1.2.3", NULL);
		await_record(RECORD_IS_IN, mld ? "ff3e::1234" : "232.1.2.3",
			     mld ? "2001:db8::7" : "198.51.100.7");
	}
}

static void test_thousand_groups_are_answered(void **state)
{
	unsigned int i;
	char group[32];
	uint64_t end;
	int fd = -1;

	net_run("sysctl -qw net.ipv4.igmp_max_memberships=2000");
	for (i = 0; i < 1000; i++) {
		/* on Linux 6.1 a socket has room (net.core.optmem_max) for 426 */
		if (i % 250 == 0)
			fd = program(AF_INET, 5000);
		snprintf(group, sizeof(group), "239.7.%u.%u", i / 250, i % 250 + 1);
		change_membership(fd, info.ifindex, group, NULL, true);
	}
	settle(1500); /* the repetitions are over */
	forget_seen();
	ask(false);
	end = clock_now() + 30 * NSEC_PER_SEC; /* a slow machine */
	while (count_seen(RECORD_IS_EX) < 1000 && clock_now() < end)
		turn_loop(5);
	settle(100); /* and no more */
	assert_int_equal(count_seen(RECORD_IS_EX), 1000);
	assert_int_equal(nbad, 0);
}

static void test_only_reports_come(void **state)
{
	struct amt_sockaddr to = {.addr = net_addr("239.9.9.9"), .port = htons(9)};
	struct sockaddr_storage native;
	socklen_t len = sockaddr_to_native(&to, &native);
	struct ip_mreqn via = {.imr_ifindex = (int)info.ifindex};
	struct query_params params = {.robustness = 2, .interval_s = 125};
	uint8_t query[QUERY_IGMP_LEN];
	int fd = program(AF_INET, 5000), other, query_len;

	settle(300);
	forget_seen();
	assert_int_equal(setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &via, sizeof(via)), 0);
	assert_int_equal(sendto(fd, "data", 4, 0, (struct sockaddr *)&native, len), 4);
	/* IPv6 without a hop-by-hop header */
	to = (struct amt_sockaddr){.addr = net_addr("ff0e::9"), .port = htons(9)};
	len = sockaddr_to_native(&to, &native);
	fd = program(AF_INET6, 5000);
	assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &info.ifindex,
				    sizeof(info.ifindex)),
			 0);
	assert_int_equal(sendto(fd, "data", 4, 0, (struct sockaddr *)&native, len), 4);
	put_data("198.51.100.7", "239.1.2.3", 5000, "what we put in");
	ask(false);
	/* nor what others put in, the packet path's TC program above all */
	query_len = query_write(false, &params, query, sizeof(query));
	other = pseudo_packet_open(info.peer_ifindex);
	assert_int_equal(pseudo_packet_send(other, info.peer_ifindex, query, (size_t)query_len), 0);
	close(other);
	settle(100);
	assert_int_equal(nbad, 0); /* there may be reports of link-local groups */
	assert_int_equal(nseen, 0);
}

/* ---- data ---- */

static void test_data_reaches_programs(void **state)
{
	int ssm4 = join("232.1.2.3", "198.51.100.7", 5000);
	int any6 = join("ff0e::1234", NULL, 5001);
	int second = join("232.1.2.3", "198.51.100.7", 5000);

	put_data("198.51.100.7", "232.1.2.3", 5000, "four");
	assert_true(receives(ssm4, "four"));
	assert_true(receives(second, "four"));
	put_data("198.51.100.8", "232.1.2.3", 5000, "another source");
	put_data("198.51.100.7", "232.1.2.3", 5000, "nothing else");
	assert_true(receives(ssm4, "nothing else"));
	put_data("2001:db8::7", "ff0e::1234", 5001, "six");
	assert_true(receives(any6, "six"));
}

/* redirects all that comes in by the link to the peer, natively */
static int attach_redirect(uint32_t ifindex)
{
	const struct bpf_insn code[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K,
		 .dst_reg = BPF_REG_1,
		 .imm = (int)info.peer_ifindex},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_link_create_opts, native, .flags = XDP_FLAGS_DRV_MODE);
	int program = bpf_prog_load(BPF_PROG_TYPE_XDP, "redirect", "GPL", code, 4, NULL), link;

	assert_true(program >= 0);
	link = bpf_link_create(program, (int)ifindex, BPF_XDP, &native);
	assert_true(link >= 0);
	close(program);
	return link;
}

static void test_native_redirect_arrives(void **state)
{
	struct ifreq far = {.ifr_name = "peer0"};
	int fd = join("232.1.2.3", "198.51.100.7", 5000), link, sender;
	uint8_t buf[2048];
	size_t len = make_data("198.51.100.7", "232.1.2.3", 5000, "by XDP", buf);

	net_veth("up0", "peer0");
	link = attach_redirect(net_ifindex("up0"));
	settle(100);
	sender = net_peer_socket(AF_PACKET, SOCK_DGRAM, 0);
	assert_int_equal(ioctl(sender, SIOCGIFINDEX, &far), 0);
	assert_int_equal(pseudo_packet_send(sender, (uint32_t)far.ifr_ifindex, buf, len), 0);
	assert_true(receives(fd, "by XDP"));
	assert_int_equal(nbad, 0); /* and does not come back to us */
	close(sender);
	close(link);
}

static void test_strict_rp_filter_of_all(void **state)
{
	int fd;

	net_veth("up0", "peer0");
	net_run("ip addr add 10.0.1.1/24 dev up0; ip route add default via 10.0.1.2");
	pseudo_close(pseudo);
	net_run("sysctl -qw net.ipv4.conf.all.rp_filter=1");
	open_pseudo();
	assert_non_null(strstr(info.warning, "net.ipv4.conf.all.rp_filter is 1"));
	fd = join("232.1.2.3", "198.51.100.7", 5000);
	put_data("198.51.100.7", "232.1.2.3", 5000, "all the same");
	assert_true(receives(fd, "all the same"));
	net_run("sysctl -qw net.ipv4.conf.all.rp_filter=0");
	pseudo_close(pseudo);
	open_pseudo();
	assert_string_equal(info.warning, "");
}

static void test_default_routes(void **state)
{
	struct pseudo_options options = options_of();
	int fd4 = program(AF_INET, 5000), fd6 = program(AF_INET6, 5001);

	net_veth("up0", "peer0");
	net_run("ip addr add 10.0.1.1/24 dev up0; ip route add default via 10.0.1.2");
	pseudo_close(pseudo);
	options.route_metric = 100;
	open_with(&options);
	change_membership(fd4, 0, "239.1.2.3", NULL, true);
	change_membership(fd6, 0, "ff3e::1234", "2001:db8::7", true);
	await_record(RECORD_TO_EX, "239.1.2.3", NULL);
	await_record(RECORD_ALLOW, "ff3e::1234", "2001:db8::7");
	/* another metric replaces it, none takes it away */
	pseudo_close(pseudo);
	options.route_metric = 50;
	open_with(&options);
	net_run("test $(ip route show 224.0.0.0/4 | grep -c 'dev amt0.*metric 50') = 1");
	net_run("test $(ip -6 route show table local ff00::/8 dev amt0 | wc -l) = 2");
	pseudo_close(pseudo);
	open_pseudo();
	net_run("test -z \"$(ip route show 224.0.0.0/4)\"");
	net_run("test $(ip -6 route show table local ff00::/8 dev amt0 | wc -l) = 1");
	/* somebody else's route of that metric is not replaced */
	net_run("ip route add 224.0.0.0/4 dev up0 metric 50");
	pseudo_close(pseudo);
	pseudo = NULL;
	assert_int_equal(pseudo_open(&pseudo, &options, base, &failure), -EEXIST);
	net_run("ip route show 224.0.0.0/4 | grep -q up0");
}

static void test_bad_input(void **state)
{
	uint8_t buf[4096];
	size_t len = make_data("198.51.100.7", "232.1.2.3", 5000, "text", buf), n;

	for (n = 0; n < len; n++)
		assert_int_equal(pseudo_inject(pseudo, buf, n), -EINVAL);
	buf[16] = 10; /* unicast */
	assert_int_equal(pseudo_inject(pseudo, buf, len), -EINVAL);
	len = make_data("2001:db8::7", "ff0e::1", 5000, "text", buf);
	for (n = 0; n < len; n++)
		assert_int_equal(pseudo_inject(pseudo, buf, n), -EINVAL);
	assert_int_equal(pseudo_query(pseudo, false, 0, 125), -EINVAL);
	/* over the MTU */
	memset(buf, 0, sizeof(buf));
	buf[0] = 0x45;
	buf[2] = 2000 >> 8;
	buf[3] = 2000 & 0xff;
	buf[16] = 239;
	assert_int_equal(pseudo_inject(pseudo, buf, sizeof(buf)), -EMSGSIZE);
}

static void test_parse_address(void **state)
{
	static const char *const bad[] = {
		"",	     "10.0.0.1/33", "10.0.0.1/0",  "10.0.0.1/x",  "10.0.0.1/",
		"224.0.0.1", "::1/128",	    "fe80::1/129", "10.0.0.1/8 ", "10.0.0.1/-1"};
	struct amt_prefix out;
	size_t i;

	assert_int_equal(prefix_parse_host("10.1.2.3/8", &out), 0);
	assert_int_equal(out.bits, 104);
	assert_int_equal(prefix_parse_host("10.1.2.3", &out), 0);
	assert_int_equal(out.bits, 128);
	assert_int_equal(prefix_parse_host("2001:db8::3/64", &out), 0);
	assert_int_equal(out.bits, 64);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (prefix_parse_host(bad[i], &out) != -EINVAL)
			fail_msg("taken: \"%s\"", bad[i]);
}

#define pseudo_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		pseudo_test(test_pair_is_made),
		pseudo_test(test_mtu_follows),
		pseudo_test(test_nothing_of_its_own_enters),
		pseudo_test(test_restart_keeps_joins),
		pseudo_test(test_addresses_follow_the_options),
		pseudo_test(test_local_address_is_free),
		pseudo_test(test_foreign_interface_is_refused),
		pseudo_test(test_leftovers),
		pseudo_test(test_long_name),
		pseudo_test(test_removal_is_noticed),
		pseudo_test(test_joins_are_seen),
		pseudo_test(test_queries_are_answered),
		pseudo_test(test_thousand_groups_are_answered),
		pseudo_test(test_only_reports_come),
		pseudo_test(test_data_reaches_programs),
		pseudo_test(test_native_redirect_arrives),
		pseudo_test(test_strict_rp_filter_of_all),
		pseudo_test(test_default_routes),
		pseudo_test(test_bad_input),
		cmocka_unit_test(test_parse_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
