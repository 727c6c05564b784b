/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one address type of the project: 16 bytes, IPv4 as v4-mapped (::ffff:a.b.c.d), shared by
 * BPF and userspace, so that family is data and no code exists twice.
 */
#ifndef AMT_ADDR_H
#define AMT_ADDR_H

#include <linux/types.h>

/* Network byte order. All zero means "any" (no source, no address). */
struct amt_addr {
	__u8 bytes[16];
} __attribute__((aligned(4)));

#define AMT_ADDR_V4_OFFSET 12 /* where the four IPv4 octets stand in a v4-mapped address */

#endif
