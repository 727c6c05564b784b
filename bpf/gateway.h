/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the gateway does with a frame of an uplink, the same for XDP and TC: tell Multicast Data
 * (RFC 7450 5.1.6) of a relay of ours from everything else, judge the datagram in it, and say how
 * it goes into the pseudo-interface. Nothing here changes a packet.
 *
 * Frames with IPv4 options, IPv6 extension headers or outer fragments go to the UDP socket by way
 * of the stack, as all do that is not Multicast Data. UDP checksums of data are not looked at (zero
 * is right by R-08, others would take a sum over all of it): what the inner headers cover, the
 * receiver checks.
 */
#ifndef AMT_BPF_GATEWAY_H
#define AMT_BPF_GATEWAY_H

#include <amt/ecn.h>
#include <amt/wire.h>
#include "checksum.h"
#include "count.h"

#define INNER_MASK 0x7f /* where the inner datagram is: 14 + 2 * 4 + 40 + 8 + 2 at most */

enum gateway_verdict {
	GATEWAY_PASS, /* the stack gets it as it came */
	GATEWAY_DROP,
	GATEWAY_DELIVER,
};

/* Multicast Data from outer to inner. */
struct decap {
	struct amt_decap_key key;
	struct datagram inner;
	__u32 front;  /* octets of the outer link-layer header */
	__u32 offset; /* of the inner datagram in the frame */
	__u32 room;   /* octets of it, by the UDP header */
	__u16 check;  /* outer, of UDP */
	__u8 tos;     /* outer */
	bool ipv6;    /* outer */
	bool ecn;     /* the inner ECN field becomes new_ecn */
	__u8 new_ecn;
};

/* ---- the outer packet ---- */

/* A header in the frame, at an offset that the verifier knows to be small. */
static __always_inline void *decap_at(void *data, __u32 offset)
{
	opaque(offset);
	return data + (offset & INNER_MASK);
}

/* Plain UDP over IPv4, whole. *length: octets behind the IP header. */
static __always_inline bool outer_ipv4(struct iphdr *ip, struct decap *d, __u32 *length)
{
	__u32 total = bpf_ntohs(ip->tot_len);

	if (ip->version != 4 || ip->ihl != 5 || ip->protocol != IPPROTO_UDP ||
	    ip->frag_off & bpf_htons(IPV4_FRAGMENT) || total < sizeof(*ip))
		return false;
	*length = total - sizeof(*ip);
	d->tos = ip->tos;
	map_v4(&d->key.relay, &ip->saddr);
	map_v4(&d->key.local, &ip->daddr);
	return true;
}

static __always_inline bool outer_ipv6(struct ipv6hdr *ip, struct decap *d, __u32 *length)
{
	if (ip->version != 6 || ip->nexthdr != IPPROTO_UDP)
		return false;
	*length = bpf_ntohs(ip->payload_len);
	d->ipv6 = true;
	d->tos = ip->priority << 4 | ip->flow_lbl[0] >> 4;
	words_copy(d->key.relay.bytes, &ip->saddr, sizeof(d->key.relay));
	words_copy(d->key.local.bytes, &ip->daddr, sizeof(d->key.local));
	return true;
}

/* UDP and AMT headers. False: not Multicast Data. Lengths beyond one another make room 0. */
static __always_inline bool outer_amt(struct udphdr *udp, struct decap *d, __u32 length)
{
	const __u8 *amt = (void *)(udp + 1);
	__u32 own = bpf_ntohs(udp->len);

	if (amt[0] != (AMT_WIRE_VERSION << AMT_VERS_SHIFT | AMT_DATA))
		return false;
	d->key.relay_port = udp->source;
	d->key.local_port = udp->dest;
	d->check = udp->check;
	if (own <= length && own > sizeof(*udp) + AMT_DATA_LEN)
		d->room = own - sizeof(*udp) - AMT_DATA_LEN;
	return true;
}

/* Whether the frame is Multicast Data, in the plain form that we take. frame: its octets, of which
 * data..data_end may be only the beginning (TC). d must be zeroed. */
