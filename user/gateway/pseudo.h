/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pseudo-interface of RFC 7450 5.2.1: one end of a veth pair (`amt0`) belongs to the programs
 * of this host, the other, the peer, to us. Multicast data is put into the peer and arrives at amt0
 * as from a wire; the relay's general queries are put in likewise, the host's own IGMPv3/MLDv2
 * stack answers them, and what leaves amt0 is taken from the peer by a packet socket.
 *
 * The pair outlives amtd (pseudo_close()), so that joins last over a restart; pseudo_remove() takes
 * it away.
 */
#ifndef AMT_GATEWAY_PSEUDO_H
#define AMT_GATEWAY_PSEUDO_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/addr.h"
#include "base/error.h"

struct event_base;
struct pseudo;

/* IPv6 needs this much; a smaller MTU is raised to it. Reception is possible up to the MTU only. */
#define PSEUDO_MTU_MIN 1280

struct pseudo_options {
	const char *instance; /* names the owner in the interfaces' alias */
	const char *name;     /* "amt0" */
	/* Addresses with prefix length, host bits and all. Without one of IPv4, amt0 gets a free
	 * 169.254.x.y/32. IPv6 always has its automatic link-local one. */
	const struct amt_prefix *addresses;
	unsigned int naddresses;
	uint32_t mtu; /* path MTU minus overhead */
	/* Metric of multicast default routes to amt0, for programs that name no interface; 0: none.
	 * For IPv4 a 224.0.0.0/4 in table main. For IPv6 an ff00::/8 in table local, where each
	 * interface has one of metric 256 already: a lower metric goes before those. */
	uint32_t route_metric;
	/* One datagram with IGMP or MLD that left amt0. */
	void (*report)(void *arg, uint64_t now, const void *datagram, size_t len);
	/* Somebody removed the pair: nothing works any more but pseudo_close(). May be NULL. */
	void (*gone)(void *arg);
	void *arg;
};

/* Makes the pair, or takes over the one that a predecessor of the same instance left, and makes it
 * what the options say. An interface of that name that is not ours is an error. Needs
 * CAP_NET_ADMIN and CAP_NET_RAW. */
int pseudo_open(struct pseudo **out, const struct pseudo_options *options, struct event_base *base,
		struct error *err);
void pseudo_close(struct pseudo *pseudo);
void pseudo_remove(struct pseudo *pseudo); /* and closes */
/* Removes what an instance left behind without opening it; 0 also when there was nothing. */
int pseudo_remove_leftover(const char *instance, const char *name, struct error *err);
/* The same where it may have any name, of an instance that is no gateway any more. Says what it
 * did. */
void pseudo_remove_any(const char *instance);

/* Asks the host's stack what is joined, by a general query with robustness 1..7 and interval; the
 * answer comes at once. 0 or negative errno. */
int pseudo_query(struct pseudo *pseudo, bool mld, unsigned int robustness, unsigned int interval_s);
/* Puts a multicast datagram into amt0 as if received; octets behind its end are cut off. 0,
 * -EINVAL for what is no multicast datagram, or negative errno (-EMSGSIZE: over the MTU). */
int pseudo_inject(struct pseudo *pseudo, const void *datagram, size_t len);
int pseudo_set_mtu(struct pseudo *pseudo, uint32_t mtu);

struct pseudo_info {
	char name[IFNAMSIZ], peer[IFNAMSIZ];
	uint32_t ifindex, peer_ifindex;
	uint8_t peer_mac[6]; /* source of the frames that the packet path puts in */
	uint32_t mtu;
	struct amt_addr ipv4; /* the first one configured, or the link-local one */
	bool adopted;	      /* found, not made */
	char warning[256];    /* something that keeps data from programs; "" when all is well */
};
void pseudo_info(const struct pseudo *pseudo, struct pseudo_info *out);

#endif
