/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The connection to the holder: finds, starts and replaces that process, says what is queued, takes
 * in its answers. After a new connection everything is said again.
 */
#include "relay/upstream_internal.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>
#include <net/if.h>
#include <sys/socket.h>
#include <utlist.h>
#include "base/clock.h"
#include "base/counters.h"
#include "base/descriptors.h"
#include "base/log.h"
#include "base/loop.h"
#include "relay/holder.h"
#include "relay/holder_start.h"

#define SEND_BATCH	256 /* records a loop turn */
#define RECEIVE_BATCH	256
#define LOOK_EVERY	16 /* records, whether the turn of the loop has become long */
#define HELLO_PATIENCE	5  /* s */
#define BUSY_PATIENCE	5  /* attempts at a holder whose queue of connections is full */
#define FAILURES_LOGGED 8  /* between two retries; the rest is counted */

static void holder_lost(struct upstream *u, const char *why);

void upstream_link_wake(struct upstream *u)
{
	if (u->state == HOLDER_READY)
		event_add(u->writable, NULL);
}

/* ---- saying it ---- */

/* Fills in the sources of the group that are said on the interface, from the at-th on. */
static unsigned int sources_of(const struct upstream *u, const struct group *group,
			       const struct join *join, struct amt_addr *out, bool *last)
{
	unsigned int i, seen = 0, n = 0;

	*last = true;
	for (i = 0; group && i < group->nsources; i++) {
		if (!group->exclude && upstream_include_ifindex(u, group, i) != join->key.ifindex)
			continue;
		if (seen++ < join->at)
			continue;
		if (n == HOLDER_SOURCES_MAX) {
			*last = false;
			break;
		}
		out[n++] = group->sources[i];
	}
	return n;
}

static int send_record(struct upstream *u, const void *record, size_t len)
{
	ssize_t sent = send(u->fd, record, len, MSG_DONTWAIT | MSG_NOSIGNAL);

	return sent < 0 ? -errno : 0;
}

/* Says one record of a join; the join leaves the queue with its last one. */
static int say(struct upstream *u, struct join *join)
{
	static struct {
		struct holder_record record;
		struct amt_addr sources[HOLDER_SOURCES_MAX];
	} out;
	const struct group *group = upstream_find_group(u, &join->key.group);
	bool last = true;
	int err;

	memset(&out.record, 0, sizeof(out.record));
	if (!join->leave_first && upstream_wants(u, group, join->key.ifindex))
		out.record.count = sources_of(u, group, join, out.sources, &last);
	else
		group = NULL;
	if (join->at == 0)
		join->seq = ++u->seq;
	out.record.version = HOLDER_VERSION;
	out.record.type = HOLDER_SET;
	out.record.seq = join->seq;
	out.record.ifindex = join->key.ifindex;
	out.record.group = join->key.group;
	out.record.flags = (join->at == 0 ? HOLDER_FIRST : 0) | (last ? HOLDER_LAST : 0) |
			   (group && group->exclude ? HOLDER_EXCLUDE : 0);
	err = send_record(u, &out, sizeof(out.record) + out.record.count * sizeof(out.sources[0]));
	if (err)
		return err;
	join->held = join->waiting = true;
	join->at += out.record.count;
	if (join->leave_first) {
		join->leave_first = false; /* and once more, with what is wanted */
	} else if (last) {
		DL_DELETE(u->queue, join);
		join->queued = false;
		join->at = 0;
	}
	return 0;
}

static int say_sync(struct upstream *u)
{
	struct holder_record record = {.version = HOLDER_VERSION, .type = HOLDER_SYNC};
	int err = send_record(u, &record, sizeof(record));

	if (!err)
		u->sync_said = true;
	return err;
}

