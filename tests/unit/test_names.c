/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names of relays, asked of a name server of our own on loopback. */
#include "unit/unit.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "gateway/names.h"

#define TYPE_A	  1
#define TYPE_AAAA 28

static struct event_base *base;
static struct names *names;
static struct event *server;
static int server_fd;
static unsigned int asked;
static char resolv_conf[] = "/tmp/amt-resolv-XXXXXX", hosts[] = "/tmp/amt-hosts-XXXXXX";

static unsigned int answers, last_id, last_n;
static struct amt_addr last_addrs[NAMES_ADDRS_MAX];
static char last_why[128];

/* ---- the name server ---- */

/* First label of the question, and its end. */
static size_t question_of(const uint8_t *buf, char *label, uint16_t *type)
{
	size_t at = 12;

	memcpy(label, buf + 13, buf[12]);
	label[buf[12]] = '\0';
	while (buf[at])
		at += (size_t)buf[at] + 1;
	*type = (uint16_t)(buf[at + 1] << 8 | buf[at + 2]);
	return at + 5;
}

static size_t put_answer(uint8_t *buf, size_t len, const char *text)
{
	static const uint8_t head[] = {0xc0, 12, 0, 0, 0, 1, 0, 0, 0, 60, 0, 0};
	struct amt_addr addr;
	size_t size;

	assert_int_equal(addr_parse(text, &addr), 0);
	size = addr_is_ipv4(&addr) ? 4 : 16;
	memcpy(buf + len, head, sizeof(head));
	buf[len + 3] = size == 4 ? TYPE_A : TYPE_AAAA;
	buf[len + 11] = (uint8_t)size;
	memcpy(buf + len + 12, addr.bytes + 16 - size, size);
	buf[7]++;
	return len + 12 + size;
}

static void on_question(evutil_socket_t fd, short what, void *arg)
{
	struct sockaddr_storage peer;
	socklen_t peer_len = sizeof(peer);
	uint8_t buf[512];
	char label[64];
	uint16_t type;
	ssize_t got = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&peer, &peer_len);
	size_t len;

	assert_true(got > 17);
	asked++;
	len = question_of(buf, label, &type);
	if (strcasecmp(label, "silent") == 0)
		return;
	buf[2] = 0x81;
	buf[3] = 0x80;
	memset(buf + 6, 0, 6);
	if (strcasecmp(label, "fails") == 0)
		buf[3] |= 2;
	else if (strcasecmp(label, "none") == 0)
		buf[3] |= 3;
	else if (type == TYPE_A) {
		len = put_answer(buf, len, "192.0.2.1");
		len = put_answer(buf, len, "192.0.2.1");
		len = put_answer(buf, len, "224.0.0.1");
		len = put_answer(buf, len, "192.0.2.2");
	} else if (type == TYPE_AAAA)
		len = put_answer(buf, len, "2001:db8::1");
	sendto(fd, buf, len, 0, (struct sockaddr *)&peer, peer_len);
}

static uint16_t server_open(void)
{
	struct sockaddr_in local = {.sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(local);

	server_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(server_fd, (struct sockaddr *)&local, len), 0);
	assert_int_equal(getsockname(server_fd, (struct sockaddr *)&local, &len), 0);
	server = event_new(base, server_fd, EV_READ | EV_PERSIST, on_question, NULL);
	event_add(server, NULL);
	return ntohs(local.sin_port);
}

/* ---- the one who asks ---- */

