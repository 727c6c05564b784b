/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "datapath/links.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <linux/rtnetlink.h>
#include <uthash.h>

struct entry {
	UT_hash_handle hh;
	struct rtnl_link link;
	unsigned int seen; /* the pass that last saw it */
};

struct links {
	struct entry *table;
	links_change_fn fn;
	void *arg;
	unsigned int pass;
	bool failed; /* no memory during this pass */
};

struct links *links_new(links_change_fn fn, void *arg)
{
	struct links *links = calloc(1, sizeof(*links));

	if (links) {
		links->fn = fn;
		links->arg = arg;
	}
	return links;
}

void links_free(struct links *links)
{
	struct entry *entry, *tmp;

	if (!links)
		return;
	HASH_ITER (hh, links->table, entry, tmp) {
		HASH_DEL(links->table, entry);
		free(entry);
	}
	free(links);
}

static struct entry *find(const struct links *links, uint32_t ifindex)
{
	struct entry *entry;

	HASH_FIND(hh, links->table, &ifindex, sizeof(ifindex), entry);
	return entry;
}

static void forget(struct links *links, struct entry *entry)
{
	HASH_DEL(links->table, entry);
	links->fn(links->arg, &entry->link, NULL);
	free(entry);
}

static void take(struct links *links, const struct rtnl_link *link)
{
	struct entry *entry = find(links, link->ifindex);
	struct rtnl_link before;

	if (entry) {
		memcpy(&before, &entry->link, sizeof(before)); /* padding too: it is compared */
		memcpy(&entry->link, link, sizeof(*link));
		entry->seen = links->pass;
		if (memcmp(&before, link, sizeof(before)) != 0)
			links->fn(links->arg, &before, &entry->link);
		return;
	}
	entry = calloc(1, sizeof(*entry));
	if (!entry) {
		links->failed = true;
		return;
	}
	memcpy(&entry->link, link, sizeof(*link));
	entry->seen = links->pass;
	HASH_ADD(hh, links->table, link.ifindex, sizeof(entry->link.ifindex), entry);
	links->fn(links->arg, NULL, &entry->link);
}

void links_message(struct links *links, const struct nlmsghdr *message)
{
	struct rtnl_link link;
	struct entry *entry;

	if (!rtnl_parse_link(message, &link))
		return;
	if (message->nlmsg_type == RTM_NEWLINK) {
		take(links, &link);
		return;
	}
	entry = find(links, link.ifindex);
	if (entry)
		forget(links, entry);
}

static void dump_message(void *arg, const struct nlmsghdr *message)
{
	links_message(arg, message);
}

int links_sync(struct links *links, struct rtnl *rtnl)
{
	struct entry *entry, *tmp;
	int err;

	links->pass++;
	links->failed = false;
	err = rtnl_dump(rtnl, RTM_GETLINK, dump_message, links);
	if (!err && links->failed)
		err = -ENOMEM;
	if (err)
		return err;
	HASH_ITER (hh, links->table, entry, tmp)
		if (entry->seen != links->pass)
			forget(links, entry);
	return 0;
}

const struct rtnl_link *links_find(const struct links *links, uint32_t ifindex)
{
	struct entry *entry = find(links, ifindex);

	return entry ? &entry->link : NULL;
}
