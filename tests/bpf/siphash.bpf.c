/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SipHash-2-4 of BPF over any length up to 63 octets, for test_siphash.c. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <amt/siphash.h>

__u64 key[2], word[8], rest, length; /* words as numbers; set by the test */
__u64 output;

SEC("xdp")
int siphash(struct xdp_md *ctx)
{
	struct amt_sip sip;

	amt_sip_begin(&sip, key[0], key[1]);
#pragma unroll
	for (__u32 i = 0; i < 8; i++)
		if (i < length / 8)
			amt_sip_word(&sip, word[i]);
	output = amt_sip_end(&sip, rest, length);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
