/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host's own stack as the judge of frames: what is put in at the far end of a veth pair, and
 * which UDP datagrams come out of the sockets.
 */
#ifndef AMT_TESTS_BPF_STACK_H
#define AMT_TESTS_BPF_STACK_H

#include "bpf/helper_shield.h"

#define STACK_DATAGRAMS 4

struct stack_datagram {
	struct amt_sockaddr local, peer;
	uint8_t octets[FRAME_MAX];
	uint32_t length;
};

struct stack {
	const int *sockets; /* of SHIELD_ADDRESSES, with those addresses */
	int out, ifindex;   /* a packet socket, and where it sends */
	uint32_t marks;
	/* what came out of the last frame */
	struct stack_datagram got[STACK_DATAGRAMS];
	unsigned int ngot;
};

/* In the shield's namespace, on this CPU from now on. */
void stack_open(struct stack *stack, const struct shield *shield);
void stack_close(struct stack *stack);
void stack_deliver(struct stack *stack, const struct shield_frame *frame);

#endif
