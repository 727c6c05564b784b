/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * amt-ctl verify: whether a channel arrives, in one line. Asks the instance's gateway, or with a
 * relay named that relay itself.
 */
#ifndef AMT_CONTROL_VERIFY_H
#define AMT_CONTROL_VERIFY_H

#include <jansson.h>
#include <stdbool.h>
#include "control/arguments.h"
#include "control/client.h"

/* Both take what the command line said; return an exit status: 0, it arrives. */
int verify_instance(struct control_client *client, const json_t *request, unsigned int timeout_s,
		    bool json);
int verify_relay(const struct arguments *arguments, bool json);

#endif
