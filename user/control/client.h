/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The asking side of the control socket, blocking, for amt-ctl.
 */
#ifndef AMT_CONTROL_CLIENT_H
#define AMT_CONTROL_CLIENT_H

#include <jansson.h>
#include "base/error.h"

struct control_client;

/* -ENOENT or -ECONNREFUSED: amtd is not running. */
int control_client_open(struct control_client **out, const char *path, struct error *err);
void control_client_close(struct control_client *client);

/* Sends one request (and takes it), reads one answer, "error" or not. *text, when asked for, is the
 * answer's line as it came, good until the next call. Returns a negative errno when the connection
 * fails; *answer is a new reference. */
int control_client_ask(struct control_client *client, json_t *request, json_t **answer,
		       const char **text, struct error *err);
/* Waits until amtd has closed the connection; seconds at most. 0 or -ETIMEDOUT. */
int control_client_wait_end(struct control_client *client, unsigned int seconds);

#endif
