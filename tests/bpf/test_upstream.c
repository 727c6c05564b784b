/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Upstream joins against a real kernel: memberships as /proc shows them, reports as the wire has
 * them, and a holder process that outlives the one that speaks to it.
 */
#include "unit/unit.h"
#include "bpf/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <net/ethernet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <event2/event.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include "base/clock.h"
#include "base/counters.h"
#include "base/descriptors.h"
#include "relay/holder.h"
#include "relay/holder_start.h"
#include "relay/upstream.h"

static struct event_base *base;
static struct upstream *upstream;
static char instance[32];
static uint32_t up0, up1;
static unsigned int changes;
static struct amt_addr last_change;

static void on_changed(void *arg, const struct amt_addr *group)
{
	changes++;
	last_change = *group;
}

static void turn_loop(unsigned int ms)
{
	struct timeval wait = {.tv_usec = ms * 1000};

	event_base_loopexit(base, &wait);
	event_base_loop(base, EVLOOP_ONCE);
}

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

static void open_held(uint64_t hold_ns)
{
	struct upstream_options options = {
		.instance = instance, .hold_ns = hold_ns, .retry_s = 1, .changed = on_changed};
	struct error err;

	if (upstream_open(&upstream, &options, base, &err))
		fail_msg("%s", err.text);
}

static void open_upstream(void)
{
	open_held(60 * NSEC_PER_SEC);
	assert_int_equal(upstream_add_interface(upstream, up0), 0);
}

static struct upstream_status status(void)
{
	struct upstream_status out;

	upstream_status(upstream, &out);
	return out;
}

static int setup(void **state)
{
	static unsigned int number;

	if (!net_enter())
		return -1;
	net_veth("up0", "peer0");
	net_veth("up1", "peer1");
	net_run("ip addr add 10.0.1.1/24 dev up0; ip addr add 10.0.2.1/24 dev up1");
	net_run("ip addr add 2001:db8:1::1/64 dev up0; ip addr add 2001:db8:2::1/64 dev up1");
	up0 = net_ifindex("up0");
	up1 = net_ifindex("up1");
	snprintf(instance, sizeof(instance), "test-%d-%u", (int)getpid(), number++);
	base = event_base_new();
	assert_non_null(base);
	counter_reset_all();
	changes = 0;
	open_upstream();
	return 0;
}

static int teardown(void **state)
{
	char path[108];

	upstream_destroy(upstream);
	snprintf(path, sizeof(path), HOLDER_PATH, instance);
	assert_int_equal(access(path, F_OK), -1); /* the holder cleans up */
	event_base_free(base);
	net_leave();
	return 0;
}

/* ---- what the kernel has ---- */

static unsigned int count_lines(const char *command)
{
	FILE *pipe = popen(command, "re");
	unsigned int n = 0;

	assert_non_null(pipe);
	assert_int_equal(fscanf(pipe, "%u", &n), 1);
	pclose(pipe);
	return n;
}

/* Sources of the group that mcfilter shows as included, or excluded. It shows nothing of a device
 * whose latest group has no sources, so tests join those first. */
static unsigned int kernel_sources(const char *device, const char *group, bool excluded)
{
	struct amt_addr addr = net_addr(group);
	char command[256], hex[33];
	unsigned int i, first = addr_is_ipv4(&addr) ? AMT_ADDR_V4_OFFSET : 0;

	for (i = first; i < 16; i++)
		sprintf(hex + 2 * (i - first), "%02x", addr.bytes[i]);
	snprintf(command, sizeof(command),
		 "awk 'tolower($3) ~ /^(0x)?%s$/ && $2 == \"%s\" && $%d > 0' /proc/net/mcfilter%s "
		 "| wc -l",
		 hex, device, excluded ? 6 : 5, first ? "" : "6");
	return count_lines(command);
}

