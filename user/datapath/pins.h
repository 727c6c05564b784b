/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pin folder of an instance: /sys/fs/bpf/amt/INSTANCE holds the maps under their own names,
 * /sys/fs/bpf/amt/INSTANCE/links what attaches programs. Whoever holds the folder's lock owns all.
 */
#ifndef AMT_DATAPATH_PINS_H
#define AMT_DATAPATH_PINS_H

#include "base/error.h"

#define PINS_PATH_MAX 192

struct pins {
	char dir[PINS_PATH_MAX];
	char links[PINS_PATH_MAX];
	int lock_fd;
};

/* Mounts bpffs where missing, makes the folder and takes its lock. -EBUSY: another has it;
 * -EINVAL: no name for an instance. */
int pins_open(struct pins *pins, const char *instance, struct error *err);
/* Gives the lock back; the folder stays. */
void pins_close(struct pins *pins);
/* Removes the (emptied) folder, then closes. */
void pins_remove(struct pins *pins);

/* Pins of links: name is a file name below links/. Returns a file descriptor or negative errno. */
int pins_link_get(const struct pins *pins, const char *name);
int pins_link_put(const struct pins *pins, const char *name, int fd);
void pins_link_remove(const struct pins *pins, const char *name);
/* Removes every link: their programs are detached once nobody else holds them. */
void pins_links_remove_all(const struct pins *pins);

#endif
