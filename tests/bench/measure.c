/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a copy costs on each path, measured in one run and interleaved; called by tests/bench/run,
 * which has made the chains (see helper_chain.h). Writes JSON rows to standard output.
 *   measure [-r ROUNDS] [-R PATH=PID]... PREFIX PATH:N[,N...]...
 * PATH is xdp, xdp6, tc, sendmmsg, segment, bound or driver; -R is the process that serves a path.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <jansson.h>
#include "bench/helper_chain.h"
#include "bench/helper_train.h"

#define SERIES_MAX 128
#define CPUS_MAX   64

static const unsigned int payloads[] = {64, 1316};

struct measurement {
	struct chain chains[CHAINS];
	bool used[CHAINS];
	struct series *series[SERIES_MAX];
	unsigned int n;
	struct series *sender[2];     /* by payload */
	int relay_pid[CHAINS];	      /* of a process that relays; 0: none */
	int thread[CHAINS][CPUS_MAX]; /* the packet path's, by CPU; 0: none */
};

static void die(const char *what)
{
	fprintf(stderr, "measure: %s\n", what);
	exit(1);
}

/* 232.9.x.y, n = x * 256 + y */
static void group_of(struct series *series)
{
	static const uint8_t payload[2048];

	series->to = (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons(5001),
		.sin_addr.s_addr = htonl(0xe8090000u | series->n),
	};
	series->message = payload;
	series->message_len = series->payload;
}

static struct series *add_series(struct measurement *m, enum chain_kind kind, unsigned int payload,
				 unsigned int n)
{
	struct series *series = calloc(1, sizeof(*series));

	if (!series || m->n == SERIES_MAX)
		die("too many series");
	series->chain = &m->chains[kind];
	series->payload = payload;
	series->n = n;
	group_of(series);
	m->used[kind] = true;
	m->series[m->n++] = series;
	return series;
}

/* Cuts PATH off "PATH:..." or "PATH=..."; *text is what follows. */
static enum chain_kind cut_path(char **text)
{
	char *path = *text;
	enum chain_kind kind;

	*text += strcspn(path, ":=");
	if (!**text)
		die("say PATH:N or PATH=PID");
	*(*text)++ = '\0';
	for (kind = 0; kind < CHAIN_SENDER && strcmp(chain_name(kind), path); kind++)
		;
	if (kind == CHAIN_SENDER)
		die("a path is xdp, xdp6, tc, sendmmsg, segment, bound or driver");
	return kind;
}

/* "xdp:1,8,64": both payloads of each. */
static void add_path(struct measurement *m, char *text)
{
	char *numbers = text, *number, *save = NULL;
	enum chain_kind kind = cut_path(&numbers);
	unsigned int i;

	for (number = strtok_r(numbers, ",", &save); number; number = strtok_r(NULL, ",", &save))
		for (i = 0; i < 2; i++)
			add_series(m, kind, payloads[i], (unsigned int)atoi(number));
}

/* "sendmmsg=4711" */
static void add_relay(struct measurement *m, char *text)
{
	enum chain_kind kind = cut_path(&text);

	m->relay_pid[kind] = atoi(text);
}

/* ---- the packet path's threads, and which core serves a group ---- */

static unsigned int cpus_map_id(const char *prefix, enum chain_kind kind)
{
	struct bpf_map_info info = {0};
	__u32 len = sizeof(info);
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "/sys/fs/bpf/amt/%s-%s-relay/cpus", prefix, chain_name(kind));
	fd = bpf_obj_get(path);
	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len))
		die("the relay's pinned map `cpus` is not there");
	close(fd);
	return info.id;
}

/* Kernel threads "cpumap/CPU/map:ID". */
static void find_threads(struct measurement *m, const char *prefix, enum chain_kind kind)
{
	unsigned int wanted = cpus_map_id(prefix, kind), cpu, id;
	char path[300], line[64];
	struct dirent *entry;
	DIR *proc = opendir("/proc");
	FILE *comm;

	while (proc && (entry = readdir(proc))) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		comm = fopen(path, "re");
		if (comm && fgets(line, sizeof(line), comm) &&
		    sscanf(line, "cpumap/%u/map:%u", &cpu, &id) == 2 && id == wanted &&
		    cpu < CPUS_MAX) {
			m->thread[kind][cpu] = atoi(entry->d_name);
			clocks_add(m->thread[kind][cpu]);
		}
		if (comm)
			fclose(comm);
	}
	if (proc)
		closedir(proc);
}