static unsigned int kernel_users(uint32_t ifindex, const char *group)
{
	struct amt_addr addr = net_addr(group);
	char command[256], hex[33];
	uint32_t v4;
	unsigned int i;

	if (addr_is_ipv4(&addr)) {
		memcpy(&v4, addr.bytes + AMT_ADDR_V4_OFFSET, 4);
		snprintf(command, sizeof(command),
			 "awk '/^[0-9]/ {d = $1} /^\\t/ && d == %u && $1 == \"%08" PRIX32
			 "\" {n = $2} END {print n + 0}' /proc/net/igmp",
			 ifindex, v4);
	} else {
		for (i = 0; i < 16; i++)
			sprintf(hex + 2 * i, "%02x", addr.bytes[i]);
		snprintf(command, sizeof(command),
			 "awk '$1 == %u && $3 == \"%s\" {n = $4} END {print n + 0}' "
			 "/proc/net/igmp6",
			 ifindex, hex);
	}
	return count_lines(command);
}

static unsigned int kernel_groups(void)
{
	return count_lines("{ grep -cE '^\t+[0-9A-F]{6}E8' /proc/net/igmp; "
			   "grep -c ' ff3e' /proc/net/igmp6; } | awk '{n += $1} END {print n}'");
}

static void numbered(struct amt_addr *list, unsigned int n, const char *prefix)
{
	char text[64];
	unsigned int i;

	for (i = 0; i < n; i++) {
		if (strchr(prefix, ':'))
			snprintf(text, sizeof(text), "%s%x", prefix, i + 1);
		else
			snprintf(text, sizeof(text), "%s%u.%u", prefix, i / 200, i % 200 + 1);
		list[i] = net_addr(text);
	}
}

static void set(const char *group, bool exclude, const struct amt_addr *sources, unsigned int n)
{
	struct amt_addr addr = net_addr(group);

	assert_int_equal(upstream_set(upstream, &addr, exclude, sources, n), 0);
}

/* ---- the wire ---- */

struct seen {
	unsigned int allow, block, to_include, to_exclude, is;
};

static int sniff(void)
{
	return net_peer_socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK, htons(ETH_P_ALL));
}

/* Counts the records of IGMPv3 reports about the group (NULL: all), by type. */
static void read_reports(int fd, const char *group, struct seen *seen)
{
	struct amt_addr addr = net_addr(group ? group : "0.0.0.0");
	uint8_t packet[2048];
	ssize_t len;

	while ((len = recv(fd, packet, sizeof(packet), MSG_DONTWAIT)) > 0) {
		const uint8_t *igmp = packet + 4 * (packet[0] & 15), *end = packet + len, *record;

		if (len < 28 || packet[0] >> 4 != 4 || packet[9] != IPPROTO_IGMP || igmp[0] != 0x22)
			continue;
		for (record = igmp + 8; record + 8 <= end;
		     record += 8 + 4 * (record[2] << 8 | record[3])) {
			unsigned int *const by_type[] = {NULL,
							 &seen->is,
							 &seen->is,
							 &seen->to_include,
							 &seen->to_exclude,
							 &seen->allow,
							 &seen->block};

			if ((!group ||
			     memcmp(record + 4, addr.bytes + AMT_ADDR_V4_OFFSET, 4) == 0) &&
			    record[0] > 0 && record[0] <= 6)
				++*by_type[record[0]];
		}
	}
}

/* ---- tests ---- */

