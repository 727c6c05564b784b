/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The relay's sockets over loopback: where answers leave from, bounds, errors. */
#include "unit/unit.h"
#include "unit/bytes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <amt/wire.h>
#include "base/clock.h"
#include "base/counters.h"
#include "base/descriptors.h"
#include "base/loop.h"
#include "relay/sockets.h"

struct world {
	struct event_base *base;
	struct relay_sockets *sockets;
	uint16_t port;
	unsigned int received, batches, largest_batch, in_batch;
	bool silent;
	unsigned int heavy, next; /* messages that take a millisecond each; which comes next */
	struct amt_sockaddr local;
	size_t len;
};

static void work_a_millisecond(void)
{
	struct timespec ts;
	int64_t end = 0, now;

	do {
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
		now = ts.tv_sec * (int64_t)NSEC_PER_SEC + ts.tv_nsec;
		end = end ? end : now + (int64_t)NSEC_PER_MSEC;
	} while (now < end);
}

/* Sends back what came, as the engine would from inside. */
static void echo(void *arg, uint64_t now, const struct amt_sockaddr *local,
		 const struct amt_sockaddr *peer, const void *buf, size_t len)
{
	struct world *w = arg;

	assert_true(now > 0);
	w->received++;
	w->in_batch++;
	w->local = *local;
	w->len = len;
	if (w->heavy) {
		assert_int_equal(*(const uint8_t *)buf, w->next++);
		work_a_millisecond();
		if (w->next == w->heavy)
			event_base_loopbreak(w->base);
	}
	if (!w->silent)
		relay_sockets_send(w->sockets, local, peer, buf, len);
}

static void after_batch(void *arg)
{
	struct world *w = arg;

	w->batches++;
	if (w->in_batch > w->largest_batch)
		w->largest_batch = w->in_batch;
	w->in_batch = 0;
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	counter_reset_all();
	w->base = event_base_new();
	assert_non_null(w->base);
	w->sockets = relay_sockets_new(w->base, echo, after_batch, w);
	assert_non_null(w->sockets);
	w->port = (uint16_t)(20000 + getpid() % 10000);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	relay_sockets_free(w->sockets);
	event_base_free(w->base);
	free(w);
	return 0;
}

static void listen_on(struct world *w, const char *text)
{
	struct amt_addr addr = address(text);
	struct error err = {""};

	if (relay_sockets_listen(w->sockets, &addr, w->port, &err))
		fail_msg("%s", err.text);
}

/* A client's socket at the address, or at any of the family. */
static int client(const char *text)
{
	const struct amt_sockaddr at = {address(text), 0};
	struct sockaddr_storage native;
	socklen_t len = sockaddr_to_native(&at, &native);
	const struct timeval wait = {.tv_sec = 2};
	int fd = socket(native.ss_family, SOCK_DGRAM, 0), one = 1;

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&native, len), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	if (native.ss_family == AF_INET)
		setsockopt(fd, IPPROTO_IP, IP_RECVTOS, &one, sizeof(one));
	else
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, &one, sizeof(one));
	return fd;
}

static void ask(int fd, const char *to, uint16_t port, const void *buf, size_t len)
{
	const struct amt_sockaddr sa = {address(to), htons(port)};
	struct sockaddr_storage native;
	socklen_t native_len = sockaddr_to_native(&sa, &native);

	assert_int_equal(sendto(fd, buf, len, 0, (struct sockaddr *)&native, native_len), len);
}

static void run(struct world *w)
{
	int i;

	for (i = 0; i < 50; i++)
		event_base_loop(w->base, EVLOOP_NONBLOCK);
}

