/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which channels a receiver wants: read from the command line, merged by group into what IGMPv3
 * and MLDv2 call INCLUDE or EXCLUDE with a source list, and turned into reports. Pure.
 */
#ifndef AMT_LOAD_CHANNEL_H
#define AMT_LOAD_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/addr.h"
#include "base/error.h"

/* Adds n to an address as to one long number, as far as its last four octets go. */
void addr_advance(struct amt_addr *addr, uint32_t n);
/* Cuts "xN" off the end of text; returns N, 1 where there is none, 0 where it is no number from 1
 * to max. */
unsigned long addr_take_count(char *text, unsigned long max);

struct channel {
	struct amt_addr source; /* any: every source of the group */
	struct amt_addr group;
};

struct channels {
	struct channel *list;
	unsigned int n;
};

/* Takes "GROUP", "SOURCE,GROUP", and either with "xN" behind it: N groups in a row. */
int channels_add(struct channels *channels, const char *text, struct error *err);
void channels_free(struct channels *channels);

/* What one gateway wants of one group. */
struct subscription {
	struct amt_addr group;
	bool exclude;
	struct amt_addr *sources;
	unsigned int nsources;
};

struct subscriptions {
	struct subscription *list;
	unsigned int n;
	bool ipv4, ipv6; /* inner families in use */
};

/* Merges count channels from first on (around the end of the list). Groups wanted from any source
 * are EXCLUDE with those of the excluded addresses that are of their family. 0 or -ENOMEM. */
int subscriptions_make(struct subscriptions *out, const struct channels *channels,
		       unsigned int first, unsigned int count, const struct amt_addr *excluded,
		       unsigned int nexcluded);
void subscriptions_free(struct subscriptions *subscriptions);

bool subscriptions_want(const struct subscriptions *subscriptions, const struct amt_addr *source,
			const struct amt_addr *group);

enum report_kind {
	REPORT_STATE, /* answer to a general query: IS_IN, IS_EX */
	REPORT_JOIN,  /* ALLOW, TO_EX */
	REPORT_LEAVE, /* BLOCK, TO_IN */
};

/* Where the next report goes on; all zero: at the beginning. */
struct report_cursor {
	unsigned int subscription, source;
};

/* Writes the next report datagram of one inner family. old: IGMPv2 or MLDv1, one group each.
 * Returns its length, 0 when there is nothing left, or what report_write() says. */
int subscriptions_report(const struct subscriptions *subscriptions, enum report_kind kind,
			 bool ipv6, bool old, struct report_cursor *cursor, void *buf, size_t size);

#endif