static void joins_and_leaves(void **state)
{
	struct amt_addr v4 = net_addr("192.0.2.9"), v6 = net_addr("2001:db8:f::9");
	struct amt_addr group = net_addr("232.1.1.1");
	char path[108];
	struct stat st;

	set("239.1.1.1", true, NULL, 0);
	set("232.1.1.1", false, &v4, 1);
	set("ff3e::8000:1", false, &v6, 1);
	await(status().groups == 3 && kernel_sources("up0", "232.1.1.1", false) == 1, 3);
	await(kernel_sources("up0", "ff3e::8000:1", false) == 1, 3);
	await(kernel_users(up0, "239.1.1.1") == 1, 3);
	assert_int_equal(kernel_users(up1, "232.1.1.1"), 0);
	assert_int_equal(upstream_group_error(upstream, &group), 0);
	assert_true(status().holder_pid > 1 && status().holder_pid != getpid());
	snprintf(path, sizeof(path), HOLDER_PATH, instance);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	set("232.1.1.1", false, NULL, 0);
	set("ff3e::8000:1", false, NULL, 0);
	set("239.1.1.1", false, NULL, 0);
	set("239.9.9.9", false, NULL, 0); /* never joined */
	await(!kernel_users(up0, "232.1.1.1") && !kernel_users(up0, "ff3e::8000:1") &&
		      !kernel_users(up0, "239.1.1.1"),
	      3);
	await(status().sockets == 0 && status().groups == 0, 3);
}

static void coalesces(void **state)
{
	struct amt_addr list[3];
	unsigned int i;

	numbered(list, 3, "192.0.");
	for (i = 0; i < 1000; i++)
		set("232.1.1.1", false, list, 1 + i % 3);
	set("232.1.1.1", false, list, 2);
	await(kernel_sources("up0", "232.1.1.1", false) == 2, 3);
	set("232.1.1.2", false, list, 1);
	set("232.1.1.2", false, NULL, 0);
	settle(200);
	assert_int_equal(kernel_users(up0, "232.1.1.2"), 0);
}

static void long_lists(void **state)
{
	static struct amt_addr list[3000];

	numbered(list, 3000, "192.0.");
	set("232.1.1.1", false, list, 35); /* over igmp_max_msf: several sockets */
	await(kernel_sources("up0", "232.1.1.1", false) == 35, 3);
	assert_int_equal(kernel_users(up0, "232.1.1.1"), 4);
	set("232.1.1.1", false, list + 5, 25);
	await(kernel_sources("up0", "232.1.1.1", false) == 25, 3);
	set("232.1.1.1", true, list, 5);
	await(kernel_sources("up0", "232.1.1.1", true) == 5 && kernel_users(up0, "232.1.1.1") == 1,
	      3);
	set("232.1.1.1", false, list, 35);
	await(kernel_sources("up0", "232.1.1.1", false) == 35, 3);
	set("232.1.1.1", true, list, 12); /* too many to exclude: none is */
	await(kernel_sources("up0", "232.1.1.1", false) == 0 && kernel_users(up0, "232.1.1.1") == 1,
	      3);
	assert_int_equal(kernel_sources("up0", "232.1.1.1", true), 0);
	set("232.1.1.1", false, list, 3000); /* several records to the holder */
	await(kernel_sources("up0", "232.1.1.1", false) == 3000, 10);
	set("232.1.1.1", false, NULL, 0);
	await(kernel_users(up0, "232.1.1.1") == 0, 5);
	numbered(list, 150, "2001:db8:f::");
	set("ff3e::8000:1", false, list, 150);
	await(kernel_sources("up0", "ff3e::8000:1", false) == 150, 3);
}

/* Random filters of one group; the kernel's merged state must be what was said. */
static void random_filters(void **state)
{
	struct amt_addr all[40], list[40];
	unsigned int round, i, n;
	bool exclude;

	srand(1);
	numbered(all, 40, "192.0.");
	for (round = 0; round < 60; round++) {
		exclude = rand() % 4 == 0;
		n = 0;
		for (i = 0; i < 40; i++)
			if (rand() % (exclude ? 8 : 2) == 0)
				list[n++] = all[i];
		if (exclude && n > 10)
			n = 10;
		set("232.1.1.1", exclude, list, n);
		await(kernel_sources("up0", "232.1.1.1", exclude) == n &&
			      kernel_sources("up0", "232.1.1.1", !exclude) == 0,
		      3);
	}
}