static uint64_t thread_ns(int pid)
{
	struct timespec ts = {0};
	clockid_t id;

	if (!pid || clock_getcpuclockid(pid, &id) || clock_gettime(id, &ts))
		return 0;
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

static int any_cpu(void)
{
	cpu_set_t set;
	int cpu;

	sched_getaffinity(0, sizeof(set), &set);
	for (cpu = 0; cpu < CPUS_MAX - 1 && !CPU_ISSET(cpu, &set); cpu++)
		;
	return cpu;
}

/* The core whose thread works for the group of n: all paths are measured there. Any, where none
 * does. */
static int serving_cpu(struct measurement *m, const struct series *series)
{
	enum chain_kind kind = series->chain->kind == CHAIN_XDP6 ? CHAIN_XDP6 : CHAIN_XDP;
	struct series probe = {.chain = &m->chains[kind], .payload = 64, .n = series->n};
	const int *thread = m->thread[kind];
	uint64_t before[CPUS_MAX], most = 0, took;
	int cpu, best = any_cpu();

	if (!m->used[kind])
		return best;
	group_of(&probe);
	for (cpu = 0; cpu < CPUS_MAX; cpu++)
		before[cpu] = thread_ns(thread[cpu]);
	series_train(&probe);
	for (cpu = 0; cpu < CPUS_MAX; cpu++) {
		took = thread_ns(thread[cpu]) - before[cpu];
		if (took > most) {
			most = took;
			best = cpu;
		}
	}
	return best;
}

/* ---- measuring ---- */

static void run_series(struct measurement *m, struct series *series)
{
	series_round(series, m->relay_pid[series->chain->kind]);
}

static void warm_up(struct measurement *m)
{
	unsigned int i;

	for (i = 0; i < m->n; i++) {
		run_series(m, m->series[i]);
		series_forget(m->series[i]);
	}
}

static json_t *row(struct measurement *m, struct series *series)
{
	double sender = series_packet_ns(m->sender[series->payload == payloads[1]]);

	return json_pack("{s:s, s:i, s:i, s:f, s:f}", "path", series->chain->name, "payload",
			 (int)series->payload, "n", (int)series->n, "ns_per_copy",
			 series_copy_ns(series, sender), "delivered", series_delivered(series));
}

static void print(struct measurement *m)
{
	json_t *rows = json_array(), *all;
	unsigned int i;

	for (i = 0; i < m->n; i++)
		if (m->series[i]->chain->kind != CHAIN_SENDER)
			json_array_append_new(rows, row(m, m->series[i]));
	all = json_pack("{s:o, s:s, s:{s:f, s:f}}", "rows", rows, "clock",
			clocks_are_wall() ? "wall" : "cpu", "sender_ns", "64",
			series_packet_ns(m->sender[0]), "1316", series_packet_ns(m->sender[1]));
	json_dumpf(all, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
	putchar('\n');
	json_decref(all);
}

int main(int argc, char **argv)
{
	static struct measurement m;
	static const char usage[] =
		"usage: measure [-r ROUNDS] [-R PATH=PID]... PREFIX PATH:N[,N...]...";
	unsigned int round, rounds = 25, i, kind;
	int c;

	while ((c = getopt(argc, argv, "r:R:")) != -1) {
		if (c == 'r')
			rounds = (unsigned int)atoi(optarg);
		else if (c == 'R')
			add_relay(&m, optarg);
		else
			die(usage);
	}
	if (argc - optind < 2)
		die(usage);
	for (i = 0; i < 2; i++)
		m.sender[i] = add_series(&m, CHAIN_SENDER, payloads[i], 1);
	for (i = (unsigned int)optind + 1; i < (unsigned int)argc; i++)
		add_path(&m, argv[i]);
	for (kind = 0; kind < CHAINS; kind++)
		if (m.used[kind])
			chain_open(&m.chains[kind], argv[optind], kind);
	clocks_begin();
	for (kind = 0; kind < CHAINS; kind++) {
		if (m.relay_pid[kind])
			clocks_add(m.relay_pid[kind]);
		if (m.used[kind] && (kind == CHAIN_XDP || kind == CHAIN_XDP6))
			find_threads(&m, argv[optind], kind);
	}
	clocks_check(m.sender[1]);
	for (i = 0; i < m.n; i++)
		m.series[i]->cpu = serving_cpu(&m, m.series[i]);
	warm_up(&m);
	for (round = 0; round < rounds; round++)
		for (i = 0; i < m.n; i++)
			run_series(&m, m.series[i]);
	print(&m);
	for (kind = 0; kind < CHAINS; kind++)
		if (m.used[kind])
			chain_close(&m.chains[kind]);
	for (i = 0; i < m.n; i++)
		free(m.series[i]);
	return 0;
}
