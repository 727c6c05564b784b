/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fan-out allocator against a model, seen by readers: one that reads a whole set after every
 * single store, and slow ones that began up to a grace period ago.
 */
#include "unit/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/addr.h"
#include "datapath/fanout.h"
#include "datapath/slots.h"

#define SETS	    8
#define TUNNELS	    200
#define ENDPOINTS   4 /* the upper half is IPv6 */
#define REFS	    (SETS * TUNNELS)
#define GRACE	    100ull
#define BLOCK_GRACE 7ull
#define MOST	    300ull
#define MARGIN	    13ull
#define READERS	    4

static const struct fanout_grace grace = {.ns = GRACE, .most_ns = UINT64_MAX};

enum presence { ABSENT, PRESENT, LEAVING };

/* Reads one block a step, long after it learned where the list is. */
struct reader {
	bool busy;
	uint64_t began;
	uint32_t set, next;
	struct amt_group_blocks list;
	uint8_t expected[TUNNELS]; /* 1: exactly once; 0: whatever */
	uint8_t found[TUNNELS];
};

static struct {
	struct fanout_arrays map;
	struct fanout *fanout;
	uint64_t now;
	bool used[SETS];
	uint32_t id[SETS]; /* the allocator's set */
	enum presence in[REFS];
	uint32_t endpoint[REFS];
	uint32_t where[REFS];
	uint16_t cpu[REFS]; /* whose block it is in */
	uint32_t changing;  /* the ref being worked on */
	struct reader readers[READERS];
	unsigned long stores;
	uint16_t block_max, cpus;
} t;

static void *array(size_t n, size_t size)
{
	void *p = calloc(n, size);

	assert_non_null(p);
	return p;
}

static void on_moved(void *arg, uint32_t ref, uint32_t block)
{
	assert_true(ref < REFS);
	if (ref == t.changing)
		t.cpu[ref] = t.map.blocks[block].cpu;
	else
		assert_int_equal(t.map.blocks[block].cpu, t.cpu[ref]);
	t.where[ref] = block;
}

static struct fanout_place place_of(uint32_t endpoint)
{
	return (struct fanout_place){
		.endpoint = endpoint,
		.block_max = t.block_max,
		.cpus = t.cpus,
		.spread = t.cpus > 0,
	};
}

static uint32_t member_ref(uint32_t block, uint32_t i)
{
	uint32_t at = block * AMT_BLOCK_MEMBERS + i, ref;

	if (t.map.blocks[block].endpoint >= ENDPOINTS / 2) {
		const struct amt_member6 *m = &t.map.fanout6[at];

		memcpy(&ref, m->gateway + 12, sizeof(ref));
		assert_int_equal(m->port, (uint16_t)ref);
	} else {
		const struct amt_member4 *m = &t.map.fanout4[at];

		memcpy(&ref, m->gateway, sizeof(ref));
		assert_int_equal(m->port, (uint16_t)ref);
	}
	return ref;
}

static void count_block(uint32_t set, uint32_t block, uint8_t *found)
{
	uint32_t i, ref;

	assert_true(block < t.map.max_blocks);
	assert_true(t.map.blocks[block].endpoint < ENDPOINTS);
	assert_true(t.map.blocks[block].count <= t.block_max);
	for (i = 0; i < t.map.blocks[block].count; i++) {
		ref = member_ref(block, i);
		assert_true(ref < REFS);
		assert_int_equal(ref / TUNNELS, set);
		found[ref % TUNNELS]++;
	}
}

static void read_whole(uint32_t set)
{
	struct amt_group_blocks list = t.map.group_blocks[t.id[set]];
	uint8_t found[TUNNELS] = {0};
	uint32_t i;

	assert_true(list.first + list.count <= t.map.list_slots);
	for (i = 0; i < list.count; i++)
		count_block(set, t.map.block_list[list.first + i].block, found);
	for (i = 0; i < TUNNELS; i++) {
		uint32_t ref = set * TUNNELS + i;

		if (ref == t.changing || t.in[ref] == LEAVING)
			assert_true(found[i] <= 1);
		else
			assert_int_equal(found[i], t.in[ref] == PRESENT);
	}
}

