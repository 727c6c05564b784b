/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The packet path without amtd: a network namespace of the test's own with an upstream pair, two
 * uplink pairs and the internal pair, the programs loaded, and maps filled by hand.
 *
 *   up1 -> up0 [amt_ingress, amt_relay_tc]   ul0 -> ul1, um0 -> um1 (packet sockets)   rc0 <-> rc1
 *
 * What the TC program lets through to this host is mirrored to um0, so that a test can look at it.
 */
#ifndef AMT_TESTS_BPF_PATH_H
#define AMT_TESTS_BPF_PATH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "bpf/helper_packet.h"
#include <amt/counters.h>
#include "skel/amt_tc.skel.h"
#include "skel/amt_xdp.skel.h"

#define PATH_UPLINKS  2
#define PATH_GROUPS   64
#define PATH_BLOCKS   4096
#define PATH_NEXTHOPS 64
#define PATH_RING     256
#define RELAY4	      "192.0.2.1"
#define RELAY6	      "2001:db8::1"

struct path {
	struct amt_xdp *xdp;
	struct amt_tc *tc;
	int up0, up1, rc0, rc1;	  /* ifindex */
	int uplink[PATH_UPLINKS]; /* ifindex of ul0, um0 */
	int sender;		  /* packet socket on up1 */
	int receiver[PATH_UPLINKS];
	int xmit_link, queue_link;
	uint32_t next_block, next_slot;
	struct amt_config config;
};

/* Makes the namespace, the links and the programs; the test fails where that fails. */
void path_open(struct path *path);
void path_close(struct path *path);
/* Empties maps, counters and receivers, and sets the default configuration. */
void path_reset(struct path *path);
void path_config(struct path *path);

/* Endpoints that path_reset() makes: id = uplink * 4 + (ipv6 ? 2 : 0) + variant, where variant 1 is
 * with ECN and a VLAN tag. */
uint32_t path_endpoint(unsigned int uplink, bool ipv6, bool variant);
/* What copies of that endpoint must look like. */
struct copy_spec path_copy(const struct path *path, uint32_t endpoint, uint8_t inner_tos);

/* A group for (source or NULL, group) with these members: gateways with ports from first_port on,
 * in blocks of at most block_max, with AMT_CONFIG_SPREAD those of all CPUs. path_append adds
 * members of another endpoint to it. */
void path_group(struct path *path, uint32_t id, const char *source, const char *group,
		enum amt_path how, uint32_t endpoint, unsigned int first_port,
		unsigned int members);
void path_append(struct path *path, uint32_t id, uint32_t endpoint, unsigned int first_port,
		 unsigned int members);
/* Makes all blocks that CPU's. */
void path_blocks_to(struct path *path, uint16_t cpu);
/* Changes the group's record, whose key is known by its id. */
void path_change(struct path *path, const char *source, const char *group,
		 const struct amt_group *value);
struct amt_group path_record(uint32_t id, enum amt_path how);

uint64_t path_counter(struct path *path, enum amt_counter counter);
struct amt_group_counters path_group_counters(struct path *path, uint32_t id);

/* One run of amt_ingress on a frame, nothing sent. Returns the verdict, the frame and its metadata
 * afterwards. */
int path_run(struct path *path, int ifindex, const struct packet *in, uint8_t *out,
	     uint32_t *out_length);
/* Frames into up0, number of them, in polls of 64. */
void path_live(struct path *path, const struct packet *in, unsigned int number);
/* As redirected there by a program of the test's own. */
void path_live_by(int program, const struct packet *in, unsigned int number);
void path_send(struct path *path, const struct packet *packet);
/* The next frame that came out of an uplink; 0: none for `wait` milliseconds. */
uint32_t path_receive(struct path *path, unsigned int uplink, uint8_t *frame, int wait);

#endif
