/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Key and value of every pinned map: the contract between the BPF programs, amtd, amt-ctl and
 * bpftool. Changing anything here changes AMT_SCHEMA_VERSION, because amtd adopts the maps of its
 * predecessor only when version and sizes agree.
 *
 * Reading a packet's way through the maps:
 *   groups[(source, group)] -> group id -> group_blocks[id] = (first, count)
 *   block_list[first .. first + count) -> block ids
 *   blocks[block] = (endpoint, member count); endpoints[endpoint] = what its copies share
 *   fanout4/6[block * AMT_BLOCK_MEMBERS + i] -> member i -> nexthops[member.nexthop] -> MACs
 * and at a gateway:
 *   decap_relays[(outer source, outer destination)] -> a relay of ours
 *   decap_wanted[(source, group)], then [(any, group)] -> into config.decap_ifindex
 * A message's way, at a relay's uplink:
 *   shield[config.shield - 1], shield_links[interface], shield_addresses[our address],
 *   shield_sources[gateway address] -> an answer; shield_gateways[endpoint] -> on to amtd
 */
#ifndef AMT_MAPS_H
#define AMT_MAPS_H

#include <linux/types.h>
#include <amt/addr.h>
#include <amt/limit.h>
#include <amt/wire.h>

#define AMT_SCHEMA_VERSION 7

#define AMT_BLOCK_MEMBERS  32 /* members a block has room for; a block never changes its place */
#define AMT_UPLINKS_MAX	   16 /* interfaces that copies can leave by */
#define AMT_INTERFACES_MAX 32 /* attached interfaces of one instance */
#define AMT_ENDPOINTS_MAX  256
#define AMT_CURSORS	   (AMT_UPLINKS_MAX + 1) /* one an uplink, the last for the internal pair */

#define AMT_DECAP_RELAYS_MAX  16    /* tunnels of a gateway at once */
#define AMT_DECAP_WANTED_MAX  65536 /* entries of what a gateway wants */
#define AMT_GATEWAY_STATE_MAX 4096  /* octets of `gateway_state` */

/* Recirculation. A packet whose blocks are not broadcast from ingress goes to a cpumap thread,
 * which splits it: one copy for each block, or, above AMT_RECIRCULATE_MAX blocks, one for each of
 * the first AMT_RECIRCULATE_MAX - 1 and one for the rest, for the next round. The thread takes
 * 8 frames between softirqs, so 8 * 16 fills half of the internal ring of 256, whatever bursts come
 * in. `recirculate` holds at n the devmap of n entries, n = 1..AMT_RECIRCULATE_MAX: all sizes
 * exist, so that no broadcast makes a surplus copy. */
#define AMT_RECIRCULATE_MAX 16
#define AMT_RECIRCULATE_MTU 3400  /* of the internal veth pair: XDP on veth allows little more */
#define AMT_CPU_QUEUE	    16384 /* qsize of each cpumap entry, the most that the kernel takes */

/* Value of `clones`' outer index: [uplink * AMT_CLONES_STRIDE + n], n copies, n = 1..32 */
#define AMT_CLONES_STRIDE (AMT_BLOCK_MEMBERS + 1)

/* Copies of one recirculation broadcast for a packet with that many blocks left to serve. */
static inline __u32 amt_recirculate_copies(__u32 blocks)
{
	return blocks < AMT_RECIRCULATE_MAX ? blocks : AMT_RECIRCULATE_MAX;
}

/* endpoint.direct_max for a transmit ring: one poll may bring 64 packets. A veth's ring gives slots
 * back 16 at a time, so it holds that many less than it has. */
static inline __u16 amt_direct_max(__u32 ring)
{
	__u32 copies = ring < 16 ? 0 : (ring - 16) / 64;

	return copies < AMT_BLOCK_MEMBERS ? copies : AMT_BLOCK_MEMBERS;
}

/* endpoint.block_max for a transmit ring: 8 blocks come at once, and half of the ring stays free.
 */
static inline __u16 amt_block_max(__u32 ring)
{
	__u32 copies = ring / 16;

	return copies < AMT_BLOCK_MEMBERS ? copies : AMT_BLOCK_MEMBERS;
}

/* What the packet path does for a packet that its group entry does not forbid. */
enum amt_path {
	AMT_PATH_XDP_DIRECT = 0, /* one block, broadcast from ingress; else recirculated */
	AMT_PATH_XDP_RECIRCULATED = 1,
	AMT_PATH_TC = 2, /* XDP passes the packet on, the TC program fans it out */
};