/* Receives one answer: who sent it, with which traffic class. Returns its length. */
static ssize_t answer(int fd, struct amt_sockaddr *from, int *tos)
{
	struct sockaddr_storage native;
	char control[64] __attribute__((aligned(8)));
	uint8_t buf[2048];
	struct iovec iov = {buf, sizeof(buf)};
	struct msghdr msg = {
		.msg_name = &native,
		.msg_namelen = sizeof(native),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(fd, &msg, 0);
	struct cmsghdr *cmsg;

	if (n < 0)
		return n;
	assert_int_equal(sockaddr_from_native((struct sockaddr *)&native, from), 0);
	cmsg = CMSG_FIRSTHDR(&msg);
	*tos = -1;
	if (cmsg)
		*tos = cmsg->cmsg_level == IPPROTO_IP ? *CMSG_DATA(cmsg) : *(int *)CMSG_DATA(cmsg);
	return n;
}

static void answered_from(struct world *w, const char *from, const char *to)
{
	const struct amt_sockaddr asked = {address(to), htons(w->port)};
	struct amt_sockaddr by;
	int fd = client(from), tos;

	ask(fd, to, w->port, "12345678", 8);
	run(w);
	assert_int_equal(answer(fd, &by, &tos), 8);
	assert_true(sockaddr_equal(&by, &asked)); /* */
	assert_true(sockaddr_equal(&w->local, &asked));
	assert_int_equal(tos, AMT_TOS_CS6); /* */
	close(fd);
}

static void answers_leave_from_the_asked_address(void **state)
{
	struct world *w = *state;

	listen_on(w, "127.0.0.2");
	listen_on(w, "127.0.0.3");
	listen_on(w, "::1");
	listen_on(w, "127.0.0.3"); /* harmless */
	answered_from(w, "127.0.0.1", "127.0.0.2");
	answered_from(w, "127.0.0.1", "127.0.0.3");
	answered_from(w, "127.0.0.9", "127.0.0.3");
	answered_from(w, "::1", "::1");
	assert_int_equal(counter_get(AMT_COUNT_SEND_FAILED), 0);
}

static void multicast_data_has_its_own_class(void **state)
{
	struct world *w = *state;
	struct sockaddr_storage native;
	socklen_t len = sizeof(native);
	struct amt_sockaddr local = {address("127.0.0.2"), htons(w->port)}, peer, by;
	int fd = client("127.0.0.1"), tos;

	listen_on(w, "127.0.0.2");
	assert_int_equal(getsockname(fd, (struct sockaddr *)&native, &len), 0);
	assert_int_equal(sockaddr_from_native((struct sockaddr *)&native, &peer), 0);
	/* outside of a wake-up: goes out by itself */
	relay_sockets_send_data(w->sockets, &local, &peer, 0xb9, "data", 4);
	relay_sockets_send(w->sockets, &local, &peer, "control", 7);
	run(w);
	assert_int_equal(answer(fd, &by, &tos), 4);
	assert_int_equal(tos, 0xb9);
	assert_int_equal(answer(fd, &by, &tos), 7);
	assert_int_equal(tos, AMT_TOS_CS6);
	close(fd);
}

/* A gateway that is gone answers with ICMP; the next one is served all the same */
static void icmp_errors_do_not_stop_reading(void **state)
{
	struct world *w = *state;
	int i, fd;

	listen_on(w, "127.0.0.2");
	listen_on(w, "::1");
	for (i = 0; i < 20; i++) {
		fd = client("127.0.0.1");
		ask(fd, "127.0.0.2", w->port, "12345678", 8);
		close(fd);
		fd = client("::1");
		ask(fd, "::1", w->port, "12345678", 8);
		close(fd);
		run(w);
	}
	assert_int_equal(w->received, 40);
	answered_from(w, "127.0.0.1", "127.0.0.2");
	answered_from(w, "::1", "::1");
}

/* Of one batch, the message that the stack refuses (here: broadcast) is lost, no other */
static void one_refused_message_loses_no_other(void **state)
{
	struct world *w = *state;
	struct sockaddr_storage native;
	socklen_t len = sizeof(native);
	struct amt_sockaddr local = {address("127.0.0.2"), htons(w->port)}, peer, by;
	const struct amt_sockaddr refused = {address("255.255.255.255"), htons(9)};
	int fd = client("127.0.0.1"), tos;

	listen_on(w, "127.0.0.2");
	assert_int_equal(getsockname(fd, (struct sockaddr *)&native, &len), 0);
	assert_int_equal(sockaddr_from_native((struct sockaddr *)&native, &peer), 0);
	relay_sockets_send(w->sockets, &local, &peer, "1", 1);
	relay_sockets_send(w->sockets, &local, &refused, "22", 2);
	relay_sockets_send(w->sockets, &local, &peer, "333", 3);
	run(w);
	assert_int_equal(answer(fd, &by, &tos), 1);
	assert_int_equal(answer(fd, &by, &tos), 3);
	assert_int_equal(counter_get(AMT_COUNT_SEND_FAILED), 1);
	close(fd);
}

/* A flood on one address gives others their turn */
static void wake_ups_are_bounded(void **state)
{
	struct world *w = *state;
	int fd = client("127.0.0.1"), i;

	w->silent = true;
	listen_on(w, "127.0.0.2");
	for (i = 0; i < 2000; i++)
		ask(fd, "127.0.0.2", w->port, "12345678", 8);
	run(w);
	assert_int_equal(w->received, 2000);
	assert_true(w->largest_batch <= 256);
	assert_true(w->batches >= 8);
	close(fd);
}

static void long_and_empty_messages_arrive(void **state)
{
	struct world *w = *state;
	uint8_t *large = calloc(1, 20000);
	int fd = client("127.0.0.1");

	assert_non_null(large);
	w->silent = true;
	listen_on(w, "127.0.0.2");
	ask(fd, "127.0.0.2", w->port, large, 20000);
	run(w);
	assert_int_equal(w->received, 1);
	assert_true(w->len >= 9000 && w->len < 20000); /* cut off */
	ask(fd, "127.0.0.2", w->port, large, 0);
	run(w);
	assert_int_equal(w->received, 2);
	assert_int_equal(w->len, 0);
	free(large);
	close(fd);
}

static void errors_say_what_to_do(void **state)
{
	struct world *w = *state;
	struct amt_addr missing = address("192.0.2.77"), missing6 = address("2001:db8::77");
	struct amt_addr taken = address("127.0.0.2");
	struct world *other;
	struct error err = {""};

	assert_int_equal(relay_sockets_listen(w->sockets, &missing, w->port, &err), -EADDRNOTAVAIL);
	assert_non_null(strstr(err.text, "192.0.2.77"));
	assert_non_null(strstr(err.text, "ip address add"));
	assert_int_equal(relay_sockets_listen(w->sockets, &missing6, w->port, &err),
			 -EADDRNOTAVAIL);
	assert_non_null(strstr(err.text, "2001:db8::77"));
	listen_on(w, "127.0.0.2");
	setup((void **)&other);
	assert_int_equal(relay_sockets_listen(other->sockets, &taken, w->port, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, "ss -lunp"));
	/* closed, it is free for the other */
	relay_sockets_close(w->sockets, &taken);
	relay_sockets_settle(w->sockets);
	assert_int_equal(relay_sockets_listen(other->sockets, &taken, w->port, &err), 0);
	teardown((void **)&other);
}

static void count_address(void *arg, const struct amt_sockaddr *local)
{
	unsigned int *n = arg;

	(*n)++;
}

static void addresses_can_be_listed(void **state)
{
	struct world *w = *state;
	struct amt_addr addr = address("127.0.0.2");
	unsigned int n = 0;

	listen_on(w, "127.0.0.2");
	listen_on(w, "127.0.0.3");
	relay_sockets_walk(w->sockets, count_address, &n);
	assert_int_equal(n, 2);
	relay_sockets_close(w->sockets, &addr);
	relay_sockets_close(w->sockets, &addr);
	relay_sockets_walk(w->sockets, count_address, &n);
	assert_int_equal(n, 3);
}

/* A second relay takes over what the first one listened with, and what came before it was there; an
 * address that it does not want is free then. */
static void sockets_are_adopted(void **state)
{
	struct world *first = *state, *second;
	struct descriptors kept;
	struct amt_addr unwanted = address("127.0.0.3");
	int fd = client("127.0.0.1");
	unsigned int i;
	struct error err;

	listen_on(first, "127.0.0.2");
	listen_on(first, "127.0.0.3");
	listen_on(first, "::1");
	relay_sockets_list(first->sockets, &kept);
	assert_int_equal(kept.n, 3);
	for (i = 0; i < kept.n; i++)
		kept.fd[i] = dup(kept.fd[i]);
	relay_sockets_free(first->sockets);
	first->sockets = NULL;
	ask(fd, "127.0.0.2", first->port, "12345678", 8);

	setup((void **)&second);
	relay_sockets_adopt(second->sockets, &kept);
	listen_on(second, "127.0.0.2");
	listen_on(second, "::1");
	run(second);
	assert_int_equal(second->received, 1);
	first->sockets = relay_sockets_new(first->base, echo, after_batch, first);
	assert_int_equal(relay_sockets_listen(first->sockets, &unwanted, first->port, &err),
			 -EADDRINUSE);
	relay_sockets_settle(second->sockets);
	listen_on(first, "127.0.0.3");
	answered_from(second, "127.0.0.1", "127.0.0.2");
	answered_from(second, "::1", "::1");
	teardown((void **)&second);
	close(fd);
}

static bool can_listen(struct world *w, const struct amt_addr *addr)
{
	struct relay_sockets *other = relay_sockets_new(w->base, echo, after_batch, w);
	bool can = !relay_sockets_listen(other, addr, w->port, NULL);

	relay_sockets_free(other);
	return can;
}

/* An address that returns while the holder still has its socket: it is the same socket, with what
 * came to it. One that does not return is free after a while. */
static void closed_and_listened_again(void **state)
{
	const struct timeval moment = {.tv_usec = 1300000};
	struct amt_addr local = address("127.0.0.2");
	struct world *w = *state;
	struct descriptors kept;
	int fd = client("127.0.0.1"), holders;
	struct error err;

	listen_on(w, "127.0.0.2");
	relay_sockets_list(w->sockets, &kept);
	holders = dup(kept.fd[0]);
	relay_sockets_close(w->sockets, &local);
	ask(fd, "127.0.0.2", w->port, "12345678", 8);
	assert_int_equal(relay_sockets_listen(w->sockets, &local, w->port, &err), 0);
	run(w);
	assert_int_equal(w->received, 1);
	answered_from(w, "127.0.0.1", "127.0.0.2");
	close(holders);
	close(fd);

	relay_sockets_close(w->sockets, &local);
	assert_false(can_listen(w, &local));
	event_base_loopexit(w->base, &moment);
	event_base_dispatch(w->base);
	assert_true(can_listen(w, &local));
	listen_on(w, "127.0.0.2");
	relay_sockets_close(w->sockets, &local);
	relay_sockets_settle(w->sockets);
	assert_true(can_listen(w, &local));
}

/* A network of its own, with a loopback of that MTU; the rest of the process stays there. */
static bool own_loopback(int mtu)
{
	struct ifreq ifr = {.ifr_name = "lo"};
	int fd;

	if (unshare(CLONE_NEWNET))
		return false;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	ifr.ifr_mtu = mtu;
	assert_int_equal(ioctl(fd, SIOCSIFMTU, &ifr), 0);
	ifr.ifr_flags = IFF_UP;
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &ifr), 0);
	close(fd);
	return true;
}

