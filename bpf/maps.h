/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every map of the packet path, once for both objects; keys and values are in <amt/maps.h>. Sizes
 * marked "set by amtd" are given before loading. All are pinned under their own name.
 */
#ifndef AMT_BPF_MAPS_H
#define AMT_BPF_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <amt/counters.h>
#include <amt/maps.h>

/* 0 -> policies and lease. Written by amtd. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct amt_config);
} config SEC(".maps");

/* 0 current, 1 previous -> response MAC key. Written by amtd; root only. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct amt_secret);
} secrets SEC(".maps");

/* (source, group) -> group id and how it travels. Written by amtd; max_entries set by amtd. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct amt_group_key);
	__type(value, struct amt_group);
} groups SEC(".maps");

/* group id -> its slots of block_list. Plain stores by amtd; max_entries set by amtd. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct amt_group_blocks);
} group_blocks SEC(".maps");

/* slot -> block id. Plain stores by amtd; max_entries set by amtd. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct amt_block_ref);
} block_list SEC(".maps");

/* block id -> endpoint and number of members. Plain stores by amtd; max_entries set by amtd. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct amt_block);
} blocks SEC(".maps");

/* block id * AMT_BLOCK_MEMBERS + i -> IPv4 gateway. Plain stores by amtd, who sets the size. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct amt_member4);
} fanout4 SEC(".maps");

/* block id * AMT_BLOCK_MEMBERS + i -> IPv6 gateway. Plain stores by amtd, who sets the size. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct amt_member6);
} fanout6 SEC(".maps");

/* endpoint id -> what its copies share. Written by amtd. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, AMT_ENDPOINTS_MAX);
	__type(key, __u32);
	__type(value, struct amt_endpoint);
} endpoints SEC(".maps");

/* next hop id -> MACs. Written by amtd, who sets the size. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct amt_nexthop);
} nexthops SEC(".maps");

/* tunnel id -> the record to inspect and adopt; no program reads it. Plain stores by amtd. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct amt_tunnel);
} tunnels SEC(".maps");

/* slot -> attached interface. Written by amtd. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, AMT_INTERFACES_MAX);
	__type(key, __u32);
	__type(value, struct amt_interface);
} interfaces SEC(".maps");

/* group id -> packets, octets, drops. Written by the programs; max_entries set by amtd. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct amt_group_counters);
} group_counters SEC(".maps");

/* group id -> its token bucket. Written by the programs; max_entries set by amtd. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct amt_group_bucket);
} group_buckets SEC(".maps");

/* enum amt_counter -> value, the data counters only. Written by the programs. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, AMT_DATA_COUNTERS_NUM);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

/* Slow-path packets and requests for amtd: struct amt_event, then octets. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} events SEC(".maps");

/* Where a record of `events` is put together: struct amt_event, then octets. */
struct amt_event_scratch {
	struct amt_event event;
	__u8 data[AMT_EVENT_DATA_MAX];
};

/* 0 -> scratch of this CPU. No one else's. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct amt_event_scratch);
} event_scratch SEC(".maps");

/* 0 -> how many events this second has had. Written by the programs. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct amt_event_rate);
} event_rate SEC(".maps");

/* uplink, or AMT_UPLINKS_MAX for the internal pair -> cursor. Written by amt_egress. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, AMT_CURSORS);
	__type(key, __u32);
	__type(value, struct amt_cursor);
} cursors SEC(".maps");

/* uplink -> copies that its driver dropped at transmit. Read by amtd. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, AMT_UPLINKS_MAX);
	__type(key, __u32);
	__type(value, __u64);
} uplink_drops SEC(".maps");

/* 0 -> packet ids and transmit bulks of this CPU. Written by the programs. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct amt_cpu_state);
} cpu_states SEC(".maps");

/* A devmap of n equal entries, each (interface, amt_egress), clones a frame n times. The kernel
 * walks all of max_entries at a broadcast: make each with max_entries = n. */
struct amt_clone_map {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, AMT_BLOCK_MEMBERS);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct bpf_devmap_val));
};

