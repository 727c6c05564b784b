/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The holder: a process of its own that does nothing but keep upstream memberships and amtd's
 * sockets, so that a restart or crash of amtd leaves no group, and no gateway hears by ICMP that
 * the port is closed: what it says waits in the socket for the next amtd. It does what amtd says
 * over one connection, keeps everything while there is none, and ends after hold_ns without amtd,
 * or when told to.
 */
#include "relay/holder.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include "base/clock.h"
#include "base/descriptors.h"
#include "relay/memberships.h"

#define HOLD_DEFAULT   (300 * NSEC_PER_SEC) /* until amtd has said */
#define SOURCES_LIMIT  65536		    /* of one filter */
#define RECORDS_A_TURN 64
#define LISTEN_EVERY   (2 * NSEC_PER_SEC)   /* looks for other listeners on this host */
#define LISTEN_SOON    (20 * NSEC_PER_MSEC) /* after a new filter */
#define LISTEN_COST    50		    /* at most one part in so many of the time goes there */

struct holder {
	char path[108];
	dev_t path_dev;
	ino_t path_ino; /* the socket's name may belong to a successor by the time we end */
	int listening, connection;
	uint64_t hold_ns, alone_since;
	uint64_t listen_due, listen_last, listen_cost;
	struct memberships *memberships;
	struct holder_record set; /* a SET whose sources are still coming */
	struct amt_addr *sources;
	unsigned int nsources, room;
	struct descriptors kept; /* amtd's sockets */
	bool quit;
};

uint64_t holder_netns(void)
{
	struct stat st;

	return stat("/proc/self/ns/net", &st) ? 0 : st.st_ino;
}

static void drop_connection(struct holder *h)
{
	if (h->connection >= 0)
		close(h->connection);
	h->connection = -1;
	h->alone_since = clock_now();
}

static void answer(struct holder *h, struct holder_record *record)
{
	record->version = HOLDER_VERSION;
	record->pid = getpid();
	record->sockets = memberships_sockets(h->memberships);
	record->count = 0;
	/* waits for a slow amtd, up to SO_SNDTIMEO */
	if (h->connection >= 0 &&
	    send(h->connection, record, sizeof(*record), MSG_NOSIGNAL) != sizeof(*record))
		drop_connection(h);
}

