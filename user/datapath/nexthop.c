/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tunnels, and the destinations that they share: one for each (gateway address, relay address), so
 * that many gateways behind one NAT cost one look-up. Notifications mark destinations; a bounded
 * batch of them is looked up each loop turn. Links and neighbours are in files of their own.
 */
#include "datapath/nexthop_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <event2/event.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <sys/random.h>
#include <sys/socket.h>
#include "base/clock.h"
#include "base/counters.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/siphash.h"
#include "datapath/route.h"
#include "datapath/rtnl.h"

#define BATCH	      256  /* look-ups and tunnels told, a loop turn */
#define SWEEP	      2048 /* destinations compared with changed routes, a loop turn */
#define LOOK_EVERY    16   /* look-ups, whether the turn has become long */
#define READS	      32   /* of notifications, a loop turn */
#define READ_SIZE     32768
#define REFRESH_S     10   /* the kernel tells nobody of a learned path MTU: ask that often */
#define REFRESH_BATCH 1000 /* look-ups a second at most for that */

static void soon(struct nexthops *nh)
{
	struct timeval now = {0};

	if (!evtimer_pending(nh->turn, NULL))
		evtimer_add(nh->turn, &now);
}

static void enqueue(struct nexthops *nh, struct destination *dest)
{
	if (!dest->queued) {
		chain_push_tail(&nh->work, nh->work_link, nexthop_row(nh, dest));
		dest->queued = true;
	}
	soon(nh);
}

void nexthop_mark(struct nexthops *nh, struct destination *dest)
{
	dest->dirty = true;
	enqueue(nh, dest);
}

/* ---- the sweep: all destinations are compared with what changed, some a loop turn ---- */

static void sweep_begin(struct nexthops *nh)
{
	if (nh->swept != NO_ROW || !nh->nchanged)
		return; /* what came meanwhile has its turn after this one */
	memcpy(nh->sought, nh->changed, sizeof(nh->sought));
	nh->nsought = nh->nchanged;
	nh->nchanged = 0;
	if (!nh->top)
		return;
	nh->swept = 0;
	soon(nh);
}

static void mark_all(struct nexthops *nh)
{
	nh->nchanged = PREFIXES_MAX + 1;
	sweep_begin(nh);
}

/* A longest-prefix table answers differently only for what a changed prefix covers. */
static bool is_sought(const struct nexthops *nh, const struct amt_addr *gateway)
{
	unsigned int i;

	if (nh->nsought > PREFIXES_MAX)
		return true;
	for (i = 0; i < nh->nsought; i++)
		if (addr_is_ipv4(gateway) == addr_is_ipv4(&nh->sought[i].addr) &&
		    prefix_contains(&nh->sought[i], gateway))
			return true;
	return false;
}

static void sweep(struct nexthops *nh)
{
	unsigned int n;

	if (nh->swept == NO_ROW)
		return;
	for (n = 0; n < SWEEP && nh->swept < nh->top; n++) {
		struct destination *dest = &nh->destinations[nh->swept++];

		if (dest->used && is_sought(nh, &dest->key.gateway))
			nexthop_mark(nh, dest);
	}
	if (nh->swept < nh->top)
		return;
	nh->swept = NO_ROW;
	sweep_begin(nh);
}

static void on_neighbour(void *arg, uint16_t id, const struct amt_nexthop *record)
{
	struct nexthops *nh = arg;

	nh->callbacks.write(nh->callbacks.arg, id, record);
	if (nh->waiting.head != NO_ROW && !nh->answered) {
		nh->answered = true;
		soon(nh);
	}
}

/* ---- look-ups ---- */

/* Looks the destination up. Returns whether anything changed for its tunnels. */
static bool resolve(struct nexthops *nh, struct destination *dest)
{
	struct neighbour *neighbour = NULL, *before = dest->neighbour;
	struct rtnl_route route;
	struct nexthop_route found;

	memset(&found, 0, sizeof(found));
	dest->dirty = false;
	if (rtnl_route_get(nh->rtnl, &dest->key.gateway, &dest->key.relay, &route) == 0 &&
	    route_usable(nh->links, &route, &found))
		neighbour =
			neighbour_get(nh->neighbours, route.oif,
				      route.has_via ? &route.via : &dest->key.gateway, clock_now());
	if (neighbour)
		found.nexthop = neighbour_id(neighbour);
	else
		memset(&found, 0, sizeof(found));
	if (nexthop_must_wait(nh, dest, neighbour)) {
		nexthop_wait_begin(nh, dest, neighbour);
		return false;
	}
	nexthop_wait_end(nh, dest);
	dest->neighbour = neighbour;
	if (before)
		neighbour_put(nh->neighbours, before); /* its tunnels still hold it */
	if (memcmp(&found, &dest->route, sizeof(found)) == 0)
		return false;
	memcpy(&dest->route, &found, sizeof(found));
	return true;
}

