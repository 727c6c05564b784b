/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The gateway's UDP sockets over loopback, in both families. */
#include "unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <amt/wire.h>
#include "base/clock.h"
#include "gateway/port.h"

static const struct side {
	const char *text;
	int family, level, receive_tos, tos;
} sides[] = {
	{"127.0.0.1", AF_INET, IPPROTO_IP, IP_RECVTOS, IP_TOS},
	{"::1", AF_INET6, IPPROTO_IPV6, IPV6_RECVTCLASS, IPV6_TCLASS},
};

#define NSIDES (sizeof(sides) / sizeof(sides[0]))

static struct event_base *base;
static struct port *port;
static struct error failure;
static unsigned int received, data, unreachable;
static struct amt_sockaddr last_peer, unreachable_peer;
static uint8_t last[256], last_tos;
static size_t last_len;

static void on_receive(void *arg, uint64_t now, const struct amt_sockaddr *peer, const void *buf,
		       size_t len)
{
	received++;
	last_peer = *peer;
	last_len = len;
	memcpy(last, buf, len < sizeof(last) ? len : sizeof(last));
}

static void on_data(void *arg, uint64_t now, const struct amt_sockaddr *peer, uint8_t tos,
		    uint8_t *buf, size_t len)
{
	data++;
	last_tos = tos;
	last_len = len;
}

static void on_unreachable(void *arg, uint64_t now, const struct amt_sockaddr *peer)
{
	unreachable++;
	unreachable_peer = *peer;
}

static struct port_options options_of(void)
{
	return (struct port_options){
		.receive = on_receive, .data = on_data, .unreachable = on_unreachable};
}

static void open_with(const struct port_options *options)
{
	if (port_open(&port, options, base, &failure))
		fail_msg("%s", failure.text);
}

static int setup(void **state)
{
	struct port_options options = options_of();

	received = data = unreachable = 0;
	base = event_base_new();
	open_with(&options);
	return 0;
}

static int teardown(void **state)
{
	port_close(port);
	event_base_free(base);
	return 0;
}

static void turn_loop(void)
{
	struct timeval wait = {.tv_usec = 20000};

	event_base_loopexit(base, &wait);
	event_base_dispatch(base);
}

static struct amt_addr addr(const char *text)
{
	struct amt_addr out;

	assert_int_equal(addr_parse(text, &out), 0);
	return out;
}

/* A relay's socket, and where it is. */
static int relay_open(const struct side *side, struct amt_sockaddr *where)
{
	struct timeval patience = {.tv_sec = 2};
	struct sockaddr_storage native;
	socklen_t len;
	int fd = socket(side->family, SOCK_DGRAM | SOCK_CLOEXEC, 0), yes = 1;

	assert_true(fd >= 0);
	*where = (struct amt_sockaddr){.addr = addr(side->text)};
	len = sockaddr_to_native(where, &native);
	assert_int_equal(bind(fd, (struct sockaddr *)&native, len), 0);
	assert_int_equal(setsockopt(fd, side->level, side->receive_tos, &yes, sizeof(yes)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	len = sizeof(native);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&native, &len), 0);
	assert_int_equal(sockaddr_from_native((struct sockaddr *)&native, where), 0);
	return fd;
}

static struct amt_sockaddr gateway_of(const struct side *side)
{
	return (struct amt_sockaddr){addr(side->text), htons(port_number(port, side->family))};
}

static void relay_send(int fd, const struct side *side, const void *buf, size_t len)
{
	struct amt_sockaddr to = gateway_of(side);
	struct sockaddr_storage native;
	socklen_t native_len = sockaddr_to_native(&to, &native);

	assert_int_equal(sendto(fd, buf, len, 0, (struct sockaddr *)&native, native_len), len);
}

static void test_messages_both_ways(void **state)
{
	struct amt_sockaddr relay, from, local;
	char control[64], text[16];
	struct sockaddr_storage native;
	struct iovec iov = {text, sizeof(text)};
	size_t i;

	for (i = 0; i < NSIDES; i++) {
		struct msghdr message = {.msg_name = &native,
					 .msg_namelen = sizeof(native),
					 .msg_iov = &iov,
					 .msg_iovlen = 1,
					 .msg_control = control,
					 .msg_controllen = sizeof(control)};
		int fd = relay_open(&sides[i], &relay), tos = 0;
		struct cmsghdr *part;

		assert_int_equal(port_send(port, &relay, "request", 7), 0);
		assert_int_equal(recvmsg(fd, &message, 0), 7);
		part = CMSG_FIRSTHDR(&message);
		assert_non_null(part);
		memcpy(&tos, CMSG_DATA(part), sides[i].family == AF_INET ? 1 : 4);
		assert_int_equal(tos, AMT_TOS_CS6);
		assert_int_equal(sockaddr_from_native((struct sockaddr *)&native, &from), 0);
		assert_int_equal(port_local(port, &relay.addr, &local), 0);
		assert_true(sockaddr_equal(&from, &local));
		relay_send(fd, &sides[i], "\004query", 6);
		turn_loop();
		assert_int_equal(received, i + 1);
		assert_int_equal(last_len, 6);
		assert_memory_equal(last, "\004query", 6);
		assert_true(sockaddr_equal(&last_peer, &relay));
		close(fd);
	}
}

