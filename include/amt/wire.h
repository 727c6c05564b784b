/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * AMT on the wire: message types, offsets and lengths of RFC 7450 section 5.1, and the few IP,
 * UDP, IGMP and MLD numbers that BPF and userspace both need. Offsets count from the first octet
 * of the UDP payload; all fields are in network byte order.
 */
#ifndef AMT_WIRE_H
#define AMT_WIRE_H

#define AMT_PORT	 2268 /* RFC 7450 7.2 */
#define AMT_WIRE_VERSION 0
#define AMT_TYPE_MASK	 0x0f /* low nibble of octet 0 */
#define AMT_VERS_SHIFT	 4    /* high nibble of octet 0 */

/* RFC 7450 5.1.1 .. 5.1.7 */
enum amt_type {
	AMT_DISCOVERY = 1,
	AMT_ADVERTISEMENT = 2,
	AMT_REQUEST = 3,
	AMT_QUERY = 4,
	AMT_UPDATE = 5,
	AMT_DATA = 6,
	AMT_TEARDOWN = 7,
};

#define AMT_NONCE_LEN	  4
#define AMT_MAC_LEN	  6 /* response MAC, RFC 7450 5.1.4.6 */
#define AMT_MAC_SHORT_LEN 4 /* what Cisco gives back intact of it */

/* 5.1.1 Relay Discovery */
#define AMT_DISCOVERY_NONCE 4
#define AMT_DISCOVERY_LEN   8

/* 5.1.2 Relay Advertisement: the address family follows from the length */
#define AMT_ADVERTISEMENT_NONCE 4
#define AMT_ADVERTISEMENT_RELAY 8
#define AMT_ADVERTISEMENT_LEN4	12
#define AMT_ADVERTISEMENT_LEN6	24

/* 5.1.3 Request; E is RFC 9601 6.1.4.2 */
#define AMT_REQUEST_FLAGS   1
#define AMT_REQUEST_P	    0x01
#define AMT_REQUEST_E	    0x02
#define AMT_REQUEST_P_LINUX 0x80 /* where the Linux gateway's bit-field puts P */
#define AMT_REQUEST_NONCE   4
#define AMT_REQUEST_LEN	    8 /* VLC sends 9 octets */

/* 5.1.4 Membership Query: header, inner datagram, then the G fields when G is set */
#define AMT_QUERY_FLAGS	   1
#define AMT_QUERY_G	   0x01
#define AMT_QUERY_L	   0x02
#define AMT_QUERY_MAC	   2
#define AMT_QUERY_NONCE	   8
#define AMT_QUERY_DATAGRAM 12
#define AMT_GATEWAY_LEN	   18 /* port (2), IPv4-compatible or IPv6 address (16) */
#define AMT_QUERY_IGMP_LEN 36 /* the general queries inside: whole datagrams */
#define AMT_QUERY_MLD_LEN  76

/* 5.1.5 Membership Update */
#define AMT_UPDATE_MAC	    2
#define AMT_UPDATE_NONCE    8
#define AMT_UPDATE_DATAGRAM 12

/* 5.1.6 Multicast Data */
#define AMT_DATA_DATAGRAM 2
#define AMT_DATA_LEN	  2

/* 5.1.7 Teardown */
#define AMT_TEARDOWN_MAC     2
#define AMT_TEARDOWN_NONCE   8
#define AMT_TEARDOWN_GATEWAY 12
#define AMT_TEARDOWN_LEN     30

/* What encapsulation adds in front of the inner datagram (RFC 7450 5.3.3.6.1) */
#define AMT_IPV4_HLEN 20
#define AMT_IPV6_HLEN 40
#define AMT_UDP_HLEN  8
#define AMT_OVERHEAD4 (AMT_IPV4_HLEN + AMT_UDP_HLEN + AMT_DATA_LEN)
#define AMT_OVERHEAD6 (AMT_IPV6_HLEN + AMT_UDP_HLEN + AMT_DATA_LEN)
#define AMT_OUTER_TTL 64   /* */
#define AMT_TOS_CS6   0xc0 /* control messages and general queries */
#define AMT_DSCP_MASK 0xfc
#define AMT_ECN_MASK  0x03

/* RFC 7450 4.1.5.2, 7.1: well-known anycast discovery addresses */
#define AMT_DISCOVERY_IPV4 "192.52.193.1"
#define AMT_DISCOVERY_IPV6 "2001:3::1"

#endif
