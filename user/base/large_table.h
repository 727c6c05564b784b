/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * uthash for files whose tables may have very many entries. A table that grows moves all entries at
 * once, so theirs begin with room for 300,000, in half a megabyte.
 */
#ifndef AMT_BASE_LARGE_TABLE_H
#define AMT_BASE_LARGE_TABLE_H

#include <uthash.h>

#undef HASH_INITIAL_NUM_BUCKETS
#undef HASH_INITIAL_NUM_BUCKETS_LOG2
#define HASH_INITIAL_NUM_BUCKETS      32768U
#define HASH_INITIAL_NUM_BUCKETS_LOG2 15U

#endif
