/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside of the relay service, for its own files only: service.c (life and timers),
 * service_edge.c (what the engine calls), service_too_big.c (the slow path of datagrams that are
 * too big), service_sets.c (forwarding sets and upstream joins), service_interfaces.c,
 * service_addresses.c, service_adopt.c (a predecessor's state), service_shield.c (what the shield
 * is told).
 */
#ifndef AMT_RELAY_SERVICE_STATE_H
#define AMT_RELAY_SERVICE_STATE_H

#include <net/if.h>
#define HASH_NONFATAL_OOM 1 /* an entry that found no memory has hh.tbl NULL */
#include <uthash.h>
#include "base/wakeup.h"
#include "relay/icmp_socket.h"
#include "relay/service.h"
#include "relay/too_big.h"

struct event;

#define SERVICE_NO_SET UINT32_MAX

enum known { KNOWN_NOT, KNOWN_NO, KNOWN_YES };

/* What the packet path was told of a set, by its id. */
struct service_set {
	struct amt_group_key key;
	uint32_t upstream_ifindex;
	bool exists, published;
	enum known wanted_here;
	uint32_t next; /* set of the same group, or SERVICE_NO_SET */
};

/* A group with sets. */
struct service_group {
	UT_hash_handle hh;
	struct amt_addr addr;
	uint32_t first; /* its sets, linked by next */
};

struct service_interface {
	char name[IF_NAMESIZE];
	uint32_t ifindex; /* 0: it is away */
	bool upstream, uplink, runtime;
	enum datapath_mode mode; /* asked for */
};

struct service_shield;
struct service_datagram;

struct relay_service {
	struct event_base *base;
	const struct config_relay *config;
	char *instance;
	uint64_t started_ns;
	bool adopted;  /* took up a predecessor's state */
	bool adopting; /* is doing so: upstream hears of each group once, at the end */
	bool draining;

	struct datapath *datapath;
	struct upstream *upstream;
	struct relay_sockets *sockets;
	struct relay *relay;
	struct too_big *too_big;
	struct icmp_socket icmp;

	struct wakeup tick; /* the engine's next deadline */
	struct event *second;
	unsigned int seconds;

	struct service_set *sets; /* by id */
	uint32_t nsets, next_set;
	struct service_group *groups;
	struct service_datagram *datagrams, **last_datagram; /* too big, in order */
	unsigned int ndatagrams;
	struct wakeup too_big_turn; /* to go on with them */

	struct service_interface interfaces[AMT_INTERFACES_MAX];
	unsigned int ninterfaces;
	struct relay_service_address *addresses;
	unsigned int naddresses;
	struct service_shield *shield;
};

/* ---- service_edge.c ---- */
void service_edge(struct relay_service *service, struct relay_edge *edge);
void service_random(void *arg, void *buf, size_t len);
/* Once a second: what ICMP says of gateways that our data does not reach. */
void service_unreachable(struct relay_service *service);

/* ---- service_too_big.c ---- */
int service_too_big_open(struct relay_service *service, struct error *err);
void service_too_big_close(struct relay_service *service);
/* datapath_callbacks.too_big */
void service_too_big(void *arg, const struct amt_group_key *set, uint32_t ifindex,
		     const void *datagram, uint32_t length);
/* With the configuration of now. */
void service_too_big_reload(struct relay_service *service);

/* ---- service_sets.c ---- */
void service_sets_sink(struct merge_sink *sink);
/* Says every group to upstream, after adoption. */
void service_sets_push_all(struct relay_service *service);
/* Looks after at most max sets, in turn: whether their packets still come in by the same
 * interface, and whether this host wants them too. */
void service_sets_review(struct relay_service *service, unsigned int max);
/* upstream_options.changed: the same for the sets of one group, at once. */
void service_group_changed(void *arg, const struct amt_addr *group);
/* relay_edge.rate */
uint64_t service_rate(void *arg, const struct amt_addr *group, const struct amt_addr *source);
void service_sets_free(struct relay_service *service);

/* ---- service_interfaces.c ---- */
int service_interfaces_open(struct relay_service *service, struct error *err);
/* Makes addresses and interfaces what the configuration says now; what fails leaves them all as
 * they were. */
int service_interfaces_reload(struct relay_service *service, struct error *err);
/* datapath_callbacks.interface_changed */
void service_interface_changed(void *arg, const char *name, bool present);

/* ---- service_addresses.c ---- */
/* Listens on all that the configuration names. */
int service_addresses_configured(struct relay_service *service, struct error *err);
/* When it names none: listens on what the uplinks have now, and on nothing else. */
int service_addresses_sync(struct relay_service *service, struct error *err);
/* Lets go of what the configuration no longer names; all that it names is listened on already. */
void service_addresses_reload(struct relay_service *service);
/* Lets go of all but the first n. */
void service_addresses_cut(struct relay_service *service, unsigned int n);

/* ---- service_shield.c ---- */
int service_shield_open(struct relay_service *service);
/* Tells the shield what has changed: all of it, or only what does with tunnels and draining. */
void service_shield_sync(struct relay_service *service);
void service_shield_policy(struct relay_service *service);
void service_shield_free(struct relay_service *service);

/* ---- service_adopt.c ---- */
int service_adopt(struct relay_service *service, struct error *err);

#endif
