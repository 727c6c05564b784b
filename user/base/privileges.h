/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What amtd may do after its start: the few capabilities that a relay needs, and nothing else of
 * what root can.
 */
#ifndef AMT_BASE_PRIVILEGES_H
#define AMT_BASE_PRIVILEGES_H

#include <stdbool.h>
#include "base/error.h"

/* Drops all other capabilities, for good and for children too, and proves it. low_ports: keep what
 * a port under 1024 needs. -EPERM: one that is needed is not there. */
int privileges_drop(bool low_ports, struct error *err);

#endif
