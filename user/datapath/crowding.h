/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How small the blocks of an uplink must be: halved while its driver drops copies at transmit,
 * doubled again after a calm time, which is longer each time that this was too early. Pure.
 */
#ifndef AMT_DATAPATH_CROWDING_H
#define AMT_DATAPATH_CROWDING_H

#include <stdbool.h>
#include <stdint.h>

#define CROWDING_HALVINGS_MAX 3

/* All zero to begin with. */
struct crowding {
	unsigned int halvings; /* of what the ring would take */
	bool known;	       /* drops is */
	uint64_t drops;	       /* of the uplink, when looked at last */
	uint64_t dropped_ns, changed_ns;
	uint64_t calm_ns; /* without a drop, until blocks are doubled again */
};

/* Looks at the uplink's count of drops. Returns whether halvings changed. */
bool crowding_look(struct crowding *crowding, uint64_t now, uint64_t drops);

#endif