static void send_large(struct world *w, const char *addr, size_t len, uint64_t failed)
{
	const struct amt_sockaddr local = {address(addr), htons(w->port)};
	const struct amt_sockaddr peer = {address(addr), htons(9)};
	uint8_t octets[2000] = {0};

	relay_sockets_send(w->sockets, &local, &peer, octets, len);
	run(w);
	assert_int_equal(counter_get(AMT_COUNT_SEND_FAILED), failed);
}

/* what does not fit is not sent, for the stack may not fragment it */
static void nothing_is_fragmented_outside(void **state)
{
	struct world *w = *state;

	if (!own_loopback(1500))
		skip();
	listen_on(w, "127.0.0.1");
	listen_on(w, "::1");
	send_large(w, "127.0.0.1", 1500 - 28, 0);
	send_large(w, "127.0.0.1", 1500 - 27, 1);
	send_large(w, "::1", 1500 - 48, 1);
	send_large(w, "::1", 1500 - 47, 2);
}

/* One batch may hold more work than a turn of the loop should do: the rest comes in later turns, in
 * order, though nothing more arrives that could wake us. */
static void share_the_loop(struct world *w, size_t len, unsigned int at_once)
{
	int fd = client("127.0.0.1");
	struct loop_stats before, stats;
	uint8_t message[1024] = {0};

	w->silent = true;
	w->heavy = 30;
	listen_on(w, "127.0.0.1");
	loop_stats(&before);
	for (message[0] = 0; message[0] < w->heavy; message[0]++)
		ask(fd, "127.0.0.1", w->port, message, len);
	loop_run(w->base);
	assert_int_equal(w->received, 30);
	assert_true(w->largest_batch <= at_once);
	loop_stats(&stats);
	assert_true(stats.turns - before.turns >= 30 / at_once);
	close(fd);
}

static void heavy_messages_share_the_loop(void **state)
{
	share_the_loop(*state, 1, 8);
}

/* Of long ones, which may join a hundred groups each, no more than has to be: a turn is long after
 * the second of these. */
static void long_messages_end_a_turn(void **state)
{
	share_the_loop(*state, 1000, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(answers_leave_from_the_asked_address),
		TEST(multicast_data_has_its_own_class),
		TEST(icmp_errors_do_not_stop_reading),
		TEST(one_refused_message_loses_no_other),
		TEST(wake_ups_are_bounded),
		TEST(heavy_messages_share_the_loop),
		TEST(long_messages_end_a_turn),
		TEST(long_and_empty_messages_arrive),
		TEST(errors_say_what_to_do),
		TEST(addresses_can_be_listed),
		TEST(sockets_are_adopted),
		TEST(closed_and_listened_again),
		TEST(nothing_is_fragmented_outside), /* last: it changes the network */
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
