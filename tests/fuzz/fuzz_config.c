/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libFuzzer target: amtd.conf(5). */
#include "checks_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	check_config(data, len);
	return 0;
}
