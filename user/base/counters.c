/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/counters.h"

#include <ctype.h>
#include <string.h>

#define COUNTER_NAME(name, help) [AMT_COUNT_##name] = #name,
#define COUNTER_HELP(name, help) [AMT_COUNT_##name] = help,

static const char *const names[AMT_COUNTERS_NUM] = {AMT_DATA_COUNTERS(COUNTER_NAME)
							    AMT_CONTROL_COUNTERS(COUNTER_NAME)};
static const char *const helps[AMT_COUNTERS_NUM] = {AMT_DATA_COUNTERS(COUNTER_HELP)
							    AMT_CONTROL_COUNTERS(COUNTER_HELP)};
static uint64_t values[AMT_COUNTERS_NUM];

void counter_add(enum amt_counter counter, uint64_t n)
{
	values[counter] += n;
}

uint64_t counter_get(enum amt_counter counter)
{
	return values[counter];
}

void counter_reset_all(void)
{
	memset(values, 0, sizeof(values));
}

const char *counter_name(enum amt_counter counter)
{
	static char lower[AMT_COUNTERS_NUM][32];
	char *out = lower[counter];
	size_t i;

	if (!out[0])
		for (i = 0; names[counter][i] && i < sizeof(lower[0]) - 1; i++)
			out[i] = (char)tolower(names[counter][i]);
	return out;
}

const char *counter_help(enum amt_counter counter)
{
	return helps[counter];
}
