/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "relay/sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <amt/wire.h>
#include "base/clock.h"
#include "base/descriptors.h"
#include "base/log.h"
#include "base/loop.h"
#include "relay/outbox.h"

#define READ_BATCH   32	  /* messages of one recvmmsg(2) */
#define READ_ROUNDS  8	  /* of those a wake-up: other sockets and timers get their turn */
#define LOOK_EVERY   256  /* octets of messages, whether the turn of the loop has become long */
#define LENGTH_MORE  64	  /* octets that each message counts more than it has */
#define SPARE_S	     1	  /* how long the socket of an address that went waits for its return */
#define MESSAGE_ROOM 9216 /* a longer message arrives cut off, and fails its length checks */
#define RECEIVE_ROOM (4 << 20)
#define SEND_ROOM    (1 << 20)

struct listener {
	struct listener *next;
	struct relay_sockets *owner;
	struct amt_sockaddr local;
	int fd;
	struct event *readable;
};

struct relay_sockets {
	struct event_base *base;
	relay_sockets_fn fn;
	void (*after_batch)(void *arg);
	void *arg;
	struct listener *list;
	struct descriptors spare; /* bound, but not listened with */
	struct event *spare_end;
	struct outbox *outbox;
	struct event *flush; /* sends what was queued outside a wake-up of ours */
	struct event *rest;  /* goes on with the batch in a later turn of the loop */
	bool reading;
	struct listener *from; /* whose batch is not done; NULL: none */
	int at, n;	       /* message to be done next, messages of the batch */
	struct mmsghdr message[READ_BATCH];
	struct iovec iov[READ_BATCH];
	struct sockaddr_storage peer[READ_BATCH];
	uint8_t octets[READ_BATCH][MESSAGE_ROOM];
};

static void on_flush(evutil_socket_t fd, short what, void *arg)
{
	struct relay_sockets *sockets = arg;

	outbox_flush(sockets->outbox);
}

static void on_rest(evutil_socket_t fd, short what, void *arg);

static void on_spare_end(evutil_socket_t fd, short what, void *arg)
{
	relay_sockets_settle(arg);
}

struct relay_sockets *relay_sockets_new(struct event_base *base, relay_sockets_fn fn,
					void (*after_batch)(void *arg), void *arg)
{
	struct relay_sockets *sockets = calloc(1, sizeof(*sockets));
	unsigned int i;

	if (!sockets)
		return NULL;
	sockets->base = base;
	sockets->fn = fn;
	sockets->after_batch = after_batch;
	sockets->arg = arg;
	sockets->outbox = outbox_new();
	sockets->flush = evtimer_new(base, on_flush, sockets);
	sockets->rest = evtimer_new(base, on_rest, sockets);
	sockets->spare_end = evtimer_new(base, on_spare_end, sockets);
	if (!sockets->outbox || !sockets->flush || !sockets->rest || !sockets->spare_end) {
		relay_sockets_free(sockets);
		return NULL;
	}
	for (i = 0; i < READ_BATCH; i++) {
		sockets->iov[i] = (struct iovec){sockets->octets[i], MESSAGE_ROOM};
		sockets->message[i].msg_hdr.msg_iov = &sockets->iov[i];
		sockets->message[i].msg_hdr.msg_iovlen = 1;
		sockets->message[i].msg_hdr.msg_name = &sockets->peer[i];
	}
	return sockets;
}

static void listener_free(struct listener *listener)
{
	if (listener->readable)
		event_free(listener->readable);
	if (listener->fd >= 0)
		close(listener->fd);
	free(listener);
}

void relay_sockets_free(struct relay_sockets *sockets)
{
	struct listener *listener;

	if (!sockets)
		return;
	if (sockets->outbox)
		outbox_flush(sockets->outbox);
	while ((listener = sockets->list)) {
		sockets->list = listener->next;
		listener_free(listener);
	}
	descriptors_close(&sockets->spare);
	if (sockets->spare_end)
		event_free(sockets->spare_end);
	if (sockets->flush)
		event_free(sockets->flush);
	if (sockets->rest)
		event_free(sockets->rest);
	outbox_free(sockets->outbox);
	free(sockets);
}

/* ---- reading ---- */

/* Messages read, 0: none left. An ICMP error that the stack reports here belongs to some answer
 * sent earlier; the next call reads on. */
static int read_batch(struct listener *listener)
{
	struct relay_sockets *sockets = listener->owner;
	unsigned int i;
	int n;

	for (i = 0; i < READ_BATCH; i++)
		sockets->message[i].msg_hdr.msg_namelen = sizeof(sockets->peer[i]);
	do {
		n = recvmmsg(listener->fd, sockets->message, READ_BATCH, MSG_DONTWAIT, NULL);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EAGAIN)
		log_debug("reading AMT messages: %s", strerror(errno));
	return n < 0 ? 0 : n;
}

