/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SipHash-2-4: the response MAC, and the hash of tables whose keys others choose. With a random
 * key, they cannot choose which collide.
 */
#ifndef AMT_BASE_SIPHASH_H
#define AMT_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t siphash24(const uint8_t key[16], const void *data, size_t len);

#endif
