/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control socket against well-meaning, slow, wrong and vanishing clients; its own client. */
#include "unit/unit.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <event2/event.h>
#include "base/loop.h"
#include "control/client.h"
#include "control/listen.h"
#include "control/server.h"

#define ROWS 20000u

static struct event_base *base;
static struct control_server *server;
static char folder[] = "/tmp/amt-control-XXXXXX", path[64];
static unsigned int rows_made, rows_freed, thens;
static bool in_loop_run;

/* ---- a backend without a relay ---- */

static void handle_echo(void *arg, const json_t *request, struct control_answer *answer)
{
	control_answer(answer, json_pack("{sO}", "echo", json_object_get(request, "value")));
}

static void handle_fail(void *arg, const json_t *request, struct control_answer *answer)
{
	control_fail(answer, "no such thing: %s", "\xc3\xa4\n");
}

static void handle_then(void *arg, const json_t *request, struct control_answer *answer)
{
	control_answer(answer, json_object());
	control_answer_then(answer, arg, &thens);
}

static void count(void *arg)
{
	(*(unsigned int *)arg)++;
}

static json_t *next_row(void *state)
{
	unsigned int *left = state;

	if (!*left)
		return NULL;
	rows_made++;
	return json_pack("{si ss}", "row", ROWS - (*left)--, "text",
			 "forty octets of nothing useful");
}

static void free_rows(void *state)
{
	rows_freed++;
	free(state);
}

static void handle_rows(void *arg, const json_t *request, struct control_answer *answer)
{
	unsigned int *left = malloc(sizeof(*left));
	struct control_rows rows = {.next = next_row, .free = free_rows, .state = left};

	*left = json_is_true(json_object_get(request, "none")) ? 0 : ROWS;
	control_answer_rows(answer, json_pack("{si}", "interval", 125), "rows", &rows);
}

/* Rows that are lists: of 3 items, of none, of LIST. Each piece but the last is found in a long
 * turn, and every other piece is empty. */
#define LIST 5

struct lists {
	unsigned int row, item;
	bool empty;
};

static const unsigned int lists[] = {3, 0, LIST};

static json_t *next_list(void *state)
{
	struct lists *at = state;

	at->item = 0;
	return at->row < 3 ? json_pack("{si}", "row", at->row++) : NULL;
}

static bool add_items(void *state, json_t *items)
{
	struct lists *at = state;
	unsigned int n = lists[at->row - 1];

	while (in_loop_run && !loop_turn_is_long())
		;
	at->empty = !at->empty;
	if (!at->empty && at->item < n)
		json_array_append_new(items, json_integer(at->item++));
	return at->item < n;
}

static void free_lists(void *state)
{
	free_rows(state);
	event_base_loopexit(base, NULL);
}

static void handle_lists(void *arg, const json_t *request, struct control_answer *answer)
{
	control_answer_rows(answer, json_object(), "rows",
			    &(struct control_rows){.next = next_list,
						   .list = "list",
						   .add = add_items,
						   .free = free_lists,
						   .state = calloc(1, sizeof(struct lists))});
}

static const struct control_command commands[] = {
	{"echo", handle_echo}, {"fail", handle_fail},	{"then", handle_then},
	{"rows", handle_rows}, {"lists", handle_lists}, {NULL, NULL},
};

static int open_server(void **state)
{
	struct error err;

	rows_made = rows_freed = thens = 0;
	base = event_base_new();
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/run/t.sock", folder);
	assert_int_equal(control_server_open(&server, base, path, commands, count, &err), 0);
	return 0;
}

static int close_server(void **state)
{
	char run[64];

	control_server_close(server);
	event_base_free(base);
	assert_int_equal(access(path, F_OK), -1);
	snprintf(run, sizeof(run), "%s/run", folder);
	assert_int_equal(rmdir(run), 0);
	assert_int_equal(rmdir(folder), 0);
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
	return 0;
}

/* ---- a client in the same thread: the loop turns whenever it waits ---- */

static void turn(void)
{
	event_base_loop(base, EVLOOP_NONBLOCK);
}

static int dial(void)
{
	int fd = control_connect(path);

	assert_true(fd >= 0);
	turn();
	return fd;
}

static void say(int fd, const char *text, size_t length)
{
	while (length) {
		ssize_t n = send(fd, text, length, MSG_DONTWAIT | MSG_NOSIGNAL);

		assert_true(n > 0);
		text += n;
		length -= (size_t)n;
		turn();
	}
}

