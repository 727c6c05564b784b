/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "load/receiver.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "load/datagram.h"
#include "load/payload.h"

/* Streams that one receiver keeps apart; more are foreign, so that a sender of random stream ids
 * cannot fill the memory. */
#define FLOWS_PER_SUBSCRIPTION 16

void receiver_init(struct receiver *receiver, const struct subscriptions *wanted,
		   const struct reference *reference)
{
	memset(receiver, 0, sizeof(*receiver));
	receiver->wanted = wanted;
	receiver->reference = reference;
	receiver->output = -1;
}

void receiver_free(struct receiver *receiver)
{
	struct flow *flow, *next;

	for (flow = receiver->flows; flow; flow = next) {
		next = flow->next;
		free(flow);
	}
	receiver->flows = receiver->recent = NULL;
}

void receiver_listen(struct receiver *receiver, bool listening, uint64_t now)
{
	struct flow *flow;

	if (receiver->listening && !listening) {
		for (flow = receiver->flows; flow; flow = flow->next)
			tracker_pause(&flow->tracker);
	}
	if (listening) {
		receiver->joined_ns = now;
		receiver->first_after_join_ns = 0;
	}
	receiver->listening = listening;
}

/* ---- one packet ---- */

static bool flow_is(const struct flow *flow, const struct amt_addr *source,
		    const struct amt_addr *group, uint32_t stream)
{
	return flow->stream == stream && addr_equal(&flow->source, source) &&
	       addr_equal(&flow->group, group);
}

static struct flow *flow_new(struct receiver *receiver, const struct amt_addr *source,
			     const struct amt_addr *group, uint32_t stream)
{
	struct flow *flow;

	if (!subscriptions_want(receiver->wanted, source, group) ||
	    receiver->nflows >= receiver->wanted->n * FLOWS_PER_SUBSCRIPTION)
		return NULL;
	flow = calloc(1, sizeof(*flow));
	if (!flow)
		return NULL;
	flow->source = *source;
	flow->group = *group;
	flow->stream = stream;
	flow->output = receiver->nflows == 0 ? receiver->output : -1;
	flow->next = receiver->flows;
	receiver->flows = flow;
	receiver->nflows++;
	return flow;
}

static struct flow *flow_find(struct receiver *receiver, const struct amt_addr *source,
			      const struct amt_addr *group, uint32_t stream)
{
	struct flow *flow = receiver->recent;

	if (flow && flow_is(flow, source, group, stream))
		return flow;
	for (flow = receiver->flows; flow; flow = flow->next) {
		if (flow_is(flow, source, group, stream))
			break;
	}
	if (!flow)
		flow = flow_new(receiver, source, group, stream);
	receiver->recent = flow;
	return flow;
}

static bool same_as_file(const struct reference *reference, const struct payload *payload)
{
	uint64_t offset = payload->sequence * payload->chunk;

	return offset <= reference->len && payload->content_len <= reference->len - offset &&
	       memcmp(reference->data + offset, payload->content, payload->content_len) == 0;
}

static void flow_content(struct receiver *receiver, struct flow *flow,
			 const struct payload *payload)
{
	off_t offset = (off_t)(payload->sequence * payload->chunk);

	flow->bytes += payload->content_len;
	if (receiver->reference && receiver->reference->data &&
	    !same_as_file(receiver->reference, payload))
		flow->different++;
	if (flow->output >= 0 && pwrite(flow->output, payload->content, payload->content_len,
					offset) != (ssize_t)payload->content_len)
		receiver->write_errors++;
}

void receiver_payload(struct receiver *receiver, uint64_t now, const struct amt_addr *source,
		      const struct amt_addr *group, const void *buf, size_t len)
{
	struct payload payload;
	struct flow *flow;
	int ret = payload_parse(buf, len, &payload);

	if (ret) {
		receiver->foreign += ret == -EPROTO;
		receiver->damaged += ret == -EBADMSG;
		return;
	}
	flow = flow_find(receiver, source, group, payload.stream);
	if (!flow) {
		receiver->foreign++;
		return;
	}
	receiver->packets++;
	receiver->bytes += len;
	if (payload.total > 0)
		flow->total = payload.total;
	if (!receiver->listening)
		flow->after_leave++;
	else if (receiver->first_after_join_ns == 0)
		receiver->first_after_join_ns = now;
	if (flow->first_ns == 0)
		flow->first_ns = now;
	flow->last_ns = now;
	if (tracker_add(&flow->tracker, payload.sequence))
		flow_content(receiver, flow, &payload);
	if (!receiver->listening) /* after a late packet, the gap that follows is excused again */
		tracker_pause(&flow->tracker);
}

