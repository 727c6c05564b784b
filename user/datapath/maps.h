/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pinned maps as amtd holds them: one table of names, sizes and file descriptors, whoever of
 * the BPF objects or the pin folder they came from, and the memory of those that are mmapable.
 */
#ifndef AMT_DATAPATH_MAPS_H
#define AMT_DATAPATH_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "datapath/datapath.h"
#include "datapath/fanout.h"

/* X(ENUM, name, type, what it holds, for people) */
#define DATAPATH_MAPS(X)                                                                           \
	X(CONFIG, config, "array", "0 -> policies and lease")                                      \
	X(SECRETS, secrets, "array", "0 current, 1 previous -> response MAC key")                  \
	X(GROUPS, groups, "hash", "source, group -> group id, upstream, path, MTU")                \
	X(GROUP_BLOCKS, group_blocks, "array", "group id -> its slots of block_list")              \
	X(BLOCK_LIST, block_list, "array", "slot -> block id")                                     \
	X(BLOCKS, blocks, "array", "block id -> endpoint, members")                                \
	X(FANOUT4, fanout4, "array", "block id * 32 + i -> IPv4 gateway, port, next hop")          \
	X(FANOUT6, fanout6, "array", "block id * 32 + i -> IPv6 gateway, port, next hop")          \
	X(ENDPOINTS, endpoints, "array", "endpoint id -> relay address, uplink, VLAN, ECN")        \
	X(NEXTHOPS, nexthops, "array", "next hop id -> MAC addresses, interface")                  \
	X(TUNNELS, tunnels, "array", "tunnel id -> gateway, relay, expiry, traffic")               \
	X(INTERFACES, interfaces, "array", "slot -> attached interface, roles, uplink")            \
	X(GROUP_COUNTERS, group_counters, "percpu_array", "group id -> packets, bytes, drops")     \
	X(GROUP_BUCKETS, group_buckets, "array", "group id -> token bucket of max-group-rate")     \
	X(COUNTERS, counters, "percpu_array", "counter -> value (names: amt-ctl stats)")           \
	X(EVENTS, events, "ringbuf", "packets and requests for amtd")                              \
	X(EVENT_SCRATCH, event_scratch, "percpu_array", "room to build an event in")               \
	X(EVENT_RATE, event_rate, "array", "0 -> events of this second")                           \
	X(CURSORS, cursors, "percpu_array", "uplink -> copy that egress is at")                    \
	X(CPU_STATES, cpu_states, "percpu_array", "0 -> packet ids and transmit bulks of the CPU") \
	X(UPLINK_DROPS, uplink_drops, "percpu_array", "uplink -> copies dropped at transmit")      \
	X(CLONES, clones, "array_of_maps", "uplink * 33 + n -> devmap that makes n copies")        \
	X(RECIRCULATE, recirculate, "array_of_maps", "n -> devmap of n parts, internal pair")      \
	X(CPUS, cpus, "cpumap", "CPU -> fan-out program")                                          \
	X(DECAP_RELAYS, decap_relays, "percpu_hash", "relay, our endpoint -> ECN, traffic")        \
	X(DECAP_WANTED, decap_wanted, "percpu_hash", "source, group -> excluded, traffic")         \
	X(GATEWAY_STATE, gateway_state, "array", "0 -> the gateway's handshake, for a restart")    \
	X(SHIELD, shield, "array", "slot -> what the shield's answers are made of")                \
	X(SHIELD_LINKS, shield_links, "hash", "ifindex -> where the shield works")                 \
	X(SHIELD_ADDRESSES, shield_addresses, "hash", "address of ours -> address to advertise")   \
	X(SHIELD_PERMITTED, shield_permitted, "lpm_trie", "prefix of permitted gateways")          \
	X(SHIELD_SOURCES, shield_sources, "lru_hash", "source address -> its rate and credit")     \
	X(SHIELD_GATEWAYS, shield_gateways, "lru_hash", "gateway -> its last valid MAC")           \
	X(SHIELD_SCRATCH, shield_scratch, "percpu_array", "the message that the shield looks at")

enum map_id {
#define MAP_ENUM(id, name, type, holds) MAP_##id,
	DATAPATH_MAPS(MAP_ENUM) MAP_NUM
#undef MAP_ENUM
};

struct bpf_object;

struct maps {
	int fd[MAP_NUM]; /* -1: not there */
	uint32_t max_entries[MAP_NUM];
	void *memory[MAP_NUM]; /* NULL: not mmapable */
	size_t length[MAP_NUM];
	unsigned int cpus; /* possible CPUs: values of a per-CPU look-up */
};

void maps_init(struct maps *maps);
void maps_close(struct maps *maps);
const char *map_name(enum map_id id);

/* Gives every map of an opened object its size, and the file descriptor that we have already. An
 * unknown map is an error of the build: -EINVAL. */
int maps_prepare(const struct maps *maps, const struct datapath_options *options,
		 struct bpf_object *object, struct error *err);
/* Takes the file descriptors out of a loaded object. */
int maps_take(struct maps *maps, const struct bpf_object *object, struct error *err);
/* Whether the pinned maps (dir_fd names open them) can serve an object prepared like that. 0; or
 * -ENOENT: no pins; -EPROTO: other schema or sizes, said in why. On 0 the maps are held open. */
int maps_open_pinned(struct maps *maps, const struct bpf_object *prepared, const char *dir,
		     struct error *why);
int maps_pin(const struct maps *maps, const char *dir, struct error *err);
void maps_unpin(const char *dir);
int maps_mmap(struct maps *maps, struct error *err);
struct fanout_arrays maps_fanout_arrays(const struct maps *maps);

/* One value of an array map; 0 or negative errno. */
int maps_read(const struct maps *maps, enum map_id id, uint32_t key, void *value);
int maps_write(const struct maps *maps, enum map_id id, uint32_t key, const void *value);

#endif