/* uplink * AMT_CLONES_STRIDE + n -> devmap that makes n copies. Written by amtd. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, AMT_UPLINKS_MAX *AMT_CLONES_STRIDE);
	__type(key, __u32);
	__array(values, struct amt_clone_map);
} clones SEC(".maps");

/* n = 1..AMT_RECIRCULATE_MAX -> devmap of n times (config.recirculate_ifindex, amt_egress), which
 * sends n copies into the internal veth pair. Written by amtd. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, AMT_RECIRCULATE_MAX + 1);
	__type(key, __u32);
	__array(values, struct amt_clone_map);
} recirculate SEC(".maps");

/* relay and endpoint of ours -> ECN, counters; and each endpoint of ours. Keys and flags by amtd,
 * the rest by the programs. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 2 * AMT_DECAP_RELAYS_MAX);
	__type(key, struct amt_decap_key);
	__type(value, struct amt_decap);
} decap_relays SEC(".maps");

/* (source, group) -> wanted or excluded, counters. Keys and flags by amtd, the rest by the
 * programs.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, AMT_DECAP_WANTED_MAX);
	__type(key, struct amt_group_key);
	__type(value, struct amt_decap);
} decap_wanted SEC(".maps");

/* 0 -> the gateway's own record. Written by amtd; no program reads it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct amt_gateway_state);
} gateway_state SEC(".maps");

/* slot -> what the shield's answers are made of; config.shield names the valid one. Written by
 * amtd.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, AMT_SHIELD_SLOTS);
	__type(key, __u32);
	__type(value, struct amt_shield);
} shield SEC(".maps");

/* ifindex -> where the shield works, by its MAC address. Written by amtd. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, AMT_INTERFACES_MAX);
	__type(key, __u32);
	__type(value, struct amt_shield_link);
} shield_links SEC(".maps");

/* address of ours -> the address to advertise, if amtd listens there. Written by amtd. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, AMT_SHIELD_ADDRESSES_MAX);
	__type(key, struct amt_addr);
	__type(value, struct amt_shield_address);
} shield_addresses SEC(".maps");

/* list, prefix -> 1: gateways that are permitted, if not all are. Written by amtd. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 2 * AMT_SHIELD_PERMITTED_MAX); /* of each list */
	__type(key, struct amt_shield_prefix);
	__type(value, __u32);
} shield_permitted SEC(".maps");

/* source address -> its rate and its credit. Written by the programs. A flood from forged addresses
 * pushes entries out, which only gives their addresses a full bucket again. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, AMT_SHIELD_SOURCES_MAX);
	__type(key, struct amt_addr);
	__type(value, struct amt_source);
} shield_sources SEC(".maps");

/* gateway endpoint -> its last valid MAC. Written by the programs; nobody without a valid MAC gets
 * in, so no flood pushes out who is here. max_entries set by amtd. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct amt_shield_endpoint);
	__type(value, struct amt_shield_gateway);
} shield_gateways SEC(".maps");

/* A message to the relay, while the shield looks at it: too much for its stack. */
struct shield_message {
	struct amt_addr gateway; /* who sent it */
	struct amt_addr local;	 /* to which address of ours */
	__be16 port;		 /* gateway's */
	__u16 length;		 /* octets of it */
	__u16 total;		 /* of the IP packet */
	__u16 uplink;		 /* see amt_shield_link */
	__u16 mac[6];		 /* ours and the sender's */
	__u32 ipv6;
	union { /* one at a time */
		struct bpf_sock_tuple tuple;
		struct amt_shield_prefix prefix;
		struct amt_shield_endpoint endpoint;
		struct amt_source source;
	} key;
	struct amt_shield_gateway proof;
};

/* 0 -> the message that this CPU looks at. No one else's. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct shield_message);
} shield_scratch SEC(".maps");

/* CPU -> the fan-out program. Written by amtd; max_entries set by amtd. */
struct {
	__uint(type, BPF_MAP_TYPE_CPUMAP);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct bpf_cpumap_val));
} cpus SEC(".maps");

#endif
