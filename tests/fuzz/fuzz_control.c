/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libFuzzer target: what a client says on the control socket. */
#include "checks_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len <= 16384)
		check_control(data, len);
	return 0;
}
