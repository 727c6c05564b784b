// SPDX-License-Identifier: GPL-2.0-or-later
/* See helper_packet.h. */
#include "bpf/helper_packet.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <amt/wire.h>

static void put16(uint8_t *at, unsigned int value)
{
	at[0] = value >> 8;
	at[1] = value;
}

static unsigned int get16(const uint8_t *at)
{
	return at[0] << 8 | at[1];
}

uint16_t internet_checksum(const void *data, uint32_t length, uint64_t sum)
{
	const uint8_t *at = data;

	for (uint32_t i = 0; i < length; i++)
		sum += i & 1 ? at[i] : (uint32_t)at[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static uint64_t pseudo_sum(const uint8_t *addresses, uint32_t length, uint32_t udp)
{
	uint16_t folded = ~internet_checksum(addresses, length, 0);

	return (uint64_t)folded + IPPROTO_UDP + udp;
}

struct amt_addr packet_address(const char *text)
{
	struct amt_addr addr = {};

	if (inet_pton(AF_INET, text, addr.bytes + AMT_ADDR_V4_OFFSET) == 1)
		memset(addr.bytes + 10, 0xff, 2);
	else if (inet_pton(AF_INET6, text, addr.bytes) != 1)
		abort();
	return addr;
}

static uint32_t build_ethernet(uint8_t *frame, const struct packet_spec *spec,
			       const struct amt_addr *group)
{
	uint8_t *at = frame + 12;
	unsigned int tag = spec->vlans;

	memcpy(frame, spec->ipv6 ? "\x33\x33" : "\x01\x00\x5e", spec->ipv6 ? 2 : 3);
	memcpy(frame + (spec->ipv6 ? 2 : 3), group->bytes + (spec->ipv6 ? 12 : 13),
	       spec->ipv6 ? 4 : 3);
	memcpy(frame + 6, "\x02\x00\x00\x00\x00\x99", 6);
	for (; tag > 0; tag--, at += 4) {
		put16(at, tag == 2 ? 0x88a8 : 0x8100);
		put16(at + 2, 0x2000 | (100 + tag));
	}
	put16(at, spec->ipv6 ? 0x86dd : 0x0800);
	return at + 2 - frame;
}

static uint32_t build_ipv4(uint8_t *ip, const struct packet_spec *spec, uint32_t behind)
{
	uint32_t header = 20 + spec->options * 4;

	memset(ip, 0, header);
	ip[0] = 0x40 | header / 4;
	ip[1] = spec->tos;
	put16(ip + 2, header + behind);
	put16(ip + 4, 0x1234);
	put16(ip + 6, spec->fragment ? 0x00b9 : 0x4000);
	ip[8] = spec->ttl ? spec->ttl : 64;
	ip[9] = IPPROTO_UDP;
	inet_pton(AF_INET, spec->source ? spec->source : SOURCE4, ip + 12);
	inet_pton(AF_INET, spec->group ? spec->group : GROUP4, ip + 16);
	memset(ip + 20, 1, header - 20); /* no-operation options */
	put16(ip + 10, internet_checksum(ip, header, 0));
	return header;
}

static uint32_t build_ipv6(uint8_t *ip, const struct packet_spec *spec, uint32_t behind)
{
	bool extension = spec->options || spec->fragment;

	memset(ip, 0, 48);
	ip[0] = 0x60 | spec->tos >> 4;
	ip[1] = spec->tos << 4;
	put16(ip + 4, behind + (extension ? 8 : 0));
	ip[6] = spec->fragment ? IPPROTO_FRAGMENT : spec->options ? IPPROTO_HOPOPTS : IPPROTO_UDP;
	ip[7] = spec->ttl ? spec->ttl : 64;
	inet_pton(AF_INET6, spec->source ? spec->source : SOURCE6, ip + 8);
	inet_pton(AF_INET6, spec->group ? spec->group : GROUP6, ip + 24);
	if (!extension)
		return 40;
	ip[40] = IPPROTO_UDP;
	if (spec->fragment)
		put16(ip + 42, 0x05c8);
	else
		memcpy(ip + 42, "\x01\x04", 2); /* PadN */
	return 48;
}

static void build_payload(uint8_t *at, const struct packet_spec *spec)
{
	uint32_t state = spec->sequence * 2654435761U + 1;

	for (uint32_t i = 0; i < spec->payload; i++) {
		state = state * 1664525 + 1013904223;
		at[i] = state >> 24;
	}
	for (uint32_t i = 0; i < 4 && i < spec->payload; i++)
		at[i] = spec->sequence >> (24 - 8 * i);
}

static void build_udp(uint8_t *udp, const uint8_t *ip, const struct packet_spec *spec)
{
	uint32_t length = 8 + spec->payload;
	uint64_t pseudo = pseudo_sum(ip + (spec->ipv6 ? 8 : 12), spec->ipv6 ? 32 : 8, length);
	uint16_t check;

	put16(udp, 5004);
	put16(udp + 2, 5004);
	put16(udp + 4, length);
	put16(udp + 6, 0);
	build_payload(udp + 8, spec);
	check = spec->unfinished ? ~internet_checksum("", 0, pseudo)
				 : internet_checksum(udp, length, pseudo);
	put16(udp + 6, check ? check : 0xffff);
}

void packet_build(struct packet *packet, const struct packet_spec *spec)
{
	const char *text = spec->ipv6 ? GROUP6 : GROUP4;
	struct amt_addr group = packet_address(spec->group ? spec->group : text);
	uint32_t behind = spec->payload + (spec->fragment ? 0 : 8), header;
	uint8_t *ip;

	memset(packet, 0, sizeof(*packet));
	packet->front = build_ethernet(packet->frame, spec, &group);
	ip = packet->frame + packet->front;
	header = spec->ipv6 ? build_ipv6(ip, spec, behind) : build_ipv4(ip, spec, behind);
	if (spec->fragment)
		build_payload(ip + header, spec);
	else
		build_udp(ip + header, ip, spec);
	packet->inner = header + behind;
	packet->length = packet->front + packet->inner + spec->padding;
	memset(packet->frame + packet->front + packet->inner, 0xee, spec->padding);
}

void packet_forwarded(struct packet *packet, const struct packet_spec *spec)
{
	struct packet_spec after = *spec;

	after.ttl = (spec->ttl ? spec->ttl : 64) - 1;
	after.unfinished = false;
	packet_build(packet, &after);
}

static bool same_address(const uint8_t *at, const char *text, bool ipv6)
{
	struct amt_addr addr = packet_address(text);

	return !memcmp(at, addr.bytes + (ipv6 ? 0 : 12), ipv6 ? 16 : 4);
}

static const char *check_ipv4(const uint8_t *ip, uint32_t length, const struct copy_spec *spec)
{
	if (length < 30 || ip[0] != 0x45)
		return "not IPv4 without options";
	if (internet_checksum(ip, 20, 0))
		return "IPv4 header checksum";
	if (get16(ip + 2) != length)
		return "IPv4 length";
	if (ip[1] != spec->tos)
		return "TOS";
	if (get16(ip + 4) || get16(ip + 6) != 0x4000)
		return "identification 0 and DF";
	if (ip[8] != AMT_OUTER_TTL || ip[9] != IPPROTO_UDP)
		return "TTL or protocol";
	return same_address(ip + 12, spec->relay, false) ? NULL : "relay address";
}

static const char *check_ipv6(const uint8_t *ip, uint32_t length, const struct copy_spec *spec)
{
	if (length < 50 || ip[0] >> 4 != 6)
		return "not IPv6";
	if ((get16(ip) >> 4 & 0xff) != spec->tos)
		return "traffic class";
	if ((ip[1] & 0x0f) || get16(ip + 2))
		return "flow label";
	if (get16(ip + 4) != length - 40)
		return "IPv6 length";
	if (ip[6] != IPPROTO_UDP || ip[7] != AMT_OUTER_TTL)
		return "next header or hop limit";
	return same_address(ip + 8, spec->relay, true) ? NULL : "relay address";
}

static const char *check_udp(const uint8_t *udp, uint32_t length, const uint8_t *addresses,
			     const struct copy_spec *spec)
{
	uint64_t pseudo = pseudo_sum(addresses, spec->ipv6 ? 32 : 8, length);

	if (get16(udp) != spec->relay_port)
		return "UDP source port";
	if (get16(udp + 4) != length)
		return "UDP length";
	if (!spec->checksum && get16(udp + 6))
		return "UDP checksum is not zero";
	if (spec->checksum && (!get16(udp + 6) || internet_checksum(udp, length, pseudo)))
		return "UDP checksum is wrong";
	if (udp[8] != AMT_DATA || udp[9])
		return "AMT header";
	return NULL;
}

int copy_check(const uint8_t *frame, uint32_t length, const struct copy_spec *spec,
	       const uint8_t **inner, uint32_t *inner_length, const char **why)
{
	uint32_t header = spec->ipv6 ? 40 : 20, front = spec->vlan ? 18 : 14;
	const uint8_t *ip = frame + front;

	*why = "too short";
	if (length < front + header + 10)
		return -1;
	length -= front;
	*why = "MAC addresses";
	if (memcmp(frame, spec->dmac, 6) || memcmp(frame + 6, spec->smac, 6))
		return -1;
	*why = "VLAN tag";
	if (spec->vlan && (get16(frame + 12) != 0x8100 || get16(frame + 14) != spec->vlan_tci))
		return -1;
	*why = "ethertype";
	if (get16(ip - 2) != (spec->ipv6 ? 0x86dd : 0x0800))
		return -1;
	*why = spec->ipv6 ? check_ipv6(ip, length, spec) : check_ipv4(ip, length, spec);
	if (*why)
		return -1;
	*why = check_udp(ip + header, length - header, ip + (spec->ipv6 ? 8 : 12), spec);
	if (*why)
		return -1;
	*inner = ip + header + 10;
	*inner_length = length - header - 10;
	return get16(ip + header + 2);
}
