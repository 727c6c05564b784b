/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The TC programs: the same maps, decisions and headers as XDP, for what XDP cannot serve (design
 * 4.4). Attached to clsact ingress.
 *
 * amt_relay_tc, on upstream interfaces: one bpf_clone_redirect() a copy. XDP on the same interface
 * passes exactly the groups of AMT_PATH_TC, and here those alone are served: no packet is fanned
 * out twice. amt_gateway_tc, on a gateway's interfaces that have no XDP.
 *
 * A packet that this host wants as well is put back into the state in which it came.
 */
#include "maps.h"
#include <linux/pkt_cls.h>
#include "event.h"
#include "encap.h"
#include "gateway.h"
#include "relay.h"

/* Not ours, or also for this host: filters behind this one and the host get it. */
#define PASS TC_ACT_UNSPEC

/* Octets made linear for the headers that are read. */
#define HEADERS 128

/* A packet while it is fanned out. In the skb, `front` octets stand before the inner datagram, and
 * no VLAN tag is in it: the stack carries tags beside the frame. */
struct fanout {
	__u32 first; /* slot of block_list */
	__u32 front;
	__u32 length;	  /* of the inner datagram */
	__u32 unfinished; /* where in it a UDP checksum is that a device will finish; or 0 */
	__u16 sum;
	__u8 tos;
	__u8 summed;
};

/* Half-words before the frame put its IP header on an aligned place of the stack. */
#define HEADER_SHIFT 2
#define HEADER_SIZE  72

_Static_assert(HEADER_SHIFT + ENCAP_MAX <= HEADER_SIZE, "header buffer");

/* One block of it. */
struct fanout_block {
	__u32 block;
	__u32 ifindex;
	__u32 sent;
	__u16 ipv6;
	__u16 tagged;
	__u8 header[HEADER_SIZE]; /* the template */
};

/* What the callback of bpf_loop() gets: the packet beside what is known of it, for memory that a
 * global function is given holds no pointer. */
struct fanout_loop {
	struct __sk_buff *skb;
	struct fanout fanout;
};

/* What a packet that goes on to this host must get back. */
struct original {
	__u32 tags;
	__u16 tci[VLAN_TAGS];
	__be16 proto[VLAN_TAGS];
	__u8 eth[16];
	__u8 ttl[4];
} __attribute__((aligned(8)));

/* Not static, here and below: the verifier follows such a function once, on its own, and not again
 * for each state in which each caller comes to it: a million instructions, its limit, become 26,000
 * for the whole program. */
__noinline __u64 sum_skb(struct __sk_buff *skb, __u32 offset)
{
	if (bpf_skb_pull_data(skb, skb->len))
		return 0;
	return sum_linear((void *)(long)skb->data, (void *)(long)skb->data_end, offset);
}

/* The sum over the datagram as it will be on the wire, once a packet. Where a sender on this host
 * left the UDP checksum to a device, the kernel's own note of that travels with each copy, and the
 * uplink's device, or the stack in its place, finishes it behind the outer header. What the outer
 * checksum covers must be what it will be then. */
static __always_inline __u16 fanout_sum(struct __sk_buff *skb, struct fanout *f)
{
	__u32 at = f->front + f->unfinished;
	__u16 pseudo = 0;
	__u64 sum;

	if (f->summed)
		return f->sum;
	sum = sum_skb(skb, f->front);
	if (f->unfinished &&
	    !bpf_skb_load_bytes(skb, at + offsetof(struct udphdr, check), &pseudo, 2))
		sum += (__u16)~pseudo + (__u64)checksum_udp(sum_skb(skb, at));
	f->sum = checksum_fold(sum);
	f->summed = true;
	return f->sum;
}

/* The checksum that a device may have left with the skb covers all behind the Ethernet header. */
static __always_inline long header_store(struct __sk_buff *skb, const __u8 *header, __u32 length)
{
	return bpf_skb_store_bytes(skb, 0, header + HEADER_SHIFT, ETH_HLEN, 0)
		       ?: bpf_skb_store_bytes(skb, ETH_HLEN, header + HEADER_SHIFT + ETH_HLEN,
					      length, BPF_F_RECOMPUTE_CSUM);
}

