/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The relay's UDP sockets: one for each relay or discovery address, port 2268, so that an answer
 * leaves from the address and port that were asked. Reads with recvmmsg, a bounded number of
 * messages a wake-up, and hands them to the engine.
 */
#ifndef AMT_RELAY_SOCKETS_H
#define AMT_RELAY_SOCKETS_H

#include <stddef.h>
#include <stdint.h>
#include "base/addr.h"
#include "base/error.h"

struct descriptors;
struct event_base;
struct relay_sockets;

typedef void (*relay_sockets_fn)(void *arg, uint64_t now, const struct amt_sockaddr *local,
				 const struct amt_sockaddr *peer, const void *buf, size_t len);
/* after_batch (may be NULL) is called once a wake-up, after its last message. */
struct relay_sockets *relay_sockets_new(struct event_base *base, relay_sockets_fn fn,
					void (*after_batch)(void *arg), void *arg);
void relay_sockets_free(struct relay_sockets *sockets);

/* Sockets of a predecessor, with what came to them since: one that is bound to an address and port
 * serves when these are to be listened on. relay_sockets_settle() closes those that nobody wanted.
 */
void relay_sockets_adopt(struct relay_sockets *sockets, const struct descriptors *from);
void relay_sockets_settle(struct relay_sockets *sockets);
/* What is listened with; of more than find room, the latest. */
void relay_sockets_list(const struct relay_sockets *sockets, struct descriptors *out);

/* Opens a socket on addr:port (host byte order). An address that is not on this host is an error
 * that says so. Twice the same address is harmless. */
int relay_sockets_listen(struct relay_sockets *sockets, const struct amt_addr *addr, uint16_t port,
			 struct error *err);
/* The socket itself stays for a second, or until relay_sockets_settle(), in case that the address
 * returns. */
void relay_sockets_close(struct relay_sockets *sockets, const struct amt_addr *addr);
/* Queues a payload to be sent from local; sent in batches (sendmmsg), at the latest when the
 * wake-up ends. */
void relay_sockets_send(struct relay_sockets *sockets, const struct amt_sockaddr *local,
			const struct amt_sockaddr *peer, const void *buf, size_t len);
/* The same for Multicast Data: with a DSCP and ECN field of its own. */
void relay_sockets_send_data(struct relay_sockets *sockets, const struct amt_sockaddr *local,
			     const struct amt_sockaddr *peer, uint8_t tos, const void *buf,
			     size_t len);
/* Calls fn for each address listened on. */
void relay_sockets_walk(const struct relay_sockets *sockets,
			void (*fn)(void *arg, const struct amt_sockaddr *local), void *arg);

#endif
