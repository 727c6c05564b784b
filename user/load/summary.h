/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What amt-load says at the end: totals over all receivers, and each receiver by itself, for
 * people or as JSON with the same names, and the verdict that becomes the exit status.
 */
#ifndef AMT_LOAD_SUMMARY_H
#define AMT_LOAD_SUMMARY_H

#include <stdbool.h>
#include <stdint.h>
#include "load/gateway.h"
#include "load/receiver.h"

/* One line of the report: gateway is NULL for a native receiver. */
struct summary_entry {
	const char *name; /* where it received: address and port, or interface */
	const struct gateway *gateway;
	const struct receiver *receiver;
	struct receiver_rules rules;
	uint64_t socket_drops; /* packets that came but found no room in the socket */
};

struct summary_times {
	uint64_t median_ns, p99_ns, max_ns; /* half and 99 % of them are not longer */
};

struct summary {
	struct receiver_totals totals;
	struct gateway_counts counts;
	uint64_t receivers, gateways, established; /* established: had their Query */
	uint64_t identical; /* receivers all of whose streams are the same as the file */
	uint64_t socket_drops;
	uint64_t joins, leaves;
	double seconds;
	bool in_order; /* packets out of order are a failure */
	bool compare;
	struct summary_times query, data; /* Request to Query, join to first packet */
};

/* joins, leaves, seconds, in_order and compare are the caller's to set. */
int summary_make(struct summary *summary, const struct summary_entry *entries, unsigned int n);
bool summary_good(const struct summary *summary);

void summary_print(const struct summary *summary);
/* One line a receiver and stream. */
void summary_print_entries(const struct summary_entry *entries, unsigned int n);
/* The whole as one JSON object; entries may be NULL. */
int summary_print_json(const struct summary *summary, const struct summary_entry *entries,
		       unsigned int n);

#endif
