/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libFuzzer target: AMT messages, as they come out of a UDP datagram. */
#include "checks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	check_message(data, len);
	return 0;
}
