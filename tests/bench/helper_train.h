/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Trains of packets through a chain, and what a copy costs.
 *
 * How CPU time is measured: everything that a packet causes happens on one core. The sender is
 * pinned to the core where the packet path's own thread (cpumap) serves the group, the sendmmsg
 * relay is pinned there as well, and veth delivers in the sender's system call. A train is sent in
 * bursts, each of which is awaited before the next, so the core is never idle and never has a
 * backlog: the wall time of a train is the CPU time of its packets, whoever they ran in (sender,
 * softirq, kernel thread, process), which no per-task or per-program clock would add up. The
 * sender's own share is measured by the same trains into a relay that drops everything, and
 * subtracted. Trains last about a millisecond, so what other processes take of the core spoils
 * single trains, and the median ignores them. Included in every path alike: the receiver's side of
 * the veth pair up to the program that counts and drops.
 */
#ifndef AMT_TESTS_BENCH_TRAIN_H
#define AMT_TESTS_BENCH_TRAIN_H

#include <stdbool.h>
#include <stdint.h>
#include "bench/helper_chain.h"

#define TRAINS_MAX 512

/* One line of the result: what is measured, and every train's cost so far. */
struct series {
	struct chain *chain;
	unsigned int payload, n; /* octets of UDP payload; copies of each packet */
	int cpu;
	double ns[TRAINS_MAX]; /* of each complete train, per packet */
	unsigned int trains;
	uint64_t expected, delivered;
};

/* Runs one train and notes it. */
void series_train(struct series *series);
/* Median cost of a packet, sender included; 0 without any complete train. */
double series_packet_ns(struct series *series);
/* Of a copy, without the sender's part of the packet. */
double series_copy_ns(struct series *series, double sender_ns);
double series_delivered(const struct series *series);

void pin_to(int pid, int cpu); /* pid 0: this process */

#endif
