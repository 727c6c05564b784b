/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bench/helper_train.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/socket.h>
#include "base/clock.h"

#define BURST_COPIES \
	512 /* in flight at once: a stream is paced, packets do not come in thousands */
#define BURST_MOST    64 /* packets */
#define BURST_SEGMENT 8	 /* packets at least, where several make a message */
#define TRAIN_BURSTS  16
#define TRAIN_COPIES  (TRAIN_BURSTS * BURST_COPIES)
#define PATIENCE_NS   (2000 * NSEC_PER_MSEC)
#define CLOCKS_MAX    256
#define CHECK_TRAINS  50
#define ROUND_TRAINS  4

static struct {
	clockid_t id[CLOCKS_MAX];
	unsigned int n;
	bool wall;
	bool checking;
} clocks;

/* ---- clocks ---- */

void clocks_add(int pid)
{
	clockid_t id;

	if (clocks.n < CLOCKS_MAX && clock_getcpuclockid(pid, &id) == 0)
		clocks.id[clocks.n++] = id;
}

void clocks_begin(void)
{
	char path[300], line[64];
	struct dirent *entry;
	DIR *proc = opendir("/proc");
	FILE *comm;

	while (proc && (entry = readdir(proc))) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		comm = fopen(path, "re");
		if (comm && fgets(line, sizeof(line), comm) && strncmp(line, "ksoftirqd/", 10) == 0)
			clocks_add(atoi(entry->d_name));
		if (comm)
			fclose(comm);
	}
	if (proc)
		closedir(proc);
}

static uint64_t clock_read(clockid_t id)
{
	struct timespec ts;

	if (clock_gettime(id, &ts))
		return 0;
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

/* Of all but this thread, or the wall clock's. */
static uint64_t clocks_read(void)
{
	uint64_t sum = 0;
	unsigned int i;

	if (clocks.wall)
		return clock_now();
	for (i = 0; i < clocks.n; i++)
		sum += clock_read(clocks.id[i]);
	return sum;
}

/* The sender's trains are nothing but this thread and softirq: where the clocks hold both, the best
 * of many undisturbed trains shows nearly its wall time. */
void clocks_check(struct series *sender)
{
	double best = 0;
	uint64_t start;
	unsigned int i;

	clocks.checking = true;
	for (i = 0; i < CHECK_TRAINS; i++) {
		start = clock_now();
		series_train(sender);
		if (sender->trains > 0) {
			double wall = (double)(clock_now() - start) / sender->packets;
			double share = sender->ns[sender->trains - 1] / wall;

			if (share > best)
				best = share;
		}
	}
	clocks.checking = false;
	clocks.wall = best < 0.75;
	series_forget(sender);
}

bool clocks_are_wall(void)
{
	return clocks.wall;
}

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

/* Sends a burst; all of its packets are the same. The time that this thread spent on it, if it has
 * a clock of its own. */
static uint64_t send_burst(const struct series *series, unsigned int packets)
{
	struct iovec iov = {.iov_base = (void *)series->message, .iov_len = series->message_len};
	struct mmsghdr messages[BURST_MOST] = {0};
	uint64_t start = clock_read(CLOCK_THREAD_CPUTIME_ID);
	unsigned int i;

	for (i = 0; i < packets; i++) {
		messages[i].msg_hdr.msg_name = (void *)&series->to;
		messages[i].msg_hdr.msg_namelen = sizeof(series->to);
		messages[i].msg_hdr.msg_iov = &iov;
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	if (sendmmsg(series->chain->fd, messages, packets, 0) != (int)packets) {
		fprintf(stderr, "bench: cannot send: %s\n", strerror(errno));
		exit(1);
	}
	return clocks.wall ? 0 : clock_read(CLOCK_THREAD_CPUTIME_ID) - start;
}

static void wait_a_moment(void)
{
	static const struct timespec moment = {.tv_nsec = 1000000};

	if (clocks.wall || clocks.checking)
		sched_yield();
	else
		nanosleep(&moment, NULL);
}

static bool await(const struct chain *chain, uint64_t wanted)
{
	uint64_t end = 0;

	while (*chain->arrived < wanted) {
		wait_a_moment();
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
	unsigned int least = series->chain->kind == CHAIN_SEGMENT ? BURST_SEGMENT : 1;
	unsigned int burst = clamp(BURST_COPIES / series->n, least, BURST_MOST);
	unsigned int bursts = clamp(TRAIN_COPIES / (burst * series->n), 1, TRAIN_BURSTS);
	uint64_t before = *series->chain->arrived, start = clocks_read(), took = 0;
	unsigned int i, sent = 0;
	bool complete = true;

	for (i = 0; i < bursts && complete; i++) {
		took += send_burst(series, burst);
		sent += burst;
		complete = await(series->chain, before + (uint64_t)sent * each);
	}
	took += clocks_read() - start;
	series->packets = sent;
	series->expected += (uint64_t)sent * each;
	series->delivered += *series->chain->arrived - before;
	if (complete && series->trains < TRAINS_MAX)
		series->ns[series->trains++] = (double)took / sent;
}

void series_round(struct series *series, int pid)
{
	unsigned int i;

	pin_to(0, series->cpu);
	if (pid)
		pin_to(pid, series->cpu);
	for (i = 0; i < ROUND_TRAINS; i++)
		series_train(series);
}

void series_forget(struct series *series)
{
	series->trains = 0;
	series->expected = series->delivered = 0;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

double median(double *values, unsigned int n)
{
	if (n == 0)
		return 0;
	qsort(values, n, sizeof(*values), compare);
	return values[n / 2];
}

double series_packet_ns(struct series *series)
{
	return median(series->ns, series->trains);
}

double series_copy_ns(struct series *series, double sender_ns)
{
	return (series_packet_ns(series) - sender_ns) / series->n;
}

double series_delivered(const struct series *series)
{
	return series->expected ? (double)series->delivered / (double)series->expected : 0;
}
