/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The TC program: the same maps and headers as XDP, one bpf_clone_redirect a copy, for what XDP
 * cannot serve (design 4.4). Attached to clsact ingress of upstream interfaces.
 */
#include "maps.h"
#include <linux/pkt_cls.h>

SEC("tc")
int amt_relay_tc(struct __sk_buff *skb)
{
	return TC_ACT_OK;
}

char LICENSE[] SEC("license") = "GPL";
