/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who is a member of what: the pairs (set, tunnel), found by pair, by tunnel and by set. Pure. A
 * pair is known by its ref, which stays the same while it exists.
 */
#ifndef AMT_DATAPATH_MEMBERS_H
#define AMT_DATAPATH_MEMBERS_H

#include <stdbool.h>
#include <stdint.h>

#define MEMBER_NONE UINT32_MAX

struct member {
	uint32_t set, tunnel;
	uint32_t block; /* where fanout put it; MEMBER_NONE: not served now (no route) */
	uint16_t mtu;	/* what it counts for in its set while it is served */
	bool said;	/* named again since adoption */
};

struct members;

struct members *members_new(uint32_t max_sets, uint32_t max_tunnels); /* NULL: no memory */
void members_free(struct members *members);

uint32_t members_find(const struct members *members, uint32_t set, uint32_t tunnel);
/* A new pair, which must not exist; MEMBER_NONE: no memory. */
uint32_t members_add(struct members *members, uint32_t set, uint32_t tunnel);
void members_remove(struct members *members, uint32_t ref);
/* Good until the next members_add(). */
struct member *members_get(const struct members *members, uint32_t ref);

/* Walks: the first and the next ref, MEMBER_NONE at the end. Removing the ref at hand is allowed
 * once its next is known. */
uint32_t members_of_tunnel(const struct members *members, uint32_t tunnel);
uint32_t members_next_of_tunnel(const struct members *members, uint32_t ref);
uint32_t members_of_set(const struct members *members, uint32_t set);
uint32_t members_next_of_set(const struct members *members, uint32_t ref);
uint32_t members_in_set(const struct members *members, uint32_t set);

#endif