static __always_inline bool decap_outer(void *data, void *data_end, __u32 frame, struct decap *d)
{
	__be16 proto = parse_ethernet(data, data_end, &d->front);
	void *ip = decap_at(data, d->front), *udp;
	__u32 length = 0;

	if (proto == bpf_htons(ETH_P_IP)) {
		udp = ip + sizeof(struct iphdr);
		if (udp + sizeof(struct udphdr) + AMT_DATA_LEN > data_end ||
		    !outer_ipv4(ip, d, &length))
			return false;
	} else if (proto == bpf_htons(ETH_P_IPV6)) {
		udp = ip + sizeof(struct ipv6hdr);
		if (udp + sizeof(struct udphdr) + AMT_DATA_LEN > data_end ||
		    !outer_ipv6(ip, d, &length))
			return false;
	} else {
		return false;
	}
	if (!outer_amt(udp, d, length))
		return false;
	d->offset = d->front + (d->ipv6 ? AMT_OVERHEAD6 : AMT_OVERHEAD4);
	if (d->offset + d->room > frame)
		d->room = 0;
	return true;
}

/* The stack drops what has a wrong IPv4 header checksum (RFC 1122 3.2.1.2). */
static __always_inline bool outer_intact(void *data, void *data_end, const struct decap *d)
{
	void *ip = decap_at(data, d->front);

	if (d->ipv6)
		return true;
	if (ip + sizeof(struct iphdr) > data_end)
		return false;
	return checksum_fold(sum_words(ip, 5)) == 0xffff;
}

/* Whether a relay on this host seems to have left the outer checksum to a device: see
 * checksum_unfinished(). */
static __always_inline bool outer_unfinished(const struct decap *d)
{
	struct datagram outer = {.key = {d->key.relay, d->key.local}, .ipv6 = d->ipv6};
	__u16 length = AMT_UDP_HLEN + AMT_DATA_LEN + d->room;

	return d->check && d->check == checksum_fold(sum_pseudo(&outer, length));
}

/* ---- the inner datagram ---- */

static __always_inline enum gateway_verdict decap_drop(enum amt_counter reason)
{
	count(reason);
	return GATEWAY_DROP;
}

static __always_inline enum parse_result inner_parse(void *data, void *data_end, struct decap *d)
{
	void *ip = decap_at(data, d->offset);
	enum parse_result result = PARSE_MALFORMED;
	__u8 *first = ip;

	if (ip + sizeof(struct iphdr) > data_end || d->room < sizeof(struct iphdr))
		return PARSE_MALFORMED;
	if (*first >> 4 == 4) {
		result = parse_ipv4(ip, &d->inner);
	} else if (*first >> 4 == 6) {
		if (ip + sizeof(struct ipv6hdr) > data_end)
			return PARSE_MALFORMED;
		result = parse_ipv6(ip, &d->inner);
	}
	return result == PARSE_DATAGRAM && d->inner.length > d->room ? PARSE_MALFORMED : result;
}

static __always_inline struct amt_decap *decap_find_wanted(const struct amt_group_key *key)
{
	struct amt_decap *wanted = bpf_map_lookup_elem(&decap_wanted, key);
	struct amt_group_key any = {.group = key->group};

	if (!wanted)
		wanted = bpf_map_lookup_elem(&decap_wanted, &any);
	return wanted && !(wanted->flags & AMT_DECAP_EXCLUDED) ? wanted : NULL;
}

static __always_inline bool decap_ecn(struct decap *d, const struct amt_decap *relay)
{
	__u8 combined;

	/* a relay that was not asked for ECN leaves nothing meaningful there */
	if (!(relay->flags & AMT_DECAP_ECN))
		return true;
	combined = amt_ecn_combine(d->inner.tos, d->tos);
	if (combined & AMT_ECN_SUSPICIOUS)
		count(AMT_COUNT_DECAP_ECN_SUSPICIOUS);
	if (combined & AMT_ECN_DROP) {
		count(AMT_COUNT_DECAP_ECN_DROPPED);
		return false;
	}
	d->new_ecn = combined & AMT_ECN_MASK;
	d->ecn = d->new_ecn != (d->inner.tos & AMT_ECN_MASK);
	return true;
}

