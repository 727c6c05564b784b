/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Records to amtd through the ring buffer, at most config.events_per_second in all: what an
 * attacker can cause must not keep the controller busy.
 */
#ifndef AMT_BPF_EVENT_H
#define AMT_BPF_EVENT_H

#include "count.h"
#include "parse.h"

#define EVENT_WINDOW 1000000000ULL

/* CPUs may race for the last few of a window: a bound within a few records is good enough. */
static __always_inline bool event_permitted(__u32 limit, __u64 now)
{
	__u32 zero = 0;
	struct amt_event_rate *rate = bpf_map_lookup_elem(&event_rate, &zero);

	if (!rate)
		return false;
	if (now - rate->window_ns >= EVENT_WINDOW) {
		rate->window_ns = now;
		rate->used = 0;
	}
	return __sync_fetch_and_add(&rate->used, 1) < limit;
}

static __always_inline void event_send(void *record, __u32 length)
{
	if (bpf_ringbuf_output(&events, record, length, 0))
		count(AMT_COUNT_EVENT_LOST);
}

/* Starts a datagram record in this CPU's scratch; NULL: none may be sent, and that is counted. */
static __always_inline struct amt_event_scratch *event_begin(const struct datagram *d,
							     __u32 ifindex, __u32 group,
							     const struct amt_config *conf,
							     __u64 now)
{
	__u32 zero = 0;
	struct amt_event_scratch *scratch = bpf_map_lookup_elem(&event_scratch, &zero);

	if (!scratch || d->length > AMT_EVENT_DATA_MAX ||
	    !event_permitted(conf->events_per_second, now)) {
		count(AMT_COUNT_EVENT_LOST);
		return NULL;
	}
	scratch->event.type = AMT_EVENT_TOO_BIG;
	scratch->event.ifindex = ifindex;
	scratch->event.id = group;
	scratch->event.length = d->length;
	return scratch;
}

/* What event_begin() has looked at, so that the verifier sees it: 1 up to the largest. 6.1's sees
 * no lower bound in a comparison with 0. */
static __always_inline bool event_bounded(__u32 *length)
{
	__u32 bounded = ((*length - 1) & 0x3fff) + 1;

	opaque(bounded);
	*length = bounded;
	return bounded <= AMT_EVENT_DATA_MAX;
}

/* Sends the datagram at d->front, which is too big for its group's tunnels, as it would be sent. */
static __always_inline void event_datagram_xdp(struct xdp_md *ctx, const struct datagram *d,
					       __u32 group, const struct amt_config *conf,
					       __u64 now)
{
	struct amt_event_scratch *scratch = event_begin(d, ctx->ingress_ifindex, group, conf, now);
	__u32 length = d->length;

	if (!scratch)
		return;
	if (!event_bounded(&length))
		return;
	if (bpf_xdp_load_bytes(ctx, d->front, scratch->data, length))
		count(AMT_COUNT_EVENT_LOST);
	else
		event_send(scratch, sizeof(scratch->event) + length);
}

/* The same from TC. */
static __always_inline void event_datagram_tc(struct __sk_buff *skb, const struct datagram *d,
					      __u32 group, const struct amt_config *conf, __u64 now)
{
	struct amt_event_scratch *scratch = event_begin(d, skb->ifindex, group, conf, now);
	__u32 length = d->length;

	if (!scratch)
		return;
	if (!event_bounded(&length))
		return;
	if (bpf_skb_load_bytes(skb, d->front, scratch->data, length))
		count(AMT_COUNT_EVENT_LOST);
	else
		event_send(scratch, sizeof(scratch->event) + length);
}

/* A copy met an invalid next hop: asks for its resolution. Each such copy asks, so these leave half
 * of the rate to datagrams, and one that is not sent is no loss. */
static __always_inline void event_nexthop(__u32 nexthop, __u32 ifindex)
{
	struct amt_event event = {
		.type = AMT_EVENT_NEXTHOP_UNRESOLVED, .ifindex = ifindex, .id = nexthop};
	__u32 zero = 0;
	const struct amt_config *conf = bpf_map_lookup_elem(&config, &zero);

	if (conf && event_permitted(conf->events_per_second / 2, bpf_ktime_get_ns()))
		event_send(&event, sizeof(event));
}

#endif
