/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pinned maps: sizes, reuse or refusal, pins, memory; see maps.h. Called by object.c. */
#include "datapath/maps.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#define SHIELD_GATEWAYS_SPARE 1024 /* an LRU map has some of its entries idle on each CPU */

static const char *const names[MAP_NUM] = {
#define MAP_NAME(id, name, type, holds) [MAP_##id] = #name,
	DATAPATH_MAPS(MAP_NAME)
#undef MAP_NAME
};

void maps_init(struct maps *maps)
{
	unsigned int i;

	memset(maps, 0, sizeof(*maps));
	for (i = 0; i < MAP_NUM; i++)
		maps->fd[i] = -1;
	maps->cpus = (unsigned int)libbpf_num_possible_cpus();
}

void maps_close(struct maps *maps)
{
	unsigned int i;

	for (i = 0; i < MAP_NUM; i++) {
		if (maps->memory[i])
			munmap(maps->memory[i], maps->length[i]);
		if (maps->fd[i] >= 0)
			close(maps->fd[i]);
	}
	maps_init(maps);
}

const char *map_name(enum map_id id)
{
	return names[id];
}

static int find_map(const char *name)
{
	int i;

	for (i = 0; i < MAP_NUM; i++)
		if (!strcmp(names[i], name))
			return i;
	return -1;
}

/* 0: the object's own size. */
static uint32_t wanted_entries(int id, const struct datapath_options *o, unsigned int cpus)
{
	switch (id) {
	case MAP_GROUPS:
	case MAP_GROUP_BLOCKS:
	case MAP_GROUP_COUNTERS:
	case MAP_GROUP_BUCKETS:
		return o->max_groups;
	case MAP_BLOCK_LIST:
		return fanout_list_slots(o->max_blocks);
	case MAP_BLOCKS:
		return o->max_blocks;
	case MAP_FANOUT4:
	case MAP_FANOUT6:
		return o->max_blocks * AMT_BLOCK_MEMBERS;
	case MAP_NEXTHOPS:
		return o->max_nexthops;
	case MAP_TUNNELS:
		return o->max_tunnels;
	case MAP_SHIELD_GATEWAYS:
		return o->max_tunnels + SHIELD_GATEWAYS_SPARE;
	case MAP_CPUS:
		return cpus;
	default:
		return 0;
	}
}

int maps_prepare(const struct maps *maps, const struct datapath_options *options,
		 struct bpf_object *object, struct error *err)
{
	struct bpf_map *map;
	uint32_t entries;
	int id, ret;

	bpf_object__for_each_map(map, object)
	{
		if (bpf_map__is_internal(map))
			continue;
		id = find_map(bpf_map__name(map));
		if (id < 0)
			return error_set(err, -EINVAL, "BPF map %s is not in amtd's table",
					 bpf_map__name(map));
		entries = wanted_entries(id, options, maps->cpus);
		ret = entries ? bpf_map__set_max_entries(map, entries) : 0;
		if (!ret && maps->fd[id] >= 0)
			ret = bpf_map__reuse_fd(map, maps->fd[id]);
		if (ret)
			return error_set(err, ret, "BPF map %s: %s", names[id], strerror(-ret));
	}
	return 0;
}

int maps_take(struct maps *maps, const struct bpf_object *object, struct error *err)
{
	struct bpf_map *map;
	int id;

	bpf_object__for_each_map(map, object)
	{
		id = find_map(bpf_map__name(map));
		if (id < 0)
			continue;
		maps->max_entries[id] = bpf_map__max_entries(map);
		if (maps->fd[id] >= 0)
			continue;
		maps->fd[id] = dup(bpf_map__fd(map));
		if (maps->fd[id] < 0)
			return error_set(err, -errno, "BPF map %s: %s", names[id], strerror(errno));
	}
	for (id = 0; id < MAP_NUM; id++)
		if (maps->fd[id] < 0)
			return error_set(err, -EINVAL, "BPF map %s is missing in the object",
					 names[id]);
	return 0;
}

/* ---- pins ---- */

static void pin_path(char *path, size_t size, const char *dir, int id)
{
	snprintf(path, size, "%s/%s", dir, names[id]);
}

/* Says in why what differs. */
static int check_map(const struct bpf_map *want, const struct bpf_map_info *have, struct error *why)
{
	if (have->type != bpf_map__type(want) || have->key_size != bpf_map__key_size(want) ||
	    have->value_size != bpf_map__value_size(want))
		return error_set(why, -EPROTO, "map %s has another layout", bpf_map__name(want));
	if (have->max_entries != bpf_map__max_entries(want))
		return error_set(why, -EPROTO, "map %s has %u entries, the configuration wants %u",
				 bpf_map__name(want), have->max_entries,
				 bpf_map__max_entries(want));
	return 0;
}

