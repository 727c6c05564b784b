/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "relay/memberships.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <uthash.h>
#include <utlist.h>

/* The kernel walks a socket's groups one by one, and all of them share its option memory. */
#define GROUPS_PER_SOCKET 64
#define SOURCES_MAX	  512 /* per group and socket, however high the kernel's limit */

struct holder_socket {
	int fd;
	int family;
	unsigned int groups;
	bool open;	    /* in the list of those that may have room */
	unsigned int stamp; /* the search that must not use it: it has the group already */
	struct holder_socket *next, *prev;
};

/* A membership of one socket: one of the parts that make up a filter. */
struct part {
	struct holder_socket *socket;
	bool exclude;
	struct amt_addr *sources;
	unsigned int nsources;
};

struct filter_key {
	uint32_t ifindex;
	struct amt_addr group;
};

struct filter {
	UT_hash_handle hh;
	struct filter_key key;
	struct part *parts; /* EXCLUDE has one */
	unsigned int nparts;
	bool marked, listened;
};

struct memberships {
	struct filter *table;
	struct holder_socket *room[2]; /* by family, IPv4 first */
	unsigned int sockets, stamp;
	unsigned int max_sources[2];
};

static int family_index(const struct amt_addr *addr)
{
	return addr_is_ipv4(addr) ? 0 : 1;
}

/* ---- kernel calls ---- */

static void native(const struct amt_addr *addr, struct sockaddr_storage *out)
{
	struct amt_sockaddr sa = {.addr = *addr};

	sockaddr_to_native(&sa, out);
}

static int option_level(const struct amt_addr *group)
{
	return addr_is_ipv4(group) ? SOL_IP : SOL_IPV6;
}

static int kernel_group(int fd, int option, const struct filter_key *key)
{
	struct group_req req = {.gr_interface = key->ifindex};

	native(&key->group, &req.gr_group);
	if (setsockopt(fd, option_level(&key->group), option, &req, sizeof(req)))
		return -errno;
	return 0;
}

static int kernel_join_source(int fd, const struct filter_key *key, const struct amt_addr *source)
{
	struct group_source_req req = {.gsr_interface = key->ifindex};

	native(&key->group, &req.gsr_group);
	native(source, &req.gsr_source);
	if (setsockopt(fd, option_level(&key->group), MCAST_JOIN_SOURCE_GROUP, &req, sizeof(req)))
		return -errno;
	return 0;
}

static int kernel_filter(int fd, const struct filter_key *key, bool exclude,
			 const struct amt_addr *sources, unsigned int nsources)
{
	struct sockaddr_storage group, list[SOURCES_MAX];
	unsigned int i;

	native(&key->group, &group);
	for (i = 0; i < nsources; i++)
		native(&sources[i], &list[i]);
	if (setsourcefilter(fd, key->ifindex, (struct sockaddr *)&group,
			    addr_is_ipv4(&key->group) ? sizeof(struct sockaddr_in)
						      : sizeof(struct sockaddr_in6),
			    exclude ? MCAST_EXCLUDE : MCAST_INCLUDE, nsources, list))
		return -errno;
	return 0;
}

static int kernel_join(int fd, const struct filter_key *key, bool exclude,
		       const struct amt_addr *sources, unsigned int nsources)
{
	int err = exclude ? kernel_group(fd, MCAST_JOIN_GROUP, key)
			  : kernel_join_source(fd, key, &sources[0]);

	if (!err && nsources > (exclude ? 0 : 1))
		err = kernel_filter(fd, key, exclude, sources, nsources);
	if (err) /* a join by source can fail half-way */
		kernel_group(fd, MCAST_LEAVE_GROUP, key);
	return err;
}

/* ---- sockets ---- */

static struct holder_socket *socket_new(struct memberships *m, int family)
{
	struct holder_socket *s = calloc(1, sizeof(*s));
	int least = 0;

	if (!s)
		return NULL;
	/* Never bound, so it is given no datagram; it exists for its memberships. */
	s->fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (s->fd < 0) {
		free(s);
		return NULL;
	}
	(void)setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &least, sizeof(least));
	s->family = family;
	m->sockets++;
	return s;
}

static struct holder_socket **room_of(struct memberships *m, const struct holder_socket *s)
{
	return &m->room[s->family == AF_INET ? 0 : 1];
}

static void socket_open(struct memberships *m, struct holder_socket *s)
{
	if (!s->open)
		DL_PREPEND(*room_of(m, s), s);
	s->open = true;
}

static void socket_full(struct memberships *m, struct holder_socket *s)
{
	if (s->open)
		DL_DELETE(*room_of(m, s), s);
	s->open = false;
}

