/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A set of small ids (tunnels): one id without any allocation; some by open addressing; where that
 * would be no smaller, a bit for each id. So 100,000 channels of one listener stay small, a channel
 * of 100,000 listeners is smaller still, and no change takes long. Ids are our own, so nobody can
 * choose which collide.
 */
#ifndef AMT_PROTO_IDSET_H
#define AMT_PROTO_IDSET_H

#include <stdbool.h>
#include <stdint.h>

/* All zero is the empty set. UINT32_MAX is never an id. */
struct idset {
	union {
		uint32_t one;	 /* room 0 */
		uint32_t *slots; /* else: ids, or 32 bits a slot */
	};
	uint32_t n, room;
	bool dense; /* bits */
};

void idset_clear(struct idset *set); /* empty, nothing allocated */
bool idset_has(const struct idset *set, uint32_t id);
/* Room for id, so that its idset_insert() cannot fail. Returns 0 or -ENOMEM. */
int idset_reserve(struct idset *set, uint32_t id);
/* Returns 0, also when it is in already, or -ENOMEM. */
int idset_insert(struct idset *set, uint32_t id);
/* Gives memory back, but never what idset_reserve() got for the insert that follows. */
void idset_remove(struct idset *set, uint32_t id);
/* to must be empty. Returns 0 or -ENOMEM. */
int idset_copy(struct idset *to, const struct idset *from);

/* Ids one by one, in no order: *at is 0 at first. The set must not change meanwhile. */
bool idset_next(const struct idset *set, uint32_t *at, uint32_t *id);

#endif
