/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The packet path as the rest of amtd sees it: interfaces to attach, tunnels to reach, forwarding
 * sets with members. Owns the BPF objects, the pinned maps, the internal veth pair and the next
 * hops. Knows addresses, ports and groups, but no AMT message and no membership timer.
 *
 * Adoption: datapath_open() takes up pinned maps of the same schema and sizes; packets keep
 * flowing. The caller then says everything again (datapath_tunnel_adopted(), set_create,
 * member_add are idempotent while adopting) and ends with datapath_adopt_done(), which removes
 * what was not said again: mark and sweep, without touching what stays.
 */
#ifndef AMT_DATAPATH_DATAPATH_H
#define AMT_DATAPATH_DATAPATH_H

#include <stdbool.h>
#include <stdint.h>
#include <amt/counters.h>
#include <amt/maps.h>
#include "base/addr.h"
#include "base/error.h"

struct event_base;
struct datapath;

#define DATAPATH_NONE UINT32_MAX

enum datapath_mode { DATAPATH_MODE_AUTO, DATAPATH_MODE_XDP, DATAPATH_MODE_TC };

/* Sizes are fixed when the maps are made; other sizes than the pinned ones refuse adoption. */
struct datapath_options {
	const char *instance; /* pins under /sys/fs/bpf/amt/INSTANCE */
	uint32_t max_tunnels;
	uint32_t max_groups; /* (*,G) and (S,G) entries */
	uint32_t max_blocks;
	uint32_t max_nexthops; /* at most 65536 */
	uint32_t config_flags; /* AMT_CONFIG_* */
	uint8_t ttl, dscp;
	uint32_t events_per_second;
	uint32_t group_rate;	 /* kbit/s of each group, inner octets; 0: no limit */
	uint64_t lease_ns;	 /* GMI: how long packets flow without amtd */
	uint32_t tunnel_mtu;	 /* fixed TMTU (inner octets); 0: from route and link */
	uint32_t tunnel_mtu_min; /* floor for what a route says */
	bool spread;		 /* a large group is copied by all CPUs, where uplinks can */
};

struct datapath_callbacks {
	/* A datagram over the MTU of its set (R-89..R-92). */
	void (*too_big)(void *arg, const struct amt_group_key *set, uint32_t ifindex,
			const void *datagram, uint32_t length);
	/* An attached interface went away or came back under the same name. */
	void (*interface_changed)(void *arg, const char *name, bool present);
	void *arg;
};

/* Mounts bpffs where missing, locks the pin folder (two amtd of one name never race), loads or
 * adopts. -EBUSY: another amtd has it. -EINVAL: the instance is not 1 to 32 letters, digits, '-' or
 * '_' (bpffs takes no dot).
 *
 * Instance NAME owns: /sys/fs/bpf/amt/NAME/MAP for each map, /sys/fs/bpf/amt/NAME/links/ for what
 * holds programs in place (xdp-IFINDEX, recirculate, xdp_devmap_xmit, xdp_cpumap_enqueue), the veth
 * pair amtr-NAME-a and -b (a hash where NAME is longer than 8), and TC filters
 * of preference 2268 on upstream interfaces and 2269 on a gateway's. Instances are known host-wide,
 * not per network namespace. The lock is an open file: a child that does not exec must close it, or
 * it holds the instance.
 *
 * Whoever drops privileges afterwards keeps CAP_NET_ADMIN, CAP_BPF, CAP_PERFMON and CAP_SYS_ADMIN
 * (programs are looked up by id), or later attach and detach fail. */
int datapath_open(struct datapath **out, const struct datapath_options *options,
		  struct event_base *base, const struct datapath_callbacks *callbacks,
		  struct error *err);
/* Puts other policies into force; sizes, instance and all else stay as they were opened. */
void datapath_set_options(struct datapath *dp, const struct datapath_options *options);
/* Leaves everything pinned and running: what a restart wants. */
void datapath_close(struct datapath *dp);
/* Detaches everywhere, removes all pins and the internal veth pair, then closes. */
void datapath_destroy(struct datapath *dp);

/* ---- interfaces ---- */

struct datapath_interface {
	char name[16];
	uint32_t ifindex;
	bool upstream, uplink, gateway, runtime;
	enum datapath_mode asked;
	bool xdp, tc;	 /* what is attached */
	bool dispatcher; /* libxdp's dispatcher is in use */
	uint32_t ring;	 /* transmit ring, frames */
	/* of an uplink that drops copies: blocks are 2^n times smaller than the ring would take */
	unsigned int halvings;
	uint32_t mtu;
	char why[160]; /* why not native XDP, or why not at all (ifindex 0: it is not there), or ""
			*/
	bool shield;
	char shield_why[160]; /* why there is no shield, or "" */
};

/* Attaches an interface, or changes its relay roles; a gateway's role (decap.h) stays. One that is
 * not there is attached when it appears, unless runtime and never seen: -ENODEV. A foreign
 * XDP program without a dispatcher is never evicted: -EBUSY in mode xdp, TC in mode auto. */
int datapath_attach(struct datapath *dp, const char *name, bool upstream, bool uplink,
		    enum datapath_mode mode, bool runtime, struct error *err);
int datapath_detach(struct datapath *dp, const char *name, struct error *err);
unsigned int datapath_interfaces(const struct datapath *dp, struct datapath_interface *out,
				 unsigned int max);
