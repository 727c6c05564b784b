/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading the maps for people and for the relay: counters summed over CPUs, secrets, and the list
 * of what is pinned where.
 */
#include "datapath/state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datapath/decap.h"

/* Every field of the value is a 64-bit sum. */
static int read_sum(const struct datapath *dp, enum map_id map, uint32_t key, uint64_t *sum,
		    unsigned int fields)
{
	unsigned int cpu, field;
	uint64_t *values = calloc((size_t)dp->maps.cpus * fields, sizeof(*values));
	int ret = values ? maps_read(&dp->maps, map, key, values) : -ENOMEM;

	memset(sum, 0, fields * sizeof(*sum));
	for (cpu = 0; !ret && cpu < dp->maps.cpus; cpu++)
		for (field = 0; field < fields; field++)
			sum[field] += values[cpu * fields + field];
	free(values);
	return ret;
}

void group_counters_read(const struct datapath *dp, uint32_t set, struct amt_group_counters *sum)
{
	struct amt_group_counters *values = calloc(dp->maps.cpus, sizeof(*values));
	unsigned int cpu;

	memset(sum, 0, sizeof(*sum));
	if (values && !maps_read(&dp->maps, MAP_GROUP_COUNTERS, set, values)) {
		for (cpu = 0; cpu < dp->maps.cpus; cpu++) {
			sum->packets += values[cpu].packets;
			sum->bytes += values[cpu].bytes;
			sum->drops += values[cpu].drops;
			sum->limited += values[cpu].limited;
			if (values[cpu].last_ns > sum->last_ns)
				sum->last_ns = values[cpu].last_ns;
		}
	}
	free(values);
}

int datapath_counters(struct datapath *dp, uint64_t counters[AMT_DATA_COUNTERS_NUM])
{
	uint32_t i;
	int ret = 0;

	for (i = 0; i < AMT_DATA_COUNTERS_NUM && !ret; i++)
		ret = read_sum(dp, MAP_COUNTERS, i, &counters[i], 1);
	return ret;
}

uint64_t uplink_drops(const struct datapath *dp, uint32_t uplink)
{
	uint64_t sum;

	return read_sum(dp, MAP_UPLINK_DROPS, uplink, &sum, 1) ? 0 : sum;
}

uint64_t datapath_decap_packets(struct datapath *dp)
{
	uint64_t sum;

	return read_sum(dp, MAP_COUNTERS, AMT_COUNT_DECAP_PACKETS, &sum, 1) ? 0 : sum;
}

void datapath_secret_get(struct datapath *dp, unsigned int index, struct amt_secret *secret)
{
	if (maps_read(&dp->maps, MAP_SECRETS, index, secret))
		memset(secret, 0, sizeof(*secret));
}

int datapath_secret_set(struct datapath *dp, unsigned int index, const struct amt_secret *secret)
{
	return maps_write(&dp->maps, MAP_SECRETS, index, secret);
}

/* ---- the list of maps ---- */

static uint32_t count_used(const struct datapath *dp, enum map_id id)
{
	uint32_t i, n = 0;

	switch (id) {
	case MAP_GROUPS:
	case MAP_GROUP_BLOCKS:
		return HASH_COUNT(dp->by_key);
	case MAP_BLOCKS:
		return fanout_blocks_used(dp->fanout);
	case MAP_TUNNELS:
		return dp->tunnels_used;
	case MAP_ENDPOINTS:
		for (i = 0; i < AMT_ENDPOINTS_MAX; i++)
			n += dp->endpoints[i].users > 0;
		return n;
	case MAP_INTERFACES:
		for (i = 0; i < AMT_INTERFACES_MAX; i++)
			n += dp->interfaces[i].used;
		return n;
	default:
		return DATAPATH_NONE;
	}
}

bool datapath_map(struct datapath *dp, unsigned int i, struct datapath_map_view *out)
{
	static const struct {
		const char *type, *holds;
	} about[MAP_NUM] = {
#define MAP_ABOUT(id, name, type, holds) [MAP_##id] = {type, holds},
		DATAPATH_MAPS(MAP_ABOUT)
#undef MAP_ABOUT
	};

	if (i >= MAP_NUM)
		return false;
	*out = (struct datapath_map_view){
		.name = map_name(i),
		.type = about[i].type,
		.holds = about[i].holds,
		.max_entries = dp->maps.max_entries[i],
		.used = count_used(dp, i),
	};
	snprintf(out->path, sizeof(out->path), "%.90s/%s", dp->pins.dir, map_name(i));
	return true;
}
