/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ICMP errors that tell a source what size fits: destination unreachable,
 * fragmentation needed (RFC 792, RFC 1191) and ICMPv6 Packet Too Big (RFC 4443 3.2). Pure.
 */
#ifndef AMT_RELAY_ICMP_ERROR_H
#define AMT_RELAY_ICMP_ERROR_H

#include <stddef.h>
#include <stdint.h>

/* An error with its IP header never exceeds 576 octets (RFC 1812 4.3.2.3), or IPv6's least MTU. */
#define ICMP_ERROR_MAX (1280 - 40)

/* Writes the ICMP message, without IP header, that quotes the datagram. The IPv4 one has its
 * checksum, the ICMPv6 one leaves it to the raw socket. buf holds ICMP_ERROR_MAX. Returns the
 * length. */
size_t icmp_frag_needed(const void *datagram, size_t len, uint32_t mtu, uint8_t *buf);
size_t icmp6_packet_too_big(const void *datagram, size_t len, uint32_t mtu, uint8_t *buf);

#endif
