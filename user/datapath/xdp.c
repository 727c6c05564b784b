/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Native XDP on an interface: through libxdp's dispatcher where the kernel has one, so that other
 * XDP programs run beside ours; else by a pinned bpf_link, which a restart finds and replaces
 * atomically. A foreign program is never evicted. Called by attach.c.
 */
#include "datapath/state.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <xdp/libxdp.h>

#include "base/log.h"

#define PROGRAM_NAME "amt_ingress"

static void link_name(char *name, size_t size, uint32_t ifindex)
{
	snprintf(name, size, "xdp-%u", ifindex); /* bpffs takes no dot, as in eth0.7 */
}

static uint32_t program_on(uint32_t ifindex)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, opts);

	return bpf_xdp_query((int)ifindex, 0, &opts) ? 0 : opts.prog_id ?: opts.drv_prog_id;
}

/* ---- dispatcher ---- */

/* libxdp itself is asked only where this says so: it keeps a descriptor of any other program. */
static bool is_dispatcher(uint32_t program_id)
{
	int fd = program_id ? bpf_prog_get_fd_by_id(program_id) : -1;
	struct bpf_prog_info info = {0};
	__u32 length = sizeof(info);
	bool is;

	if (fd < 0)
		return false;
	is = !bpf_obj_get_info_by_fd(fd, &info, &length) && !strcmp(info.name, "xdp_dispatcher");
	close(fd);
	return is;
}

static struct xdp_multiprog *dispatcher_on(uint32_t ifindex)
{
	struct xdp_multiprog *mp;

	if (!is_dispatcher(program_on(ifindex)))
		return NULL;
	mp = xdp_multiprog__get_from_ifindex((int)ifindex);
	if (libxdp_get_error(mp))
		return NULL;
	if (!xdp_multiprog__is_legacy(mp))
		return mp;
	xdp_multiprog__close(mp);
	return NULL;
}

static bool has_dispatcher(uint32_t ifindex)
{
	struct xdp_multiprog *mp = dispatcher_on(ifindex);

	if (mp)
		xdp_multiprog__close(mp);
	return mp != NULL;
}

/* Takes our programs but `keep` out of the interface's dispatcher. */
static void dispatcher_remove(uint32_t ifindex, uint32_t map_id, uint32_t keep)
{
	struct xdp_multiprog *mp;
	struct xdp_program *program = NULL;
	bool removed;

	do { /* each removal makes a new dispatcher */
		removed = false;
		mp = dispatcher_on(ifindex);
		if (!mp)
			return;
		program = NULL;
		while (!removed && (program = xdp_multiprog__next_prog(program, mp)))
			if (xdp_program__id(program) != keep &&
			    program_uses_map(xdp_program__id(program), map_id) == 1)
				removed = !xdp_program__detach(program, (int)ifindex,
							       XDP_MODE_NATIVE, 0);
		xdp_multiprog__close(mp);
	} while (removed);
}

/* Adds the program first and removes its predecessor then: no packet finds neither. */
static int dispatcher_attach(struct datapath *dp, uint32_t ifindex, uint32_t roles,
			     struct error *err)
{
	struct amt_xdp *object = object_open_ingress(&dp->maps, &dp->options, roles, err);
	DECLARE_LIBXDP_OPTS(xdp_program_opts, opts, .prog_name = PROGRAM_NAME);
	struct xdp_program *program;
	int ret;

	if (!object)
		return -EINVAL;
	opts.obj = object_of(object);
	program = xdp_program__create(&opts);
	ret = (int)libxdp_get_error(program);
	if (ret) {
		object_close(object);
		return error_set(err, ret, "libxdp: %s", strerror(-ret));
	}
	ret = xdp_program__attach(program, (int)ifindex, XDP_MODE_NATIVE, 0);
	if (ret)
		error_set(err, ret, "libxdp cannot attach: %s", strerror(-ret));
	else if (!has_dispatcher(ifindex)) {
		/* libxdp fell back to a program alone: that is no better than our link */
		xdp_program__detach(program, (int)ifindex, XDP_MODE_NATIVE, 0);
		ret = -EOPNOTSUPP;
	} else {
		dispatcher_remove(ifindex, map_id_of(dp->maps.fd[MAP_CONFIG]),
				  xdp_program__id(program));
	}
	xdp_program__close(program);
	object_close(object);
	return ret;
}

