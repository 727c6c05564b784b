// SPDX-License-Identifier: GPL-2.0-or-later
/* See helper_judge.h. */
#include "bpf/helper_judge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include "skel/judge.skel.h"

#define LOOK_US 100000
#define LOOKS	50 /* without a copy: no more will come */

struct judge *judge_open(int ifindex)
{
	struct judge *judge = judge__open_and_load();

	assert_non_null(judge);
	judge->bss->stamped_ifindex = (__u32)ifindex;
	return judge;
}

void judge_close(struct judge *judge)
{
	judge__destroy(judge);
}

void judge_watch(struct judge *judge, int ifindex)
{
	int fd = bpf_program__fd(judge->progs.judge);

	assert_int_equal(bpf_xdp_attach(ifindex, fd, XDP_FLAGS_DRV_MODE, NULL), 0);
}

void judge_further(struct judge *judge, const struct amt_addr *addr)
{
	memcpy(&judge->bss->further, &addr->bytes[AMT_ADDR_V4_OFFSET], sizeof(judge->bss->further));
}

int judge_stamp_fd(const struct judge *judge)
{
	return bpf_program__fd(judge->progs.stamp);
}

void judge_reset(struct judge *judge)
{
	int map = bpf_map__fd(judge->maps.accounts);
	static const struct account empty;

	for (uint32_t gateway = 0; gateway < JUDGE_GATEWAYS; gateway++)
		bpf_map_update_elem(map, &gateway, &empty, 0);
	judge->bss->stamped = 0;
	judge->bss->copies = judge->bss->strange = 0;
}

uint64_t judge_wait(const struct judge *judge, uint64_t expected)
{
	volatile const __u64 *copies = &judge->bss->copies;
	uint64_t before = 0;

	for (int looks = 0; looks < LOOKS && *copies < expected; looks++) {
		usleep(LOOK_US);
		if (*copies != before)
			looks = 0;
		before = *copies;
	}
	usleep(LOOK_US); /* for one too many */
	return *copies;
}

struct verdict judge_verdict(const struct judge *judge, unsigned int gateway, unsigned int n,
			     unsigned int first, unsigned int last)
{
	int map = bpf_map__fd(judge->maps.accounts);
	struct verdict verdict = {0};
	struct account account;

	for (uint32_t at = gateway; at < gateway + n; at++) {
		assert_int_equal(bpf_map_lookup_elem(map, &at, &account), 0);
		for (unsigned int i = first; i < last; i++)
			verdict.missing += !(account.seen[i / 64] >> i % 64 & 1);
		verdict.repeated += account.repeated;
		verdict.overtaken += account.overtaken;
	}
	return verdict;
}

uint64_t judge_strange(const struct judge *judge)
{
	return judge->bss->strange;
}
