/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/server.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/util.h>
#include "base/log.h"
#include "base/loop.h"
#include "control/listen.h"

struct client {
	struct control_server *server;
	struct client *prev, *next;
	struct bufferevent *bev;
	struct control_rows rows; /* next set: an answer is under way */
	bool in_row;		  /* in the list of one */
	bool first_row, first_item;
	struct event *next_turn; /* to go on with it then */
	bool ending;		 /* nothing more to read: close when all is written */
	bool refused;		 /* said too much: what still comes is thrown away */
	size_t discarded;	 /* octets of that */
	void (*then)(void *arg);
	void *then_arg;
};

struct control_answer {
	struct client *client;
};

struct control_server {
	struct event_base *base;
	const struct control_command *commands;
	void *arg;
	struct client *clients;
	unsigned int nclients;
	struct event *accept;
	int fd;
	char *path;
	struct timeval patience;
};

static struct evbuffer *out_of(const struct client *client)
{
	return bufferevent_get_output(client->bev);
}

/* ---- answers ---- */

static int add_text(const char *text, size_t length, void *arg)
{
	return evbuffer_add(arg, text, length);
}

/* Returns false when there is no memory for it. */
static bool add_json(struct evbuffer *out, const json_t *json)
{
	return json_dump_callback(json, add_text, out, JSON_COMPACT | JSON_ENCODE_ANY) == 0;
}

/* All of the object but its closing brace, and an array for last member. */
static bool add_with_array(struct evbuffer *out, const json_t *object, const char *name)
{
	char *text = json_dumps(object, JSON_COMPACT);
	size_t length = text ? strlen(text) : 0;

	if (!text)
		return false;
	evbuffer_add(out, text, length - 1);
	evbuffer_add_printf(out, "%s\"%s\":[", length > 2 ? "," : "", name);
	free(text);
	return true;
}

void control_answer(struct control_answer *answer, json_t *object)
{
	struct client *client = answer->client;

	if (!object) {
		control_fail(answer, "no memory for the answer; ask for less");
		return;
	}
	if (!add_json(out_of(client), object))
		client->ending = true;
	json_decref(object);
	evbuffer_add(out_of(client), "\n", 1);
}

void control_fail(struct control_answer *answer, const char *format, ...)
{
	char text[768];
	json_t *object;
	va_list args;
	size_t i;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	/* a request's own words may come back in it, and be cut in the middle of a character */
	for (i = 0; text[i]; i++)
		if (!isprint((unsigned char)text[i]))
			text[i] = '?';
	object = json_pack("{ss}", "error", text);
	if (!object || !add_json(out_of(answer->client), object))
		answer->client->ending = true;
	json_decref(object);
	evbuffer_add(out_of(answer->client), "\n", 1);
}

void control_answer_rows(struct control_answer *answer, json_t *head, const char *name,
			 const struct control_rows *rows)
{
	struct client *client = answer->client;

	if (!head || !add_with_array(out_of(client), head, name)) {
		rows->free(rows->state);
		control_fail(answer, "no memory for the answer; ask for less");
	} else {
		client->rows = *rows;
		client->in_row = false;
		client->first_row = true;
	}
	json_decref(head);
}

void control_answer_then(struct control_answer *answer, void (*fn)(void *arg), void *arg)
{
	answer->client->then = fn;
	answer->client->then_arg = arg;
}

static void end_rows(struct client *client)
{
	if (client->rows.next)
		client->rows.free(client->rows.state);
	client->rows.next = NULL;
}

/* Half an answer is no answer. */
static void break_off(struct client *client)
{
	end_rows(client);
	client->ending = true;
}

/* The next of an array. */
static bool add_next(struct evbuffer *out, bool *first)
{
	bool comma = !*first;

	*first = false;
	return !comma || !evbuffer_add(out, ",", 1);
}

static void write_row(struct client *client)
{
	struct evbuffer *out = out_of(client);
	const char *list = client->rows.list;
	json_t *row = client->rows.next(client->rows.state);

	if (!row) {
		end_rows(client);
		evbuffer_add(out, "]}\n", 3);
		return;
	}
	client->in_row = list;
	client->first_item = true;
	if (!add_next(out, &client->first_row) ||
	    !(list ? add_with_array(out, row, list) : add_json(out, row)))
		break_off(client);
	json_decref(row);
}

