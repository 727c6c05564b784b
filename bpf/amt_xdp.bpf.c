/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * XDP programs of the packet path. One packet's way: amt_ingress (on an upstream interface), then
 * either straight to amt_egress (once per copy), or through the internal veth pair: amt_recirculate
 * (once per block, at the pair's far end), amt_fanout (cpumap), amt_egress.
 */
#include "maps.h"

/* Roles of the interface that amt_ingress is loaded for. */
const volatile __u32 interface_flags; /* AMT_INTERFACE_UPSTREAM | AMT_INTERFACE_UPLINK */

SEC("xdp")
int amt_ingress(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("xdp/devmap")
int amt_egress(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("xdp")
int amt_recirculate(struct xdp_md *ctx)
{
	return XDP_DROP;
}

SEC("xdp/cpumap")
int amt_fanout(struct xdp_md *ctx)
{
	return XDP_DROP;
}

SEC("raw_tp/xdp_devmap_xmit")
int amt_xmit_drops(struct bpf_raw_tracepoint_args *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