static void reader_begin(struct reader *r)
{
	uint32_t i;

	*r = (struct reader){.set = (uint32_t)random() % SETS, .began = t.now};
	if (!t.used[r->set])
		return;
	r->busy = true;
	r->list = t.map.group_blocks[t.id[r->set]];
	for (i = 0; i < TUNNELS; i++)
		r->expected[i] =
			t.in[r->set * TUNNELS + i] == PRESENT && r->set * TUNNELS + i != t.changing;
}

static void reader_step(struct reader *r)
{
	uint32_t i;

	if (!r->busy) {
		reader_begin(r);
		return;
	}
	if (r->next < r->list.count) {
		count_block(r->set, t.map.block_list[r->list.first + r->next].block, r->found);
		r->next++;
		return;
	}
	assert_true(t.now - r->began < GRACE);
	for (i = 0; i < TUNNELS; i++)
		if (r->expected[i])
			assert_int_equal(r->found[i], 1);
	r->busy = false;
}

static void on_stored(void *arg)
{
	unsigned int i;

	t.stores++;
	for (i = 0; i < SETS; i++)
		if (t.used[i])
			read_whole(i);
	for (i = 0; i < READERS; i++)
		reader_step(&t.readers[i]);
}

static void begin_change(uint32_t ref)
{
	unsigned int i;

	t.changing = ref;
	for (i = 0; i < READERS; i++)
		if (t.readers[i].busy && t.readers[i].set == ref / TUNNELS)
			t.readers[i].expected[ref % TUNNELS] = 0;
}

static struct fanout_member member_of(uint32_t ref, uint32_t endpoint)
{
	struct fanout_member m = {.port = (uint16_t)ref, .nexthop = 1, .ref = ref};

	if (endpoint < ENDPOINTS / 2)
		m.gateway = addr_from_ipv4(&ref);
	else
		memcpy(m.gateway.bytes + 12, &ref, sizeof(ref));
	if (endpoint >= ENDPOINTS / 2)
		m.gateway.bytes[0] = 0x20;
	return m;
}

static void open_model(uint32_t max_blocks, uint16_t block_max)
{
	static const struct fanout_callbacks callbacks = {.moved = on_moved, .stored = on_stored};

	memset(&t, 0, sizeof(t));
	t.block_max = block_max;
	t.now = 1000;
	t.changing = FANOUT_NONE;
	t.map.max_sets = SETS * 4;
	t.map.max_blocks = max_blocks;
	t.map.list_slots = fanout_list_slots(max_blocks);
	t.map.group_blocks = array(t.map.max_sets, sizeof(*t.map.group_blocks));
	t.map.block_list = array(t.map.list_slots, sizeof(*t.map.block_list));
	t.map.blocks = array(max_blocks, sizeof(*t.map.blocks));
	t.map.fanout4 = array((size_t)max_blocks * AMT_BLOCK_MEMBERS, sizeof(*t.map.fanout4));
	t.map.fanout6 = array((size_t)max_blocks * AMT_BLOCK_MEMBERS, sizeof(*t.map.fanout6));
	t.fanout = fanout_new(&t.map, &grace, &callbacks);
	assert_non_null(t.fanout);
	srandom(2268);
}

static void close_model(void)
{
	fanout_free(t.fanout);
	free(t.map.group_blocks);
	free(t.map.block_list);
	free(t.map.blocks);
	free(t.map.fanout4);
	free(t.map.fanout6);
}

static int join(uint32_t ref, uint32_t endpoint)
{
	const struct fanout_place place = place_of(endpoint);
	const struct fanout_member member = member_of(ref, endpoint);
	int err;

	begin_change(ref);
	err = fanout_join(t.fanout, t.now, t.id[ref / TUNNELS], &place, &member);
	t.changing = FANOUT_NONE;
	if (!err) {
		t.in[ref] = PRESENT;
		t.endpoint[ref] = endpoint;
	}
	return err;
}

static void leave(uint32_t ref)
{
	begin_change(ref);
	t.in[ref] = LEAVING; /* until the allocator finds a block to do it */
	fanout_leave(t.fanout, t.now, t.where[ref], ref);
	t.changing = FANOUT_NONE;
}

static int move(uint32_t ref, uint32_t endpoint)
{
	const struct fanout_place place = place_of(endpoint);
	const struct fanout_member member = member_of(ref, endpoint);
	int err;

	begin_change(ref);
	err = fanout_move(t.fanout, t.now, t.where[ref], &place, &member);
	t.changing = FANOUT_NONE;
	if (!err)
		t.endpoint[ref] = endpoint;
	return err;
}