static void write_items(struct client *client)
{
	struct evbuffer *out = out_of(client);
	json_t *items = json_array();
	bool ok = items;
	size_t i;

	client->in_row = ok && client->rows.add(client->rows.state, items);
	for (i = 0; ok && i < json_array_size(items); i++)
		ok = add_next(out, &client->first_item) && add_json(out, json_array_get(items, i));
	json_decref(items);
	if (!ok)
		break_off(client);
	else if (!client->in_row)
		evbuffer_add(out, "]}", 2);
}

/* Writes rows until enough of them wait to be taken, or the turn is long: at least something. */
static void continue_rows(struct client *client)
{
	static const struct timeval at_once;

	while (client->rows.next && evbuffer_get_length(out_of(client)) < CONTROL_CHUNK) {
		if (client->in_row)
			write_items(client);
		else
			write_row(client);
		if (loop_turn_is_long()) {
			evtimer_add(client->next_turn, &at_once);
			return;
		}
	}
}

/* ---- requests ---- */

static const char *handle_object(struct client *client, const json_t *request,
				 struct control_answer *answer)
{
	const struct control_server *server = client->server;
	const char *name = json_string_value(json_object_get(request, "command"));
	const struct control_command *command = server->commands;

	if (!name)
		return "a request is an object with \"command\": \"NAME\"";
	while (command->name && strcmp(command->name, name) != 0)
		command++;
	if (command->name)
		command->handle(server->arg, request, answer);
	else
		control_fail(answer, "amtd knows no command '%.64s'; amt-ctl help lists all", name);
	return NULL;
}

static void handle_line(struct client *client, const char *line, size_t length)
{
	struct control_answer answer = {client};
	json_error_t error;
	json_t *request = json_loadb(line, length, JSON_REJECT_DUPLICATES, &error);
	const char *wrong;

	if (!request) {
		control_fail(&answer, "the request is not JSON: %s", error.text);
		return;
	}
	wrong = handle_object(client, request, &answer);
	if (wrong)
		control_fail(&answer, "%s", wrong);
	json_decref(request);
}

/* The next line of input, or what is left of it when no more will come. Free it. */
static char *take_line(struct client *client, size_t *length)
{
	struct evbuffer *in = bufferevent_get_input(client->bev);
	char *line = evbuffer_readln(in, length, EVBUFFER_EOL_LF);

	if (line || !client->ending || !evbuffer_get_length(in))
		return line;
	*length = evbuffer_get_length(in);
	line = malloc(*length);
	if (line)
		evbuffer_remove(in, line, *length);
	return line;
}

static void client_free(struct client *client)
{
	struct control_server *server = client->server;
	void (*then)(void *arg) = client->then;
	void *arg = client->then_arg;

	if (client->prev)
		client->prev->next = client->next;
	else
		server->clients = client->next;
	if (client->next)
		client->next->prev = client->prev;
	server->nclients--;
	end_rows(client);
	event_free(client->next_turn);
	bufferevent_free(client->bev);
	free(client);
	if (then)
		then(arg);
}

static void refuse_long(struct client *client)
{
	struct control_answer answer = {client};

	control_fail(&answer, "the request is longer than %d octets", CONTROL_REQUEST_MAX);
	client->refused = true;
}

/* Closing at once would cost a client that is still sending the answer that says why. It sees the
 * end of our side instead, and is waited for, within bounds. */
static void discard(struct client *client)
{
	struct evbuffer *in = bufferevent_get_input(client->bev);
	bool written = evbuffer_get_length(out_of(client)) == 0;

	client->discarded += evbuffer_get_length(in);
	evbuffer_drain(in, evbuffer_get_length(in));
	if (client->discarded > CONTROL_DISCARD_MAX || (written && client->ending))
		client_free(client);
	else if (written)
		shutdown(bufferevent_getfd(client->bev), SHUT_WR);
}

/* Answers what has been asked, as far as the client takes the answers; frees it at its end. */
static void serve(struct client *client)
{
	struct evbuffer *in = bufferevent_get_input(client->bev);

	while (!client->refused) {
		size_t length;
		char *line;

		continue_rows(client);
		if (client->rows.next || evbuffer_get_length(out_of(client)) >= CONTROL_CHUNK)
			return;
		line = take_line(client, &length);
		if (!line)
			break;
		if (length > CONTROL_REQUEST_MAX)
			refuse_long(client);
		else if (length)
			handle_line(client, line, length);
		free(line);
	}
	if (!client->refused && evbuffer_get_length(in) > CONTROL_REQUEST_MAX)
		refuse_long(client);
	if (client->refused) {
		discard(client);
		return;
	}
	if (evbuffer_get_length(out_of(client)))
		return;
	if (client->then) {
		void (*then)(void *arg) = client->then;

		client->then = NULL;
		then(client->then_arg);
	}
	if (client->ending)
		client_free(client);
}