static void socket_take(struct memberships *m, struct holder_socket *s)
{
	s->groups++;
	if (s->groups >= GROUPS_PER_SOCKET)
		socket_full(m, s);
	else
		socket_open(m, s);
}

static void socket_close(struct memberships *m, struct holder_socket *s)
{
	socket_full(m, s);
	close(s->fd);
	free(s);
	m->sockets--;
}

static void socket_give(struct memberships *m, struct holder_socket *s)
{
	s->groups--;
	if (s->groups == 0)
		socket_close(m, s);
	else
		socket_open(m, s);
}

/* ---- parts ---- */

static bool no_room(int err)
{
	return err == -ENOBUFS || err == -ENOMEM;
}

/* Joins on a socket with room that does not have the group yet, else on a new one. */
static int join_somewhere(struct memberships *m, const struct filter *f, bool exclude,
			  const struct amt_addr *sources, unsigned int nsources,
			  struct holder_socket **out)
{
	int err, family = addr_family(&f->key.group);
	struct holder_socket *s, *tmp;
	unsigned int i;

	m->stamp++;
	for (i = 0; i < f->nparts; i++)
		f->parts[i].socket->stamp = m->stamp;
	DL_FOREACH_SAFE (m->room[family_index(&f->key.group)], s, tmp) {
		if (s->stamp == m->stamp)
			continue;
		err = kernel_join(s->fd, &f->key, exclude, sources, nsources);
		if (!err) {
			socket_take(m, s);
			*out = s;
		}
		if (!no_room(err))
			return err;
		socket_full(m, s);
	}
	s = socket_new(m, family);
	if (!s)
		return -errno;
	err = kernel_join(s->fd, &f->key, exclude, sources, nsources);
	if (err) {
		socket_close(m, s);
		return err;
	}
	socket_take(m, s);
	*out = s;
	return 0;
}

static void part_leave(struct memberships *m, const struct filter *f, struct part *part)
{
	kernel_group(part->socket->fd, MCAST_LEAVE_GROUP, &f->key);
	socket_give(m, part->socket);
	free(part->sources);
}

/* Gives a part another filter; takes over sources when it succeeds, frees them when not. A socket
 * without room for the longer list is changed for another, joined before the old one leaves. */
static int part_change(struct memberships *m, struct filter *f, struct part *part, bool exclude,
		       struct amt_addr *sources, unsigned int nsources)
{
	struct holder_socket *other;
	int err;

	err = kernel_filter(part->socket->fd, &f->key, exclude, sources, nsources);
	if (no_room(err)) {
		err = join_somewhere(m, f, exclude, sources, nsources, &other);
		if (!err) {
			kernel_group(part->socket->fd, MCAST_LEAVE_GROUP, &f->key);
			socket_give(m, part->socket);
			part->socket = other;
		}
	}
	if (err) {
		free(sources);
		return err;
	}
	free(part->sources);
	part->sources = sources;
	part->nsources = nsources;
	part->exclude = exclude;
	return 0;
}

static int part_add(struct memberships *m, struct filter *f, bool exclude,
		    const struct amt_addr *sources, unsigned int nsources)
{
	struct part part = {.exclude = exclude, .nsources = nsources}, *parts;
	int err;

	parts = realloc(f->parts, (f->nparts + 1) * sizeof(*parts));
	if (!parts)
		return -ENOMEM;
	f->parts = parts;
	part.sources = malloc((nsources + 1) * sizeof(*sources));
	if (!part.sources)
		return -ENOMEM;
	if (nsources)
		memcpy(part.sources, sources, nsources * sizeof(*sources));
	err = join_somewhere(m, f, exclude, sources, nsources, &part.socket);
	if (err) {
		free(part.sources);
		return err;
	}
	f->parts[f->nparts++] = part;
	return 0;
}

static void leave_parts_from(struct memberships *m, struct filter *f, unsigned int first)
{
	while (f->nparts > first)
		part_leave(m, f, &f->parts[--f->nparts]);
}

/* ---- filters ---- */

static bool same_list(const struct part *part, const struct amt_addr *sources, unsigned int n)
{
	return part->nsources == n && memcmp(part->sources, sources, n * sizeof(*sources)) == 0;
}

static int set_exclude(struct memberships *m, struct filter *f, const struct amt_addr *sources,
		       unsigned int nsources)
{
	struct amt_addr *copy;
	int err = 0;

	if (f->nparts == 0)
		return part_add(m, f, true, sources, nsources);
	if (!f->parts[0].exclude || !same_list(&f->parts[0], sources, nsources)) {
		copy = malloc((nsources + 1) * sizeof(*copy));
		if (!copy)
			return -ENOMEM;
		if (nsources)
			memcpy(copy, sources, nsources * sizeof(*copy));
		err = part_change(m, f, &f->parts[0], true, copy, nsources);
	}
	if (!err) /* what they include, the first part lets in as well */
		leave_parts_from(m, f, 1);
	return err;
}

