/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two raw sockets that send ICMP and ICMPv6 errors, and receive Destination Unreachable alone.
 */
#ifndef AMT_RELAY_ICMP_SOCKET_H
#define AMT_RELAY_ICMP_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include "base/addr.h"

#define ICMP_MESSAGE_MAX 1280 /* an error with its IP header is no longer */

struct icmp_socket {
	int ipv4, ipv6; /* -1: could not be opened; nothing goes by it */
};

/* Needs CAP_NET_RAW. 0, or the negative errno of a socket that could not be opened. */
int icmp_socket_open(struct icmp_socket *icmp);
void icmp_socket_close(struct icmp_socket *icmp);
/* The message without IP header; the socket is chosen by the address. */
void icmp_socket_send(const struct icmp_socket *icmp, const struct amt_addr *to, const void *buf,
		      size_t len);
/* Takes the next message that waits, without its IP header. buf holds ICMP_MESSAGE_MAX. Returns
 * where in it the message begins; NULL: none waits. */
const void *icmp_socket_receive(const struct icmp_socket *icmp, bool ipv6, void *buf, size_t *len);

#endif
