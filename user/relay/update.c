/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Membership Update: the only message that makes state, once its report is sound and its response
 * MAC right (RFC 7450 5.3.3.4, R-57, R-172).
 */
#include <string.h>
#include "base/counters.h"
#include "relay/engine.h"

/* Whether the report can change nothing for a source without subscriptions: no record, or an old
 * host's leave. Its MAC need not be looked at. */
static bool report_is_trivial(const struct report *report)
{
	struct report copy = *report;
	struct report_record record;

	if (!report_next(&copy, &record, NULL))
		return report->records == 0;
	return record.old_host && record.type == RECORD_TO_IN;
}

/* VLC repeats one Update for ever without asking again. Its pair of nonce and MAC was right
 * once for this very endpoint, whose tunnel still lives. */
static bool is_repetition(const struct relay *relay, const struct tunnel *tunnel,
			  const struct amt_message *msg)
{
	return relay->options.accept_repeated_mac && tunnel && !tunnel->ending &&
	       tunnel->mac_known && tunnel->nonce == msg->nonce &&
	       !memcmp(tunnel->mac, msg->mac, AMT_MAC_LEN);
}

static bool authenticate(const struct relay *relay, const struct receipt *in,
			 const struct tunnel *tunnel, bool *ecn)
{
	if (secrets_verify(relay, in->now, in->peer, &in->msg, ecn))
		return true;
	if (is_repetition(relay, tunnel, &in->msg)) {
		*ecn = tunnel->ecn;
		counter_add(AMT_COUNT_UPDATE_REPEATED_MAC, 1);
		return true;
	}
	counter_add(AMT_COUNT_BAD_MAC, 1);
	return false;
}

static void apply(struct relay *relay, struct tunnel_change *change, struct report *report)
{
	struct report_record record;
	unsigned int unknown = 0;

	relay->joining = change->tunnel;
	while (!change->refused && report_next(report, &record, &unknown)) {
		membership_apply(change->tunnel->membership, &relay->membership, change->now,
				 &record, tunnel_changed, change);
		relay->admitted = 0;
		relay->admitted_rate = 0;
	}
	relay->joining = NULL;
	counter_add(AMT_COUNT_RECORD_UNKNOWN, unknown);
}

/* A new endpoint becomes a tunnel only when a record makes a subscription: it is applied to
 * a tunnel in no table, which the first change establishes. */
static void update_unknown_endpoint(struct relay *relay, const struct receipt *in,
				    struct report *report, bool ecn)
{
	struct tunnel_change change = {.relay = relay, .now = in->now};

	change.tunnel = tunnel_new(in->peer, in->local, ecn);
	if (!change.tunnel)
		return;
	apply(relay, &change, report);
	if (change.tunnel->id == TUNNEL_NO_ID) {
		tunnel_discard(change.tunnel);
		if (change.refused)
			return;
	} else {
		memcpy(change.tunnel->mac, in->msg.mac, AMT_MAC_LEN);
		change.tunnel->nonce = in->msg.nonce;
		change.tunnel->mac_known = true;
		tunnel_settle(relay, change.tunnel, in->now);
	}
	counter_add(AMT_COUNT_UPDATE_ACCEPTED, 1);
}

static void update_tunnel(struct relay *relay, const struct receipt *in, struct tunnel *tunnel,
			  struct report *report, bool ecn)
{
	struct tunnel_change change = {.relay = relay, .tunnel = tunnel, .now = in->now};

	if (ecn != tunnel->ecn &&
	    !relay->edge.tunnel_set_ecn(relay->edge.arg, tunnel->id, ecn)) /* */
		tunnel->ecn = ecn;
	memcpy(tunnel->mac, in->msg.mac, AMT_MAC_LEN);
	tunnel->nonce = in->msg.nonce;
	tunnel->mac_known = true;
	apply(relay, &change, report);
	counter_add(AMT_COUNT_UPDATE_ACCEPTED, 1);
	tunnel_settle(relay, tunnel, in->now);
}

void update_receive(struct relay *relay, const struct receipt *in)
{
	const struct report_options options = {
		.require_router_alert = relay->options.strict_router_alert,
	};
	struct tunnel *tunnel;
	struct report report;
	bool ecn = false;
	int rc;

	counter_add(AMT_COUNT_UPDATE_RECEIVED, 1);
	/* The report first: refusing it costs less than a MAC. */
	rc = report_parse(in->msg.datagram, in->msg.datagram_len, &options, &report);
	if (rc < 0) {
		counter_add((enum amt_counter) - rc, 1);
		return;
	}
	tunnel = tunnel_find(relay, in->peer, &in->local->addr);
	if (!tunnel && report_is_trivial(&report))
		return;
	if (!authenticate(relay, in, tunnel, &ecn))
		return;
	tunnel = tunnel_living(relay, tunnel);
	if (tunnel)
		update_tunnel(relay, in, tunnel, &report, ecn);
	else
		update_unknown_endpoint(relay, in, &report, ecn);
}
