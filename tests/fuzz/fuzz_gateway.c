/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libFuzzer target: lives of the gateway engine. */
#include "checks_gateway.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len <= 4096)
		check_gateway(data, len);
	return 0;
}
