/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/checksum.h"

#include <arpa/inet.h>

static uint16_t fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

uint32_t checksum_add(uint32_t sum, const void *data, size_t len)
{
	const uint8_t *octet = data;
	uint64_t total = sum;
	size_t i;

	for (i = 0; i + 1 < len; i += 2)
		total += (uint32_t)(octet[i] << 8 | octet[i + 1]);
	if (i < len)
		total += (uint32_t)(octet[i] << 8);
	return fold(total);
}

/* The ::ffff of two v4-mapped addresses adds 0xffff twice, and 0xffff is a zero of one's complement
 * arithmetic: so one function is right for both families. */
uint32_t checksum_add_pseudo(uint32_t sum, const struct amt_addr *source,
			     const struct amt_addr *destination, uint8_t protocol, uint32_t len)
{
	sum = checksum_add(sum, source->bytes, sizeof(source->bytes));
	sum = checksum_add(sum, destination->bytes, sizeof(destination->bytes));
	return fold((uint64_t)sum + (len >> 16) + (len & 0xffff) + protocol);
}

__be16 checksum_finish(uint32_t sum)
{
	return htons((uint16_t)~fold(sum));
}

bool checksum_good(uint32_t sum)
{
	return fold(sum) == 0xffff;
}
