/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * UDP payloads on their way out, gathered for one sendmmsg(2) as long as they leave by the same
 * socket. What the host stack refuses is counted and dropped: AMT's messages are repeated by who
 * misses an answer.
 */
#ifndef AMT_RELAY_OUTBOX_H
#define AMT_RELAY_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/addr.h"

struct outbox;

struct outbox *outbox_new(void); /* NULL: no memory */
void outbox_free(struct outbox *outbox);

/* Sends what is queued for another socket, or what fills the box, before it takes the payload. */
void outbox_put(struct outbox *outbox, int fd, const struct amt_sockaddr *peer, uint8_t tos,
		const void *buf, size_t len);
void outbox_flush(struct outbox *outbox);
bool outbox_is_empty(const struct outbox *outbox);

#endif