static void on_answer(void *arg, unsigned int id, const struct amt_addr *addrs, unsigned int naddrs,
		      const char *why)
{
	answers++;
	last_id = id;
	last_n = naddrs;
	assert_true(naddrs ? !why : why != NULL);
	memcpy(last_addrs, addrs, naddrs * sizeof(*addrs));
	snprintf(last_why, sizeof(last_why), "%s", why ? why : "");
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void write_server(uint16_t port)
{
	char text[64];

	snprintf(text, sizeof(text), "nameserver 127.0.0.1:%u\n", port);
	write_file(resolv_conf, text);
}

static void open_names(unsigned int total_ms)
{
	struct names_options options = {.resolv_conf = resolv_conf,
					.hosts = hosts,
					.timeout_ms = 100,
					.attempts = 2,
					.total_ms = total_ms};

	names = names_new(base, &options, on_answer, NULL);
	assert_non_null(names);
}

static int setup(void **state)
{
	strcpy(resolv_conf + strlen(resolv_conf) - 6, "XXXXXX");
	strcpy(hosts + strlen(hosts) - 6, "XXXXXX");
	close(mkstemp(resolv_conf));
	close(mkstemp(hosts));
	base = event_base_new();
	write_server(server_open());
	write_file(hosts, "192.0.2.77 relay.test other\n2001:db8::77 relay.test\n");
	answers = asked = 0;
	open_names(3000);
	return 0;
}

static void turn_loop(unsigned int ms)
{
	struct timeval wait = {.tv_usec = ms * 1000};

	event_base_loopexit(base, &wait);
	event_base_dispatch(base);
}

static int teardown(void **state)
{
	names_free(names);
	turn_loop(10);
	event_free(server);
	close(server_fd);
	event_base_free(base);
	unlink(resolv_conf);
	unlink(hosts);
	return 0;
}

static void await_answers(unsigned int n)
{
	uint64_t end = clock_now() + 5 * NSEC_PER_SEC;

	while (answers < n && clock_now() < end)
		turn_loop(10);
	assert_int_equal(answers, n);
}

static bool has(const char *text)
{
	struct amt_addr addr;
	unsigned int i;

	assert_int_equal(addr_parse(text, &addr), 0);
	for (i = 0; i < last_n; i++)
		if (addr_equal(&last_addrs[i], &addr))
			return true;
	return false;
}

static void test_both_families(void **state)
{
	assert_int_equal(names_resolve(names, 7, "good.example"), 0);
	assert_int_equal(answers, 0);
	await_answers(1);
	assert_int_equal(last_id, 7);
	assert_int_equal(last_n, 3); /* once each, and no multicast address */
	assert_true(has("192.0.2.1") && has("192.0.2.2") && has("2001:db8::1"));
}

static void test_hosts_file(void **state)
{
	assert_int_equal(names_resolve(names, 1, "relay.test"), 0);
	await_answers(1);
	assert_int_equal(last_n, 2);
	assert_true(has("192.0.2.77") && has("2001:db8::77"));
	assert_int_equal(asked, 0);
}

static void test_addresses_are_their_own_answer(void **state)
{
	assert_int_equal(names_resolve(names, 1, "192.0.2.9"), 0);
	assert_int_equal(answers, 0); /* not inside the call */
	await_answers(1);
	assert_true(last_n == 1 && has("192.0.2.9"));
	assert_int_equal(names_resolve(names, 2, "2001:db8::9"), 0);
	await_answers(2);
	assert_true(last_n == 1 && has("2001:db8::9"));
	assert_int_equal(asked, 0);
}

static void test_failures_end(void **state)
{
	static const char *const bad[] = {"none.example", "fails.example", "silent.example",
					  "127.0.0.1", "224.0.0.1"};
	unsigned int i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		asked = 0;
		assert_int_equal(names_resolve(names, i, bad[i]), 0);
		await_answers(i + 1);
		assert_int_equal(last_n, 0);
		assert_int_not_equal(strlen(last_why), 0);
		assert_true(asked <= 8); /* two families, few attempts */
	}
}

static void test_time_is_bounded(void **state)
{
	uint64_t start = clock_now();

	names_free(names);
	open_names(50);
	names_resolve(names, 1, "silent.example");
	await_answers(1);
	assert_true(clock_now() - start < NSEC_PER_SEC);
	assert_string_equal(last_why, "no answer in time");
	/* and the next is served */
	names_resolve(names, 2, "good.example");
	await_answers(2);
	assert_int_equal(last_n, 3);
}

static void test_nobody_at_the_server(void **state)
{
	names_free(names);
	open_names(1000);
	event_free(server);
	close(server_fd);
	names_resolve(names, 1, "good.example");
	await_answers(1);
	assert_int_equal(last_n, 0);
	/* the configuration is read again, as after a change of network */
	write_server(server_open());
	names_resolve(names, 1, "good.example");
	await_answers(2);
	assert_int_equal(last_n, 3);
}

static void test_no_files(void **state)
{
	unlink(resolv_conf);
	unlink(hosts);
	names_resolve(names, 1, "192.0.2.9");
	await_answers(1);
	assert_true(has("192.0.2.9"));
}

static void test_many_at_once_and_cancel(void **state)
{
	unsigned int i;
	char name[32];

	for (i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "good%u.example", i);
		assert_int_equal(names_resolve(names, i, name), 0);
	}
	names_cancel(names, 3);
	names_cancel(names, 99);
	assert_int_equal(names_resolve(names, 4, "relay.test"), 0); /* in its place */
	await_answers(19);
	turn_loop(50);
	assert_int_equal(answers, 19);
}

/* Freed with open questions, before and after they were sent. */
static void test_free_while_open(void **state)
{
	names_resolve(names, 1, "silent.example");
	names_resolve(names, 2, "192.0.2.9");
	names_free(names);
	turn_loop(20);
	open_names(1000);
	names_resolve(names, 1, "silent.example");
	turn_loop(150);
	names_cancel(names, 1);
	names_free(names);
	turn_loop(20);
	assert_int_equal(answers, 0);
	open_names(1000);
}

#define names_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		names_test(test_both_families),
		names_test(test_hosts_file),
		names_test(test_addresses_are_their_own_answer),
		names_test(test_failures_end),
		names_test(test_time_is_bounded),
		names_test(test_nobody_at_the_server),
		names_test(test_no_files),
		names_test(test_many_at_once_and_cancel),
		names_test(test_free_while_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
