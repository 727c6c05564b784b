/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Internet checksum (RFC 1071): IPv4 header, IGMP, ICMPv6 and UDP. A sum is carried in host
 * byte order from call to call; only the finished checksum is in network byte order.
 */
#ifndef AMT_BASE_CHECKSUM_H
#define AMT_BASE_CHECKSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <amt/addr.h>

/* Adds octets to a sum that began as 0. Only the last piece may have an odd length. */
uint32_t checksum_add(uint32_t sum, const void *data, size_t len);

/* Adds the pseudo header of a UDP, TCP or ICMPv6 message of len octets (RFC 8200 8.1). Serves
 * IPv4 (RFC 768) as well when both addresses are v4-mapped. */
uint32_t checksum_add_pseudo(uint32_t sum, const struct amt_addr *source,
			     const struct amt_addr *destination, uint8_t protocol, uint32_t len);

/* The checksum field's value for what was summed with that field zero. UDP must send 0xffff for a
 * 0 (RFC 768); that is left to the caller. */
__be16 checksum_finish(uint32_t sum);

/* Whether a sum that includes the checksum field is that of an undamaged message. */
bool checksum_good(uint32_t sum);

#endif
