/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "load/player.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <linux/sock_diag.h>
#include <event2/event.h>
#include "base/clock.h"

#define BATCH	    32
#define DRAIN_MAX   1024  /* batches */
#define BATCHES_MAX 4	  /* a wake-up, so that no socket starves the others */
#define SLOT	    16384 /* larger than any tunnel's packets */

static struct player *player_of(struct gateway *gateway)
{
	return (struct player *)((char *)gateway - offsetof(struct player, gateway));
}

void player_send(void *arg, struct gateway *gateway, const struct amt_sockaddr *to, const void *buf,
		 size_t len)
{
	struct sockaddr_storage native;
	socklen_t native_len = sockaddr_to_native(to, &native);

	/* What is lost here is sent again like what is lost on the way. */
	(void)!sendto(player_of(gateway)->fd, buf, len, 0, (struct sockaddr *)&native, native_len);
}

void player_data(void *arg, struct gateway *gateway, const void *datagram, size_t len)
{
	receiver_datagram(&player_of(gateway)->receiver, clock_now(), datagram, len);
}

static void take(struct player *player, uint64_t now, const struct mmsghdr *message,
		 const uint8_t *buf)
{
	struct amt_sockaddr from;

	if (message->msg_hdr.msg_flags & MSG_TRUNC)
		player->receiver.damaged++;
	else if (sockaddr_from_native(message->msg_hdr.msg_name, &from) == 0)
		load_gateway_receive(&player->gateway, now, &from, buf, message->msg_len);
}

/* Takes one batch; returns whether there may be more. */
static bool read_batch(struct player *player)
{
	static uint8_t slots[BATCH][SLOT];
	struct sockaddr_storage from[BATCH];
	struct mmsghdr messages[BATCH] = {0};
	struct iovec iov[BATCH];
	int i, n;

	for (i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){.iov_base = slots[i], .iov_len = SLOT};
		messages[i].msg_hdr.msg_iov = &iov[i];
		messages[i].msg_hdr.msg_iovlen = 1;
		messages[i].msg_hdr.msg_name = &from[i];
		messages[i].msg_hdr.msg_namelen = sizeof(from[i]);
	}
	n = recvmmsg(player->fd, messages, BATCH, MSG_DONTWAIT, NULL);
	for (i = 0; i < n; i++)
		take(player, clock_now(), &messages[i], slots[i]);
	player->due_ns = 0; /* what came may have changed the next deadline */
	return n == BATCH;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	unsigned int batch;

	for (batch = 0; batch < BATCHES_MAX && read_batch(arg); batch++)
		;
}

static void drain(struct player *player)
{
	unsigned int batch;

	for (batch = 0; batch < DRAIN_MAX && read_batch(player); batch++)
		;
}

void player_join(struct player *player, uint64_t now)
{
	drain(player);
	receiver_listen(&player->receiver, true, now);
	load_gateway_join(&player->gateway, now);
}

void player_leave(struct player *player, uint64_t now, bool teardown)
{
	drain(player);
	if (teardown)
		load_gateway_teardown(&player->gateway, now);
	else
		load_gateway_leave(&player->gateway, now);
	receiver_listen(&player->receiver, false, now);
}

static void set_buffer(int fd, uint64_t buffer)
{
	int size = (int)buffer;

	/* SO_RCVBUFFORCE goes over net.core.rmem_max, for root */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
}

static int bind_socket(struct player *player, int family, const struct amt_sockaddr *local,
		       struct error *err)
{
	struct sockaddr_storage native = {0};
	socklen_t len = sizeof(native);
	struct amt_sockaddr bound;
	char text[AMT_SOCKADDR_STRLEN];

	if (addr_is_any(&local->addr)) {
		native.ss_family = (sa_family_t)family;
		((struct sockaddr_in *)&native)->sin_port = local->port; /* same place in IPv6 */
	} else {
		len = sockaddr_to_native(local, &native);
	}
	if (bind(player->fd, (struct sockaddr *)&native, len))
		return error_set(err, -errno, "cannot send from %s: %s",
				 sockaddr_print(local, text), strerror(errno));
	len = sizeof(native);
	if (getsockname(player->fd, (struct sockaddr *)&native, &len) == 0 &&
	    sockaddr_from_native((struct sockaddr *)&native, &bound) == 0)
		sockaddr_print(&bound, player->name);
	return 0;
}

int player_open(struct player *player, struct event_base *base, int family,
		const struct amt_sockaddr *local, uint64_t buffer, struct error *err)
{
	int one = 1, ret;

	player->fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (player->fd < 0)
		return error_set(err, -errno, "no socket: %s", strerror(errno));
	set_buffer(player->fd, buffer);
	if (family == AF_INET6) {
		setsockopt(player->fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
		/* data without checksum is to be taken on IPv6 as well */
		setsockopt(player->fd, IPPROTO_UDP, UDP_NO_CHECK6_RX, &one, sizeof(one));
	}
	ret = bind_socket(player, family, local, err);
	if (ret)
		return ret;
	player->readable = event_new(base, player->fd, EV_READ | EV_PERSIST, on_readable, player);
	if (!player->readable || event_add(player->readable, NULL))
		return error_set(err, -ENOMEM, "no memory");
	return 0;
}

void player_close(struct player *player)
{
	if (player->readable)
		event_free(player->readable);
	if (player->fd >= 0)
		close(player->fd);
	receiver_free(&player->receiver);
}

uint64_t player_socket_drops(const struct player *player)
{
	uint32_t memory[SK_MEMINFO_VARS] = {0};
	socklen_t len = sizeof(memory);

	if (player->fd < 0 || getsockopt(player->fd, SOL_SOCKET, SO_MEMINFO, memory, &len))
		return 0;
	return memory[SK_MEMINFO_DROPS];
}
