/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Loading the BPF objects; see object.h. Called by datapath.c and xdp.c. */
#include "datapath/object.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <xdp/libxdp.h>

#include "base/log.h"
#include "skel/amt_tc.skel.h"
#include "skel/amt_xdp.skel.h"

static char complaint[256]; /* the libraries' last warning */

static void hear(bool warning, const char *format, va_list args)
{
	char line[256];
	size_t n;

	vsnprintf(line, sizeof(line), format, args);
	n = strcspn(line, "\n");
	line[n] = '\0';
	if (warning && n)
		memcpy(complaint, line, sizeof(line));
	if (n)
		log_debug("%s", line);
}

static int hear_libbpf(enum libbpf_print_level level, const char *format, va_list args)
{
	if (level != LIBBPF_DEBUG)
		hear(level == LIBBPF_WARN, format, args);
	return 0;
}

static int hear_libxdp(enum libxdp_print_level level, const char *format, va_list args)
{
	if (level != LIBXDP_DEBUG)
		hear(level == LIBXDP_WARN, format, args);
	return 0;
}

void object_quiet_libraries(void)
{
	libbpf_set_print(hear_libbpf);
	libxdp_set_print(hear_libxdp);
}

void programs_init(struct programs *p)
{
	unsigned int i;

	p->egress = p->recirculate = p->fanout = p->xmit_drops = p->queue_drops = -1;
	for (i = 0; i < TC_NUM; i++)
		p->tc[i] = -1;
	for (i = 0; i < PROGRAM_ROLES; i++)
		p->ingress[i] = -1;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void programs_close(struct programs *p)
{
	unsigned int i;

	close_fd(&p->egress);
	close_fd(&p->recirculate);
	close_fd(&p->fanout);
	close_fd(&p->xmit_drops);
	close_fd(&p->queue_drops);
	for (i = 0; i < TC_NUM; i++)
		close_fd(&p->tc[i]);
	for (i = 0; i < PROGRAM_ROLES; i++)
		close_fd(&p->ingress[i]);
}

static int load_failed(int ret, const char *object, struct error *err)
{
	if (ret == -EPERM)
		return error_set(err, ret,
				 "the kernel refuses to load BPF programs: run as root, or with "
				 "CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON");
	return error_set(err, ret, "cannot load %s: %s%s%s%s", object, strerror(-ret),
			 complaint[0] ? " (" : "", complaint, complaint[0] ? ")" : "");
}

static int take_program(const struct bpf_program *program)
{
	return bpf_program__fd(program) < 0 ? -1 : dup(bpf_program__fd(program));
}

/* ---- the XDP object without ingress, and the TC object ---- */

static struct amt_xdp *open_common(bool tracepoints, struct error *err)
{
	struct amt_xdp *xdp = amt_xdp__open();

	if (!xdp) {
		load_failed(-errno, "amt_xdp", err);
		return NULL;
	}
	bpf_program__set_autoload(xdp->progs.amt_ingress, false);
	bpf_program__set_autoload(xdp->progs.amt_xmit_drops, tracepoints);
	bpf_program__set_autoload(xdp->progs.amt_queue_drops, tracepoints);
	return xdp;
}

static int load_common(struct programs *p, struct maps *maps, struct amt_xdp *xdp,
		       struct error *err)
{
	int ret = amt_xdp__load(xdp);

	if (ret)
		return load_failed(ret, "amt_xdp", err);
	p->egress = take_program(xdp->progs.amt_egress);
	p->recirculate = take_program(xdp->progs.amt_recirculate);
	p->fanout = take_program(xdp->progs.amt_fanout);
	p->xmit_drops = take_program(xdp->progs.amt_xmit_drops);
	p->queue_drops = take_program(xdp->progs.amt_queue_drops);
	return maps_take(maps, xdp->obj, err);
}

static int load_tc(struct programs *p, const struct maps *maps,
		   const struct datapath_options *options, struct error *err)
{
	struct amt_tc *tc = amt_tc__open();
	int ret;

	if (!tc)
		return load_failed(-errno, "amt_tc", err);
	ret = maps_prepare(maps, options, tc->obj, err);
	if (!ret) {
		ret = amt_tc__load(tc);
		if (ret) {
			load_failed(ret, "amt_tc", err);
		} else {
			p->tc[TC_RELAY] = take_program(tc->progs.amt_relay_tc);
			p->tc[TC_GATEWAY] = take_program(tc->progs.amt_gateway_tc);
		}
	}
	amt_tc__destroy(tc);
	return ret;
}

/* Programs on raw tracepoints only count; a kernel without them, or without BTF, does without. */
static int load_xdp(struct programs *p, struct maps *maps, const struct datapath_options *options,
		    bool tracepoints, struct error *err)
{
	struct amt_xdp *xdp = open_common(tracepoints, err);
	int ret;

	if (!xdp)
		return -ENOMEM;
	ret = maps_prepare(maps, options, xdp->obj, err);
	if (!ret)
		ret = load_common(p, maps, xdp, err);
	amt_xdp__destroy(xdp);
	return ret;
}

/* 0: adopted; -ENOENT: nothing is pinned. */
static int find_pinned(struct maps *maps, const struct datapath_options *options,
		       const struct pins *pins, struct error *err)
{
	struct amt_xdp *xdp = open_common(false, err);
	int ret;

	if (!xdp)
		return -ENOMEM;
	ret = maps_prepare(maps, options, xdp->obj, err);
	if (!ret)
		ret = maps_open_pinned(maps, xdp->obj, pins->dir, err);
	amt_xdp__destroy(xdp);
	return ret;
}

int object_load(struct programs *p, struct maps *maps, const struct datapath_options *options,
		const struct pins *pins, bool *adopted, struct error *err)
{
	int ret;

	complaint[0] = '\0';
	ret = find_pinned(maps, options, pins, err);
	if (ret && ret != -ENOENT)
		return ret;
	*adopted = !ret;
	ret = load_xdp(p, maps, options, true, err);
	if (ret)
		ret = load_xdp(p, maps, options, false, err);
	if (!ret)
		ret = load_tc(p, maps, options, err);
	if (!ret && !*adopted)
		ret = maps_pin(maps, pins->dir, err);
	return ret ? ret : maps_mmap(maps, err);
}

/* ---- ingress ---- */

static unsigned int roles_index(uint32_t roles)
{
	return (roles & (AMT_INTERFACE_UPSTREAM | AMT_INTERFACE_UPLINK)) |
	       (roles & AMT_INTERFACE_GATEWAY ? 4 : 0);
}

struct amt_xdp *object_open_ingress(const struct maps *maps, const struct datapath_options *options,
				    uint32_t roles, struct error *err)
{
	struct amt_xdp *xdp = amt_xdp__open();
	struct bpf_program *program;

	if (!xdp) {
		load_failed(-errno, "amt_xdp", err);
		return NULL;
	}
	xdp->rodata->interface_flags = roles;
	bpf_object__for_each_program(program, xdp->obj)
		bpf_program__set_autoload(program, program == xdp->progs.amt_ingress);
	if (maps_prepare(maps, options, xdp->obj, err)) {
		amt_xdp__destroy(xdp);
		return NULL;
	}
	return xdp;
}

int object_ingress(struct programs *p, const struct maps *maps,
		   const struct datapath_options *options, uint32_t roles, struct error *err)
{
	int *program = &p->ingress[roles_index(roles)], ret;
	struct amt_xdp *xdp;

	if (*program >= 0)
		return *program;
	complaint[0] = '\0';
	xdp = object_open_ingress(maps, options, roles, err);
	if (!xdp)
		return -EINVAL;
	ret = amt_xdp__load(xdp);
	if (ret)
		load_failed(ret, "amt_ingress", err);
	else
		ret = *program = take_program(xdp->progs.amt_ingress);
	amt_xdp__destroy(xdp);
	return ret;
}

struct bpf_object *object_of(struct amt_xdp *xdp)
{
	return xdp->obj;
}

void object_close(struct amt_xdp *xdp)
{
	amt_xdp__destroy(xdp);
}
