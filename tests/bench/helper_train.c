/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bench/helper_train.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "base/clock.h"

#define TRAIN_COPIES 2048 /* of one train */
#define TRAIN_LEAST  4	  /* packets */
#define TRAIN_MOST   1024
#define BURST_COPIES 512 /* in flight at once: no ring or backlog on the way is smaller */
#define BURST_MAX    32
#define PATIENCE_NS  (100 * NSEC_PER_MSEC)

void pin_to(int pid, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(pid, sizeof(set), &set)) {
		fprintf(stderr, "bench: cannot pin to CPU %d: %s\n", cpu, strerror(errno));
		exit(1);
	}
}

static unsigned int clamp(unsigned int value, unsigned int least, unsigned int most)
{
	return value < least ? least : value > most ? most : value;
}

/* Sends a burst; all of its packets are the same. */
static void send_burst(const struct series *series, unsigned int packets)
{
	static uint8_t payload[2048];
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(5001)};
	struct iovec iov = {.iov_base = payload, .iov_len = series->payload};
	struct mmsghdr messages[BURST_MAX] = {0};
	unsigned int i;

	to.sin_addr.s_addr = htonl(0xe8090000u | series->n); /* 232.9.x.y, n = x * 256 + y */
	for (i = 0; i < packets; i++) {
		messages[i].msg_hdr.msg_name = &to;
		messages[i].msg_hdr.msg_namelen = sizeof(to);
		messages[i].msg_hdr.msg_iov = &iov;
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	if (sendmmsg(series->chain->fd, messages, packets, 0) != (int)packets) {
		fprintf(stderr, "bench: cannot send: %s\n", strerror(errno));
		exit(1);
	}
}

/* Lets the other threads of this core work until everything has arrived. */
static bool await(const struct chain *chain, uint64_t wanted)
{
	uint64_t end = 0;

	while (*chain->arrived < wanted) {
		sched_yield();
		if (*chain->arrived >= wanted)
			break;
		if (end == 0)
			end = clock_now() + PATIENCE_NS;
		else if (clock_now() > end)
			return false;
	}
	return true;
}

void series_train(struct series *series)
{
	unsigned int each = series->chain->kind == CHAIN_SENDER ? 1 : series->n;
	unsigned int burst = clamp(BURST_COPIES / series->n, 1, BURST_MAX);
	unsigned int packets = clamp(TRAIN_COPIES / series->n, TRAIN_LEAST, TRAIN_MOST);
	uint64_t before = *series->chain->arrived, start = clock_now(), took;
	unsigned int sent, now;
	bool complete = true;

	for (sent = 0; sent < packets && complete; sent += now) {
		now = packets - sent < burst ? packets - sent : burst;
		send_burst(series, now);
		complete = await(series->chain, before + (uint64_t)(sent + now) * each);
	}
	took = clock_now() - start;
	series->expected += (uint64_t)sent * each;
	series->delivered += *series->chain->arrived - before;
	if (complete && series->trains < TRAINS_MAX)
		series->ns[series->trains++] = (double)took / packets;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

double series_packet_ns(struct series *series)
{
	if (series->trains == 0)
		return 0;
	qsort(series->ns, series->trains, sizeof(series->ns[0]), compare);
	return series->ns[series->trains / 2];
}

double series_copy_ns(struct series *series, double sender_ns)
{
	return (series_packet_ns(series) - sender_ns) / series->n;
}

double series_delivered(const struct series *series)
{
	return series->expected ? (double)series->delivered / (double)series->expected : 0;
}
