/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * amtd's side of the upstream joins: what is wanted of each group, split over the upstream
 * interfaces, said to the holder process. Never waits for it: a changed filter is queued once, and
 * what it is by the time it can be sent is sent.
 */
#include "relay/upstream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <event2/event.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <uthash.h>
#include <utlist.h>
#include "base/clock.h"
#include "base/counters.h"
#include "base/log.h"
#include "relay/holder.h"
#include "relay/holder_start.h"
#include "relay/rpf.h"

#define INTERFACES_MAX	AMT_INTERFACES_MAX
#define SEND_BATCH	256 /* records a loop turn */
#define REVIEW_BATCH	256 /* groups whose way is looked up again, a loop turn */
#define RECEIVE_BATCH	256
#define HELLO_PATIENCE	5 /* s */
#define FAILURES_LOGGED 8 /* between two retries; the rest is counted */

struct group {
	UT_hash_handle hh;
	struct amt_addr addr;
	bool exclude, listened, truncated_logged, in_review;
	struct amt_addr *sources; /* sorted */
	uint32_t *way;		  /* of each source: the interface its packets come in by, or 0 */
	unsigned int nsources;
	struct group *next, *prev; /* in review */
};

struct join_key {
	uint32_t ifindex;
	struct amt_addr group;
};

/* One group on one interface: what the holder has been told. */
struct join {
	UT_hash_handle hh;
	struct join_key key;
	bool queued;	 /* what is wanted may differ from what was said */
	bool held;	 /* the holder may have it */
	bool waiting;	 /* for an answer */
	bool listened;	 /* others on this host listen */
	uint32_t seq;	 /* of what was said last */
	unsigned int at; /* sources said so far of a long list */
	int error;
	bool error_logged;
	struct join *next, *prev; /* queued */
};

enum holder_state { HOLDER_GONE, HOLDER_GREETED, HOLDER_READY };

struct upstream {
	struct upstream_options options;
	char instance[64];
	struct event_base *base;
	enum holder_state state;
	int fd, holder_pid;
	unsigned int holder_sockets, waiting;
	uint64_t last_connect;
	struct event *readable, *writable, *reconnect, *patience, *retry, *review;
	uint32_t seq;
	bool sync_wanted, sync_said; /* sweep what was not said: asked for, done */
	unsigned int failures_logged, failures_unlogged;
	uint32_t interfaces[INTERFACES_MAX];
	unsigned int ninterfaces;
	struct rpf *rpf;
	struct group *groups, *reviews;
	struct join *joins, *queue;
};

static void holder_lost(struct upstream *u, const char *why);

/* ---- what is wanted ---- */

static struct group *group_find(const struct upstream *u, const struct amt_addr *addr)
{
	struct group *group;

	HASH_FIND(hh, u->groups, addr, sizeof(*addr), group);
	return group;
}

static struct join *join_find(const struct upstream *u, uint32_t ifindex,
			      const struct amt_addr *group)
{
	struct join_key key = {.ifindex = ifindex, .group = *group};
	struct join *join;

	HASH_FIND(hh, u->joins, &key, sizeof(key), join);
	return join;
}

static bool has_interface(const struct upstream *u, uint32_t ifindex)
{
	unsigned int i;

	for (i = 0; i < u->ninterfaces; i++)
		if (u->interfaces[i] == ifindex)
			return true;
	return false;
}

static uint32_t way_to(struct upstream *u, const struct amt_addr *source)
{
	uint32_t ifindex = u->ninterfaces > 1 ? rpf_ifindex(u->rpf, source) : 0;

	return has_interface(u, ifindex) ? ifindex : 0;
}

/* Where an INCLUDE of the group's source i is joined. */
static uint32_t include_ifindex(const struct upstream *u, const struct group *group, unsigned int i)
{
	return group->way[i] ? group->way[i] : u->interfaces[0];
}

