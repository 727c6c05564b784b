/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who on this host has joined what: /proc/net/igmp and /proc/net/igmp6. */
#ifndef AMT_RELAY_LISTENERS_H
#define AMT_RELAY_LISTENERS_H

#include <stdint.h>
#include <stdio.h>
#include "base/addr.h"

typedef void (*listeners_fn)(void *arg, uint32_t ifindex, const struct amt_addr *group,
			     unsigned int users);

/* Calls fn for each group that is joined on an interface. */
void listeners_read(listeners_fn fn, void *arg);
/* One file each; a line that is not as expected is skipped. */
void listeners_parse_igmp(FILE *file, listeners_fn fn, void *arg);
void listeners_parse_igmp6(FILE *file, listeners_fn fn, void *arg);

#endif
