/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which role an instance's packet path had, before it is opened in that role; see decap.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include "datapath/decap.h"

int datapath_gateway_state_peek(const char *instance, void *state, uint32_t size)
{
	struct amt_gateway_state value;
	struct bpf_map_info info = {0};
	uint32_t length = sizeof(info), key = 0;
	char path[128];
	int fd, ret;

	snprintf(path, sizeof(path), "/sys/fs/bpf/amt/%s/gateway_state", instance);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return -errno;
	ret = bpf_obj_get_info_by_fd(fd, &info, &length) ? -errno : 0;
	if (!ret && info.value_size != sizeof(value))
		ret = -EPROTO;
	if (!ret && bpf_map_lookup_elem(fd, &key, &value))
		ret = -errno;
	close(fd);
	if (!ret)
		memcpy(state, &value, size);
	return ret;
}