static bool wanted_on(const struct upstream *u, const struct group *group, uint32_t ifindex)
{
	unsigned int i;

	if (!group || !has_interface(u, ifindex))
		return false;
	for (i = 0; !group->exclude && i < group->nsources; i++)
		if (include_ifindex(u, group, i) == ifindex)
			return true;
	return group->exclude;
}

static void write_soon(struct upstream *u)
{
	if (u->state == HOLDER_READY)
		event_add(u->writable, NULL);
}

static void enqueue(struct upstream *u, struct join *join)
{
	join->at = 0;
	if (!join->queued)
		DL_APPEND(u->queue, join);
	join->queued = true;
	write_soon(u);
}

static struct join *join_make(struct upstream *u, uint32_t ifindex, const struct amt_addr *group)
{
	struct join *join = calloc(1, sizeof(*join));

	if (!join)
		return NULL;
	join->key.ifindex = ifindex;
	join->key.group = *group;
	HASH_ADD(hh, u->joins, key, sizeof(join->key), join);
	return join;
}

static void join_drop(struct upstream *u, struct join *join)
{
	if (join->queued)
		DL_DELETE(u->queue, join);
	if (join->waiting)
		u->waiting--;
	HASH_DEL(u->joins, join);
	free(join);
}

/* Has the group said anew on every interface. */
static int enqueue_group(struct upstream *u, const struct amt_addr *addr)
{
	const struct group *group = group_find(u, addr);
	struct join *join;
	unsigned int i;

	for (i = 0; i < u->ninterfaces; i++) {
		join = join_find(u, u->interfaces[i], addr);
		if (!join && !wanted_on(u, group, u->interfaces[i]))
			continue;
		if (!join)
			join = join_make(u, u->interfaces[i], addr);
		if (!join)
			return -ENOMEM;
		enqueue(u, join);
	}
	return 0;
}

/* ---- review: interfaces or routes changed ---- */

static void review_soon(struct upstream *u, unsigned int ms)
{
	struct timeval wait = {.tv_usec = ms * 1000};

	if (u->reviews && !evtimer_pending(u->review, NULL))
		evtimer_add(u->review, &wait);
}

static void review_all(void *arg)
{
	struct upstream *u = arg;
	struct group *group, *tmp;

	HASH_ITER (hh, u->groups, group, tmp)
		if (!group->in_review) {
			DL_APPEND(u->reviews, group);
			group->in_review = true;
		}
	review_soon(u, 0);
}

static bool find_ways(struct upstream *u, struct group *group)
{
	bool changed = false;
	unsigned int i;

	for (i = 0; i < group->nsources; i++) {
		uint32_t way = way_to(u, &group->sources[i]);

		changed |= way != group->way[i];
		group->way[i] = way;
	}
	return changed;
}

/* Joins that are missing on an interface that the group should be on, or stand on a wrong one. */
static bool misplaced(const struct upstream *u, const struct group *group)
{
	const struct join *join;
	unsigned int i;

	for (i = 0; i < u->ninterfaces; i++) {
		join = join_find(u, u->interfaces[i], &group->addr);
		if (wanted_on(u, group, u->interfaces[i]) != (join && (join->held || join->queued)))
			return true;
	}
	return false;
}

static void on_review(evutil_socket_t fd, short what, void *arg)
{
	struct upstream *u = arg;
	unsigned int n = 0;

	while (u->reviews && n < REVIEW_BATCH) {
		struct group *group = u->reviews;
		struct amt_addr addr = group->addr;

		n += 1 + group->nsources;
		DL_DELETE(u->reviews, group);
		group->in_review = false;
		if (!find_ways(u, group) && !misplaced(u, group))
			continue;
		enqueue_group(u, &addr);
		if (u->options.changed)
			u->options.changed(u->options.arg, &addr);
	}
	review_soon(u, 0);
}

/* ---- saying it ---- */

