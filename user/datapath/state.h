/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The data path's state, shared by the files of this module and by nobody else: what struct
 * datapath holds, and what its files ask of each other.
 */
#ifndef AMT_DATAPATH_STATE_H
#define AMT_DATAPATH_STATE_H

#include <net/if.h>
#include <uthash.h>
#include "base/clock.h"
#include "datapath/chain.h"
#include "datapath/crowding.h"
#include "datapath/datapath.h"
#include "datapath/fanout.h"
#include "datapath/maps.h"
#include "datapath/members.h"
#include "datapath/nexthop.h"
#include "datapath/object.h"
#include "datapath/pins.h"
#include "datapath/veth.h"

#define INTERFACE_ROLES (AMT_INTERFACE_UPSTREAM | AMT_INTERFACE_UPLINK | AMT_INTERFACE_GATEWAY)

/* The grace period (fanout.h). A block's copies take 5 to 50 us, but the thread that makes them may
 * get a fraction of a busy CPU, a virtual one may stand still for a second, and a burst's packets
 * wait for each other. */
#define GRACE_NS       (3 * NSEC_PER_SEC)
#define GRACE_BLOCK_NS NSEC_PER_MSEC
/* Well below what the packet path's deadlines can tell apart (bpf/fanout.h). */
#define GRACE_MOST_NS (60 * NSEC_PER_SEC)
/* The deadline's 17 ms and a softirq that goes on after it. */
#define GRACE_MARGIN_NS (500 * NSEC_PER_MSEC)

/* An attached interface; its slot is that of the map `interfaces`. ifindex 0: it is away. */
struct interface {
	bool used, said;
	bool leaving; /* detached, but tunnels may still be served by it */
	char name[IFNAMSIZ];
	uint32_t ifindex;
	uint32_t flags; /* AMT_INTERFACE_* */
	uint32_t uplink;
	uint32_t ring, mtu;
	bool dispatcher, veth;
	bool xmit;		  /* copies can leave by XDP */
	bool shield;		  /* our programs answer there */
	struct crowding crowding; /* of an uplink */
	enum datapath_mode asked;
	char why[160];	   /* why not native XDP */
	char why_path[64]; /* the same as reason of a path, "no native XDP on eth0" */
};

/* What copies for many tunnels share, and how many tunnels use it. */
struct endpoint {
	struct amt_endpoint record;
	uint32_t users;
	uint64_t free_ns; /* 0: never used, or cleared */
};

struct tunnel {
	bool used, said;
	bool retry; /* members of it wait for a free block */
	struct nexthop_route route;
	uint32_t endpoint; /* DATAPATH_NONE: not served now */
};

struct mtu_count {
	uint32_t mtu, members;
};

struct set {
	struct amt_group_key key;
	bool used, published, said;
	bool ended; /* its key and blocks are gone, but not yet all its members */
	bool wanted_here;
	bool recirculated; /* stays so, to keep order (design 4.4) */
	uint32_t upstream_ifindex;
	struct amt_group record; /* as in the map */
	const char *why;
	struct mtu_count *mtus; /* of the members served */
	unsigned int nmtus;
	uint64_t measured_ns, measured_bytes; /* 0: not yet */
	uint32_t rate;
	uint32_t id;
	UT_hash_handle hh;
};

struct datapath {
	struct datapath_options options;
	struct datapath_callbacks callbacks;
	char instance[64];
	struct event_base *base;
	struct pins pins;
	struct maps maps;
	struct programs programs;
	struct veth veth;
	struct amt_config config;

	bool adopted, adopting;
	bool rt;	 /* PREEMPT_RT: no XDP */
	bool dispatcher; /* the kernel has what libxdp's dispatcher needs */
	bool counts_xmit_drops;
	uint32_t warned_ifindex; /* routes lead there, but it is no uplink */

	bool spread; /* new blocks of a large set may be any CPU's */

	struct interface interfaces[AMT_INTERFACES_MAX];
	struct endpoint endpoints[AMT_ENDPOINTS_MAX];

