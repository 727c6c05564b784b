/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <amt/wire.h>
#include "base/clock.h"
#include "base/counters.h"
#include "gateway/port_socket.h"

#define READ_BATCH   32
#define READ_ROUNDS  8	   /* of those a wake-up: other sockets and timers get their turn */
#define MESSAGE_ROOM 65536 /* data may be as large as UDP allows */
#define ERRORS_MAX   64	   /* read in one go */
#define FAMILIES     2
#define CONTROL_ROOM CMSG_SPACE(sizeof(int))

struct end {
	struct port *owner;
	struct event *readable;
	int fd; /* -1: the kernel has no such family */
	struct amt_sockaddr local;
	bool chosen; /* the kernel chooses the address; local has the port alone */
};

struct port {
	struct end ends[FAMILIES]; /* IPv4, IPv6 */
	struct port_options options;
	uint64_t data_messages;
	struct mmsghdr message[READ_BATCH];
	struct iovec iov[READ_BATCH];
	struct sockaddr_storage peer[READ_BATCH];
	uint8_t control[READ_BATCH][CONTROL_ROOM] __attribute__((aligned(sizeof(size_t))));
	uint8_t octets[READ_BATCH][MESSAGE_ROOM];
};

static struct end *end_of(struct port *port, const struct amt_addr *peer)
{
	return &port->ends[addr_is_ipv4(peer) ? 0 : 1];
}

/* ---- reading ---- */

static void read_errors(struct end *end, uint64_t now)
{
	const struct port_options *options = &end->owner->options;
	struct amt_sockaddr peer;
	unsigned int i;
	int ret = 1;

	for (i = 0; i < ERRORS_MAX && ret >= 0; i++) {
		ret = port_socket_error(end->fd, &peer);
		if (ret > 0)
			options->unreachable(options->arg, now, &peer);
	}
}

static void take(struct port *port, uint64_t now, const struct amt_sockaddr *peer, unsigned int i)
{
	const struct port_options *options = &port->options;
	uint8_t *buf = port->octets[i];
	size_t len = port->message[i].msg_len;

	if (!len || buf[0] != (AMT_WIRE_VERSION << AMT_VERS_SHIFT | AMT_DATA)) {
		options->receive(options->arg, now, peer, buf, len);
		return;
	}
	port->data_messages++;
	if (options->data)
		options->data(options->arg, now, peer, port_socket_tos(&port->message[i].msg_hdr),
			      buf, len);
}

