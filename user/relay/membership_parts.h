/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One filter in as many parts as it needs: the kernel bounds the sources of a group on one socket,
 * so a long INCLUDE list is spread over several sockets, whose memberships it adds up. An EXCLUDE
 * filter has one part.
 */
#ifndef AMT_RELAY_MEMBERSHIP_PARTS_H
#define AMT_RELAY_MEMBERSHIP_PARTS_H

#include "relay/membership_sockets.h"

struct membership_part;

struct membership_parts {
	struct membership_key key;
	struct membership_part *list;
	unsigned int n;
};

/* Ordered so that no source wanted before and after is left in between; a source stays in the part
 * that has it. max bounds the sources of a part. After an error the filter is between the old and
 * the new one, and the same call goes on from there. */
int parts_include(struct membership_sockets *sockets, struct membership_parts *parts,
		  const struct amt_addr *sources, unsigned int nsources, unsigned int max);
int parts_exclude(struct membership_sockets *sockets, struct membership_parts *parts,
		  const struct amt_addr *sources, unsigned int nsources);
void parts_leave(struct membership_sockets *sockets, struct membership_parts *parts);

#endif
