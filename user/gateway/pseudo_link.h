/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside of the pseudo-interface, for pseudo.c: what it says to rtnetlink, ethtool and sysctl
 * beyond datapath/link_request.h. Every function returns 0 or negative errno.
 */
#ifndef AMT_GATEWAY_PSEUDO_LINK_H
#define AMT_GATEWAY_PSEUDO_LINK_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/addr.h"
#include "datapath/rtnl.h"

#define PSEUDO_ALIAS_MAX 256 /* IFALIASZ */

struct pseudo_link {
	uint32_t ifindex;
	uint32_t peer; /* 0: not a veth, or its other end is in another namespace */
	uint32_t mtu;
	bool veth, up;
	bool working; /* the kernel has begun to send by it, which is a little after up */
	uint8_t mac[6];
	char name[IFNAMSIZ];
	char alias[PSEUDO_ALIAS_MAX];
};

/* ---- pseudo_link.c ---- */
int pseudo_link_get(struct rtnl *rtnl, const char *name, struct pseudo_link *out);
int pseudo_link_get_index(struct rtnl *rtnl, uint32_t ifindex, struct pseudo_link *out);
/* The veth of that alias, with its other end here; -ENODEV: there is none. */
int pseudo_link_find(struct rtnl *rtnl, const char *alias, struct pseudo_link *out);
int pseudo_link_alias(struct rtnl *rtnl, uint32_t ifindex, const char *alias);
int pseudo_link_mtu(struct rtnl *rtnl, uint32_t ifindex, uint32_t mtu);
/* Up, for multicast, with or without ARP. */
int pseudo_link_up(struct rtnl *rtnl, uint32_t ifindex, bool arp);
/* No IPv6 link-local address at all, by IN6_ADDR_GEN_MODE_NONE. */
int pseudo_link_no_autoconf(struct rtnl *rtnl, uint32_t ifindex);
/* A native redirect into the peer arrives at name only if that has GRO (or an XDP program). */
int pseudo_link_gro(const char *name);
/* /proc/sys/net/FAMILY/conf/NAME/KEY; family is "ipv4" or "ipv6". */
int pseudo_sysctl_set(const char *family, const char *name, const char *key, const char *value);
int pseudo_sysctl_get(const char *family, const char *name, const char *key, int *value);

/* ---- pseudo_address.c ---- */
/* Makes the addresses that amtd gave the interface be these; those that others gave stay. */
int pseudo_addresses_set(struct rtnl *rtnl, uint32_t ifindex, const struct amt_prefix *want,
			 unsigned int nwant);
/* The 169.254.x.y/32 that the interface has of us, or one that nobody has on this host. seed makes
 * it the same at the next time. */
int pseudo_address_local(struct rtnl *rtnl, uint32_t ifindex, uint32_t seed,
			 struct amt_prefix *out);
/* Replaces our multicast routes to the interface; metric 0: none. -EEXIST: another one is there. */
int pseudo_routes_set(struct rtnl *rtnl, uint32_t ifindex, uint32_t metric);

#endif
