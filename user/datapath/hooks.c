/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is ours on an interface, whichever build attached it: a program is ours when it uses our
 * pinned `config` map. Called by xdp.c, tc.c and datapath.c.
 */
#include "datapath/state.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>
#include <bpf/bpf.h>

#define PROGRAM_MAPS_MAX 64

uint32_t map_id_of(int map_fd)
{
	struct bpf_map_info info = {0};
	__u32 length = sizeof(info);

	return bpf_obj_get_info_by_fd(map_fd, &info, &length) ? 0 : info.id;
}

int program_uses_map(uint32_t program_id, uint32_t map_id)
{
	__u32 ids[PROGRAM_MAPS_MAX] = {0}, i, length;
	struct bpf_prog_info info = {.nr_map_ids = PROGRAM_MAPS_MAX, .map_ids = (uintptr_t)ids};
	int fd = bpf_prog_get_fd_by_id(program_id);
	int uses = 0;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	length = sizeof(info);
	if (!bpf_obj_get_info_by_fd(fd, &info, &length))
		for (i = 0; i < info.nr_map_ids && i < PROGRAM_MAPS_MAX; i++)
			uses |= ids[i] == map_id;
	close(fd);
	return uses;
}

static uint32_t pinned_config_id(const struct pins *pins)
{
	char path[2 * PINS_PATH_MAX];
	uint32_t id;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", pins->dir, map_name(MAP_CONFIG));
	fd = bpf_obj_get(path);
	if (fd < 0)
		return 0;
	id = map_id_of(fd);
	close(fd);
	return id;
}

/* Whatever their names: a predecessor may have had other maps. */
static void unpin_files(const char *folder)
{
	DIR *dir = opendir(folder);
	char path[2 * PINS_PATH_MAX + 256];
	struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		if (entry->d_type != DT_DIR)
			unlink(path);
	}
	closedir(dir);
}

void hooks_dismantle(const struct pins *pins)
{
	struct if_nameindex *links = if_nameindex(), *link;
	uint32_t map_id = pinned_config_id(pins);

	for (link = links; map_id && link && link->if_index; link++) {
		tc_detach(link->if_index, TC_RELAY, map_id);
		tc_detach(link->if_index, TC_GATEWAY, map_id);
		xdp_detach_map_users(link->if_index, map_id);
	}
	if (links)
		if_freenameindex(links);
	pins_links_remove_all(pins);
	unpin_files(pins->dir);
}
