/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/socket.h>
#include "control/listen.h"

#define ANSWER_MAX (1u << 30) /* octets: more than the largest relay says */
#define PATIENCE_S 60	      /* for amtd to say something */

struct control_client {
	int fd;
	char *buf;
	size_t length, room;
};

int control_client_open(struct control_client **out, const char *path, struct error *err)
{
	struct timeval patience = {.tv_sec = PATIENCE_S};
	struct control_client *client = calloc(1, sizeof(*client));
	int ret;

	if (!client)
		return error_set(err, -ENOMEM, "no memory");
	client->fd = control_connect(path);
	if (client->fd < 0) {
		ret = client->fd;
		free(client);
		return error_set(err, ret, "%s: %s%s", path, strerror(-ret),
				 ret == -EACCES ? "; amtd answers root only" : "");
	}
	setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(client->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	*out = client;
	return 0;
}

void control_client_close(struct control_client *client)
{
	if (!client)
		return;
	close(client->fd);
	free(client->buf);
	free(client);
}

static int send_line(struct control_client *client, json_t *request)
{
	char *line = json_dumps(request, JSON_COMPACT);
	size_t length, sent = 0;
	int ret = 0;

	if (!line)
		return -ENOMEM;
	length = strlen(line);
	line[length++] = '\n'; /* in the place of the NUL */
	while (!ret && sent < length) {
		ssize_t n = send(client->fd, line + sent, length - sent, MSG_NOSIGNAL);

		if (n >= 0)
			sent += (size_t)n;
		else if (errno != EINTR)
			ret = -errno;
	}
	free(line);
	return ret;
}

static int make_room(struct control_client *client)
{
	size_t room = client->room ? client->room * 2 : 65536;
	char *grown;

	if (client->length + 1 < client->room)
		return 0;
	if (room > ANSWER_MAX)
		return -EMSGSIZE;
	grown = realloc(client->buf, room);
	if (!grown)
		return -ENOMEM;
	client->buf = grown;
	client->room = room;
	return 0;
}

/* Reads one line into buf, without its end. One request is one answer: nothing follows it. */
static int receive_line(struct control_client *client)
{
	client->length = 0;
	for (;;) {
		int ret = make_room(client);
		ssize_t n;

		if (ret)
			return ret;
		n = recv(client->fd, client->buf + client->length,
			 client->room - client->length - 1, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		if (n == 0)
			return -ECONNRESET;
		client->length += (size_t)n;
		if (client->buf[client->length - 1] == '\n') {
			client->buf[--client->length] = '\0';
			return 0;
		}
	}
}

int control_client_ask(struct control_client *client, json_t *request, json_t **answer,
		       const char **text, struct error *err)
{
	json_error_t json_error;
	int ret = send_line(client, request);

	json_decref(request);
	/* amtd may have answered before it was asked: "too many clients" */
	if (!ret || ret == -EPIPE)
		ret = receive_line(client);
	if (ret)
		return error_set(err, ret, "amtd does not answer: %s", strerror(-ret));
	*answer = json_loadb(client->buf, client->length, 0, &json_error);
	if (!*answer)
		return error_set(err, -EPROTO, "the answer is not JSON: %s", json_error.text);
	if (text)
		*text = client->buf;
	return 0;
}

int control_client_wait_end(struct control_client *client, unsigned int seconds)
{
	time_t end = time(NULL) + (time_t)seconds;
	struct timeval turn = {.tv_sec = 1};
	char buf[256];

	setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &turn, sizeof(turn));
	while (time(NULL) <= end) {
		ssize_t n = recv(client->fd, buf, sizeof(buf), 0);

		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return 0;
	}
	return -ETIMEDOUT;
}