static void on_input(struct bufferevent *bev, void *arg)
{
	serve(arg);
}

static void on_output(struct bufferevent *bev, void *arg)
{
	serve(arg);
}

static void on_next_turn(evutil_socket_t fd, short what, void *arg)
{
	serve(arg);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct client *client = arg;

	/* waiting for its answer is not being idle */
	if (what == (BEV_EVENT_TIMEOUT | BEV_EVENT_READING) &&
	    (client->rows.next || client->then || evbuffer_get_length(out_of(client)))) {
		bufferevent_enable(bev, EV_READ);
		return;
	}
	if (!(what & BEV_EVENT_EOF)) {
		client_free(client);
		return;
	}
	/* half closed: it may well wait for what it has asked (socat, nc -N) */
	client->ending = true;
	serve(client);
}

/* ---- clients ---- */

unsigned int control_server_clients(const struct control_server *server)
{
	return server->nclients;
}

static struct client *client_new(struct control_server *server, int fd)
{
	struct client *client = calloc(1, sizeof(*client));

	if (!client)
		return NULL;
	client->server = server;
	client->next_turn = evtimer_new(server->base, on_next_turn, client);
	if (client->next_turn)
		client->bev = bufferevent_socket_new(server->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!client->bev) {
		if (client->next_turn)
			event_free(client->next_turn);
		free(client);
		return NULL;
	}
	bufferevent_setcb(client->bev, on_input, on_output, on_event, client);
	bufferevent_setwatermark(client->bev, EV_READ, 0, CONTROL_REQUEST_MAX + 1);
	bufferevent_setwatermark(client->bev, EV_WRITE, CONTROL_CHUNK / 4, 0);
	bufferevent_set_timeouts(client->bev, &server->patience, &server->patience);
	return client;
}

int control_server_add(struct control_server *server, int fd)
{
	static const char full[] = "{\"error\":\"too many clients of amtd; try again later\"}\n";
	struct client *client;

	if (server->nclients >= CONTROL_CLIENTS_MAX) {
		(void)!send(fd, full, sizeof(full) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
		close(fd);
		return -EBUSY;
	}
	evutil_make_socket_nonblocking(fd);
	client = client_new(server, fd);
	if (!client) {
		close(fd);
		return -ENOMEM;
	}
	client->next = server->clients;
	if (client->next)
		client->next->prev = client;
	server->clients = client;
	server->nclients++;
	bufferevent_enable(client->bev, EV_READ | EV_WRITE);
	return 0;
}

static void on_accept(evutil_socket_t fd, short what, void *arg)
{
	int client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (client >= 0)
		control_server_add(arg, client);
}

static int start_accepting(struct control_server *server, const char *path, struct error *err)
{
	server->fd = control_listen(path, err);
	if (server->fd < 0)
		return server->fd;
	server->path = strdup(path);
	server->accept =
		event_new(server->base, server->fd, EV_READ | EV_PERSIST, on_accept, server);
	if (!server->path || !server->accept || event_add(server->accept, NULL))
		return error_set(err, -ENOMEM, "%s: no memory to listen", path);
	return 0;
}

int control_server_open(struct control_server **out, struct event_base *base, const char *path,
			const struct control_command *commands, void *arg, struct error *err)
{
	struct control_server *server = calloc(1, sizeof(*server));
	int ret = 0;

	if (!server)
		return error_set(err, -ENOMEM, "no memory for the control socket");
	/* a client that is gone is an error of write(2), not the end of amtd */
	signal(SIGPIPE, SIG_IGN);
	server->base = base;
	server->commands = commands;
	server->arg = arg;
	server->fd = -1;
	server->patience.tv_sec = CONTROL_TIMEOUT_S;
	if (path)
		ret = start_accepting(server, path, err);
	if (ret) {
		control_server_close(server);
		return ret;
	}
	*out = server;
	return 0;
}

void control_server_set_patience(struct control_server *server, const struct timeval *patience)
{
	server->patience = *patience;
}

void control_server_close(struct control_server *server)
{
	if (!server)
		return;
	while (server->clients)
		client_free(server->clients);
	if (server->accept)
		event_free(server->accept);
	if (server->fd >= 0)
		close(server->fd);
	if (server->path)
		unlink(server->path);
	free(server->path);
	free(server);
}
