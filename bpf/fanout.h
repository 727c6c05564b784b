/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One redirect, N copies, in XDP: the metadata that travels with a frame, the broadcasts, and the
 * cursor by which each copy learns which one it is. Design, and the rules that are named here: the
 * kernel clones a frame for each entry of a devmap and runs amt_egress on each clone, but tells it
 * nothing.
 *
 * Never load any of these programs as xdp.frags: broadcasting a frame of several buffers corrupts
 * memory on kernels before mid-2026. Never attach them in generic mode (no metadata at the egress
 * program) nor on PREEMPT_RT (a cursor may be interleaved there): TC serves those.
 */
#ifndef AMT_BPF_FANOUT_H
#define AMT_BPF_FANOUT_H

#include "count.h"
#include "encap.h"

/* What is read of the kernel's own structure, wherever it has it. */
struct bpf_map {
	__u32 id;
} __attribute__((preserve_access_index));

#define META_MAGIC 0xa217

enum meta_stage {
	META_SPLIT = 1,	 /* copies are parts of the group's block list */
	META_COPY = 2,	 /* copies are for members of one block */
	META_ANSWER = 3, /* the shield's, complete; uplink is set */
};

/* meta.flags, beside AMT_ENDPOINT_* of the block's endpoint. */
#define META_SUM	0x4000 /* sum is there */
#define META_SUM_WANTED 0x8000 /* some block will need it */

/* XDP metadata, in front of the frame, cloned with it. 32 octets: the most that 6.1 takes. */
struct amt_meta {
	__u16 magic;	/* META_MAGIC */
	__u8 stage;	/* enum meta_stage */
	__u8 tos;	/* of the inner datagram */
	__u32 packet;	/* id of the broadcast, stamped on the CPU that did it */
	__u32 first;	/* META_SPLIT: slot of block_list; META_COPY: block id */
	__u32 count;	/* META_SPLIT: slots; META_COPY: copies */
	__u16 sum;	/* folded, over the inner datagram, with META_SUM */
	__u16 front;	/* octets in front of the inner datagram */
	__u16 cpu;	/* that splits what is to be split */
	__u16 deadline; /* META_SPLIT: deadline_of() */
	__u16 uplink;	/* META_COPY, META_ANSWER */
	__u16 flags;	/* META_*, AMT_ENDPOINT_* */
	__u32 length;	/* octets of the inner datagram */
};

_Static_assert(sizeof(struct amt_meta) == 32, "amt_meta");

/* Makes room for the metadata, whatever a program before us left there. */
static __always_inline bool meta_open(struct xdp_md *ctx)
{
	long room = (void *)(long)ctx->data - (void *)(long)ctx->data_meta;

	opaque(room);
	return !bpf_xdp_adjust_meta(ctx, (int)room - (int)sizeof(struct amt_meta));
}

/* NULL: not a frame of ours. */
static __always_inline struct amt_meta *meta_get(struct xdp_md *ctx)
{
	struct amt_meta *meta = (void *)(long)ctx->data_meta;

	if ((void *)(meta + 1) > (void *)(long)ctx->data || meta->magic != META_MAGIC)
		return NULL;
	return meta;
}

static __always_inline bool meta_put(struct xdp_md *ctx, const struct amt_meta *meta)
{
	struct amt_meta *place = (void *)(long)ctx->data_meta;

	if ((void *)(place + 1) > (void *)(long)ctx->data)
		return false;
	__builtin_memcpy(place, meta, sizeof(*meta));
	return true;
}

/* Units of 17 ms, since 16 bits then tell before from after for nine minutes either way. */
static __always_inline __u16 deadline_of(__u64 ns)
{
	return ns >> 24;
}

/* Whether amtd may have given the packet's blocks and list to others by now. */
static __always_inline bool fanout_late(const struct amt_meta *meta)
{
	return (__s16)(deadline_of(bpf_ktime_get_ns()) - meta->deadline) > 0;
}

static __always_inline struct amt_cpu_state *cpu_state(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&cpu_states, &zero);
}

/* Of a frame, from offset to its end. Not static: the verifier follows such a function once, on its
 * own, and not again for each state in which each caller comes to it. */
__noinline __u64 sum_frame(struct xdp_md *ctx, __u32 offset)
{
	return sum_linear((void *)(long)ctx->data, (void *)(long)ctx->data_end, offset);
}

/* Makes the part in front of the inner datagram that long. */
static __always_inline bool fanout_front(struct xdp_md *ctx, struct amt_meta *meta, __u32 front)
{
	if (meta->front != front && bpf_xdp_adjust_head(ctx, (int)meta->front - (int)front)) {
		count(AMT_COUNT_HEADROOM);
		return false;
	}
	meta->front = front;
	return true;
}

/* The packet id is stamped on the CPU that broadcasts: ids are compared there and only there. */
static __always_inline bool fanout_stamp(struct xdp_md *ctx, struct amt_meta *meta)
{
	struct amt_cpu_state *state = cpu_state();

	if (!state)
		return false;
	meta->packet = ++state->packet;
	return meta_put(ctx, meta);
}

/* All entries of these devmaps are equal: one only says how many copies. Sizes are exact, with no
 * surplus: a surplus copy costs as much as a live one; and where a program drops the whole last
 * bulk of a poll, the kernel returns before the flush and earlier copies stay in the ring. */
