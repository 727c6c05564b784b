/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The data path with groups of 8,192 and 100,000 members, of whom 1,000 a second leave while
 * packets flow: whoever stays gets every packet exactly once, whoever has left gets no more. (A
 * packet may overtake another while the number of blocks changes: not judged.) Where packets come
 * faster than they are copied, some of them miss some members, and that is counted; nobody gets one
 * twice.
 */
#include "unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <event2/event.h>
#include "base/addr.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "bpf/helper_judge.h"
#include "bpf/helper_packet.h"
#include "bpf/helper_stream.h"
#include "bpf/net.h"
#include "datapath/datapath.h"

#define MEMBERS_MAX 100000
#define LEAVES_A_MS 1
#define FIRST_PORT  1000
#define PORTS	    50000 /* of an address */
#define STRIDE	    2749  /* coprime to all numbers of members: leavers come from everywhere */
#define PACKETS	    500	  /* at most */

static const struct crowd {
	unsigned int members, leavers;
	unsigned int period_us;	       /* between two packets */
} calm = {8192, 2500, 200000},	       /* a busy machine must not fall behind */
	overload = {8192, 2500, 5000}, /* and it must */
	largest = {MEMBERS_MAX, 5000, 600000};

static struct {
	char instance[32];
	struct event_base *base;
	struct datapath *dp;
	struct judge *judge;
	const struct crowd *crowd;
	uint32_t set, tunnels[MEMBERS_MAX];
	struct stream stream;
} t = {
	.stream = {.interface = "src1", .groups = {GROUP4}, .payload = 100, .most = PACKETS},
};

static uint64_t counter(enum amt_counter which)
{
	uint64_t counters[AMT_DATA_COUNTERS_NUM];

	assert_int_equal(datapath_counters(t.dp, counters), 0);
	return counters[which];
}

static void turn(unsigned int ms)
{
	const struct timeval period = {ms / 1000, ms % 1000 * 1000};

	event_base_loopexit(t.base, &period);
	event_base_dispatch(t.base);
}

static void open_datapath(void)
{
	static const struct datapath_callbacks callbacks;
	const struct datapath_options options = {
		.instance = t.instance,
		.max_tunnels = MEMBERS_MAX,
		.max_groups = 16,
		.max_blocks = 32768,
		.max_nexthops = 64,
		.ttl = 64,
		.lease_ns = 260 * NSEC_PER_SEC,
	};
	struct error err = {""};

	assert_int_equal(datapath_open(&t.dp, &options, t.base, &callbacks, &err), 0);
	assert_int_equal(datapath_attach(t.dp, "src0", true, false, DATAPATH_MODE_AUTO, 0, &err),
			 0);
	/* said, since before Linux 6.3 nobody tells whether a veth takes XDP frames */
	assert_int_equal(datapath_attach(t.dp, "dn0", false, true, DATAPATH_MODE_XDP, 0, &err), 0);
}

static void join_all(void)
{
	const struct amt_addr gateways[] = {net_addr("10.8.0.1"), net_addr("10.8.0.2")};
	struct datapath_tunnel in = {.relay = {net_addr("10.9.0.1"), htons(2268)}};
	const struct amt_group_key key = {net_addr(SOURCE4), net_addr(GROUP4)};
	unsigned int i;

	assert_int_equal(datapath_set_create(t.dp, &key, &t.set), 0);
	judge_further(t.judge, &gateways[1]);
	for (i = 0; i < t.crowd->members; i++) {
		in.gateway.addr = gateways[i / PORTS];
		in.gateway.port = htons((uint16_t)(FIRST_PORT + i % PORTS));
		assert_int_equal(datapath_tunnel_add(t.dp, &in, &t.tunnels[i]), 0);
		assert_int_equal(datapath_member_add(t.dp, t.set, t.tunnels[i]), 0);
	}
	assert_int_equal(datapath_set_publish(t.dp, t.set, 0), 0);
}

static int setup(void **state)
{
	t.crowd = *state;
	t.base = event_base_new();
	net_run("ip link add src0 type veth peer name src1");
	net_run("n=$(nproc) && q=\"numtxqueues $n numrxqueues $n\" && "
		"ip link add dn0 $q type veth peer name dn1 $q");
	net_run("for i in src0 src1 dn0 dn1; do ip link set $i up; done");
	net_run("ip addr add 10.9.0.1/24 dev dn0 && ip route add 10.8.0.0/16 via 10.9.0.2");
	net_run("ip neigh add 10.9.0.2 lladdr 02:00:00:00:00:02 dev dn0");
	t.judge = judge_open(0);
	judge_watch(t.judge, (int)net_ifindex("dn1"));
	judge_reset(t.judge);
	open_datapath();
	join_all();
	return 0;
}

static int teardown(void **state)
{
	datapath_destroy(t.dp);
	net_run("ip link del src0 && ip link del dn0");
	judge_close(t.judge);
	event_base_free(t.base);
	return 0;
}

static unsigned int leaver(unsigned int i)
{
	return (unsigned int)((uint64_t)i * STRIDE % t.crowd->members);
}

/* Some leave the group, some end. */
static void leave(unsigned int i)
{
	uint32_t tunnel = t.tunnels[leaver(i)];

	if (i % 2)
		datapath_member_remove(t.dp, t.set, tunnel);
	else
		datapath_tunnel_remove(t.dp, tunnel);
}

static void leave_at_rate(void)
{
	uint64_t start = clock_now();
	unsigned int left = 0, due;

	while (left < t.crowd->leavers) {
		due = (unsigned int)((clock_now() - start) / NSEC_PER_MSEC * LEAVES_A_MS);
		for (; left < due && left < t.crowd->leavers; left++)
			leave(left);
		turn(1);
	}
}

