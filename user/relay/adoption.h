/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From forwarding sets back to wishes: which groups, in which filter mode and with which sources,
 * a tunnel must have joined for it to be a member of the sets it is found in after a restart. The
 * reverse of merge.h's rule, and pure.
 *
 * Member of (*,G): EXCLUDE, with those sources excluded whose (S,G) set exists without the tunnel.
 * Member of (S,G) sets only: INCLUDE of those sources. The wanted sources of an EXCLUDE group
 * (RFC 3376's X) are not told apart there and are not needed: they are forwarded either way.
 */
#ifndef AMT_RELAY_ADOPTION_H
#define AMT_RELAY_ADOPTION_H

#include <stdbool.h>
#include <stdint.h>
#include <amt/maps.h>

struct adoption_member {
	uint32_t tunnel;
	struct amt_group_key key;
};

/* All zero is empty. */
struct adoption {
	struct amt_group_key *sets;
	unsigned int nsets, sets_room;
	struct adoption_member *members;
	unsigned int nmembers, members_room;
};

/* A set that exists, and a tunnel in a set. 0 or -ENOMEM. */
int adoption_add_set(struct adoption *adoption, const struct amt_group_key *key);
int adoption_add_member(struct adoption *adoption, const struct amt_group_key *key,
			uint32_t tunnel);

/* Calls fn once for each (tunnel, group), ordered by tunnel; sources are good during the call.
 * Sorts what it holds. 0 or -ENOMEM. */
int adoption_resolve(struct adoption *adoption,
		     void (*fn)(void *arg, uint32_t tunnel, const struct amt_addr *group,
				bool exclude, const struct amt_addr *sources,
				unsigned int nsources),
		     void *arg);
void adoption_free(struct adoption *adoption);

#endif