static bool still_there(uint32_t ref)
{
	uint8_t found[TUNNELS] = {0};
	struct amt_group_blocks list = t.map.group_blocks[t.id[ref / TUNNELS]];
	uint32_t i;

	for (i = 0; i < list.count; i++)
		count_block(ref / TUNNELS, t.map.block_list[list.first + i].block, found);
	return found[ref % TUNNELS];
}

/* What left and was seen to be gone is absent. */
static void forget_left(void)
{
	uint32_t ref;

	for (ref = 0; ref < REFS; ref++)
		if (t.in[ref] == LEAVING && !still_there(ref))
			t.in[ref] = ABSENT;
}

static void make_sets(void)
{
	unsigned int i;

	for (i = 0; i < SETS; i++) {
		assert_int_equal(fanout_set_new(t.fanout, t.now, &t.id[i]), 0);
		t.used[i] = true;
	}
}

static void remake_set(uint32_t set)
{
	unsigned int i;

	t.used[set] = false;
	for (i = 0; i < READERS; i++)
		if (t.readers[i].set == set)
			t.readers[i].busy = false;
	fanout_set_free(t.fanout, t.now, t.id[set]);
	memset(&t.in[set * TUNNELS], 0, TUNNELS * sizeof(t.in[0]));
	assert_int_equal(fanout_set_new(t.fanout, t.now, &t.id[set]), 0);
	t.used[set] = true;
}

static void check_where(void)
{
	uint32_t ref, i, n;

	for (ref = 0; ref < REFS; ref++) {
		if (t.in[ref] != PRESENT)
			continue;
		for (n = 0, i = 0; i < t.map.blocks[t.where[ref]].count; i++)
			n += member_ref(t.where[ref], i) == ref;
		assert_int_equal(n, 1);
		assert_int_equal(t.map.blocks[t.where[ref]].endpoint, t.endpoint[ref]);
	}
}

/* As often as it takes, and no more where it takes a grace period. */
static void tick(void)
{
	unsigned int rounds = 0;

	while (fanout_tick(t.fanout, t.now) && rounds++ < 16)
		;
}

static void random_change(unsigned int endpoints)
{
	uint32_t ref = (uint32_t)random() % REFS, endpoint = (uint32_t)random() % endpoints;

	if (t.in[ref] == ABSENT)
		(void)join(ref, endpoint);
	else if (t.in[ref] == PRESENT && random() % 4 == 0 && t.endpoint[ref] != endpoint)
		(void)move(ref, endpoint);
	else if (t.in[ref] == PRESENT)
		leave(ref);
}

static void play(unsigned int changes, unsigned int endpoints, unsigned int changes_a_tick)
{
	unsigned int i;

	for (i = 0; i < changes; i++) {
		random_change(endpoints);
		if (i % 16 == 0)
			forget_left();
		if (i % changes_a_tick == 0) {
			t.now++;
			tick();
		}
		if (i % 1000 == 999)
			remake_set((uint32_t)random() % SETS);
		if (i % 50 == 0)
			check_where();
	}
}

static void drain(void)
{
	uint32_t ref, set, blocks, members;

	for (ref = 0; ref < REFS; ref++)
		if (t.in[ref] == PRESENT)
			leave(ref);
	for (ref = 0; ref < 20; ref++) {
		t.now += GRACE;
		memset(t.readers, 0, sizeof(t.readers));
		tick();
	}
	forget_left();
	for (set = 0; set < SETS; set++) {
		fanout_size(t.fanout, t.id[set], &blocks, &members);
		assert_int_equal(blocks, 0);
		assert_int_equal(members, 0);
	}
	assert_int_equal(fanout_blocks_used(t.fanout), 0);
}

static void every_reader_sees_each_member_once(void **state)
{
	open_model(4096, 16);
	make_sets();
	play(40000, ENDPOINTS, 2);
	drain();
	assert_true(t.stores > 40000);
	close_model();
}

static void one_endpoint_and_full_blocks(void **state)
{
	open_model(1024, AMT_BLOCK_MEMBERS);
	make_sets();
	play(8000, 1, 2);
	drain();
	close_model();
}

/* Far too few blocks: joins are refused, leaves wait, nothing else goes wrong. */
static void short_of_blocks(void **state)
{
	open_model(40, 4);
	make_sets();
	play(12000, ENDPOINTS, 2);
	drain();
	close_model();
}

