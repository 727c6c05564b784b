/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/report.h"

#include <errno.h>
#include <string.h>
#include "proto/inner.h"

/* The message: IGMPv3 and MLDv2 reports have the same head (RFC 3376 4.2, RFC 3810 5.2) */
#define REPORT_NRECORDS 6
#define REPORT_RECORDS	8
/* A record: type, aux data length in words, number of sources, group, sources, aux data */
#define RECORD_AUX_WORDS 1
#define RECORD_NSOURCES	 2
#define RECORD_GROUP	 4

/* IGMPv2 (RFC 2236 2) and MLDv1 (RFC 2710 3) */
#define IGMP_V2_GROUP 4
#define IGMP_V2_LEN   8
#define MLD_V1_GROUP  8
#define MLD_V1_LEN    24

static size_t addr_len(bool ipv6)
{
	return ipv6 ? 16 : 4;
}

static struct amt_addr addr_read(bool ipv6, const uint8_t *at)
{
	return ipv6 ? inner_addr6(at) : addr_from_ipv4(at);
}

static void addr_write(bool ipv6, const struct amt_addr *addr, uint8_t *at)
{
	memcpy(at, addr->bytes + (ipv6 ? 0 : AMT_ADDR_V4_OFFSET), addr_len(ipv6));
}

/* Octets of the record at `at` with its auxiliary data, 0 when it does not fit before `end`. */
static size_t record_len(bool ipv6, const uint8_t *at, const uint8_t *end)
{
	size_t room = (size_t)(end - at), len = RECORD_GROUP + addr_len(ipv6);

	if (room < len)
		return 0;
	len += load16(at + RECORD_NSOURCES) * addr_len(ipv6);
	len += (size_t)at[RECORD_AUX_WORDS] * 4;
	return len <= room ? len : 0;
}

static int records_check(struct report *report, const struct inner *inner)
{
	const uint8_t *at = inner->message + REPORT_RECORDS;
	unsigned int i;

	report->at = at;
	report->end = inner->message + inner->message_len;
	report->records = load16(inner->message + REPORT_NRECORDS);
	report->left = report->records;
	for (i = 0; i < report->records; i++) {
		size_t len = record_len(report->ipv6, at, report->end);

		if (!len)
			return -AMT_COUNT_REPORT_SHORT;
		at += len;
	}
	return 0;
}

/* A report is IS_EX({}), a leave or done TO_IN({}). */
static int old_check(struct report *report, const struct inner *inner, bool leave)
{
	size_t least = inner->ipv6 ? MLD_V1_LEN : IGMP_V2_LEN;

	if (inner->message_len < least)
		return -AMT_COUNT_REPORT_SHORT;
	report->old_host = true;
	report->records = 1;
	report->left = 1;
	report->old_record = (struct report_record){
		.type = leave ? RECORD_TO_IN : RECORD_IS_EX,
		.old_host = true,
		.group = addr_read(inner->ipv6,
				   inner->message + (inner->ipv6 ? MLD_V1_GROUP : IGMP_V2_GROUP)),
		.source_len = (unsigned int)addr_len(inner->ipv6),
	};
	return 0;
}

int report_parse(const void *datagram, size_t len, const struct report_options *options,
		 struct report *report)
{
	struct inner inner;
	int err = inner_parse(datagram, len, &inner);

	memset(report, 0, sizeof(*report));
	if (err)
		return err;
	if (options->require_router_alert && !inner.router_alert)
		return -AMT_COUNT_INNER_NO_ROUTER_ALERT;
	report->ipv6 = inner.ipv6;
	report->len = inner.len;
	report->source = inner.source;

	/* IGMP and ICMPv6 types are apart, but not by design: each family has its own list. An
	 * IGMPv1 report is not among those that a relay takes (R-57 a, R-144). */
	switch (inner.ipv6 << 8 | inner.message[0]) {
	case IGMP_REPORT_V3:
	case 1 << 8 | MLD_REPORT_V2:
		return records_check(report, &inner);
	case IGMP_REPORT_V2:
	case 1 << 8 | MLD_REPORT_V1:
		return old_check(report, &inner, false);
	case IGMP_LEAVE:
	case 1 << 8 | MLD_DONE:
		return old_check(report, &inner, true);
	}
	return -AMT_COUNT_REPORT_TYPE;
}