static void many_channels(void **state)
{
	struct amt_addr source = net_addr("192.0.2.9"), source6 = net_addr("2001:db8:f::9");
	uint64_t begin = clock_now();
	char group[64];
	unsigned int i;

	for (i = 0; i < 5000; i++) {
		snprintf(group, sizeof(group), i % 2 ? "ff3e::8000:%u" : "232.1.%u.%u",
			 i % 2 ? i : i / 200, i % 200);
		set(group, false, i % 2 ? &source6 : &source, 1);
	}
	await(status().groups == 5000 && kernel_groups() == 5000, 20);
	print_message("5000 channels joined in %llu ms on %u sockets\n",
		      (unsigned long long)(clock_now() - begin) / NSEC_PER_MSEC, status().sockets);
	assert_int_equal(status().failed, 0);
	begin = clock_now();
	for (i = 0; i < 5000; i++) {
		snprintf(group, sizeof(group), i % 2 ? "ff3e::8000:%u" : "232.1.%u.%u",
			 i % 2 ? i : i / 200, i % 200);
		set(group, false, NULL, 0);
	}
	await(kernel_groups() == 0 && status().sockets == 0, 20);
}

static void on_the_wire(void **state)
{
	struct amt_addr list[4];
	struct seen seen = {0};
	int fd = sniff();

	numbered(list, 4, "192.0.");
	set("232.1.1.1", false, list, 2);
	settle(1500);
	read_reports(fd, "232.1.1.1", &seen);
	assert_true(seen.allow > 0 && seen.block == 0 && seen.to_include == 0 &&
		    seen.to_exclude == 0);
	memset(&seen, 0, sizeof(seen));
	set("232.1.1.1", false, list, 3); /* one more */
	settle(1500);
	read_reports(fd, "232.1.1.1", &seen);
	assert_true(seen.allow > 0 && seen.block == 0 && seen.to_include == 0);
	memset(&seen, 0, sizeof(seen));
	set("232.1.1.1", false, list + 1, 3); /* one goes, one comes */
	settle(1500);
	read_reports(fd, "232.1.1.1", &seen);
	assert_true(seen.allow > 0 && seen.block > 0 && seen.to_include == 0 &&
		    seen.to_exclude == 0);
	memset(&seen, 0, sizeof(seen));
	set("232.1.1.1", true, list, 1);
	settle(1500);
	read_reports(fd, "232.1.1.1", &seen);
	assert_true(seen.to_exclude > 0 && seen.to_include == 0);
	memset(&seen, 0, sizeof(seen));
	set("232.1.1.1", false, list, 2);
	settle(1500);
	read_reports(fd, "232.1.1.1", &seen);
	assert_true(seen.to_include > 0 && seen.to_exclude == 0);
	close(fd);
}