/* Fills in the sources of the group that are said on the interface, from the at-th on. */
static unsigned int sources_of(const struct upstream *u, const struct group *group,
			       const struct join *join, struct amt_addr *out, bool *last)
{
	unsigned int i, seen = 0, n = 0;

	*last = true;
	for (i = 0; group && i < group->nsources; i++) {
		if (!group->exclude && include_ifindex(u, group, i) != join->key.ifindex)
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
	const struct group *group = group_find(u, &join->key.group);
	bool last = true;
	int err;

	memset(&out.record, 0, sizeof(out.record));
	if (wanted_on(u, group, join->key.ifindex))
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
	if (!join->waiting)
		u->waiting++;
	join->held = join->waiting = true;
	join->at += out.record.count;
	if (last) {
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

static int say_next(struct upstream *u)
{
	struct join *join = u->queue;

	if (!join->held && !wanted_on(u, group_find(u, &join->key.group), join->key.ifindex)) {
		join_drop(u, join); /* came and went before anybody heard of it */
		return 0;
	}
	return say(u, join);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct upstream *u = arg;
	unsigned int n;
	int err = 0;

	for (n = 0; n < SEND_BATCH && u->queue && !err; n++)
		err = say_next(u);
	if (!err && !u->queue && u->sync_wanted && !u->sync_said)
		err = say_sync(u);
	if (err && err != -EAGAIN)
		holder_lost(u, strerror(-err));
	else if (u->queue || err)
		write_soon(u);
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
	struct join *join = join_find(u, answer->ifindex, &answer->group);

	if (!join || !join->waiting || join->seq != answer->seq)
		return; /* about something said before */
	join->waiting = false;
	u->waiting--;
	join->error = answer->error;
	if (answer->flags & HOLDER_TRUNCATED)
		log_truncated(group_find(u, &answer->group));
	if (answer->error) {
		counter_add(AMT_COUNT_UPSTREAM_JOIN_FAILED, 1);
		log_failure(u, join);
		retry_later(u);
		return;
	}
	log_recovery(join);
	if (!join->queued && !wanted_on(u, group_find(u, &join->key.group), join->key.ifindex))
		join_drop(u, join);
}

static bool any_listened(const struct upstream *u, const struct amt_addr *group)
{
	const struct join *join;
	unsigned int i;

	for (i = 0; i < u->ninterfaces; i++) {
		join = join_find(u, u->interfaces[i], group);
		if (join && join->listened)
			return true;
	}
	return false;
}

static void on_listen(struct upstream *u, const struct holder_record *told)
{
	struct join *join = join_find(u, told->ifindex, &told->group);
	struct group *group = group_find(u, &told->group);
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
			enqueue(u, join);
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
	u->sync_said = false;
	u->waiting = 0;
	HASH_ITER (hh, u->joins, join, tmp) {
		join->waiting = join->listened = false;
		enqueue(u, join);
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

static int find_or_start(struct upstream *u, struct error *err)
{
	int fd = holder_connect(u->instance);

	if (fd >= 0) {
		if (greet(u, fd) == 0)
			return 0;
		close_connection(u);
	}
	return start_anew(u, err);
}

static void reconnect_later(struct upstream *u)
{
	uint64_t since = clock_now() - u->last_connect;
	struct timeval wait = {.tv_sec = since < NSEC_PER_SEC ? 1 : 0};

	evtimer_add(u->reconnect, &wait);
}

static void holder_lost(struct upstream *u, const char *why)
{
	log_warning("the upstream holder is gone (%s); groups are joined again", why);
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
	write_soon(u);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct upstream *u = arg;
	struct holder_record record;
	unsigned int n;
	ssize_t len;

	for (n = 0; n < RECEIVE_BATCH && u->fd == fd; n++) {
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

static void upstream_free(struct upstream *u)
{
	struct group *group, *gtmp;
	struct join *join, *jtmp;

	event_free_maybe(u->readable);
	event_free_maybe(u->writable);
	if (u->fd >= 0)
		close(u->fd);
	event_free_maybe(u->reconnect);
	event_free_maybe(u->patience);
	event_free_maybe(u->retry);
	event_free_maybe(u->review);
	rpf_free(u->rpf);
	HASH_ITER (hh, u->groups, group, gtmp) {
		HASH_DEL(u->groups, group);
		free(group->sources);
		free(group->way);
		free(group);
	}
	HASH_ITER (hh, u->joins, join, jtmp) {
		HASH_DEL(u->joins, join);
		free(join);
	}
	free(u);
}

static int make_events(struct upstream *u)
{
	u->readable = event_new(u->base, -1, EV_READ | EV_PERSIST, on_readable, u);
	u->writable = event_new(u->base, -1, EV_WRITE, on_writable, u);
	u->reconnect = evtimer_new(u->base, on_reconnect, u);
	u->patience = evtimer_new(u->base, on_patience, u);
	u->retry = evtimer_new(u->base, on_retry, u);
	u->review = evtimer_new(u->base, on_review, u);
	if (!u->readable || !u->writable || !u->reconnect || !u->patience || !u->retry ||
	    !u->review)
		return -ENOMEM;
	return 0;
}

int upstream_open(struct upstream **out, const struct upstream_options *options,
		  struct event_base *base, struct error *err)
{
	struct upstream *u = calloc(1, sizeof(*u));
	int code;

	if (!u)
		return error_set(err, -ENOMEM, "no memory for upstream joins");
	u->options = *options;
	if (!u->options.retry_s)
		u->options.retry_s = 10;
	u->base = base;
	u->fd = -1;
	if (strlen(options->instance) >= sizeof(u->instance)) {
		upstream_free(u);
		return error_set(err, -ENAMETOOLONG, "instance name %s is too long",
				 options->instance);
	}
	strcpy(u->instance, options->instance);
	code = make_events(u);
	if (!code)
		code = rpf_open(&u->rpf, base, review_all, u);
	if (code)
		error_set(err, code, "upstream routes cannot be followed: %s", strerror(-code));
	else
		code = find_or_start(u, err);
	if (code) {
		upstream_free(u);
		return code;
	}
	*out = u;
	return 0;
}

void upstream_close(struct upstream *u)
{
	if (u)
		upstream_free(u);
}

void upstream_destroy(struct upstream *u)
{
	struct pollfd ended = {.fd = u ? u->fd : -1, .events = 0};

	if (u && u->fd >= 0) {
		say_quit(u);
		/* it is gone when it hangs up; then the groups are left */
		while (poll(&ended, 1, 2000) > 0 && !(ended.revents & (POLLHUP | POLLERR)))
			;
	}
	upstream_close(u);
}

/* ---- the interface to the relay ---- */

int upstream_add_interface(struct upstream *u, uint32_t ifindex)
{
	if (has_interface(u, ifindex))
		return 0;
	if (u->ninterfaces == INTERFACES_MAX)
		return -ENOSPC;
	u->interfaces[u->ninterfaces++] = ifindex;
	review_all(u);
	return 0;
}

void upstream_remove_interface(struct upstream *u, uint32_t ifindex)
{
	struct join *join, *tmp;
	unsigned int i;

	for (i = 0; i < u->ninterfaces && u->interfaces[i] != ifindex; i++)
		;
	if (i == u->ninterfaces)
		return;
	u->ninterfaces--;
	memmove(&u->interfaces[i], &u->interfaces[i + 1],
		(u->ninterfaces - i) * sizeof(u->interfaces[0]));
	HASH_ITER (hh, u->joins, join, tmp)
		if (join->key.ifindex == ifindex)
			enqueue(u, join);
	review_all(u);
}

static int compare_addr(const void *a, const void *b)
{
	return addr_compare(a, b);
}

/* Takes in the sources, sorted and each once, with the ways to those that are new. */
static int set_sources(struct upstream *u, struct group *group, const struct amt_addr *sources,
		       unsigned int n)
{
	struct amt_addr *list = malloc((n + 1) * sizeof(*list)), *known;
	uint32_t *way = malloc((n + 1) * sizeof(*way));
	unsigned int i, kept = 0;

	if (!list || !way) {
		free(list);
		free(way);
		return -ENOMEM;
	}
	if (n)
		memcpy(list, sources, n * sizeof(*list));
	qsort(list, n, sizeof(*list), compare_addr);
	for (i = 0; i < n; i++) {
		if (kept && addr_equal(&list[kept - 1], &list[i]))
			continue;
		list[kept] = list[i];
		known = group->nsources ? bsearch(&list[i], group->sources, group->nsources,
						  sizeof(*list), compare_addr)
					: NULL;
		way[kept++] = known ? group->way[known - group->sources] : way_to(u, &list[i]);
	}
	free(group->sources);
	free(group->way);
	group->sources = list;
	group->way = way;
	group->nsources = kept;
	return 0;
}

static void group_drop(struct upstream *u, struct group *group)
{
	if (group->in_review)
		DL_DELETE(u->reviews, group);
	HASH_DEL(u->groups, group);
	free(group->sources);
	free(group->way);
	free(group);
}

int upstream_set(struct upstream *u, const struct amt_addr *addr, bool exclude,
		 const struct amt_addr *sources, unsigned int nsources)
{
	struct amt_addr copy = *addr; /* it may be the group's own */
	struct group *group = group_find(u, addr);
	int err;

	if (!exclude && nsources == 0) {
		if (group)
			group_drop(u, group);
		return enqueue_group(u, &copy);
	}
	if (!group) {
		group = calloc(1, sizeof(*group));
		if (!group)
			return -ENOMEM;
		group->addr = copy;
		HASH_ADD(hh, u->groups, addr, sizeof(group->addr), group);
	}
	err = set_sources(u, group, sources, nsources);
	if (err) {
		if (!group->sources)
			group_drop(u, group);
		return err;
	}
	group->exclude = exclude;
	return enqueue_group(u, &copy);
}

uint32_t upstream_ifindex(struct upstream *u, const struct amt_group_key *key)
{
	const struct group *group;
	uint32_t way;

	/* with one interface every upstream packet comes in by it, even when it was made anew */
	if (u->ninterfaces < 2 || addr_is_any(&key->source))
		return 0;
	way = way_to(u, &key->source);
	group = group_find(u, &key->group);
	if (way || (group && group->exclude)) /* an EXCLUDE is joined everywhere */
		return way;
	return u->interfaces[0];
}

int upstream_sync_done(struct upstream *u)
{
	u->sync_wanted = true;
	write_soon(u);
	return 0;
}

int upstream_group_error(const struct upstream *u, const struct amt_addr *group)
{
	const struct join *join;
	unsigned int i;

	for (i = 0; i < u->ninterfaces; i++) {
		join = join_find(u, u->interfaces[i], group);
		if (join && join->error)
			return join->error;
	}
	return 0;
}

/* On every interface where it should be, as the holder has confirmed. */
static bool is_joined(const struct upstream *u, const struct group *group)
{
	const struct join *join;
	unsigned int i, joined = 0;

	for (i = 0; i < u->ninterfaces; i++) {
		join = join_find(u, u->interfaces[i], &group->addr);
		if (join && (join->queued || join->waiting || join->error))
			return false;
		joined += join != NULL;
	}
	return joined > 0;
}

void upstream_status(struct upstream *u, struct upstream_status *out)
{
	const struct group *group, *gtmp;
	const struct join *join, *jtmp;

	memset(out, 0, sizeof(*out));
	HASH_ITER (hh, u->joins, join, jtmp)
		out->failed += join->error != 0;
	HASH_ITER (hh, u->groups, group, gtmp)
		out->groups += is_joined(u, group);
	out->sockets = u->holder_sockets;
	out->holder_pid = u->holder_pid;
}

bool upstream_wanted_here(struct upstream *u, const struct amt_addr *addr)
{
	const struct group *group = group_find(u, addr);

	return group && group->listened;
}
