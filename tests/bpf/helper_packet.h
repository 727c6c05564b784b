/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packets for the tests of the packet path: builds multicast frames to put in, and judges the
 * copies that come out, octet by octet and independently of the code under test.
 */
#ifndef AMT_TESTS_BPF_PACKET_H
#define AMT_TESTS_BPF_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <amt/maps.h>

#define FRAME_MAX 4096

struct packet_spec {
	bool ipv6;
	unsigned int vlans;	    /* 0..2 tags */
	uint8_t tos, ttl;	    /* ttl 0: 64 */
	uint32_t payload;	    /* UDP payload octets */
	uint32_t sequence;	    /* written at the start of the payload, and seeds the rest */
	const char *source, *group; /* NULL: the defaults below */
	unsigned int options;	    /* IPv4: words of options; IPv6: a hop-by-hop header of 8 */
	bool fragment;		    /* a later fragment: no UDP header */
	unsigned int padding;	    /* octets behind the datagram */
	bool unfinished;	    /* UDP checksum left to a device */
};

#define SOURCE4 "198.51.100.7"
#define SOURCE6 "2001:db8:5::7"
#define GROUP4	"232.1.2.3"
#define GROUP6	"ff3e::8000:1"

struct packet {
	uint8_t frame[FRAME_MAX];
	uint32_t length; /* of the frame */
	uint32_t front;	 /* octets before the datagram */
	uint32_t inner;	 /* octets of the datagram */
};

void packet_build(struct packet *packet, const struct packet_spec *spec);
/* The datagram as a router forwards it: TTL one less, UDP checksum finished. */
void packet_forwarded(struct packet *packet, const struct packet_spec *spec);
struct amt_addr packet_address(const char *text);

/* What every copy of a block must look like. */
struct copy_spec {
	bool ipv6, vlan, checksum; /* checksum: UDP's is there and right; else zero */
	uint8_t tos;		   /* outer */
	uint8_t smac[6], dmac[6];
	const char *relay;
	uint16_t relay_port, vlan_tci;
};

/* Checks a frame; copies the datagram out of it. Returns the gateway's port, or -1 with *why. */
int copy_check(const uint8_t *frame, uint32_t length, const struct copy_spec *spec,
	       const uint8_t **inner, uint32_t *inner_length, const char **why);

uint16_t internet_checksum(const void *data, uint32_t length, uint64_t sum);

#endif
