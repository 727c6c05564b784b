/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * XDP programs of the packet path. One packet's way: amt_ingress on an upstream interface, then
 * either straight to amt_egress, once a copy; or to a cpumap thread: amt_fanout there splits the
 * group's blocks into copies for the internal veth pair (amt_egress numbers them), amt_recirculate
 * at its far end sends each back to the thread, and amt_fanout broadcasts each block to its uplink
 * (amt_egress again, once a copy).
 */
#include "maps.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "event.h"
#include "fanout.h"
#include "gateway.h"
#include "relay.h"
#include "shield.h"

/* Roles of the interface that amt_ingress is loaded for: AMT_INTERFACE_UPSTREAM, _UPLINK, _GATEWAY.
 * The verifier removes what it does not have. */
const volatile __u32 interface_flags;

/* The datagram ends the frame: padding is gone. */
static __always_inline void ingress_finish_checksum(struct xdp_md *ctx, const struct datagram *d)
{
	__u32 offset = checksum_unfinished((void *)(long)ctx->data, (void *)(long)ctx->data_end, d);
	struct udphdr *udp;
	__u16 check;

	if (!offset)
		return;
	check = checksum_udp(sum_frame(ctx, d->front + offset));
	udp = datagram_at((void *)(long)ctx->data, d, offset);
	if ((void *)(udp + 1) > (void *)(long)ctx->data_end || udp->check == check)
		return;
	udp->check = check;
	count(AMT_COUNT_CHECKSUM_UNFINISHED);
}

/* From here on the packet is ours: it is changed, and sent or dropped, never passed. */
static __always_inline bool ingress_prepare(struct xdp_md *ctx, const struct datagram *d,
					    const struct amt_config *conf)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	long frame = data_end - data;
	int padding;
	__u8 *ttl;

	opaque(frame); /* pointers are only subtracted in full */
	padding = frame - (d->front + d->length);
	if (padding > 0 && bpf_xdp_adjust_tail(ctx, -padding))
		return false;
	ingress_finish_checksum(ctx, d);
	if (conf->flags & AMT_CONFIG_TTL_KEEP)
		return true;
	ttl = datagram_at((void *)(long)ctx->data, d, ttl_offset(d->ipv6));
	if (ttl + 4 > (__u8 *)(long)ctx->data_end)
		return false;
	ttl_decrement(ttl, d->ipv6);
	return true;
}

static __always_inline int ingress_recirculate(struct xdp_md *ctx, struct amt_meta *meta,
					       const struct relay_group *group, __u32 block,
					       const struct amt_config *conf)
{
	/* a single block is its CPU's; else the group's begins to split */
	if (group->blocks.count == 1)
		meta->cpu = block_cpu(block);
	else
		meta->cpu = conf->cpus ? group->id % conf->cpus : 0;
	meta->stage = META_SPLIT;
	meta->first = group->blocks.first;
	meta->count = group->blocks.count;
	if (group->flags & AMT_GROUP_CHECKSUM)
		meta->flags = META_SUM_WANTED;
	/* no tags on the internal pair: its MTU counts them */
	if (!fanout_front(ctx, meta, ETH_HLEN) || !meta_put(ctx, meta))
		return XDP_DROP;
	count(AMT_COUNT_PACKETS_RECIRCULATED);
	return fanout_cpu(meta->cpu);
}

/* copies * 64 <= transmit ring for a broadcast from ingress, where one poll may bring 64 packets: a
 * ring that is full frees frames silently. Else recirculate. */
static __always_inline int ingress_forward(struct xdp_md *ctx, const struct datagram *d,
					   const struct relay_group *group,
					   const struct amt_config *conf, __u64 now)
{
	struct amt_meta meta = {.magic = META_MAGIC,
				.tos = d->tos,
				.front = d->front,
				.length = d->length,
				.deadline = deadline_of(now + conf->copy_life_ns)};
	__u32 slot = group->blocks.first, block, copies = 0;
	const struct amt_block_ref *ref = bpf_map_lookup_elem(&block_list, &slot);
	const struct amt_endpoint *ep;

	if (!ref || !meta_open(ctx)) {
		count(AMT_COUNT_HEADROOM);
		return XDP_DROP;
	}
	block = ref->block;
	if (group->path != AMT_PATH_XDP_DIRECT || group->blocks.count != 1)
		return ingress_recirculate(ctx, &meta, group, block, conf);
	ep = block_endpoint(block, &copies);
	if (!ep)
		return XDP_DROP;
	if (copies > ep->direct_max)
		return ingress_recirculate(ctx, &meta, group, block, conf);
	count(AMT_COUNT_PACKETS_DIRECT);
	return fanout_block(ctx, &meta, block, copies, ep, conf);
}

