/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sends packets into the path and judges what comes out: every member gets every packet exactly
 * once, in order, unchanged but for what a router changes, in a right outer header; nobody gets
 * anything else, and the counters say so.
 */
#ifndef AMT_TESTS_BPF_DELIVERY_H
#define AMT_TESTS_BPF_DELIVERY_H

#include "bpf/helper_path.h"

#define EVERY_ENDPOINT 0xff

struct delivery {
	struct packet_spec packet;
	unsigned int packets;
	unsigned int endpoints; /* bit i: members at endpoint i, `members` each */
	unsigned int members;
	enum amt_path how;
	uint32_t group_flags;
	bool live; /* one burst of equal packets by a test run, in polls of 64 */
};

void deliver(struct path *path, const struct delivery *delivery);

#endif