/* config.flags */
#define AMT_CONFIG_TTL_KEEP	 0x0001 /* do not decrement the inner TTL */
#define AMT_CONFIG_DSCP_FIXED	 0x0002 /* outer DSCP is config.dscp, not the inner one */
#define AMT_CONFIG_UDP4_CHECKSUM 0x0004 /* compute the outer UDP checksum on IPv4 as well */
#define AMT_CONFIG_SPREAD	 0x0008 /* blocks of one group may be several CPUs' */

/* `config`, array[1]. Written by amtd, read by every program. */
struct amt_config {
	__u32 schema; /* AMT_SCHEMA_VERSION */
	__u32 flags;  /* AMT_CONFIG_* */
	/* CLOCK_MONOTONIC ns until which the packet path may forward; amtd pushes it ahead by one
	 * GMI every second, so a controller that never comes back ends its streams. */
	__u64 lease_ns;
	__u8 ttl;		   /* outer TTL / hop limit */
	__u8 dscp;		   /* DSCP << 2, used with AMT_CONFIG_DSCP_FIXED */
	__u16 cpus;		   /* entries 0..cpus-1 of the cpumap may be used */
	__u32 recirculate_ifindex; /* our end of the internal veth pair that ingress sends to */
	__u32 recirculate_peer;	   /* its other end, where the recirculation program runs */
	__u32 events_per_second;   /* bound on `events` */
	__u32 decap_ifindex;	   /* where a gateway puts what it decapsulates; 0: nowhere */
	__u32 decap_mtu;	   /* largest datagram that goes in there */
	__u8 decap_mac[6];	   /* source of the frames put in */
	__u16 shield;		   /* which entry of `shield` is valid, plus 1; 0: no shield */
	__u32 group_rate;   /* kbit/s of inner datagrams that each group may have; 0: no limit */
	__u32 decap_netns;  /* inode of the network namespace that decap_ifindex is in */
	__u64 copy_life_ns; /* a packet that waited longer for its CPU is not copied any more */
};

/* `secrets`, array[2]: [0] current, [1] previous (root only). Written by amtd. */
struct amt_secret {
	__u8 key[16];	    /* SipHash-2-4 key */
	__u64 installed_ns; /* CLOCK_MONOTONIC, 0: no secret here */
};

/* Key of `groups`. source all zero: any source, that is (*,G). */
struct amt_group_key {
	struct amt_addr source;
	struct amt_addr group;
};

/* group.flags */
#define AMT_GROUP_HOST	   0x0001 /* this host listens too: TC hands packets on to it */
#define AMT_GROUP_CHECKSUM 0x0002 /* some copies carry a UDP checksum: a hint to sum up early */

/* Value of `groups`, hash. An (S,G) entry is complete by itself: no look at (*,G) after a hit. */
struct amt_group {
	__u32 id;		/* index of group_blocks and group_counters */
	__u32 upstream_ifindex; /* where packets must come in; 0: any attached upstream */
	__u32 path;		/* enum amt_path */
	__u32 mtu;		/* largest inner datagram, in octets, that every tunnel carries */
	__u32 flags;		/* AMT_GROUP_* */
};

/* Value of `group_blocks`, array, mmapable: which slots of block_list belong to the group.
 * Switched by one aligned 8-byte store. */
struct amt_group_blocks {
	__u32 first;
	__u32 count;
};

/* Value of `block_list`, array, mmapable. */
struct amt_block_ref {
	__u32 block;
	__u32 written; /* 1, or the slot was never used: for amtd, after a restart */
};

/* Value of `blocks`, array, mmapable: up to AMT_BLOCK_MEMBERS members of one endpoint. A gateway's
 * copies of a group are all made by one CPU, so that they keep their order: it never gets into a
 * block of another CPU. */
struct amt_block {
	__u16 endpoint;
	__u16 cpu; /* entry of `cpus` that makes its copies, unless ingress does */
	__u32 count;
};

/* Value of `fanout4`, array, mmapable: one gateway. All in network byte order but nexthop. */
struct amt_member4 {
	__u8 gateway[4];
	__be16 port;
	__u16 nexthop; /* index of nexthops */
} __attribute__((aligned(8)));

/* Value of `fanout6`, array, mmapable. */
struct amt_member6 {
	__u8 gateway[16];
	__be16 port;
	__u16 nexthop;
	__u32 reserved;
} __attribute__((aligned(8)));

/* endpoint.flags */
#define AMT_ENDPOINT_VALID 0x01
#define AMT_ENDPOINT_IPV6  0x02 /* outer family */
#define AMT_ENDPOINT_ECN   0x04 /* copy the inner ECN field (gateway set E, R-103) */
#define AMT_ENDPOINT_VLAN  0x08 /* write a VLAN tag */

