/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside of port.c: one UDP socket with the options that a gateway needs, and its error queue.
 */
#ifndef AMT_GATEWAY_PORT_SOCKET_H
#define AMT_GATEWAY_PORT_SOCKET_H

#include <stdbool.h>
#include "base/addr.h"

/* A non-blocking descriptor, or negative errno. */
int port_socket_open(bool ipv6);
/* Port 0: one of the kernel's choice, which is written back. */
int port_socket_bind(int fd, struct amt_sockaddr *local);
/* TOS or traffic class of what was received. */
uint8_t port_socket_tos(struct msghdr *message);
/* Takes one error from the queue: 1 and the peer, if ICMP says that it cannot be reached; 0 for
 * another error; negative errno when there is none left. */
int port_socket_error(int fd, struct amt_sockaddr *peer);
/* The address that the kernel sends from, to this peer. */
int port_socket_source(const struct amt_sockaddr *peer, struct amt_sockaddr *source);

#endif
