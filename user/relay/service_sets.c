/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Forwarding sets between the merge and the packet path, and the merged state of each group on
 * its way to the upstream joins.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/counters.h"
#include "base/log.h"
#include "relay/service_state.h"

static struct service_set *set_get(struct relay_service *service, uint32_t id)
{
	return id < service->nsets && service->sets[id].exists ? &service->sets[id] : NULL;
}

static int sets_reserve(struct relay_service *service, uint32_t id)
{
	uint32_t room = service->nsets ? service->nsets : 64;
	struct service_set *sets;

	if (id < service->nsets)
		return 0;
	while (room <= id)
		room *= 2;
	sets = realloc(service->sets, room * sizeof(*sets));
	if (!sets)
		return -ENOMEM;
	memset(sets + service->nsets, 0, (room - service->nsets) * sizeof(*sets));
	service->sets = sets;
	service->nsets = room;
	return 0;
}

static struct service_group *group_find(struct relay_service *service, const struct amt_addr *addr)
{
	struct service_group *group;

	HASH_FIND(hh, service->groups, addr, sizeof(*addr), group);
	return group;
}

static int group_link(struct relay_service *service, uint32_t id)
{
	const struct amt_addr *addr = &service->sets[id].key.group;
	struct service_group *group = group_find(service, addr);

	if (!group) {
		group = calloc(1, sizeof(*group));
		if (!group)
			return -ENOMEM;
		group->addr = *addr;
		group->first = SERVICE_NO_SET;
		HASH_ADD(hh, service->groups, addr, sizeof(group->addr), group);
		if (!group->hh.tbl) {
			free(group);
			return -ENOMEM;
		}
	}
	service->sets[id].next = group->first;
	group->first = id;
	return 0;
}

static void group_unlink(struct relay_service *service, uint32_t id)
{
	struct service_group *group = group_find(service, &service->sets[id].key.group);
	uint32_t *at = &group->first;

	while (*at != id)
		at = &service->sets[*at].next;
	*at = service->sets[id].next;
	if (group->first != SERVICE_NO_SET)
		return;
	HASH_DEL(service->groups, group);
	free(group);
}

static int counted(int rc)
{
	if (rc == -ENOSPC)
		counter_add(AMT_COUNT_DATAPATH_FULL, 1);
	return rc;
}

static int set_create(void *arg, const struct amt_group_key *key, uint32_t *set)
{
	struct relay_service *service = arg;
	int rc = counted(datapath_set_create(service->datapath, key, set));

	if (rc)
		return rc;
	rc = sets_reserve(service, *set);
	if (!rc) {
		service->sets[*set] = (struct service_set){.key = *key};
		rc = group_link(service, *set);
	}
	if (rc) {
		datapath_set_destroy(service->datapath, *set);
		return rc;
	}
	service->sets[*set].exists = true;
	return 0;
}

static int set_publish(void *arg, uint32_t id)
{
	struct relay_service *service = arg;
	struct service_set *set = set_get(service, id);

	if (!set)
		return -ENOENT;
	set->upstream_ifindex = upstream_ifindex(service->upstream, &set->key);
	set->published = true;
	return counted(datapath_set_publish(service->datapath, id, set->upstream_ifindex));
}

static void set_destroy(void *arg, uint32_t id)
{
	struct relay_service *service = arg;

	datapath_set_destroy(service->datapath, id);
	if (!set_get(service, id))
		return;
	group_unlink(service, id);
	service->sets[id].exists = false;
}

static int member_add(void *arg, uint32_t set, uint32_t tunnel)
{
	struct relay_service *service = arg;

	return counted(datapath_member_add(service->datapath, set, tunnel));
}

static void member_remove(void *arg, uint32_t set, uint32_t tunnel)
{
	struct relay_service *service = arg;

	datapath_member_remove(service->datapath, set, tunnel);
}

static void push_upstream(struct relay_service *service, const struct amt_addr *group)
{
	struct merge_upstream wanted;

	if (!merge_upstream(relay_merge(service->relay), group, &wanted))
		upstream_set(service->upstream, group, wanted.exclude, wanted.sources,
			     wanted.nsources);
}

static void upstream_changed(void *arg, const struct amt_addr *group)
{
	struct relay_service *service = arg;

	if (!service->adopting)
		push_upstream(service, group);
}

void service_sets_sink(struct merge_sink *sink)
{
	*sink = (struct merge_sink){
		.set_create = set_create,
		.set_publish = set_publish,
		.set_destroy = set_destroy,
		.member_add = member_add,
		.member_remove = member_remove,
		.upstream_changed = upstream_changed,
	};
}

void service_sets_push_all(struct relay_service *service)
{
	struct service_group *group, *next;

	HASH_ITER (hh, service->groups, group, next)
		push_upstream(service, &group->addr);
}

static void review(struct relay_service *service, uint32_t id)
{
	struct service_set *set = &service->sets[id];
	uint32_t ifindex = upstream_ifindex(service->upstream, &set->key);
	bool wanted = upstream_wanted_here(service->upstream, &set->key.group);

	if (!set->published)
		return;
	datapath_set_measure(service->datapath, id, clock_now());
	if (ifindex != set->upstream_ifindex &&
	    !datapath_set_publish(service->datapath, id, ifindex))
		set->upstream_ifindex = ifindex;
	if (set->wanted_here == (wanted ? KNOWN_YES : KNOWN_NO))
		return;
	set->wanted_here = wanted ? KNOWN_YES : KNOWN_NO;
	datapath_set_wanted_here(service->datapath, id, wanted);
}

void service_sets_review(struct relay_service *service, unsigned int max)
{
	uint32_t looked, id;

	for (looked = 0; looked < service->nsets && max; looked++) {
		id = service->next_set++ % service->nsets;
		if (!service->sets[id].exists)
			continue;
		review(service, id);
		max--;
	}
}

void service_group_changed(void *arg, const struct amt_addr *addr)
{
	struct relay_service *service = arg;
	struct service_group *group = group_find(service, addr);
	uint32_t id;

	for (id = group ? group->first : SERVICE_NO_SET; id != SERVICE_NO_SET;
	     id = service->sets[id].next)
		review(service, id);
}

uint64_t service_rate(void *arg, const struct amt_addr *addr, const struct amt_addr *source)
{
	struct relay_service *service = arg;
	const struct service_group *group = group_find(service, addr);
	uint64_t sum = 0;
	bool any = false;
	uint32_t id;

	for (id = group ? group->first : SERVICE_NO_SET; id != SERVICE_NO_SET;
	     id = service->sets[id].next) {
		uint32_t rate = datapath_set_rate(service->datapath, id);

		if (source && !addr_equal(source, &service->sets[id].key.source))
			continue;
		sum += rate == DATAPATH_NONE ? service->config->max_group_rate : rate;
		any = true;
	}
	return any ? sum : service->config->max_group_rate;
}

void service_sets_free(struct relay_service *service)
{
	struct service_group *group, *next;

	HASH_ITER (hh, service->groups, group, next) {
		HASH_DEL(service->groups, group);
		free(group);
	}
	free(service->sets);
}
