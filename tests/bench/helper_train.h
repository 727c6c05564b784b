/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Trains of packets through a chain, and what a copy costs.
 *
 * How CPU time is measured: a packet's work happens in the sender's system call (veth delivers in
 * softirq there), in ksoftirqd, in the packet path's own kernel threads (cpumap), and in the
 * sendmmsg relay. The scheduler keeps a nanosecond clock for each of them (clock_getcpuclockid());
 * a train costs what all of them have grown by, and other processes do not matter. The sender waits
 * for each burst by sleeping, so nothing queues up. Not every path makes it wait, and a sleep costs
 * as much as dozens of copies: of its own clock, only what its system calls take counts. Kernels
 * that keep softirq time out of these clocks (IRQ_TIME_ACCOUNTING) are recognised by trying; there
 * the wall time of a train is taken instead: everything is pinned to one core, which waiting by
 * sched_yield() keeps busy, so on a machine that does nothing else wall time is CPU time.
 *
 * The sender's own share is measured by the same trains into a relay that drops everything, and
 * subtracted. Included in every path alike: the receiver's side of the veth pair up to the program
 * that counts and drops. Of many short trains the median is taken.
 */
#ifndef AMT_TESTS_BENCH_TRAIN_H
#define AMT_TESTS_BENCH_TRAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <netinet/in.h>
#include "bench/helper_chain.h"

#define TRAINS_MAX 512

/* One line of the result: what is measured, and every train's cost so far. */
struct series {
	struct chain *chain;
	unsigned int payload, n; /* octets of UDP payload; copies of each packet */
	int cpu;
	struct sockaddr_in to; /* where packets go, and what they carry */
	const void *message;
	size_t message_len;
	double ns[TRAINS_MAX];	      /* of each complete train, per packet */
	unsigned int trains, packets; /* packets: of the last train */
	uint64_t expected, delivered;
};

/* Which clocks make up a train: this thread, ksoftirqd, and those added. */
void clocks_begin(void);
void clocks_add(int pid);
/* Looks whether the clocks hold softirq time; sender is a series of CHAIN_SENDER. */
void clocks_check(struct series *sender);
bool clocks_are_wall(void);

/* Runs one train and notes it. */
void series_train(struct series *series);
/* Some trains on the series' core; pid: a process that works for it, moved there too, or 0. */
void series_round(struct series *series, int pid);
/* Median cost of a packet, sender included; 0 without any complete train. */
double series_packet_ns(struct series *series);
/* Of a copy, without the sender's part of the packet. */
double series_copy_ns(struct series *series, double sender_ns);
double series_delivered(const struct series *series);
void series_forget(struct series *series);

double median(double *values, unsigned int n); /* sorts them; 0 of none */
void pin_to(int pid, int cpu);		       /* pid 0: this process */

#endif