void receiver_datagram(struct receiver *receiver, uint64_t now, const void *datagram, size_t len)
{
	struct datagram inner;

	switch (datagram_parse(datagram, len, &inner)) {
	case DATAGRAM_UDP:
		receiver_payload(receiver, now, &inner.source, &inner.group, inner.payload,
				 inner.payload_len);
		break;
	case DATAGRAM_FRAGMENT:
		if (subscriptions_want(receiver->wanted, &inner.source, &inner.group))
			receiver->fragments++;
		else
			receiver->foreign++;
		break;
	case DATAGRAM_MALFORMED:
	case DATAGRAM_BAD_CHECKSUM:
		receiver->damaged++;
		break;
	}
}

/* ---- the verdict ---- */

uint64_t flow_expected(const struct flow *flow, const struct receiver_rules *rules)
{
	return rules->expect > 0 ? rules->expect : flow->total;
}

uint64_t flow_missing(const struct flow *flow, const struct receiver_rules *rules)
{
	uint64_t expected = flow_expected(flow, rules);

	if ((rules->complete || rules->expect > 0) && expected > 0)
		return tracker_missing_of(&flow->tracker, expected);
	return tracker_missing(&flow->tracker);
}

bool flow_identical(const struct flow *flow, const struct receiver *receiver,
		    const struct receiver_rules *rules)
{
	const struct reference *reference = receiver->reference;
	struct receiver_rules whole = {.complete = true, .expect = rules->expect};

	return reference && reference->data && flow->total > 0 && flow->different == 0 &&
	       flow_missing(flow, &whole) == 0 && flow->bytes == reference->len;
}

/* Subscriptions for which nothing came at all. */
static unsigned int count_silent(const struct receiver *receiver)
{
	unsigned int i, silent = 0;
	const struct flow *flow;

	for (i = 0; i < receiver->wanted->n; i++) {
		const struct amt_addr *group = &receiver->wanted->list[i].group;

		for (flow = receiver->flows; flow; flow = flow->next) {
			if (addr_equal(&flow->group, group))
				break;
		}
		silent += !flow;
	}
	return silent;
}

bool receiver_done(const struct receiver *receiver, const struct receiver_rules *rules)
{
	struct receiver_rules whole = {.complete = true, .expect = rules->expect};
	const struct flow *flow;

	for (flow = receiver->flows; flow; flow = flow->next) {
		if (flow_expected(flow, &whole) == 0 || flow_missing(flow, &whole) > 0)
			return false;
	}
	return count_silent(receiver) == 0;
}

void receiver_add_totals(const struct receiver *receiver, const struct receiver_rules *rules,
			 struct receiver_totals *totals)
{
	const struct flow *flow;
	uint64_t missing;

	totals->packets += receiver->packets;
	totals->bytes += receiver->bytes;
	totals->foreign += receiver->foreign;
	totals->damaged += receiver->damaged;
	totals->fragments += receiver->fragments;
	totals->write_errors += receiver->write_errors;
	if (rules->complete || rules->expect > 0)
		totals->silent += count_silent(receiver);
	for (flow = receiver->flows; flow; flow = flow->next) {
		missing = flow_missing(flow, rules);
		totals->missing += missing;
		totals->incomplete += missing > 0;
		totals->distinct += flow->tracker.distinct;
		totals->duplicate += flow->tracker.duplicates;
		totals->reordered += flow->tracker.reordered;
		totals->stale += flow->tracker.stale;
		totals->different += flow->different;
		totals->after_leave += flow->after_leave;
	}
}
