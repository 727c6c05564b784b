/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the relay does with a multicast datagram, the same for XDP and TC: find its group, and
 * decide. Nothing here changes a packet.
 */
#ifndef AMT_BPF_RELAY_H
#define AMT_BPF_RELAY_H

#include "count.h"
#include "parse.h"

enum relay_verdict {
	RELAY_FORWARD,
	RELAY_PASS, /* not ours: the host gets it as it came */
	RELAY_DROP,
	RELAY_TOO_BIG, /* forward by way of amtd (R-89..R-92) */
};

/* A packet's group, copied out of the map: what amtd changes meanwhile concerns the next packet. */
struct relay_group {
	__u32 id;
	__u32 path;
	__u32 mtu;
	__u32 flags;
	__u32 upstream_ifindex;
	struct amt_group_blocks blocks;
};

static __always_inline const struct amt_config *relay_config(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&config, &zero);
}

/* (S,G), then (*,G). An (S,G) entry is complete by itself (design 3). */
static __always_inline bool relay_lookup(const struct datagram *d, struct relay_group *group)
{
	struct amt_group_key any = {.group = d->key.group};
	const struct amt_group *found = bpf_map_lookup_elem(&groups, &d->key);

	if (!found)
		found = bpf_map_lookup_elem(&groups, &any);
	if (!found)
		return false;
	group->id = found->id;
	group->path = found->path;
	group->mtu = found->mtu;
	group->flags = found->flags;
	group->upstream_ifindex = found->upstream_ifindex;
	return true;
}

/* First and count are switched together by one 8-byte store: they are read by one load. */
static __always_inline bool relay_blocks(struct relay_group *group)
{
	const volatile __u64 *slot = bpf_map_lookup_elem(&group_blocks, &group->id);
	__u64 both;

	if (!slot)
		return false;
	both = *slot;
	__builtin_memcpy(&group->blocks, &both, sizeof(both));
	return group->blocks.count;
}

static __always_inline enum relay_verdict relay_refuse(const struct relay_group *group,
						       enum amt_counter reason)
{
	count_group_drop(group->id, reason);
	return RELAY_DROP;
}

#define KBIT_NS 8000000ULL /* ns that an octet takes at 1 kbit/s */

/* A token bucket for the whole group: what a group may have, each copy of it has. */
static __always_inline bool relay_within_rate(const struct relay_group *group, __u32 rate,
					      __u32 length, __u64 now)
{
	struct amt_group_bucket *bucket = bpf_map_lookup_elem(&group_buckets, &group->id);
	__u64 drained;

	if (!bucket)
		return true;
	drained = bucket->drained_ns;
	if (drained < now)
		drained = now;
	if (drained - now > AMT_RATE_BURST_NS)
		return false;
	bucket->drained_ns = drained + length * KBIT_NS / rate;
	return true;
}

/* largest: octets of an inner datagram that the path can carry, whatever the tunnels can. */
static __always_inline enum relay_verdict relay_admit(const struct datagram *d,
						      struct relay_group *group,
						      const struct amt_config *conf, __u32 ifindex,
						      __u64 now, __u32 largest)
{
	if (now >= conf->lease_ns) {
		/* nobody looks after the tunnels any more: no relay is here */
		count_group_drop(group->id, AMT_COUNT_LEASE_EXPIRED);
		return RELAY_PASS;
	}
	if (group->upstream_ifindex && group->upstream_ifindex != ifindex) {
		count_group_drop(group->id, AMT_COUNT_WRONG_UPSTREAM);
		return RELAY_PASS;
	}
	/* we are a router */
	if (!(conf->flags & AMT_CONFIG_TTL_KEEP) && d->ttl <= 1)
		return relay_refuse(group, AMT_COUNT_TTL_EXPIRED);
	if (!relay_blocks(group))
		return relay_refuse(group, AMT_COUNT_NO_MEMBER);
	if (conf->group_rate && !relay_within_rate(group, conf->group_rate, d->length, now)) {
		count_group_limited(group->id);
		return RELAY_DROP;
	}
	if (d->length > group->mtu || d->length > largest) {
		relay_refuse(group, AMT_COUNT_TOO_BIG);
		return RELAY_TOO_BIG;
	}
	return RELAY_FORWARD;
}

#endif
