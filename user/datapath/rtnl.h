/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rtnetlink by libmnl: builds the few requests that next hops and upstream joins need, and turns
 * messages into plain structs. Requests are answered by the kernel before the send returns, so a
 * request of one object does not wait. Keeps no state of the network.
 */
#ifndef AMT_DATAPATH_RTNL_H
#define AMT_DATAPATH_RTNL_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/netlink.h>
#include "base/addr.h"

struct rtnl_link {
	uint32_t ifindex;
	char name[16];
	bool ethernet; /* ARPHRD_ETHER: has the addresses that a copy's header needs */
	bool running;  /* up, with carrier */
	uint32_t mtu;
	uint8_t mac[6];
	uint32_t lower; /* of a VLAN device: what it stands on; else 0 */
	__be16 vlan_proto;
	uint16_t vlan_id;
};

struct rtnl_neigh {
	uint32_t ifindex;
	struct amt_addr addr;
	uint16_t state; /* NUD_* */
	bool has_mac;
	uint8_t mac[6];
};

struct rtnl_route {
	uint8_t type; /* RTN_* */
	uint32_t oif;
	bool has_via;
	struct amt_addr via; /* may be of the other family (RFC 5549) */
	uint32_t mtu;	     /* of the route or learned for the path; 0: none */
	struct amt_prefix prefix;
};

struct rtnl; /* a socket for requests */

int rtnl_open(struct rtnl **out);
void rtnl_close(struct rtnl *rtnl);

/* A socket that hears of the groups (RTNLGRP_*), non-blocking, with room for bursts. Negative
 * errno, or the descriptor, which the caller closes. */
int rtnl_subscribe(const unsigned int *groups, unsigned int ngroups);

/* The route that a packet from src (NULL or any: not said) to dst takes now, PMTU exceptions
 * included. Negative errno where there is none. */
int rtnl_route_get(struct rtnl *rtnl, const struct amt_addr *dst, const struct amt_addr *src,
		   struct rtnl_route *out);
/* -ENOENT: the kernel does not know the neighbour. */
int rtnl_neigh_get(struct rtnl *rtnl, uint32_t ifindex, const struct amt_addr *addr,
		   struct rtnl_neigh *out);
/* Has the kernel resolve, or confirm, the neighbour as if it had a packet for it. */
int rtnl_neigh_use(struct rtnl *rtnl, uint32_t ifindex, const struct amt_addr *addr);

typedef void (*rtnl_message_fn)(void *arg, const struct nlmsghdr *message);
/* Any other request, or dump: flags as needed but NLM_F_REQUEST. fn (may be NULL) is called for
 * each message of the answer. What the kernel answers to NLM_F_ACK is the result. */
int rtnl_request(struct rtnl *rtnl, struct nlmsghdr *request, rtnl_message_fn fn, void *arg);

/* Calls fn for each object; type is RTM_GETLINK or RTM_GETNEIGH. -EINTR: changed meanwhile and
 * possibly incomplete. */
int rtnl_dump(struct rtnl *rtnl, uint16_t type, rtnl_message_fn fn, void *arg);

/* False: the message is not of that kind, or does not hold what it must. */
bool rtnl_parse_link(const struct nlmsghdr *message, struct rtnl_link *out);
bool rtnl_parse_neigh(const struct nlmsghdr *message, struct rtnl_neigh *out);
bool rtnl_parse_route(const struct nlmsghdr *message, struct rtnl_route *out);

#endif