/* Does the batch in hand; false: the rest is left to a later turn. What an Update costs goes by its
 * length: it may join a hundred groups. */
static bool do_batch(struct relay_sockets *sockets)
{
	uint64_t now = clock_now();
	struct amt_sockaddr peer;
	unsigned int octets = 0;
	int i;

	while (sockets->at < sockets->n) {
		i = sockets->at++;
		if (!sockaddr_from_native((struct sockaddr *)&sockets->peer[i], &peer))
			sockets->fn(sockets->arg, now, &sockets->from->local, &peer,
				    sockets->octets[i], sockets->message[i].msg_len);
		octets += sockets->message[i].msg_len + LENGTH_MORE;
		if (octets < LOOK_EVERY)
			continue;
		octets = 0;
		if (sockets->at < sockets->n && loop_turn_is_long())
			return false;
	}
	sockets->from = NULL;
	return true;
}

/* An Update may cost a hundred times what a Request costs, so it is not their number alone that
 * ends a wake-up. listener NULL: only what was left over. */
static void take(struct relay_sockets *sockets, struct listener *listener)
{
	static const struct timeval at_once;
	unsigned int round;

	sockets->reading = true;
	if (!sockets->from || do_batch(sockets)) {
		for (round = 0; listener && round < READ_ROUNDS; round++) {
			sockets->from = listener;
			sockets->at = 0;
			sockets->n = read_batch(listener);
			if (!do_batch(sockets) || sockets->n < READ_BATCH || loop_turn_is_long())
				break;
		}
	}
	if (sockets->from)
		evtimer_add(sockets->rest, &at_once);
	outbox_flush(sockets->outbox);
	sockets->reading = false;
	if (sockets->after_batch)
		sockets->after_batch(sockets->arg);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct listener *listener = arg;

	take(listener->owner, listener);
}

static void on_rest(evutil_socket_t fd, short what, void *arg)
{
	take(arg, NULL);
}

/* ---- listening ---- */

static struct listener *listener_find(const struct relay_sockets *sockets,
				      const struct amt_addr *addr)
{
	struct listener *listener;

	for (listener = sockets->list; listener; listener = listener->next)
		if (addr_equal(&listener->local.addr, addr))
			return listener;
	return NULL;
}

static int set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) ? -errno : 0;
}

/* DF always, whatever a forged ICMP error says of the path: our messages are small, and Multicast
 * Data must never be fragmented outside. Flow label zero, as the packet path has it.
 */
static int set_options(int fd, bool ipv4)
{
	int rc;

	if (ipv4)
		rc = set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
	else if (!(rc = set_int(fd, IPPROTO_IPV6, IPV6_DONTFRAG, 1)) &&
		 !(rc = set_int(fd, IPPROTO_IPV6, IPV6_AUTOFLOWLABEL, 0)))
		rc = set_int(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
	/* Room for a burst of gateways; the forced form needs privilege, the other is capped */
	if (set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_ROOM))
		set_int(fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_ROOM);
	if (set_int(fd, SOL_SOCKET, SO_SNDBUFFORCE, SEND_ROOM))
		set_int(fd, SOL_SOCKET, SO_SNDBUF, SEND_ROOM);
	return rc;
}

static int bind_error(struct error *err, int code, const struct amt_sockaddr *local)
{
	char where[AMT_SOCKADDR_STRLEN], addr[AMT_ADDR_STRLEN];

	sockaddr_print(local, where);
	addr_print(&local->addr, addr);
	switch (code) {
	case -EADDRNOTAVAIL:
		return error_set(err, code,
				 "cannot listen on %s: no interface has this address; add it (ip "
				 "address add %s dev INTERFACE) or configure one that is there",
				 where, addr);
	case -EADDRINUSE:
		return error_set(err, code,
				 "cannot listen on %s: another program does (see ss -lunp); end it "
				 "or choose another address or port",
				 where);
	default:
		return error_set(err, code, "cannot listen on %s: %s", where, strerror(-code));
	}
}

void relay_sockets_adopt(struct relay_sockets *sockets, const struct descriptors *from)
{
	sockets->spare = *from;
}

void relay_sockets_settle(struct relay_sockets *sockets)
{
	descriptors_close(&sockets->spare);
}

static bool is_bound(int fd, const struct amt_sockaddr *local)
{
	struct sockaddr_storage native;
	socklen_t len = sizeof(native);
	struct amt_sockaddr bound;

	return !getsockname(fd, (struct sockaddr *)&native, &len) &&
	       !sockaddr_from_native((struct sockaddr *)&native, &bound) &&
	       sockaddr_equal(&bound, local);
}

