/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Counting: the pinned per-CPU counters and the counters of a group. No locks: each CPU adds to
 * its own values.
 */
#ifndef AMT_BPF_COUNT_H
#define AMT_BPF_COUNT_H

#include "maps.h"

static __always_inline void count_add(enum amt_counter counter, __u64 value)
{
	__u32 key = counter;
	__u64 *slot = bpf_map_lookup_elem(&counters, &key);

	if (slot)
		*slot += value;
}

static __always_inline void count(enum amt_counter counter)
{
	count_add(counter, 1);
}

static __always_inline void count_uplink_drops(__u32 uplink, __u64 drops)
{
	__u64 *slot = bpf_map_lookup_elem(&uplink_drops, &uplink);

	if (slot)
		*slot += drops;
	count_add(AMT_COUNT_XMIT_DROPS, drops);
}

/* Once per packet, never per copy: a tunnel's traffic is derived from these (design 4.1). */
static __always_inline void count_group_packet(__u32 group, __u32 length, __u64 now)
{
	struct amt_group_counters *slot = bpf_map_lookup_elem(&group_counters, &group);

	if (slot) {
		slot->packets++;
		slot->bytes += length;
		slot->last_ns = now;
	}
	count(AMT_COUNT_PACKETS_IN);
	count_add(AMT_COUNT_BYTES_IN, length);
}

/* Over the group's rate. */
static __always_inline void count_group_limited(__u32 group)
{
	struct amt_group_counters *slot = bpf_map_lookup_elem(&group_counters, &group);

	if (slot) {
		slot->drops++;
		slot->limited++;
	}
	count(AMT_COUNT_GROUP_RATE);
}

static __always_inline void count_group_drop(__u32 group, enum amt_counter reason)
{
	struct amt_group_counters *slot = bpf_map_lookup_elem(&group_counters, &group);

	if (slot)
		slot->drops++;
	count(reason);
}

#endif
