/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One request to the kernel about a link at a time: the internal veth pair is made and removed with
 * it, and XDP features are asked for. Links and routes are followed over time by nexthop.c.
 */
#ifndef AMT_DATAPATH_LINK_REQUEST_H
#define AMT_DATAPATH_LINK_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

struct link_info {
	uint32_t ifindex;
	uint32_t peer; /* IFLA_LINK: a veth's other end, in this namespace or another */
	uint32_t mtu;
	bool up;
	char kind[16]; /* "veth", ... or "" */
};

/* 0 or -ENODEV or another negative errno. */
int link_get(const char *name, struct link_info *info);
int link_make_veth(const char *name, const char *peer, uint32_t mtu, uint32_t queues);
int link_set_up(uint32_t ifindex);
int link_delete(uint32_t ifindex);

/* Bits of `enum netdev_xdp_act` (Linux 6.3); -EOPNOTSUPP on older kernels. */
#define LINK_XDP_BASIC	  0x01
#define LINK_XDP_NDO_XMIT 0x04
int link_xdp_features(uint32_t ifindex, uint64_t *features);
/* Whether the device has a queueing discipline "clsact" without any filter. */
bool link_clsact_empty(uint32_t ifindex);

#endif
