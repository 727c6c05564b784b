/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ICMP and ICMPv6 Destination Unreachable about our own Multicast Data: whom the packet that they
 * quote was for (RFC 7450 5.3.3.6.4, R-95). Pure.
 */
#ifndef AMT_RELAY_ICMP_UNREACHABLE_H
#define AMT_RELAY_ICMP_UNREACHABLE_H

#include <stdbool.h>
#include <stddef.h>
#include "base/addr.h"

/* An ICMP or ICMPv6 message without its IP header. True: it says that Multicast Data from relay did
 * not reach gateway, for another reason than its size. Whether there is such a tunnel is for the
 * caller to see. */
bool icmp_unreachable_parse(bool ipv6, const void *message, size_t len, struct amt_sockaddr *relay,
			    struct amt_sockaddr *gateway);

#endif
