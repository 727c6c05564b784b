/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Opening and closing the data path: pins, programs, the internal veth pair, adoption; and what
 * goes on while it is open: events from the programs, the lease, the timer. Called by the relay
 * service.
 */
#include "datapath/state.h"

#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/libbpf.h>
#include <event2/event.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "datapath/clones.h"
#include "datapath/device.h"

#define TICK_MS			 250
#define TICKS_AN_INTERFACE_CHECK 8
#define FANOUT_ROUNDS		 16 /* in one tick, of blocks that have been waiting */

/* ---- what happens while it is open ---- */

static int on_event(void *arg, void *data, size_t size)
{
	struct datapath *dp = arg;
	const struct amt_event *event = data;

	if (size < sizeof(*event))
		return 0;
	if (event->type == AMT_EVENT_NEXTHOP_UNRESOLVED)
		nexthop_kick(dp->nexthops, (uint16_t)event->id);
	else if (event->type == AMT_EVENT_TOO_BIG && event->length <= size - sizeof(*event) &&
		 event->id < dp->sets_top && dp->sets[event->id].used && dp->callbacks.too_big)
		dp->callbacks.too_big(dp->callbacks.arg, &dp->sets[event->id].key, event->ifindex,
				      event + 1, event->length);
	return 0;
}

static void on_ring(evutil_socket_t fd, short what, void *arg)
{
	struct datapath *dp = arg;

	ring_buffer__consume(dp->ring);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct datapath *dp = arg;
	uint64_t now = clock_now();
	unsigned int rounds = 0;

	while (fanout_tick(dp->fanout, now) && ++rounds < FANOUT_ROUNDS && !loop_turn_is_long())
		;
	tunnels_review(dp);
	endpoints_tick(dp, now);
	if (++dp->ticks % TICKS_AN_INTERFACE_CHECK == 0)
		interfaces_tick(dp);
}

static void on_nexthop(void *arg, uint16_t id, const struct amt_nexthop *record)
{
	struct datapath *dp = arg;

	maps_write(&dp->maps, MAP_NEXTHOPS, id, record);
}

static void on_route(void *arg, uint32_t tunnel, const struct nexthop_route *route)
{
	tunnel_routed(arg, tunnel, route);
}

static void on_link(void *arg, uint32_t ifindex, const char *name, bool present, uint32_t mtu)
{
	interface_link(arg, ifindex, name, present, mtu);
	decap_link(arg, ifindex, present, mtu);
}

static void on_moved(void *arg, uint32_t ref, uint32_t block)
{
	struct datapath *dp = arg;

	members_get(dp->members, ref)->block = block;
}

void datapath_lease(struct datapath *dp, uint64_t now)
{
	dp->config.lease_ns = now + dp->options.lease_ns;
	dp->config.copy_life_ns = fanout_renew_life(dp->fanout, now);
	maps_write(&dp->maps, MAP_CONFIG, 0, &dp->config);
}

bool datapath_counts_xmit_drops(const struct datapath *dp)
{
	return dp->counts_xmit_drops;
}

/* ---- opening ---- */

static int check_options(const struct datapath_options *o, struct error *err)
{
	if (!o->max_tunnels || !o->max_groups || !o->max_blocks || o->max_nexthops < 2)
		return error_set(err, -EINVAL, "a size of the data path is zero");
	if (o->max_nexthops > 65536)
		return error_set(err, -EINVAL, "max-nexthops is %u; the most is 65536",
				 o->max_nexthops);
	if (o->max_blocks > 1u << 20)
		return error_set(err, -EINVAL, "max-blocks is %u; the most is %u", o->max_blocks,
				 1u << 20);
	return 0;
}

/* Pins that cannot be used are of no use to anybody: their packets stop, and all begins anew. */
static int load(struct datapath *dp, struct error *err)
{
	int ret = object_load(&dp->programs, &dp->maps, &dp->options, &dp->pins, &dp->adopted, err);

	if (ret != -EPROTO)
		return ret;
	log_warning("instance %s: the maps of the amtd before do not fit (%s): they are removed, "
		    "and what went through them begins anew",
		    dp->instance, err->text);
	hooks_dismantle(&dp->pins);
	programs_close(&dp->programs);
	return object_load(&dp->programs, &dp->maps, &dp->options, &dp->pins, &dp->adopted, err);
}