static int compare_addr(const void *a, const void *b)
{
	return addr_compare(a, b);
}

/* What is to be included: which of it some part has already. */
struct include_plan {
	const struct amt_addr *sources;
	bool *placed;
	unsigned int nsources;
	unsigned int next; /* all before it are placed */
};

/* The part's next list: what it has and is still wanted, filled up with what no part has. */
static struct amt_addr *plan_part(struct include_plan *plan, const struct part *part,
				  unsigned int max, unsigned int *n)
{
	struct amt_addr *list =
		malloc((max > part->nsources ? max : part->nsources) * sizeof(*list));

	*n = 0;
	if (!list)
		return NULL;
	if (!part->exclude) {
		for (unsigned int i = 0; i < part->nsources; i++)
			if (bsearch(&part->sources[i], plan->sources, plan->nsources, sizeof(*list),
				    compare_addr))
				list[(*n)++] = part->sources[i];
	}
	for (; *n < max && plan->next < plan->nsources; plan->next++)
		if (!plan->placed[plan->next])
			list[(*n)++] = plan->sources[plan->next];
	return list;
}

static void plan_place(struct include_plan *plan, const struct filter *f)
{
	const struct amt_addr *found;
	unsigned int i, j;

	for (i = 0; i < f->nparts; i++)
		for (j = 0; !f->parts[i].exclude && j < f->parts[i].nsources; j++) {
			found = bsearch(&f->parts[i].sources[j], plan->sources, plan->nsources,
					sizeof(*found), compare_addr);
			if (found)
				plan->placed[found - plan->sources] = true;
		}
}

/* Gives every source that no part has yet a place: first a new part's, so that an EXCLUDE part is
 * narrowed only when all others stand. */
static int add_parts(struct memberships *m, struct filter *f, struct include_plan *plan,
		     unsigned int max, unsigned int keep)
{
	struct amt_addr list[SOURCES_MAX];
	unsigned int n, unplaced = 0, i;
	int err;

	for (i = plan->next; i < plan->nsources; i++)
		unplaced += !plan->placed[i];
	/* the last `keep` of them fit into parts that stand */
	while (unplaced > keep) {
		for (n = 0; n < max && unplaced > keep; plan->next++)
			if (!plan->placed[plan->next]) {
				list[n++] = plan->sources[plan->next];
				unplaced--;
			}
		err = part_add(m, f, false, list, n);
		if (err)
			return err;
	}
	return 0;
}

static unsigned int free_places(const struct filter *f, const struct include_plan *plan,
				unsigned int max)
{
	unsigned int i, j, kept, places = 0;

	for (i = 0; i < f->nparts; i++) {
		for (j = kept = 0; !f->parts[i].exclude && j < f->parts[i].nsources; j++)
			kept += bsearch(&f->parts[i].sources[j], plan->sources, plan->nsources,
					sizeof(struct amt_addr), compare_addr) != NULL;
		places += kept < max ? max - kept : 0;
	}
	return places;
}

/* From the last part to the first: an EXCLUDE part is the first. */
static int change_parts(struct memberships *m, struct filter *f, struct include_plan *plan,
			unsigned int max, unsigned int old_parts)
{
	struct amt_addr *list;
	unsigned int i, n;
	int err, first_err = 0;

	for (i = old_parts; i-- > 0;) {
		struct part *part = &f->parts[i];

		list = plan_part(plan, part, max, &n);
		if (!list)
			return -ENOMEM;
		if (n == 0 || (!part->exclude && same_list(part, list, n))) {
			free(list);
			if (n == 0) {
				part_leave(m, f, part);
				f->nparts--;
				memmove(part, part + 1, (f->nparts - i) * sizeof(*part));
			}
			continue;
		}
		err = part_change(m, f, part, false, list, n);
		if (err && !first_err)
			first_err = err;
	}
	return first_err;
}

static int set_include(struct memberships *m, struct filter *f, const struct amt_addr *sources,
		       unsigned int nsources)
{
	struct include_plan plan = {.sources = sources, .nsources = nsources};
	unsigned int max = m->max_sources[family_index(&f->key.group)], old_parts = f->nparts;
	int err;

	plan.placed = calloc(nsources + 1, sizeof(*plan.placed));
	if (!plan.placed)
		return -ENOMEM;
	plan_place(&plan, f);
	err = add_parts(m, f, &plan, max, free_places(f, &plan, max));
	if (!err)
		err = change_parts(m, f, &plan, max, old_parts);
	free(plan.placed);
	return err;
}

