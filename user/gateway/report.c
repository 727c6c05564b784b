/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host's own reports on their way into Updates (RFC 7450 5.2.3.6), and what they say the host
 * has joined.
 */
#include <errno.h>
#include <string.h>
#include "base/counters.h"
#include "gateway/engine.h"
#include "proto/report_split.h"

#define RESPONSE_INTERVAL_S 10 /* */
#define GMI_DEFAULT_S	    260

static void tell_wanted(void *arg, const struct wish_change *change)
{
	const struct gateway *g = arg;

	if (g->edge.wanted)
		g->edge.wanted(g->edge.arg, change);
}

void report_set_interval(struct gateway *g)
{
	uint64_t longest = 0;
	unsigned int i;

	for (i = 0; i < CYCLES; i++) {
		const struct cycle *cycle = &g->link.cycle[i];
		uint64_t gmi =
			(uint64_t)cycle->robustness * cycle->interval_s + RESPONSE_INTERVAL_S;

		if (cycle->given.valid && gmi > longest)
			longest = gmi;
	}
	g->membership_config.gmi_ns = (longest ? longest : GMI_DEFAULT_S) * NSEC_PER_SEC;
}

uint64_t report_tick(struct gateway *g, uint64_t now)
{
	return membership_expire(g->membership, now, NULL, tell_wanted, g);
}

/* Groups that a relay may be asked for. */
static bool is_carried(const struct report_record *record)
{
	return addr_is_multicast(&record->group) && !addr_is_multicast_local(&record->group);
}

static void count_records(struct report report, unsigned int *carried, unsigned int *left_out)
{
	struct report_record record;

	*carried = *left_out = 0;
	while (report_next(&report, &record, NULL))
		(*(is_carried(&record) ? carried : left_out))++;
}

static void join(struct gateway *g, uint64_t now, struct report report)
{
	struct report_record record;

	while (report_next(&report, &record, NULL))
		if (is_carried(&record))
			membership_apply(g->membership, &g->membership_config, now, &record,
					 tell_wanted, g);
}

/* nonce and MAC of the last Query. The Linux driver as relay knows those of the last Request
 * alone, whichever protocol that was for. */
static const struct credentials *credentials_of(const struct link *link, unsigned int which)
{
	bool linux_relay = link->cycle[CYCLE_MLD].given.linux_p;

	return &link->cycle[linux_relay ? link->answered : which].given;
}

int update_send(struct gateway *g, struct link *link, unsigned int which, const void *datagram,
		size_t len)
{
	const struct credentials *given = credentials_of(link, which);
	struct amt_message msg = {
		.type = AMT_UPDATE,
		.nonce = given->nonce,
		.datagram = datagram,
		.datagram_len = len,
	};

	memcpy(msg.mac, given->mac, AMT_MAC_LEN);
	link->reported = *given;
	counter_add(AMT_COUNT_UPDATE_SENT, 1);
	return gateway_send(g, &link->relay, &msg);
}

/* The relay that has answered for this protocol: the one in use, or the one that it is to replace.
 */
static struct link *link_for(struct gateway *g, unsigned int which)
{
	if (g->link.known && g->link.cycle[which].given.valid)
		return &g->link;
	return g->old.known && g->old.cycle[which].given.valid ? &g->old : NULL;
}

static void report_carry(struct gateway *g, uint64_t now, struct link *link, unsigned int which,
			 const void *datagram, size_t len)
{
	int rc = update_send(g, link, which, datagram, len);

	if (membership_is_empty(g->membership))
		link->reported.valid = false; /* the relay keeps nothing for us any more */
	/* a new cycle will tell all that this Update did not. */
	if ((gateway_is_no_route(rc) || rc == -ECONNREFUSED) && link == &g->link &&
	    link->cycle[which].phase != CYCLE_WAITING)
		cycle_start(g, now, which);
}

static bool report_read(const void *datagram, size_t len, struct report *report)
{
	const struct report_options options = {0};
	int rc = report_parse(datagram, len, &options, report);

	switch (-rc) {
	case 0:
		return true;
	case AMT_COUNT_INNER_NOT_IP:
	case AMT_COUNT_INNER_PROTOCOL:
	case AMT_COUNT_REPORT_TYPE: /* a query of ours or of the host, or something else */
		counter_add(AMT_COUNT_GATEWAY_REPORT_IGNORED, 1);
		return false;
	default:
		counter_add((enum amt_counter) - rc, 1);
		return false;
	}
}

/* Without the records that are not carried, in as many Updates as it takes. */
static void report_rebuild(struct gateway *g, uint64_t now, struct link *link,
			   const struct report *report)
{
	uint8_t *datagram = g->out + AMT_UPDATE_DATAGRAM; /* where it will stand in the Update */
	struct report_split split;
	unsigned int n = 0;
	int len;

	report_split_begin(&split, report, UPDATE_DATAGRAM_MAX, is_carried);
	while ((len = report_split_next(&split, datagram)) > 0) {
		report_carry(g, now, link, report->ipv6, datagram, (size_t)len);
		n++;
	}
	if (len < 0)
		counter_add(AMT_COUNT_SEND_FAILED, 1);
	if (n > 1)
		counter_add(AMT_COUNT_GATEWAY_REPORT_SPLIT, 1);
}

void gateway_report(struct gateway *g, uint64_t now, const void *datagram, size_t len)
{
	unsigned int carried, left_out;
	struct report report;
	struct link *link;

	if (g->state == GATEWAY_STOPPED || !report_read(datagram, len, &report))
		return;
	count_records(report, &carried, &left_out);
	counter_add(AMT_COUNT_GATEWAY_RECORD_LOCAL, left_out);
	if (!carried) {
		counter_add(AMT_COUNT_GATEWAY_REPORT_IGNORED, 1);
		return;
	}
	join(g, now, report);
	link = link_for(g, report.ipv6);
	if (!link) /* the Query will bring out the whole state */
		counter_add(AMT_COUNT_GATEWAY_REPORT_EARLY, 1);
	else if (left_out || report.len > UPDATE_DATAGRAM_MAX)
		report_rebuild(g, now, link, &report);
	else
		report_carry(g, now, link, report.ipv6, datagram, report.len);
}