/* Reads what comes until the end of a line, or of the connection; free it. */
static char *hear(int fd)
{
	char *line = NULL;
	size_t length = 0, room = 0;
	int patience = 2000;

	for (;;) {
		ssize_t n;

		if (length + 1 >= room) {
			room = room ? room * 2 : 4096;
			line = realloc(line, room);
		}
		turn();
		n = recv(fd, line + length, 1, MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN && patience-- > 0) {
			poll(NULL, 0, 1);
			continue;
		}
		if (n <= 0 || line[length] == '\n') {
			line[length] = '\0';
			return line;
		}
		length++;
	}
}

static void expect(int fd, const char *want)
{
	char *line = hear(fd);

	assert_string_equal(line, want);
	free(line);
}

static void ask(int fd, const char *request, const char *want)
{
	say(fd, request, strlen(request));
	expect(fd, want);
}

/* The server has closed: reading ends. */
static void expect_end(int fd)
{
	expect(fd, "");
	assert_int_equal(recv(fd, (char[1]){0}, 1, MSG_DONTWAIT), 0);
	close(fd);
}

/* ---- tests ---- */

static void answers(void **state)
{
	struct stat st;
	int fd = dial();

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	ask(fd, "{\"command\":\"echo\",\"value\":[1,2]}\n", "{\"echo\":[1,2]}");
	ask(fd, "{\"command\":\"fail\"}\n", "{\"error\":\"no such thing: ???\"}");
	ask(fd, "{\"command\":\"rows\",\"none\":true}\n", "{\"interval\":125,\"rows\":[]}");
	ask(fd, "\n\n{\"command\":\"echo\",\"value\":3}\r\n", "{\"echo\":3}");
	close(fd);
	turn();
	assert_int_equal(control_server_clients(server), 0);
}

static void wrong_requests(void **state)
{
	static const char unknown[] =
		"{\"error\":\"amtd knows no command 'fly'; amt-ctl help lists "
		"all\"}";
	static const char no_command[] =
		"{\"error\":\"a request is an object with \\\"command\\\": "
		"\\\"NAME\\\"\"}";
	static const char *const not_json[] = {
		"{\n",
		"{}{}\n",
		"\"a\n",
		"\xff\xfe\n",
		"{\"command\":\"echo\",\"command\":\"echo\"}\n",
		"[[[[[[[[\n",
	};
	int fd = dial();
	size_t i;

	for (i = 0; i < sizeof(not_json) / sizeof(not_json[0]); i++) {
		char *line;

		say(fd, not_json[i], strlen(not_json[i]));
		line = hear(fd);
		assert_memory_equal(line, "{\"error\":\"the request is not JSON: ", 35);
		free(line);
	}
	say(fd, "\0\n", 2);
	free(hear(fd));
	ask(fd, "[]\n", no_command);
	ask(fd, "{\"command\":3}\n", no_command);
	ask(fd, "{\"command\":\"fly\"}\n", unknown);
	ask(fd, "{\"command\":\"echo\",\"value\":0}\n", "{\"echo\":0}");
	close(fd);
}

static void split_and_joined(void **state)
{
	static const char text[] = "{\"command\":\"echo\",\"value\":1}\n";
	char many[16 * sizeof(text)] = "";
	int fd = dial(), i;

	for (i = 0; text[i]; i++)
		say(fd, text + i, 1);
	expect(fd, "{\"echo\":1}");
	for (i = 0; i < 16; i++)
		strcat(many, text);
	say(fd, many, strlen(many));
	for (i = 0; i < 16; i++)
		expect(fd, "{\"echo\":1}");
	close(fd);
}

static void too_long(void **state)
{
	static const char answer[] = "{\"error\":\"the request is longer than 4096 octets\"}";
	static char text[CONTROL_REQUEST_MAX + 100];
	int fd = dial(), with_end = dial();
	unsigned int i;

	memset(text, 'x', sizeof(text));
	for (i = 0; i < 20; i++) /* it does not listen while it talks */
		say(fd, text, sizeof(text));
	expect(fd, answer);
	expect_end(fd);
	text[sizeof(text) - 1] = '\n';
	say(with_end, text, sizeof(text));
	say(with_end, "{\"command\":\"echo\"}\n", 19);
	expect(with_end, answer);
	expect_end(with_end);
	turn();
	assert_int_equal(control_server_clients(server), 0);
}

