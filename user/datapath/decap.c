/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The gateway's maps: relays that data is taken from, what is wanted of it, where it goes, and the
 * gateway's own record. All of it lives in the maps alone, so that a restart has nothing to take
 * up; only the owner of the gateway writes them. Called by the gateway service; see decap.h.
 */
#include "datapath/decap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>

#include "datapath/device.h"
#include "datapath/link_request.h"
#include "datapath/state.h"

/* ---- values: flags the same for all CPUs, counters each CPU's own ---- */

static struct amt_decap *values_new(const struct datapath *dp)
{
	return calloc(dp->maps.cpus, sizeof(struct amt_decap));
}

/* Adds an entry, or changes the flags of one that is there. */
static int entry_set(struct datapath *dp, enum map_id map, const void *key, uint32_t flags)
{
	struct amt_decap *values = values_new(dp);
	unsigned int cpu;
	int ret = 0;

	if (!values)
		return -ENOMEM;
	if (!bpf_map_lookup_elem(dp->maps.fd[map], key, values) && values[0].flags == flags)
		goto out;
	for (cpu = 0; cpu < dp->maps.cpus; cpu++)
		values[cpu].flags = flags;
	if (bpf_map_update_elem(dp->maps.fd[map], key, values, BPF_ANY))
		ret = errno == E2BIG ? -ENOSPC : -errno;
out:
	free(values);
	return ret;
}

static int entry_get(struct datapath *dp, enum map_id map, const void *key, struct amt_decap *sum)
{
	struct amt_decap *values = values_new(dp);
	int ret = values ? 0 : -ENOMEM;
	unsigned int cpu;

	memset(sum, 0, sizeof(*sum));
	if (!ret && bpf_map_lookup_elem(dp->maps.fd[map], key, values))
		ret = -errno;
	for (cpu = 0; !ret && cpu < dp->maps.cpus; cpu++) {
		sum->flags = values[cpu].flags;
		sum->packets += values[cpu].packets;
		sum->bytes += values[cpu].bytes;
		if (values[cpu].last_ns > sum->last_ns)
			sum->last_ns = values[cpu].last_ns;
	}
	free(values);
	return ret;
}

/* All keys of a map, so that whoever walks may remove. NULL: none, or no memory. */
static void *keys_get(const struct datapath *dp, enum map_id map, size_t size, unsigned int *n)
{
	unsigned int room = 64;
	char *keys = malloc(room * size), *grown;

	*n = 0;
	while (keys && !bpf_map_get_next_key(dp->maps.fd[map], *n ? keys + (*n - 1) * size : NULL,
					     keys + *n * size)) {
		if (++*n < room)
			continue;
		room *= 2;
		grown = realloc(keys, room * size);
		if (!grown) {
			free(keys);
			*n = 0;
		}
		keys = grown;
	}
	return keys;
}

/* ---- relays ---- */

static struct amt_decap_key relay_key(const struct amt_sockaddr *relay,
				      const struct amt_sockaddr *local)
{
	return (struct amt_decap_key){relay->addr, local->addr, relay->port, local->port};
}

/* Our endpoint as such, where data from others is counted as foreign. */
static struct amt_decap_key local_key(const struct amt_sockaddr *local)
{
	return (struct amt_decap_key){.local = local->addr, .local_port = local->port};
}

static bool key_is_local(const struct amt_decap_key *key)
{
	return addr_is_any(&key->relay);
}

/* How many relays there are; *same: those of this endpoint of ours. */
static unsigned int relays_count(const struct datapath *dp, const struct amt_sockaddr *local,
				 unsigned int *same)
{
	unsigned int i, n, relays = 0;
	struct amt_decap_key *keys = keys_get(dp, MAP_DECAP_RELAYS, sizeof(*keys), &n);

	*same = 0;
	for (i = 0; i < n; i++) {
		if (key_is_local(&keys[i]))
			continue;
		relays++;
		*same += addr_equal(&keys[i].local, &local->addr) &&
			 keys[i].local_port == local->port;
	}
	free(keys);
	return relays;
}

int datapath_decap_relay_add(struct datapath *dp, const struct datapath_decap_relay *relay)
{
	const struct amt_decap_key key = relay_key(&relay->relay, &relay->local),
				   local = local_key(&relay->local);
	unsigned int same;
	struct amt_decap ignored;
	int ret;

	if (addr_is_any(&key.relay) || addr_is_any(&key.local) || !key.relay_port ||
	    !key.local_port || addr_family(&key.relay) != addr_family(&key.local))
		return -EINVAL;
	if (entry_get(dp, MAP_DECAP_RELAYS, &key, &ignored) == -ENOENT &&
	    relays_count(dp, &relay->local, &same) >= AMT_DECAP_RELAYS_MAX)
		return -ENOSPC;
	ret = entry_set(dp, MAP_DECAP_RELAYS, &key, relay->ecn ? AMT_DECAP_ECN : 0);
	return ret ? ret : entry_set(dp, MAP_DECAP_RELAYS, &local, 0);
}

void datapath_decap_relay_remove(struct datapath *dp, const struct amt_sockaddr *relay,
				 const struct amt_sockaddr *local)
{
	const struct amt_decap_key key = relay_key(relay, local), endpoint = local_key(local);
	unsigned int same;

	bpf_map_delete_elem(dp->maps.fd[MAP_DECAP_RELAYS], &key);
	relays_count(dp, local, &same);
	if (!same)
		bpf_map_delete_elem(dp->maps.fd[MAP_DECAP_RELAYS], &endpoint);
}

