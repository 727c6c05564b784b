/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A chain is one relay under test: a source namespace, a relay namespace, a gateway namespace
 * (PREFIX-NAME-src, -relay, -gw, made by tests/bench/run), and what the benchmark puts into them:
 * a sending socket and a receiver that counts and drops. Or it is one gateway
 * under test: see measure_decap.c.
 */
#ifndef AMT_TESTS_BENCH_CHAIN_H
#define AMT_TESTS_BENCH_CHAIN_H

#include <stdbool.h>
#include <stdint.h>

/* CHAIN_XDP6 has its gateways on IPv6; CHAIN_SEGMENT is the sendmmsg relay with UDP_SEGMENT;
 * CHAIN_DRIVER is the Linux kernel's own relay, of tests/vm/bench alone; CHAIN_TUN is a gateway. */
enum chain_kind {
	CHAIN_XDP,
	CHAIN_XDP6,
	CHAIN_TC,
	CHAIN_SENDMMSG,
	CHAIN_SEGMENT,
	CHAIN_BOUND,
	CHAIN_DRIVER,
	CHAIN_SENDER,
	CHAIN_TUN,
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

/* Parts of a chain_open(). chain_load() with count_all: whatever comes counts. */
void chain_load(struct chain *chain, enum chain_kind kind, bool count_all);
void chain_enter(const char *prefix, const char *chain, const char *part);
void chain_count_xdp(const struct chain *chain, const char *name);
void chain_count_tc(const struct chain *chain, const char *name);
/* What comes in at `from` leaves by `to`, as a driver's frames. */
void chain_send_on(const struct chain *chain, const char *from, const char *to);
void chain_die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
