/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "relay/rpf.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>
#include <event2/event.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include "base/clock.h"
#include "datapath/rtnl.h"

#define READS	   64 /* notifications a loop turn */
#define TOLD_EVERY NSEC_PER_SEC

struct rpf {
	void (*changed)(void *arg);
	void *arg;
	struct rtnl *rtnl;
	int fd;
	struct event *readable, *tell;
	uint64_t told;
};

static void on_tell(evutil_socket_t fd, short what, void *arg)
{
	struct rpf *rpf = arg;

	rpf->told = clock_now();
	rpf->changed(rpf->arg);
}

/* What changed does not matter; a lost notification (ENOBUFS) is a change as well. */
static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	bool rested;
	struct timeval wait = {0};
	struct rpf *rpf = arg;
	char octet;
	int n;

	for (n = 0; n < READS; n++)
		if (recv(fd, &octet, sizeof(octet), MSG_DONTWAIT) < 0 && errno != ENOBUFS)
			break;
	rested = clock_now() - rpf->told >= TOLD_EVERY;
	if (rested)
		wait.tv_usec = 20000; /* the rest of a change that comes in several messages */
	else
		wait.tv_sec = 1;
	if (!evtimer_pending(rpf->tell, NULL))
		evtimer_add(rpf->tell, &wait);
}

int rpf_open(struct rpf **out, struct event_base *base, void (*changed)(void *arg), void *arg)
{
	static const unsigned int groups[] = {
		RTNLGRP_LINK,	   RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,
		RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE,
	};
	struct rpf *rpf = calloc(1, sizeof(*rpf));
	int err;

	if (!rpf)
		return -ENOMEM;
	rpf->changed = changed;
	rpf->arg = arg;
	rpf->fd = rtnl_subscribe(groups, sizeof(groups) / sizeof(groups[0]));
	err = rpf->fd < 0 ? rpf->fd : rtnl_open(&rpf->rtnl);
	if (!err) {
		rpf->readable = event_new(base, rpf->fd, EV_READ | EV_PERSIST, on_readable, rpf);
		rpf->tell = evtimer_new(base, on_tell, rpf);
		if (!rpf->readable || !rpf->tell || event_add(rpf->readable, NULL))
			err = -ENOMEM;
	}
	if (err) {
		rpf_free(rpf);
		return err;
	}
	*out = rpf;
	return 0;
}

void rpf_free(struct rpf *rpf)
{
	if (!rpf)
		return;
	if (rpf->readable)
		event_free(rpf->readable);
	if (rpf->tell)
		event_free(rpf->tell);
	rtnl_close(rpf->rtnl);
	if (rpf->fd >= 0)
		close(rpf->fd);
	free(rpf);
}

uint32_t rpf_ifindex(struct rpf *rpf, const struct amt_addr *source)
{
	struct rtnl_route route;

	if (rtnl_route_get(rpf->rtnl, source, NULL, &route) || route.type != RTN_UNICAST)
		return 0;
	return route.oif;
}