static int say_sockets(struct upstream *u)
{
	struct holder_record record = {.version = HOLDER_VERSION, .type = HOLDER_KEEP};
	struct descriptors sockets = {.n = 0};

	if (u->options.sockets)
		u->options.sockets(u->options.arg, &sockets);
	if (descriptors_send(u->fd, &record, sizeof(record), &sockets,
			     MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return -errno;
	u->sockets_said = true;
	return 0;
}

void upstream_link_sockets(struct upstream *u)
{
	u->sockets_said = false;
	/* what cannot be said now, or a lost holder, is on_writable()'s */
	if (u->state == HOLDER_READY && say_sockets(u))
		upstream_link_wake(u);
}

static int say_next(struct upstream *u)
{
	struct join *join = u->queue;

	if (!join->held &&
	    !upstream_wants(u, upstream_find_group(u, &join->key.group), join->key.ifindex)) {
		upstream_drop_join(u, join); /* came and went before anybody heard of it */
		return 0;
	}
	return say(u, join);
}

/* After n records of this turn. */
static bool turn_is_over(unsigned int n)
{
	return n % LOOK_EVERY == LOOK_EVERY - 1 && loop_turn_is_long();
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct upstream *u = arg;
	unsigned int n;
	int err = 0;

	if (!u->sockets_said)
		err = say_sockets(u);
	for (n = 0; n < SEND_BATCH && u->queue && !err && !turn_is_over(n); n++)
		err = say_next(u);
	if (!err && !u->queue && !u->reviews && u->sync_wanted && !u->sync_said)
		err = say_sync(u);
	if (err && err != -EAGAIN)
		holder_lost(u, strerror(-err));
	else if (u->queue || err)
		upstream_link_wake(u);
}

/* ---- answers ---- */

static void log_failure(struct upstream *u, struct join *join)
{
	char group[AMT_ADDR_STRLEN], name[IF_NAMESIZE];

	if (join->error_logged)
		return;
	join->error_logged = true;
	if (u->failures_logged++ >= FAILURES_LOGGED) {
		u->failures_unlogged++;
		return;
	}
	log_warning("upstream join of %s on %s failed: %s; tried again every %u s",
		    addr_print(&join->key.group, group),
		    if_indextoname(join->key.ifindex, name) ? name : "a vanished interface",
		    strerror(-join->error), u->options.retry_s);
}

static void log_recovery(struct join *join)
{
	char group[AMT_ADDR_STRLEN];

	if (join->error_logged)
		log_info("upstream join of %s succeeded after all",
			 addr_print(&join->key.group, group));
	join->error_logged = false;
}

static void retry_later(struct upstream *u)
{
	struct timeval wait = {.tv_sec = u->options.retry_s};

	if (!evtimer_pending(u->retry, NULL))
		evtimer_add(u->retry, &wait);
}

static void log_truncated(struct group *group)
{
	char addr[AMT_ADDR_STRLEN];

	if (!group || group->truncated_logged)
		return;
	group->truncated_logged = true;
	log_warning("upstream join of %s: more sources to exclude than the kernel takes, none is; "
		    "raise net.ipv4.igmp_max_msf or net.ipv6.mld_max_msf",
		    addr_print(&group->addr, addr));
}

static void on_answer(struct upstream *u, const struct holder_record *answer)
{
	struct join *join = upstream_find_join(u, answer->ifindex, &answer->group);

	if (!join || !join->waiting || join->seq != answer->seq)
		return; /* about something said before */
	join->waiting = false;
	u->failed += answer->error != 0;
	u->failed -= join->error != 0;
	join->error = answer->error;
	upstream_recount(u, &join->key.group);
	if (answer->flags & HOLDER_TRUNCATED)
		log_truncated(upstream_find_group(u, &answer->group));
	if (answer->error) {
		counter_add(AMT_COUNT_UPSTREAM_JOIN_FAILED, 1);
		log_failure(u, join);
		retry_later(u);
		return;
	}
	log_recovery(join);
	if (!join->queued &&
	    !upstream_wants(u, upstream_find_group(u, &join->key.group), join->key.ifindex))
		upstream_drop_join(u, join);
}

static bool any_listened(const struct upstream *u, const struct amt_addr *group)
{
	const struct join *join;
	unsigned int i;

	for (i = 0; i < u->ninterfaces; i++) {
		join = upstream_find_join(u, u->interfaces[i], group);
		if (join && join->listened)
			return true;
	}
	return false;
}

static void on_listen(struct upstream *u, const struct holder_record *told)
{
	struct join *join = upstream_find_join(u, told->ifindex, &told->group);
	struct group *group = upstream_find_group(u, &told->group);
	bool before;

	if (!join || !group)
		return;
	before = group->listened;
	join->listened = told->flags & HOLDER_LISTENED;
	group->listened = any_listened(u, &told->group);
	if (group->listened != before && u->options.changed)
		u->options.changed(u->options.arg, &told->group);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct upstream *u = arg;
	struct join *join, *tmp;

	if (u->failures_unlogged)
		log_warning("%u more upstream joins failed", u->failures_unlogged);
	u->failures_logged = u->failures_unlogged = 0;
	HASH_ITER (hh, u->joins, join, tmp)
		if (join->error && !join->queued) {
			counter_add(AMT_COUNT_UPSTREAM_JOIN_RETRIED, 1);
			upstream_enqueue(u, join);
		}
}

/* ---- the connection ---- */

static void say_quit(struct upstream *u)
{
	struct holder_record record = {.version = HOLDER_VERSION, .type = HOLDER_QUIT};

	(void)send_record(u, &record, sizeof(record));
}

static void close_connection(struct upstream *u)
{
	event_del(u->readable);
	event_del(u->writable);
	evtimer_del(u->patience);
	if (u->fd >= 0)
		close(u->fd);
	u->fd = -1;
	u->state = HOLDER_GONE;
	u->holder_pid = 0;
	u->holder_sockets = 0;
}

/* Takes a connection into use: greets, and says everything anew once greeted back. */
static int greet(struct upstream *u, int fd)
{
	struct timeval patience = {.tv_sec = HELLO_PATIENCE};
	struct holder_record hello = {
		.version = HOLDER_VERSION, .type = HOLDER_HELLO, .hold_ns = u->options.hold_ns};
	struct join *join, *tmp;

	u->fd = fd;
	u->state = HOLDER_GREETED;
	u->last_connect = clock_now();
	u->sync_said = u->sockets_said = false;
	HASH_ITER (hh, u->joins, join, tmp) {
		join->waiting = join->listened = join->leave_first = false;
		upstream_enqueue(u, join);
	}
	if (event_assign(u->readable, u->base, fd, EV_READ | EV_PERSIST,
			 event_get_callback(u->readable), u) ||
	    event_assign(u->writable, u->base, fd, EV_WRITE, on_writable, u) ||
	    event_add(u->readable, NULL) || evtimer_add(u->patience, &patience))
		return -ENOMEM;
	return send_record(u, &hello, sizeof(hello));
}

static int start_anew(struct upstream *u, struct error *err)
{
	int code, fd = holder_start(u->instance, err);

	if (fd < 0)
		return fd;
	code = greet(u, fd);
	if (!code)
		return 0;
	close_connection(u);
	return error_set(err, code, "cannot talk to the upstream holder: %s", strerror(-code));
}

static void reconnect_later(struct upstream *u)
{
	uint64_t since = clock_now() - u->last_connect;
	struct timeval wait = {.tv_sec = since < NSEC_PER_SEC ? 1 : 0};

	evtimer_add(u->reconnect, &wait);
}

static int find_or_start(struct upstream *u, struct error *err)
{
	int fd = holder_connect(u->instance);

	if (fd == -EAGAIN && u->busy++ < BUSY_PATIENCE) {
		u->last_connect = clock_now();
		reconnect_later(u);
		return 0;
	}
	u->busy = 0;
	if (fd >= 0) {
		if (greet(u, fd) == 0)
			return 0;
		close_connection(u);
	}
	return start_anew(u, err);
}

static void holder_lost(struct upstream *u, const char *why)
{
	log_warning("the upstream holder is gone (%s); groups are joined again", why);
	close_connection(u);
	reconnect_later(u);
}

void upstream_link_renew(struct upstream *u)
{
	if (u->state == HOLDER_GONE)
		return; /* it is greeted in a moment */
	close_connection(u);
	reconnect_later(u);
}

static void on_reconnect(evutil_socket_t fd, short what, void *arg)
{
	struct upstream *u = arg;
	struct error err;

	if (find_or_start(u, &err) == 0)
		return;
	log_error("%s", err.text);
	u->last_connect = clock_now();
	reconnect_later(u);
}

/* A holder that does not answer, or cannot be used, makes room for a new one. */
static void replace_holder(struct upstream *u, const char *why)
{
	struct error err;

	log_warning("the upstream holder %s; starting another", why);
	say_quit(u);
	close_connection(u);
	if (start_anew(u, &err)) {
		log_error("%s", err.text);
		u->last_connect = clock_now();
		reconnect_later(u);
	}
}

static void on_patience(evutil_socket_t fd, short what, void *arg)
{
	replace_holder(arg, "does not answer");
}

static void on_hello(struct upstream *u, const struct holder_record *hello)
{
	evtimer_del(u->patience);
	if (hello->version != HOLDER_VERSION) {
		replace_holder(u, "is of another version");
		return;
	}
	if (hello->netns != holder_netns()) {
		replace_holder(u, "is in another network namespace");
		return;
	}
	u->holder_pid = hello->pid;
	u->state = HOLDER_READY;
	upstream_link_wake(u);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct upstream *u = arg;
	struct holder_record record;
	unsigned int n;
	ssize_t len;

	for (n = 0; n < RECEIVE_BATCH && u->fd == fd && !turn_is_over(n); n++) {
		len = recv(fd, &record, sizeof(record), MSG_DONTWAIT);
		if (len < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (len != sizeof(record)) {
			holder_lost(u, len < 0 ? strerror(errno) : "it closed the connection");
			return;
		}
		u->holder_sockets = record.sockets;
		if (record.type == HOLDER_HELLO)
			on_hello(u, &record);
		else if (record.type == HOLDER_SET)
			on_answer(u, &record);
		else if (record.type == HOLDER_LISTEN)
			on_listen(u, &record);
	}
}

/* ---- open and close ---- */

static void event_free_maybe(struct event *event)
{
	if (event)
		event_free(event);
}

static int make_events(struct upstream *u)
{
	u->readable = event_new(u->base, -1, EV_READ | EV_PERSIST, on_readable, u);
	u->writable = event_new(u->base, -1, EV_WRITE, on_writable, u);
	u->reconnect = evtimer_new(u->base, on_reconnect, u);
	u->patience = evtimer_new(u->base, on_patience, u);
	u->retry = evtimer_new(u->base, on_retry, u);
	if (!u->readable || !u->writable || !u->reconnect || !u->patience || !u->retry)
		return -ENOMEM;
	return 0;
}

int upstream_link_open(struct upstream *u, struct error *err)
{
	int code = make_events(u);

	if (code)
		return error_set(err, code, "no memory for upstream joins");
	return find_or_start(u, err);
}

void upstream_link_free(struct upstream *u)
{
	event_free_maybe(u->readable);
	event_free_maybe(u->writable);
	event_free_maybe(u->reconnect);
	event_free_maybe(u->patience);
	event_free_maybe(u->retry);
	if (u->fd >= 0)
		close(u->fd);
}

void upstream_link_quit(struct upstream *u)
{
	struct pollfd ended = {.fd = u->fd, .events = 0};

	if (u->fd < 0)
		return;
	say_quit(u);
	/* it hangs up when all groups are left */
	poll(&ended, 1, 2000);
}
