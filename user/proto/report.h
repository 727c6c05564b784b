/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Membership reports: IGMPv2/v3 and MLDv1/v2 reports, leaves and dones, read out of a whole inner
 * IPv4 or IPv6 datagram with every check of RFC 7450 5.3.3.4, and written for load tests.
 * All versions come out as the same list of group records.
 */
#ifndef AMT_PROTO_REPORT_H
#define AMT_PROTO_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <amt/counters.h>
#include "base/addr.h"

/* RFC 3376 4.2.12, RFC 3810 5.2.12 */
enum record_type {
	RECORD_IS_IN = 1,
	RECORD_IS_EX = 2,
	RECORD_TO_IN = 3,
	RECORD_TO_EX = 4,
	RECORD_ALLOW = 5,
	RECORD_BLOCK = 6,
};

struct report_options {
	bool require_router_alert; /* off by default: VLC sends none */
};

struct report_record {
	enum record_type type;
	bool old_host; /* from IGMPv2 or MLDv1: report is IS_EX({}), leave is TO_IN({}) */
	struct amt_addr group;
	unsigned int nsources;
	const uint8_t *sources;	 /* raw, see report_source() */
	unsigned int source_len; /* 4 or 16 */
};

/* An iterator; owned by the caller, points into the datagram. */
struct report {
	bool ipv6;
	unsigned int records; /* number the report says it has; 1 for old messages */
	size_t len;	      /* of the datagram; octets behind it are no part of it */
	struct amt_addr source;
	/* private */
	const uint8_t *at, *end;
	unsigned int left;
	bool old_host;
	struct report_record old_record;
};

/* Checks the whole datagram (headers, lengths, checksums, that all records fit) before anything
 * can be iterated. Octets after the inner datagram are ignored. Returns 0, or minus the
 * enum amt_counter of the reason (AMT_COUNT_INNER_*, AMT_COUNT_REPORT_*). */
int report_parse(const void *datagram, size_t len, const struct report_options *options,
		 struct report *report);

/* The next record of a known type; unknown types are skipped and counted in *unknown (may be
 * NULL). Returns false at the end. */
bool report_next(struct report *report, struct report_record *record, unsigned int *unknown);

/* Source i (0 .. nsources-1) of a record. An IPv4-mapped address in MLD, as group or as source,
 * reads as any: neither a group nor a source, and never IPv4. */
struct amt_addr report_source(const struct report_record *record, unsigned int i);

/* A record to be written. */
struct report_build {
	enum record_type type;
	struct amt_addr group;
	const struct amt_addr *sources;
	unsigned int nsources;
};

/* Writes an IPv4/IGMPv3 or IPv6/MLDv2 report with its IP header (TTL 1, router alert, destination
 * 224.0.0.22 or ff02::16; R-75). All groups must be of one family. source may be NULL (0.0.0.0 or
 * ::). Returns the length, -ENOSPC or -EINVAL. */
int report_write(bool ipv6, const struct amt_addr *source, const struct report_build *records,
		 unsigned int nrecords, void *buf, size_t size);

/* Writes an IGMPv2 report/leave or MLDv1 report/done for one group. Returns as report_write(). */
int report_write_old(const struct amt_addr *source, const struct amt_addr *group, bool leave,
		     void *buf, size_t size);

#endif