static void sparse_blocks_merge(void **state)
{
	uint32_t i, blocks, members;

	open_model(1024, AMT_BLOCK_MEMBERS);
	make_sets();
	for (i = 0; i < TUNNELS; i++)
		assert_int_equal(join(i, 0), 0);
	fanout_size(t.fanout, t.id[0], &blocks, &members);
	assert_int_equal(blocks, (TUNNELS + 31) / 32);
	for (i = 0; i < TUNNELS; i++)
		if (i % 8)
			leave(i);
	fanout_size(t.fanout, t.id[0], &blocks, &members);
	assert_int_equal(members, TUNNELS / 8);
	assert_true(blocks <= 2);
	close_model();
}

/* What was freed comes back after the grace period and not before. */
static void grace_period(void **state)
{
	uint32_t block, i;

	open_model(2, 1);
	make_sets();
	assert_int_equal(join(0, 0), 0);
	assert_int_equal(join(1, 0), 0);
	assert_int_equal(join(2, 0), -ENOSPC);
	block = t.where[1];
	leave(1);
	assert_int_equal(join(2, 0), -ENOSPC);
	t.now += GRACE - 1;
	assert_int_equal(join(2, 0), -ENOSPC);
	memset(t.readers, 0, sizeof(t.readers));
	t.now++;
	t.in[1] = ABSENT;
	assert_int_equal(join(2, 0), 0);
	assert_int_equal(t.where[2], block);
	close_model();

	open_model(2, 1);
	for (i = 0; i < t.map.max_sets; i++)
		assert_int_equal(fanout_set_new(t.fanout, t.now, &block), 0);
	assert_int_equal(fanout_set_new(t.fanout, t.now, &block), -ENOSPC);
	fanout_set_free(t.fanout, t.now, 3);
	assert_int_equal(fanout_set_new(t.fanout, t.now + GRACE - 1, &block), -ENOSPC);
	assert_int_equal(fanout_set_new(t.fanout, t.now + GRACE, &block), 0);
	assert_int_equal(block, 3);
	close_model();
}

static void open_with_blocks(uint32_t blocks)
{
	static const struct fanout_callbacks callbacks = {.moved = on_moved, .stored = on_stored};
	static const struct fanout_grace longer = {GRACE, BLOCK_GRACE, MOST, MARGIN};
	uint32_t i;

	open_model(blocks + 1, 1);
	fanout_free(t.fanout);
	t.fanout = fanout_new(&t.map, &longer, &callbacks);
	make_sets();
	for (i = 0; i < blocks; i++)
		assert_int_equal(join(i, 0), 0);
}

/* A leave now gives its block back after so long, and not before. */
static void leave_frees_after(uint32_t ref, uint64_t ns)
{
	assert_int_equal(fanout_free_at(t.fanout, t.now), t.now + ns);
	leave(ref);
	assert_int_equal(join(TUNNELS, 0), 0); /* the one that was never used */
	memset(t.readers, 0, sizeof(t.readers));
	t.now += ns - 1;
	assert_int_equal(join(TUNNELS + 1, 0), -ENOSPC);
	t.now++;
	assert_int_equal(join(TUNNELS + 1, 0), 0);
}

/* The more blocks a packet's copies may take, the longer its life, up to a limit. */
static void life_grows_with_blocks(void **state)
{
	open_with_blocks(5);
	assert_int_equal(fanout_renew_life(t.fanout, t.now), GRACE + 5 * BLOCK_GRACE);
	leave_frees_after(4, GRACE + 5 * BLOCK_GRACE + MARGIN);
	close_model();

	open_with_blocks(50);
	assert_int_equal(fanout_renew_life(t.fanout, t.now), MOST);
	leave_frees_after(4, MOST + MARGIN);
	close_model();
}

/* A life that becomes shorter does so for packets that come later. */
static void packets_of_before(void **state)
{
	open_with_blocks(5);
	fanout_renew_life(t.fanout, t.now);
	leave(4);
	leave(3);
	t.now += 10;
	assert_int_equal(fanout_renew_life(t.fanout, t.now), GRACE + 3 * BLOCK_GRACE);
	t.now += 2;
	fanout_renew_life(t.fanout, t.now);
	assert_int_equal(fanout_free_at(t.fanout, t.now),
			 t.now - 2 + GRACE + 5 * BLOCK_GRACE + MARGIN);
	t.now += 2 * BLOCK_GRACE;
	assert_int_equal(fanout_free_at(t.fanout, t.now), t.now + GRACE + 3 * BLOCK_GRACE + MARGIN);
	close_model();
}

