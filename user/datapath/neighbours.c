/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "datapath/neighbours.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <uthash.h>
#include "base/clock.h"
#include "base/counters.h"
#include "base/log.h"
#include "base/loop.h"

#define STATE_USABLE (NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE | NUD_DELAY)

#define LOOK_EVERY	64  /* neighbours, whether the turn of the loop has become long */
#define USES_PER_TICK	256 /* requests to resolve or confirm, a second */
#define BACKOFF_MAX_S	60  /* between attempts at a neighbour that does not answer */
#define CONFIRM_EVERY	(10 * NSEC_PER_SEC) /* a stale neighbour, at most */
#define UNUSED_GRACE	NSEC_PER_SEC	   /* packets under way may still be sent by an old block */
#define FORGOTTEN_GRACE (5 * NSEC_PER_SEC) /* a deleted neighbour keeps its MAC that long */

struct key {
	uint32_t ifindex;
	struct amt_addr addr;
};

struct neighbour {
	UT_hash_handle hh;
	struct key key;
	struct amt_nexthop record;
	uint16_t id;
	uint16_t state; /* NUD_*, as last heard */
	unsigned int refs;
	bool adopted;	       /* holds a reference until the adoption is done */
	bool users_changed;    /* since the last write */
	bool asked_twice;      /* for the log: said once until it answers again */
	unsigned int attempts; /* since it was last valid */
	uint64_t last_use;     /* when the kernel was last asked to resolve it */
	uint64_t unused;       /* since when there is no reference */
	uint64_t forgotten;    /* when the kernel deleted it while it was valid; 0: did not */
};

struct neighbours {
	struct rtnl *rtnl;
	const struct links *links;
	neighbours_write_fn write;
	void *arg;
	struct neighbour *table;
	struct neighbour *at; /* where the tick goes on; NULL: at the start */
	uint32_t max, last;   /* ids are given out in a circle, so that a freed one rests */
	bool full_logged, table_full_logged;
	struct neighbour *by_id[];
};

struct neighbours *neighbours_new(uint32_t max, struct rtnl *rtnl, const struct links *links,
				  neighbours_write_fn write, void *arg)
{
	struct neighbours *n = calloc(1, sizeof(*n) + max * sizeof(n->by_id[0]));

	if (!n)
		return NULL;
	n->rtnl = rtnl;
	n->links = links;
	n->write = write;
	n->arg = arg;
	n->max = max;
	return n;
}

void neighbours_free(struct neighbours *n)
{
	struct neighbour *nb, *tmp;

	if (!n)
		return;
	HASH_ITER (hh, n->table, nb, tmp) {
		HASH_DEL(n->table, nb);
		free(nb);
	}
	free(n);
}

static bool valid(const struct neighbour *nb)
{
	return nb->record.flags & AMT_NEXTHOP_VALID;
}

static const struct rtnl_link *running_link(const struct neighbours *n, const struct neighbour *nb)
{
	const struct rtnl_link *link = links_find(n->links, nb->key.ifindex);

	return link && link->running ? link : NULL;
}

static void write_record(struct neighbours *n, struct neighbour *nb)
{
	nb->users_changed = false;
	n->write(n->arg, nb->id, &nb->record);
}

static void log_neighbour(const struct neighbours *n, const struct neighbour *nb, const char *what)
{
	const struct rtnl_link *link = links_find(n->links, nb->key.ifindex);
	char addr[AMT_ADDR_STRLEN];

	log_debug("next hop %s on %s %s", addr_print(&nb->key.addr, addr),
		  link ? link->name : "a vanished interface", what);
}

static void set_invalid(struct neighbours *n, struct neighbour *nb)
{
	nb->forgotten = 0;
	if (!valid(nb))
		return;
	nb->record.flags &= ~(uint32_t)AMT_NEXTHOP_VALID;
	counter_add(AMT_COUNT_NEXTHOP_CHANGED, 1);
	log_neighbour(n, nb, "is lost");
	write_record(n, nb);
}

static void set_valid(struct neighbours *n, struct neighbour *nb, const uint8_t *dmac,
		      const uint8_t *smac)
{
	nb->forgotten = 0;
	nb->attempts = 0;
	if (nb->asked_twice)
		log_neighbour(n, nb, "answers");
	nb->asked_twice = false;
	if (valid(nb) && !memcmp(nb->record.dmac, dmac, 6) && !memcmp(nb->record.smac, smac, 6))
		return;
	memcpy(nb->record.dmac, dmac, 6);
	memcpy(nb->record.smac, smac, 6);
	nb->record.flags |= AMT_NEXTHOP_VALID;
	counter_add(AMT_COUNT_NEXTHOP_CHANGED, 1);
	write_record(n, nb);
}

