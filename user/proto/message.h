/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The seven AMT messages, between octets and a struct (RFC 7450 5.1). Pure: no I/O, no clock.
 * Reserved bits are ignored when read and zero when written.
 */
#ifndef AMT_PROTO_MESSAGE_H
#define AMT_PROTO_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <amt/counters.h>
#include <amt/wire.h>
#include "base/addr.h"

/* One message of any type; only the fields of that type have a meaning. */
struct amt_message {
	enum amt_type type;
	uint32_t nonce;		     /* opaque, as it stands on the wire */
	uint8_t mac[AMT_MAC_LEN];    /* Query, Update, Teardown */
	bool want_mld;		     /* Request: P at the RFC's bit or at the Linux gateway's */
	bool linux_p;		     /* Request: P was at the Linux gateway's bit */
	bool ecn;		     /* Request: E (RFC 9601) */
	bool limit;		     /* Query: L */
	bool gateway_present;	     /* Query: G, and then the gateway field is there */
	struct amt_sockaddr gateway; /* Query with G, Teardown */
	struct amt_addr relay;	     /* Advertisement */
	const uint8_t *datagram;     /* Query, Update, Data: the inner datagram, in the input */
	size_t datagram_len;	     /* Update: with whatever follows it */
};

/* Reads one UDP payload. Returns 0, or minus the enum amt_counter that names what is wrong
 * (AMT_COUNT_SHORT_MESSAGE, AMT_COUNT_BAD_VERSION, AMT_COUNT_BAD_TYPE). The result points into
 * buf. Never reads past len. */
int message_parse(const void *buf, size_t len, struct amt_message *msg);

/* Writes one message. Returns its length, or -ENOSPC, or -EINVAL for an unknown type. linux_p
 * puts a Request's P at 0x80 instead. */
int message_write(const struct amt_message *msg, void *buf, size_t size);

#endif