/* Value of `endpoints`, array: what many copies have in common. */
struct amt_endpoint {
	struct amt_addr relay; /* outer source address */
	__be16 port;	       /* outer source port */
	__u16 flags;	       /* AMT_ENDPOINT_* */
	__be16 vlan_proto;     /* ETH_P_8021Q or ETH_P_8021AD */
	__be16 vlan_tci;
	__u32 uplink;	      /* 0..AMT_UPLINKS_MAX-1, see clones */
	__u32 uplink_ifindex; /* of the device that frames are handed to (below a VLAN device) */
	__u16 direct_max;     /* largest direct broadcast: amt_direct_max() */
	__u16 block_max;      /* members a block is filled to: amt_block_max() */
};

/* nexthop.flags */
#define AMT_NEXTHOP_VALID 0x01 /* MACs are good; else the copy is dropped as nexthop_unresolved */

/* Value of `nexthops`, array. Id 0 is never valid. */
struct amt_nexthop {
	__u8 dmac[6];
	__u8 smac[6];
	__u32 ifindex;
	__u32 flags;		 /* AMT_NEXTHOP_* */
	__u32 users;		 /* tunnels that use it, for inspection */
	struct amt_addr address; /* the neighbour */
};

/* tunnel.flags */
#define AMT_TUNNEL_VALID 0x01
#define AMT_TUNNEL_ECN	 0x02 /* the E flag of the Request (RFC 9601) */

/* Value of `tunnels`, array, mmapable: the record to inspect and to adopt after a restart. The
 * packet path does not read it. */
struct amt_tunnel {
	struct amt_addr gateway;
	struct amt_addr relay;
	__be16 gateway_port;
	__be16 relay_port;
	__u32 flags;
	__u32 endpoint;
	__u32 nexthop;
	__u32 mtu; /* largest inner datagram (TMTU, R-87) */
	__u32 reserved;
	__u64 created_ns; /* CLOCK_MONOTONIC */
	__u64 expires_ns;
	/* Packets and octets sent to the tunnel are these plus the sum over its memberships of the
	 * group's counters now; wraps modulo 2^64 (joins subtract the counter, leaves add it). */
	__u64 packets_offset;
	__u64 bytes_offset;
};

/* interface.flags */
#define AMT_INTERFACE_UPSTREAM 0x01
#define AMT_INTERFACE_UPLINK   0x02
#define AMT_INTERFACE_XDP      0x04 /* our XDP program is there */
#define AMT_INTERFACE_TC       0x08 /* our TC program is there */
#define AMT_INTERFACE_MODE_XDP 0x10 /* the operator asked for --mode xdp */
#define AMT_INTERFACE_MODE_TC  0x20 /* the operator asked for --mode tc */
#define AMT_INTERFACE_RUNTIME  0x40 /* attached by amt-ctl, not by the configuration */
#define AMT_INTERFACE_GATEWAY  0x80 /* data from relays is decapsulated here */

/* Value of `interfaces`, array: what is attached where, for status and for adoption. Entry i of an
 * uplink is uplink i only when uplink says so. No role in flags: the slot is free. */
struct amt_interface {
	char name[16];
	__u32 ifindex; /* 0: it is not there, and attached when it appears */
	__u32 flags;   /* AMT_INTERFACE_* */
	__u32 uplink;  /* index used by endpoints and clones, when AMT_INTERFACE_UPLINK */
	__u32 ring;    /* transmit ring size, frames */
};

/* Value of `group_counters`, per-CPU array by group id. Counted once per packet at ingress. */
struct amt_group_counters {
	__u64 packets; /* accepted for fan-out: every member gets one copy of each */
	__u64 bytes;   /* inner octets of those */
	__u64 drops;   /* refused (TTL, MTU, wrong upstream ...), also counted by reason */
	__u64 limited; /* of these, over config.group_rate */
	__u64 last_ns; /* CLOCK_MONOTONIC of the last accepted packet */
};

/* Value of `group_buckets`, array by group id: the token bucket of config.group_rate as one time.
 * CPUs that race for it may let a packet more through; a group comes in on one, as a rule. */
struct amt_group_bucket {
	__u64 drained_ns; /* CLOCK_MONOTONIC when what was let through has gone at that rate */
};

#define AMT_RATE_BURST_NS 100000000 /* how far drained_ns may be ahead: the depth of the bucket */

/* ---- the gateway ---- */

