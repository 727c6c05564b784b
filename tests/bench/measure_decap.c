/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a packet costs a gateway on each path, from its uplink to the TC hook of the interface that
 * programs join on, in one run and interleaved; called by tests/bench/section_decap.sh, which has
 * made the namespaces PREFIX-PATH-relay, -net and -gw. Writes JSON rows to standard output.
 *   measure_decap [-r ROUNDS] -G PID PREFIX
 * The paths: xdp and tc, ours without the signalling; tun, the process of -G (plain_gateway);
 * sender, where all is dropped at the uplink.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <event2/event.h>
#include <jansson.h>
#include <amt/wire.h>
#include "base/checksum.h"
#include "base/clock.h"
#include "bench/helper_chain.h"
#include "bench/helper_train.h"
#include "datapath/decap.h"
#include "gateway/pseudo.h"

#define RELAY  "10.2.0.1"
#define LOCAL  "10.2.1.1"
#define PORT   40000
#define SOURCE "10.1.0.1"
#define GROUP  "232.9.0.1"
#define PATHS  4

static const unsigned int payloads[] = {64, 1316};
static const enum chain_kind paths[PATHS] = {CHAIN_XDP, CHAIN_TC, CHAIN_TUN, CHAIN_SENDER};

/* One of ours: all that it needs but the signalling. */
struct gateway_path {
	struct datapath *datapath;
	struct pseudo *pseudo;
};

struct measurement {
	const char *prefix;
	int plain_pid;
	struct event_base *base;
	struct chain chains[PATHS];
	struct gateway_path ours[PATHS];
	struct series series[PATHS][2]; /* by payload */
	uint8_t message[2][2048];
};

static struct amt_addr address(const char *text)
{
	struct amt_addr out;

	if (addr_parse(text, &out))
		chain_die("no address: %s", text);
	return out;
}

/* ---- ours ---- */

static void tell(struct datapath *dp)
{
	const struct datapath_decap_relay relay = {
		.relay = {address(RELAY), htons(AMT_PORT)},
		.local = {address(LOCAL), htons(PORT)},
		.ecn = true,
	};
	const struct amt_group_key wanted = {address(SOURCE), address(GROUP)};
	int ret = datapath_decap_relay_add(dp, &relay);

	if (!ret)
		ret = datapath_decap_wanted_set(dp, &wanted, false);
	if (ret)
		chain_die("the packet path cannot be told: %s", strerror(-ret));
}

static void open_ours(struct measurement *m, enum chain_kind kind, struct gateway_path *path)
{
	char instance[64];
	const struct datapath_options options = {
		.instance = instance,
		.max_tunnels = 16,
		.max_groups = 16,
		.max_blocks = 16,
		.max_nexthops = 16,
		.ttl = 64,
		.events_per_second = 10,
		.lease_ns = 3600 * NSEC_PER_SEC,
	};
	const struct pseudo_options pseudo = {.instance = instance, .name = "amt0", .mtu = 1500};
	static const struct datapath_callbacks none;
	struct pseudo_info info;
	struct error err = {""};
	int ret;

	snprintf(instance, sizeof(instance), "%s-%s", m->prefix, chain_name(kind));
	ret = datapath_open(&path->datapath, &options, m->base, &none, &err);
	if (!ret)
		ret = pseudo_open(&path->pseudo, &pseudo, m->base, &err);
	if (!ret)
		ret = datapath_attach_gateway(
			path->datapath, "gw0",
			kind == CHAIN_XDP ? DATAPATH_MODE_XDP : DATAPATH_MODE_TC, true, &err);
	if (ret)
		chain_die("%s", err.text);
	pseudo_info(path->pseudo, &info);
	if (datapath_decap_target(path->datapath, info.peer_ifindex))
		chain_die("no way into amt0");
	tell(path->datapath);
}

static void close_ours(struct gateway_path *path)
{
	if (path->pseudo)
		pseudo_remove(path->pseudo);
	if (path->datapath)
		datapath_destroy(path->datapath);
}

/* ---- what is sent ---- */

static int open_relay(void)
{
	struct sockaddr_in local = {.sin_family = AF_INET, .sin_port = htons(AMT_PORT)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), one = 1;

	/* as the relay's packet path: no outer checksum (RFC 7450 5.1.6) */
	if (fd < 0 || inet_pton(AF_INET, RELAY, &local.sin_addr) != 1 ||
	    bind(fd, (struct sockaddr *)&local, sizeof(local)) ||
	    setsockopt(fd, SOL_SOCKET, SO_NO_CHECK, &one, sizeof(one)))
		chain_die("socket: %s", strerror(errno));
	return fd;
}