bool report_next(struct report *report, struct report_record *record, unsigned int *unknown)
{
	while (report->left > 0) {
		const uint8_t *at = report->at;

		report->left--;
		if (report->old_host) {
			*record = report->old_record;
			return true;
		}
		report->at += record_len(report->ipv6, at, report->end);
		if (at[0] < RECORD_IS_IN || at[0] > RECORD_BLOCK) {
			if (unknown)
				(*unknown)++;
			continue;
		}
		record->type = at[0];
		record->old_host = false;
		record->group = addr_read(report->ipv6, at + RECORD_GROUP);
		record->nsources = load16(at + RECORD_NSOURCES);
		record->source_len = (unsigned int)addr_len(report->ipv6);
		record->sources = at + RECORD_GROUP + record->source_len;
		return true;
	}
	return false;
}

struct amt_addr report_source(const struct report_record *record, unsigned int i)
{
	return addr_read(record->source_len == 16,
			 record->sources + (size_t)i * record->source_len);
}

/* Writes one record; returns its length or -errno. */
static int record_write(bool ipv6, const struct report_build *build, uint8_t *at, size_t size)
{
	size_t step = addr_len(ipv6), len = RECORD_GROUP + step * (1 + (size_t)build->nsources);
	unsigned int i;

	if (build->type < RECORD_IS_IN || build->type > RECORD_BLOCK ||
	    build->nsources > UINT16_MAX || addr_is_ipv4(&build->group) == ipv6)
		return -EINVAL;
	if (len > size)
		return -ENOSPC;
	at[0] = (uint8_t)build->type;
	at[RECORD_AUX_WORDS] = 0;
	store16(at + RECORD_NSOURCES, build->nsources);
	addr_write(ipv6, &build->group, at + RECORD_GROUP);
	for (i = 0; i < build->nsources; i++) {
		if (addr_is_ipv4(&build->sources[i]) == ipv6)
			return -EINVAL;
		addr_write(ipv6, &build->sources[i], at + RECORD_GROUP + step * (1 + i));
	}
	return (int)len;
}

int report_write(bool ipv6, const struct amt_addr *source, const struct report_build *records,
		 unsigned int nrecords, void *output, size_t size)
{
	static const uint8_t routers4[4] = {224, 0, 0, 22};
	static const uint8_t routers6[16] = {[0] = 0xff, [1] = 0x02, [15] = 0x16};
	struct amt_addr to = ipv6 ? addr_from_ipv6(routers6) : addr_from_ipv4(routers4);
	size_t header = inner_header_len(ipv6), len = REPORT_RECORDS;
	uint8_t *buf = output, *message = buf + header;
	unsigned int i;

	if (nrecords > UINT16_MAX)
		return -EINVAL;
	if (size < header + len)
		return -ENOSPC;
	memset(message, 0, len);
	message[0] = ipv6 ? MLD_REPORT_V2 : IGMP_REPORT_V3;
	store16(message + REPORT_NRECORDS, nrecords);
	for (i = 0; i < nrecords; i++) {
		int added = record_write(ipv6, &records[i], message + len, size - header - len);

		if (added < 0)
			return added;
		len += (size_t)added;
	}
	return inner_finish(ipv6, source, &to, buf, len);
}

/* A leave goes to all routers, a report to the group itself (RFC 2236 9, RFC 2710 8). */
int report_write_old(const struct amt_addr *source, const struct amt_addr *group, bool leave,
		     void *output, size_t size)
{
	static const uint8_t routers4[4] = {224, 0, 0, 2};
	static const uint8_t routers6[16] = {[0] = 0xff, [1] = 0x02, [15] = 0x02};
	bool ipv6 = !addr_is_ipv4(group);
	struct amt_addr to = *group;
	size_t header = inner_header_len(ipv6), len = ipv6 ? MLD_V1_LEN : IGMP_V2_LEN;
	uint8_t *buf = output, *message = buf + header;

	if (size < header + len)
		return -ENOSPC;
	if (leave)
		to = ipv6 ? addr_from_ipv6(routers6) : addr_from_ipv4(routers4);
	memset(message, 0, len);
	if (ipv6)
		message[0] = leave ? MLD_DONE : MLD_REPORT_V1;
	else
		message[0] = leave ? IGMP_LEAVE : IGMP_REPORT_V2;
	addr_write(ipv6, group, message + (ipv6 ? MLD_V1_GROUP : IGMP_V2_GROUP));
	return inner_finish(ipv6, source, &to, buf, len);
}