	struct tunnel *tunnels;
	uint32_t tunnels_used, tunnels_top; /* ids from top on were never used */
	struct chain free_tunnels, retry;
	struct chain_link *tunnel_link; /* in free_tunnels or retry */

	struct set *sets; /* by id */
	struct set *by_key;
	uint32_t sets_top;
	struct chain ended_sets;
	struct chain_link *set_link; /* in ended_sets */

	struct members *members;
	struct fanout *fanout;
	struct nexthops *nexthops;
	struct ring_buffer *ring;
	struct event *ring_event, *tick_event, *sweep_event;
	uint32_t sweep_set, sweep_tunnel; /* to be looked at next; DATAPATH_NONE: none */
	unsigned int ticks;
};

/* ---- xdp.c: native XDP on one interface ---- */
int xdp_attach(struct datapath *dp, struct interface *interface, struct error *err);
void xdp_detach(struct datapath *dp, uint32_t ifindex);
/* Whether libxdp's dispatcher works on this kernel: tried out on the internal pair. */
bool xdp_dispatcher_works(struct datapath *dp);
/* Removes programs of a predecessor (known by its config map) from all interfaces. */
void xdp_detach_map_users(uint32_t ifindex, uint32_t map_id);
/* The raw tracepoints that count drops behind the programs; pinned. */
int xdp_attach_drops(struct datapath *dp);

/* ---- tc.c: a TC program on one interface ---- */
int tc_attach(uint32_t ifindex, const char *name, enum tc_program which, int program,
	      uint32_t map_id, struct error *err);
void tc_detach(uint32_t ifindex, enum tc_program which, uint32_t map_id);

/* ---- hooks.c ---- */
uint32_t map_id_of(int map_fd);
/* 1, 0, or negative errno: the kernel does not let us look (CAP_SYS_ADMIN). */
int program_uses_map(uint32_t program_id, uint32_t map_id);
/* Takes what uses the maps pinned in dir off every interface, and removes all pins. */
void hooks_dismantle(const struct pins *pins);

/* ---- interface.c: what an attached interface needs ---- */
/* Its programs, ring, devmaps; writes its slot. Roles and mode are in the struct already. */
int interface_bring_up(struct datapath *dp, struct interface *interface, struct error *err);
/* Takes our programs off and forgets it. */
void interface_take_down(struct datapath *dp, struct interface *interface);
void interface_save(struct datapath *dp, const struct interface *interface);
void interface_check_xmit(struct datapath *dp, struct interface *interface);
/* Looks whether several CPUs may work for one group: each wants a queue of its own at every uplink,
 * since two that fill one, each as if it were alone, overflow it. AMT_CONFIG_SPREAD stays: blocks
 * stay with their CPUs. */
void interfaces_spread(struct datapath *dp);
/* Whether the uplink drops copies; true: its blocks are to have another size. */
bool interface_check_drops(struct datapath *dp, struct interface *interface);

/* ---- attach.c ---- */
struct interface *interface_by_ifindex(struct datapath *dp, uint32_t ifindex);
/* The uplink that a route leaves by; NULL: not attached as one. */
const struct interface *interface_of_route(struct datapath *dp, const struct nexthop_route *route);
const struct interface *interface_by_uplink(const struct datapath *dp, uint32_t uplink);
void interface_link(struct datapath *dp, uint32_t ifindex, const char *name, bool present,
		    uint32_t mtu);
void interfaces_adopt(struct datapath *dp);
void interfaces_sweep(struct datapath *dp);
void interfaces_tick(struct datapath *dp);
/* Takes down those that have been waiting for it; true: there was one, so sets are to be swept. */
bool interfaces_leave(struct datapath *dp);

