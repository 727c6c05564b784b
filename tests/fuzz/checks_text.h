/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The same as checks.h for what is text: amtd.conf(5), and requests on the control socket, whose
 * every answer must be a line of JSON.
 */
#ifndef AMT_TESTS_FUZZ_CHECKS_TEXT_H
#define AMT_TESTS_FUZZ_CHECKS_TEXT_H

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>
#include <event2/event.h>
#include "base/config.h"
#include "control/server.h"

static inline void fuzz_report(const char *line)
{
	size_t i;

	assert(strncmp(line, "fuzz:", 5) == 0);
	for (i = 0; line[i]; i++)
		assert(line[i] >= ' ' && line[i] <= '~');
}

static inline int check_config(const uint8_t *data, size_t len)
{
	FILE *stream = len ? fmemopen((void *)data, len, "r") : NULL;
	struct config config;
	int ret;

	if (!stream)
		return -1;
	ret = config_read(stream, "fuzz", &config, fuzz_report);
	fclose(stream);
	config_free(&config);
	return ret;
}

static inline void fuzz_echo(void *arg, const json_t *request, struct control_answer *answer)
{
	control_answer(answer, json_pack("{sO}", "echo", request));
}

static inline void fuzz_fail(void *arg, const json_t *request, struct control_answer *answer)
{
	const char *command, *text;
	json_error_t error;

	if (json_unpack_ex((json_t *)request, &error, 0, "{s:s s:s !}", "command", &command, "text",
			   &text))
		control_fail(answer, "%s", error.text);
	else
		control_fail(answer, "%s", text);
}

static inline struct control_server *fuzz_server(struct event_base **base)
{
	static const struct control_command commands[] = {
		{"echo", fuzz_echo}, {"fail", fuzz_fail}, {NULL, NULL}};
	static struct event_base *only_base;
	static struct control_server *server;

	if (!server) {
		only_base = event_base_new();
		control_server_open(&server, only_base, NULL, commands, NULL, NULL);
	}
	*base = only_base;
	return server;
}

/* Every line an answer; 0 when the last one is no error. */
static inline int fuzz_answers(char *text, size_t len)
{
	int last = -1;

	while (len) {
		char *end = memchr(text, '\n', len);
		json_t *answer;

		assert(end);
		answer = json_loadb(text, (size_t)(end - text), 0, NULL);
		assert(json_is_object(answer));
		last = json_object_get(answer, "error") ? -1 : 0;
		json_decref(answer);
		len -= (size_t)(end + 1 - text);
		text = end + 1;
	}
	return last;
}

static inline int check_control(const uint8_t *data, size_t len)
{
	static char answers[1 << 18]; /* an octet of a request makes at most one error */
	struct event_base *base;
	struct control_server *server = fuzz_server(&base);
	size_t length = 0;
	ssize_t n;
	int fds[2], i;

	assert(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
	assert(control_server_add(server, fds[1]) == 0);
	assert(write(fds[0], data, len) == (ssize_t)len);
	shutdown(fds[0], SHUT_WR);
	for (i = 0; control_server_clients(server) && i < 1000; i++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		n = recv(fds[0], answers + length, sizeof(answers) - length, MSG_DONTWAIT);
		length += n > 0 ? (size_t)n : 0;
	}
	assert(control_server_clients(server) == 0);
	while ((n = recv(fds[0], answers + length, sizeof(answers) - length, MSG_DONTWAIT)) > 0)
		length += (size_t)n;
	close(fds[0]);
	return fuzz_answers(answers, length);
}

#endif
