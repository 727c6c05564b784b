/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control socket: a unix stream socket on which each line is one request, a JSON object with
 * "command" and its arguments, answered by one line, a JSON object. An answer with "error" says in
 * one line what is wrong and what to do. Clients can be slow, wrong or gone: what each may hold of
 * amtd is bounded in octets and time. Knows no command; see commands.h.
 */
#ifndef AMT_CONTROL_SERVER_H
#define AMT_CONTROL_SERVER_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/time.h>
#include "base/error.h"

#define CONTROL_REQUEST_MAX 4096 /* octets of one request */
#define CONTROL_CLIENTS_MAX 16
#define CONTROL_CHUNK	    65536     /* octets of a long answer that wait for a client */
#define CONTROL_DISCARD_MAX (1 << 20) /* of a client that is refused */
#define CONTROL_TIMEOUT_S   30	      /* without progress */

struct event_base;
struct control_server;
struct control_answer;

/* A handler calls exactly one of control_answer(), control_answer_rows(), control_fail(). */
struct control_command {
	const char *name;
	void (*handle)(void *arg, const json_t *request, struct control_answer *answer);
};

/* Rows of a long answer, made one by one as the client takes them. A row can be long itself: then
 * it has an array as its last member, which is made some items at a time. */
struct control_rows {
	json_t *(*next)(void *state); /* a new reference; NULL: that was the last */
	const char *list;	      /* name of such an array; NULL: there is none */
	/* Appends what comes next in the array of the row given last, be it nothing; false: that
	 * was the end. */
	bool (*add)(void *state, json_t *items);
	void (*free)(void *state);
	void *state;
};

/* Takes the reference. NULL: answers that there was no memory. */
void control_answer(struct control_answer *answer, json_t *object);
/* The same with one member more, name, an array of rows. Takes head, and state by rows->free. */
void control_answer_rows(struct control_answer *answer, json_t *head, const char *name,
			 const struct control_rows *rows);
void control_fail(struct control_answer *answer, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Calls fn once the answer has left, or its client has. */
void control_answer_then(struct control_answer *answer, void (*fn)(void *arg), void *arg);

/* Listens on path (mode 0600; its folder is made); a stale socket is replaced, one that answers is
 * -EADDRINUSE. path NULL: serves only what control_server_add() brings. commands ends with a NULL
 * name. */
int control_server_open(struct control_server **out, struct event_base *base, const char *path,
			const struct control_command *commands, void *arg, struct error *err);
/* Drops all clients and removes the socket. */
void control_server_close(struct control_server *server);
/* Serves a connected socket, which it takes. */
int control_server_add(struct control_server *server, int fd);
/* How long clients from now on may be without progress, in place of CONTROL_TIMEOUT_S. */
void control_server_set_patience(struct control_server *server, const struct timeval *patience);
unsigned int control_server_clients(const struct control_server *server);

#endif