/* Has the kernel resolve or confirm it. Without a running link that would only cost. */
static void use(struct neighbours *n, struct neighbour *nb, uint64_t now)
{
	int err;

	nb->last_use = now;
	if (!running_link(n, nb))
		return;
	if (!valid(nb))
		nb->attempts++;
	if (nb->attempts == 2 && !nb->asked_twice) {
		nb->asked_twice = true;
		log_neighbour(n, nb, "does not answer; its gateways get nothing until it does");
	}
	err = rtnl_neigh_use(n->rtnl, nb->key.ifindex, &nb->key.addr);
	if (err == -ENOBUFS && !n->table_full_logged) {
		log_warning(
			"the kernel's neighbour table is full: raise "
			"net.ipv4.neigh.default.gc_thresh3 or net.ipv6.neigh.default.gc_thresh3");
		n->table_full_logged = true;
	} else if (err && err != -ENOBUFS) {
		log_debug("next hop request failed: %s", strerror(-err));
	}
}

/* The kernel dropped its entry: deleted by hand, or collected since nothing used it. The MAC
 * address is most likely still right, so packets go on while it is resolved again: at once, but not
 * at each deletion, or `ip neigh flush` would never come to its end; the tick sees to the rest. */
static void forgotten(struct neighbours *n, struct neighbour *nb, uint64_t now)
{
	nb->state = NUD_NONE;
	if (!running_link(n, nb)) {
		set_invalid(n, nb);
		return;
	}
	if (!valid(nb))
		return;
	if (!nb->forgotten)
		nb->forgotten = now;
	if (nb->refs && now - nb->last_use >= NSEC_PER_SEC)
		use(n, nb, now);
}

/* A neighbour fails after the kernel has probed it. One that fails out of a settled state has been
 * deleted by hand: the kernel says "failed" first, then "deleted". */
static void failed(struct neighbours *n, struct neighbour *nb, uint64_t now)
{
	if (nb->state & (NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_STALE)) {
		forgotten(n, nb, now);
		return;
	}
	nb->state = NUD_FAILED;
	set_invalid(n, nb);
}

/* What the kernel knows of it now. */
static void heard(struct neighbours *n, struct neighbour *nb, const struct rtnl_neigh *neigh,
		  uint64_t now)
{
	const struct rtnl_link *link = running_link(n, nb);

	if (neigh->state & NUD_FAILED) {
		failed(n, nb, now);
		return;
	}
	nb->state = neigh->state;
	if (!link)
		set_invalid(n, nb);
	else if ((neigh->state & STATE_USABLE) && neigh->has_mac)
		set_valid(n, nb, neigh->mac, link->mac);
}

static void refresh(struct neighbours *n, struct neighbour *nb, uint64_t now)
{
	struct rtnl_neigh neigh;
	int err;

	if (!running_link(n, nb)) {
		set_invalid(n, nb);
		return;
	}
	err = rtnl_neigh_get(n->rtnl, nb->key.ifindex, &nb->key.addr, &neigh);
	if (err)
		forgotten(n, nb, now);
	else
		heard(n, nb, &neigh, now);
	if (!valid(nb))
		use(n, nb, now);
}

static uint32_t free_id(struct neighbours *n)
{
	uint32_t tried, id = n->last;

	for (tried = 1; tried < n->max; tried++) {
		id = id + 1 < n->max ? id + 1 : 1;
		if (!n->by_id[id]) {
			n->last = id;
			return id;
		}
	}
	if (!n->full_logged)
		log_warning("all %u next hop ids are in use: raise max-nexthops", n->max - 1);
	n->full_logged = true;
	return 0;
}

static struct neighbour *make(struct neighbours *n, uint32_t id, const struct key *key)
{
	struct neighbour *nb = calloc(1, sizeof(*nb));

	if (!nb)
		return NULL;
	nb->id = (uint16_t)id;
	memcpy(&nb->key, key, sizeof(*key));
	nb->record.ifindex = key->ifindex;
	nb->record.address = key->addr;
	HASH_ADD(hh, n->table, key, sizeof(nb->key), nb);
	n->by_id[id] = nb;
	return nb;
}

static struct neighbour *find(const struct neighbours *n, uint32_t ifindex,
			      const struct amt_addr *addr)
{
	struct key key = {.ifindex = ifindex, .addr = *addr};
	struct neighbour *nb;

	HASH_FIND(hh, n->table, &key, sizeof(key), nb);
	return nb;
}

struct neighbour *neighbour_get(struct neighbours *n, uint32_t ifindex, const struct amt_addr *addr,
				uint64_t now)
{
	struct key key = {.ifindex = ifindex, .addr = *addr};
	struct neighbour *nb = find(n, ifindex, addr);
	uint32_t id;

	if (nb) {
		if (nb->refs++ == 0)
			refresh(n, nb, now); /* nobody has followed it */
		return nb;
	}
	id = free_id(n);
	nb = id ? make(n, id, &key) : NULL;
	if (!nb)
		return NULL;
	nb->refs = 1;
	write_record(n, nb);
	refresh(n, nb, now);
	return nb;
}

void neighbour_hold(struct neighbour *nb)
{
	nb->refs++;
}

