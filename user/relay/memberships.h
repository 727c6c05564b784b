/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Multicast memberships of the host stack, spread over as many sockets as the kernel's limits ask
 * for: groups per socket (igmp_max_memberships), sources per group (igmp_max_msf, mld_max_msf),
 * option memory. Each change of a filter is one atomic setsourcefilter(3) per socket, ordered so
 * that no source that stays wanted is ever left. Used by the holder process only.
 */
#ifndef AMT_RELAY_MEMBERSHIPS_H
#define AMT_RELAY_MEMBERSHIPS_H

#include <stdbool.h>
#include <stdint.h>
#include "base/addr.h"

struct memberships;

struct memberships *memberships_new(void);    /* NULL: no memory */
void memberships_free(struct memberships *m); /* leaves everything */
/* Reads the kernel's limits anew. */
void memberships_read_limits(struct memberships *m);

/* Makes the filter of the group what is said; INCLUDE of nothing leaves. sources are sorted, each
 * once. *truncated: more to exclude than the kernel takes, so nothing is. After an error
 * the filter is between the old and the new one, and the same call tries the rest again. */
int memberships_set(struct memberships *m, uint32_t ifindex, const struct amt_addr *group,
		    bool exclude, const struct amt_addr *sources, unsigned int nsources,
		    bool *truncated);

/* Mark and sweep: every filter set since unmark stays at the sweep. */
void memberships_unmark(struct memberships *m);
void memberships_sweep(struct memberships *m);

unsigned int memberships_sockets(const struct memberships *m);
unsigned int memberships_filters(const struct memberships *m);

/* Reads /proc/net/igmp and igmp6, and calls fn for each filter whose group has come to have, or to
 * have no more, users on this host beyond ours. */
typedef void (*memberships_listened_fn)(void *arg, uint32_t ifindex, const struct amt_addr *group,
					bool listened);
void memberships_listeners(struct memberships *m, memberships_listened_fn fn, void *arg);
/* Takes all groups as not listened to, so that fn hears of each that is. */
void memberships_listeners_reset(struct memberships *m);

#endif
