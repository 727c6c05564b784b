/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The internal veth pair that packets are recirculated through (design 4.3): ingress sends into
 * one end, amt_recirculate runs at the other. Named after the instance, so that two do not meet.
 */
#ifndef AMT_DATAPATH_VETH_H
#define AMT_DATAPATH_VETH_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "datapath/pins.h"

struct veth {
	char name[IFNAMSIZ], peer[IFNAMSIZ];
	uint32_t ifindex, peer_ifindex;
};

/* Finds the pair (adopt), or makes it anew. */
int veth_open(struct veth *veth, const char *instance, bool adopt, struct error *err);
/* Puts program at the far end, over its predecessor if there is one. */
int veth_attach(const struct veth *veth, const struct pins *pins, int program, struct error *err);
void veth_delete(struct veth *veth);

#endif