/* amtd joins, and dies without a word. */
static void outlives_amtd(void **state)
{
	struct amt_addr list[2];
	struct seen seen = {0};
	int fd, pid, holder;

	numbered(list, 2, "192.0.");
	upstream_destroy(upstream);
	upstream = NULL;
	pid = fork();
	if (pid == 0) {
		alarm(10); /* a failed assertion must not go on in two processes */
		base = event_base_new();
		open_upstream();
		set("232.1.1.3", true, NULL, 0);
		set("232.1.1.1", false, list, 2);
		set("232.1.1.2", false, list, 1);
		while (status().groups < 3)
			turn_loop(20);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	settle(1500); /* the join's second report */
	fd = sniff();
	assert_int_equal(kernel_users(up0, "232.1.1.1"), 1);
	assert_int_equal(kernel_users(up0, "232.1.1.3"), 1);
	open_held(60 * NSEC_PER_SEC);
	set("232.1.1.1", false, list, 2); /* as before */
	set("232.1.1.3", false, list, 1); /* changed */
	assert_int_equal(upstream_add_interface(upstream, up0), 0);
	assert_int_equal(upstream_sync_done(upstream), 0);
	await(status().holder_pid > 0, 3);
	holder = status().holder_pid;
	await(kernel_users(up0, "232.1.1.2") == 0, 3); /* not said again */
	assert_int_equal(kernel_sources("up0", "232.1.1.1", false), 2);
	assert_int_equal(kernel_sources("up0", "232.1.1.3", false), 1);
	settle(500);
	read_reports(fd, "232.1.1.1", &seen);
	assert_int_equal(seen.allow + seen.block + seen.to_include + seen.to_exclude, 0);
	assert_int_equal(status().holder_pid, holder);
	assert_int_equal(status().groups, 2);
	close(fd);
}

static void set_many(unsigned int n, const struct amt_addr *source)
{
	char group[64];
	unsigned int i;

	for (i = 0; i < n; i++) {
		snprintf(group, sizeof(group), "232.1.%u.%u", i / 200, i % 200);
		set(group, false, source, source ? 1 : 0);
	}
}

/* More groups than are said in one loop turn: none is left before it is said again. */
static void restart_with_many(void **state)
{
	struct amt_addr source = net_addr("192.0.2.9");
	struct seen seen = {0};
	int fd;

	set_many(2000, &source);
	await(status().groups == 2000, 10);
	upstream_close(upstream);
	upstream = NULL;
	settle(1500);
	fd = sniff();
	open_held(60 * NSEC_PER_SEC);
	await(status().holder_pid > 0, 3);
	set_many(1999, &source);
	assert_int_equal(upstream_add_interface(upstream, up0), 0);
	assert_int_equal(upstream_sync_done(upstream), 0);
	await(kernel_groups() == 1999, 10);
	settle(500);
	read_reports(fd, NULL, &seen);
	assert_true(seen.block > 0 && seen.block <= 2); /* the one that was not said, repeated */
	assert_int_equal(seen.allow + seen.to_include + seen.to_exclude, 0);
	close(fd);
}

/* One that has ended and waits to be collected is not. */
static bool alive(int pid)
{
	char path[64], line[512] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(line, sizeof(line), file))
		line[0] = '\0';
	fclose(file);
	return line[0] && !strstr(line, ") Z");
}

static void holder_gives_up(void **state)
{
	struct amt_addr source = net_addr("192.0.2.9");
	int holder;

	upstream_destroy(upstream);
	upstream = NULL;
	open_held(NSEC_PER_SEC);
	assert_int_equal(upstream_add_interface(upstream, up0), 0);
	set("232.1.1.1", false, &source, 1);
	await(status().groups == 1, 3);
	holder = status().holder_pid;
	settle(1500);
	assert_true(alive(holder)); /* while amtd is there */
	upstream_close(upstream);
	upstream = NULL;
	usleep(300000);
	assert_true(alive(holder));
	assert_int_equal(kernel_users(up0, "232.1.1.1"), 1);
	await(!alive(holder), 10);
	assert_int_equal(kernel_users(up0, "232.1.1.1"), 0);
	open_upstream();
}

static void holder_killed(void **state)
{
	struct amt_addr source = net_addr("192.0.2.9");
	int holder, other;

	set("232.1.1.1", false, &source, 1);
	upstream_sync_done(upstream);
	await(status().groups == 1, 3);
	holder = status().holder_pid;
	kill(holder, SIGKILL);
	await(status().holder_pid > 0 && status().holder_pid != holder, 5);
	await(kernel_sources("up0", "232.1.1.1", false) == 1, 3);
	/* one that hangs is replaced as well */
	other = status().holder_pid;
	kill(other, SIGSTOP);
	upstream_close(upstream);
	upstream = NULL;
	open_upstream();
	set("232.1.1.1", false, &source, 1);
	await(status().holder_pid > 0 && status().holder_pid != other, 10);
	kill(other, SIGKILL);
}

