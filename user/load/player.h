/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A played gateway: the engine, its UDP socket in the event loop, and the receiver that judges
 * what comes out of the tunnel. gateways.c owns many of them.
 */
#ifndef AMT_LOAD_PLAYER_H
#define AMT_LOAD_PLAYER_H

#include <stdint.h>
#include "base/addr.h"
#include "base/error.h"
#include "load/gateway.h"
#include "load/receiver.h"

struct event;
struct event_base;

struct player {
	struct gateway gateway;
	struct receiver receiver;
	int fd;
	struct event *readable;
	uint64_t start_ns; /* joins then; TIME_NEVER: has */
	uint64_t churn_ns; /* leaves or joins then; TIME_NEVER: does neither */
	uint64_t leave_ns; /* leaves for good then; TIME_NEVER: stays */
	uint64_t due_ns;   /* of the engine */
	char name[AMT_SOCKADDR_STRLEN];
};

/* Opens the player's socket on local (port 0: any; address all zero: any of that family). */
int player_open(struct player *player, struct event_base *base, int family,
		const struct amt_sockaddr *local, uint64_t buffer, struct error *err);
void player_close(struct player *player);
/* Both also take what waits in the socket: it belongs to the time before. */
void player_join(struct player *player, uint64_t now);
void player_leave(struct player *player, uint64_t now, bool teardown);
/* Packets that found no room in the socket's buffer. */
uint64_t player_socket_drops(const struct player *player);

/* For struct gateway_edge. */
void player_send(void *arg, struct gateway *gateway, const struct amt_sockaddr *to, const void *buf,
		 size_t len);
void player_data(void *arg, struct gateway *gateway, const void *datagram, size_t len);

#endif
