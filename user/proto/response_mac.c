/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/response_mac.h"

#include <endian.h>
#include <string.h>
#include <amt/mac.h>
#include "base/siphash.h"

void response_mac(const struct amt_secret *secret, const struct amt_sockaddr *gateway,
		  uint32_t nonce, bool ecn, uint8_t mac[AMT_MAC_LEN])
{
	uint8_t input[AMT_MAC_INPUT_LEN] = {0};
	uint64_t hash;

	memcpy(input + AMT_MAC_INPUT_ADDRESS, gateway->addr.bytes, sizeof(gateway->addr.bytes));
	memcpy(input + AMT_MAC_INPUT_PORT, &gateway->port, sizeof(gateway->port));
	memcpy(input + AMT_MAC_INPUT_NONCE, &nonce, sizeof(nonce));
	input[AMT_MAC_INPUT_ECN] = ecn;
	hash = htole64(siphash24(secret->key, input, sizeof(input)));
	memcpy(mac, &hash, AMT_MAC_LEN);
}

/* 0 when equal. Takes the same time wherever the first difference stands; volatile keeps
 * the compiler from leaving the loop early. */
static uint8_t mac_difference(const uint8_t *a, const uint8_t *b, size_t length)
{
	volatile uint8_t difference = 0;
	size_t i;

	for (i = 0; i < length; i++)
		difference |= a[i] ^ b[i];
	return difference;
}

bool response_mac_verify(const struct amt_secret *secret, const struct amt_sockaddr *gateway,
			 uint32_t nonce, const uint8_t mac[AMT_MAC_LEN], size_t length, bool *ecn)
{
	uint8_t without[AMT_MAC_LEN], with[AMT_MAC_LEN];
	uint8_t differs_without, differs_with;

	*ecn = false;
	if (!secret->installed_ns)
		return false;
	response_mac(secret, gateway, nonce, false, without);
	response_mac(secret, gateway, nonce, true, with);
	differs_without = mac_difference(mac, without, length);
	differs_with = mac_difference(mac, with, length);
	*ecn = differs_with == 0;
	return differs_without == 0 || differs_with == 0;
}
