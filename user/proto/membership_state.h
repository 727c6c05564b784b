/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside of one tunnel's membership state, shared by membership.c (storage, timers) and
 * membership_record.c (what a group record does). Nobody else looks in here.
 */
#ifndef AMT_PROTO_MEMBERSHIP_STATE_H
#define AMT_PROTO_MEMBERSHIP_STATE_H

#include "proto/membership.h"

#define EXPIRES_EXCLUDED 0 /* a source timer that does not run: set Y of EXCLUDE (X,Y) */

struct member_source {
	struct amt_addr addr;
	uint64_t expires;
};

/* One group, in one allocation. EXCLUDE (X,Y): X are the sources whose timer runs, Y the others. */
struct member_group {
	struct amt_addr addr;
	uint64_t expires;	 /* group timer; of no meaning in INCLUDE mode */
	uint64_t old_host_until; /* 0: no older host present */
	unsigned int nsources;
	bool exclude;
	struct member_source sources[]; /* by address */
};

/* All that one tunnel has joined: groups by address. */
struct membership {
	struct member_group **groups;
	unsigned int ngroups, room;
	uint64_t deadline; /* of all timers, or before it */
};

/* What a group is to become. */
struct member_state {
	struct amt_addr group;
	bool exclude;
	uint64_t expires, old_host_until;
	const struct member_source *sources; /* by address */
	unsigned int nsources;
};

struct member_group *membership_find(const struct membership *m, const struct amt_addr *group);

/* Makes the group, which may not be joined yet, what next says, and tells fn if that changes a
 * wish. A group that is INCLUDE with no source is dropped. Returns 0 or -ENOMEM (nothing done). */
int membership_become(struct membership *m, const struct member_state *next,
		      membership_change_fn fn, void *arg);

#endif
