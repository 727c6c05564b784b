/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The shield's maps, as the relay service fills them: policy, addresses, permitted gateways. What
 * they mean is in bpf/shield.h; where the shield works is the data path's own affair.
 */
#ifndef AMT_DATAPATH_SHIELD_H
#define AMT_DATAPATH_SHIELD_H

#include <stdbool.h>
#include "base/addr.h"
#include "datapath/datapath.h"

/* Puts a policy into force, at once and as a whole; NULL: no shield. 0 or negative errno: then the
 * shield is off. */
int datapath_shield_set(struct datapath *dp, const struct amt_shield *policy);

struct datapath_shield_address {
	struct amt_addr local, advertised;
};
/* The addresses that it answers for, or, with advertised zero, to which it answers nothing; instead
 * of those before. Those that find no room are left to amtd. */
void datapath_shield_addresses(struct datapath *dp, const struct datapath_shield_address *list,
			       unsigned int n);
/* Writes a list of permitted prefixes that no policy in force names: amt_shield.permitted puts it
 * into force. 0, or -ENOSPC and the like: then it is not complete, and the shield must be off. */
int datapath_shield_permit(struct datapath *dp, uint32_t list, const struct amt_prefix *prefixes,
			   unsigned int n);

#endif