static __always_inline int ingress_datagram(struct xdp_md *ctx, const struct datagram *d,
					    struct relay_group *group,
					    const struct amt_config *conf)
{
	__u64 now = bpf_ktime_get_ns();
	enum relay_verdict verdict =
		relay_admit(d, group, conf, ctx->ingress_ifindex, now, AMT_RECIRCULATE_MTU);

	if (verdict == RELAY_PASS)
		return XDP_PASS;
	if (verdict == RELAY_DROP || !ingress_prepare(ctx, d, conf))
		return XDP_DROP;
	if (verdict == RELAY_TOO_BIG) {
		event_datagram_xdp(ctx, d, group->id, conf, now);
		return XDP_DROP;
	}
	count_group_packet(group->id, d->length, now);
	return ingress_forward(ctx, d, group, conf, now);
}

static __always_inline int ingress_upstream(struct xdp_md *ctx, const struct amt_config *conf)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	struct relay_group group;
	struct datagram d = {};

	switch (parse_datagram(data, data_end, data_end - data, &d)) {
	case PARSE_DATAGRAM:
		break;
	case PARSE_LINK_LOCAL:
		count(AMT_COUNT_LINK_LOCAL);
		return XDP_PASS;
	case PARSE_MALFORMED:
		count(AMT_COUNT_MALFORMED);
		return XDP_PASS;
	default:
		return XDP_PASS;
	}
	if (!relay_lookup(&d, &group)) {
		count(AMT_COUNT_NO_GROUP);
		return XDP_PASS;
	}
	/* TC sees what XDP passes, so that each packet is handled by one of them */
	if (group.path == AMT_PATH_TC)
		return XDP_PASS;
	return ingress_datagram(ctx, &d, &group, conf);
}

/* A function of its own: inlined here and for upstream, the loop in it comes out in a shape that
 * the verifier of Linux 6.1 takes for a back-edge. */
static __noinline int gateway_finish_checksum(struct xdp_md *ctx, const struct datagram *d)
{
	ingress_finish_checksum(ctx, d);
	return 0;
}

/* Cuts off what is before and behind the datagram. */
static __always_inline bool gateway_strip(struct xdp_md *ctx, struct decap *d,
					  const struct amt_config *conf)
{
	long excess = (long)ctx->data_end - (long)ctx->data - (d->offset + d->inner.length);
	__u8 eth[16] __attribute__((aligned(8)));
	void *data;

	opaque(excess);
	if (excess > 0 && bpf_xdp_adjust_tail(ctx, -(int)excess))
		return false;
	if (bpf_xdp_adjust_head(ctx, (int)d->offset - ETH_HLEN))
		return false;
	data = (void *)(long)ctx->data;
	if (data + ETH_HLEN + sizeof(struct iphdr) > (void *)(long)ctx->data_end)
		return false;
	if (d->ecn)
		amt_ecn_set(data + ETH_HLEN, d->inner.ipv6, d->new_ecn);
	decap_ethernet(eth, d, conf);
	halves_copy(data, eth, ETH_HLEN);
	d->inner.front = ETH_HLEN;
	gateway_finish_checksum(ctx, &d->inner);
	return true;
}

static __always_inline int ingress_gateway(struct xdp_md *ctx, const struct amt_config *conf)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	struct decap d = {};

	switch (gateway_judge(data, data_end, data_end - data, false, &d, conf)) {
	case GATEWAY_PASS:
		return XDP_PASS;
	case GATEWAY_DROP:
		return XDP_DROP;
	default:
		break;
	}
	if (!gateway_strip(ctx, &d, conf)) {
		count(AMT_COUNT_DECAP_FAILED);
		return XDP_DROP;
	}
	return bpf_redirect(conf->decap_ifindex, 0);
}

SEC("xdp")
int amt_ingress(struct xdp_md *ctx)
{
	const struct amt_config *conf = relay_config();
	int verdict;

	if (!conf)
		return XDP_PASS;
	if (interface_flags & AMT_INTERFACE_UPLINK) {
		verdict = shield_frame(ctx, conf);
		if (verdict != XDP_PASS)
			return verdict;
	}
	if (interface_flags & AMT_INTERFACE_GATEWAY) {
		verdict = ingress_gateway(ctx, conf);
		if (verdict != XDP_PASS)
			return verdict;
	}
	if (interface_flags & AMT_INTERFACE_UPSTREAM)
		return ingress_upstream(ctx, conf);
	return XDP_PASS;
}

/* The cpumap thread takes 8 frames between softirqs, so that rings drain: a block has at most
 * ring / 16 members, and a split at most AMT_RECIRCULATE_MAX parts. */