static void failed_join_is_retried(void **state)
{
	struct amt_addr source = net_addr("192.0.2.9"), group = net_addr("232.1.1.1");

	net_run("sysctl -qw net.ipv4.igmp_max_memberships=0");
	set("232.1.1.1", false, &source, 1);
	await(upstream_group_error(upstream, &group) == -ENOBUFS, 3);
	assert_int_equal(status().failed, 1);
	assert_int_equal(status().groups, 0);
	assert_true(counter_get(AMT_COUNT_UPSTREAM_JOIN_FAILED) >= 1);
	net_run("sysctl -qw net.ipv4.igmp_max_memberships=20");
	await(upstream_group_error(upstream, &group) == 0, 5);
	assert_true(counter_get(AMT_COUNT_UPSTREAM_JOIN_RETRIED) >= 1);
	assert_int_equal(kernel_sources("up0", "232.1.1.1", false), 1);
	assert_int_equal(status().failed, 0);
}

static void interface_returns(void **state)
{
	struct amt_addr source = net_addr("192.0.2.9"), source6 = net_addr("2001:db8:f::9");

	set("232.1.1.1", false, &source, 1);
	set("ff3e::8000:1", false, &source6, 1);
	await(kernel_users(up0, "232.1.1.1") == 1 && kernel_users(up0, "ff3e::8000:1") == 1, 3);
	net_run("ip link del up0");
	upstream_remove_interface(upstream, up0);
	settle(200);
	assert_int_equal(status().sockets, 0);
	net_veth("up0", "peer0");
	up0 = net_ifindex("up0");
	assert_int_equal(upstream_add_interface(upstream, up0), 0);
	await(kernel_sources("up0", "232.1.1.1", false) == 1 &&
		      kernel_sources("up0", "ff3e::8000:1", false) == 1,
	      3);
	/* made anew, under the same index and before anybody noticed */
	net_run("ip link del up0; ip link add up0 index %u type veth peer name peer0 netns %d", up0,
		net_peer_pid());
	net_run("ip link set up0 up");
	assert_int_equal(net_ifindex("up0"), up0);
	assert_int_equal(kernel_users(up0, "232.1.1.1"), 0);
	upstream_remove_interface(upstream, up0);
	assert_int_equal(upstream_add_interface(upstream, up0), 0);
	await(kernel_sources("up0", "232.1.1.1", false) == 1 &&
		      kernel_sources("up0", "ff3e::8000:1", false) == 1,
	      3);
}

static void several_interfaces(void **state)
{
	struct amt_addr sources[3];
	struct amt_group_key key = {.group = net_addr("232.1.1.1")};

	net_run("ip route add 192.0.2.0/24 via 10.0.1.2; ip route add 198.51.100.0/24 via "
		"10.0.2.2");
	sources[0] = net_addr("192.0.2.9");
	sources[1] = net_addr("198.51.100.9");
	sources[2] = net_addr("203.0.113.9"); /* no route: the first interface */
	set("239.1.1.1", true, NULL, 0);
	set("232.1.1.1", false, sources, 3);
	await(kernel_sources("up0", "232.1.1.1", false) == 3, 3);
	assert_int_equal(upstream_ifindex(upstream, &key), 0);
	assert_int_equal(upstream_add_interface(upstream, up1), 0);
	await(kernel_sources("up0", "232.1.1.1", false) == 2, 3);
	await(kernel_sources("up1", "232.1.1.1", false) == 1, 3);
	await(kernel_users(up0, "239.1.1.1") == 1 && kernel_users(up1, "239.1.1.1") == 1, 3);
	assert_true(changes > 0);
	assert_int_equal(upstream_ifindex(upstream, &key), 0); /* (*,G) */
	key.source = sources[0];
	assert_int_equal(upstream_ifindex(upstream, &key), up0);
	key.source = sources[1];
	assert_int_equal(upstream_ifindex(upstream, &key), up1);
	key.source = sources[2];
	assert_int_equal(upstream_ifindex(upstream, &key), up0);
	changes = 0;
	net_run("ip route replace 192.0.2.0/24 via 10.0.2.2");
	await(kernel_sources("up1", "232.1.1.1", false) == 2, 4);
	await(kernel_sources("up0", "232.1.1.1", false) == 1, 3);
	assert_true(changes > 0 && addr_equal(&last_change, &key.group));
	upstream_remove_interface(upstream, up0);
	await(kernel_sources("up1", "232.1.1.1", false) == 3, 3);
	await(kernel_users(up0, "232.1.1.1") == 0 && kernel_users(up0, "239.1.1.1") == 0, 3);
}

