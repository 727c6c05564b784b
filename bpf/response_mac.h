/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The response MAC as the shield computes and verifies it: the same 24 octets as userspace hashes
 * (<amt/mac.h>, RFC 7450 5.3.5), put together as three words without going through memory.
 */
#ifndef AMT_BPF_RESPONSE_MAC_H
#define AMT_BPF_RESPONSE_MAC_H

#include <amt/mac.h>
#include <amt/siphash.h>
#include <amt/wire.h>
#include "maps.h"

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define le16(word) ((__u64)(__u16)(word))
#define le32(word) ((__u64)(__u32)(word))
#define le64(word) ((__u64)(word))
#else
#define le16(word) ((__u64)__builtin_bswap16(word))
#define le32(word) ((__u64)__builtin_bswap32(word))
#define le64(word) ((__u64)__builtin_bswap64(word))
#endif

#define MAC_MASK       ((1ull << 8 * AMT_MAC_LEN) - 1)
#define MAC_SHORT_MASK ((1ull << 8 * AMT_MAC_SHORT_LEN) - 1)

/* What a MAC is over, but for the E flag: the three words of the input. A MAC is a number here: its
 * octets from the lowest on. */
struct mac_input {
	__u64 address[2];
	__u64 rest; /* port, nonce */
};

/* port and nonce as they stand on the wire. */
static __always_inline struct mac_input mac_input(const struct amt_addr *gateway, __be16 port,
						  __u32 nonce)
{
	struct mac_input input;

	__builtin_memcpy(input.address, gateway, sizeof(input.address));
	input.address[0] = le64(input.address[0]);
	input.address[1] = le64(input.address[1]);
	input.rest = le16(port) | le32(nonce) << 8 * (AMT_MAC_INPUT_NONCE - AMT_MAC_INPUT_PORT);
	return input;
}

static __always_inline __u64 mac_octets(const __u8 *at)
{
	const __u16 *half = (const void *)at;

	return le16(half[0]) | le16(half[1]) << 16 | le16(half[2]) << 32;
}

/* Not static: its rounds are verified once, on their own, and not again for each caller. */
__noinline __u64 mac_compute(const struct amt_secret *secret, const struct mac_input *input,
			     __u64 ecn)
{
	struct amt_sip sip;
	__u64 key[2];

	if (!secret || !input)
		return 0;
	__builtin_memcpy(key, secret->key, sizeof(key));
	amt_sip_begin(&sip, le64(key[0]), le64(key[1]));
	amt_sip_word(&sip, input->address[0]);
	amt_sip_word(&sip, input->address[1]);
	amt_sip_word(&sip, input->rest | ecn << 8 * (AMT_MAC_INPUT_ECN - AMT_MAC_INPUT_PORT));
	return amt_sip_end(&sip, 0, AMT_MAC_INPUT_LEN) & MAC_MASK;
}

/* Whether the MAC is right under this secret, with E off or on, as far as the mask goes.
 * Always computes both: the time tells nothing. */
static __always_inline bool mac_matches(const struct amt_secret *secret,
					const struct mac_input *input, __u64 mac, __u64 mask)
{
	__u64 without = mac_compute(secret, input, 0) ^ mac;
	__u64 with = mac_compute(secret, input, 1) ^ mac;

	return !(without & mask) | !(with & mask);
}

static __always_inline const struct amt_secret *mac_secret(__u32 index)
{
	const struct amt_secret *secret = bpf_map_lookup_elem(&secrets, &index);

	return secret && secret->installed_ns ? secret : NULL;
}

/* The current secret, then the previous while it is good. */
static __always_inline bool mac_verify(const struct amt_shield *policy,
				       const struct mac_input *input, __u64 mac, __u64 now)
{
	__u64 mask = policy->flags & AMT_SHIELD_SHORT_MAC ? MAC_SHORT_MASK : MAC_MASK;
	const struct amt_secret *current = mac_secret(0), *previous;

	if (!current)
		return false;
	if (mac_matches(current, input, mac, mask))
		return true;
	previous = mac_secret(1);
	return previous && now < current->installed_ns + policy->previous_ns &&
	       mac_matches(previous, input, mac, mask);
}

#endif
