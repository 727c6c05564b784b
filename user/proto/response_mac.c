/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/response_mac.h"

#include <endian.h>
#include <string.h>
#include <amt/mac.h>
#include <amt/siphash.h>

static uint64_t load64(const uint8_t *at)
{
	uint64_t word;

	memcpy(&word, at, sizeof(word));
	return le64toh(word);
}

uint64_t siphash24(const uint8_t key[16], const void *data, size_t len)
{
	const uint8_t *at = data;
	struct amt_sip sip;
	uint64_t rest = 0;
	size_t left;

	amt_sip_begin(&sip, load64(key), load64(key + 8));
	for (left = len; left >= 8; left -= 8, at += 8)
		amt_sip_word(&sip, load64(at));
	while (left-- > 0)
		rest |= (uint64_t)at[left] << (8 * left);
	return amt_sip_end(&sip, rest, len & 0xff);
}

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