static void local_listeners(void **state)
{
	struct amt_addr source = net_addr("192.0.2.9"), source6 = net_addr("2001:db8:f::9");
	struct amt_addr group = net_addr("232.1.1.1"), group6 = net_addr("ff3e::8000:1");
	struct ip_mreqn mreq = {.imr_ifindex = (int)up0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int fd6 = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ipv6_mreq mreq6 = {.ipv6mr_interface = up0};

	set("232.1.1.1", false, &source, 1);
	set("ff3e::8000:1", false, &source6, 1);
	await(kernel_users(up0, "232.1.1.1") == 1 && kernel_users(up0, "ff3e::8000:1") == 1, 3);
	settle(300);
	assert_false(upstream_wanted_here(upstream, &group));
	memcpy(&mreq.imr_multiaddr, group.bytes + AMT_ADDR_V4_OFFSET, 4);
	memcpy(&mreq6.ipv6mr_multiaddr, group6.bytes, 16);
	assert_int_equal(setsockopt(fd, SOL_IP, IP_ADD_MEMBERSHIP, &mreq, sizeof(mreq)), 0);
	assert_int_equal(setsockopt(fd6, SOL_IPV6, IPV6_JOIN_GROUP, &mreq6, sizeof(mreq6)), 0);
	await(upstream_wanted_here(upstream, &group) && upstream_wanted_here(upstream, &group6), 4);
	assert_true(changes >= 2);
	close(fd);
	close(fd6);
	await(!upstream_wanted_here(upstream, &group) && !upstream_wanted_here(upstream, &group6),
	      4);
}

/* A holder found in another namespace would join there. */
static void other_namespace(void **state)
{
	struct amt_addr source = net_addr("192.0.2.9");
	int holder;

	set("232.1.1.1", false, &source, 1);
	await(status().groups == 1, 3);
	holder = status().holder_pid;
	upstream_close(upstream);
	upstream = NULL;
	net_leave();
	assert_true(net_enter());
	net_veth("up0", "peer0");
	up0 = net_ifindex("up0");
	open_upstream();
	set("232.1.1.1", false, &source, 1);
	await(kernel_users(up0, "232.1.1.1") == 1, 5);
	assert_int_not_equal(status().holder_pid, holder);
	await(!alive(holder), 3);
}

/* ---- sockets ---- */

static int kept = -1; /* what amtd listens with; -1: nothing */

static void sockets_to_keep(void *arg, struct descriptors *out)
{
	if (kept >= 0)
		out->fd[out->n++] = kept;
}

static int udp_socket(const char *addr, uint16_t port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	at.sin_addr.s_addr = inet_addr(addr);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

/* A gateway says something: negative errno where it hears that nobody is at the port. */
static int say_to_port(const char *octets)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(2268)};
	int fd = udp_socket("127.0.0.1", 0), err = 0;
	socklen_t len = sizeof(err);

	at.sin_addr.s_addr = inet_addr("127.0.0.2");
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(send(fd, octets, 1, 0), 1);
	settle(50);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len), 0);
	close(fd);
	return -err;
}

/* Opens upstream with a holder that keeps the socket `kept`. */
static void open_keeping(void)
{
	struct upstream_options options = {
		.instance = instance, .hold_ns = 2 * NSEC_PER_SEC, .sockets = sockets_to_keep};
	struct error err;

	assert_int_equal(upstream_open(&upstream, &options, base, &err), 0);
	await(status().holder_pid > 0, 3);
}

