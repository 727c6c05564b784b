/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/response_mac.h"

#include <endian.h>
#include <string.h>
#include <amt/mac.h>

static uint64_t load64(const uint8_t *at)
{
	uint64_t word;

	memcpy(&word, at, sizeof(word));
	return le64toh(word);
}

static uint64_t rotate(uint64_t word, unsigned int bits)
{
	return word << bits | word >> (64 - bits);
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] = rotate(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] = rotate(v[2], 32);
}

static void sip_compress(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	sip_round(v);
	sip_round(v);
	v[0] ^= word;
}

/* Aumasson and Bernstein, "SipHash: a fast short-input PRF", section 2: c = 2, d = 4. */
uint64_t siphash24(const uint8_t key[16], const void *data, size_t len)
{
	uint64_t k0 = load64(key), k1 = load64(key + 8);
	uint64_t v[4] = {
		k0 ^ 0x736f6d6570736575,
		k1 ^ 0x646f72616e646f6d,
		k0 ^ 0x6c7967656e657261,
		k1 ^ 0x7465646279746573,
	};
	const uint8_t *at = data;
	uint64_t last = (uint64_t)(len & 0xff) << 56;
	size_t left;
	int i;

	for (left = len; left >= 8; left -= 8, at += 8)
		sip_compress(v, load64(at));
	while (left-- > 0)
		last |= (uint64_t)at[left] << (8 * left);
	sip_compress(v, last);
	v[2] ^= 0xff;
	for (i = 0; i < 4; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
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