static __always_inline void copy_fill(struct __sk_buff *skb, struct fanout_block *b, __u32 i,
				      const bool ipv6)
{
	__u8 header[HEADER_SIZE] __attribute__((aligned(8)));
	struct encap_target target = {};
	struct amt_nexthop *nexthop;
	__u32 id;

	if (!encap_member(b->block, i, ipv6, &target)) {
		count(AMT_COUNT_ENDPOINT_INVALID);
		return;
	}
	id = target.nexthop;
	nexthop = bpf_map_lookup_elem(&nexthops, &id);
	if (!nexthop || !(nexthop->flags & AMT_NEXTHOP_VALID)) {
		event_nexthop(id, b->ifindex);
		count(AMT_COUNT_NEXTHOP_UNRESOLVED);
		return;
	}
	__builtin_memcpy(header, b->header, sizeof(header));
	encap_fill(header + HEADER_SHIFT, header + sizeof(header), false, ipv6, &target, nexthop);
	if (header_store(skb, header, ipv6 ? AMT_OVERHEAD6 : AMT_OVERHEAD4) ||
	    bpf_clone_redirect(skb, b->ifindex, 0))
		count(AMT_COUNT_CLONE_FAILED);
	else
		b->sent++;
}

__noinline int copy_send(struct __sk_buff *skb, struct fanout_block *b, __u32 i)
{
	if (!b)
		return 0;
	if (b->ipv6)
		copy_fill(skb, b, i, true);
	else
		copy_fill(skb, b, i, false);
	return 0;
}

/* Makes the part in front of the inner datagram that long. */
static __always_inline bool fanout_front(struct __sk_buff *skb, struct fanout *f, __u32 front)
{
	if (f->front != front &&
	    bpf_skb_adjust_room(skb, (int)front - (int)f->front, BPF_ADJ_ROOM_MAC, 0)) {
		count(AMT_COUNT_HEADROOM);
		return false;
	}
	f->front = front;
	return true;
}

/* Puts the skb and the template into the shape of a block's copies. Returns how many. */
__noinline int block_prepare(struct __sk_buff *skb, struct fanout *f, struct fanout_block *b)
{
	const struct amt_config *conf = relay_config();
	const struct amt_endpoint *ep;
	struct encap encap = {};
	__u32 copies = 0;

	if (!f || !b || !conf)
		return 0;
	ep = block_endpoint(b->block, &copies);
	if (!ep)
		return 0;
	b->ifindex = ep->uplink_ifindex;
	b->ipv6 = ep->flags & AMT_ENDPOINT_IPV6;
	b->tagged = ep->flags & AMT_ENDPOINT_VLAN;
	encap.length = f->length;
	encap.tos = encap_tos(ep->flags, conf, f->tos);
	if (encap_checksummed(ep->flags, conf))
		encap.sum = fanout_sum(skb, f);
	if (!fanout_front(skb, f, encap_length(ep->flags & ~AMT_ENDPOINT_VLAN)))
		return 0;
	if (!encap_template(b->header + HEADER_SHIFT, b->header + sizeof(b->header), ep, false,
			    conf, &encap))
		return 0;
	if (b->tagged && bpf_skb_vlan_push(skb, ep->vlan_proto, bpf_ntohs(ep->vlan_tci))) {
		count(AMT_COUNT_CLONE_FAILED);
		return 0;
	}
	return copies;
}

static long block_serve(__u32 i, void *context)
{
	struct fanout_loop *loop = context;
	__u32 slot = loop->fanout.first + i, copies;
	const struct amt_block_ref *ref = bpf_map_lookup_elem(&block_list, &slot);
	struct fanout_block b = {};

	if (!ref)
		return 0;
	b.block = ref->block;
	copies = block_prepare(loop->skb, &loop->fanout, &b);
	if (!copies)
		return 0;
	for (i = 0; i < AMT_BLOCK_MEMBERS && i < copies; i++)
		copy_send(loop->skb, &b, i);
	if (b.tagged)
		bpf_skb_vlan_pop(loop->skb);
	count_add(AMT_COUNT_COPIES_OUT, b.sent);
	count_add(AMT_COUNT_COPIES_BYTES, (__u64)b.sent * loop->fanout.length);
	return 0;
}

/* Takes off what is no part of the datagram, and makes it as it will be forwarded. */
static __always_inline bool packet_prepare(struct __sk_buff *skb, struct datagram *d,
					   struct original *original, const struct amt_config *conf)
{
	__u32 at = ETH_HLEN + ttl_offset(d->ipv6);
	__u8 ttl[4];

