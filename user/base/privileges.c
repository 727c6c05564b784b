/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/privileges.h"

#include <cap-ng.h>
#include <errno.h>
#include <stddef.h>
#include <linux/capability.h>

static const unsigned int needed[] = {
	CAP_NET_ADMIN, /* attach XDP and TC, make the veth pair, force socket buffers */
	CAP_NET_RAW,   /* ICMP errors and fragments in the name of others (R-89..R-92) */
	CAP_BPF,       /* maps and programs */
	CAP_PERFMON,   /* pointer arithmetic in programs, the raw tracepoint of transmit drops */
	/* Linux opens programs, maps and links by their id, which is how libxdp finds its
	 * dispatcher and who else is attached, for CAP_SYS_ADMIN only, on 6.1 and still today
	 * (kernel/bpf/syscall.c, bpf_prog_get_fd_by_id); mounting bpffs needs it as well */
	CAP_SYS_ADMIN,
};

#define NNEEDED (sizeof(needed) / sizeof(needed[0]))

static const unsigned int low_port = CAP_NET_BIND_SERVICE;

static int check_permitted(const unsigned int *capability, size_t n, struct error *err)
{
	size_t i;

	if (capng_get_caps_process())
		return error_set(err, -EPERM, "capabilities cannot be read: is /proc mounted?");
	for (i = 0; i < n; i++)
		if (!capng_have_capability(CAPNG_PERMITTED, capability[i]))
			return error_set(err, -EPERM, "capability %s is missing; run amtd as root",
					 capng_capability_to_name(capability[i]));
	return 0;
}

static void keep(unsigned int capability)
{
	capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET, capability);
}

static bool is_kept(unsigned int capability, bool low_ports)
{
	size_t i;

	for (i = 0; i < NNEEDED; i++)
		if (needed[i] == capability)
			return true;
	return low_ports && capability == low_port;
}

/* The kernel's word for it, not the library's. */
static int prove(bool low_ports, struct error *err)
{
	unsigned int capability;

	if (capng_get_caps_process())
		return error_set(err, -EPERM, "capabilities cannot be read back");
	for (capability = 0; capability <= CAP_LAST_CAP; capability++)
		if (!is_kept(capability, low_ports) &&
		    (capng_have_capability(CAPNG_PERMITTED, capability) ||
		     capng_have_capability(CAPNG_BOUNDING_SET, capability)))
			return error_set(err, -EPERM, "capability %s could not be dropped",
					 capng_capability_to_name(capability));
	return 0;
}

int privileges_drop(bool low_ports, struct error *err)
{
	size_t i;
	int ret = check_permitted(needed, NNEEDED, err);

	if (!ret && low_ports)
		ret = check_permitted(&low_port, 1, err);
	if (ret)
		return ret;
	capng_clear(CAPNG_SELECT_BOTH);
	for (i = 0; i < NNEEDED; i++)
		keep(needed[i]);
	if (low_ports)
		keep(low_port);
	if (capng_apply(CAPNG_SELECT_BOTH))
		return error_set(err, -EPERM, "capabilities cannot be dropped");
	return prove(low_ports, err);
}
