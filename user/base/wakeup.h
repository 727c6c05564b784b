/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One timer of the event loop that is set to moments of clock_now(), as the engines of both roles
 * name them.
 */
#ifndef AMT_BASE_WAKEUP_H
#define AMT_BASE_WAKEUP_H

#include <stdint.h>

struct event;
struct event_base;

struct wakeup {
	struct event *event; /* NULL: not open */
	uint64_t at;	     /* 0: not set */
	void (*fn)(void *arg);
	void *arg;
};

/* fn is called when the moment has come, once for each; never earlier. 0 or -ENOMEM. The wake-up
 * stays where it is until it is closed. */
int wakeup_open(struct wakeup *wakeup, struct event_base *base, void (*fn)(void *arg), void *arg);
/* Also what was not opened. */
void wakeup_close(struct wakeup *wakeup);
/* In the place of the moment before; TIME_NEVER: no call is due. */
void wakeup_set(struct wakeup *wakeup, uint64_t now, uint64_t at);

#endif
