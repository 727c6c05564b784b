/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pin folder and its lock; see pins.h. Called by datapath.c, xdp.c and object.c. */
#include "datapath/pins.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <bpf/bpf.h>

#include "base/log.h"

#define BPFFS	     "/sys/fs/bpf"
#define FOLDER	     BPFFS "/amt"
#define INSTANCE_MAX 32

/* bpffs takes no dot in a name; a slash would lead elsewhere. */
static int check_instance(const char *instance, struct error *err)
{
	size_t i, n = strlen(instance);

	if (n == 0 || n > INSTANCE_MAX)
		goto bad;
	for (i = 0; i < n; i++)
		if (!isalnum((unsigned char)instance[i]) && instance[i] != '-' &&
		    instance[i] != '_')
			goto bad;
	return 0;
bad:
	return error_set(err, -EINVAL,
			 "\"%s\" is no instance name: use up to %d letters, digits, - and _",
			 instance, INSTANCE_MAX);
}

static int mount_bpffs(struct error *err)
{
	struct statfs fs;

	if (statfs(BPFFS, &fs))
		return error_set(err, -errno,
				 BPFFS ": %s; the kernel needs CONFIG_BPF_SYSCALL and sysfs",
				 strerror(errno));
	if ((unsigned long)fs.f_type == BPF_FS_MAGIC)
		return 0;
	if (mount("bpf", BPFFS, "bpf", 0, "mode=0700"))
		return error_set(err, -errno,
				 "cannot mount bpffs: %s; try: mount -t bpf bpf " BPFFS,
				 strerror(errno));
	log_info("mounted bpffs on " BPFFS);
	return 0;
}

static int make_folder(const char *path, struct error *err)
{
	if (mkdir(path, 0700) && errno != EEXIST)
		return error_set(err, -errno, "cannot make %s: %s", path, strerror(errno));
	return 0;
}

/* Locks the folder that the path names now: one removed meanwhile by its last owner is no use. */
static int lock_folder(struct pins *pins, const char *instance, struct error *err)
{
	struct stat held, named;
	int tries, ret;

	for (tries = 0; tries < 10; tries++) {
		ret = make_folder(pins->dir, err);
		if (ret)
			return ret;
		pins->lock_fd = open(pins->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (pins->lock_fd < 0 && errno == ENOENT)
			continue;
		if (pins->lock_fd < 0)
			return error_set(err, -errno, "%s: %s", pins->dir, strerror(errno));
		if (flock(pins->lock_fd, LOCK_EX | LOCK_NB)) {
			ret = errno == EWOULDBLOCK ? -EBUSY : -errno;
			close(pins->lock_fd);
			return error_set(err, ret,
					 "another amtd has instance \"%s\"; stop it, or choose "
					 "another name with -i",
					 instance);
		}
		if (!fstat(pins->lock_fd, &held) && !stat(pins->dir, &named) &&
		    held.st_ino == named.st_ino)
			return make_folder(pins->links, err);
		close(pins->lock_fd);
	}
	return error_set(err, -EAGAIN, "%s comes and goes; try again", pins->dir);
}

int pins_open(struct pins *pins, const char *instance, struct error *err)
{
	int ret = check_instance(instance, err);

	pins->lock_fd = -1;
	if (!ret)
		ret = mount_bpffs(err);
	if (!ret)
		ret = make_folder(FOLDER, err);
	if (ret)
		return ret;
	snprintf(pins->dir, sizeof(pins->dir), FOLDER "/%s", instance);
	snprintf(pins->links, sizeof(pins->links), FOLDER "/%s/links", instance);
	ret = lock_folder(pins, instance, err);
	if (ret)
		pins->lock_fd = -1;
	return ret;
}

void pins_close(struct pins *pins)
{
	if (pins->lock_fd >= 0)
		close(pins->lock_fd);
	pins->lock_fd = -1;
}

void pins_remove(struct pins *pins)
{
	pins_links_remove_all(pins);
	rmdir(pins->links);
	if (rmdir(pins->dir))
		log_warning("%s stays: %s", pins->dir, strerror(errno));
	pins_close(pins);
	rmdir(FOLDER); /* stays while another instance has pins */
}

/* ---- links ---- */

static void link_path(char *path, size_t size, const struct pins *pins, const char *name)
{
	snprintf(path, size, "%s/%s", pins->links, name);
}

int pins_link_get(const struct pins *pins, const char *name)
{
	char path[2 * PINS_PATH_MAX];
	int fd;

	link_path(path, sizeof(path), pins, name);
	fd = bpf_obj_get(path);
	return fd < 0 ? -errno : fd;
}

int pins_link_put(const struct pins *pins, const char *name, int fd)
{
	char path[2 * PINS_PATH_MAX];

	link_path(path, sizeof(path), pins, name);
	unlink(path);
	return bpf_obj_pin(fd, path) ? -errno : 0;
}

/* The last reference to a link goes some time after its pin: detach it now. Kinds that cannot be
 * detached (raw tracepoints) go then. */
void pins_link_remove(const struct pins *pins, const char *name)
{
	char path[2 * PINS_PATH_MAX];
	int fd;

	link_path(path, sizeof(path), pins, name);
	fd = bpf_obj_get(path);
	if (fd >= 0) {
		bpf_link_detach(fd);
		close(fd);
	}
	unlink(path);
}

void pins_links_remove_all(const struct pins *pins)
{
	DIR *dir = opendir(pins->links);
	struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			pins_link_remove(pins, entry->d_name);
	closedir(dir);
}
