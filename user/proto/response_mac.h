/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Response MAC (RFC 7450 5.3.5): SipHash-2-4 over the gateway's address, port, request nonce and
 * E flag, cut to 48 bits. Not over P, nor the inner family. The E flag costs no state: it
 * is learned at the Update by trying both values.
 */
#ifndef AMT_PROTO_RESPONSE_MAC_H
#define AMT_PROTO_RESPONSE_MAC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <amt/maps.h>
#include <amt/wire.h>
#include "base/addr.h"

void response_mac(const struct amt_secret *secret, const struct amt_sockaddr *gateway,
		  uint32_t nonce, bool ecn, uint8_t mac[AMT_MAC_LEN]);

/* True when the first length octets of mac, AMT_MAC_LEN as a rule, are right under the secret with
 * E off or on; *ecn says which. Constant time. A secret with installed_ns 0 matches nothing. */
bool response_mac_verify(const struct amt_secret *secret, const struct amt_sockaddr *gateway,
			 uint32_t nonce, const uint8_t mac[AMT_MAC_LEN], size_t length, bool *ecn);

#endif