static int make_tables(struct datapath *dp, struct error *err)
{
	const struct fanout_callbacks callbacks = {.moved = on_moved, .arg = dp};
	const struct fanout_grace grace = {GRACE_NS, GRACE_BLOCK_NS, GRACE_MOST_NS,
					   GRACE_MARGIN_NS};
	const struct fanout_arrays arrays = maps_fanout_arrays(&dp->maps);

	dp->sets = calloc(dp->options.max_groups, sizeof(*dp->sets));
	dp->set_link = calloc(dp->options.max_groups, sizeof(*dp->set_link));
	dp->members = members_new(dp->options.max_groups, dp->options.max_tunnels);
	dp->fanout = fanout_new(&arrays, &grace, &callbacks);
	if (!dp->sets || !dp->set_link || !dp->members || !dp->fanout || tunnels_new(dp))
		return error_set(err, -ENOMEM, "no memory for the data path's tables");
	return 0;
}

static int open_nexthops(struct datapath *dp, struct error *err)
{
	const struct nexthop_callbacks callbacks = {
		.write = on_nexthop,
		.route = on_route,
		.link = on_link,
		.arg = dp,
	};

	return nexthops_open(&dp->nexthops, dp->options.max_nexthops, dp->options.max_tunnels,
			     dp->base, &callbacks, err);
}

static int open_events(struct datapath *dp, struct error *err)
{
	const struct timeval period = {TICK_MS / 1000, TICK_MS % 1000 * 1000};

	dp->ring = ring_buffer__new(dp->maps.fd[MAP_EVENTS], on_event, dp, NULL);
	if (!dp->ring)
		return error_set(err, -errno, "ring buffer: %s", strerror(errno));
	dp->ring_event = event_new(dp->base, ring_buffer__epoll_fd(dp->ring), EV_READ | EV_PERSIST,
				   on_ring, dp);
	dp->tick_event = event_new(dp->base, -1, EV_PERSIST, on_tick, dp);
	if (!dp->ring_event || !dp->tick_event || sweep_open(dp) ||
	    event_add(dp->ring_event, NULL) || event_add(dp->tick_event, &period))
		return error_set(err, -ENOMEM, "no memory for the data path's events");
	return 0;
}

/* The programs of this build take over from the predecessor's, each replaced atomically. */
static int start_programs(struct datapath *dp, struct error *err)
{
	int cpus = clones_fill_cpus(&dp->maps, dp->programs.fanout), ret;

	if (cpus < 0)
		return error_set(err, cpus, "cannot start the fan-out threads (cpumap): %s",
				 strerror(-cpus));
	ret = clones_fill_recirculate(&dp->maps, dp->veth.ifindex, dp->programs.egress);
	if (ret)
		return error_set(err, ret, "cannot make the recirculation devmaps: %s",
				 strerror(-ret));
	ret = veth_attach(&dp->veth, &dp->pins, dp->programs.recirculate, err);
	if (ret)
		return ret;
	dp->config.cpus = (uint16_t)cpus;
	dp->counts_xmit_drops = !xdp_attach_drops(dp);
	if (!dp->counts_xmit_drops)
		log_warning("transmit drops cannot be counted: no raw tracepoint xdp_devmap_xmit");
	dp->rt = device_kernel_is_rt();
	dp->dispatcher = !dp->rt && xdp_dispatcher_works(dp);
	return 0;
}

static void fill_config(struct datapath *dp)
{
	const struct datapath_options *o = &dp->options;

	dp->config.schema = AMT_SCHEMA_VERSION;
	dp->config.flags = o->config_flags | (dp->config.flags & AMT_CONFIG_SPREAD);
	dp->config.ttl = o->ttl;
	dp->config.dscp = o->dscp;
	dp->config.recirculate_ifindex = dp->veth.ifindex;
	dp->config.recirculate_peer = dp->veth.peer_ifindex;
	dp->config.events_per_second = o->events_per_second;
	dp->config.group_rate = o->group_rate;
	datapath_lease(dp, clock_now());
}

