/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * amtd's own counters (the second list of <amt/counters.h>) and the names of all of them.
 */
#ifndef AMT_BASE_COUNTERS_H
#define AMT_BASE_COUNTERS_H

#include <stdint.h>
#include <amt/counters.h>

/* One a process; the event loop is single-threaded. */
void counter_add(enum amt_counter counter, uint64_t n);
uint64_t counter_get(enum amt_counter counter);
void counter_reset_all(void); /* for tests */

const char *counter_name(enum amt_counter counter); /* lower case, static storage */
const char *counter_help(enum amt_counter counter);

#endif