static void take_connection(struct holder *h)
{
	struct timeval patience = {.tv_sec = 5};
	int fd = accept4(h->listening, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	drop_connection(h);
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	h->connection = fd;
	h->set.seq = 0;
}

static void on_hello(struct holder *h, const struct holder_record *hello)
{
	struct holder_record reply = {.type = HOLDER_HELLO, .netns = holder_netns()};

	if (hello->hold_ns)
		h->hold_ns = hello->hold_ns;
	memberships_read_limits(h->memberships);
	memberships_unmark(h->memberships);
	memberships_listeners_reset(h->memberships);
	h->listen_due = 0;
	h->nsources = 0;
	answer(h, &reply);
}

static int append_sources(struct holder *h, const struct amt_addr *sources, unsigned int n)
{
	unsigned int want = h->nsources + n;
	struct amt_addr *bigger;

	if (want > SOURCES_LIMIT)
		return -E2BIG;
	if (want > h->room) {
		bigger = realloc(h->sources, 2 * want * sizeof(*bigger));
		if (!bigger)
			return -ENOMEM;
		h->sources = bigger;
		h->room = 2 * want;
	}
	if (n)
		memcpy(h->sources + h->nsources, sources, n * sizeof(*sources));
	h->nsources = want;
	return 0;
}

static bool is_sorted(const struct amt_addr *sources, unsigned int n)
{
	unsigned int i;

	for (i = 1; i < n; i++)
		if (addr_compare(&sources[i - 1], &sources[i]) >= 0)
			return false;
	return true;
}

static void on_set(struct holder *h, const struct holder_record *set,
		   const struct amt_addr *sources)
{
	struct holder_record reply = *set;
	bool truncated = false;

	if (set->flags & HOLDER_FIRST) {
		h->set = *set;
		h->nsources = 0;
	}
	if (h->set.seq != set->seq)
		return; /* the rest of a list whose beginning is not ours */
	if (!h->set.error)
		h->set.error = append_sources(h, sources, set->count);
	if (!(set->flags & HOLDER_LAST))
		return;
	reply.error = h->set.error;
	if (!reply.error && !is_sorted(h->sources, h->nsources))
		reply.error = -EINVAL;
	if (!reply.error)
		reply.error = memberships_set(h->memberships, set->ifindex, &set->group,
					      set->flags & HOLDER_EXCLUDE, h->sources, h->nsources,
					      &truncated);
	reply.flags = truncated ? HOLDER_TRUNCATED : 0;
	h->listen_due = h->listen_last + LISTEN_SOON + LISTEN_COST * h->listen_cost;
	answer(h, &reply);
}

static void on_take(struct holder *h)
{
	struct holder_record reply = {
		.version = HOLDER_VERSION, .type = HOLDER_TAKE, .netns = holder_netns()};

	if (descriptors_send(h->connection, &reply, sizeof(reply), &h->kept, MSG_NOSIGNAL) !=
	    sizeof(reply))
		drop_connection(h);
}

/* What is in `with` afterwards is of no more use. */
static void on_keep(struct holder *h, struct descriptors *with)
{
	struct descriptors before = h->kept;

	h->kept = *with;
	*with = before;
}

static void on_record(struct holder *h, const void *buf, size_t len, struct descriptors *with)
{
	struct holder_record record;
	static struct amt_addr sources[HOLDER_SOURCES_MAX];

	if (len < sizeof(record)) {
		drop_connection(h);
		return;
	}
	memcpy(&record, buf, sizeof(record));
	if (record.type == HOLDER_HELLO) {
		on_hello(h, &record);
	} else if (record.type == HOLDER_QUIT) {
		h->quit = true;
	} else if (record.type == HOLDER_TAKE) {
		on_take(h);
	} else if (record.version != HOLDER_VERSION) {
		drop_connection(h);
	} else if (record.type == HOLDER_SYNC) {
		memberships_sweep(h->memberships);
	} else if (record.type == HOLDER_KEEP) {
		on_keep(h, with);
	} else if (record.type == HOLDER_SET && record.count <= HOLDER_SOURCES_MAX &&
		   len == sizeof(record) + record.count * sizeof(sources[0])) {
		memcpy(sources, (const char *)buf + sizeof(record), len - sizeof(record));
		on_set(h, &record, sources);
	} else {
		drop_connection(h);
	}
}

static void read_connection(struct holder *h)
{
	static char buf[HOLDER_RECORD_MAX];
	struct descriptors with;
	unsigned int n;
	ssize_t len;

	for (n = 0; n < RECORDS_A_TURN && h->connection >= 0 && !h->quit; n++) {
		len = descriptors_receive(h->connection, buf, sizeof(buf), &with, MSG_DONTWAIT);
		if (len < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (len <= 0)
			drop_connection(h);
		else
			on_record(h, buf, (size_t)len, &with);
		descriptors_close(&with);
	}
}

static void tell_listened(void *arg, uint32_t ifindex, const struct amt_addr *group, bool listened)
{
	struct holder_record record = {
		.type = HOLDER_LISTEN,
		.ifindex = ifindex,
		.flags = listened ? HOLDER_LISTENED : 0,
		.group = *group,
	};

	answer(arg, &record);
}

static void look_for_listeners(struct holder *h)
{
	uint64_t begin = clock_now();

	if (h->connection < 0 || begin < h->listen_due)
		return;
	if (memberships_filters(h->memberships))
		memberships_listeners(h->memberships, tell_listened, h);
	h->listen_last = clock_now();
	h->listen_cost = h->listen_last - begin;
	h->listen_due = h->listen_last + LISTEN_EVERY + LISTEN_COST * h->listen_cost;
}

static int wait_ms(const struct holder *h)
{
	uint64_t now = clock_now(), due = h->listen_due;

	if (h->connection < 0)
		due = h->alone_since + h->hold_ns;
	if (due <= now)
		return 0;
	due = (due - now) / NSEC_PER_MSEC + 1;
	return due < 60000 ? (int)due : 60000;
}

static bool held_enough(const struct holder *h)
{
	return h->connection < 0 && clock_now() - h->alone_since >= h->hold_ns;
}

static void serve(struct holder *h)
{
	struct pollfd fds[2];

	h->alone_since = clock_now();
	while (!h->quit && !held_enough(h)) {
		fds[0] = (struct pollfd){.fd = h->listening, .events = POLLIN};
		fds[1] = (struct pollfd){.fd = h->connection, .events = POLLIN};
		if (poll(fds, 2, wait_ms(h)) < 0 && errno != EINTR)
			return;
		/* the present amtd first, so that what it said before it died is done */
		if (fds[1].revents)
			read_connection(h);
		if (fds[0].revents)
			take_connection(h);
		look_for_listeners(h);
	}
}

static void remember_path(struct holder *h, const char *instance)
{
	struct stat st;

	snprintf(h->path, sizeof(h->path), HOLDER_PATH, instance);
	if (stat(h->path, &st) == 0) {
		h->path_dev = st.st_dev;
		h->path_ino = st.st_ino;
	}
}

static void remove_path(const struct holder *h)
{
	struct stat st;

	if (stat(h->path, &st) == 0 && st.st_dev == h->path_dev && st.st_ino == h->path_ino)
		unlink(h->path);
}

int upstream_holder_main(int argc, char **argv)
{
	struct holder h = {.listening = HOLDER_FD, .connection = -1, .hold_ns = HOLD_DEFAULT};
	struct rlimit files;

	if (argc < 3)
		return 2;
	prctl(PR_SET_NAME, "amt-upstream");
	signal(SIGPIPE, SIG_IGN);
	/* a socket for every 20 groups, where the kernel's limits are as shipped */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	if (chdir("/"))
		return 1;
	remember_path(&h, argv[2]);
	h.memberships = memberships_new();
	if (!h.memberships)
		return 1;
	serve(&h);
	remove_path(&h);
	drop_connection(&h);
	memberships_free(h.memberships);
	free(h.sources);
	return 0;
}