static void count_user(struct neighbour *neighbour, int change)
{
	if (neighbour)
		neighbour_count_user(neighbour, change);
}

static void tell(struct nexthops *nh, uint32_t id)
{
	struct tunnel *tunnel = &nh->tunnels[id];
	struct destination *dest = tunnel->destination;
	struct neighbour *before = tunnel->neighbour;
	struct nexthop_route route = dest->route;

	if (dest->neighbour)
		neighbour_hold(dest->neighbour);
	tunnel->neighbour = dest->neighbour;
	count_user(tunnel->neighbour, 1);
	count_user(before, -1);
	if (!route.routed)
		counter_add(AMT_COUNT_ROUTE_UNREACHABLE, 1);
	nh->callbacks.route(nh->callbacks.arg, id, &route);
	/* only now may the old id go to another neighbour */
	if (before)
		neighbour_put(nh->neighbours, before);
}

/* The first look-up; whoever waits for it is told even that there is no route. */
static void resolve_new(struct nexthops *nh, struct destination *dest)
{
	dest->fresh = false;
	resolve(nh, dest);
	dest->cursor = dest->first;
	if (dest->cursor != NO_TUNNEL)
		enqueue(nh, dest);
}

/* One unit of work: looks a destination up, or tells one tunnel. The callback comes last, since it
 * may untrack. */
static void work_once(struct nexthops *nh)
{
	struct destination *dest = &nh->destinations[nh->work.head];
	uint32_t tunnel = dest->cursor;

	if (dest->dirty) {
		if (dest->fresh)
			resolve_new(nh, dest);
		else if (resolve(nh, dest))
			dest->cursor = dest->first;
		tunnel = NO_TUNNEL;
	} else if (tunnel != NO_TUNNEL) {
		dest->cursor = nh->tunnels[tunnel].next;
	}
	if (dest->cursor == NO_TUNNEL) {
		chain_remove(&nh->work, nh->work_link, nexthop_row(nh, dest));
		dest->queued = false;
	}
	if (tunnel != NO_TUNNEL)
		tell(nh, tunnel);
}

/* ---- notifications ---- */

static void route_changed(struct nexthops *nh, const struct rtnl_route *route)
{
	if (nh->nchanged < PREFIXES_MAX)
		nh->changed[nh->nchanged] = route->prefix;
	if (nh->nchanged <= PREFIXES_MAX)
		nh->nchanged++;
}

static void link_changed(void *arg, const struct rtnl_link *before, const struct rtnl_link *after)
{
	const struct rtnl_link *link = after ? after : before;
	struct nexthops *nh = arg;

	if (!nh->opened)
		return; /* the first dump: nothing is tracked, and everything is new */
	/* the kernel withdraws routes with their link and does not tell */
	mark_all(nh);
	if (!before || !after || before->running != after->running ||
	    memcmp(before->mac, after->mac, sizeof(before->mac)) != 0)
		neighbours_link_changed(nh->neighbours, link->ifindex, clock_now());
	if (before && after && strcmp(before->name, after->name) != 0)
		nh->callbacks.link(nh->callbacks.arg, before->ifindex, before->name, false, 0);
	nh->callbacks.link(nh->callbacks.arg, link->ifindex, link->name, after,
			   after ? after->mtu : 0);
}

static int notified(const struct nlmsghdr *message, void *arg)
{
	struct nexthops *nh = arg;
	struct rtnl_route route;

	switch (message->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		links_message(nh->links, message);
		break;
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		neighbours_message(nh->neighbours, message, clock_now());
		break;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		if (rtnl_parse_route(message, &route))
			route_changed(nh, &route);
		break;
	case RTM_NEWRULE:
	case RTM_DELRULE:
	case RTM_NEWNEXTHOP:
	case RTM_DELNEXTHOP:
		mark_all(nh);
		break;
	}
	return MNL_CB_OK;
}

