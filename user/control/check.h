/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the words of a command may be: amt-ctl looks before it asks, so that a wrong one is wrong
 * usage whether amtd runs or not; amtd looks again, for its protocol is open to others.
 */
#ifndef AMT_CONTROL_CHECK_H
#define AMT_CONTROL_CHECK_H

#include <stdbool.h>
#include "base/addr.h"
#include "base/error.h"
#include "datapath/datapath.h"

/* Each returns 0, or -EINVAL and says what is wrong and what may stand there. */
int check_interface(const char *text, struct error *err);
int check_mode(const char *text, enum datapath_mode *mode, struct error *err);
int check_relay(const char *text, struct error *err);
int check_address(const char *text, struct amt_addr *addr, struct error *err);
/* A group that can be routed. */
int check_group(const char *text, struct amt_addr *group, struct error *err);
/* A source that packets of group can have. */
int check_source(const char *text, const struct amt_addr *group, struct amt_addr *source,
		 struct error *err);
/* That an interface has the roles of one kind, and relays are named for a gateway. */
int check_roles(bool gateway, bool relay_side, unsigned int nrelays, struct error *err);

/* As check_mode() takes it. */
const char *mode_name(enum datapath_mode mode);

#endif
