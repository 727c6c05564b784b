/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a hash to small ids: the index of a table that may have very many entries, each known by its
 * number. Linear hashing: with each entry that comes, one bucket is split in two, so that there is
 * never a moment when all are moved. The entries themselves, and what makes two of them equal, are
 * the caller's. 12 octets an entry.
 */
#ifndef AMT_BASE_IDTABLE_H
#define AMT_BASE_IDTABLE_H

#include <stdint.h>

#define IDTABLE_NONE UINT32_MAX

struct idtable_entry {
	uint32_t next; /* of the same bucket */
	uint32_t hash;
};

/* All zero is an empty table. */
struct idtable {
	struct idtable_entry *entries; /* by id */
	uint32_t *buckets;
	uint32_t n, nbuckets;
	uint32_t room; /* of both arrays */
};

void idtable_free(struct idtable *table); /* empty, nothing allocated */
/* Room for ids up to this one. Returns 0 or -ENOMEM. */
int idtable_reserve(struct idtable *table, uint32_t id);
/* An id that is not in, and that there is room for. */
void idtable_add(struct idtable *table, uint32_t id, uint32_t hash);
/* An id that is in. */
void idtable_remove(struct idtable *table, uint32_t id);
/* Ids that have this hash, one by one; IDTABLE_NONE behind the last. */
uint32_t idtable_first(const struct idtable *table, uint32_t hash);
uint32_t idtable_next(const struct idtable *table, uint32_t id);

#endif
