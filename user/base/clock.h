/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one clock: CLOCK_MONOTONIC in nanoseconds, the same that BPF's bpf_ktime_get_ns() reads.
 * Only the edges ask it; everything else takes `now` as an argument.
 */
#ifndef AMT_BASE_CLOCK_H
#define AMT_BASE_CLOCK_H

#include <stdint.h>

#define NSEC_PER_SEC  1000000000ull
#define NSEC_PER_MSEC 1000000ull
#define TIME_NEVER    UINT64_MAX

uint64_t clock_now(void);

#endif
