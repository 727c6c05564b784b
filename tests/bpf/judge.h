/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What judge.bpf.c keeps of the copies to one gateway, and those who ask it share. Gateways are
 * told apart by port; those at one IPv4 address, if it is named, count on from 65,536. */
#ifndef AMT_TESTS_BPF_JUDGE_H
#define AMT_TESTS_BPF_JUDGE_H

#include <linux/types.h>

#define JUDGE_WORDS    8
#define JUDGE_GATEWAYS (2 * 65536)
#define JUDGE_PACKETS  (64 * JUDGE_WORDS) /* numbered from 0 */

struct account {
	__u64 seen[JUDGE_WORDS]; /* a bit a packet */
	__u32 next;
	__u32 repeated, overtaken;
	__u32 reserved;
};

#endif
