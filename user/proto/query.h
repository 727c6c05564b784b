/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * General queries, whole datagrams: IPv4/IGMPv3 (36 octets) and IPv6/MLDv2 (76 octets) as a
 * Membership Query carries them (R-48..R-56), written and, for gateways, checked.
 */
#ifndef AMT_PROTO_QUERY_H
#define AMT_PROTO_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <amt/wire.h>
#include "base/addr.h"

#define QUERY_IGMP_LEN AMT_QUERY_IGMP_LEN
#define QUERY_MLD_LEN  AMT_QUERY_MLD_LEN

/* For a QQIC and a QRV of zero (R-111, R-112, RFC 3376 4.1.6). */
#define QUERY_INTERVAL_DEFAULT	 125
#define QUERY_ROBUSTNESS_DEFAULT 2

struct query_params {
	struct amt_addr source;	 /* any: 0.0.0.0; MLD wants link-local */
	unsigned int robustness; /* QRV, 1..7 */
	unsigned int interval_s; /* QQI in seconds; encoded as R-54 */
};

/* Returns QUERY_IGMP_LEN or QUERY_MLD_LEN, -ENOSPC, or -EINVAL for a robustness that cannot be said
 * or a source of the other family. */
int query_write(bool mld, const struct query_params *params, void *buf, size_t size);

/* Reads a general query: lengths, checksums, version 3 / 2, group zero; any source.
 * Returns the inner datagram's own length, or -EINVAL. params is filled. */
int query_parse(const void *datagram, size_t len, bool *mld, struct query_params *params);

/* RFC 3376 4.1.7 / RFC 3810 5.1.9: code to seconds and back (the largest code not above). */
uint8_t query_interval_code(unsigned int seconds);
unsigned int query_interval_seconds(uint8_t code);

#endif
