/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A source that sends numbered packets from a thread of its own while a test does something. */
#ifndef AMT_TESTS_BPF_STREAM_H
#define AMT_TESTS_BPF_STREAM_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct stream {
	const char *interface;
	const char *groups[2]; /* in turn; the second NULL: one only */
	uint32_t payload;
	unsigned int most; /* packets; it ends by itself then */
	/* while it runs */
	unsigned int period_us;
	int fd;
	pthread_t thread;
	volatile bool stop;
	volatile unsigned int sent;
};

/* A packet each period_us, numbered from 0. */
void stream_start(struct stream *stream, unsigned int period_us);
/* Returns when no more is sent; how many were is in sent. */
void stream_stop(struct stream *stream);

#endif