static void endless(void **state)
{
	static char text[65536];
	int fd = dial(), i;

	memset(text, 'x', sizeof(text));
	for (i = 0; i < 10000 && control_server_clients(server); i++) {
		(void)!send(fd, text, sizeof(text), MSG_DONTWAIT | MSG_NOSIGNAL);
		turn();
	}
	assert_int_equal(control_server_clients(server), 0);
	close(fd);
}

/* socat and nc -N shut down their side at once and wait for the answer. */
static void half_closed(void **state)
{
	int fd = dial(), without_end = dial(), silent = dial();

	say(fd, "{\"command\":\"rows\"}\n{\"command\":\"echo\",\"value\":1}\n", 47);
	shutdown(fd, SHUT_WR);
	free(hear(fd));
	expect(fd, "{\"echo\":1}");
	expect_end(fd);
	say(without_end, "{\"command\":\"echo\",\"value\":2}", 28);
	shutdown(without_end, SHUT_WR);
	expect(without_end, "{\"echo\":2}");
	expect_end(without_end);
	shutdown(silent, SHUT_WR);
	expect_end(silent);
}

static void long_answer(void **state)
{
	int fd = dial();
	char *line;
	json_t *answer;

	say(fd, "{\"command\":\"rows\"}\n", 19);
	poll(NULL, 0, 20);
	turn();
	/* nobody reads yet: no more is made than waits in buffers */
	assert_in_range(rows_made, 100, ROWS / 2);
	line = hear(fd);
	answer = json_loads(line, 0, NULL);
	assert_non_null(answer);
	assert_int_equal(json_array_size(json_object_get(answer, "rows")), ROWS);
	assert_int_equal(json_integer_value(json_object_get(answer, "interval")), 125);
	json_decref(answer);
	free(line);
	assert_int_equal(rows_freed, 1);
	ask(fd, "{\"command\":\"echo\",\"value\":1}\n", "{\"echo\":1}");
	close(fd);
}

static void rows_in_pieces(void **state)
{
	static const char want[] = "{\"rows\":[{\"row\":0,\"list\":[0,1,2]},"
				   "{\"row\":1,\"list\":[]},"
				   "{\"row\":2,\"list\":[0,1,2,3,4]}]}";
	struct loop_stats before, after;
	int fd = dial();

	ask(fd, "{\"command\":\"lists\"}\n", want);
	in_loop_run = true;
	assert_int_equal(send(fd, "{\"command\":\"lists\"}\n", 20, 0), 20);
	loop_stats(&before);
	loop_run(base);
	loop_stats(&after);
	assert_in_range(after.turns - before.turns, 2 * (3 + LIST), 1000);
	in_loop_run = false;
	expect(fd, want);
	assert_int_equal(rows_freed, 2);
	/* in the middle of a row */
	in_loop_run = true;
	assert_int_equal(send(fd, "{\"command\":\"lists\"}\n", 20, 0), 20);
	close(fd);
	loop_run(base);
	in_loop_run = false;
	assert_int_equal(rows_freed, 3);
}

static void vanishing_client(void **state)
{
	int fd = dial(), i;

	say(fd, "{\"command\":\"rows\"}\n", 19);
	close(fd);
	for (i = 0; i < 50; i++)
		turn();
	assert_int_equal(control_server_clients(server), 0);
	assert_int_equal(rows_freed, 1);
	fd = dial();
	say(fd, "{\"command\":\"then\"}\n", 19);
	close(fd);
	for (i = 0; i < 5; i++)
		turn();
	assert_int_equal(thens, 1); /* what was asked for happens */
}

static void wait_ms(int ms)
{
	while (ms-- > 0) {
		turn();
		poll(NULL, 0, 1);
	}
}

