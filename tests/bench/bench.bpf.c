/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Programs that the benchmark puts around the relays: receivers that count and drop as cheaply as
 * the kernel lets, the sender's baseline, and the bound: the barest broadcast XDP can do.
 */
#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <amt/wire.h>

#define COPIES_MAX 256

/* chain -> packets that arrived. Read by the benchmark through mmap, written on one CPU a time. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} arrived SEC(".maps");

struct bound_copies {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, COPIES_MAX);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct bpf_devmap_val));
};

/* n -> devmap of n equal entries, as the relay's own `clones`. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, COPIES_MAX + 1);
	__type(key, __u32);
	__array(values, struct bound_copies);
} bound_clones SEC(".maps");

/* Which entry of `arrived` this copy of a program counts in, and whether whatever comes counts
 * (the bound writes no header that could be looked at). */
const volatile __u32 chain;
const volatile bool count_all;

static __always_inline bool is_amt_udp(const __u8 *udp, const __u8 *end)
{
	return udp + AMT_UDP_HLEN + AMT_DATA_LEN <= end && udp[0] == AMT_PORT >> 8 &&
	       udp[1] == (AMT_PORT & 0xff) && udp[AMT_UDP_HLEN] == AMT_DATA;
}

static __always_inline bool is_amt_data(const __u8 *frame, const __u8 *end)
{
	if (count_all)
		return true;
	if (frame + ETH_HLEN > end)
		return false;
	if (frame[12] == 0x08 && frame[13] == 0)
		return is_amt_udp(frame + ETH_HLEN + AMT_IPV4_HLEN, end);
	if (frame[12] == 0x86 && frame[13] == 0xdd)
		return is_amt_udp(frame + ETH_HLEN + AMT_IPV6_HLEN, end);
	return false;
}

static __always_inline void count_one(void)
{
	__u32 key = chain;
	__u64 *value = bpf_map_lookup_elem(&arrived, &key);

	if (value)
		__sync_fetch_and_add(value, 1);
}

SEC("xdp")
int receive_xdp(struct xdp_md *ctx)
{
	if (!is_amt_data((void *)(long)ctx->data, (void *)(long)ctx->data_end))
		return XDP_PASS;
	count_one();
	return XDP_DROP;
}

SEC("tc")
int receive_tc(struct __sk_buff *skb)
{
	bpf_skb_pull_data(skb, ETH_HLEN + AMT_OVERHEAD4);
	if (!is_amt_data((void *)(long)skb->data, (void *)(long)skb->data_end))
		return TC_ACT_OK;
	count_one();
	return TC_ACT_SHOT;
}

/* The frame grows by what encapsulation would add, so that clones are as large as a relay's, and
 * nothing is written. The group's last two octets say how many copies. */
SEC("xdp")
int bound_ingress(struct xdp_md *ctx)
{
	__u8 *frame = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	void *copies;
	__u32 n;

	if (frame + ETH_HLEN + AMT_IPV4_HLEN > end || frame[12] != 0x08 || frame[13] != 0 ||
	    frame[ETH_HLEN + 16] != 232)
		return XDP_PASS;
	n = (__u32)frame[ETH_HLEN + 18] << 8 | frame[ETH_HLEN + 19];
	copies = bpf_map_lookup_elem(&bound_clones, &n);
	if (!copies || bpf_xdp_adjust_head(ctx, -AMT_OVERHEAD4))
		return XDP_DROP;
	return bpf_redirect_map(copies, 0, BPF_F_BROADCAST);
}

SEC("xdp/devmap")
int bound_egress(struct xdp_md *ctx)
{
	return XDP_PASS;
}

/* The sender alone: its packets end where the relay's work would begin. */
SEC("xdp")
int sender_only(struct xdp_md *ctx)
{
	__u8 *frame = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	if (frame + ETH_HLEN + AMT_IPV4_HLEN > end || frame[12] != 0x08 || frame[13] != 0 ||
	    frame[ETH_HLEN + 16] != 232)
		return XDP_PASS;
	count_one();
	return XDP_DROP;
}

/* [0]: where frames are sent on to. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} onward SEC(".maps");

/* A router of frames: behind it they are as a driver with native XDP has them, while those of the
 * stack would be turned into such at the cost of a copy. */
SEC("xdp")
int send_on(struct xdp_md *ctx)
{
	return bpf_redirect_map(&onward, 0, 0);
}

char LICENSE[] SEC("license") = "GPL";
