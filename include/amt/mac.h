/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the response MAC is computed over (RFC 7450 5.3.5): a string of 24 octets, three words of
 * SipHash and nothing else, so that BPF and userspace can hash the same bytes.
 *
 *   0  16  gateway address, IPv4 as v4-mapped
 *  16   2  gateway port, network byte order
 *  18   4  request nonce, as it stands on the wire
 *  22   1  1 when the Request had E set, else 0
 *  23   1  zero
 *
 * The key is amt_secret.key, the 16 octets as SipHash names them. The MAC is the first 6 octets of
 * the 8 that SipHash-2-4 puts out, in its own (little-endian) order. P and the inner family are
 * left out on purpose.
 */
#ifndef AMT_MAC_H
#define AMT_MAC_H

#define AMT_MAC_INPUT_ADDRESS 0
#define AMT_MAC_INPUT_PORT    16
#define AMT_MAC_INPUT_NONCE   18
#define AMT_MAC_INPUT_ECN     22
#define AMT_MAC_INPUT_LEN     24

#endif
