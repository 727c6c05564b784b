/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/wakeup.h"

#include <errno.h>
#include <event2/event.h>
#include "base/clock.h"

static void on_time(evutil_socket_t fd, short what, void *arg)
{
	struct wakeup *wakeup = arg;

	wakeup->at = 0;
	wakeup->fn(wakeup->arg);
}

int wakeup_open(struct wakeup *wakeup, struct event_base *base, void (*fn)(void *arg), void *arg)
{
	*wakeup = (struct wakeup){.fn = fn, .arg = arg};
	wakeup->event = evtimer_new(base, on_time, wakeup);
	return wakeup->event ? 0 : -ENOMEM;
}

void wakeup_close(struct wakeup *wakeup)
{
	if (wakeup->event)
		event_free(wakeup->event);
	wakeup->event = NULL;
}

void wakeup_set(struct wakeup *wakeup, uint64_t now, uint64_t at)
{
	struct timeval tv = {0};
	uint64_t wait;

	if (at == TIME_NEVER) {
		wakeup->at = 0;
		evtimer_del(wakeup->event);
		return;
	}
	if (at == wakeup->at && at > now)
		return; /* it stands as it is */
	wakeup->at = at;
	wait = at > now ? (at - now) / 1000 + 1 : 0; /* us, rounded up: never early */
	tv.tv_sec = (time_t)(wait / 1000000);
	tv.tv_usec = (suseconds_t)(wait % 1000000);
	evtimer_add(wakeup->event, &tv);
}