static struct filter *filter_find(const struct memberships *m, const struct filter_key *key)
{
	struct filter *f;

	HASH_FIND(hh, m->table, key, sizeof(*key), f);
	return f;
}

static void filter_drop(struct memberships *m, struct filter *f)
{
	leave_parts_from(m, f, 0);
	HASH_DEL(m->table, f);
	free(f->parts);
	free(f);
}

int memberships_set(struct memberships *m, uint32_t ifindex, const struct amt_addr *group,
		    bool exclude, const struct amt_addr *sources, unsigned int nsources,
		    bool *truncated)
{
	struct filter_key key = {.ifindex = ifindex, .group = *group};
	struct filter *f = filter_find(m, &key);
	int err;

	*truncated = exclude && nsources > m->max_sources[family_index(group)];
	if (!exclude && nsources == 0) {
		if (f)
			filter_drop(m, f);
		return 0;
	}
	if (!f) {
		f = calloc(1, sizeof(*f));
		if (!f)
			return -ENOMEM;
		f->key = key;
		HASH_ADD(hh, m->table, key, sizeof(f->key), f);
	}
	f->marked = true;
	err = exclude ? set_exclude(m, f, sources, *truncated ? 0 : nsources)
		      : set_include(m, f, sources, nsources);
	if (f->nparts == 0)
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
	return m->sockets;
}

unsigned int memberships_filters(const struct memberships *m)
{
	return HASH_COUNT(m->table);
}

/* ---- limits, other listeners ---- */

static unsigned int read_limit(const char *path, unsigned int otherwise)
{
	FILE *file = fopen(path, "re");
	unsigned int limit;

	if (!file)
		return otherwise;
	if (fscanf(file, "%u", &limit) != 1)
		limit = otherwise;
	fclose(file);
	if (limit > SOURCES_MAX)
		limit = SOURCES_MAX;
	return limit ? limit : 1;
}

void memberships_read_limits(struct memberships *m)
{
	m->max_sources[0] = read_limit("/proc/sys/net/ipv4/igmp_max_msf", 10);
	m->max_sources[1] = read_limit("/proc/sys/net/ipv6/mld_max_msf", 64);
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

typedef void (*listeners_fn)(void *arg, uint32_t ifindex, const struct amt_addr *group,
			     bool listened);

static void compare_users(struct memberships *m, const struct filter_key *key, unsigned int users,
			  listeners_fn fn, void *arg)
{
	struct filter *f = filter_find(m, key);
	bool listened;

	if (!f)
		return;
	listened = users > f->nparts; /* each part is one user */
	if (listened != f->listened)
		fn(arg, key->ifindex, &key->group, listened);
	f->listened = listened;
}

static void read_igmp(struct memberships *m, FILE *file, listeners_fn fn, void *arg)
{
	struct filter_key key = {0};
	unsigned int ifindex, users;
	uint32_t group; /* printed as a number of this host's byte order */
	char line[256];

	while (fgets(line, sizeof(line), file)) {
		if (line[0] != '\t' && sscanf(line, "%u", &ifindex) == 1)
			key.ifindex = ifindex;
		else if (line[0] == '\t' && sscanf(line, " %" SCNx32 " %u", &group, &users) == 2) {
			key.group = addr_from_ipv4(&group);
			compare_users(m, &key, users, fn, arg);
		}
	}
}

static void read_igmp6(struct memberships *m, FILE *file, listeners_fn fn, void *arg)
{
	struct filter_key key = {0};
	unsigned int ifindex, users, octet, i;
	char line[256], hex[33];

	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%u %*s %32[0-9a-f] %u", &ifindex, hex, &users) != 3)
			continue;
		key.ifindex = ifindex;
		for (i = 0; i < 16 && sscanf(hex + 2 * i, "%2x", &octet) == 1; i++)
			key.group.bytes[i] = (uint8_t)octet;
		if (i == 16)
			compare_users(m, &key, users, fn, arg);
	}
}

void memberships_listeners(struct memberships *m, listeners_fn fn, void *arg)
{
	FILE *file = fopen("/proc/net/igmp", "re");

	if (file) {
		read_igmp(m, file, fn, arg);
		fclose(file);
	}
	file = fopen("/proc/net/igmp6", "re");
	if (file) {
		read_igmp6(m, file, fn, arg);
		fclose(file);
	}
}

void memberships_listeners_reset(struct memberships *m)
{
	struct filter *f, *tmp;

	HASH_ITER (hh, m->table, f, tmp)
		f->listened = false;
}
