/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Upstream joins: the merged state of every group, kept as real IGMPv3/MLDv2 memberships of the
 * host stack on the upstream interfaces. The sockets belong to a small holder
 * process that outlives amtd, so that a restart never leaves a group: upstream.c is amtd's side,
 * holder.c is that process.
 */
#ifndef AMT_RELAY_UPSTREAM_H
#define AMT_RELAY_UPSTREAM_H

#include <stdbool.h>
#include <stdint.h>
#include <amt/maps.h>
#include "base/addr.h"
#include "base/error.h"

struct descriptors;
struct event_base;
struct upstream;

struct upstream_options {
	const char *instance; /* the holder listens on /run/amt/INSTANCE.upstream */
	uint64_t hold_ns;     /* how long the holder keeps joins without amtd: one GMI */
	unsigned int retry_s; /* a failed join is tried again after this */
	/* Packets of the group may come in by another interface than before, or listeners on this
	 * host came or went: ask upstream_ifindex() and upstream_wanted_here() again. Never called
	 * inside upstream_set(). May be NULL. */
	void (*changed)(void *arg, const struct amt_addr *group);
	/* Fills in the sockets that the holder keeps open while no amtd runs. May be NULL. */
	void (*sockets)(void *arg, struct descriptors *out);
	void *arg;
};

/* Finds the instance's holder, or starts one. */
int upstream_open(struct upstream **out, const struct upstream_options *options,
		  struct event_base *base, struct error *err);
/* Other times from now on, as in the options. */
void upstream_set_timing(struct upstream *upstream, uint64_t hold_ns, unsigned int retry_s);
/* There are other sockets to keep now: options.sockets will be asked. */
void upstream_sockets_changed(struct upstream *upstream);
/* Leaves the holder, its joins and its sockets as they are. */
void upstream_close(struct upstream *upstream);
/* Ends the holder, and with it all joins and sockets. */
void upstream_destroy(struct upstream *upstream);

/* The interfaces to join on. Groups already wanted are joined on a new one, left on a lost one. */
int upstream_add_interface(struct upstream *upstream, uint32_t ifindex);
void upstream_remove_interface(struct upstream *upstream, uint32_t ifindex);

/* Makes the membership of a group what is said: EXCLUDE (sources) or INCLUDE (sources); INCLUDE
 * with none leaves it. One atomic change of the source filter. With several upstream interfaces a
 * source is joined on the one that the route to it points to (else the first), an EXCLUDE on all.
 */
int upstream_set(struct upstream *upstream, const struct amt_addr *group, bool exclude,
		 const struct amt_addr *sources, unsigned int nsources);
/* Which interface packets of (source, group) come in by; 0: any. */
uint32_t upstream_ifindex(struct upstream *upstream, const struct amt_group_key *key);

/* After a restart: everything wanted has been said; the holder leaves the rest. */
int upstream_sync_done(struct upstream *upstream);

struct upstream_status {
	unsigned int groups;  /* joined groups */
	unsigned int sockets; /* of the holder */
	unsigned int failed;  /* joins waiting for a retry */
	int holder_pid;
};
void upstream_status(struct upstream *upstream, struct upstream_status *out);
/* Whether the last attempt to join the group failed: negative errno, or 0. */
int upstream_group_error(const struct upstream *upstream, const struct amt_addr *group);
/* Memberships of this host for the group on the upstream interfaces beyond our own: true means a
 * local program listens too, and packets must also reach it. */
bool upstream_wanted_here(struct upstream *upstream, const struct amt_addr *group);

#endif
