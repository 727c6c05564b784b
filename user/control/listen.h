/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control socket's place in the file system, for both of its ends: which path belongs to an
 * instance, how amtd makes it, how a client reaches it.
 */
#ifndef AMT_CONTROL_LISTEN_H
#define AMT_CONTROL_LISTEN_H

#include <stdbool.h>
#include "base/error.h"

#define CONTROL_PATH_LEN 64
#define INSTANCE_LEN	 32 /* a longer name is refused, since it becomes part of many names */
/* what instance_is_valid() asks for, for messages that give INSTANCE_LEN */
#define INSTANCE_RULE	 "letters, digits, '_', '-' and '.' (these two not in front), up to %d"
#define INSTANCE_DEFAULT "main"

/* Letters, digits, '_', '-', '.', and no '.' or '-' in front. */
bool instance_is_valid(const char *name);
/* /run/amt/NAME.sock; buf holds CONTROL_PATH_LEN; returns buf. */
const char *control_path(const char *instance, char *buf);

/* Returns a listening socket or a negative errno. */
int control_listen(const char *path, struct error *err);
/* Returns a connected socket or a negative errno: -ENOENT or -ECONNREFUSED, nobody listens. */
int control_connect(const char *path);

#endif
