/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside of the pseudo-interface, for pseudo.c: the packet socket on the peer, which takes IGMP and
 * MLD that left the pseudo-interface and puts multicast datagrams in.
 */
#ifndef AMT_GATEWAY_PSEUDO_PACKET_H
#define AMT_GATEWAY_PSEUDO_PACKET_H

#include <stddef.h>
#include <stdint.h>

/* A non-blocking descriptor bound to the peer, or negative errno. */
int pseudo_packet_open(uint32_t ifindex);
/* Puts one datagram in as a frame to its group's MAC address (RFC 1112 6.4, RFC 2464 7). */
int pseudo_packet_send(int fd, uint32_t ifindex, const void *datagram, size_t len);

#endif
