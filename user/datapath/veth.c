/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The internal veth pair; see veth.h. Called by datapath.c. */
#include "datapath/veth.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>

#include <amt/maps.h>
#include "datapath/link_request.h"

#define LINK_NAME  "recirculate"
#define SHORT_NAME 8  /* of an instance that fits an interface name as it is */
#define QUEUES_MAX 16 /* a CPU sends into its own queue: no need for more */

static void name_ends(struct veth *veth, const char *instance)
{
	uint32_t hash = 2166136261u; /* FNV-1a */
	const char *c;
	char stem[SHORT_NAME + 1];

	for (c = instance; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 16777619u;
	if (strlen(instance) <= SHORT_NAME)
		snprintf(stem, sizeof(stem), "%s", instance);
	else
		snprintf(stem, sizeof(stem), "%08x", hash);
	snprintf(veth->name, sizeof(veth->name), "amtr-%s-a", stem);
	snprintf(veth->peer, sizeof(veth->peer), "amtr-%s-b", stem);
}

static bool find(struct veth *veth)
{
	struct link_info near, far;

	if (link_get(veth->name, &near) || link_get(veth->peer, &far))
		return false;
	veth->ifindex = near.ifindex;
	veth->peer_ifindex = far.ifindex;
	return near.peer == far.ifindex && !strcmp(near.kind, "veth") && near.up && far.up &&
	       near.mtu == AMT_RECIRCULATE_MTU && far.mtu == AMT_RECIRCULATE_MTU;
}

static void delete_leftover(const char *name)
{
	struct link_info info;

	if (!link_get(name, &info) && !strcmp(info.kind, "veth"))
		link_delete(info.ifindex);
}

/* Nothing but recirculated frames shall ever be on it: no addresses, no neighbour discovery. */
static void silence(const char *name)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
	file = fopen(path, "we");
	if (!file)
		return; /* no IPv6 in this kernel, or /proc/sys is read-only: harmless chatter */
	fputs("1", file);
	fclose(file);
}

int veth_open(struct veth *veth, const char *instance, bool adopt, struct error *err)
{
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	int ret;

	name_ends(veth, instance);
	if (adopt && find(veth))
		return 0;
	delete_leftover(veth->name);
	delete_leftover(veth->peer);
	ret = link_make_veth(veth->name, veth->peer, AMT_RECIRCULATE_MTU,
			     cpus < 1		 ? 1
			     : cpus > QUEUES_MAX ? QUEUES_MAX
						 : (uint32_t)cpus);
	if (ret)
		return error_set(err, ret, "cannot make the internal veth pair %s: %s", veth->name,
				 strerror(-ret));
	silence(veth->name);
	silence(veth->peer);
	veth->ifindex = if_nametoindex(veth->name);
	veth->peer_ifindex = if_nametoindex(veth->peer);
	ret = link_set_up(veth->ifindex);
	if (!ret)
		ret = link_set_up(veth->peer_ifindex);
	if (!ret && !find(veth))
		ret = -ENODEV;
	if (ret)
		return error_set(err, ret, "internal veth pair %s: %s", veth->name, strerror(-ret));
	return 0;
}

static int update_link(const struct veth *veth, const struct pins *pins, int program)
{
	int fd = pins_link_get(pins, LINK_NAME), ret;
	struct bpf_link_info info = {0};
	__u32 length = sizeof(info);

	if (fd < 0)
		return fd;
	ret = bpf_obj_get_info_by_fd(fd, &info, &length);
	if (!ret && info.xdp.ifindex != veth->peer_ifindex)
		ret = -ENODEV;
	if (!ret)
		ret = bpf_link_update(fd, program, NULL);
	close(fd);
	return ret;
}

int veth_attach(const struct veth *veth, const struct pins *pins, int program, struct error *err)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = XDP_FLAGS_DRV_MODE);
	int fd, ret = 0;

	if (!update_link(veth, pins, program))
		return 0;
	pins_link_remove(pins, LINK_NAME);
	fd = bpf_link_create(program, (int)veth->peer_ifindex, BPF_XDP, &opts);
	if (fd < 0)
		ret = fd;
	else
		ret = pins_link_put(pins, LINK_NAME, fd);
	if (fd >= 0)
		close(fd);
	if (ret)
		return error_set(err, ret, "cannot attach to %s: %s", veth->peer, strerror(-ret));
	return 0;
}

void veth_delete(struct veth *veth)
{
	if (veth->ifindex)
		link_delete(veth->ifindex);
	veth->ifindex = veth->peer_ifindex = 0;
}
