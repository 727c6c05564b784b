/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The multicast datagram inside a Multicast Data message, checked as the IP stack behind a gateway
 * would check it: lengths, header checksum, UDP checksum. Pure.
 */
#ifndef AMT_LOAD_DATAGRAM_H
#define AMT_LOAD_DATAGRAM_H

#include <stddef.h>
#include <stdint.h>
#include "base/addr.h"

enum datagram_verdict {
	DATAGRAM_UDP,
	DATAGRAM_FRAGMENT,     /* of a larger datagram: no payload to look at */
	DATAGRAM_MALFORMED,    /* lengths that contradict each other, or not UDP */
	DATAGRAM_BAD_CHECKSUM, /* of the IPv4 header or UDP */
};

struct datagram {
	struct amt_addr source, group;
	uint8_t ttl;
	const uint8_t *payload; /* of UDP, in the input */
	size_t payload_len;
};

/* source and group are set in every verdict but DATAGRAM_MALFORMED. The datagram has to fill len:
 * a relay trims padding. */
enum datagram_verdict datagram_parse(const void *buf, size_t len, struct datagram *out);

#endif