/* amtd and its socket are gone, the holder has its own. */
static void leave_holder(void)
{
	settle(100);
	upstream_close(upstream);
	upstream = NULL;
	close(kept);
	kept = -1;
}

/* While no amtd runs, its port is open and what comes there waits for the next one; after the
 * holder's end, or when amtd listens there no more, it is closed. */
static void keeps_sockets(void **state)
{
	struct descriptors taken;
	char octet = 0;

	net_run("ip link set lo up");
	upstream_destroy(upstream);
	kept = udp_socket("127.0.0.2", 2268);
	open_keeping();
	leave_holder();
	assert_int_equal(say_to_port("a"), 0);

	holder_take(instance, &taken);
	assert_int_equal(taken.n, 1);
	kept = taken.fd[0];
	assert_int_equal(recv(kept, &octet, 1, MSG_DONTWAIT), 1);
	assert_int_equal(octet, 'a');
	open_keeping();
	close(kept);
	kept = -1;
	assert_int_equal(say_to_port("b"), 0);
	upstream_sockets_changed(upstream);
	settle(100);
	assert_int_equal(say_to_port("c"), -ECONNREFUSED);

	kept = udp_socket("127.0.0.2", 2268);
	upstream_sockets_changed(upstream);
	leave_holder();
	assert_int_equal(say_to_port("d"), 0);
	await(say_to_port("e") == -ECONNREFUSED, 5);
	holder_take(instance, &taken);
	assert_int_equal(taken.n, 0);
}

/* Those of another network namespace are of no use. */
static void keeps_sockets_for_its_namespace(void **state)
{
	struct descriptors taken;

	upstream_destroy(upstream);
	kept = udp_socket("0.0.0.0", 2268);
	open_keeping();
	leave_holder();
	net_leave();
	assert_true(net_enter());
	holder_take(instance, &taken);
	assert_int_equal(taken.n, 0);
	open_held(NSEC_PER_SEC); /* which ends the holder of there */
	await(status().holder_pid > 0, 3);
}

/* Bytes that amtd would not send end the connection, not the joins. */
static void garbage_to_the_holder(void **state)
{
	struct amt_addr source = net_addr("192.0.2.9");
	struct holder_record record = {
		.version = HOLDER_VERSION, .type = HOLDER_SET, .count = 1000000};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	unsigned int i;
	int fd, holder;

	set("232.1.1.1", false, &source, 1);
	await(status().groups == 1, 3);
	holder = status().holder_pid;
	upstream_close(upstream);
	upstream = NULL;
	snprintf(address.sun_path, sizeof(address.sun_path), HOLDER_PATH, instance);
	for (i = 0; i < sizeof(record); i++) {
		fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
		assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
		send(fd, &record, i, MSG_NOSIGNAL);
		send(fd, &record, sizeof(record), MSG_NOSIGNAL);
		record.type = (uint16_t)(i % 8 == HOLDER_QUIT ? 77 : i % 8);
		close(fd);
	}
	open_upstream();
	await(status().holder_pid == holder, 3);
}

int main(int argc, char **argv)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(joins_and_leaves),
		CASE(coalesces),
		CASE(long_lists),
		CASE(random_filters),
		CASE(many_channels),
		CASE(on_the_wire),
		CASE(outlives_amtd),
		CASE(restart_with_many),
		CASE(holder_gives_up),
		CASE(holder_killed),
		CASE(failed_join_is_retried),
		CASE(interface_returns),
		CASE(several_interfaces),
		CASE(local_listeners),
		CASE(other_namespace),
		CASE(keeps_sockets),
		CASE(keeps_sockets_for_its_namespace),
		CASE(garbage_to_the_holder),
	};

	if (argc > 1 && strcmp(argv[1], HOLDER_ARGUMENT) == 0)
		return upstream_holder_main(argc, argv);
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