static void put16(uint8_t *at, size_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

/* Multicast Data: AMT header, IPv4, UDP without a checksum. Returns its length. */
static size_t make_message(uint8_t *at, unsigned int payload)
{
	const struct amt_addr source = address(SOURCE), group = address(GROUP);
	size_t udp = AMT_UDP_HLEN + payload, total = AMT_IPV4_HLEN + udp;
	uint8_t *ip = at + AMT_DATA_LEN;
	__be16 check;

	at[0] = AMT_DATA;
	ip[0] = 0x45;
	put16(ip + 2, total);
	ip[8] = 63;
	ip[9] = IPPROTO_UDP;
	memcpy(ip + 12, source.bytes + 12, 4);
	memcpy(ip + 16, group.bytes + 12, 4);
	check = checksum_finish(checksum_add(0, ip, AMT_IPV4_HLEN));
	memcpy(ip + 10, &check, sizeof(check));
	put16(ip + 22, 5001);
	put16(ip + 24, udp);
	return AMT_DATA_LEN + total;
}

static void make_series(struct measurement *m, unsigned int i)
{
	unsigned int p;

	for (p = 0; p < 2; p++) {
		struct series *series = &m->series[i][p];

		*series = (struct series){
			.chain = &m->chains[i],
			.payload = payloads[p],
			.n = 1,
			.to = {.sin_family = AF_INET, .sin_port = htons(PORT)},
			.message = m->message[p],
			.message_len = make_message(m->message[p], payloads[p]),
		};
		inet_pton(AF_INET, LOCAL, &series->to.sin_addr);
	}
}

/* ---- the paths ---- */

static void open_path(struct measurement *m, unsigned int i)
{
	struct chain *chain = &m->chains[i];

	chain_load(chain, paths[i], true);
	chain_enter(m->prefix, chain->name, "gw");
	if (paths[i] == CHAIN_XDP || paths[i] == CHAIN_TC)
		open_ours(m, paths[i], &m->ours[i]);
	if (paths[i] == CHAIN_SENDER)
		chain_count_xdp(chain, "gw0");
	else
		chain_count_tc(chain, paths[i] == CHAIN_TUN ? "tun0" : "amt0");
	chain_enter(m->prefix, chain->name, "net");
	chain_send_on(chain, "in0", "out0");
	chain_enter(m->prefix, chain->name, "relay");
	chain->fd = open_relay();
	make_series(m, i);
}

static void close_all(struct measurement *m)
{
	unsigned int i;

	for (i = 0; i < PATHS; i++) {
		chain_enter(m->prefix, m->chains[i].name, "gw");
		close_ours(&m->ours[i]);
		chain_close(&m->chains[i]);
	}
}

/* ---- measuring ---- */

static void rounds_run(struct measurement *m, unsigned int rounds)
{
	unsigned int round, i, p;

	for (round = 0; round < rounds; round++)
		for (i = 0; i < PATHS; i++)
			for (p = 0; p < 2; p++)
				series_round(&m->series[i][p],
					     paths[i] == CHAIN_TUN ? m->plain_pid : 0);
}

static void warm_up(struct measurement *m)
{
	unsigned int i;

	rounds_run(m, 1);
	for (i = 0; i < PATHS; i++) {
		series_forget(&m->series[i][0]);
		series_forget(&m->series[i][1]);
	}
}

static void print(struct measurement *m)
{
	json_t *rows = json_array(), *all;
	unsigned int i, p;

	for (i = 0; i < PATHS - 1; i++)
		for (p = 0; p < 2; p++) {
			struct series *series = &m->series[i][p];
			double sender = series_packet_ns(&m->series[PATHS - 1][p]);

			json_array_append_new(
				rows, json_pack("{s:s, s:i, s:f, s:f}", "path", series->chain->name,
						"payload", (int)series->payload, "ns_per_packet",
						series_copy_ns(series, sender), "delivered",
						series_delivered(series)));
		}
	all = json_pack("{s:o, s:s}", "rows", rows, "clock", clocks_are_wall() ? "wall" : "cpu");
	json_dumpf(all, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
	putchar('\n');
	json_decref(all);
}

int main(int argc, char **argv)
{
	static struct measurement m;
	unsigned int rounds = 25, i;
	int c;

	while ((c = getopt(argc, argv, "r:G:")) != -1) {
		if (c == 'r')
			rounds = (unsigned int)atoi(optarg);
		else if (c == 'G')
			m.plain_pid = atoi(optarg);
		else
			return 2;
	}
	if (argc - optind != 1 || !m.plain_pid)
		chain_die("usage: measure_decap [-r ROUNDS] -G PID PREFIX");
	m.prefix = argv[optind];
	m.base = event_base_new();
	if (!m.base)
		chain_die("no memory");
	for (i = 0; i < PATHS; i++)
		open_path(&m, i);
	clocks_begin();
	clocks_add(m.plain_pid);
	clocks_check(&m.series[PATHS - 1][1]);
	warm_up(&m);
	rounds_run(&m, rounds);
	print(&m);
	close_all(&m);
	event_base_free(m.base);
	return 0;
}