/* Key of `decap_relays`: from where and to where, outside. Relay and its port all zero: whatever is
 * sent to this endpoint of ours, by whomever. */
struct amt_decap_key {
	struct amt_addr relay;
	struct amt_addr local;
	__be16 relay_port;
	__be16 local_port;
};

/* decap.flags */
#define AMT_DECAP_ECN	   0x01 /* of a relay: the outer ECN field is meaningful */
#define AMT_DECAP_EXCLUDED 0x02 /* of a source: nothing of it, though the group is wanted */

/* Value of `decap_relays`, and of `decap_wanted` by struct amt_group_key: per-CPU hashes. amtd
 * writes flags, the same for all CPUs. */
struct amt_decap {
	__u32 flags; /* AMT_DECAP_* */
	__u32 reserved;
	__u64 packets; /* put into the pseudo-interface */
	__u64 bytes;   /* octets of those datagrams */
	__u64 last_ns; /* CLOCK_MONOTONIC of the last one */
};

/* Value of `gateway_state`, array[1]: amtd's own record. The packet path does not read it. */
struct amt_gateway_state {
	__u8 data[AMT_GATEWAY_STATE_MAX];
};

/* ---- the shield ---- */

#define AMT_SHIELD_SLOTS	 2     /* of `shield`: one valid, one to write the next into */
#define AMT_SHIELD_ADDRESSES_MAX 256   /* addresses of ours that it answers for */
#define AMT_SHIELD_LISTS	 2     /* of permitted prefixes: one in force, one for the next */
#define AMT_SHIELD_PERMITTED_MAX 65536 /* prefixes of `permit-gateways`: of one list */
#define AMT_SHIELD_SOURCES_MAX	 65536 /* source addresses whose rate is remembered */

/* shield.flags */
#define AMT_SHIELD_LIMIT     0x0001 /* no room for tunnels: L for all that have none */
#define AMT_SHIELD_DRAINING  0x0002 /* L for all */
#define AMT_SHIELD_G	     0x0004 /* Queries with the G fields for all */
#define AMT_SHIELD_G_ECN     0x0008 /* for those with E */
#define AMT_SHIELD_LINUX_P   0x0010 /* take P where the Linux gateway puts it */
#define AMT_SHIELD_REPEATED  0x0020 /* let a gateway's last MAC through again */
#define AMT_SHIELD_PERMIT    0x0040 /* only gateways in `shield_permitted` */
#define AMT_SHIELD_SHORT_MAC 0x0080 /* four octets of a MAC are enough */

/* Value of `shield`, array: all that answers are made of. amtd writes the entry that is not valid,
 * then names it in config.shield, so that no packet sees half of a change. */
struct amt_shield {
	__be16 port;	   /* of ours */
	__u16 flags;	   /* AMT_SHIELD_* */
	__u32 permitted;   /* which list of `shield_permitted` is in force */
	__u64 previous_ns; /* how long a secret is good after the next was made */
	__u64 proven_ns;   /* how long a valid MAC is remembered: one GMI */
	struct amt_limits limits;
	__u8 igmp_query[AMT_QUERY_IGMP_LEN]; /* the general queries, whole datagrams */
	__u8 mld_query[AMT_QUERY_MLD_LEN];
};

/* Value of `shield_addresses`, hash by address of ours: what an Advertisement from there says. All
 * zero: amtd does not listen there; no message comes from such an address, nor from a broadcast
 * one, which stands here too. */
struct amt_shield_address {
	struct amt_addr advertised;
};

/* Value of `shield_links`, hash by ifindex: where the shield works. */
struct amt_shield_link {
	__u8 mac[6];  /* frames to others are not ours to answer */
	__u16 uplink; /* answers leave as copies by this uplink do, plus 1; 0: by XDP_TX */
};

/* Key of `shield_permitted`, LPM trie. The list in front makes two of it: amtd writes the one that
 * is not in force, then names it in `shield`, so that at no moment a gateway is missing that both
 * permit. */
struct amt_shield_prefix {
	__u32 bits; /* AMT_SHIELD_LIST_BITS, and of the 16-octet form: an IPv4 /24 is 120 */
	__u32 list; /* 0..AMT_SHIELD_LISTS-1 */
	struct amt_addr addr;
};

#define AMT_SHIELD_LIST_BITS 32

/* Key of `shield_gateways`, LRU hash: where an Update came from. */
struct amt_shield_endpoint {
	struct amt_addr addr;
	__be16 port;
	__u16 zero;
};