/* ---- sweep.c: all sets or tunnels, some of them in each turn of the loop ---- */
int sweep_open(struct datapath *dp);
/* Of each set, what its entry says. */
void sweep_sets(struct datapath *dp);
/* Of sets that have ended, the members. */
void sweep_ended(struct datapath *dp);
/* Of each set, what its entry says, and by what each tunnel is served. */
void sweep_all(struct datapath *dp);
void sweep_go_on(struct datapath *dp);

/* ---- endpoint.c ---- */
uint32_t endpoint_get(struct datapath *dp, const struct amt_endpoint *want);
void endpoint_put(struct datapath *dp, uint32_t id);
void endpoint_limits(const struct interface *uplink, struct amt_endpoint *record);
/* The uplink's ring changed: rewrite its endpoints. */
void endpoints_update(struct datapath *dp, const struct interface *uplink);
void endpoints_tick(struct datapath *dp, uint64_t now);
void endpoints_adopt(struct datapath *dp);

/* ---- tunnel.c ---- */
void tunnel_routed(struct datapath *dp, uint32_t id, const struct nexthop_route *route);
/* Lets the tunnel's members follow its route, the uplinks and the policies of now. */
void tunnel_reroute(struct datapath *dp, uint32_t id);
void tunnels_review(struct datapath *dp);
void tunnel_mark_retry(struct datapath *dp, uint32_t id);
void tunnel_account(struct datapath *dp, uint32_t id, uint32_t set, bool join);
void tunnel_count(struct datapath *dp, uint32_t id, const struct amt_group_counters *counters,
		  bool join);
struct amt_tunnel *tunnel_record(struct datapath *dp, uint32_t id);
/* Octets that the tunnel's outer headers add to a datagram. */
uint32_t tunnel_overhead(const struct amt_tunnel *record);
int tunnels_new(struct datapath *dp);

/* ---- path.c ---- */
/* A member about to join, so that the set's entry fits before its first copy. */
struct prospect {
	uint32_t endpoint; /* DATAPATH_NONE: nobody */
	uint32_t mtu;
};
enum amt_path path_choose(struct datapath *dp, const struct set *set,
			  const struct prospect *prospect, const char **why);
/* AMT_GROUP_* */
uint32_t path_flags(const struct datapath *dp, const struct set *set,
		    const struct prospect *prospect);

/* ---- set.c ---- */
int set_place(struct datapath *dp, uint32_t ref);
void set_unplace(struct datapath *dp, uint32_t ref);
void set_move(struct datapath *dp, uint32_t ref, uint32_t endpoint);
void set_count_mtu(struct datapath *dp, uint32_t ref, uint32_t mtu);
void set_refresh(struct datapath *dp, struct set *set);
void set_refresh_id(struct datapath *dp, uint32_t id);
struct set *set_find(struct datapath *dp, const struct amt_group_key *key);
/* Takes out some members of a set that has ended; with the last of them it is gone. */
void set_end_some(struct datapath *dp, uint32_t id, unsigned int most);
void member_drop(struct datapath *dp, uint32_t ref);
void group_counters_read(const struct datapath *dp, uint32_t set, struct amt_group_counters *sum);

/* ---- counters.c ---- */
/* Copies that the uplink's driver dropped so far. */
uint64_t uplink_drops(const struct datapath *dp, uint32_t uplink);

/* ---- decap.c ---- */
/* Takes over where the predecessor's datagrams go; before config is written. */
void decap_adopt(struct datapath *dp);
void decap_link(struct datapath *dp, uint32_t ifindex, bool present, uint32_t mtu);

/* ---- shield.c ---- */
/* Lets the shield work on an interface where it can, and takes it off any other. */
void shield_link(struct datapath *dp, struct interface *interface);
/* Takes it off an interface that goes or is gone. */
void shield_unlink(struct datapath *dp, struct interface *interface);
/* Why there is none on an interface; "" where there is. */
void shield_why(const struct datapath *dp, const struct interface *interface, char *why,
		size_t size);

/* ---- adopt.c ---- */
int adopt_state(struct datapath *dp, struct error *err);
void adopt_track(struct datapath *dp);

#endif