void datapath_set_options(struct datapath *dp, const struct datapath_options *options)
{
	const struct datapath_options before = dp->options;

	dp->options = *options;
	dp->options.instance = before.instance;
	dp->options.max_tunnels = before.max_tunnels;
	dp->options.max_groups = before.max_groups;
	dp->options.max_blocks = before.max_blocks;
	dp->options.max_nexthops = before.max_nexthops;
	fill_config(dp);
	interfaces_spread(dp);
	if (options->tunnel_mtu != before.tunnel_mtu ||
	    options->tunnel_mtu_min != before.tunnel_mtu_min)
		sweep_all(dp);
	else
		sweep_sets(dp);
}

static int start(struct datapath *dp, struct error *err)
{
	int ret = load(dp, err);

	if (!ret)
		ret = veth_open(&dp->veth, dp->instance, dp->adopted, err);
	if (!ret)
		ret = make_tables(dp, err);
	if (!ret)
		ret = open_nexthops(dp, err);
	dp->adopting = dp->adopted;
	if (!ret && dp->adopted)
		ret = adopt_state(dp, err);
	if (!ret)
		ret = start_programs(dp, err);
	if (ret)
		return ret;
	if (dp->adopted)
		decap_adopt(dp);
	fill_config(dp);
	if (dp->adopted) {
		interfaces_adopt(dp);
		adopt_track(dp);
		sweep_sets(dp);
	}
	malloc_trim(0); /* loading took tens of megabytes (the kernel's BTF) for a moment */
	return open_events(dp, err);
}

int datapath_open(struct datapath **out, const struct datapath_options *options,
		  struct event_base *base, const struct datapath_callbacks *callbacks,
		  struct error *err)
{
	struct datapath *dp;
	int ret = check_options(options, err);

	if (ret)
		return ret;
	dp = calloc(1, sizeof(*dp));
	if (!dp)
		return error_set(err, -ENOMEM, "no memory for the data path");
	dp->options = *options;
	dp->callbacks = *callbacks;
	dp->base = base;
	dp->pins.lock_fd = -1;
	dp->sweep_set = dp->sweep_tunnel = DATAPATH_NONE;
	dp->ended_sets = CHAIN_EMPTY;
	maps_init(&dp->maps);
	programs_init(&dp->programs);
	object_quiet_libraries();
	ret = pins_open(&dp->pins, options->instance, err);
	if (ret) {
		free(dp);
		return ret;
	}
	strncpy(dp->instance, options->instance, sizeof(dp->instance) - 1);
	dp->options.instance = dp->instance;
	ret = start(dp, err);
	if (ret && !dp->adopted)
		datapath_destroy(dp); /* nothing flowed yet: leave nothing */
	else if (ret)
		datapath_close(dp);
	else
		*out = dp;
	return ret;
}

/* ---- closing ---- */

static void release(struct datapath *dp)
{
	uint32_t id;

	if (dp->ring_event)
		event_free(dp->ring_event);
	if (dp->tick_event)
		event_free(dp->tick_event);
	if (dp->sweep_event)
		event_free(dp->sweep_event);
	if (dp->ring)
		ring_buffer__free(dp->ring);
	nexthops_close(dp->nexthops);
	HASH_CLEAR(hh, dp->by_key);
	for (id = 0; id < dp->sets_top; id++)
		free(dp->sets[id].mtus);
	free(dp->sets);
	free(dp->set_link);
	free(dp->tunnels);
	free(dp->tunnel_link);
	members_free(dp->members);
	fanout_free(dp->fanout);
	programs_close(&dp->programs);
	maps_close(&dp->maps);
	pins_close(&dp->pins);
	free(dp);
}

void datapath_close(struct datapath *dp)
{
	if (!dp)
		return;
	while (dp->ended_sets.head != CHAIN_END) /* so that tunnels keep what they count */
		set_end_some(dp, dp->ended_sets.head, UINT_MAX);
	release(dp);
}

void datapath_destroy(struct datapath *dp)
{
	if (!dp)
		return;
	hooks_dismantle(&dp->pins);
	veth_delete(&dp->veth);
	pins_remove(&dp->pins);
	release(dp);
}
