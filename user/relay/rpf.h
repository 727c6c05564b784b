/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reverse path: the interface that the route to a source points to, and when routes change. */
#ifndef AMT_RELAY_RPF_H
#define AMT_RELAY_RPF_H

#include <stdint.h>
#include "base/addr.h"

struct event_base;
struct rpf;

/* changed is called at most once a second, after routes, rules or links changed. */
int rpf_open(struct rpf **out, struct event_base *base, void (*changed)(void *arg), void *arg);
void rpf_free(struct rpf *rpf);

/* 0: no route. */
uint32_t rpf_ifindex(struct rpf *rpf, const struct amt_addr *source);

#endif