bool xdp_dispatcher_works(struct datapath *dp)
{
	struct error ignored;

	if (dispatcher_attach(dp, dp->veth.ifindex, AMT_INTERFACE_UPLINK, &ignored))
		return false;
	dispatcher_remove(dp->veth.ifindex, map_id_of(dp->maps.fd[MAP_CONFIG]), 0);
	return true;
}

/* ---- bpf_link ---- */

/* Puts the program into the pinned link of this interface. -ENOENT: there is none. */
static int link_update(const struct datapath *dp, uint32_t ifindex, int program)
{
	struct bpf_link_info info = {0};
	__u32 length = sizeof(info);
	char name[32];
	int fd, ret;

	link_name(name, sizeof(name), ifindex);
	fd = pins_link_get(&dp->pins, name);
	if (fd < 0)
		return -ENOENT;
	ret = bpf_obj_get_info_by_fd(fd, &info, &length);
	if (!ret && info.type == BPF_LINK_TYPE_XDP && info.xdp.ifindex == ifindex)
		ret = bpf_link_update(fd, program, NULL);
	else
		ret = -ENOENT; /* its interface went away, and this is another one */
	close(fd);
	if (ret)
		pins_link_remove(&dp->pins, name);
	return ret ? -ENOENT : 0;
}

static int link_create(const struct datapath *dp, uint32_t ifindex, int program)
{
	/* never generic: the egress program would see no metadata (bpf/fanout.h) */
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = XDP_FLAGS_DRV_MODE);
	char name[32];
	int fd, ret;

	fd = bpf_link_create(program, (int)ifindex, BPF_XDP, &opts);
	if (fd < 0)
		return fd;
	link_name(name, sizeof(name), ifindex);
	ret = pins_link_put(&dp->pins, name, fd);
	close(fd);
	return ret;
}

/* ---- both ---- */

static int explain(int ret, const char *name, struct error *err)
{
	if (ret == -EBUSY || ret == -EEXIST)
		return error_set(err, -EBUSY,
				 "%s has another XDP program without libxdp's dispatcher; detach "
				 "it (ip link set dev %s xdp off), or attach with --mode tc",
				 name, name);
	if (ret == -EOPNOTSUPP)
		return error_set(err, ret, "the driver of %s has no native XDP", name);
	return error_set(err, ret, "%s: cannot attach XDP: %s", name, strerror(-ret));
}

int xdp_attach(struct datapath *dp, struct interface *interface, struct error *err)
{
	uint32_t ifindex = interface->ifindex, roles = interface->flags & INTERFACE_ROLES;
	int program, ret;

	interface->dispatcher = false;
	if (dp->rt)
		return error_set(err, -EOPNOTSUPP,
				 "PREEMPT_RT kernel: XDP's per-CPU state is not safe here");
	program = object_ingress(&dp->programs, &dp->maps, &dp->options, roles, err);
	if (program < 0)
		return program;
	if (!link_update(dp, ifindex, program))
		return 0;
	if (has_dispatcher(ifindex) || (dp->dispatcher && !program_on(ifindex))) {
		ret = dispatcher_attach(dp, ifindex, roles, err);
		interface->dispatcher = !ret;
		if (ret != -EOPNOTSUPP)
			return ret;
	}
	if (program_on(ifindex))
		return explain(-EBUSY, interface->name, err);
	ret = link_create(dp, ifindex, program);
	return ret ? explain(ret, interface->name, err) : 0;
}

void xdp_detach_map_users(uint32_t ifindex, uint32_t map_id)
{
	dispatcher_remove(ifindex, map_id, 0);
}

void xdp_detach(struct datapath *dp, uint32_t ifindex)
{
	char name[32];

	link_name(name, sizeof(name), ifindex);
	pins_link_remove(&dp->pins, name);
	xdp_detach_map_users(ifindex, map_id_of(dp->maps.fd[MAP_CONFIG]));
}

static int attach_tracepoint(const struct datapath *dp, const char *name, int program)
{
	int fd, ret;

	if (program < 0)
		return -EOPNOTSUPP;
	pins_link_remove(&dp->pins, name); /* else both count for a moment */
	fd = bpf_raw_tracepoint_open(name, program);
	if (fd < 0)
		return fd;
	ret = pins_link_put(&dp->pins, name, fd);
	close(fd);
	return ret;
}

int xdp_attach_drops(struct datapath *dp)
{
	int ret = attach_tracepoint(dp, "xdp_devmap_xmit", dp->programs.xmit_drops);

	return ret ? ret : attach_tracepoint(dp, "xdp_cpumap_enqueue", dp->programs.queue_drops);
}
