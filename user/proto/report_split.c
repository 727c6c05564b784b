/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/report_split.h"

#include <string.h>
#include "proto/inner.h"

#define MESSAGE_HEAD 8 /* of the report, before its records (RFC 3376 4.2, RFC 3810 5.2) */
#define RECORD_HEAD  4 /* of a record, before its group */
#define RECORDS_MAX  (REPORT_SPLIT_MAX / (RECORD_HEAD + 4))
#define SOURCES_MAX  (REPORT_SPLIT_MAX / 4)

/* What one datagram will hold. */
struct piece {
	size_t room;
	unsigned int nrecords, nsources;
	struct report_build records[RECORDS_MAX];
	struct amt_addr sources[SOURCES_MAX];
};

void report_split_begin(struct report_split *split, const struct report *report, size_t max,
			bool (*keep)(const struct report_record *record))
{
	*split = (struct report_split){
		.report = *report,
		.max = max < REPORT_SPLIT_MAX ? max : REPORT_SPLIT_MAX,
		.keep = keep,
	};
}

/* The record to go on with. */
static bool record_take(struct report_split *split)
{
	while (!split->pending) {
		if (!report_next(&split->report, &split->record, NULL))
			return false;
		split->pending = split->keep(&split->record);
		split->begun = false;
	}
	return true;
}

static bool is_exclude(enum record_type type)
{
	return type == RECORD_IS_EX || type == RECORD_TO_EX;
}

static void record_add(struct report_split *split, struct piece *piece, unsigned int n)
{
	struct report_record *record = &split->record;
	struct report_build *to = &piece->records[piece->nrecords++];
	unsigned int i;

	*to = (struct report_build){
		.type = split->begun && record->type == RECORD_TO_IN ? RECORD_ALLOW : record->type,
		.group = record->group,
		.sources = &piece->sources[piece->nsources],
		.nsources = n,
	};
	for (i = 0; i < n; i++)
		piece->sources[piece->nsources++] = report_source(record, i);
	record->sources += (size_t)n * record->source_len;
	record->nsources -= n;
	split->begun = true;
	split->pending = record->nsources && !is_exclude(record->type);
}

int report_split_next(struct report_split *split, void *buf)
{
	bool ipv6 = split->report.ipv6;
	struct piece piece = {.room = split->max - inner_header_len(ipv6) - MESSAGE_HEAD};

	while (record_take(split)) {
		size_t step = split->record.source_len, head = RECORD_HEAD + step;
		unsigned int n = split->record.nsources;

		if (head + n * step > piece.room) {
			if (piece.nrecords) /* it fits into the next one, or more of it does */
				break;
			n = (unsigned int)((piece.room - head) / step);
		}
		record_add(split, &piece, n);
		piece.room -= head + n * step;
	}
	if (!piece.nrecords)
		return 0;
	return report_write(ipv6, &split->report.source, piece.records, piece.nrecords, buf,
			    split->max);
}