	/* the stack takes a first tag out of every frame: without it there is no second */
	if (d->front != ETH_HLEN && !skb->vlan_present)
		return false;
	if (skb->len > d->front + d->length && bpf_skb_change_tail(skb, d->front + d->length, 0))
		return false;
	for (int i = 0; i < VLAN_TAGS && skb->vlan_present; i++) {
		original->tci[i] = skb->vlan_tci;
		original->proto[i] = skb->vlan_proto;
		original->tags = i + 1;
		if (bpf_skb_vlan_pop(skb))
			return false;
	}
	d->front = ETH_HLEN;
	if (bpf_skb_load_bytes(skb, 0, original->eth, ETH_HLEN) ||
	    bpf_skb_load_bytes(skb, at, original->ttl, sizeof(original->ttl)))
		return false;
	if (conf->flags & AMT_CONFIG_TTL_KEEP)
		return true;
	__builtin_memcpy(ttl, original->ttl, sizeof(ttl));
	ttl_decrement(ttl, d->ipv6);
	return !bpf_skb_store_bytes(skb, at, ttl, sizeof(ttl), BPF_F_RECOMPUTE_CSUM);
}

/* As it came, but for Ethernet padding. */
static __always_inline bool packet_restore(struct __sk_buff *skb, const struct datagram *d,
					   const struct original *original)
{
	__u32 at = ETH_HLEN + ttl_offset(d->ipv6);

	if (bpf_skb_store_bytes(skb, 0, original->eth, ETH_HLEN, 0) ||
	    bpf_skb_store_bytes(skb, at, original->ttl, sizeof(original->ttl),
				BPF_F_RECOMPUTE_CSUM))
		return false;
	if (original->tags > 1 && bpf_skb_vlan_push(skb, original->proto[1], original->tci[1]))
		return false;
	return !original->tags || !bpf_skb_vlan_push(skb, original->proto[0], original->tci[0]);
}

static __always_inline int packet_forward(struct __sk_buff *skb, struct datagram *d,
					  const struct relay_group *group, bool too_big, bool host,
					  const struct amt_config *conf, __u64 now)
{
	struct fanout_loop loop = {
		.skb = skb,
		.fanout = {.first = group->blocks.first,
			   .front = ETH_HLEN,
			   .length = d->length,
			   .tos = d->tos,
			   .unfinished = checksum_unfinished((void *)(long)skb->data,
							     (void *)(long)skb->data_end, d)}};
	struct original original = {};

	if (loop.fanout.unfinished)
		count(AMT_COUNT_CHECKSUM_UNFINISHED);
	if (!packet_prepare(skb, d, &original, conf)) {
		count_group_drop(group->id, AMT_COUNT_HEADROOM);
		return TC_ACT_SHOT;
	}
	if (too_big) {
		event_datagram_tc(skb, d, group->id, conf, now);
	} else {
		count_group_packet(group->id, d->length, now);
		count(AMT_COUNT_PACKETS_TC);
		bpf_loop(group->blocks.count, block_serve, &loop, 0);
	}
	if (!host || !fanout_front(skb, &loop.fanout, ETH_HLEN) ||
	    !packet_restore(skb, d, &original))
		return TC_ACT_SHOT;
	return PASS;
}

/* Packets that no group is for are counted once: by XDP, where it is attached as well. */
__noinline int count_unserved(__u32 ifindex, __u32 reason)
{
	for (__u32 i = 0; i < AMT_INTERFACES_MAX; i++) {
		/* not i itself: 6.1's verifier takes a loop for endless whose counter is in memory
		 */
		__u32 key = i;
		const struct amt_interface *interface = bpf_map_lookup_elem(&interfaces, &key);

		if (interface && interface->ifindex == ifindex &&
		    interface->flags & AMT_INTERFACE_XDP)
			return 0;
	}
	count(reason);
	return 0;
}

static __always_inline bool packet_parse(struct __sk_buff *skb, struct datagram *d)
{
	if (skb->data + HEADERS > skb->data_end)
		bpf_skb_pull_data(skb, skb->len < HEADERS ? skb->len : HEADERS);
	switch (parse_datagram((void *)(long)skb->data, (void *)(long)skb->data_end, skb->len, d)) {
	case PARSE_DATAGRAM:
		return true;
	case PARSE_LINK_LOCAL:
		count_unserved(skb->ifindex, AMT_COUNT_LINK_LOCAL);
		return false;
	case PARSE_MALFORMED:
		count_unserved(skb->ifindex, AMT_COUNT_MALFORMED);
		return false;
	default:
		return false;
	}
}