/* A successor believes what its predecessor told the packet path, within reason. */
static void life_is_inherited(void **state)
{
	open_with_blocks(1);
	fanout_inherit_life(t.fanout, GRACE + 9);
	assert_int_equal(fanout_free_at(t.fanout, t.now), t.now + GRACE + 9 + MARGIN);
	assert_int_equal(fanout_renew_life(t.fanout, t.now), GRACE + BLOCK_GRACE);
	assert_int_equal(fanout_free_at(t.fanout, t.now), t.now + GRACE + 9 + MARGIN);
	fanout_inherit_life(t.fanout, UINT64_MAX);
	assert_int_equal(fanout_free_at(t.fanout, t.now), t.now + MOST + MARGIN);
	close_model();
}

static uint32_t largest_block(void)
{
	uint32_t ref, most = 0;

	for (ref = 0; ref < REFS; ref++)
		if (t.in[ref] == PRESENT && t.map.blocks[t.where[ref]].count > most)
			most = t.map.blocks[t.where[ref]].count;
	return most;
}

static void resize(uint16_t block_max)
{
	uint32_t endpoint;

	for (endpoint = 0; endpoint < ENDPOINTS; endpoint++)
		fanout_resize(t.fanout,
			      &(struct fanout_place){.endpoint = endpoint, .block_max = block_max});
}

/* Smaller blocks: those that hold too much are split, under the eyes of readers. */
static void blocks_become_smaller(void **state)
{
	unsigned int i;

	open_model(4096, 16);
	make_sets();
	play(2000, ENDPOINTS, 2);
	assert_true(largest_block() > 4);
	resize(4);
	for (i = 0; i < 20; i++) {
		tick();
		t.now += GRACE / 4;
		memset(t.readers, 0, sizeof(t.readers));
	}
	assert_true(largest_block() <= 4);
	check_where();
	t.block_max = 4;
	play(2000, ENDPOINTS, 2);
	t.block_max = 16; /* and larger again */
	resize(16);
	play(2000, ENDPOINTS, 2);
	assert_true(largest_block() > 4);
	drain();
	close_model();
}

/* Too few free blocks to split them all at once. */
static void blocks_become_smaller_by_and_by(void **state)
{
	unsigned int i;

	open_model(12, 16);
	make_sets();
	for (i = 0; i < 48; i++)
		assert_int_equal(join(i, 0), 0);
	resize(8);
	tick();
	assert_true(largest_block() > 8 || fanout_blocks_used(t.fanout) == 6);
	for (i = 0; i < 20; i++) {
		memset(t.readers, 0, sizeof(t.readers));
		t.now += GRACE;
		tick();
	}
	assert_int_equal(largest_block(), 8);
	check_where();
	drain();
	close_model();
}

static void nexthop_changes_in_place(void **state)
{
	open_model(8, 8);
	make_sets();
	assert_int_equal(join(0, 0), 0);
	assert_int_equal(join(1, 0), 0);
	assert_int_equal(join(2, 2), 0);
	fanout_set_nexthop(t.fanout, t.where[1], 1, 7);
	fanout_set_nexthop(t.fanout, t.where[2], 2, 9);
	assert_int_equal(t.map.fanout4[t.where[0] * AMT_BLOCK_MEMBERS].nexthop, 1);
	assert_int_equal(t.map.fanout4[t.where[1] * AMT_BLOCK_MEMBERS + 1].nexthop, 7);
	assert_int_equal(t.map.fanout6[t.where[2] * AMT_BLOCK_MEMBERS].nexthop, 9);
	close_model();
}

/* ---- adoption ---- */

static bool adopt_place(void *arg, uint32_t endpoint, struct fanout_place *place, bool *ipv6)
{
	*place = place_of(endpoint);
	*ipv6 = endpoint >= ENDPOINTS / 2;
	return endpoint < ENDPOINTS;
}

