/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The TC programs at an interface's clsact ingress: each a filter of ours at a fixed preference,
 * with a handle of its own for each instance. Filters of others stay. Called by interface.c and
 * hooks.c.
 */
#include "datapath/state.h"

#include <errno.h>
#include <string.h>
#include <bpf/libbpf.h>
#include <linux/pkt_sched.h>

#include "datapath/link_request.h"

#define HANDLES 8 /* instances on one interface */

static const uint16_t preferences[TC_NUM] = {[TC_RELAY] = 2268, [TC_GATEWAY] = 2269};

static struct bpf_tc_hook hook_of(uint32_t ifindex)
{
	return (struct bpf_tc_hook){.sz = sizeof(struct bpf_tc_hook),
				    .ifindex = (int)ifindex,
				    .attach_point = BPF_TC_INGRESS};
}

static struct bpf_tc_opts filter_at(enum tc_program which, uint32_t handle)
{
	return (struct bpf_tc_opts){
		.sz = sizeof(struct bpf_tc_opts), .handle = handle, .priority = preferences[which]};
}

/* The program at a handle, or 0. */
static uint32_t query(uint32_t ifindex, enum tc_program which, uint32_t handle)
{
	struct bpf_tc_hook hook = hook_of(ifindex);
	struct bpf_tc_opts filter = filter_at(which, handle);

	return bpf_tc_query(&hook, &filter) ? 0 : filter.prog_id;
}

/* Our handle, else a free one, else 0. Negative errno where we may not look whose a filter is: a
 * second one of ours would double every packet. */
static int choose_handle(uint32_t ifindex, enum tc_program which, uint32_t map_id, bool *ours)
{
	uint32_t handle, program;
	int vacant = 0, uses;

	*ours = false;
	for (handle = 1; handle <= HANDLES; handle++) {
		program = query(ifindex, which, handle);
		uses = program ? program_uses_map(program, map_id) : 0;
		if (uses < 0)
			return uses;
		if (uses) {
			*ours = true;
			return (int)handle;
		}
		if (!program && !vacant)
			vacant = (int)handle;
	}
	return vacant;
}

int tc_attach(uint32_t ifindex, const char *name, enum tc_program which, int program,
	      uint32_t map_id, struct error *err)
{
	struct bpf_tc_hook hook = hook_of(ifindex);
	struct bpf_tc_opts filter;
	bool ours;
	int handle, ret = bpf_tc_hook_create(&hook);

	if (ret && ret != -EEXIST)
		return error_set(err, ret,
				 "%s: cannot add clsact: %s; the kernel needs "
				 "CONFIG_NET_CLS_ACT and CONFIG_NET_SCH_INGRESS",
				 name, strerror(-ret));
	handle = choose_handle(ifindex, which, map_id, &ours);
	if (!handle)
		return error_set(err, -EBUSY, "%s: %d instances of amtd have filters here already",
				 name, HANDLES);
	if (handle < 0)
		return error_set(err, handle, "%s: cannot look at its TC filters: %s", name,
				 strerror(-handle));
	filter = filter_at(which, (uint32_t)handle);
	filter.prog_fd = program;
	filter.flags = ours ? BPF_TC_F_REPLACE : 0;
	ret = bpf_tc_attach(&hook, &filter);
	if (ret)
		return error_set(err, ret, "%s: cannot attach the TC program: %s", name,
				 strerror(-ret));
	return 0;
}

/* An empty clsact does nothing; it goes with the last filter. */
void tc_detach(uint32_t ifindex, enum tc_program which, uint32_t map_id)
{
	struct bpf_tc_hook hook = hook_of(ifindex);
	struct bpf_tc_opts filter;
	bool ours;
	int handle = choose_handle(ifindex, which, map_id, &ours);

	if (!ours)
		return;
	filter = filter_at(which, (uint32_t)handle);
	bpf_tc_detach(&hook, &filter);
	if (!link_clsact_empty(ifindex))
		return;
	hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
	bpf_tc_hook_destroy(&hook);
}