SEC("tc")
int amt_relay_tc(struct __sk_buff *skb)
{
	const struct amt_config *conf = relay_config();
	struct relay_group group = {};
	enum relay_verdict verdict;
	struct datagram d = {};
	__u64 now;
	bool host;

	if (!conf || !packet_parse(skb, &d))
		return PASS;
	if (!relay_lookup(&d, &group)) {
		count_unserved(skb->ifindex, AMT_COUNT_NO_GROUP);
		return PASS;
	}
	if (group.path != AMT_PATH_TC)
		return PASS;
	host = group.flags & AMT_GROUP_HOST;
	now = bpf_ktime_get_ns();
	/* several datagrams in one: nobody splits them behind an outer header that counts one */
	if (skb->gso_size)
		verdict = relay_refuse(&group, AMT_COUNT_GSO_REFUSED);
	else
		verdict = relay_admit(&d, &group, conf, skb->ifindex, now, AMT_EVENT_DATA_MAX);
	if (verdict == RELAY_PASS)
		return PASS;
	if (verdict == RELAY_DROP)
		return host ? PASS : TC_ACT_SHOT;
	return packet_forward(skb, &d, &group, verdict == RELAY_TOO_BIG, host, conf, now);
}

/* ---- the gateway ---- */

/* Takes the tags off; d->offset follows. */
static __always_inline bool decap_untag(struct __sk_buff *skb, struct decap *d)
{
	for (int i = 0; i <= VLAN_TAGS && skb->vlan_present; i++)
		if (bpf_skb_vlan_pop(skb))
			return false;
	d->offset -= d->front - ETH_HLEN;
	d->front = ETH_HLEN;
	return true;
}

/* Where a device was to finish the outer UDP checksum, the note of that would point into the inner
 * packet. The kernel drops it when its place is cut off, so that is done: with the datagram's first
 * octets, which come back. */
#define FORGET 8

static __always_inline bool decap_cut(struct __sk_buff *skb, const struct decap *d)
{
	__u8 first[FORGET] __attribute__((aligned(8)));

	if (!outer_unfinished(d))
		return !bpf_skb_adjust_room(skb, ETH_HLEN - (int)d->offset, BPF_ADJ_ROOM_MAC, 0);
	return !bpf_skb_load_bytes(skb, d->offset, first, FORGET) &&
	       !bpf_skb_adjust_room(skb, ETH_HLEN - (int)d->offset - FORGET, BPF_ADJ_ROOM_MAC, 0) &&
	       !bpf_skb_adjust_room(skb, FORGET, BPF_ADJ_ROOM_MAC, 0) &&
	       !bpf_skb_store_bytes(skb, ETH_HLEN, first, FORGET, 0);
}

/* The kernel wants more left than an IP header of the outer family is long, so a short datagram is
 * padded for a moment. */
static __always_inline bool decap_shrink(struct __sk_buff *skb, const struct decap *d)
{
	__u32 least = d->offset + AMT_IPV6_HLEN + FORGET;

	if (skb->len < least && bpf_skb_change_tail(skb, least, 0))
		return false;
	if (!decap_cut(skb, d))
		return false;
	return skb->len == ETH_HLEN + d->inner.length ||
	       !bpf_skb_change_tail(skb, ETH_HLEN + d->inner.length, 0);
}

static __always_inline bool decap_strip(struct __sk_buff *skb, struct decap *d,
					const struct amt_config *conf)
{
	__u8 eth[16] __attribute__((aligned(8)));
	__u8 ip[12] __attribute__((aligned(8)));

	if (!decap_untag(skb, d) || !decap_shrink(skb, d))
		return false;
	decap_ethernet(eth, d, conf);
	if (bpf_skb_store_bytes(skb, 0, eth, ETH_HLEN, 0))
		return false;
	if (!d->ecn)
		return true;
	if (bpf_skb_load_bytes(skb, ETH_HLEN, ip, sizeof(ip)))
		return false;
	amt_ecn_set(ip, d->inner.ipv6, d->new_ecn);
	return !bpf_skb_store_bytes(skb, ETH_HLEN, ip, sizeof(ip), BPF_F_RECOMPUTE_CSUM);
}

SEC("tc")
int amt_gateway_tc(struct __sk_buff *skb)
{
	const struct amt_config *conf = relay_config();
	struct decap d = {};

	if (!conf)
		return PASS;
	if (skb->data + HEADERS > skb->data_end)
		bpf_skb_pull_data(skb, skb->len < HEADERS ? skb->len : HEADERS);
	switch (gateway_judge((void *)(long)skb->data, (void *)(long)skb->data_end, skb->len,
			      skb->gso_size, &d, conf)) {
	case GATEWAY_PASS:
		return PASS;
	case GATEWAY_DROP:
		return TC_ACT_SHOT;
	default:
		break;
	}
	if (!decap_strip(skb, &d, conf)) {
		count(AMT_COUNT_DECAP_FAILED);
		return TC_ACT_SHOT;
	}
	return bpf_redirect(conf->decap_ifindex, 0);
}

char LICENSE[] SEC("license") = "GPL";
