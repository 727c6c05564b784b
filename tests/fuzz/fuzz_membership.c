/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Group records of any content into memberships and merge. The input is a row of steps: an octet
 * for tunnel and kind, then a record (type and flags, group, count, sources) or seconds to pass.
 * The sink aborts where the merge breaks its promises.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "proto/membership.h"
#include "proto/merge.h"

#define TUNNELS 4
#define SETS	4096

struct world {
	struct membership *tunnel[TUNNELS];
	struct merge *merge;
	uint32_t changing;
	uint8_t members[SETS]; /* a bit a tunnel */
	bool exists[SETS];
};

static void must(bool holds)
{
	if (!holds)
		abort();
}

static int sink_create(void *arg, const struct amt_group_key *key, uint32_t *set)
{
	struct world *w = arg;
	uint32_t i = 0;

	while (i < SETS && w->exists[i])
		i++;
	if (i == SETS)
		return -1;
	w->exists[i] = true;
	w->members[i] = 0;
	*set = i;
	return 0;
}

static int sink_publish(void *arg, uint32_t set)
{
	must(((struct world *)arg)->exists[set]);
	return 0;
}

static void sink_destroy(void *arg, uint32_t set)
{
	struct world *w = arg;

	must(w->exists[set]);
	w->exists[set] = false;
}

static int sink_add(void *arg, uint32_t set, uint32_t tunnel)
{
	struct world *w = arg;

	must(w->exists[set] && !(w->members[set] & 1u << tunnel));
	w->members[set] |= (uint8_t)(1u << tunnel);
	return 0;
}

static void sink_remove(void *arg, uint32_t set, uint32_t tunnel)
{
	struct world *w = arg;

	must(w->exists[set] && w->members[set] & 1u << tunnel);
	w->members[set] &= (uint8_t) ~(1u << tunnel);
}

static void sink_upstream(void *arg, const struct amt_addr *group)
{
	struct merge_upstream upstream;

	must(merge_upstream(((struct world *)arg)->merge, group, &upstream) == 0);
}

static void take_change(void *arg, const struct wish_change *change)
{
	struct world *w = arg;

	must(change->nsources || change->exclude_before != change->exclude_after);
	must(merge_apply(w->merge, w->changing, change) == 0);
}

/* Takes n octets off the input, or NULL. */
static const uint8_t *take(const uint8_t **data, size_t *size, size_t n)
{
	const uint8_t *at = *data;

	if (*size < n)
		return NULL;
	*data += n;
	*size -= n;
	return at;
}

static bool step(struct world *w, uint64_t *now, const uint8_t **data, size_t *size)
{
	static const struct membership_config config = {
		.gmi_ns = 260 * NSEC_PER_SEC, .max_groups = 20, .max_sources = 100};
	const uint8_t *head = take(data, size, 2), *group;
	struct report_record record;

	if (!head)
		return false;
	w->changing = head[0] % TUNNELS;
	if (head[0] & 0x80) {
		*now += head[1] * NSEC_PER_SEC;
		must(membership_expire(w->tunnel[w->changing], *now, NULL, take_change, w) > *now);
		merge_go_on(w->merge, head[1] % 8);
		return true;
	}
	record = (struct report_record){.type = (enum record_type)(1 + (head[0] >> 2) % 6),
					.old_host = head[0] & 0x40,
					.source_len = head[1] & 1 ? 16 : 4,
					.nsources = head[1] >> 1};
	group = take(data, size, record.source_len);
	record.sources = group ? take(data, size, record.source_len * record.nsources) : NULL;
	if (!record.sources)
		return false;
	record.group = record.source_len == 4 ? addr_from_ipv4(group) : addr_from_ipv6(group);
	must(membership_apply(w->tunnel[w->changing], &config, *now, &record, take_change, w) == 0);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct merge_sink sink = {sink_create, sink_publish, sink_destroy,
					       sink_add,    sink_remove,  sink_upstream};
	static struct world w;
	uint64_t now = NSEC_PER_SEC;

	memset(&w, 0, sizeof(w));
	w.merge = merge_new(&sink, &w);
	for (w.changing = 0; w.changing < TUNNELS; w.changing++)
		w.tunnel[w.changing] = membership_new();
	while (step(&w, &now, &data, &size))
		;
	for (w.changing = 0; w.changing < TUNNELS; w.changing++) {
		membership_clear(w.tunnel[w.changing], NULL, take_change, &w);
		membership_free(w.tunnel[w.changing]);
	}
	must(merge_groups(w.merge) == 0 && merge_channels(w.merge) == 0);
	merge_free(w.merge);
	return 0;
}
