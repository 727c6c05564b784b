/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Next hop ids: one for each (link, neighbour address) that a tunnel uses, with the neighbour's MAC
 * address kept up to date and alive. The packet path never confirms a neighbour to the kernel, so
 * stale ones are probed from here, lost ones resolved again, at bounded rates.
 */
#ifndef AMT_DATAPATH_NEIGHBOURS_H
#define AMT_DATAPATH_NEIGHBOURS_H

#include <stdbool.h>
#include <stdint.h>
#include <amt/maps.h>
#include "datapath/links.h"
#include "datapath/rtnl.h"

struct neighbours;
struct neighbour;

typedef void (*neighbours_write_fn)(void *arg, uint16_t id, const struct amt_nexthop *record);

/* Ids run from 1 to max - 1. rtnl and links are the caller's and outlive it. NULL: no memory. */
struct neighbours *neighbours_new(uint32_t max, struct rtnl *rtnl, const struct links *links,
				  neighbours_write_fn write, void *arg);
void neighbours_free(struct neighbours *neighbours);

/* Takes a reference, making the neighbour and starting its resolution where needed. NULL: no id or
 * no memory left. */
struct neighbour *neighbour_get(struct neighbours *neighbours, uint32_t ifindex,
				const struct amt_addr *addr, uint64_t now);
void neighbour_hold(struct neighbour *neighbour); /* one more reference */
void neighbour_put(struct neighbours *neighbours, struct neighbour *neighbour);
uint16_t neighbour_id(const struct neighbour *neighbour);
bool neighbour_is_valid(const struct neighbour *neighbour); /* its MAC address is known */
/* And the kernel knows it as well: nothing is asked just now. */
bool neighbour_is_settled(const struct neighbour *neighbour);
/* Tunnels come and go: shown in the record, written at the next tick. */
void neighbour_count_user(struct neighbour *neighbour, int change);

void neighbours_adopt(struct neighbours *neighbours, uint16_t id, const struct amt_nexthop *record);
void neighbours_adopt_done(struct neighbours *neighbours);

/* A neighbour notification. */
void neighbours_message(struct neighbours *neighbours, const struct nlmsghdr *message,
			uint64_t now);
/* The link changed its state or MAC address, or is gone. */
void neighbours_link_changed(struct neighbours *neighbours, uint32_t ifindex, uint64_t now);
/* Notifications were lost: asks the kernel for everything. */
void neighbours_sync(struct neighbours *neighbours, uint64_t now);
/* Once a second: repeats resolution, confirms stale neighbours; of very many, some each time. */
void neighbours_tick(struct neighbours *neighbours, uint64_t now);
/* A packet met the invalid next hop. */
void neighbours_kick(struct neighbours *neighbours, uint16_t id, uint64_t now);

bool neighbours_record(const struct neighbours *neighbours, uint16_t id,
		       struct amt_nexthop *record);

#endif
