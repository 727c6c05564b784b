/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The whole relay of one amtd: the engine (relay.h) wired to the packet path, the upstream joins
 * and the UDP sockets, with its timers on the event loop. amtd opens it, control asks it and
 * changes it at run time. Knows configuration and interfaces; decides nothing about AMT.
 */
#ifndef AMT_RELAY_SERVICE_H
#define AMT_RELAY_SERVICE_H

#include <stdbool.h>
#include <stdint.h>
#include "base/addr.h"
#include "base/config.h"
#include "base/error.h"
#include "datapath/datapath.h"
#include "relay/relay.h"
#include "relay/sockets.h"
#include "relay/upstream.h"

struct event_base;
struct relay_service;

struct relay_service_options {
	const char *instance;		   /* copied */
	const struct config_relay *config; /* must outlive the service */
};

/* Loads or adopts the packet path, finds or starts the upstream holder, attaches the configured
 * interfaces, listens on the configured addresses, and takes up the tunnels of a predecessor. */
int relay_service_open(struct relay_service **out, const struct relay_service_options *options,
		       struct event_base *base, struct error *err);
/* Puts the configuration, which the caller has changed in place, into force; no stream is
 * interrupted. An error leaves everything as it was: the caller changes the configuration back. */
int relay_service_reload(struct relay_service *service, struct error *err);
/* Ends this process's part: packets, pins and upstream joins stay for a successor (a restart). */
void relay_service_close(struct relay_service *service);
/* Ends the relay: detaches everywhere, removes pins, leaves all groups upstream. */
void relay_service_destroy(struct relay_service *service);

/* The parts, for control's views; never NULL. */
struct relay *relay_service_relay(struct relay_service *service);
struct datapath *relay_service_datapath(struct relay_service *service);
struct upstream *relay_service_upstream(struct relay_service *service);

/* ---- interfaces ---- */

/* Attaches an interface at run time, or changes its roles. Neither role asked: both, a one-armed
 * relay. When the configuration names no relay address, an uplink's own global addresses are
 * listened on and advertised, for as long as it is attached. A restart takes it up again. */
int relay_service_attach(struct relay_service *service, const char *name, bool upstream,
			 bool uplink, enum datapath_mode mode, struct error *err);
/* Detaches it and stops listening on addresses that came with it. -ENODEV: not attached. */
int relay_service_detach(struct relay_service *service, const char *name, struct error *err);
/* Detaches every interface; returns how many. */
unsigned int relay_service_detach_all(struct relay_service *service);

/* ---- addresses ---- */

struct relay_service_address {
	struct amt_sockaddr local;
	bool advertised;    /* Advertisements may carry it: a relay address, not a discovery one */
	bool configured;    /* by amtd.conf(5); else it came with an interface */
	char interface[16]; /* the interface it came with, or "" */
};
unsigned int relay_service_addresses(const struct relay_service *service,
				     struct relay_service_address *out, unsigned int max);

/* ---- state ---- */

/* L=1 from now on, and no new tunnels: before a planned shutdown. */
void relay_service_set_draining(struct relay_service *service, bool draining);
bool relay_service_draining(const struct relay_service *service);
/* CLOCK_MONOTONIC ns of relay_service_open(), and whether it took up a predecessor's state. */
uint64_t relay_service_started_ns(const struct relay_service *service);
bool relay_service_adopted(const struct relay_service *service);

#endif