static void impatience(void **state)
{
	static const struct timeval short_time = {.tv_sec = 1, .tv_usec = 500000};
	char buf[4096];
	int silent, partial, stalled, slow, i;

	control_server_set_patience(server, &short_time);
	silent = dial();
	partial = dial();
	stalled = dial();
	say(partial, "{\"comm", 6);
	say(stalled, "{\"command\":\"rows\"}\n", 19);
	assert_int_equal(control_server_clients(server), 3);
	for (i = 0; i < 500 && control_server_clients(server); i++)
		wait_ms(10);
	assert_int_equal(control_server_clients(server), 0);
	assert_int_equal(rows_freed, 1);
	close(silent);
	close(partial);
	close(stalled);
	/* slow but steady, for longer than that: waiting for the rest of an answer is not being
	 * idle
	 */
	slow = dial();
	say(slow, "{\"command\":\"rows\"}\n", 19);
	for (i = 0; i < 20; i++) {
		wait_ms(90);
		assert_true(recv(slow, buf, sizeof(buf), MSG_DONTWAIT) > 0);
		while (recv(slow, buf, sizeof(buf), MSG_DONTWAIT) > 0 && i % 2)
			;
	}
	assert_int_equal(control_server_clients(server), 1);
	close(slow);
}

static void then_after_the_answer(void **state)
{
	int fd = dial();

	ask(fd, "{\"command\":\"then\"}\n", "{}");
	turn();
	assert_int_equal(thens, 1);
	close(fd);
	turn();
	assert_int_equal(thens, 1);
}

static void too_many(void **state)
{
	int fd[CONTROL_CLIENTS_MAX], more, i;

	for (i = 0; i < CONTROL_CLIENTS_MAX; i++)
		fd[i] = dial();
	more = dial();
	expect(more, "{\"error\":\"too many clients of amtd; try again later\"}");
	expect_end(more);
	for (i = 0; i < CONTROL_CLIENTS_MAX; i++)
		close(fd[i]);
	turn();
	assert_int_equal(control_server_clients(server), 0);
	more = dial();
	ask(more, "{\"command\":\"echo\",\"value\":1}\n", "{\"echo\":1}");
	close(more);
}

static void second_server(void **state)
{
	struct control_server *other;
	struct error err;
	char stale[80];
	int fd;

	assert_int_equal(control_server_open(&other, base, path, commands, NULL, &err),
			 -EADDRINUSE);
	/* a socket that nobody answers on is what a killed amtd leaves */
	snprintf(stale, sizeof(stale), "%s/run/stale.sock", folder);
	fd = control_listen(stale, &err);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(control_connect(stale), -ECONNREFUSED);
	assert_int_equal(control_server_open(&other, base, stale, commands, NULL, &err), 0);
	control_server_close(other);
	assert_int_equal(control_connect(stale), -ENOENT);
}

/* The blocking client, in a process of its own. */
static void client_asks(void)
{
	struct control_client *client;
	struct error err;
	const char *text;
	json_t *answer;

	if (control_client_open(&client, path, &err) ||
	    control_client_ask(client, json_pack("{ss}", "command", "rows"), &answer, &text, &err))
		_exit(1);
	if (json_array_size(json_object_get(answer, "rows")) != ROWS || text[0] != '{')
		_exit(2);
	json_decref(answer);
	if (control_client_ask(client, json_pack("{ss}", "command", "fail"), &answer, NULL, &err) ||
	    !json_object_get(answer, "error"))
		_exit(3);
	json_decref(answer);
	control_client_close(client);
	_exit(0);
}

static void own_client(void **state)
{
	int status = -1, i;
	pid_t pid = fork();

	if (pid == 0)
		client_asks();
	for (i = 0; i < 20000 && waitpid(pid, &status, WNOHANG) == 0; i++) {
		turn();
		poll(NULL, 0, 1);
	}
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void instance_names(void **state)
{
	char buf[CONTROL_PATH_LEN];

	assert_true(instance_is_valid("main"));
	assert_true(instance_is_valid("a.b_c-9"));
	assert_false(instance_is_valid(""));
	assert_false(instance_is_valid("../x"));
	assert_false(instance_is_valid(".x"));
	assert_false(instance_is_valid("-x"));
	assert_false(instance_is_valid("a/b"));
	assert_false(instance_is_valid("a b"));
	assert_false(instance_is_valid("abcdefghijklmnopqrstuvwxyz-012345"));
	assert_string_equal(control_path("main", buf), "/run/amt/main.sock");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_server, close_server)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(answers),
		TEST(wrong_requests),
		TEST(split_and_joined),
		TEST(too_long),
		TEST(endless),
		TEST(half_closed),
		TEST(long_answer),
		TEST(rows_in_pieces),
		TEST(vanishing_client),
		TEST(impatience),
		TEST(then_after_the_answer),
		TEST(too_many),
		TEST(second_server),
		TEST(own_client),
		cmocka_unit_test(instance_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
