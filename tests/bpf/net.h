/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Network namespaces for tests that need a real kernel: the test itself moves into a new one, and a
 * child that only sleeps holds a second one for the other ends of its veth pairs. Both are gone
 * with their processes, however the test ends.
 */
#ifndef AMT_TESTS_NET_H
#define AMT_TESTS_NET_H

#include <stdint.h>
#include "base/addr.h"

/* Returns false where namespaces cannot be made (not root). */
bool net_enter(void);
void net_leave(void);

/* Runs a shell command in the test's namespace, in the other one; the test fails if it fails. */
void net_run(const char *format, ...) __attribute__((format(printf, 1, 2)));
void net_peer(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The process that holds the other namespace. */
int net_peer_pid(void);
/* A descriptor that is open in the other namespace: socket(domain, type, protocol). */
int net_peer_socket(int domain, int type, int protocol);
/* The test itself is in the other namespace, until it comes back. */
void net_peer_enter(void);
void net_peer_leave(void);

/* A veth pair: name here, peer there, both up, IPv6 without duplicate address detection. */
void net_veth(const char *name, const char *peer);
uint32_t net_ifindex(const char *name);
struct amt_addr net_addr(const char *text);

#endif