static __always_inline void decap_account(struct amt_decap *relay, struct amt_decap *wanted,
					  __u32 length)
{
	__u64 now = bpf_ktime_get_ns();

	relay->packets++;
	relay->bytes += length;
	relay->last_ns = now;
	wanted->packets++;
	wanted->bytes += length;
	wanted->last_ns = now;
	count(AMT_COUNT_DECAP_PACKETS);
	count_add(AMT_COUNT_DECAP_BYTES, length);
}

static __always_inline enum gateway_verdict decap_inner(void *data, void *data_end, struct decap *d,
							struct amt_decap *relay,
							const struct amt_config *conf)
{
	struct amt_decap *wanted;

	switch (inner_parse(data, data_end, d)) {
	case PARSE_DATAGRAM:
		break;
	case PARSE_FOREIGN:
		return decap_drop(AMT_COUNT_DECAP_NOT_MULTICAST);
	case PARSE_LINK_LOCAL:
		return decap_drop(AMT_COUNT_DECAP_LINK_LOCAL);
	default:
		return decap_drop(AMT_COUNT_DECAP_MALFORMED);
	}
	wanted = decap_find_wanted(&d->inner.key);
	if (!wanted)
		return decap_drop(AMT_COUNT_DECAP_UNWANTED);
	if (!conf->decap_ifindex)
		return decap_drop(AMT_COUNT_DECAP_NO_TARGET);
	if (d->inner.length > conf->decap_mtu)
		return decap_drop(AMT_COUNT_DECAP_TOO_BIG);
	if (!decap_ecn(d, relay))
		return GATEWAY_DROP;
	decap_account(relay, wanted, d->inner.length);
	return GATEWAY_DELIVER;
}

/* gso: several datagrams in one, which the stack splits for the socket. */
static __always_inline enum gateway_verdict gateway_judge(void *data, void *data_end, __u32 frame,
							  bool gso, struct decap *d,
							  const struct amt_config *conf)
{
	struct amt_decap *relay;
	struct amt_decap_key any = {};

	if (!decap_outer(data, data_end, frame, d))
		return GATEWAY_PASS;
	relay = bpf_map_lookup_elem(&decap_relays, &d->key);
	if (!relay) {
		any.local = d->key.local;
		any.local_port = d->key.local_port;
		if (!bpf_map_lookup_elem(&decap_relays, &any))
			return GATEWAY_PASS;
		return decap_drop(AMT_COUNT_DECAP_FOREIGN);
	}
	if (gso) {
		count(AMT_COUNT_DECAP_GSO);
		return GATEWAY_PASS;
	}
	if (!outer_intact(data, data_end, d))
		return GATEWAY_PASS;
	return decap_inner(data, data_end, d, relay, conf);
}

/* ---- what comes out ---- */

/* The Ethernet header for the group (RFC 1112 6.4, RFC 2464 7), in a buffer of 16. */
static __always_inline void decap_ethernet(__u8 *eth, const struct decap *d,
					   const struct amt_config *conf)
{
	const __u8 *group = d->inner.key.group.bytes;

	eth[0] = d->inner.ipv6 ? 0x33 : 0x01;
	eth[1] = d->inner.ipv6 ? 0x33 : 0x00;
	eth[2] = d->inner.ipv6 ? group[12] : 0x5e;
	eth[3] = d->inner.ipv6 ? group[13] : group[13] & 0x7f;
	eth[4] = group[14];
	eth[5] = group[15];
	__builtin_memcpy(eth + ETH_ALEN, conf->decap_mac, ETH_ALEN);
	eth[12] = d->inner.ipv6 ? ETH_P_IPV6 >> 8 : ETH_P_IP >> 8;
	eth[13] = d->inner.ipv6 ? ETH_P_IPV6 & 0xff : ETH_P_IP & 0xff;
}

#endif