static uint32_t adopt_resolve(void *arg, uint32_t set, uint32_t endpoint,
			      const struct fanout_member *member)
{
	uint32_t ref;

	memcpy(&ref, member->gateway.bytes + 12, sizeof(ref));
	assert_int_equal(member->port, (uint16_t)ref);
	return t.in[ref] == PRESENT ? ref : FANOUT_NONE;
}

static const struct fanout_adopter adopter = {.place = adopt_place, .resolve = adopt_resolve};

/* A successor with nothing but the arrays. */
static void restart(void)
{
	static const struct fanout_callbacks callbacks = {.moved = on_moved, .stored = on_stored};

	fanout_free(t.fanout);
	memset(t.where, 0xff, sizeof(t.where));
	t.fanout = fanout_new(&t.map, &grace, &callbacks);
	assert_non_null(t.fanout);
}

static void adopt_all(void)
{
	unsigned int i;

	for (i = 0; i < SETS; i++)
		assert_int_equal(fanout_set_adopt(t.fanout, t.id[i], &adopter), 0);
	fanout_adopt_rest(t.fanout, t.now);
}

/* Blocks of a set that are each CPU's; returns how many there are. */
static uint32_t count_cpus(uint32_t set, uint32_t blocks[])
{
	const struct amt_group_blocks list = t.map.group_blocks[t.id[set]];
	uint32_t i;

	memset(blocks, 0, t.cpus * sizeof(*blocks));
	for (i = 0; i < list.count; i++)
		blocks[t.map.blocks[t.map.block_list[list.first + i].block].cpu]++;
	return list.count;
}

/* A small set stays with its CPU, a large one has all work; nobody changes from one to another,
 * however blocks are merged and moved (on_moved() looks). */
static void large_sets_have_all_cpus(void **state)
{
	uint32_t blocks[3], total, i, set = 1;

	open_model(4096, 4);
	t.cpus = 3;
	make_sets();
	for (i = 0; i < AMT_RECIRCULATE_MAX * 4; i++)
		assert_int_equal(join(set * TUNNELS + i, i % 2), 0);
	total = count_cpus(set, blocks);
	assert_int_equal(total, AMT_RECIRCULATE_MAX);
	assert_int_equal(blocks[t.id[set] % 3], total);
	for (; i < TUNNELS; i++)
		assert_int_equal(join(set * TUNNELS + i, i % 2), 0);
	total = count_cpus(set, blocks);
	for (i = 0; i < 3; i++)
		assert_in_range(blocks[i], (total - AMT_RECIRCULATE_MAX) / 3, total);
	play(20000, ENDPOINTS, 2);
	restart();
	adopt_all();
	play(20000, ENDPOINTS, 2);
	drain();
	close_model();
}

/* Slow readers begin before the restart and end after it. */
static void successor_goes_on(void **state)
{
	unsigned int round;
	unsigned long stores;

	open_model(4096, 16);
	make_sets();
	for (round = 0; round < 5; round++) {
		play(2000, ENDPOINTS, 2);
		forget_left();
		stores = t.stores;
		restart();
		adopt_all();
		assert_int_equal(t.stores, stores); /* packets see no difference */
		check_where();
	}
	play(2000, ENDPOINTS, 2);
	drain();
	close_model();
}

/* What was freed just before the restart waits, what was never used does not. */
static void freed_before_restart(void **state)
{
	struct amt_block_ref *before;
	uint32_t block, i;
	size_t size;

	open_model(8, 1);
	make_sets();
	for (i = 0; i < 7; i++) /* in segments of 1, 2, 4 and 8 slots */
		assert_int_equal(join(i, 0), 0);
	block = t.where[6];
	leave(6);
	forget_left();
	restart();
	adopt_all();
	size = t.map.list_slots * sizeof(*before);
	before = array(1, size);
	memcpy(before, t.map.block_list, size);
	assert_int_equal(join(TUNNELS, 0), 0);
	assert_int_not_equal(t.where[TUNNELS], block);
	assert_int_equal(join(TUNNELS + 1, 0), -ENOSPC);
	for (i = 0; i < t.map.list_slots; i++)
		if (before[i].written)
			assert_memory_equal(&t.map.block_list[i], &before[i], sizeof(*before));
	free(before);
	memset(t.readers, 0, sizeof(t.readers));
	t.now += GRACE;
	assert_int_equal(join(TUNNELS + 1, 0), 0);
	assert_int_equal(t.where[TUNNELS + 1], block);
	close_model();
}

