/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sockets that memberships stand on, and the system calls that make and change one. How many
 * groups a socket takes is found by trying: the kernel refuses at igmp_max_memberships and when
 * option memory (optmem_max) is used up.
 */
#ifndef AMT_RELAY_MEMBERSHIP_SOCKETS_H
#define AMT_RELAY_MEMBERSHIP_SOCKETS_H

#include <stdbool.h>
#include <stdint.h>
#include "base/addr.h"

#define MEMBERSHIP_SOURCES_MAX 512 /* per group and socket, however high the kernel's limit */

struct membership_socket;

struct membership_sockets {
	struct membership_socket *room[2]; /* that may take more groups; IPv4, IPv6 */
	unsigned int n;
	unsigned int stamp;
};

struct membership_key {
	uint32_t ifindex;
	struct amt_addr group;
};

/* What one socket lets in of a group. */
struct membership_filter {
	bool exclude;
	const struct amt_addr *sources; /* at most MEMBERSHIP_SOURCES_MAX */
	unsigned int nsources;
};

/* The next join does not use the socket: it has the group already. */
void membership_avoid(struct membership_sockets *sockets, struct membership_socket *socket);
/* Joins on a socket with room, else on a new one; forgets what was to be avoided. */
int membership_join(struct membership_sockets *sockets, const struct membership_key *key,
		    const struct membership_filter *filter, struct membership_socket **out);
/* One atomic change of the filter. */
int membership_change(struct membership_socket *socket, const struct membership_key *key,
		      const struct membership_filter *filter);
/* A socket without groups is closed. */
void membership_leave(struct membership_sockets *sockets, struct membership_socket *socket,
		      const struct membership_key *key);

/* The socket takes no more: another one may. */
bool membership_no_room(int err);

#endif
