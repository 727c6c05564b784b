/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What one tunnel has joined: the IGMPv3/MLDv2 router state machine of RFC 3376 section 6 and
 * RFC 3810 section 7 (R-125..R-152), without queries: a tunnel is one host, so leaves act at once
 * . Pure: time is an argument, and every change of what is forwarded is told to a callback.
 */
#ifndef AMT_PROTO_MEMBERSHIP_H
#define AMT_PROTO_MEMBERSHIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/addr.h"
#include "proto/report.h"

/* What a tunnel wants of one source of a group. With the group in EXCLUDE mode, NONE means
 * forwarded (not excluded); in INCLUDE mode it means not forwarded. */
enum source_wish {
	WISH_NONE,
	WISH_INCLUDED, /* only while the group is in INCLUDE mode */
	WISH_EXCLUDED, /* only while the group is in EXCLUDE mode */
};

struct wish_source {
	struct amt_addr addr;
	enum source_wish before, after; /* always different */
};

/* One tunnel's change for one group, whole. A group not joined is INCLUDE with no source. Sources
 * not listed have WISH_NONE before and after, or did not change their wish (and the mode stayed).
 */
struct wish_change {
	struct amt_addr group;
	bool exclude_before, exclude_after; /* filter mode */
	const struct wish_source *sources;
	unsigned int nsources;
};

typedef void (*membership_change_fn)(void *arg, const struct wish_change *change);

struct membership_config {
	uint64_t gmi_ns;	      /* group membership interval */
	unsigned int max_groups;      /* per tunnel; 0: no limit */
	unsigned int max_sources;     /* per group; 0: no limit */
	const struct amt_prefix *ssm; /* SSM range; NULL: IANA's */
	unsigned int nssm;
	/* Asked before a group enters EXCLUDE mode (source NULL: any source), and before a source
	 * is added to the list of a group, which may be the group's first; there is no other
	 * question for the group itself. false leaves it out, and the callee has counted why. NULL:
	 * everything goes. */
	bool (*admit)(void *arg, const struct amt_addr *group, const struct amt_addr *source);
	void *admit_arg;
};

struct membership; /* one tunnel's state */

struct membership *membership_new(void); /* NULL: no memory */
/* Does not report changes: call membership_clear() first where they matter. */
void membership_free(struct membership *m);

/* Applies one group record at time now. Records that make nothing (R-140, R-142, R-149..R-151)
 * are counted and leave the state as it is. Calls fn at most once. Returns 0 or -ENOMEM (then the
 * state is as before). */
int membership_apply(struct membership *m, const struct membership_config *config, uint64_t now,
		     const struct report_record *record, membership_change_fn fn, void *arg);

/* Lets timers that are due at now act. Returns the next deadline, or TIME_NEVER. budget
 * (NULL: no limit): each group that a timer acts on takes one from it, and one for each of its
 * sources; when it is used up, the deadline returned may have passed: call again. */
uint64_t membership_expire(struct membership *m, uint64_t now, unsigned int *budget,
			   membership_change_fn fn, void *arg);
/* The earliest deadline, without acting. Never late; early by what refreshes have put off since
 * membership_expire() looked last, so that a refresh costs nothing. TIME_NEVER: nothing joined. */
uint64_t membership_deadline(const struct membership *m);

/* Ends everything, as a report that leaves all groups would, or as much of it as the budget
 * allows (NULL: no limit): call again while it is not empty. */
void membership_clear(struct membership *m, unsigned int *budget, membership_change_fn fn,
		      void *arg);

/* Takes up a group after a restart with full timers: INCLUDE (sources), or EXCLUDE ({}, sources).
 * Tells fn, as a join would. Returns 0 or -ENOMEM. */
int membership_restore(struct membership *m, const struct membership_config *config, uint64_t now,
		       const struct amt_addr *group, bool exclude, const struct amt_addr *sources,
		       unsigned int nsources, membership_change_fn fn, void *arg);

bool membership_is_empty(const struct membership *m);
unsigned int membership_groups(const struct membership *m);

/* One group as `amt-ctl tunnels ADDRESS` shows it. */
struct membership_view {
	struct amt_addr group;
	bool exclude;
	uint64_t expires;	 /* group timer in EXCLUDE mode, else the last source's */
	uint64_t old_host_until; /* 0: no older host present */
	unsigned int nsources;
};
struct membership_source_view {
	struct amt_addr source;
	bool excluded;
	uint64_t expires; /* 0 when excluded */
};
/* Calls group_fn for each group, then source_fn for each of its sources (either may be NULL). */
void membership_walk(const struct membership *m,
		     void (*group_fn)(void *arg, const struct membership_view *view),
		     void (*source_fn)(void *arg, const struct membership_view *view,
				       const struct membership_source_view *source),
		     void *arg);

#endif
