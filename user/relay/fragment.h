/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * IPv4 fragmentation of a datagram that is to travel inside a tunnel (RFC 791, R-90). Pure.
 */
#ifndef AMT_RELAY_FRAGMENT_H
#define AMT_RELAY_FRAGMENT_H

#include <stddef.h>
#include <stdint.h>

#define FRAGMENT_MAX 65535

/* Calls fn with each fragment, a whole datagram of at most mtu octets, in order. The datagram may
 * be a fragment itself. Returns how many, -EINVAL for a datagram whose lengths contradict each
 * other, or -EMSGSIZE when mtu has no room for 8 octets behind the header. DF is the caller's to
 * look at. */
int fragment_ipv4(const void *datagram, size_t len, size_t mtu,
		  void (*fn)(void *arg, const uint8_t *fragment, size_t len), void *arg);

#endif