/* Notifications were lost. Not more often than once a second: a storm would go on losing them. */
static void resync(struct nexthops *nh)
{
	uint64_t now = clock_now();
	int err;

	if (now - nh->resynced < NSEC_PER_SEC)
		return;
	err = links_sync(nh->links, nh->rtnl);
	nh->resynced = now;
	nh->lost = err != 0; /* tried again at the next tick */
	neighbours_sync(nh->neighbours, now);
	mark_all(nh);
	if (err)
		log_debug("links cannot be read: %s", strerror(-err));
}

/* Reads what is there, at most READS times; returns whether nothing is left. */
static bool read_notifications(struct nexthops *nh)
{
	char buf[READ_SIZE] __attribute__((aligned(NLMSG_ALIGNTO)));
	unsigned int reads;
	ssize_t len;

	for (reads = 0; reads < READS; reads++) {
		len = recv(nh->fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (len < 0 && errno == ENOBUFS)
			nh->lost = true;
		else if (len <= 0)
			return true;
		else if (!nh->lost) /* else all is asked for anyway */
			mnl_cb_run(buf, (size_t)len, 0, 0, notified, nh);
	}
	return false;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct nexthops *nh = arg;
	bool empty = read_notifications(nh);

	sweep_begin(nh);
	/* once notifications are lost the kernel drops all of them until the socket is empty */
	if (nh->lost && empty)
		resync(nh);
}

/* Until every tunnel has been told of its own, the adopted ones may be in use. */
static void release_adopted(struct nexthops *nh)
{
	if (!nh->releasing || nh->work.head != NO_ROW)
		return;
	nh->releasing = false;
	neighbours_adopt_done(nh->neighbours);
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct nexthops *nh = arg;
	unsigned int units;

	if (nh->answered)
		nexthop_wait_review(nh);
	nh->answered = false;
	nexthop_wait_step(nh, SWEEP, clock_now());
	sweep(nh);
	for (units = 0; units < BATCH && nh->work.head != NO_ROW; units++) {
		if (units % LOOK_EVERY == LOOK_EVERY - 1 && loop_turn_is_long())
			break;
		work_once(nh);
	}
	release_adopted(nh);
	if (nh->work.head != NO_ROW || nh->swept != NO_ROW || nh->reviewed != NO_ROW)
		soon(nh);
}

/* Path MTUs are learned and expire without a notification, so every destination is looked up again
 * in its turn. */
static void refresh_some(struct nexthops *nh)
{
	uint32_t n = nh->by_key.n / REFRESH_S + 1, rows;

	n = n < REFRESH_BATCH ? n : REFRESH_BATCH;
	for (rows = nh->top; rows && n; rows--) {
		struct destination *dest;

		if (nh->refreshed >= nh->top)
			nh->refreshed = 0;
		dest = &nh->destinations[nh->refreshed++];
		if (!dest->used)
			continue;
		nexthop_mark(nh, dest);
		n--;
	}
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct nexthops *nh = arg;

	if (nh->lost)
		on_readable(nh->fd, EV_READ, nh);
	refresh_some(nh);
	if (nh->waiting.head != NO_ROW) {
		nexthop_wait_review(nh);
		soon(nh);
	}
	neighbours_tick(nh->neighbours, clock_now());
}

/* ---- tunnels ---- */

static struct destination *destination_find(const struct nexthops *nh,
					    const struct destination_key *key, uint32_t hash)
{
	uint32_t row = idtable_first(&nh->by_key, hash);

	while (row != IDTABLE_NONE && memcmp(&nh->destinations[row].key, key, sizeof(*key)) != 0)
		row = idtable_next(&nh->by_key, row);
	return row == IDTABLE_NONE ? NULL : &nh->destinations[row];
}

/* There are never more destinations than tunnels, but for the moment when one is tracked anew. */
static uint32_t take_row(struct nexthops *nh)
{
	uint32_t row = nh->free.head;

	if (row == CHAIN_END)
		return nh->top++;
	chain_remove(&nh->free, nh->work_link, row);
	return row;
}

static struct destination *destination_get(struct nexthops *nh, const struct destination_key *key)
{
	uint32_t hash = (uint32_t)siphash24(nh->hash_key, key, sizeof(*key)), row;
	struct destination *dest = destination_find(nh, key, hash);

	if (dest)
		return dest;
	if (idtable_reserve(&nh->by_key, nh->top))
		return NULL;
	row = take_row(nh);
	dest = &nh->destinations[row];
	*dest = (struct destination){
		.key = *key, .used = true, .fresh = true, .first = NO_TUNNEL, .cursor = NO_TUNNEL};
	idtable_add(&nh->by_key, row, hash);
	return dest;
}

static void destination_drop(struct nexthops *nh, struct destination *dest)
{
	uint32_t row = nexthop_row(nh, dest);

	if (dest->queued)
		chain_remove(&nh->work, nh->work_link, row);
	nexthop_wait_end(nh, dest);
	idtable_remove(&nh->by_key, row);
	if (dest->neighbour)
		neighbour_put(nh->neighbours, dest->neighbour);
	dest->used = false;
	chain_push_tail(&nh->free, nh->work_link, row);
}

/* Takes the tunnel off its destination; what it was told stays. */
static void unlink_tunnel(struct nexthops *nh, uint32_t id)
{
	struct tunnel *tunnel = &nh->tunnels[id];
	struct destination *dest = tunnel->destination;

	if (dest->cursor == id)
		dest->cursor = tunnel->next;
	if (tunnel->prev == NO_TUNNEL)
		dest->first = tunnel->next;
	else
		nh->tunnels[tunnel->prev].next = tunnel->next;
	if (tunnel->next != NO_TUNNEL)
		nh->tunnels[tunnel->next].prev = tunnel->prev;
	tunnel->destination = NULL;
	if (dest->first == NO_TUNNEL)
		destination_drop(nh, dest);
}

static void link_tunnel(struct nexthops *nh, uint32_t id, struct destination *dest)
{
	struct tunnel *tunnel = &nh->tunnels[id];

	if (tunnel->destination == dest)
		return;
	if (tunnel->destination)
		unlink_tunnel(nh, id);
	tunnel->destination = dest;
	tunnel->prev = NO_TUNNEL;
	tunnel->next = dest->first;
	if (dest->first != NO_TUNNEL)
		nh->tunnels[dest->first].prev = id;
	dest->first = id;
}

static int destination_for(struct nexthops *nh, uint32_t id, const struct amt_addr *gateway,
			   const struct amt_addr *relay, struct destination **dest)
{
	const struct destination_key key = {.gateway = *gateway, .relay = *relay};

	if (id >= nh->max_tunnels)
		return -EINVAL;
	*dest = destination_get(nh, &key);
	return *dest ? 0 : -ENOMEM;
}

int nexthop_track(struct nexthops *nh, uint32_t id, const struct amt_addr *gateway,
		  const struct amt_addr *relay)
{
	struct destination *dest;
	int ret = destination_for(nh, id, gateway, relay, &dest);

	if (ret)
		return ret;
	if (dest->fresh)
		resolve_new(nh, dest);
	link_tunnel(nh, id, dest);
	tell(nh, id);
	return 0;
}

int nexthop_track_later(struct nexthops *nh, uint32_t id, const struct amt_addr *gateway,
			const struct amt_addr *relay)
{
	struct destination *dest;
	int ret = destination_for(nh, id, gateway, relay, &dest);

	if (ret)
		return ret;
	link_tunnel(nh, id, dest);
	nexthop_mark(nh, dest);
	return 0;
}

void nexthop_untrack(struct nexthops *nh, uint32_t id)
{
	struct tunnel *tunnel = id < nh->max_tunnels ? &nh->tunnels[id] : NULL;
	struct neighbour *neighbour;

	if (!tunnel || !tunnel->destination)
		return;
	unlink_tunnel(nh, id);
	neighbour = tunnel->neighbour;
	tunnel->neighbour = NULL;
	count_user(neighbour, -1);
	if (neighbour)
		neighbour_put(nh->neighbours, neighbour);
}

void nexthop_adopt(struct nexthops *nh, uint16_t id, const struct amt_nexthop *record)
{
	neighbours_adopt(nh->neighbours, id, record);
}

void nexthop_adopt_done(struct nexthops *nh)
{
	nh->releasing = true;
	release_adopted(nh);
}

void nexthop_kick(struct nexthops *nh, uint16_t id)
{
	neighbours_kick(nh->neighbours, id, clock_now());
}

bool nexthop_get(const struct nexthops *nh, uint16_t id, struct amt_nexthop *record)
{
	return neighbours_record(nh->neighbours, id, record);
}

/* ---- open and close ---- */

static int open_events(struct nexthops *nh, struct event_base *base)
{
	static const struct timeval second = {.tv_sec = 1};

	nh->turn = evtimer_new(base, on_turn, nh);
	nh->tick = event_new(base, -1, EV_PERSIST, on_tick, nh);
	nh->readable = event_new(base, nh->fd, EV_READ | EV_PERSIST, on_readable, nh);
	if (!nh->turn || !nh->tick || !nh->readable || event_add(nh->tick, &second) ||
	    event_add(nh->readable, NULL))
		return -ENOMEM;
	return 0;
}

static int open_rows(struct nexthops *nh, uint32_t max)
{
	nh->free = nh->work = nh->waiting = CHAIN_EMPTY;
	nh->reviewed = nh->swept = NO_ROW;
	nh->destinations = calloc(max, sizeof(*nh->destinations));
	nh->work_link = calloc(max, sizeof(*nh->work_link));
	nh->waits = calloc(max, sizeof(*nh->waits));
	nh->wait_link = calloc(max, sizeof(*nh->wait_link));
	if (!nh->destinations || !nh->work_link || !nh->waits || !nh->wait_link)
		return -ENOMEM;
	return getrandom(nh->hash_key, sizeof(nh->hash_key), 0) < 0 ? -errno : 0;
}

static int open_tables(struct nexthops *nh, uint32_t max, struct event_base *base)
{
	static const unsigned int groups[] = {
		RTNLGRP_LINK,	   RTNLGRP_NEIGH,     RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,
		RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE, RTNLGRP_NEXTHOP,
	};
	unsigned int patience = 10;
	int err = rtnl_open(&nh->rtnl);

	if (err)
		return err;
	/* subscribed before the dump: nothing falls in between */
	nh->fd = rtnl_subscribe(groups, sizeof(groups) / sizeof(groups[0]));
	if (nh->fd < 0)
		return nh->fd;
	nh->links = links_new(link_changed, nh);
	if (!nh->links)
		return -ENOMEM;
	nh->neighbours = neighbours_new(max, nh->rtnl, nh->links, on_neighbour, nh);
	if (!nh->neighbours)
		return -ENOMEM;
	do {
		err = links_sync(nh->links, nh->rtnl);
	} while (err == -EINTR && --patience);
	return err ? err : open_events(nh, base);
}

int nexthops_open(struct nexthops **out, uint32_t max, uint32_t max_tunnels,
		  struct event_base *base, const struct nexthop_callbacks *callbacks,
		  struct error *err)
{
	struct nexthops *nh;
	int code;

	if (max < 2 || max > 65536)
		return error_set(err, -EINVAL, "max-nexthops must be 2 to 65536, not %u", max);
	nh = calloc(1, sizeof(*nh) + (size_t)max_tunnels * sizeof(nh->tunnels[0]));
	if (!nh)
		return error_set(err, -ENOMEM, "no memory for %u tunnels' next hops", max_tunnels);
	nh->fd = -1;
	nh->callbacks = *callbacks;
	nh->max_tunnels = max_tunnels;
	code = open_rows(nh, max_tunnels + 1);
	if (!code)
		code = open_tables(nh, max, base);
	if (code) {
		nexthops_close(nh);
		return error_set(err, code, "routes cannot be followed: rtnetlink: %s",
				 strerror(-code));
	}
	nh->opened = true;
	*out = nh;
	return 0;
}

static void event_free_maybe(struct event *event)
{
	if (event)
		event_free(event);
}

void nexthops_close(struct nexthops *nh)
{
	if (!nh)
		return;
	event_free_maybe(nh->turn);
	event_free_maybe(nh->tick);
	event_free_maybe(nh->readable);
	idtable_free(&nh->by_key);
	free(nh->destinations);
	free(nh->work_link);
	free(nh->waits);
	free(nh->wait_link);
	neighbours_free(nh->neighbours);
	links_free(nh->links);
	rtnl_close(nh->rtnl);
	if (nh->fd >= 0)
		close(nh->fd);
	free(nh);
}
