/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Taking up what a predecessor left in the packet path: its tunnels, and what each had joined, so
 * that packets never stop and gateways notice nothing (design: restart; R-183).
 */
#include <errno.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "relay/adoption.h"
#include "relay/service_state.h"

struct takeover {
	struct relay_service *service;
	struct adoption adoption;
	struct amt_group_key key; /* of the set that is walked */
	uint64_t now;
	uint32_t last_tunnel;
	bool last_restored;
	int rc; /* the first thing that went wrong */
};

static void note(struct takeover *to, int rc)
{
	if (rc && !to->rc)
		to->rc = rc;
}

static void collect_member(void *arg, uint32_t tunnel)
{
	struct takeover *to = arg;

	note(to, adoption_add_member(&to->adoption, &to->key, tunnel));
}

static void collect_set(void *arg, uint32_t set, const struct amt_group_key *key)
{
	struct takeover *to = arg;

	to->key = *key;
	note(to, adoption_add_set(&to->adoption, key));
	datapath_set_members(to->service->datapath, key, collect_member, to);
}

/* A tunnel is restored when the first of its groups comes up: one without any is left to the
 * sweep. */
static bool restore_tunnel(struct takeover *to, uint32_t id)
{
	struct datapath *dp = to->service->datapath;
	const struct amt_tunnel *record = datapath_tunnel(dp, id);

	if (id == to->last_tunnel)
		return to->last_restored;
	to->last_tunnel = id;
	to->last_restored =
		record && !relay_restore_tunnel(to->service->relay, to->now, id, record);
	if (to->last_restored)
		datapath_tunnel_adopted(dp, id);
	return to->last_restored;
}

static void restore_group(void *arg, uint32_t tunnel, const struct amt_addr *group, bool exclude,
			  const struct amt_addr *sources, unsigned int nsources)
{
	struct takeover *to = arg;

	if (restore_tunnel(to, tunnel))
		note(to, relay_restore_group(to->service->relay, to->now, tunnel, group, exclude,
					     sources, nsources));
}

int service_adopt(struct relay_service *service, struct error *err)
{
	struct takeover to = {
		.service = service,
		.now = clock_now(),
		.last_tunnel = DATAPATH_NONE,
	};

	service->adopted = datapath_adopted(service->datapath);
	if (service->adopted) {
		service->adopting = true;
		datapath_walk_sets(service->datapath, collect_set, &to);
		note(&to, adoption_resolve(&to.adoption, restore_group, &to));
		adoption_free(&to.adoption);
		relay_restore_done(service->relay);
		service->adopting = false;
		datapath_adopt_done(service->datapath);
		service_sets_push_all(service);
		log_info("took up %u tunnels with %u channels of the amtd before",
			 relay_tunnels(service->relay),
			 merge_channels(relay_merge(service->relay)));
	}
	note(&to, upstream_sync_done(service->upstream));
	if (to.rc)
		return error_set(err, to.rc, "cannot take up the state of the amtd before: %s",
				 strerror(-to.rc));
	return 0;
}