static struct verdict verdict_on(unsigned int from, unsigned int to, unsigned int first,
				 unsigned int last)
{
	struct verdict all = {0}, one;
	unsigned int i, at;

	for (i = from; i < to; i++) {
		at = leaver(i) / PORTS * (JUDGE_GATEWAYS / 2) + leaver(i) % PORTS;
		one = judge_verdict(t.judge, FIRST_PORT + at, 1, first, last);
		all.missing += one.missing;
		all.repeated += one.repeated;
	}
	return all;
}

/* Until all that was sent is copied or dropped. */
static void wait_for_copies(void)
{
	uint64_t before, done = 0;

	do {
		before = done;
		turn(1000);
		done = counter(AMT_COUNT_COPIES_OUT) + counter(AMT_COUNT_BLOCKS_LATE);
	} while (done != before);
	judge_wait(t.judge, counter(AMT_COUNT_COPIES_OUT));
}

/* Sends packets while members leave. What those who stay did not get, and whether
 * those who left got something afterwards. */
static struct verdict play(void)
{
	const unsigned int leavers = t.crowd->leavers, members = t.crowd->members;
	struct verdict stay, went;
	unsigned int sent;

	stream_start(&t.stream, t.crowd->period_us);
	turn(300);
	leave_at_rate();
	turn(1500); /* what had to wait for the grace period is done */
	sent = t.stream.sent;
	turn(400);
	stream_stop(&t.stream);
	wait_for_copies();
	stay = verdict_on(leavers, members, 0, t.stream.sent);
	went = verdict_on(0, leavers, sent, t.stream.sent);
	print_message("%u packets, %u of %u left: %llu missing, %llu repeated, %llu dropped, "
		      "%llu blocks late\n",
		      t.stream.sent, leavers, members, (unsigned long long)stay.missing,
		      (unsigned long long)stay.repeated,
		      (unsigned long long)(counter(AMT_COUNT_XMIT_DROPS) +
					   counter(AMT_COUNT_RECIRCULATION_DROPS)),
		      (unsigned long long)counter(AMT_COUNT_BLOCKS_LATE));
	assert_int_equal(stay.repeated, 0);
	assert_int_equal(went.missing,
			 (uint64_t)leavers * (t.stream.sent - sent)); /* nothing came */
	assert_int_equal(went.repeated, 0);
	assert_int_equal(judge_strange(t.judge), 0);
	assert_int_equal(counter(AMT_COUNT_XMIT_DROPS), 0);
	assert_int_equal(counter(AMT_COUNT_RECIRCULATION_DROPS), 0);
	return stay;
}

static void nobody_else_notices(void **state)
{
	struct verdict stay = play();

	assert_true(t.stream.sent > 10 && t.stream.sent < PACKETS);
	assert_int_equal(stay.missing, 0);
	assert_int_equal(counter(AMT_COUNT_BLOCKS_LATE), 0);
}

/* On a machine that is fast enough nothing is late. */
static void late_copies_are_dropped(void **state)
{
	struct verdict stay = play();
	uint64_t late = counter(AMT_COUNT_BLOCKS_LATE);

	assert_true(stay.missing <= late * AMT_BLOCK_MEMBERS);
}

/* ---- the uplink is detached in a turn of the loop that has no time left ---- */

static bool uplink_has_program(void)
{
	return system("ip link show dev dn0 | grep -q xdp") == 0;
}

static void detach_late(evutil_socket_t fd, short what, void *arg)
{
	struct datapath_interface left[AMT_INTERFACES_MAX];

	while (!loop_turn_is_long())
		;
	assert_int_equal(datapath_detach(t.dp, "dn0", NULL), 0);
	assert_int_equal(datapath_detach(t.dp, "dn0", NULL), -ENODEV);
	assert_int_equal(datapath_interfaces(t.dp, left, AMT_INTERFACES_MAX), 1);
	assert_true(uplink_has_program()); /* it is still sent by */
}

static void look_at_blocks(evutil_socket_t fd, short what, void *arg)
{
	struct datapath_set_view view;

	assert_int_equal(datapath_set_view(t.dp, t.set, &view), 0);
	if (!view.blocks || !--*(int *)arg)
		event_base_loopbreak(t.base);
}

static void detached_by_and_by(void **state)
{
	static const struct timeval period = {.tv_usec = 1000};
	int looks = 10000;
	struct event *once = evtimer_new(t.base, detach_late, NULL);
	struct event *look = event_new(t.base, -1, EV_PERSIST, look_at_blocks, &looks);
	struct datapath_set_view view;

	assert_true(uplink_has_program());
	event_active(once, EV_TIMEOUT, 0);
	event_add(look, &period);
	loop_run(t.base);
	assert_int_equal(datapath_set_view(t.dp, t.set, &view), 0);
	assert_int_equal(view.blocks, 0);
	assert_int_equal(view.members, t.crowd->members);
	assert_false(uplink_has_program());
	event_free(once);
	event_free(look);
}

#define LEAVES(name, test, crowd)                             \
	{                                                     \
		name, test, setup, teardown, (void *)&(crowd) \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LEAVES("8,192 members", nobody_else_notices, calm),
		LEAVES("100,000 members", nobody_else_notices, largest),
		LEAVES("more packets than can be copied", late_copies_are_dropped, overload),
		LEAVES("the uplink goes", detached_by_and_by, calm),
	};
	int failed;

	if (geteuid() || !net_enter()) {
		puts("skip datapath_leaves: needs root");
		return 77;
	}
	snprintf(t.instance, sizeof(t.instance), "test-leaves-%d", getpid());
	log_set_level(getenv("AMT_TEST_LOG") ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	net_leave();
	return failed;
}