/* Messages read, 0: none left. */
static int read_batch(struct end *end)
{
	struct port *port = end->owner;
	unsigned int i;
	int n;

	for (i = 0; i < READ_BATCH; i++) {
		port->message[i].msg_hdr.msg_namelen = sizeof(port->peer[i]);
		port->message[i].msg_hdr.msg_controllen = CONTROL_ROOM;
	}
	do {
		n = recvmmsg(end->fd, port->message, READ_BATCH, MSG_DONTWAIT, NULL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? 0 : n;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct end *end = arg;
	struct port *port = end->owner;
	struct amt_sockaddr peer;
	uint64_t now = clock_now();
	unsigned int round;
	int i, n;

	read_errors(end, now);
	for (round = 0; round < READ_ROUNDS; round++) {
		n = read_batch(end);
		for (i = 0; i < n; i++)
			if (!sockaddr_from_native((struct sockaddr *)&port->peer[i], &peer))
				take(port, now, &peer, (unsigned int)i);
		if (n < READ_BATCH)
			break;
	}
}

/* ---- sending ---- */

int port_send(struct port *port, const struct amt_sockaddr *peer, const void *buf, size_t len)
{
	struct end *end = end_of(port, &peer->addr);
	struct sockaddr_storage native;
	socklen_t native_len = sockaddr_to_native(peer, &native);
	int err = 0;

	if (end->fd < 0)
		return -EAFNOSUPPORT;
	/* an ICMP error for an earlier message may be reported in place of sending this one */
	if (sendto(end->fd, buf, len, 0, (struct sockaddr *)&native, native_len) < 0 &&
	    sendto(end->fd, buf, len, 0, (struct sockaddr *)&native, native_len) < 0)
		err = -errno;
	if (err)
		counter_add(AMT_COUNT_SEND_FAILED, 1);
	return err;
}

/* ---- opening ---- */

static int end_bind(struct end *end, const struct port_options *options, struct error *err)
{
	uint16_t saved = addr_is_ipv4(&end->local.addr) ? options->saved_ipv4 : options->saved_ipv6;
	char where[AMT_SOCKADDR_STRLEN];
	int ret = -EADDRINUSE;

	end->local.port = htons(options->port ? options->port : saved);
	if (end->local.port)
		ret = port_socket_bind(end->fd, &end->local);
	if (ret && !options->port) {
		end->local.port = 0;
		ret = port_socket_bind(end->fd, &end->local);
	}
	if (!ret)
		return 0;
	sockaddr_print(&end->local, where);
	if (ret == -EADDRINUSE)
		return error_set(err, ret,
				 "cannot use %s: another program does (see ss -lunp); end it or "
				 "choose another port",
				 where);
	if (ret == -EADDRNOTAVAIL)
		return error_set(err, ret, "cannot send from %s: no interface has this address",
				 where);
	return error_set(err, ret, "cannot use %s: %s", where, strerror(-ret));
}

static struct amt_addr any_of(bool ipv6)
{
	static const uint8_t zero[16];

	return ipv6 ? addr_from_ipv6(zero) : addr_from_ipv4(zero);
}

static int end_open(struct port *port, struct end *end, const struct amt_addr *source,
		    struct event_base *base, struct error *err)
{
	bool ipv6 = end == &port->ends[1];
	int ret;

	end->owner = port;
	end->chosen = addr_is_any(source);
	end->local.addr = end->chosen ? any_of(ipv6) : *source;
	end->fd = port_socket_open(ipv6);
	if (end->fd == -EAFNOSUPPORT && end->chosen)
		return 0;
	if (end->fd < 0)
		return error_set(err, end->fd, "cannot open a UDP socket: %s", strerror(-end->fd));
	ret = end_bind(end, &port->options, err);
	if (ret)
		return ret;
	end->readable = event_new(base, end->fd, EV_READ | EV_PERSIST, on_readable, end);
	if (!end->readable || event_add(end->readable, NULL))
		return error_set(err, -ENOMEM, "cannot open a UDP socket: no memory");
	return 0;
}

int port_open(struct port **out, const struct port_options *options, struct event_base *base,
	      struct error *err)
{
	struct port *port = calloc(1, sizeof(*port));
	unsigned int i;
	int ret;

	if (!port)
		return error_set(err, -ENOMEM, "cannot open a UDP socket: no memory");
	port->options = *options;
	port->ends[0].fd = port->ends[1].fd = -1;
	for (i = 0; i < READ_BATCH; i++) {
		port->iov[i] = (struct iovec){port->octets[i], MESSAGE_ROOM};
		port->message[i].msg_hdr.msg_iov = &port->iov[i];
		port->message[i].msg_hdr.msg_iovlen = 1;
		port->message[i].msg_hdr.msg_name = &port->peer[i];
		port->message[i].msg_hdr.msg_control = port->control[i];
	}
	ret = end_open(port, &port->ends[0], &options->source_ipv4, base, err);
	if (!ret)
		ret = end_open(port, &port->ends[1], &options->source_ipv6, base, err);
	if (ret) {
		port_close(port);
		return ret;
	}
	*out = port;
	return 0;
}

void port_close(struct port *port)
{
	unsigned int i;

	if (!port)
		return;
	for (i = 0; i < FAMILIES; i++) {
		if (port->ends[i].readable)
			event_free(port->ends[i].readable);
		if (port->ends[i].fd >= 0)
			close(port->ends[i].fd);
	}
	free(port);
}

/* ---- what is asked ---- */

int port_local(const struct port *port, const struct amt_addr *relay, struct amt_sockaddr *local)
{
	const struct end *end = &port->ends[addr_is_ipv4(relay) ? 0 : 1];
	const struct amt_sockaddr peer = {*relay, htons(AMT_PORT)};
	struct amt_sockaddr source;
	int ret;

	if (end->fd < 0)
		return -EAFNOSUPPORT;
	*local = end->local;
	if (!end->chosen)
		return 0;
	ret = port_socket_source(&peer, &source);
	if (!ret)
		local->addr = source.addr;
	return ret;
}

uint16_t port_number(const struct port *port, int family)
{
	const struct end *end = &port->ends[family == AF_INET ? 0 : 1];

	return end->fd < 0 ? 0 : ntohs(end->local.port);
}

uint64_t port_data_messages(const struct port *port)
{
	return port->data_messages;
}
