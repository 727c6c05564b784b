/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the hostile programs of the end-to-end tests share: AMT messages as octets that can be
 * spoiled, by chance or in one known way, and have their inner checksums put right again.
 */
#ifndef AMT_TESTS_E2E_PACKET_H
#define AMT_TESTS_E2E_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/addr.h"
#include "proto/message.h"

#define PACKET_MAX 512
/* Updates and Queries alike */
#define PACKET_INNER AMT_UPDATE_DATAGRAM
_Static_assert(AMT_UPDATE_DATAGRAM == AMT_QUERY_DATAGRAM, "one place for the inner datagram");

#define IGMP_AT	  24 /* in the inner datagram, behind the router alert */
#define ICMPV6_AT 48

struct packet {
	uint8_t octets[PACKET_MAX];
	size_t len;
};

/* One octet of the inner datagram is another value; 0: no such fault in this family. */
struct fault {
	const char *name;
	bool repaired; /* the checksums are right for what is there */
	uint8_t at4, value4, at6, value6;
};

/* Ends the program: its name, what, and errno's text. */
__attribute__((noreturn)) void die(const char *what);

/* The same row in every run. */
uint32_t random_below(uint32_t bound);

/* Ends the program when the message cannot be written. */
void packet_message(struct packet *p, const struct amt_message *msg);
/* Bits, octets, ends of ranges, lengths: one of them changes. */
void packet_mutate(struct packet *p);
/* Makes the inner checksums of an Update or Query right again, where it still is of that form. */
void packet_repair(struct packet *p);
/* The fault of that name, if there is one: those of the IP header and the checksum (not-ip,
 * protocol, ttl, ip-checksum, fragment, checksum), and the list's, which ends with a name of NULL.
 */
bool packet_fault(struct packet *p, const struct fault *faults, bool ipv6, const char *name);

/* Bound to an address and port of this host. Ends the program when that is impossible. */
int packet_socket(const struct amt_sockaddr *local);
/* For UDP packets of our own making, sent to an address from one of this host. */
int packet_raw_socket(const struct amt_addr *source, const struct amt_addr *to);

#endif