/* One that is not in the list of them afterwards; -1: there is none. */
static int take_spare(struct descriptors *spare, const struct amt_sockaddr *local)
{
	unsigned int i;
	int fd = -1;

	for (i = 0; i < spare->n && fd < 0; i++)
		if (is_bound(spare->fd[i], local)) {
			fd = spare->fd[i];
			spare->fd[i] = spare->fd[--spare->n];
		}
	return fd;
}

static int listener_bind(struct listener *listener, const struct amt_sockaddr *local)
{
	struct sockaddr_storage native;
	socklen_t len = sockaddr_to_native(local, &native);
	int rc = 0;

	listener->fd = socket(native.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener->fd < 0)
		return -errno;
	if (native.ss_family == AF_INET6)
		rc = set_int(listener->fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (!rc && bind(listener->fd, (struct sockaddr *)&native, len))
		rc = -errno;
	return rc;
}

static int listener_open(struct listener *listener, const struct amt_sockaddr *local)
{
	int rc = 0;

	listener->fd = take_spare(&listener->owner->spare, local);
	if (listener->fd < 0)
		rc = listener_bind(listener, local);
	return rc ? rc : set_options(listener->fd, addr_is_ipv4(&local->addr));
}

int relay_sockets_listen(struct relay_sockets *sockets, const struct amt_addr *addr, uint16_t port,
			 struct error *err)
{
	struct amt_sockaddr local = {*addr, htons(port)};
	struct listener *listener;
	int rc;

	if (listener_find(sockets, addr))
		return 0;
	listener = calloc(1, sizeof(*listener));
	if (!listener)
		return error_set(err, -ENOMEM, "cannot listen: no memory");
	listener->owner = sockets;
	listener->local = local;
	rc = listener_open(listener, &local);
	if (rc) {
		listener_free(listener);
		return bind_error(err, rc, &local);
	}
	listener->readable =
		event_new(sockets->base, listener->fd, EV_READ | EV_PERSIST, on_readable, listener);
	if (!listener->readable || event_add(listener->readable, NULL)) {
		listener_free(listener);
		return error_set(err, -ENOMEM, "cannot listen: no memory");
	}
	listener->next = sockets->list;
	sockets->list = listener;
	return 0;
}

/* Not closed yet: the upstream holder has it too, and until it lets go as well the address would be
 * in use if it were to be listened on again. */
static void listener_spare(struct listener *listener)
{
	static const struct timeval life = {.tv_sec = SPARE_S};
	struct relay_sockets *sockets = listener->owner;

	if (sockets->spare.n < DESCRIPTORS_MAX) {
		sockets->spare.fd[sockets->spare.n++] = listener->fd;
		listener->fd = -1;
		evtimer_add(sockets->spare_end, &life);
	}
	listener_free(listener);
}

void relay_sockets_close(struct relay_sockets *sockets, const struct amt_addr *addr)
{
	struct listener *listener = listener_find(sockets, addr), **at;

	if (!listener)
		return;
	outbox_flush(sockets->outbox);
	if (sockets->from == listener)
		sockets->from = NULL;
	for (at = &sockets->list; *at != listener; at = &(*at)->next)
		;
	*at = listener->next;
	listener_spare(listener);
}

void relay_sockets_walk(const struct relay_sockets *sockets,
			void (*fn)(void *arg, const struct amt_sockaddr *local), void *arg)
{
	const struct listener *listener;

	for (listener = sockets->list; listener; listener = listener->next)
		fn(arg, &listener->local);
}

void relay_sockets_list(const struct relay_sockets *sockets, struct descriptors *out)
{
	const struct listener *listener;

	out->n = 0;
	for (listener = sockets->list; listener && out->n < DESCRIPTORS_MAX;
	     listener = listener->next)
		out->fd[out->n++] = listener->fd;
}

/* ---- sending ---- */

void relay_sockets_send_data(struct relay_sockets *sockets, const struct amt_sockaddr *local,
			     const struct amt_sockaddr *peer, uint8_t tos, const void *buf,
			     size_t len)
{
	static const struct timeval at_once;
	struct listener *listener = listener_find(sockets, &local->addr);

	if (!listener)
		return;
	if (!sockets->reading && outbox_is_empty(sockets->outbox))
		event_add(sockets->flush, &at_once);
	outbox_put(sockets->outbox, listener->fd, peer, tos, buf, len);
}

void relay_sockets_send(struct relay_sockets *sockets, const struct amt_sockaddr *local,
			const struct amt_sockaddr *peer, const void *buf, size_t len)
{
	relay_sockets_send_data(sockets, local, peer, AMT_TOS_CS6, buf, len);
}