static int check_schema(const struct maps *maps, struct error *why)
{
	struct amt_config config = {0};
	int ret = maps_read(maps, MAP_CONFIG, 0, &config);

	if (ret || config.schema != AMT_SCHEMA_VERSION)
		return error_set(why, -EPROTO, "schema version is %u, this amtd's is %u",
				 config.schema, AMT_SCHEMA_VERSION);
	return 0;
}

static int open_one(struct maps *maps, const struct bpf_map *want, const char *dir,
		    struct error *why)
{
	struct bpf_map_info info = {0};
	__u32 length = sizeof(info);
	int id = find_map(bpf_map__name(want));
	char path[256];

	pin_path(path, sizeof(path), dir, id);
	maps->fd[id] = bpf_obj_get(path);
	if (maps->fd[id] < 0)
		return errno == ENOENT ? -ENOENT
				       : error_set(why, -errno, "%s: %s", path, strerror(errno));
	if (bpf_obj_get_info_by_fd(maps->fd[id], &info, &length))
		return error_set(why, -errno, "%s: %s", path, strerror(errno));
	return check_map(want, &info, why);
}

int maps_open_pinned(struct maps *maps, const struct bpf_object *prepared, const char *dir,
		     struct error *why)
{
	unsigned int found = 0, missing = 0;
	struct bpf_map *map;
	int ret = 0, one;

	bpf_object__for_each_map(map, prepared)
	{
		if (bpf_map__is_internal(map))
			continue;
		one = open_one(maps, map, dir, why);
		found += one != -ENOENT;
		missing += one == -ENOENT;
		if (one && one != -ENOENT && !ret)
			ret = one;
	}
	if (!found)
		return -ENOENT;
	if (!ret && missing)
		ret = error_set(why, -EPROTO, "%u of %u maps are missing", missing,
				found + missing);
	if (!ret)
		ret = check_schema(maps, why);
	if (ret)
		maps_close(maps);
	return ret;
}

int maps_pin(const struct maps *maps, const char *dir, struct error *err)
{
	char path[256];
	int id;

	for (id = 0; id < MAP_NUM; id++) {
		pin_path(path, sizeof(path), dir, id);
		if (bpf_obj_pin(maps->fd[id], path) && errno != EEXIST)
			return error_set(err, -errno, "cannot pin %s: %s", path, strerror(errno));
	}
	return 0;
}

void maps_unpin(const char *dir)
{
	char path[256];
	int id;

	for (id = 0; id < MAP_NUM; id++) {
		pin_path(path, sizeof(path), dir, id);
		unlink(path);
	}
}

/* ---- memory ---- */

static int mmap_one(struct maps *maps, enum map_id id, size_t value_size, struct error *err)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), length = maps->max_entries[id] * value_size;
	void *memory;

	length = (length + page - 1) / page * page;
	memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, maps->fd[id], 0);
	if (memory == MAP_FAILED)
		return error_set(err, -errno, "cannot map %s into memory: %s", names[id],
				 strerror(errno));
	maps->memory[id] = memory;
	maps->length[id] = length;
	return 0;
}

int maps_mmap(struct maps *maps, struct error *err)
{
	static const struct {
		enum map_id id;
		size_t value_size;
	} mapped[] = {
		{MAP_GROUP_BLOCKS, sizeof(struct amt_group_blocks)},
		{MAP_BLOCK_LIST, sizeof(struct amt_block_ref)},
		{MAP_BLOCKS, sizeof(struct amt_block)},
		{MAP_FANOUT4, sizeof(struct amt_member4)},
		{MAP_FANOUT6, sizeof(struct amt_member6)},
		{MAP_TUNNELS, sizeof(struct amt_tunnel)},
	};
	unsigned int i;
	int ret;

	for (i = 0; i < sizeof(mapped) / sizeof(mapped[0]); i++) {
		ret = mmap_one(maps, mapped[i].id, mapped[i].value_size, err);
		if (ret)
			return ret;
	}
	return 0;
}

struct fanout_arrays maps_fanout_arrays(const struct maps *maps)
{
	return (struct fanout_arrays){
		.group_blocks = maps->memory[MAP_GROUP_BLOCKS],
		.block_list = maps->memory[MAP_BLOCK_LIST],
		.blocks = maps->memory[MAP_BLOCKS],
		.fanout4 = maps->memory[MAP_FANOUT4],
		.fanout6 = maps->memory[MAP_FANOUT6],
		.max_sets = maps->max_entries[MAP_GROUP_BLOCKS],
		.max_blocks = maps->max_entries[MAP_BLOCKS],
		.list_slots = maps->max_entries[MAP_BLOCK_LIST],
	};
}

int maps_read(const struct maps *maps, enum map_id id, uint32_t key, void *value)
{
	return bpf_map_lookup_elem(maps->fd[id], &key, value) ? -errno : 0;
}

int maps_write(const struct maps *maps, enum map_id id, uint32_t key, const void *value)
{
	return bpf_map_update_elem(maps->fd[id], &key, value, BPF_ANY) ? -errno : 0;
}
