/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SipHash-2-4 against its authors' vectors, and what the response MAC covers. */
#include "unit/unit.h"
#include "unit/bytes.h"
#include "unit/siphash.h"

#include <arpa/inet.h>
#include <endian.h>
#include <string.h>
#include <amt/mac.h>
#include "base/siphash.h"
#include "proto/response_mac.h"

static void siphash_vectors(void **state)
{
	uint8_t key[16], message[64];
	uint64_t hash;
	size_t i;

	for (i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)i;
	for (i = 0; i < sizeof(message); i++)
		message[i] = (uint8_t)i;
	for (i = 0; i < sizeof(message); i++) {
		struct exact exact = exact_copy(message, i);

		hash = htole64(siphash24(key, exact.data, i));
		assert_hex((const uint8_t *)&hash, sizeof(hash), siphash_outputs[i]);
		free_exact(&exact);
	}
}

static const struct amt_secret secret = {.key = "0123456789abcde", .installed_ns = 1};

static struct amt_sockaddr endpoint(const char *text, uint16_t port)
{
	return (struct amt_sockaddr){.addr = address(text), .port = htons(port)};
}

/* The 24 octets of mac.h, put together by hand: whoever hashes these has the same MAC. */
static void input_layout(void **state)
{
	static const char hex[] = "00000000 00000000 0000ffff c0000201 9cb0 01020304 01 00";
	struct amt_sockaddr gateway = endpoint("192.0.2.1", 40112);
	uint8_t input[AMT_MAC_INPUT_LEN], mac[AMT_MAC_LEN];
	uint64_t hash;

	assert_int_equal(unhex(hex, input, sizeof(input)), AMT_MAC_INPUT_LEN);
	hash = htole64(siphash24(secret.key, input, sizeof(input)));
	response_mac(&secret, &gateway, htonl(0x01020304), true, mac);
	assert_memory_equal(mac, &hash, sizeof(mac));
}

/* Each thing that the MAC is over changes it. */
static void everything_counts(void **state)
{
	struct amt_sockaddr gateway = endpoint("192.0.2.1", 40112), other;
	struct amt_secret changed = secret;
	uint8_t mac[AMT_MAC_LEN];
	unsigned int bit;
	bool ecn;

	response_mac(&secret, &gateway, 7, false, mac);
	assert_true(response_mac_verify(&secret, &gateway, 7, mac, AMT_MAC_LEN, &ecn));
	for (bit = 0; bit < 128; bit++) {
		other = gateway;
		other.addr.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(response_mac_verify(&secret, &other, 7, mac, AMT_MAC_LEN, &ecn));
		changed = secret;
		changed.key[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(response_mac_verify(&changed, &gateway, 7, mac, AMT_MAC_LEN, &ecn));
	}
	for (bit = 0; bit < 16; bit++) {
		other = gateway;
		other.port ^= (uint16_t)(1 << bit);
		assert_false(response_mac_verify(&secret, &other, 7, mac, AMT_MAC_LEN, &ecn));
	}
	for (bit = 0; bit < 32; bit++)
		assert_false(response_mac_verify(&secret, &gateway, 7 ^ 1U << bit, mac, AMT_MAC_LEN,
						 &ecn));
}

static void every_mac_bit_is_compared(void **state)
{
	struct amt_sockaddr gateway = endpoint("2001:db8::1", 1024);
	uint8_t mac[AMT_MAC_LEN];
	unsigned int bit;
	bool ecn;

	response_mac(&secret, &gateway, 7, true, mac);
	for (bit = 0; bit < 8 * AMT_MAC_LEN; bit++) {
		mac[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(response_mac_verify(&secret, &gateway, 7, mac, AMT_MAC_LEN, &ecn));
		assert_false(ecn);
		mac[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_true(response_mac_verify(&secret, &gateway, 7, mac, AMT_MAC_LEN, &ecn));
}

/* The Update tells by its MAC whether the Request had E, so nobody has to remember. */
static void ecn_is_learned(void **state)
{
	struct amt_sockaddr gateway = endpoint("192.0.2.1", 40112);
	uint8_t with[AMT_MAC_LEN], without[AMT_MAC_LEN];
	bool ecn;

	response_mac(&secret, &gateway, 7, true, with);
	response_mac(&secret, &gateway, 7, false, without);
	assert_memory_not_equal(with, without, sizeof(with));
	assert_true(response_mac_verify(&secret, &gateway, 7, with, AMT_MAC_LEN, &ecn));
	assert_true(ecn);
	assert_true(response_mac_verify(&secret, &gateway, 7, without, AMT_MAC_LEN, &ecn));
	assert_false(ecn);
}

/* An empty slot of the secrets map has a known key, all zero: it must match nothing. */
static void no_secret_matches_nothing(void **state)
{
	struct amt_sockaddr gateway = endpoint("192.0.2.1", 40112);
	struct amt_secret none = {0};
	uint8_t mac[AMT_MAC_LEN];
	bool ecn;

	response_mac(&none, &gateway, 7, false, mac);
	assert_false(response_mac_verify(&none, &gateway, 7, mac, AMT_MAC_LEN, &ecn));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(siphash_vectors),   cmocka_unit_test(input_layout),
		cmocka_unit_test(everything_counts), cmocka_unit_test(every_mac_bit_is_compared),
		cmocka_unit_test(ecn_is_learned),    cmocka_unit_test(no_secret_matches_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
