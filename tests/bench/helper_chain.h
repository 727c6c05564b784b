/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A chain is one relay under test: a source namespace, a relay namespace, a gateway namespace
 * (PREFIX-NAME-src, -relay, -gw, made by tests/bench/run), and what the benchmark puts into them:
 * a sending socket and a receiver that counts and drops.
 */
#ifndef AMT_TESTS_BENCH_CHAIN_H
#define AMT_TESTS_BENCH_CHAIN_H

#include <stdint.h>

/* CHAIN_DRIVER is the Linux kernel's own relay, of tests/vm/bench alone. */
enum chain_kind {
	CHAIN_XDP,
	CHAIN_TC,
	CHAIN_SENDMMSG,
	CHAIN_BOUND,
	CHAIN_DRIVER,
	CHAIN_SENDER,
	CHAINS
};

struct bench; /* the BPF skeleton, see bench.bpf.c */

struct chain {
	enum chain_kind kind;
	const char *name;
	int fd;			    /* sends from the source namespace */
	volatile uint64_t *arrived; /* copies that reached the gateway's side */
	struct bench *programs;
};

const char *chain_name(enum chain_kind kind);

/* Attaches the receiver and opens the socket. Ends the process with one line when it cannot. */
void chain_open(struct chain *chain, const char *prefix, enum chain_kind kind);
void chain_close(struct chain *chain);

#endif