static void release(struct neighbours *n, struct neighbour *nb)
{
	static const struct amt_nexthop none;
	uint16_t id = nb->id;

	HASH_DEL(n->table, nb);
	n->by_id[id] = NULL;
	n->full_logged = false;
	free(nb);
	n->write(n->arg, id, &none);
}

void neighbour_put(struct neighbours *n, struct neighbour *nb)
{
	if (--nb->refs == 0)
		nb->unused = clock_now();
}

uint16_t neighbour_id(const struct neighbour *nb)
{
	return nb->id;
}

bool neighbour_is_valid(const struct neighbour *nb)
{
	return valid(nb);
}

bool neighbour_is_settled(const struct neighbour *nb)
{
	return valid(nb) && !nb->forgotten;
}

void neighbour_count_user(struct neighbour *nb, int change)
{
	nb->record.users += (uint32_t)change;
	nb->users_changed = true;
}

void neighbours_adopt(struct neighbours *n, uint16_t id, const struct amt_nexthop *record)
{
	struct key key = {.ifindex = record->ifindex, .addr = record->address};
	struct neighbour *nb;

	if (!id || id >= n->max || n->by_id[id] || find(n, key.ifindex, &key.addr))
		return;
	nb = make(n, id, &key);
	if (!nb)
		return;
	nb->adopted = true;
	nb->record = *record;
	nb->record.users = 0; /* counted anew */
}

void neighbours_adopt_done(struct neighbours *n)
{
	struct neighbour *nb, *tmp;

	HASH_ITER (hh, n->table, nb, tmp) {
		if (!nb->adopted)
			continue;
		nb->adopted = false;
		nb->unused = clock_now();
	}
}

void neighbours_message(struct neighbours *n, const struct nlmsghdr *message, uint64_t now)
{
	struct rtnl_neigh neigh;
	struct neighbour *nb;

	if (!rtnl_parse_neigh(message, &neigh))
		return;
	nb = find(n, neigh.ifindex, &neigh.addr);
	if (!nb)
		return;
	if (message->nlmsg_type == RTM_DELNEIGH)
		forgotten(n, nb, now);
	else
		heard(n, nb, &neigh, now);
}

void neighbours_link_changed(struct neighbours *n, uint32_t ifindex, uint64_t now)
{
	struct neighbour *nb, *tmp;

	HASH_ITER (hh, n->table, nb, tmp)
		if (nb->key.ifindex == ifindex && nb->refs)
			refresh(n, nb, now);
}

void neighbours_sync(struct neighbours *n, uint64_t now)
{
	struct neighbour *nb, *tmp;

	HASH_ITER (hh, n->table, nb, tmp)
		if (nb->refs)
			refresh(n, nb, now);
}

static uint64_t backoff(const struct neighbour *nb)
{
	unsigned int shift = nb->attempts ? nb->attempts - 1 : 0;
	unsigned int seconds = shift < 6 ? 1u << shift : BACKOFF_MAX_S;

	return seconds * NSEC_PER_SEC;
}

static bool use_due(const struct neighbour *nb, uint64_t now)
{
	uint64_t since = now - nb->last_use;

	if (!nb->refs)
		return false;
	if (!valid(nb))
		return since >= backoff(nb);
	if (nb->forgotten)
		return since >= NSEC_PER_SEC;
	return (nb->state & NUD_STALE) && since >= CONFIRM_EVERY;
}

static void tick_one(struct neighbours *n, struct neighbour *nb, unsigned int *uses, uint64_t now)
{
	if (nb->forgotten && now - nb->forgotten >= FORGOTTEN_GRACE)
		set_invalid(n, nb);
	if (*uses < USES_PER_TICK && use_due(nb, now)) {
		use(n, nb, now);
		(*uses)++;
	}
	if (nb->users_changed)
		write_record(n, nb);
}

/* What a turn of the loop has no time for is left to the next tick. */
void neighbours_tick(struct neighbours *n, uint64_t now)
{
	struct neighbour *nb, *next = n->at ? n->at : n->table;
	unsigned int uses = 0, looked = 0;

	while ((nb = next) && !(++looked % LOOK_EVERY == 0 && loop_turn_is_long())) {
		next = nb->hh.next;
		if (!nb->refs && !nb->adopted && now - nb->unused >= UNUSED_GRACE)
			release(n, nb);
		else
			tick_one(n, nb, &uses, now);
	}
	n->at = nb;
}

void neighbours_kick(struct neighbours *n, uint16_t id, uint64_t now)
{
	struct neighbour *nb = id < n->max ? n->by_id[id] : NULL;

	if (nb && !valid(nb) && now - nb->last_use >= NSEC_PER_SEC)
		use(n, nb, now);
}

bool neighbours_record(const struct neighbours *n, uint16_t id, struct amt_nexthop *record)
{
	const struct neighbour *nb = id < n->max ? n->by_id[id] : NULL;

	if (nb)
		*record = nb->record;
	return nb;
}
