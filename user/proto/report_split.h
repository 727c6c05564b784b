/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A report as one or several smaller ones: records that are not to be carried are left out, and no
 * datagram is larger than its path takes. Reads a parsed report, writes whole datagrams.
 */
#ifndef AMT_PROTO_REPORT_SPLIT_H
#define AMT_PROTO_REPORT_SPLIT_H

#include "proto/report.h"

#define REPORT_SPLIT_MAX 2048 /* largest datagram that can be asked for */

/* An iterator; owned by the caller, points into the datagram of the report. */
struct report_split {
	struct report report;
	size_t max;
	bool (*keep)(const struct report_record *record);
	/* private */
	struct report_record record; /* of which sources are left */
	bool pending, begun;
};

/* max: octets of a datagram, 256 .. REPORT_SPLIT_MAX. */
void report_split_begin(struct report_split *split, const struct report *report, size_t max,
			bool (*keep)(const struct report_record *record));

/* Writes the next datagram, with the report's own source address, to buf of at least max octets.
 * Returns its length, 0 at the end, or -EINVAL for addresses that cannot be written.
 *
 * A record stays in one piece where it can. A larger one is split as RFC 3376 4.2.16 has it, with
 * one addition: what follows the first part of a TO_IN is an ALLOW, since a second TO_IN would end
 * the sources of the first at a relay that takes the gateway for one host. An exclude list is cut
 * off; the sources in it that the relay then sends are filtered by the gateway. */
int report_split_next(struct report_split *split, void *buf);

#endif
