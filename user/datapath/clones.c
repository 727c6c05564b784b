/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Devmaps and the cpumap; see clones.h. Called by datapath.c and attach.c. */
#include "datapath/clones.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#define DEVMAPS_MAX AMT_BLOCK_MEMBERS

/* A devmap of n equal entries; its file descriptor or negative errno. */
static int make_devmap(uint32_t n, uint32_t ifindex, int program)
{
	struct bpf_devmap_val value = {.ifindex = ifindex, .bpf_prog.fd = program};
	int fd = bpf_map_create(BPF_MAP_TYPE_DEVMAP, "amt_clones", sizeof(__u32), sizeof(value), n,
				NULL);
	uint32_t i;

	if (fd < 0)
		return -errno;
	for (i = 0; i < n; i++) {
		if (bpf_map_update_elem(fd, &i, &value, BPF_ANY)) {
			int err = -errno;

			close(fd);
			return err;
		}
	}
	return fd;
}

/* In one system call where the kernel can: each single one would wait for an RCU grace period. */
static int put_devmaps(int outer, const __u32 *keys, const __u32 *fds, __u32 n)
{
	__u32 i, done = n;

	if (!bpf_map_update_batch(outer, keys, fds, &done, NULL) && done == n)
		return 0;
	for (i = 0; i < n; i++)
		if (bpf_map_update_elem(outer, &keys[i], &fds[i], BPF_ANY))
			return -errno;
	return 0;
}

/* Entries first + 1 .. first + n of outer: devmaps of 1..n copies. */
static int fill(int outer, uint32_t first, uint32_t n, uint32_t ifindex, int program)
{
	__u32 keys[DEVMAPS_MAX], fds[DEVMAPS_MAX];
	uint32_t i, made;
	int ret = 0, fd;

	for (made = 0; made < n; made++) {
		fd = make_devmap(made + 1, ifindex, program);
		if (fd < 0) {
			ret = fd;
			break;
		}
		keys[made] = first + made + 1;
		fds[made] = (__u32)fd;
	}
	if (!ret)
		ret = put_devmaps(outer, keys, fds, n);
	for (i = 0; i < made; i++)
		close((int)fds[i]);
	return ret;
}

int clones_fill(const struct maps *maps, uint32_t uplink, uint32_t ifindex, int egress)
{
	return fill(maps->fd[MAP_CLONES], uplink * AMT_CLONES_STRIDE, AMT_BLOCK_MEMBERS, ifindex,
		    egress);
}

int clones_fill_recirculate(const struct maps *maps, uint32_t ifindex, int egress)
{
	return fill(maps->fd[MAP_RECIRCULATE], 0, AMT_RECIRCULATE_MAX, ifindex, egress);
}

int clones_fill_cpus(const struct maps *maps, int fanout)
{
	struct bpf_cpumap_val value = {.qsize = AMT_CPU_QUEUE, .bpf_prog.fd = fanout};
	uint32_t cpu;

	/* an offline CPU ends the row: the programs count from 0 */
	for (cpu = 0; cpu < maps->cpus; cpu++)
		if (maps_write(maps, MAP_CPUS, cpu, &value))
			break;
	return cpu ? (int)cpu : -errno;
}
