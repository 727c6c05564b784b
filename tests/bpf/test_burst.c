// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Bursts of 64 packets in one poll, to groups of any size up to 16,384: IPv4 and IPv6 gateways
 * mixed, from two relay addresses, over two uplinks; copied by one CPU, and by all. Every gateway
 * gets every packet once, and in order.
 */
#include "bpf/helper_judge.h"
#include "bpf/helper_path.h"

#include <net/if.h>

#define BURST	   64
#define FIRST_PORT 1000
#define ENDPOINTS  8
#define GROUP_ID   7

static struct path path;
static struct judge *judge;

static int setup(void **state)
{
	path_open(&path);
	judge = judge_open(path.up1);
	judge_watch(judge, (int)if_nametoindex("ul1"));
	judge_watch(judge, (int)if_nametoindex("um1"));
	return 0;
}

static int teardown(void **state)
{
	judge_close(judge);
	path_close(&path);
	return 0;
}

/* Members take turns with the endpoints: each of two uplinks, families and tags. */
static void make_group(unsigned int members, enum amt_path how)
{
	unsigned int port = FIRST_PORT, n, endpoint;

	path_config(&path);
	for (endpoint = 0; endpoint < ENDPOINTS && endpoint < members; endpoint++) {
		n = members / ENDPOINTS + (endpoint < members % ENDPOINTS);
		if (endpoint)
			path_append(&path, GROUP_ID, endpoint, port, n);
		else
			path_group(&path, GROUP_ID, NULL, GROUP4, how, endpoint, port, n);
		port += n;
	}
}

enum work { GROUP_CPU, ALL_CPUS, ANOTHER_CPU };

static void burst(unsigned int members, enum amt_path how, enum work work)
{
	struct packet_spec spec = {.payload = 64};
	uint64_t expected = (uint64_t)members * BURST, copies;
	struct verdict verdict;
	struct packet packet;

	if (work != GROUP_CPU)
		path.config.flags |= AMT_CONFIG_SPREAD;
	make_group(members, how);
	if (work == ANOTHER_CPU)
		path_blocks_to(&path, (GROUP_ID + 1) % path.config.cpus);
	judge_reset(judge);
	packet_build(&packet, &spec);
	path_live_by(judge_stamp_fd(judge), &packet, BURST);
	copies = judge_wait(judge, expected);
	verdict = judge_verdict(judge, FIRST_PORT, members, 0, BURST);
	if (copies != expected || verdict.missing || verdict.repeated || verdict.overtaken)
		fail_msg("%u members: %llu of %llu copies, missing %llu, repeated %llu, overtaken "
			 "%llu; %llu dropped at transmit, %llu in recirculation",
			 members, (unsigned long long)copies, (unsigned long long)expected,
			 (unsigned long long)verdict.missing, (unsigned long long)verdict.repeated,
			 (unsigned long long)verdict.overtaken,
			 (unsigned long long)path_counter(&path, AMT_COUNT_XMIT_DROPS),
			 (unsigned long long)path_counter(&path, AMT_COUNT_RECIRCULATION_DROPS));
	assert_int_equal(judge_strange(judge), 0);
	assert_int_equal(path_counter(&path, AMT_COUNT_COPIES_OUT), expected);
	assert_int_equal(path_counter(&path, AMT_COUNT_XMIT_DROPS), 0);
	assert_int_equal(path_counter(&path, AMT_COUNT_RECIRCULATION_DROPS), 0);
	path_reset(&path);
}

static void every_size(void **state)
{
	static const unsigned int sizes[] = {2, 3, 16, 64, 256, 1000, 4096};

	burst(1, AMT_PATH_XDP_DIRECT, GROUP_CPU);
	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		burst(sizes[i], AMT_PATH_XDP_RECIRCULATED, GROUP_CPU);
}

static void largest(void **state)
{
	burst(16384, AMT_PATH_XDP_RECIRCULATED, GROUP_CPU);
}

/* Also where one CPU has all the copies, as when all others' members left: what is split elsewhere
 * does not come faster than it gets them done. */
static void spread_over_cpus(void **state)
{
	if (libbpf_num_possible_cpus() < 2)
		skip();
	burst(1000, AMT_PATH_XDP_RECIRCULATED, ALL_CPUS);
	burst(4096, AMT_PATH_XDP_RECIRCULATED, ALL_CPUS);
	burst(16384, AMT_PATH_XDP_RECIRCULATED, ALL_CPUS);
	burst(16384, AMT_PATH_XDP_RECIRCULATED, ANOTHER_CPU);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_size),
		cmocka_unit_test(largest),
		cmocka_unit_test(spread_over_cpus),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
