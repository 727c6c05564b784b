// SPDX-License-Identifier: GPL-2.0-or-later
/* See helper_delivery.h. */
#include "bpf/helper_delivery.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#define FIRST_PORT 1000
#define PORTS	   20000
#define LOOK	   20  /* ms that one uplink is waited for */
#define PATIENCE   150 /* looks at all of them without a frame: no more will come */

/* Which packets a member has had. */
struct member {
	unsigned int copies, next;
	bool disordered;
};

/* Before Linux 6.5 softirqs wait for ksoftirqd once it runs, and the cpumap's thread goes on
 * filling the veth's ring of 256 frames: on a slow machine copies are lost there. On an emulated
 * one (AMT_TEST_SLOW, of tests/vm) that may happen with any kernel. They have to be counted. */
static bool may_drop(void)
{
	unsigned int major = 0, minor = 0;
	struct utsname kernel;

	if (getenv("AMT_TEST_SLOW"))
		return true;
	uname(&kernel);
	sscanf(kernel.release, "%u.%u", &major, &minor);
	return major < 6 || (major == 6 && minor < 5);
}

static unsigned int port_of(unsigned int endpoint, const struct delivery *delivery)
{
	unsigned int before = __builtin_popcount(delivery->endpoints & ((1U << endpoint) - 1));

	return FIRST_PORT + before * delivery->members;
}

static void prepare(struct path *path, const struct delivery *delivery)
{
	const char *group = delivery->packet.ipv6 ? GROUP6 : GROUP4;
	struct amt_group record = path_record(7, delivery->how);
	bool first = true;

	for (unsigned int endpoint = 0; endpoint < 8; endpoint++) {
		unsigned int port = port_of(endpoint, delivery);

		if (!(delivery->endpoints & 1U << endpoint))
			continue;
		if (first)
			path_group(path, 7, NULL, group, delivery->how, endpoint, port,
				   delivery->members);
		else
			path_append(path, 7, endpoint, port, delivery->members);
		first = false;
	}
	record.flags = delivery->group_flags;
	path_change(path, NULL, group, &record);
}

/* One frame out of an uplink: whose copy of which packet is it? */
static void judge(struct path *path, const struct delivery *delivery, unsigned int uplink,
		  const uint8_t *frame, uint32_t length, struct member *members)
{
	struct packet_spec spec = delivery->packet;
	const char *why = "no endpoint there";
	struct packet expected;
	const uint8_t *inner;
	uint32_t inner_length;
	struct member *member;
	int port = -1;

	for (unsigned int i = uplink * 4; port < 0 && i < uplink * 4 + 4; i++) {
		struct copy_spec copy = path_copy(path, i, spec.tos);

		if (!(delivery->endpoints & 1U << i))
			continue;
		port = copy_check(frame, length, &copy, &inner, &inner_length, &why);
	}
	if (port < 0)
		fail_msg("frame of %u octets out of uplink %u: %s", length, uplink, why);
	member = &members[port - FIRST_PORT];
	if (delivery->live)
		spec.sequence = 0;
	else
		spec.sequence = inner[inner_length - spec.payload + 2] << 8 |
				inner[inner_length - spec.payload + 3];
	packet_forwarded(&expected, &spec);
	assert_int_equal(inner_length, expected.inner);
	assert_memory_equal(inner, expected.frame + expected.front, inner_length);
	if (!delivery->live &&
	    (member->next > spec.sequence || (member->next < spec.sequence && !may_drop())))
		member->disordered = true;
	member->next = spec.sequence + 1;
	member->copies++;
}

static unsigned int collect(struct path *path, const struct delivery *delivery,
			    struct member *members, unsigned int expected)
{
	uint8_t frame[FRAME_MAX];
	unsigned int got = 0;
	uint32_t length;

	for (int idle = 0; idle < (got < expected ? PATIENCE : 2); idle++) {
		for (unsigned int uplink = 0; uplink < PATH_UPLINKS; uplink++) {
			while ((length = path_receive(path, uplink, frame, LOOK))) {
				judge(path, delivery, uplink, frame, length, members);
				got++;
				idle = -1;
			}
		}
	}
	return got;
}

void deliver(struct path *path, const struct delivery *delivery)
{
	unsigned int number = __builtin_popcount(delivery->endpoints) * delivery->members;
	struct member *members = calloc(PORTS, sizeof(*members));
	struct packet_spec spec = delivery->packet;
	struct packet packet;
	unsigned int got = 0;
	uint64_t dropped;

	path_config(path);
	prepare(path, delivery);
	packet_build(&packet, &spec);
	if (delivery->live)
		path_live(path, &packet, delivery->packets);
	for (unsigned int i = 0; !delivery->live && i < delivery->packets; i++) {
		spec.sequence = i;
		packet_build(&packet, &spec);
		path_send(path, &packet);
		/* TC has nothing between one packet's copies and the veth's ring of 256 */
		if (delivery->how == AMT_PATH_TC)
			got += collect(path, delivery, members, number);
	}
	got += collect(path, delivery, members, number * delivery->packets - got);
	dropped = path_counter(path, AMT_COUNT_XMIT_DROPS);
	for (unsigned int i = 0; i < number; i++) {
		if (members[i].copies > delivery->packets || members[i].disordered ||
		    (members[i].copies < delivery->packets && !(dropped && may_drop())))
			fail_msg("member %u of %u: %u of %u packets%s; %u copies in all, "
				 "%llu sent, %llu dropped at transmit, %llu in recirculation",
				 i, number, members[i].copies, delivery->packets,
				 members[i].disordered ? ", out of order" : "", got,
				 (unsigned long long)path_counter(path, AMT_COUNT_COPIES_OUT),
				 (unsigned long long)dropped,
				 (unsigned long long)path_counter(path,
								  AMT_COUNT_RECIRCULATION_DROPS));
	}
	if (dropped && may_drop())
		print_message("# %u members: %llu of %u copies lost at a full ring\n", number,
			      (unsigned long long)dropped, number * delivery->packets);
	else
		assert_int_equal(dropped, 0);
	assert_int_equal(got + dropped, number * delivery->packets);
	assert_int_equal(path_counter(path, AMT_COUNT_COPIES_OUT), got + dropped);
	assert_int_equal(path_counter(path, AMT_COUNT_PACKETS_IN), delivery->packets);
	assert_int_equal(path_counter(path, AMT_COUNT_RECIRCULATION_DROPS), 0);
	free(members);
	path_reset(path);
}
