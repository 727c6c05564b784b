/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bench/helper_chain.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <linux/if_link.h>
#include <bpf/bpf.h>
#include "skel/bench.skel.h"

#define COPIES_MAX 256

void chain_die(const char *format, ...)
{
	va_list args;

	fputs("bench: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

const char *chain_name(enum chain_kind kind)
{
	static const char *const name[] = {"xdp",   "xdp6",   "tc",	"sendmmsg", "segment",
					   "bound", "driver", "sender", "tun"};

	return name[kind];
}

void chain_enter(const char *prefix, const char *chain, const char *part)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s-%s-%s", prefix, chain, part);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET))
		chain_die("%s: %s", path, strerror(errno));
	close(fd);
}

static int interface(const char *name)
{
	unsigned int ifindex = if_nametoindex(name);

	if (ifindex == 0)
		chain_die("no interface %s", name);
	return (int)ifindex;
}

static void attach_xdp(const char *name, struct bpf_program *program)
{
	int ret =
		bpf_xdp_attach(interface(name), bpf_program__fd(program), XDP_FLAGS_DRV_MODE, NULL);

	if (ret)
		chain_die("cannot attach XDP to %s: %s", name, strerror(-ret));
}

static void attach_tc(const char *name, struct bpf_program *program)
{
	DECLARE_LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = interface(name),
			    .attach_point = BPF_TC_INGRESS);
	DECLARE_LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = bpf_program__fd(program));
	int ret = bpf_tc_hook_create(&hook);

	if (ret && ret != -EEXIST)
		chain_die("clsact on %s: %s", name, strerror(-ret));
	ret = bpf_tc_attach(&hook, &opts);
	if (ret)
		chain_die("cannot attach TC to %s: %s", name, strerror(-ret));
}

void chain_count_xdp(const struct chain *chain, const char *name)
{
	attach_xdp(name, chain->programs->progs.receive_xdp);
}

void chain_count_tc(const struct chain *chain, const char *name)
{
	attach_tc(name, chain->programs->progs.receive_tc);
}

void chain_send_on(const struct chain *chain, const char *from, const char *to)
{
	uint32_t zero = 0, ifindex = (uint32_t)interface(to);

	if (bpf_map_update_elem(bpf_map__fd(chain->programs->maps.onward), &zero, &ifindex, 0))
		chain_die("devmap of %s: %s", to, strerror(errno));
	attach_xdp(from, chain->programs->progs.send_on);
}

/* The bound's devmaps: for each n a map of n entries that are all the same. */
static void fill_bound(struct bench *programs, const char *uplink)
{
	static const __u32 sizes[] = {1, 4, 8, 16, 64, 256};
	struct bpf_devmap_val value = {
		.ifindex = (__u32)interface(uplink),
		.bpf_prog.fd = bpf_program__fd(programs->progs.bound_egress),
	};
	unsigned int i;
	__u32 key;
	int fd, ret;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		/* The outer map was told of COPIES_MAX entries; devmaps may differ in size. */
		fd = bpf_map_create(BPF_MAP_TYPE_DEVMAP, "bound_copies", sizeof(key), sizeof(value),
				    sizes[i], NULL);
		if (fd < 0)
			chain_die("devmap: %s", strerror(errno));
		for (key = 0; key < sizes[i]; key++) {
			ret = bpf_map_update_elem(fd, &key, &value, 0);
			if (ret)
				chain_die("devmap entry: %s", strerror(-ret));
		}
		ret = bpf_map_update_elem(bpf_map__fd(programs->maps.bound_clones), &sizes[i], &fd,
					  0);
		if (ret)
			chain_die("devmap of %u: %s", sizes[i], strerror(-ret));
		close(fd);
	}
}

static void map_counter(struct chain *chain, enum chain_kind kind)
{
	void *memory = mmap(NULL, (size_t)getpagesize(), PROT_READ, MAP_SHARED,
			    bpf_map__fd(chain->programs->maps.arrived), 0);

	if (memory == MAP_FAILED)
		chain_die("cannot map the counter: %s", strerror(errno));
	chain->arrived = (volatile uint64_t *)memory + kind;
}

void chain_load(struct chain *chain, enum chain_kind kind, bool count_all)
{
	int fd, ret;

	chain->kind = kind;
	chain->name = chain_name(kind);
	chain->programs = bench__open();
	if (!chain->programs)
		chain_die("cannot open the BPF programs: %s", strerror(errno));
	chain->programs->rodata->chain = (uint32_t)kind;
	chain->programs->rodata->count_all = count_all;
	fd = bpf_map_create(BPF_MAP_TYPE_DEVMAP, "bound_copies", sizeof(uint32_t),
			    sizeof(struct bpf_devmap_val), COPIES_MAX, NULL);
	if (fd < 0 || bpf_map__set_inner_map_fd(chain->programs->maps.bound_clones, fd))
		chain_die("devmap: %s", strerror(errno));
	ret = bench__load(chain->programs);
	if (ret)
		chain_die("cannot load the BPF programs: %s", strerror(-ret));
	close(fd);
	map_counter(chain, kind);
}

static int open_socket(void)
{
	struct ip_mreqn out = {.imr_ifindex = interface("src0")};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), ttl = 8, none = 0;

	if (fd < 0 || setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &out, sizeof(out)) ||
	    setsockopt(fd, IPPROTO_IP, IP_MULTICAST_TTL, &ttl, sizeof(ttl)) ||
	    setsockopt(fd, IPPROTO_IP, IP_MULTICAST_LOOP, &none, sizeof(none)))
		chain_die("socket: %s", strerror(errno));
	return fd;
}

/* Frames of XDP transmit are dropped by XDP, packets of the stack by TC: each where it is
 * cheapest, since the one would be turned into the other at some expense. */
void chain_open(struct chain *chain, const char *prefix, enum chain_kind kind)
{
	chain_load(chain, kind, kind == CHAIN_BOUND);
	chain_enter(prefix, chain->name, "gw");
	if (kind == CHAIN_XDP || kind == CHAIN_XDP6 || kind == CHAIN_BOUND)
		chain_count_xdp(chain, "gw0");
	else if (kind != CHAIN_SENDER)
		chain_count_tc(chain, "gw0");
	chain_enter(prefix, chain->name, "relay");
	if (kind == CHAIN_BOUND) {
		fill_bound(chain->programs, "down0");
		attach_xdp("up0", chain->programs->progs.bound_ingress);
	} else if (kind == CHAIN_SENDER) {
		attach_xdp("up0", chain->programs->progs.sender_only);
	}
	chain_enter(prefix, chain->name, "src");
	chain->fd = open_socket();
}

void chain_close(struct chain *chain)
{
	close(chain->fd);
	bench__destroy(chain->programs);
}
