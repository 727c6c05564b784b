/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the programs of this host have joined on the pseudo-interface, learned from the reports that
 * pass by: for the packet path, which passes on nothing else, and for `amt-ctl groups`.
 * Pure; IPv4 and IPv6 together.
 *
 * The host's stack tells of every change and answers every general query in full, so that an entry
 * that was not told again for robustness times the query interval and some seconds is over.
 */
#ifndef AMT_GATEWAY_JOINED_H
#define AMT_GATEWAY_JOINED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <amt/maps.h>
#include "base/addr.h"

struct joined;

/* What is to be done with packets of (source, group), or, with source any, with all packets of the
 * group that no entry of their source speaks of. */
enum joined_verdict {
	JOINED_NO,	/* no entry */
	JOINED_WANTED,	/* pass on */
	JOINED_EXCLUDED /* of one source: drop, though the group is wanted */
};

/* An entry is new, or changed its verdict, or ended (JOINED_NO). While a group changes, what is
 * wanted before and after it stays wanted all the time. Not called from joined_free(). */
typedef void (*joined_change_fn)(void *arg, const struct amt_group_key *key,
				 enum joined_verdict verdict);

struct joined *joined_new(joined_change_fn fn, void *arg); /* NULL: no memory */
void joined_free(struct joined *joined);

/* Of the last general query for IGMP or MLD that was put in; before the first: 2 and 125 s. The
 * longer of both holds, for what is reported from now on. */
void joined_set_timing(struct joined *joined, bool mld, unsigned int robustness,
		       unsigned int interval_s);

/* One datagram that left the pseudo-interface. What is no good report is left alone, as are groups
 * of link-local scope. Returns 0, -ENOMEM, or -EINVAL for what is no report. */
int joined_report(struct joined *joined, uint64_t now, const void *datagram, size_t len);
/* After a restart: all entries of the predecessor, in any order, until reports say otherwise. They
 * are told again. 0 or -ENOMEM. */
struct joined_entry {
	struct amt_group_key key;
	enum joined_verdict verdict;
};
int joined_adopt(struct joined *joined, uint64_t now, const struct joined_entry *entries,
		 unsigned int n);
/* Ends what is due; returns when to come again, or TIME_NEVER. */
uint64_t joined_tick(struct joined *joined, uint64_t now);

/* What the packet path would do with the packet. */
bool joined_wants(const struct joined *joined, const struct amt_addr *source,
		  const struct amt_addr *group);
unsigned int joined_groups(const struct joined *joined);
/* Each entry, those of a group together. */
void joined_walk(const struct joined *joined,
		 void (*fn)(void *arg, const struct joined_entry *entry), void *arg);

#endif