void datapath_decap_relay_walk(struct datapath *dp,
			       void (*fn)(void *arg, const struct datapath_decap_relay *relay,
					  uint64_t packets, uint64_t bytes, uint64_t last_ns),
			       void *arg)
{
	unsigned int i, n;
	struct amt_decap_key *keys = keys_get(dp, MAP_DECAP_RELAYS, sizeof(*keys), &n);
	struct datapath_decap_relay relay;
	struct amt_decap sum;

	for (i = 0; i < n; i++) {
		if (key_is_local(&keys[i]) || entry_get(dp, MAP_DECAP_RELAYS, &keys[i], &sum))
			continue;
		relay = (struct datapath_decap_relay){
			.relay = {keys[i].relay, keys[i].relay_port},
			.local = {keys[i].local, keys[i].local_port},
			.ecn = sum.flags & AMT_DECAP_ECN,
		};
		fn(arg, &relay, sum.packets, sum.bytes, sum.last_ns);
	}
	free(keys);
}

/* ---- what is wanted ---- */

int datapath_decap_wanted_set(struct datapath *dp, const struct amt_group_key *key, bool excluded)
{
	if (!addr_is_multicast(&key->group))
		return -EINVAL;
	return entry_set(dp, MAP_DECAP_WANTED, key, excluded ? AMT_DECAP_EXCLUDED : 0);
}

void datapath_decap_wanted_remove(struct datapath *dp, const struct amt_group_key *key)
{
	bpf_map_delete_elem(dp->maps.fd[MAP_DECAP_WANTED], key);
}

void datapath_decap_wanted_walk(struct datapath *dp,
				void (*fn)(void *arg, const struct datapath_decap_group *group),
				void *arg)
{
	unsigned int i, n;
	struct amt_group_key *keys = keys_get(dp, MAP_DECAP_WANTED, sizeof(*keys), &n);
	struct datapath_decap_group group;
	struct amt_decap sum;

	for (i = 0; i < n; i++) {
		if (entry_get(dp, MAP_DECAP_WANTED, &keys[i], &sum))
			continue;
		group = (struct datapath_decap_group){
			.key = keys[i],
			.excluded = sum.flags & AMT_DECAP_EXCLUDED,
			.packets = sum.packets,
			.bytes = sum.bytes,
			.last_ns = sum.last_ns,
		};
		fn(arg, &group);
	}
	free(keys);
}

/* ---- where it goes ---- */

int datapath_decap_target(struct datapath *dp, uint32_t peer_ifindex)
{
	char name[IF_NAMESIZE];
	struct link_info info = {0};
	uint8_t mac[6] = {0};
	int ret = 0;

	if (peer_ifindex) {
		if (!if_indextoname(peer_ifindex, name))
			return -ENODEV;
		ret = link_get(name, &info);
		if (!ret)
			ret = device_mac(name, mac);
	}
	if (ret)
		return ret;
	dp->config.decap_ifindex = peer_ifindex;
	dp->config.decap_netns = device_netns();
	dp->config.decap_mtu = info.mtu;
	memcpy(dp->config.decap_mac, mac, sizeof(mac));
	return maps_write(&dp->maps, MAP_CONFIG, 0, &dp->config);
}

void decap_link(struct datapath *dp, uint32_t ifindex, bool present, uint32_t mtu)
{
	char name[IF_NAMESIZE];

	if (!ifindex || ifindex != dp->config.decap_ifindex)
		return;
	if (present && mtu == dp->config.decap_mtu)
		return;
	if (!present && if_indextoname(ifindex, name))
		return; /* renamed */
	dp->config.decap_mtu = mtu;
	if (!present)
		dp->config.decap_ifindex = 0;
	maps_write(&dp->maps, MAP_CONFIG, 0, &dp->config);
}

void decap_adopt(struct datapath *dp)
{
	struct amt_config before;

	if (maps_read(&dp->maps, MAP_CONFIG, 0, &before))
		return;
	dp->config.decap_ifindex = before.decap_ifindex;
	dp->config.decap_netns = before.decap_netns;
	dp->config.decap_mtu = before.decap_mtu;
	memcpy(dp->config.decap_mac, before.decap_mac, sizeof(before.decap_mac));
}

/* ---- all of it ---- */

static void map_clear(const struct datapath *dp, enum map_id map, size_t size)
{
	unsigned int i, n;
	char *keys = keys_get(dp, map, size, &n);

	for (i = 0; i < n; i++)
		bpf_map_delete_elem(dp->maps.fd[map], keys + i * size);
	free(keys);
}

void datapath_decap_clear(struct datapath *dp)
{
	map_clear(dp, MAP_DECAP_RELAYS, sizeof(struct amt_decap_key));
	map_clear(dp, MAP_DECAP_WANTED, sizeof(struct amt_group_key));
	datapath_decap_target(dp, 0);
}

/* ---- the gateway's own record ---- */

int datapath_gateway_state_get(struct datapath *dp, void *state, uint32_t size)
{
	struct amt_gateway_state record;
	int ret;

	if (size > sizeof(record))
		return -EINVAL;
	ret = maps_read(&dp->maps, MAP_GATEWAY_STATE, 0, &record);
	if (!ret)
		memcpy(state, &record, size);
	return ret;
}

int datapath_gateway_state_set(struct datapath *dp, const void *state, uint32_t size)
{
	struct amt_gateway_state record = {{0}};

	if (size > sizeof(record))
		return -EINVAL;
	memcpy(&record, state, size);
	return maps_write(&dp->maps, MAP_GATEWAY_STATE, 0, &record);
}