SEC("xdp/cpumap")
int amt_fanout(struct xdp_md *ctx)
{
	const struct amt_config *conf = relay_config();
	const struct amt_block_ref *ref;
	const struct amt_endpoint *ep;
	__u32 block, copies = 0;
	struct amt_meta *place = meta_get(ctx);
	struct amt_meta meta;

	if (!conf || !place)
		return XDP_DROP;
	__builtin_memcpy(&meta, place, sizeof(meta));
	if (fanout_late(&meta)) {
		count_add(AMT_COUNT_BLOCKS_LATE, meta.count);
		return XDP_DROP;
	}
	if (meta.flags & META_SUM_WANTED) {
		meta.sum = checksum_fold(sum_frame(ctx, meta.front));
		meta.flags = META_SUM;
	}
	if (meta.count > 1)
		return fanout_split(ctx, &meta, conf);
	ref = bpf_map_lookup_elem(&block_list, &meta.first);
	if (!ref)
		return XDP_DROP;
	block = ref->block;
	ep = block_endpoint(block, &copies);
	if (!ep)
		return XDP_DROP;
	return fanout_block(ctx, &meta, block, copies, ep, conf);
}

/* At the far end of the internal veth pair. A single block goes to its own CPU, what is to be split
 * once more to that which the split said. */
SEC("xdp")
int amt_recirculate(struct xdp_md *ctx)
{
	const struct amt_block_ref *ref;
	struct amt_meta *meta = meta_get(ctx);
	__u32 slot;

	if (!meta)
		return XDP_DROP;
	if (meta->count != 1)
		return fanout_cpu(meta->cpu);
	slot = meta->first;
	ref = bpf_map_lookup_elem(&block_list, &slot);
	return ref ? fanout_cpu(block_cpu(ref->block)) : XDP_DROP;
}

static __always_inline int egress_drop(struct amt_cpu_state *state, enum amt_counter reason)
{
	state->bulk_dropped++;
	count(reason);
	return XDP_DROP;
}

static __always_inline int egress_copy(struct xdp_md *ctx, struct amt_cpu_state *state,
				       const struct amt_meta *meta, struct amt_cursor *cursor,
				       __u32 copy, const bool ipv6)
{
	struct amt_nexthop *nexthop = NULL;
	struct encap_target target = {};
	__u32 id;

	if (!encap_member(meta->first, copy, ipv6, &target))
		return egress_drop(state, AMT_COUNT_ENDPOINT_INVALID);
	id = target.nexthop;
	nexthop = bpf_map_lookup_elem(&nexthops, &id);
	if (!nexthop || !(nexthop->flags & AMT_NEXTHOP_VALID)) {
		event_nexthop(id, ctx->egress_ifindex);
		return egress_drop(state, AMT_COUNT_NEXTHOP_UNRESOLVED);
	}
	if (!encap_fill((void *)(long)ctx->data, (void *)(long)ctx->data_end,
			meta->flags & AMT_ENDPOINT_VLAN, ipv6, &target, nexthop))
		return egress_drop(state, AMT_COUNT_ENDPOINT_INVALID);
	cursor->sent++;
	return XDP_PASS;
}

/* Where the whole last bulk of a poll is dropped, the kernel returns before it tells the driver to
 * send, and copies of earlier bulks stay in the ring: of 960 none arrived. So the last copy of a
 * packet is not dropped when nothing else of its bulk goes out: an empty frame takes its place, to
 * an address that no bridge forwards (IEEE 802.1Q 8.6.3) and of a type that means nothing (IEEE
 * 802 9.2.3). */
static __always_inline int egress_stub(struct xdp_md *ctx, struct amt_cpu_state *state)
{
	static const __u8 header[ETH_HLEN + 2] = {0x01, 0x80, 0xc2, 0x00, 0x00, 0x0f, 0x02,
						  0x00, 0x00, 0x00, 0x00, 0x00, 0x88, 0xb5};
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	long excess = data_end - data - ETH_ZLEN;

	opaque(excess);
	if (excess > 0 && bpf_xdp_adjust_tail(ctx, -(int)excess))
		return XDP_DROP;
	data = (void *)(long)ctx->data;
	data_end = (void *)(long)ctx->data_end;
	if (data + ETH_ZLEN > data_end)
		return XDP_DROP;
	words_zero(data, ETH_ZLEN);
	halves_copy(data, header, ETH_HLEN);
	state->bulk_dropped--;
	return XDP_PASS;
}

/* One program for every interface and both families, told apart by the metadata: a bulk takes its
 * program from its first frame. Frames of other programs may therefore come by here, too. */
