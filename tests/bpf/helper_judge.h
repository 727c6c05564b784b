/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Judging the copies of very large groups: by an XDP program at the far end of each uplink, since
 * no socket can hold, and no process read, a million frames of a burst.
 */
#ifndef AMT_TESTS_BPF_HELPER_JUDGE_H
#define AMT_TESTS_BPF_HELPER_JUDGE_H

#include <stdint.h>
#include <amt/addr.h>
#include "bpf/judge.h"

struct judge; /* the skeleton */

/* ifindex: where packets that were numbered are sent out (0: there are none). */
struct judge *judge_open(int ifindex);
void judge_close(struct judge *judge);
/* Stands in for the XDP program of an interface that has one. */
void judge_watch(struct judge *judge, int ifindex);
/* Names the address whose gateways count on from 65,536. */
void judge_further(struct judge *judge, const struct amt_addr *addr);
int judge_stamp_fd(const struct judge *judge);
/* Forgets what came so far; packets are numbered from 0 again. */
void judge_reset(struct judge *judge);
/* Copies so far, once no more come, or as many as that. */
uint64_t judge_wait(const struct judge *judge, uint64_t expected);

/* Of so many gateways in a row (judge.h), each of which was to get every packet from first to
 * last - 1. */
struct verdict {
	uint64_t missing, repeated, overtaken;
};
struct verdict judge_verdict(const struct judge *judge, unsigned int gateway, unsigned int n,
			     unsigned int first, unsigned int last);
/* Copies with a number that no packet had. */
uint64_t judge_strange(const struct judge *judge);

#endif
