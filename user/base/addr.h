/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Addresses: parsing, printing, families, prefixes and scopes of the one 16-byte type, and the
 * (address, port) pair that sockets and tunnels are known by.
 */
#ifndef AMT_BASE_ADDR_H
#define AMT_BASE_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <amt/addr.h>

/* An address and a UDP port (network byte order). */
struct amt_sockaddr {
	struct amt_addr addr;
	__be16 port;
};

struct amt_prefix {
	struct amt_addr addr;
	unsigned int bits; /* of the 16-byte form: an IPv4 /24 is 120 */
};

#define AMT_ADDR_STRLEN	    INET6_ADDRSTRLEN
#define AMT_SOCKADDR_STRLEN (INET6_ADDRSTRLEN + 9) /* "[addr]:port" */
#define AMT_PREFIX_STRLEN   (INET6_ADDRSTRLEN + 4)

struct amt_addr addr_from_ipv4(const void *four_octets);
struct amt_addr addr_from_ipv6(const void *sixteen_octets);
/* Returns 0 or -EINVAL. Takes "192.0.2.1" or "2001:db8::1". */
int addr_parse(const char *text, struct amt_addr *addr);
/* The family decides the form; all zero prints as "*". buf holds AMT_ADDR_STRLEN; returns buf. */
const char *addr_print(const struct amt_addr *addr, char *buf);

bool addr_is_any(const struct amt_addr *addr);
bool addr_is_ipv4(const struct amt_addr *addr); /* v4-mapped */
bool addr_is_multicast(const struct amt_addr *addr);
/* 224.0.0.0/24, and IPv6 multicast scopes 0, 1, 2: never forwarded, so never stored. */
bool addr_is_multicast_local(const struct amt_addr *addr);
/* 232.0.0.0/8 and ff3x::/32. */
bool addr_is_ssm(const struct amt_addr *addr);
/* Could be the source of a packet: not multicast, unspecified, broadcast or loopback. */
bool addr_is_unicast_source(const struct amt_addr *addr);
bool addr_equal(const struct amt_addr *a, const struct amt_addr *b);
int addr_compare(const struct amt_addr *a, const struct amt_addr *b); /* memcmp order */
int addr_family(const struct amt_addr *addr);			      /* AF_INET or AF_INET6 */

bool sockaddr_equal(const struct amt_sockaddr *a, const struct amt_sockaddr *b);
/* "192.0.2.1:2268" or "[2001:db8::1]:2268"; buf holds AMT_SOCKADDR_STRLEN; returns buf. */
const char *sockaddr_print(const struct amt_sockaddr *sa, char *buf);
/* To and from the kernel's form. to_native writes the family's own form and returns its length. */
socklen_t sockaddr_to_native(const struct amt_sockaddr *sa, struct sockaddr_storage *out);
int sockaddr_from_native(const struct sockaddr *in, struct amt_sockaddr *sa); /* 0, -EAFNOSUPPORT */

/* "192.0.2.0/24", "2001:db8::/32", or an address alone. Host bits must be zero. 0 or -EINVAL. */
int prefix_parse(const char *text, struct amt_prefix *prefix);
/* The same with host bits kept, as an interface's address: "192.0.2.5/24". 0, or -EINVAL, also for
 * addresses that no interface can have and a length of 0. */
int prefix_parse_host(const char *text, struct amt_prefix *prefix);
bool prefix_contains(const struct amt_prefix *prefix, const struct amt_addr *addr);
const char *prefix_print(const struct amt_prefix *prefix, char *buf);

#endif
