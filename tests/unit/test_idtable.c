/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The index of ids by hash against a plain array, with hashes that collide often. */
#include "unit/unit.h"

#include <stdlib.h>
#include <string.h>
#include "base/idtable.h"

#define IDS    3000
#define HASHES 700
#define OUT    UINT32_MAX

static uint32_t hash_of[IDS]; /* OUT: not in */

static void check(const struct idtable *table)
{
	static unsigned int seen[IDS];
	uint32_t hash, id;
	unsigned int n = 0;

	memset(seen, 0, sizeof(seen));
	for (hash = 0; hash < HASHES; hash++)
		for (id = idtable_first(table, hash); id != IDTABLE_NONE;
		     id = idtable_next(table, id), n++) {
			assert_int_equal(hash_of[id], hash);
			assert_int_equal(seen[id]++, 0);
		}
	assert_int_equal(n, table->n);
	for (id = 0; id < IDS; id++)
		assert_int_equal(seen[id], hash_of[id] != OUT);
}

static void same_as_an_array(void **state)
{
	struct idtable table = {0};
	unsigned int i, phase;
	uint32_t id;

	assert_int_equal(idtable_first(&table, 0), IDTABLE_NONE);
	for (id = 0; id < IDS; id++)
		hash_of[id] = OUT;
	srandom(7450);
	for (i = 0; i < 60000; i++) {
		phase = i / 10000 % 2; /* grows, shrinks */
		id = (uint32_t)random() % IDS;
		if (hash_of[id] != OUT && random() % 4 < (phase ? 4 : 1)) {
			idtable_remove(&table, id);
			hash_of[id] = OUT;
		} else if (hash_of[id] == OUT && random() % 4 < (phase ? 1 : 4)) {
			hash_of[id] = (uint32_t)random() % HASHES;
			assert_int_equal(idtable_reserve(&table, id), 0);
			idtable_add(&table, id, hash_of[id]);
		}
		if (i % 500 == 0)
			check(&table);
	}
	idtable_free(&table);
	assert_int_equal(idtable_first(&table, 0), IDTABLE_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_as_an_array),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