static void test_data_goes_its_own_way(void **state)
{
	uint8_t large[60000] = {AMT_DATA};
	struct amt_sockaddr relay;
	int fd = relay_open(&sides[0], &relay);

	relay_send(fd, &sides[0], large, sizeof(large));
	relay_send(fd, &sides[0], "\006", 1);
	relay_send(fd, &sides[0], "", 0);
	relay_send(fd, &sides[0], "\026data", 5);
	turn_loop();
	assert_int_equal(data, 2);
	assert_int_equal(received, 2); /* to be counted as too short, and as of another version */
	assert_int_equal(port_data_messages(port), 2);
	close(fd);
}

/* */
static void test_data_comes_with_its_tos(void **state)
{
	struct amt_sockaddr relay;
	unsigned int i;
	int fd, tos = 0xb9;

	for (i = 0; i < 2; i++) {
		fd = relay_open(&sides[i], &relay);
		assert_int_equal(setsockopt(fd, i ? IPPROTO_IPV6 : IPPROTO_IP,
					    i ? IPV6_TCLASS : IP_TOS, &tos, sizeof(tos)),
				 0);
		last_tos = 0;
		relay_send(fd, &sides[i], "\006data", 5);
		turn_loop();
		assert_int_equal(data, i + 1);
		assert_int_equal(last_tos, 0xb9);
		close(fd);
	}
}

/* RFC 6936, R-08 */
static void test_zero_checksum_over_ipv6(void **state)
{
	struct amt_sockaddr relay;
	int fd = relay_open(&sides[1], &relay), yes = 1;

	assert_int_equal(setsockopt(fd, IPPROTO_UDP, UDP_NO_CHECK6_TX, &yes, sizeof(yes)), 0);
	relay_send(fd, &sides[1], "\006data", 5);
	turn_loop();
	assert_int_equal(data, 1);
	close(fd);
}

static void test_bursts_come_whole(void **state)
{
	struct amt_sockaddr relay;
	int fd = relay_open(&sides[0], &relay);
	unsigned int i;

	for (i = 0; i < 300; i++)
		relay_send(fd, &sides[0], "\004", 1);
	for (i = 0; i < 5; i++)
		turn_loop();
	assert_int_equal(received, 300);
	close(fd);
}

static void test_unreachable_is_told(void **state)
{
	struct amt_sockaddr gone, relay;
	size_t i;

	for (i = 0; i < NSIDES; i++) {
		int fd = relay_open(&sides[i], &gone);

		close(fd); /* nobody listens there now */
		fd = relay_open(&sides[i], &relay);
		unreachable = 0;
		assert_int_equal(port_send(port, &gone, "request", 7), 0);
		/* the error that waits stops no other message */
		assert_int_equal(port_send(port, &relay, "request", 7), 0);
		turn_loop();
		assert_int_equal(unreachable, 1);
		assert_true(sockaddr_equal(&unreachable_peer, &gone));
		relay_send(fd, &sides[i], "\004", 1);
		received = 0;
		turn_loop();
		assert_int_equal(received, 1);
		close(fd);
	}
}

static void test_port_is_kept(void **state)
{
	struct port_options options = options_of();
	uint16_t ipv4 = port_number(port, AF_INET), ipv6 = port_number(port, AF_INET6);

	assert_int_not_equal(ipv4, 0);
	port_close(port);
	options.saved_ipv4 = ipv4;
	options.saved_ipv6 = ipv6;
	open_with(&options);
	assert_int_equal(port_number(port, AF_INET), ipv4);
	assert_int_equal(port_number(port, AF_INET6), ipv6);
}

static void test_port_is_taken(void **state)
{
	struct port_options options = options_of();
	struct port *first = port;
	uint16_t ipv4 = port_number(port, AF_INET);

	/* a saved one is given up, a configured one is an error */
	options.saved_ipv4 = ipv4;
	open_with(&options);
	assert_int_not_equal(port_number(port, AF_INET), ipv4);
	assert_int_not_equal(port_number(port, AF_INET), 0);
	port_close(port);
	options.port = ipv4;
	assert_int_equal(port_open(&port, &options, base, &failure), -EADDRINUSE);
	assert_non_null(strstr(failure.text, "another program does"));
	port = first;
}

static void test_source_is_configured(void **state)
{
	struct port_options options = options_of();
	struct amt_sockaddr local;
	struct amt_addr relay = addr("127.0.0.1");

	port_close(port);
	options.source_ipv4 = addr("127.0.0.9");
	open_with(&options);
	assert_int_equal(port_local(port, &relay, &local), 0);
	assert_true(addr_equal(&local.addr, &options.source_ipv4));
	port_close(port);
	options.source_ipv4 = addr("192.0.2.254");
	port = NULL;
	assert_int_equal(port_open(&port, &options, base, &failure), -EADDRNOTAVAIL);
	assert_non_null(strstr(failure.text, "192.0.2.254"));
}

#define port_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		port_test(test_messages_both_ways),	 port_test(test_data_goes_its_own_way),
		port_test(test_zero_checksum_over_ipv6), port_test(test_bursts_come_whole),
		port_test(test_unreachable_is_told),	 port_test(test_port_is_kept),
		port_test(test_port_is_taken),		 port_test(test_source_is_configured),
		port_test(test_data_comes_with_its_tos),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
