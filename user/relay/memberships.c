/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "relay/memberships.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <uthash.h>
#include "relay/listeners.h"
#include "relay/membership_parts.h"
#include "relay/membership_sockets.h"

struct filter {
	UT_hash_handle hh;
	struct membership_parts parts;
	bool marked, listened;
};

struct memberships {
	struct filter *table;
	struct membership_sockets sockets;
	unsigned int max_sources4, max_sources6; /* per group and socket */
};

static struct filter *filter_find(const struct memberships *m, const struct membership_key *key)
{
	struct filter *f;

	HASH_FIND(hh, m->table, key, sizeof(*key), f);
	return f;
}

static void filter_drop(struct memberships *m, struct filter *f)
{
	parts_leave(&m->sockets, &f->parts);
	HASH_DEL(m->table, f);
	free(f);
}

static struct filter *filter_make(struct memberships *m, const struct membership_key *key)
{
	struct filter *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->parts.key = *key;
	HASH_ADD(hh, m->table, parts.key, sizeof(f->parts.key), f);
	return f;
}

int memberships_set(struct memberships *m, uint32_t ifindex, const struct amt_addr *group,
		    bool exclude, const struct amt_addr *sources, unsigned int nsources,
		    bool *truncated)
{
	unsigned int max = addr_is_ipv4(group) ? m->max_sources4 : m->max_sources6;
	struct membership_key key = {.ifindex = ifindex, .group = *group};
	struct filter *f = filter_find(m, &key);
	int err;

	*truncated = exclude && nsources > max;
	if (!exclude && nsources == 0) {
		if (f)
			filter_drop(m, f);
		return 0;
	}
	if (!f)
		f = filter_make(m, &key);
	if (!f)
		return -ENOMEM;
	f->marked = true;
	if (exclude)
		err = parts_exclude(&m->sockets, &f->parts, sources, *truncated ? 0 : nsources);
	else
		err = parts_include(&m->sockets, &f->parts, sources, nsources, max);
	if (f->parts.n == 0)
		filter_drop(m, f);
	return err;
}

void memberships_unmark(struct memberships *m)
{
	struct filter *f, *tmp;

	HASH_ITER (hh, m->table, f, tmp)
		f->marked = false;
}

void memberships_sweep(struct memberships *m)
{
	struct filter *f, *tmp;

	HASH_ITER (hh, m->table, f, tmp)
		if (!f->marked)
			filter_drop(m, f);
}

unsigned int memberships_sockets(const struct memberships *m)
{
	return m->sockets.n;
}

unsigned int memberships_filters(const struct memberships *m)
{
	return HASH_COUNT(m->table);
}

static unsigned int read_limit(const char *path, unsigned int otherwise)
{
	FILE *file = fopen(path, "re");
	unsigned int limit = otherwise;

	if (file) {
		if (fscanf(file, "%u", &limit) != 1)
			limit = otherwise;
		fclose(file);
	}
	if (limit > MEMBERSHIP_SOURCES_MAX)
		limit = MEMBERSHIP_SOURCES_MAX;
	return limit ? limit : 1;
}

void memberships_read_limits(struct memberships *m)
{
	m->max_sources4 = read_limit("/proc/sys/net/ipv4/igmp_max_msf", 10);
	m->max_sources6 = read_limit("/proc/sys/net/ipv6/mld_max_msf", 64);
}

struct memberships *memberships_new(void)
{
	struct memberships *m = calloc(1, sizeof(*m));

	if (m)
		memberships_read_limits(m);
	return m;
}

void memberships_free(struct memberships *m)
{
	struct filter *f, *tmp;

	HASH_ITER (hh, m->table, f, tmp)
		filter_drop(m, f);
	free(m);
}

/* ---- other listeners ---- */

struct listening {
	struct memberships *memberships;
	memberships_listened_fn fn;
	void *arg;
};

static void compare_users(void *arg, uint32_t ifindex, const struct amt_addr *group,
			  unsigned int users)
{
	const struct listening *listening = arg;
	struct membership_key key = {.ifindex = ifindex, .group = *group};
	struct filter *f = filter_find(listening->memberships, &key);
	bool listened;

	if (!f)
		return;
	listened = users > f->parts.n; /* each part is one user */
	if (listened != f->listened)
		listening->fn(listening->arg, ifindex, group, listened);
	f->listened = listened;
}

void memberships_listeners(struct memberships *m, memberships_listened_fn fn, void *arg)
{
	struct listening listening = {.memberships = m, .fn = fn, .arg = arg};

	listeners_read(compare_users, &listening);
}

void memberships_listeners_reset(struct memberships *m)
{
	struct filter *f, *tmp;

	HASH_ITER (hh, m->table, f, tmp)
		f->listened = false;
}
