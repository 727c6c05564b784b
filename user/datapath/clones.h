/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The devmaps that clone a frame n times (design 4.3), and the cpumap of the fan-out threads.
 * Filling again replaces each atomically: that is how a new build's programs take over.
 */
#ifndef AMT_DATAPATH_CLONES_H
#define AMT_DATAPATH_CLONES_H

#include <stdint.h>
#include "datapath/maps.h"

/* clones[uplink][1..32]: n entries of (ifindex, egress). */
int clones_fill(const struct maps *maps, uint32_t uplink, uint32_t ifindex, int egress);
/* recirculate[1..AMT_RECIRCULATE_MAX]. */
int clones_fill_recirculate(const struct maps *maps, uint32_t ifindex, int egress);
/* One fan-out thread a CPU. Returns how many, from CPU 0 on, or negative errno. */
int clones_fill_cpus(const struct maps *maps, int fanout);

#endif