static __always_inline int fanout_broadcast(void *devmap)
{
	if (devmap && bpf_redirect_map(devmap, 0, BPF_F_BROADCAST) == XDP_REDIRECT)
		return XDP_REDIRECT;
	count(AMT_COUNT_REDIRECT_FAILED);
	return XDP_DROP;
}

/* One copy for each member of a block. The frame is grown here, before the broadcast: the kernel
 * compares its length with the uplink's MTU when it queues the clone, not after amt_egress. */
static __always_inline int fanout_block(struct xdp_md *ctx, struct amt_meta *meta, __u32 block,
					__u32 copies, const struct amt_endpoint *ep,
					const struct amt_config *conf)
{
	struct encap encap = {.length = meta->length};
	__u32 slot;

	if (ep->uplink >= AMT_UPLINKS_MAX || copies > AMT_BLOCK_MEMBERS) {
		count(AMT_COUNT_ENDPOINT_INVALID);
		return XDP_DROP;
	}
	/* once per packet where the group said so, else where the first copy needs it */
	if (encap_checksummed(ep->flags, conf) && !(meta->flags & META_SUM))
		meta->sum = checksum_fold(sum_frame(ctx, meta->front));
	encap.sum = meta->sum;
	encap.tos = encap_tos(ep->flags, conf, meta->tos);
	if (!fanout_front(ctx, meta, encap_length(ep->flags)))
		return XDP_DROP;
	if (!encap_template((void *)(long)ctx->data, (void *)(long)ctx->data_end, ep,
			    ep->flags & AMT_ENDPOINT_VLAN, conf, &encap))
		return XDP_DROP;
	meta->stage = META_COPY;
	meta->first = block;
	meta->count = copies;
	meta->uplink = ep->uplink;
	meta->flags = ep->flags;
	slot = ep->uplink * AMT_CLONES_STRIDE + copies;
	if (!fanout_stamp(ctx, meta))
		return XDP_DROP;
	return fanout_broadcast(bpf_map_lookup_elem(&clones, &slot));
}

/* One copy for each part of the block list, into the internal veth pair. Where several CPUs work
 * for a group, what remains goes to each of them in turn: it waits behind the parts that they have,
 * so that none gets them faster than it can copy. */
static __always_inline int fanout_split(struct xdp_md *ctx, struct amt_meta *meta,
					const struct amt_config *conf)
{
	__u32 parts = amt_recirculate_copies(meta->count);

	if (conf->flags & AMT_CONFIG_SPREAD && conf->cpus)
		meta->cpu = (__u16)(meta->cpu + 1) % conf->cpus;
	meta->stage = META_SPLIT;
	if (!fanout_stamp(ctx, meta))
		return XDP_DROP;
	return fanout_broadcast(bpf_map_lookup_elem(&recirculate, &parts));
}

static __always_inline int fanout_cpu(__u32 cpu)
{
	struct amt_cpu_state *state = cpu_state();

	/* tells the tracepoint which of the host's cpumaps is ours */
	if (state)
		state->queue_map = ((struct bpf_map *)&cpus)->id;
	if (bpf_redirect_map(&cpus, cpu, XDP_DROP) == XDP_REDIRECT)
		return XDP_REDIRECT;
	count(AMT_COUNT_REDIRECT_FAILED);
	return XDP_DROP;
}

/* Narrows a copy of a split to its part. Each is one block; where there are more blocks than parts,
 * the first part is all that remains, to be split in the next round. So a packet never has more
 * than a round's copies in the thread's queue, however large its group is: in nearly equal parts, a
 * burst of 64 packets to 4,096 members filled a queue of 16,384. It goes first, so that the thread
 * is never without work while it comes around. */
static __always_inline void fanout_part(struct amt_meta *meta, __u32 i)
{
	if (meta->count <= AMT_RECIRCULATE_MAX) {
		meta->first += i;
		meta->count = 1;
	} else if (i) {
		meta->first += i - 1;
		meta->count = 1;
	} else {
		meta->first += AMT_RECIRCULATE_MAX - 1;
		meta->count -= AMT_RECIRCULATE_MAX - 1;
	}
}

#define CURSOR_SPLIT AMT_UPLINKS_MAX /* the internal pair's */

/* What the cursor counted for the packet before, in one go. */
static __always_inline void cursor_account(struct amt_cursor *cursor)
{
	count_add(AMT_COUNT_COPIES_OUT, cursor->sent);
	count_add(AMT_COUNT_COPIES_BYTES, (__u64)cursor->sent * cursor->length);
	cursor->sent = 0;
}

/* Which copy this is. Keyed by packet id, since a bulk ends at 16 frames or at the end of a poll
 * and may hold copies of several packets; one cursor for each (CPU, interface), since each
 * interface has its own bulks. */
static __always_inline struct amt_cursor *cursor_next(struct amt_cpu_state *state,
						      const struct amt_meta *meta, __u32 *copy)
{
	__u32 slot = meta->stage == META_COPY ? meta->uplink : CURSOR_SPLIT;
	struct amt_cursor *cursor = bpf_map_lookup_elem(&cursors, &slot);

	if (!cursor)
		return NULL;
	state->bulk_cursor = slot;
	if (cursor->packet != meta->packet) {
		if (cursor->sent)
			cursor_account(cursor);
		cursor->packet = meta->packet;
		cursor->next = 0;
		cursor->length = meta->length;
	}
	*copy = cursor->next++;
	return *copy < meta->count ? cursor : NULL;
}

#endif
