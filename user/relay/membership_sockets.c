/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "relay/membership_sockets.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <utlist.h>

/* The kernel walks a socket's groups one by one, and all of them share its option memory. */
#define GROUPS_PER_SOCKET 64

struct membership_socket {
	int fd;
	int family;
	unsigned int groups;
	unsigned int stamp; /* equal to the sockets': avoid it */
	bool open;	    /* in the list of those that may have room */
	struct membership_socket *next, *prev;
};

/* ---- system calls ---- */

static void native(const struct amt_addr *addr, struct sockaddr_storage *out)
{
	struct amt_sockaddr sa = {.addr = *addr};

	sockaddr_to_native(&sa, out);
}

static int option_level(const struct amt_addr *group)
{
	return addr_is_ipv4(group) ? SOL_IP : SOL_IPV6;
}

static int kernel_group(int fd, int option, const struct membership_key *key)
{
	struct group_req req = {.gr_interface = key->ifindex};

	native(&key->group, &req.gr_group);
	if (setsockopt(fd, option_level(&key->group), option, &req, sizeof(req)))
		return -errno;
	return 0;
}

static int kernel_join_source(int fd, const struct membership_key *key,
			      const struct amt_addr *source)
{
	struct group_source_req req = {.gsr_interface = key->ifindex};

	native(&key->group, &req.gsr_group);
	native(source, &req.gsr_source);
	if (setsockopt(fd, option_level(&key->group), MCAST_JOIN_SOURCE_GROUP, &req, sizeof(req)))
		return -errno;
	return 0;
}

static int kernel_filter(int fd, const struct membership_key *key,
			 const struct membership_filter *filter)
{
	struct sockaddr_storage group, list[MEMBERSHIP_SOURCES_MAX];
	unsigned int i;

	native(&key->group, &group);
	for (i = 0; i < filter->nsources; i++)
		native(&filter->sources[i], &list[i]);
	if (setsourcefilter(fd, key->ifindex, (struct sockaddr *)&group,
			    addr_is_ipv4(&key->group) ? sizeof(struct sockaddr_in)
						      : sizeof(struct sockaddr_in6),
			    filter->exclude ? MCAST_EXCLUDE : MCAST_INCLUDE, filter->nsources,
			    list))
		return -errno;
	return 0;
}

/* The kernel changes the filter only of a group that the socket has joined. */
static int kernel_join(int fd, const struct membership_key *key,
		       const struct membership_filter *filter)
{
	int err = filter->exclude ? kernel_group(fd, MCAST_JOIN_GROUP, key)
				  : kernel_join_source(fd, key, &filter->sources[0]);

	if (!err && filter->nsources > (filter->exclude ? 0 : 1))
		err = kernel_filter(fd, key, filter);
	if (err) /* a join by source can fail half-way */
		kernel_group(fd, MCAST_LEAVE_GROUP, key);
	return err;
}

/* ---- sockets ---- */

static struct membership_socket **room_of(struct membership_sockets *sockets, int family)
{
	return &sockets->room[family == AF_INET ? 0 : 1];
}

static struct membership_socket *socket_new(struct membership_sockets *sockets, int family)
{
	struct membership_socket *s = calloc(1, sizeof(*s));
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
	sockets->n++;
	return s;
}

static void set_open(struct membership_sockets *sockets, struct membership_socket *s, bool open)
{
	struct membership_socket **room = room_of(sockets, s->family);

	if (open && !s->open)
		DL_PREPEND(*room, s);
	else if (!open && s->open)
		DL_DELETE(*room, s);
	s->open = open;
}

static void socket_close(struct membership_sockets *sockets, struct membership_socket *s)
{
	set_open(sockets, s, false);
	close(s->fd);
	free(s);
	sockets->n--;
}

static int join_on(struct membership_sockets *sockets, struct membership_socket *s,
		   const struct membership_key *key, const struct membership_filter *filter)
{
	int err = kernel_join(s->fd, key, filter);

	if (!err)
		s->groups++;
	set_open(sockets, s, !membership_no_room(err) && s->groups < GROUPS_PER_SOCKET);
	return err;
}

bool membership_no_room(int err)
{
	return err == -ENOBUFS || err == -ENOMEM;
}

void membership_avoid(struct membership_sockets *sockets, struct membership_socket *s)
{
	s->stamp = sockets->stamp;
}

int membership_join(struct membership_sockets *sockets, const struct membership_key *key,
		    const struct membership_filter *filter, struct membership_socket **out)
{
	unsigned int avoid = sockets->stamp++;
	int family = addr_family(&key->group), err = -ENOBUFS;
	struct membership_socket *s, *tmp;

	DL_FOREACH_SAFE (*room_of(sockets, family), s, tmp) {
		if (s->stamp == avoid)
			continue;
		err = join_on(sockets, s, key, filter);
		if (!membership_no_room(err))
			break;
	}
	if (!s) {
		s = socket_new(sockets, family);
		if (!s)
			return -errno;
		err = join_on(sockets, s, key, filter);
		if (err)
			socket_close(sockets, s);
	}
	if (!err)
		*out = s;
	return err;
}

int membership_change(struct membership_socket *s, const struct membership_key *key,
		      const struct membership_filter *filter)
{
	return kernel_filter(s->fd, key, filter);
}

void membership_leave(struct membership_sockets *sockets, struct membership_socket *s,
		      const struct membership_key *key)
{
	/* fails where the interface is gone, which took the membership with it */
	kernel_group(s->fd, MCAST_LEAVE_GROUP, key);
	s->groups--;
	if (s->groups == 0)
		socket_close(sockets, s);
	else
		set_open(sockets, s, true);
}
