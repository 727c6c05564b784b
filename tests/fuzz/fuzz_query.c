/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libFuzzer target: the datagram inside a Membership Query. */
#include "checks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	check_datagram(check_query, data, len);
	return 0;
}
