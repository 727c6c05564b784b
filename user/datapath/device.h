/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a network device can do: driver, transmit ring, XDP transmit; and what the kernel is. */
#ifndef AMT_DATAPATH_DEVICE_H
#define AMT_DATAPATH_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#define DEVICE_RING_ASSUMED 256 /* where the driver does not say; a veth's XDP ring is that */

/* Frames that fit the transmit ring. */
uint32_t device_ring(const char *name);
/* Transmit queues in use; 0 where the driver does not say. */
uint32_t device_queues(const char *name);
enum device_xmit { DEVICE_XMIT_UNKNOWN, DEVICE_XMIT_YES, DEVICE_XMIT_NO };
/* Whether frames can be handed to it by XDP now: a veth needs an XDP program or GRO on its peer. */
enum device_xmit device_xdp_xmit(uint32_t ifindex);
/* 0 or negative errno. */
int device_mac(const char *name, uint8_t mac[6]);
/* The inode by which the kernel knows this process's network namespace; 0: unknown. */
uint32_t device_netns(void);
/* A per-CPU cursor may be interleaved on PREEMPT_RT (design 4.3). */
bool device_kernel_is_rt(void);

#endif
