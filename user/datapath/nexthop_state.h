/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What nexthop.c and nexthop_wait.c share. */
#ifndef AMT_DATAPATH_NEXTHOP_STATE_H
#define AMT_DATAPATH_NEXTHOP_STATE_H

#include "base/idtable.h"
#include "datapath/chain.h"
#include "datapath/links.h"
#include "datapath/neighbours.h"
#include "datapath/nexthop.h"

#define NO_TUNNEL    UINT32_MAX
#define NO_ROW	     UINT32_MAX
#define PREFIXES_MAX 16 /* changed routes that one sweep compares one by one */

struct event;

struct destination_key {
	struct amt_addr gateway, relay;
};

/* A row of nexthops.destinations. */
struct destination {
	struct destination_key key;
	struct nexthop_route route;
	bool used;
	bool fresh;		     /* never looked up */
	bool dirty;		     /* look up again */
	bool queued;		     /* in the work list: dirty, or tunnels to tell */
	struct neighbour *neighbour; /* NULL when not routed */
	uint32_t first;		     /* tunnel */
	uint32_t cursor;	     /* next tunnel to tell of the route; NO_TUNNEL: all know */
};

/* Beside the row of a destination that waits. Most never do: memory that nobody writes to costs
 * nothing. */
struct destination_wait {
	struct neighbour *awaited; /* the next one, until its MAC address is known; or NULL */
	uint64_t patience_ns;	   /* when it is taken all the same */
};

struct tunnel {
	struct destination *destination; /* NULL: not tracked */
	struct neighbour *neighbour;	 /* the one that was told */
	uint32_t next, prev;		 /* of the same destination */
};

struct nexthops {
	struct nexthop_callbacks callbacks;
	struct rtnl *rtnl;
	struct links *links;
	struct neighbours *neighbours;
	struct destination *destinations; /* rows: one more than there may be tunnels */
	struct idtable by_key;		  /* rows in use */
	uint8_t hash_key[16];		  /* no gateway chooses who collides */
	uint32_t top;			  /* rows from top on were never used */
	struct chain free, work;	  /* rows; those in use and those free share the links */
	struct chain_link *work_link;
	struct destination_wait *waits; /* by row */
	struct chain waiting;		/* those with an awaited neighbour */
	struct chain_link *wait_link;
	uint32_t reviewed;  /* of those, where the review stands; NO_ROW: none runs */
	uint32_t swept;	    /* where the sweep stands; NO_ROW: none runs */
	uint32_t refreshed; /* where the rolling refresh stands */
	struct event *turn, *tick, *readable;
	int fd; /* notifications */
	bool opened, lost;
	bool releasing; /* neighbours that were adopted, as soon as all tunnels are told */
	bool answered;	/* some neighbour changed while destinations wait */
	uint64_t resynced;
	/* Changed routes: those that the sweep looks for, and those that came since it began. More
	 * than there is room for: every destination may be concerned. */
	struct amt_prefix sought[PREFIXES_MAX], changed[PREFIXES_MAX];
	unsigned int nsought, nchanged;
	uint32_t max_tunnels;
	struct tunnel tunnels[];
};

static inline uint32_t nexthop_row(const struct nexthops *nh, const struct destination *dest)
{
	return (uint32_t)(dest - nh->destinations);
}

/* Has the destination looked up in a loop turn. */
void nexthop_mark(struct nexthops *nh, struct destination *dest);

/* Whether dest is to stay with the neighbour that it has. */
bool nexthop_must_wait(const struct nexthops *nh, const struct destination *dest,
		       const struct neighbour *neighbour);
/* Takes over the caller's reference. */
void nexthop_wait_begin(struct nexthops *nh, struct destination *dest, struct neighbour *neighbour);
void nexthop_wait_end(struct nexthops *nh, struct destination *dest);
/* Begins to look at all that wait. */
void nexthop_wait_review(struct nexthops *nh);
/* Looks at no more than n of them: marks those that have waited for what is known now, or for long
 * enough. */
void nexthop_wait_step(struct nexthops *nh, unsigned int n, uint64_t now);

#endif
