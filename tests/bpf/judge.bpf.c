/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two programs for groups that are too large for sockets behind them: `stamp` numbers packets
 * before amt_ingress, `judge` keeps account of the copies at an uplink's far end, by gateway.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "judge.h"

#define PAYLOAD (sizeof(struct iphdr) + sizeof(struct udphdr)) /* in the inner datagram */
#define AMT	2					       /* octets of the AMT header */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, JUDGE_GATEWAYS);
	__type(key, __u32);
	__type(value, struct account);
} accounts SEC(".maps");

__u32 stamped, stamped_ifindex;
__be32 further; /* address of those that count on */
__u64 copies, strange;

SEC("xdp")
int stamp(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	__u32 *at = data + ETH_HLEN + PAYLOAD;

	if ((void *)(at + 1) > data_end)
		return XDP_DROP;
	*at = bpf_htonl(__sync_fetch_and_add(&stamped, 1));
	return bpf_redirect(stamped_ifindex, 0);
}

/* Where the outer UDP header is; NULL: not a copy. Gateways of this address count on from *first.
 */
static __always_inline struct udphdr *outer_udp(void *data, void *data_end, __u32 *first)
{
	__be16 *proto = data + 2 * ETH_ALEN;
	void *at = data + ETH_HLEN;

	if (at + 4 > data_end)
		return NULL;
	if (*proto == bpf_htons(ETH_P_8021Q)) {
		proto += 2;
		at += 4;
	}
	*first = 0;
	if (*proto == bpf_htons(ETH_P_IP)) {
		const struct iphdr *ip = at;

		if ((void *)(ip + 1) > data_end)
			return NULL;
		if (further && ip->daddr == further)
			*first = JUDGE_GATEWAYS / 2;
		return (void *)(ip + 1);
	}
	if (*proto == bpf_htons(ETH_P_IPV6))
		return at + sizeof(struct ipv6hdr);
	return NULL;
}

static __always_inline void enter(struct account *account, __u32 sequence)
{
	__u64 bit = 1ull << (sequence % 64);
	__u64 *word = &account->seen[sequence / 64 % JUDGE_WORDS];

	if (__sync_fetch_and_or(word, bit) & bit)
		__sync_fetch_and_add(&account->repeated, 1);
	if (sequence < account->next)
		__sync_fetch_and_add(&account->overtaken, 1);
	account->next = sequence + 1;
}

SEC("xdp")
int judge(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	__u32 *sequence, gateway;
	struct udphdr *udp = outer_udp(data, data_end, &gateway);
	struct account *account;

	if (!udp)
		return XDP_PASS;
	sequence = (void *)(udp + 1) + AMT + PAYLOAD;
	if ((void *)(sequence + 1) > data_end)
		return XDP_PASS;
	gateway += bpf_ntohs(udp->dest);
	account = bpf_map_lookup_elem(&accounts, &gateway);
	if (!account || bpf_ntohl(*sequence) >= JUDGE_PACKETS) {
		__sync_fetch_and_add(&strange, 1);
		return XDP_DROP;
	}
	enter(account, bpf_ntohl(*sequence));
	__sync_fetch_and_add(&copies, 1);
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";
