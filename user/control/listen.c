/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/listen.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

bool instance_is_valid(const char *name)
{
	size_t i;

	for (i = 0; name[i]; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr("_-.", name[i]))
			return false;
	return i > 0 && i <= INSTANCE_LEN && name[0] != '.' && name[0] != '-';
}

const char *control_path(const char *instance, char *buf)
{
	snprintf(buf, CONTROL_PATH_LEN, "/run/amt/%.*s.sock", INSTANCE_LEN, instance);
	return buf;
}

static int to_address(const char *path, struct sockaddr_un *addr)
{
	memset(addr, 0, sizeof(*addr));
	addr->sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(addr->sun_path))
		return -ENAMETOOLONG;
	strcpy(addr->sun_path, path);
	return 0;
}

int control_connect(const char *path)
{
	struct sockaddr_un addr;
	int ret = to_address(path, &addr), fd;

	if (ret)
		return ret;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return fd;
	ret = -errno;
	close(fd);
	return ret;
}

static int make_folder(const char *path, struct error *err)
{
	char folder[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char *slash;

	snprintf(folder, sizeof(folder), "%s", path);
	slash = strrchr(folder, '/');
	if (!slash || slash == folder)
		return 0;
	*slash = '\0';
	if (mkdir(folder, 0755) == 0 || errno == EEXIST)
		return 0;
	return error_set(err, -errno, "%s: %s; make this folder", folder, strerror(errno));
}

static int bind_and_listen(int fd, const struct sockaddr_un *addr)
{
	mode_t old = umask(0177); /* root's own from its first moment on */
	int ret = bind(fd, (const struct sockaddr *)addr, sizeof(*addr)) ? -errno : 0;

	umask(old);
	if (!ret && listen(fd, 16))
		ret = -errno;
	return ret;
}

int control_listen(const char *path, struct error *err)
{
	struct sockaddr_un addr;
	int ret = to_address(path, &addr), fd;

	if (!ret)
		ret = make_folder(path, err);
	if (ret)
		return ret;
	fd = control_connect(path);
	if (fd >= 0) {
		close(fd);
		return error_set(err, -EADDRINUSE,
				 "%s: another amtd answers there; stop it, or choose another name "
				 "with -i",
				 path);
	}
	if (unlink(path) && errno != ENOENT)
		return error_set(err, -errno, "%s: %s; remove it", path, strerror(errno));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	ret = bind_and_listen(fd, &addr);
	if (!ret)
		return fd;
	close(fd);
	return error_set(err, ret, "%s: cannot listen: %s", path, strerror(-ret));
}
