/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What one receiver (a gateway, or a native listener) got, judged packet by packet: wanted or
 * foreign, whole or damaged, once or twice, in order or not, the same as the file or not. No I/O
 * but the optional output file.
 */
#ifndef AMT_LOAD_RECEIVER_H
#define AMT_LOAD_RECEIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/addr.h"
#include "load/channel.h"
#include "load/tracker.h"

/* The file that streams are compared to, mapped by the caller. */
struct reference {
	const uint8_t *data; /* NULL: nothing to compare with */
	size_t len;
};

/* One stream of one channel. */
struct flow {
	struct flow *next;
	struct amt_addr source, group;
	uint32_t stream;
	struct tracker tracker;
	uint64_t total; /* as the sender says; 0: not known */
	uint64_t bytes; /* of content, without duplicates */
	uint64_t different;
	uint64_t after_leave; /* packets that came when nothing was wanted any more */
	uint64_t first_ns, last_ns;
	int output; /* file descriptor, -1: none */
};

struct receiver {
	const struct subscriptions *wanted;
	const struct reference *reference;
	struct flow *flows, *recent;
	unsigned int nflows;
	int output; /* for the first flow; -1: none */
	bool listening;
	uint64_t packets, bytes; /* all that came, with UDP payload */
	uint64_t foreign;	 /* of a channel or content that was not asked for */
	uint64_t damaged;	 /* malformed, wrong checksum, wrong content check */
	uint64_t fragments;
	uint64_t write_errors;
	uint64_t joined_ns, first_after_join_ns; /* for the time from join to first packet */
};

void receiver_init(struct receiver *receiver, const struct subscriptions *wanted,
		   const struct reference *reference);
void receiver_free(struct receiver *receiver);

/* From now on packets are wanted; or no longer, and then what is still on its way is counted
 * apart, and what passes until the next join is not missing. */
void receiver_listen(struct receiver *receiver, bool listening, uint64_t now);

/* The inner datagram of a Multicast Data message. */
void receiver_datagram(struct receiver *receiver, uint64_t now, const void *datagram, size_t len);

/* A UDP payload sent by source to group. */
void receiver_payload(struct receiver *receiver, uint64_t now, const struct amt_addr *source,
		      const struct amt_addr *group, const void *payload, size_t len);

struct receiver_rules {
	bool complete;	 /* streams count from 0 to their end, and every channel has one */
	uint64_t expect; /* packets of every stream; 0: as the stream itself says */
};

struct receiver_totals {
	uint64_t packets, bytes, distinct;
	uint64_t missing, duplicate, foreign, damaged, different;
	uint64_t reordered, stale, fragments, after_leave;
	uint64_t silent;     /* subscriptions without any stream, where complete is asked for */
	uint64_t incomplete; /* flows that lack packets */
	uint64_t write_errors;
};

/* How many packets the flow should have, 0: not known. */
uint64_t flow_expected(const struct flow *flow, const struct receiver_rules *rules);
uint64_t flow_missing(const struct flow *flow, const struct receiver_rules *rules);
/* Every packet there is, and each the same as in the file. */
bool flow_identical(const struct flow *flow, const struct receiver *receiver,
		    const struct receiver_rules *rules);
/* Everything that was asked for has come; false where nobody knows how much that is. */
bool receiver_done(const struct receiver *receiver, const struct receiver_rules *rules);
void receiver_add_totals(const struct receiver *receiver, const struct receiver_rules *rules,
			 struct receiver_totals *totals);

#endif
