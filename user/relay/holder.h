/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Between amtd (upstream.c) and the process that holds its upstream joins and keeps its sockets
 * open (holder.c): records over a unix SOCK_SEQPACKET connection, host byte order, since both run
 * on one machine. The two may be of different builds: version and type, HELLO, TAKE and QUIT stay
 * as they are in every version.
 */
#ifndef AMT_RELAY_HOLDER_H
#define AMT_RELAY_HOLDER_H

#include <stdint.h>
#include <amt/addr.h>

#define HOLDER_ARGUMENT "--hold-upstream" /* argv[1]; argv[2] is the instance */
#define HOLDER_FOLDER	"/run/amt"
#define HOLDER_PATH	HOLDER_FOLDER "/%s.upstream" /* with the instance */
#define HOLDER_FD	3			     /* the listening socket, from amtd */
#define HOLDER_VERSION	2

enum holder_type {
	/* amtd: hold_ns; forgets what was said before. Answer: version, pid, netns. */
	HOLDER_HELLO = 1,
	HOLDER_QUIT = 2, /* amtd: leave everything and end. No answer. */
	/* amtd: the filter of (ifindex, group) is INCLUDE or EXCLUDE of the count sources that
	 * follow, sorted; with more than HOLDER_SOURCES_MAX in several records, FIRST to LAST.
	 * Answer to the last: error, memberships. */
	HOLDER_SET = 3,
	HOLDER_SYNC = 4,   /* amtd: leave what was not said since HELLO. Answer: none. */
	HOLDER_LISTEN = 5, /* holder: whether others listen to (ifindex, group) on this host */
	/* amtd: the sockets that come with it stay open, in place of those said before. No answer.
	 */
	HOLDER_KEEP = 6,
	/* amtd: asks for them. Answer: they come with it, netns. The holder keeps them as well. */
	HOLDER_TAKE = 7,
};

#define HOLDER_EXCLUDE	 0x01
#define HOLDER_FIRST	 0x02
#define HOLDER_LAST	 0x04
#define HOLDER_TRUNCATED 0x08 /* too many sources to exclude: nothing is excluded */
#define HOLDER_LISTENED	 0x10 /* of HOLDER_LISTEN */

#define HOLDER_SOURCES_MAX 1024 /* in one record */

struct holder_record {
	uint16_t version;
	uint16_t type;
	uint32_t seq; /* of SET, given back in the answer */
	uint32_t ifindex;
	uint32_t count;
	uint32_t flags;
	int32_t error;	  /* negative errno */
	uint32_t sockets; /* in every answer: sockets that the holder has */
	int32_t pid;
	uint64_t hold_ns;
	uint64_t netns; /* inode of the network namespace: another one is of no use */
	struct amt_addr group;
};

#define HOLDER_RECORD_MAX \
	(sizeof(struct holder_record) + HOLDER_SOURCES_MAX * sizeof(struct amt_addr))

uint64_t holder_netns(void);
/* What amtd runs as when argv[1] is HOLDER_ARGUMENT. */
int upstream_holder_main(int argc, char **argv);

#endif