static void orphans_are_swept(void **state)
{
	uint32_t i;

	open_model(64, 8);
	make_sets();
	for (i = 0; i < 20; i++)
		assert_int_equal(join(i, 0), 0);
	for (i = 0; i < 20; i += 2)
		t.in[i] = LEAVING; /* the successor does not know them */
	restart();
	adopt_all();
	tick();
	for (i = 0; i < 20; i += 2)
		assert_false(still_there(i));
	for (i = 1; i < 20; i += 2)
		assert_true(still_there(i));
	close_model();
}

static void broken_lists_are_refused(void **state)
{
	struct amt_group_blocks *list;
	struct amt_block_ref *ref;
	uint32_t blocks, members;

	open_model(64, 8);
	make_sets();
	assert_int_equal(join(0, 0), 0);
	assert_int_equal(join(1, 1), 0);
	assert_int_equal(join(TUNNELS, 0), 0);
	list = &t.map.group_blocks[t.id[0]];
	ref = &t.map.block_list[list->first];
	restart();
#define REFUSED(what, bad)                                                                \
	do {                                                                              \
		typeof(what) good = what;                                                 \
		what = bad;                                                               \
		assert_int_equal(fanout_set_adopt(t.fanout, t.id[0], &adopter), -EINVAL); \
		what = good;                                                              \
	} while (0)
	REFUSED(list->count, t.map.list_slots);
	REFUSED(list->first, t.map.list_slots - 1);
	REFUSED(list->first, UINT32_MAX);
	REFUSED(list->first, 1);
	restart();
	REFUSED(ref[1].block, t.map.max_blocks);
	restart();
	REFUSED(ref[1].block, ref[0].block);
	restart();
	REFUSED(t.map.blocks[ref[1].block].count, AMT_BLOCK_MEMBERS + 1);
	restart();
	REFUSED(t.map.blocks[ref[1].block].endpoint, ENDPOINTS);
	restart();
	assert_int_equal(fanout_set_adopt(t.fanout, t.id[1], &adopter), 0);
	REFUSED(ref[0].block, t.where[TUNNELS]); /* another set's */
	fanout_size(t.fanout, t.id[1], &blocks, &members);
	assert_int_equal(blocks, 1);
	assert_int_equal(members, 1);
	close_model();
}

static void slots_buddies(void **state)
{
	struct slots *s = slots_new(64);
	uint32_t taken[64], i;

	assert_non_null(s);
	assert_int_equal(slots_order(0), 0);
	assert_int_equal(slots_order(1), 0);
	assert_int_equal(slots_order(2), 1);
	assert_int_equal(slots_order(33), 6);
	for (i = 0; i < 64; i++)
		taken[i] = slots_take(s, 0);
	assert_int_equal(slots_take(s, 0), SLOTS_NONE);
	for (i = 0; i < 64; i++)
		slots_give(s, taken[i], 0);
	assert_int_equal(slots_take(s, 6), 0);
	slots_give(s, 0, 6);
	assert_int_equal(slots_take_at(s, 8, 3), 0);
	assert_int_equal(slots_take_at(s, 8, 2), -EBUSY);
	assert_int_equal(slots_take_at(s, 0, 4), -EBUSY);
	assert_int_equal(slots_take_at(s, 4, 3), -EINVAL);
	assert_int_equal(slots_take_at(s, 64, 0), -EINVAL);
	slots_give(s, 8, 3);
	assert_int_equal(slots_take(s, 6), 0);
	slots_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slots_buddies),
		cmocka_unit_test(every_reader_sees_each_member_once),
		cmocka_unit_test(one_endpoint_and_full_blocks),
		cmocka_unit_test(short_of_blocks),
		cmocka_unit_test(large_sets_have_all_cpus),
		cmocka_unit_test(sparse_blocks_merge),
		cmocka_unit_test(grace_period),
		cmocka_unit_test(life_grows_with_blocks),
		cmocka_unit_test(packets_of_before),
		cmocka_unit_test(life_is_inherited),
		cmocka_unit_test(blocks_become_smaller),
		cmocka_unit_test(blocks_become_smaller_by_and_by),
		cmocka_unit_test(nexthop_changes_in_place),
		cmocka_unit_test(successor_goes_on),
		cmocka_unit_test(freed_before_restart),
		cmocka_unit_test(orphans_are_swept),
		cmocka_unit_test(broken_lists_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
