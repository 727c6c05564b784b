/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finds or starts the holder process of an instance. */
#ifndef AMT_RELAY_HOLDER_START_H
#define AMT_RELAY_HOLDER_START_H

#include "base/descriptors.h"
#include "base/error.h"

/* A non-blocking connection to the instance's holder, or negative errno: -ENOENT or -ECONNREFUSED
 * where there is none. */
int holder_connect(const char *instance);
/* Starts a holder, whatever may be there, and connects to it. */
int holder_start(const char *instance, struct error *err);
/* The sockets that the holder has kept open for the next amtd of this network namespace; none where
 * there is no holder, or it does not answer. To be called before upstream_open(). */
void holder_take(const char *instance, struct descriptors *out);

#endif
