/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From the kernel's route to what copies need. Called by nexthop.c. */
#ifndef AMT_DATAPATH_ROUTE_H
#define AMT_DATAPATH_ROUTE_H

#include <stdbool.h>
#include "datapath/links.h"
#include "datapath/nexthop.h"
#include "datapath/rtnl.h"

/* All of *out but the next hop, which is left alone. False: copies cannot go this way. */
bool route_usable(const struct links *links, const struct rtnl_route *route,
		  struct nexthop_route *out);

#endif
