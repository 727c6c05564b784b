/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Octets for tests of the wire formats: from hex, compared, and placed so that ASan sees an
 * overread. */
#ifndef AMT_TESTS_BYTES_H
#define AMT_TESTS_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include "base/addr.h"

/* Reads hex digits, spaces between them ignored, into buf of `size`. Returns the length. */
size_t unhex(const char *hex, uint8_t *buf, size_t size);

void assert_hex(const uint8_t *bytes, size_t len, const char *hex);

/* A copy whose last octet is the last of its allocation, also when len is 0. `free_exact` frees. */
struct exact {
	uint8_t *data;
	uint8_t *base;
};

struct exact exact_copy(const uint8_t *bytes, size_t len);
void free_exact(struct exact *exact);

/* addr_parse() that may not fail. */
struct amt_addr address(const char *text);

/* One inner datagram to be made for a test, right or wrong. */
struct test_ip {
	const char *options; /* hex: IPv4 options, IPv6 extension headers; NULL: none */
	const char *message; /* hex; its checksum field is filled in */
	uint8_t protocol;  /* IPv4 protocol, first IPv6 next header; 0: IGMP, or as options begin */
	uint8_t ttl;	   /* 0: 1 */
	uint16_t fragment; /* IPv4 flags and fragment offset */
	const char *source; /* NULL: 0.0.0.0, :: */
};

/* Builds it octet by octet, without the code under test but for the checksum. Returns the length.
 */
size_t build_ipv4(const struct test_ip *ip, uint8_t *buf, size_t size);
size_t build_ipv6(const struct test_ip *ip, uint8_t *buf, size_t size);

#endif
