/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How many copies a second two groups get that one core serves, two that have a core each, and one
 * that has all cores; and what the machine's cores are worth when each just copies memory. Called
 * by tests/bench/section_cores.sh. Here wall time counts, so it wants a machine that does nothing
 * else. Writes JSON to standard output. measure_cores [-r ROUNDS] PREFIX N SAME APART HOT Chain xdp
 * (see helper_chain.h); groups are 232.9.N/256.N%256 as elsewhere, with N gateways each. N and SAME
 * are served by one core, N and APART by two, HOT by all.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/socket.h>
#include <jansson.h>
#include "base/clock.h"
#include "bench/helper_chain.h"
#include "bench/helper_train.h"

#define PAYLOAD	    1316
#define PACKETS	    256 /* a round: of both groups together */
#define IN_FLIGHT   16	/* packets: each core always has some to work on */
#define PATIENCE_NS (5 * NSEC_PER_SEC)
#define COPYING_NS  (300 * NSEC_PER_MSEC)
#define BUFFERS	    64
#define CORES_MAX   64
#define ROUNDS_MAX  100

struct pair {
	unsigned int n[2];	 /* gateways of the two groups */
	double rate[ROUNDS_MAX]; /* copies a second */
	unsigned int rounds;
	uint64_t sent, arrived; /* copies */
};

static void send_packet(const struct chain *chain, unsigned int n)
{
	static const uint8_t payload[PAYLOAD];
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons(5001),
		.sin_addr.s_addr = htonl(0xe8090000u | n),
	};

	if (sendto(chain->fd, payload, sizeof(payload), 0, (void *)&to, sizeof(to)) < 0)
		chain_die("cannot send: %s", strerror(errno));
}

/* Until no more than that many copies are on their way. False: they do not come. */
static bool await(const struct chain *chain, uint64_t sent, uint64_t before, uint64_t on_way)
{
	static const struct timespec moment = {.tv_nsec = 50000};
	uint64_t end = clock_now() + PATIENCE_NS;

	while (sent - (*chain->arrived - before) > on_way) {
		if (clock_now() > end)
			return false;
		nanosleep(&moment, NULL);
	}
	return true;
}

static void pair_round(struct pair *pair, const struct chain *chain)
{
	uint64_t before = *chain->arrived, start = clock_now(), sent = 0;
	uint64_t on_way = (uint64_t)(pair->n[0] + pair->n[1]) * IN_FLIGHT / 2;
	bool complete = true;
	unsigned int i;

	for (i = 0; i < PACKETS && complete; i++) {
		send_packet(chain, pair->n[i % 2]);
		sent += pair->n[i % 2];
		complete = await(chain, sent, before, on_way);
	}
	complete = await(chain, sent, before, 0) && complete;
	pair->sent += sent;
	pair->arrived += *chain->arrived - before;
	if (complete)
		pair->rate[pair->rounds++] =
			(double)sent * NSEC_PER_SEC / (double)(clock_now() - start);
}

/* ---- what the cores are worth: virtual ones may be halves of one ---- */

struct copier {
	pthread_t thread;
	int cpu;
	uint64_t copies;
};

static void *copy_packets(void *arg)
{
	static __thread uint8_t from[BUFFERS][2048], to[BUFFERS][2048];
	struct copier *copier = arg;
	uint64_t end;

	pin_to(0, copier->cpu);
	for (end = clock_now() + COPYING_NS; clock_now() < end; copier->copies += BUFFERS)
		for (unsigned int i = 0; i < BUFFERS; i++) {
			memcpy(to[i], from[i * 7 % BUFFERS], PAYLOAD);
			__asm__ volatile("" ::: "memory");
		}
	return NULL;
}

static double copies_of(int cores)
{
	struct copier copiers[CORES_MAX] = {0};
	double sum = 0;
	int i;

	for (i = 0; i < cores; i++) {
		copiers[i].cpu = i;
		if (pthread_create(&copiers[i].thread, NULL, copy_packets, &copiers[i]))
			chain_die("cannot make a thread: %s", strerror(errno));
	}
	for (i = 0; i < cores; i++) {
		pthread_join(copiers[i].thread, NULL);
		sum += (double)copiers[i].copies;
	}
	return sum;
}

/* How many times as much as one core does, all do. */
static double worth(unsigned int rounds)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	double ratio[ROUNDS_MAX];
	unsigned int i;

	if (cores > CORES_MAX)
		cores = CORES_MAX;
	for (i = 0; i < rounds; i++) {
		double one = copies_of(1);

		ratio[i] = copies_of((int)cores) / one;
	}
	return median(ratio, rounds);
}

static json_t *result(struct pair *pair)
{
	return json_pack("{s:f, s:f}", "copies_per_second", median(pair->rate, pair->rounds),
			 "delivered", (double)pair->arrived / (double)pair->sent);
}

int main(int argc, char **argv)
{
	static const char usage[] = "measure_cores [-r ROUNDS] PREFIX N SAME APART HOT";
	unsigned int rounds = 8, i;
	struct pair one = {0}, two = {0}, hot = {0};
	struct chain chain;
	json_t *all;
	int c;

	while ((c = getopt(argc, argv, "r:")) != -1) {
		if (c != 'r')
			chain_die("usage: %s", usage);
		rounds = (unsigned int)atoi(optarg);
	}
	if (argc - optind != 5 || rounds < 1 || rounds > ROUNDS_MAX)
		chain_die("usage: %s", usage);
	one.n[0] = two.n[0] = (unsigned int)atoi(argv[optind + 1]);
	one.n[1] = (unsigned int)atoi(argv[optind + 2]);
	two.n[1] = (unsigned int)atoi(argv[optind + 3]);
	hot.n[0] = hot.n[1] = (unsigned int)atoi(argv[optind + 4]);
	chain_open(&chain, argv[optind], CHAIN_XDP);
	for (i = 0; i < rounds; i++) {
		pair_round(&one, &chain);
		pair_round(&two, &chain);
		pair_round(&hot, &chain);
	}
	chain_close(&chain);
	all = json_pack("{s:i, s:o, s:o, s:i, s:o, s:f}", "n", (int)one.n[0], "one_core",
			result(&one), "two_cores", result(&two), "hot_n", (int)hot.n[0], "hot",
			result(&hot), "cores_worth", worth(rounds));
	json_dumpf(all, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
	putchar('\n');
	json_decref(all);
	return 0;
}
