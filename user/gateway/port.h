/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The gateway's UDP endpoint: one port for each outer family, whose source address the kernel
 * chooses by route. Relays know a tunnel by address and port, so the port outlives a restart and
 * the address is told, for the packet path takes data for it alone.
 */
#ifndef AMT_GATEWAY_PORT_H
#define AMT_GATEWAY_PORT_H

#include <stddef.h>
#include <stdint.h>
#include "base/addr.h"
#include "base/error.h"

struct event_base;
struct port;

struct port_options {
	/* Where messages leave from; any (the default): the kernel's choice for each relay. */
	struct amt_addr source_ipv4, source_ipv6;
	uint16_t port; /* configured, for both families; 0: one of the kernel's choice */
	/* Of the predecessor; taken where free, else another. 0: none. Without meaning when port is
	 * set. */
	uint16_t saved_ipv4, saved_ipv6;
	/* One message of any type but Multicast Data. */
	void (*receive)(void *arg, uint64_t now, const struct amt_sockaddr *peer, const void *buf,
			size_t len);
	/* Multicast Data (version 0, type 6) that the packet path did not take, and the TOS or
	 * traffic class that it came with. buf may be written to. May be NULL. */
	void (*data)(void *arg, uint64_t now, const struct amt_sockaddr *peer, uint8_t tos,
		     uint8_t *buf, size_t len);
	/* An ICMP error says that what was sent to peer did not arrive. */
	void (*unreachable)(void *arg, uint64_t now, const struct amt_sockaddr *peer);
	void *arg;
};

/* Both families; one that this kernel lacks is left out. */
int port_open(struct port **out, const struct port_options *options, struct event_base *base,
	      struct error *err);
void port_close(struct port *port);

/* Sends one UDP payload, as CS6, with a checksum. 0 or negative errno: -EAFNOSUPPORT
 * for a family that is not there, -EHOSTUNREACH or -ENETUNREACH without a route. */
int port_send(struct port *port, const struct amt_sockaddr *peer, const void *buf, size_t len);

/* Our address and port for what is sent to relay now. 0, or negative errno without a route. */
int port_local(const struct port *port, const struct amt_addr *relay, struct amt_sockaddr *local);
/* The port of a family (AF_INET, AF_INET6), host byte order; 0: the family is not there. */
uint16_t port_number(const struct port *port, int family);
/* Data messages handed to `data`, or dropped where there is none. */
uint64_t port_data_messages(const struct port *port);

#endif
