/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shared by upstream.c, which knows what is wanted, and upstream_link.c, which tells the holder.
 */
#ifndef AMT_RELAY_UPSTREAM_INTERNAL_H
#define AMT_RELAY_UPSTREAM_INTERNAL_H

#include <event2/event.h>
#include <uthash.h>
#include "relay/rpf.h"
#include "relay/upstream.h"

struct group {
	UT_hash_handle hh;
	struct amt_addr addr;
	bool exclude, listened, truncated_logged, in_review;
	bool joined; /* on every interface where it should be, as the holder has confirmed */
	struct amt_addr *sources; /* sorted */
	uint32_t *way;		  /* of each source: the interface its packets come in by, or 0 */
	unsigned int nsources;
	struct group *next, *prev; /* in review */
};

struct join_key {
	uint32_t ifindex;
	struct amt_addr group;
};

/* One group on one interface: what the holder has been told. */
struct join {
	UT_hash_handle hh;
	struct join_key key;
	bool queued;	  /* what is wanted may differ from what was said */
	bool leave_first; /* the interface went away: what the holder has of it is void */
	bool held;	  /* the holder may have it */
	bool waiting;	  /* for an answer */
	bool listened;	  /* others on this host listen */
	uint32_t seq;	  /* of what was said last */
	unsigned int at;  /* sources said so far of a long list */
	int error;
	bool error_logged;
	struct join *next, *prev; /* queued */
};

enum holder_state { HOLDER_GONE, HOLDER_GREETED, HOLDER_READY };

struct upstream {
	struct upstream_options options;
	char instance[64];
	struct event_base *base;
	struct event *review, *readable, *writable, *reconnect, *patience, *retry;
	/* what is wanted */
	uint32_t interfaces[AMT_INTERFACES_MAX];
	unsigned int ninterfaces;
	struct rpf *rpf;
	struct group *groups;
	struct group *reviews; /* whose ways are looked up again */
	struct join *joins;
	struct join *queue;
	unsigned int joined; /* groups */
	unsigned int failed; /* joins with an error */
	bool sync_wanted;    /* what is not wanted is to be left */
	/* the holder */
	enum holder_state state;
	int fd, holder_pid;
	unsigned int holder_sockets;
	uint64_t last_connect;
	unsigned int busy; /* connections refused for now */
	uint32_t seq;
	bool sync_said, sockets_said;
	unsigned int failures_logged, failures_unlogged;
};

/* ---- upstream.c ---- */

struct group *upstream_find_group(const struct upstream *u, const struct amt_addr *addr);
struct join *upstream_find_join(const struct upstream *u, uint32_t ifindex,
				const struct amt_addr *group);
/* group may be NULL: not wanted. */
bool upstream_wants(const struct upstream *u, const struct group *group, uint32_t ifindex);
/* Where an INCLUDE of the group's source i is joined. */
uint32_t upstream_include_ifindex(const struct upstream *u, const struct group *group,
				  unsigned int i);
void upstream_enqueue(struct upstream *u, struct join *join);
void upstream_drop_join(struct upstream *u, struct join *join);
/* A join of the group was said, confirmed, dropped or became another's business. */
void upstream_recount(struct upstream *u, const struct amt_addr *group);

/* ---- upstream_link.c ---- */

int upstream_link_open(struct upstream *u, struct error *err);
void upstream_link_free(struct upstream *u);
/* Something is queued. */
void upstream_link_wake(struct upstream *u);
/* Sockets came or went: said at once, since an address that goes may be wanted again in this turn
 * of the loop, and is in use until the holder has heard. */
void upstream_link_sockets(struct upstream *u);
void upstream_link_quit(struct upstream *u);
/* Greets the holder anew, on a connection of its own; it keeps its joins meanwhile. */
void upstream_link_renew(struct upstream *u);

#endif