/* Whether the uplink's transmit drops can be counted (raw tracepoint xdp_devmap_xmit). */
bool datapath_counts_xmit_drops(const struct datapath *dp);

/* ---- tunnels ---- */

struct datapath_tunnel {
	struct amt_sockaddr gateway; /* outer destination of copies */
	struct amt_sockaddr relay;   /* outer source */
	bool ecn;		     /* copy the inner ECN field */
	uint64_t created_ns, expires_ns;
};

/* Resolves the next hop (in the background where the neighbour is not known yet). Returns 0,
 * -ENOSPC at max_tunnels, or another negative errno. A tunnel without a route is made all the
 * same, and served as soon as there is one. */
int datapath_tunnel_add(struct datapath *dp, const struct datapath_tunnel *tunnel, uint32_t *id);
/* Takes it out of every set it is still in. */
void datapath_tunnel_remove(struct datapath *dp, uint32_t id);
void datapath_tunnel_set_expiry(struct datapath *dp, uint32_t id, uint64_t expires_ns);
/* Changes the E flag of a live tunnel; its members move to blocks of the other endpoint. */
int datapath_tunnel_set_ecn(struct datapath *dp, uint32_t id, bool ecn);
/* The pinned record; good until the tunnel is removed. NULL: no such tunnel. */
const struct amt_tunnel *datapath_tunnel(const struct datapath *dp, uint32_t id);
/* What was sent to it so far: packets and inner octets. */
void datapath_tunnel_traffic(struct datapath *dp, uint32_t id, uint64_t *packets, uint64_t *bytes);
struct datapath_nexthop_view {
	bool routed, resolved;
	struct amt_addr address;
	uint8_t mac[6];
	char interface[16];
};
void datapath_tunnel_nexthop(const struct datapath *dp, uint32_t id,
			     struct datapath_nexthop_view *out);

/* ---- forwarding sets: shaped as struct merge_sink wants them ---- */

int datapath_set_create(struct datapath *dp, const struct amt_group_key *key, uint32_t *set);
/* upstream_ifindex 0: packets may come in by any attached upstream interface. */
int datapath_set_publish(struct datapath *dp, uint32_t set, uint32_t upstream_ifindex);
void datapath_set_destroy(struct datapath *dp, uint32_t set);
int datapath_member_add(struct datapath *dp, uint32_t set, uint32_t tunnel);
void datapath_member_remove(struct datapath *dp, uint32_t set, uint32_t tunnel);
/* This host has other listeners for the set's group: use TC, which hands packets on (4.4). */
void datapath_set_wanted_here(struct datapath *dp, uint32_t set, bool wanted);

struct datapath_set_view {
	struct amt_group_key key;
	uint32_t upstream_ifindex;
	unsigned int members, blocks;
	enum amt_path path;
	const char *why; /* of the path, static text: "one block", "no native XDP on eth0" ... */
	uint32_t mtu;
	uint32_t rate; /* kbit/s measured last, DATAPATH_NONE: not yet */
	struct amt_group_counters counters;
};
/* Measures the set's rate since the last time, if that is a second ago or more. */
void datapath_set_measure(struct datapath *dp, uint32_t set, uint64_t now);
/* What was measured last, in kbit/s of inner octets; DATAPATH_NONE: nothing yet. */
uint32_t datapath_set_rate(const struct datapath *dp, uint32_t set);
int datapath_set_view(struct datapath *dp, uint32_t set, struct datapath_set_view *out);
/* The members of the set of that key: how many, whether a tunnel is one, all of them. */
unsigned int datapath_set_size(struct datapath *dp, const struct amt_group_key *key);
bool datapath_set_has(struct datapath *dp, const struct amt_group_key *key, uint32_t tunnel);
void datapath_set_members(struct datapath *dp, const struct amt_group_key *key,
			  void (*fn)(void *arg, uint32_t tunnel), void *arg);

/* ---- adoption ---- */

bool datapath_adopted(const struct datapath *dp);
void datapath_walk_tunnels(struct datapath *dp,
			   void (*fn)(void *arg, uint32_t id, const struct amt_tunnel *tunnel),
			   void *arg);
void datapath_walk_sets(struct datapath *dp,
			void (*fn)(void *arg, uint32_t set, const struct amt_group_key *key),
			void *arg);
void datapath_tunnel_adopted(struct datapath *dp, uint32_t id);
void datapath_adopt_done(struct datapath *dp);

/* ---- secrets, counters, maps ---- */

/* index 0: current, 1: previous. */
void datapath_secret_get(struct datapath *dp, unsigned int index, struct amt_secret *secret);
int datapath_secret_set(struct datapath *dp, unsigned int index, const struct amt_secret *secret);
/* Pushes the lease ahead; called every second. */
void datapath_lease(struct datapath *dp, uint64_t now);
/* Sums over CPUs, all AMT_DATA_COUNTERS_NUM of them. */
int datapath_counters(struct datapath *dp, uint64_t counters[AMT_DATA_COUNTERS_NUM]);

struct datapath_map_view {
	const char *name; /* of the pin */
	char path[128];
	const char *type;  /* "hash", "array", ... */
	const char *holds; /* one line: key -> value, for people */
	uint32_t max_entries;
	uint32_t used; /* DATAPATH_NONE where nobody counts */
};
/* Map i of them all; false behind the last. */
bool datapath_map(struct datapath *dp, unsigned int i, struct datapath_map_view *out);

#endif