SEC("xdp/devmap")
int amt_egress(struct xdp_md *ctx)
{
	struct amt_cpu_state *state = cpu_state();
	struct amt_meta *meta = meta_get(ctx);
	struct amt_cursor *cursor;
	__u32 copy = 0;
	int verdict;

	if (!state)
		return XDP_DROP;
	state->bulk_frames++;
	if (!meta)
		return XDP_PASS;
	if (meta->stage == META_ANSWER) {
		state->bulk_cursor = meta->uplink;
		bpf_xdp_adjust_meta(ctx, sizeof(struct amt_meta));
		return XDP_PASS;
	}
	cursor = cursor_next(state, meta, &copy);
	if (!cursor)
		return egress_drop(state, AMT_COUNT_CURSOR_LOST);
	if (meta->stage == META_SPLIT) {
		fanout_part(meta, copy);
		return XDP_PASS;
	}
	if (meta->flags & AMT_ENDPOINT_IPV6)
		verdict = egress_copy(ctx, state, meta, cursor, copy, true);
	else
		verdict = egress_copy(ctx, state, meta, cursor, copy, false);
	if (copy + 1 == meta->count) {
		cursor_account(cursor);
		if (verdict == XDP_DROP && cursor->waiting &&
		    state->bulk_dropped == state->bulk_frames)
			verdict = egress_stub(ctx, state);
	}
	/* what follows is the network, or a neighbour's XDP program: no business of theirs */
	if (verdict == XDP_PASS)
		bpf_xdp_adjust_meta(ctx, sizeof(struct amt_meta));
	return verdict;
}

#define BULK_FRAMES 16 /* DEV_MAP_BULK_SIZE */

struct ns_common {
	unsigned int inum;
} __attribute__((preserve_access_index));

struct net {
	struct ns_common ns;
} __attribute__((preserve_access_index));

typedef struct {
	struct net *net;
} __attribute__((preserve_access_index)) possible_net_t;

struct net_device {
	int ifindex;
	possible_net_t nd_net;
} __attribute__((preserve_access_index));

/* Bulks without copies of ours: a gateway's datagrams, perhaps. Other namespaces have interfaces of
 * the same index. */
static __always_inline void count_decap_drops(const struct net_device *device, __u32 drops)
{
	const struct amt_config *conf = relay_config();

	if (conf && conf->decap_ifindex &&
	    conf->decap_ifindex == (__u32)BPF_CORE_READ(device, ifindex) &&
	    conf->decap_netns == BPF_CORE_READ(device, nd_net.net, ns.inum))
		count_add(AMT_COUNT_DECAP_XMIT_DROPS, drops);
}

/* TP(from_dev, to_dev, sent, drops, err), right after a bulk went to its driver, on the same CPU.
 * Its drops contain those of the egress program, which ran for it just before, or the bulk is not
 * ours. It sees all bulks of the host: those cost next to nothing. */
SEC("raw_tp/xdp_devmap_xmit")
int amt_xmit_drops(struct bpf_raw_tracepoint_args *ctx)
{
	struct amt_cpu_state *state = cpu_state();
	__u32 sent = ctx->args[2], drops = ctx->args[3], frames, own, slot;
	struct amt_cursor *cursor;

	if (!state)
		return 0;
	if (!state->bulk_frames) {
		if (drops)
			count_decap_drops((void *)ctx->args[1], drops);
		return 0;
	}
	slot = state->bulk_cursor;
	cursor = bpf_map_lookup_elem(&cursors, &slot);
	/* a full bulk may have gone before the poll's end; any other ends it, and the driver sends
	 */
	if (cursor && sent)
		cursor->waiting = sent + drops >= BULK_FRAMES;
	frames = state->bulk_frames;
	own = state->bulk_dropped;
	state->bulk_frames = 0;
	state->bulk_dropped = 0;
	/* a first bulk after attaching finds what others left behind */
	if (frames != sent + drops || drops <= own)
		return 0;
	if (slot == CURSOR_SPLIT)
		count_add(AMT_COUNT_RECIRCULATION_DROPS, drops - own);
	else
		count_uplink_drops(slot, drops - own);
	return 0;
}

/* TP(map_id, processed, drops, to_cpu): frames that found the queue of a cpumap thread full. */
SEC("raw_tp/xdp_cpumap_enqueue")
int amt_queue_drops(struct bpf_raw_tracepoint_args *ctx)
{
	struct amt_cpu_state *state = cpu_state();
	__u32 drops = ctx->args[2];

	if (drops && state && state->queue_map == (__u32)ctx->args[0])
		count_add(AMT_COUNT_RECIRCULATION_DROPS, drops);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