/* Value of `shield_gateways`: written by the programs when an Update with a valid MAC comes. */
struct amt_shield_gateway {
	__u64 until_ns; /* CLOCK_MONOTONIC: proven until then */
	__u32 nonce;	/* of that Update */
	__u8 mac[AMT_MAC_LEN];
	__u16 reserved;
};

/* Type of an `events` record. */
enum amt_event_type {
	AMT_EVENT_TOO_BIG = 1,		  /* inner datagram over group.mtu (R-89..R-92) */
	AMT_EVENT_NEXTHOP_UNRESOLVED = 2, /* a copy met an invalid next hop: ask for resolution */
};

#define AMT_EVENT_DATA_MAX 9216

/* Record of `events`, ring buffer, BPF to amtd, rate-limited by config.events_per_second. */
struct amt_event {
	__u32 type;    /* enum amt_event_type */
	__u32 ifindex; /* where the packet came in */
	__u32 id;      /* group id, or next hop id */
	__u32 length;  /* octets of data that follow: the inner datagram as it would be sent */
};

/* ---- the programs' own maps: amtd makes and pins them, but neither reads nor writes ---- */

/* Value of `cursors`, per-CPU array: which copy of which packet the egress program is at. One for
 * each (CPU, interface that copies leave by), since copies of a packet come one after the other
 * there and only there. */
struct amt_cursor {
	__u32 packet;  /* id stamped at the broadcast */
	__u32 next;    /* copies of it seen */
	__u32 sent;    /* copies of it let out, not yet counted */
	__u32 length;  /* its inner octets */
	__u32 waiting; /* 1: the driver may have frames that it was not yet told to send */
};

/* Value of `cpu_states`, per-CPU array[1]. */
struct amt_cpu_state {
	__u32 packet;	    /* id of the last broadcast of this CPU */
	__u32 bulk_cursor;  /* index of `cursors` that the egress program last used */
	__u32 bulk_frames;  /* frames it saw since the last transmit */
	__u32 bulk_dropped; /* of these, dropped by itself */
	__u32 queue_map;    /* id of `cpus`, which only XDP programs may name */
};

/* Value of `event_rate`, array[1]: events sent in the second that began at `window`. */
struct amt_event_rate {
	__u64 window_ns;
	__u64 used;
};

_Static_assert(sizeof(struct amt_addr) == 16, "amt_addr");
_Static_assert(sizeof(struct amt_config) == 64, "amt_config");
_Static_assert(sizeof(struct amt_secret) == 24, "amt_secret");
_Static_assert(sizeof(struct amt_group_key) == 32, "amt_group_key");
_Static_assert(sizeof(struct amt_group) == 20, "amt_group");
_Static_assert(sizeof(struct amt_group_blocks) == 8, "amt_group_blocks");
_Static_assert(sizeof(struct amt_block_ref) == 8, "amt_block_ref");
_Static_assert(sizeof(struct amt_block) == 8, "amt_block");
_Static_assert(sizeof(struct amt_member4) == 8, "amt_member4");
_Static_assert(sizeof(struct amt_member6) == 24, "amt_member6");
_Static_assert(sizeof(struct amt_endpoint) == 36, "amt_endpoint");
_Static_assert(sizeof(struct amt_nexthop) == 40, "amt_nexthop");
_Static_assert(sizeof(struct amt_tunnel) == 88, "amt_tunnel");
_Static_assert(sizeof(struct amt_interface) == 32, "amt_interface");
_Static_assert(sizeof(struct amt_group_counters) == 40, "amt_group_counters");
_Static_assert(sizeof(struct amt_group_bucket) == 8, "amt_group_bucket");
_Static_assert(sizeof(struct amt_decap_key) == 36, "amt_decap_key");
_Static_assert(sizeof(struct amt_decap) == 32, "amt_decap");
_Static_assert(sizeof(struct amt_event) == 16, "amt_event");
_Static_assert(sizeof(struct amt_limits) == 24, "amt_limits");
_Static_assert(sizeof(struct amt_source) == 16, "amt_source");
_Static_assert(sizeof(struct amt_shield) == 160, "amt_shield");
_Static_assert(sizeof(struct amt_shield_address) == 16, "amt_shield_address");
_Static_assert(sizeof(struct amt_shield_link) == 8, "amt_shield_link");
_Static_assert(sizeof(struct amt_shield_prefix) == 24, "amt_shield_prefix");
_Static_assert(sizeof(struct amt_shield_endpoint) == 20, "amt_shield_endpoint");
_Static_assert(sizeof(struct amt_shield_gateway) == 24, "amt_shield_gateway");

#endif
