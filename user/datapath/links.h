/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The links of this network namespace, by index, as next hops need them. */
#ifndef AMT_DATAPATH_LINKS_H
#define AMT_DATAPATH_LINKS_H

#include <stdbool.h>
#include <stdint.h>
#include "datapath/rtnl.h"

struct links;

/* before NULL: appeared; after NULL: gone. Calls may come from links_message() and links_sync(). */
typedef void (*links_change_fn)(void *arg, const struct rtnl_link *before,
				const struct rtnl_link *after);

struct links *links_new(links_change_fn fn, void *arg); /* NULL: no memory */
void links_free(struct links *links);

/* Reads all links anew and tells the differences. */
int links_sync(struct links *links, struct rtnl *rtnl);
/* Takes in a notification. */
void links_message(struct links *links, const struct nlmsghdr *message);
/* NULL: no such link. Good until the next call that may change links. */
const struct rtnl_link *links_find(const struct links *links, uint32_t ifindex);

#endif
