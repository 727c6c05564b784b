/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The BPF objects: opened with our sizes, loaded over the pinned maps or over fresh ones. Keeps the
 * programs' file descriptors and forgets the objects.
 */
#ifndef AMT_DATAPATH_OBJECT_H
#define AMT_DATAPATH_OBJECT_H

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "datapath/maps.h"
#include "datapath/pins.h"

struct bpf_object;

#define PROGRAM_ROLES 8 /* AMT_INTERFACE_UPSTREAM, _UPLINK, _GATEWAY, each or not */

enum tc_program { TC_RELAY, TC_GATEWAY, TC_NUM };

struct programs {
	int egress, recirculate, fanout;
	int xmit_drops, queue_drops; /* -1: this kernel has no raw tracepoints, or no BTF */
	int tc[TC_NUM];
	int ingress[PROGRAM_ROLES]; /* by roles; loaded when first asked for */
};

/* What libbpf and libxdp say goes to the debug log; the last complaint ends up in errors. */
void object_quiet_libraries(void);

void programs_init(struct programs *programs);
void programs_close(struct programs *programs);

/* Opens the pinned maps, or makes and pins new ones, and loads all programs but ingress. *adopted:
 * the pinned ones were taken. -EPROTO: pins are there that cannot be used, said in err. */
int object_load(struct programs *programs, struct maps *maps,
		const struct datapath_options *options, const struct pins *pins, bool *adopted,
		struct error *err);
/* The ingress program for these roles: its file descriptor, or negative errno. */
int object_ingress(struct programs *programs, const struct maps *maps,
		   const struct datapath_options *options, uint32_t roles, struct error *err);
/* An opened, not yet loaded object with nothing but ingress for these roles: what libxdp wants.
 * Freed by object_close(). */
struct amt_xdp *object_open_ingress(const struct maps *maps, const struct datapath_options *options,
				    uint32_t roles, struct error *err);
struct bpf_object *object_of(struct amt_xdp *xdp);
void object_close(struct amt_xdp *xdp);

#endif
