/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The whole gateway of one amtd: the engine (gateway.h) wired to the pseudo-interface, the UDP
 * port, what is joined and the packet path, with its timers on the event loop. Runs from the first
 * attached uplink until the last is detached. amtd opens it, control asks it and changes it at run
 * time. Decides nothing about AMT.
 */
#ifndef AMT_GATEWAY_SERVICE_H
#define AMT_GATEWAY_SERVICE_H

#include <stdbool.h>
#include <stdint.h>
#include "base/addr.h"
#include "base/config.h"
#include "base/error.h"
#include "datapath/datapath.h"
#include "datapath/decap.h"
#include "gateway/arrival.h"
#include "gateway/gateway.h"
#include "gateway/pseudo.h"

struct event_base;
struct gateway_service;

#define GATEWAY_SERVICE_RELAYS 8 /* that an attach at run time may name */

struct gateway_service_options {
	const char *instance;		     /* copied */
	const struct config_gateway *config; /* must outlive the service */
};

/* Was the instance made a gateway at run time, by a predecessor whose packet path still stands? */
bool gateway_service_left(const char *instance);
/* The instance is a relay now, with this packet path: what it had as a gateway goes. */
void gateway_service_sweep(const char *instance, struct datapath *dp);
/* Loads or adopts the packet path, attaches the configured interfaces and those that were attached
 * at run time before a restart, and goes on with the predecessor's tunnel. */
int gateway_service_open(struct gateway_service **out,
			 const struct gateway_service_options *options, struct event_base *base,
			 struct error *err);
/* Puts the configuration, which the caller has changed in place, into force, as a restart would.
 * After an error the caller changes it back and calls this again. */
int gateway_service_reload(struct gateway_service *service, struct error *err);
/* Ends this process's part: packets and the pseudo-interface stay for a successor (a restart). */
void gateway_service_close(struct gateway_service *service);
/* Ends the gateway: detaches everywhere, removes pins and the pseudo-interface. What is to be said
 * to the relay is said by gateway_service_detach_all() before. */
void gateway_service_destroy(struct gateway_service *service);

/* ---- interfaces ---- */

/* Attaches an uplink. With the first one the gateway starts: relays (nrelays of them, as the file's
 * `relay`) take the configuration's place, and may be named only then. A restart takes all of it up
 * again. */
int gateway_service_attach(struct gateway_service *service, const char *name,
			   enum datapath_mode mode, const char *const *relays, unsigned int nrelays,
			   struct error *err);
/* With the last one the gateway stops: the relay is told, the pseudo-interface goes. */
int gateway_service_detach(struct gateway_service *service, const char *name, struct error *err);
unsigned int gateway_service_detach_all(struct gateway_service *service);
/* The relay is still being told: gateway_service_destroy() would cut that short. */
bool gateway_service_leaving(const struct gateway_service *service);
/* An uplink is attached. */
bool gateway_service_running(const struct gateway_service *service);

/* ---- for control ---- */

struct datapath *gateway_service_datapath(struct gateway_service *service);
uint64_t gateway_service_started_ns(const struct gateway_service *service);
/* Whether it took up a predecessor's state. */
bool gateway_service_adopted(const struct gateway_service *service);

enum gateway_service_nat { NAT_UNKNOWN, NAT_NO, NAT_YES };
struct gateway_service_status {
	struct gateway_status engine;
	struct amt_sockaddr local; /* our end of the tunnel; port 0: none */
	enum gateway_service_nat nat;
	struct pseudo_info pseudo; /* name "": there is none */
	uint64_t slow_packets;	   /* put into the pseudo-interface by amtd itself */
};
/* False: not running, and out holds nothing. */
bool gateway_service_status(const struct gateway_service *service,
			    struct gateway_service_status *out);
void gateway_service_walk_candidates(const struct gateway_service *service, uint64_t now,
				     void (*fn)(void *arg,
						const struct gateway_candidate_view *view),
				     void *arg);

/* ---- verify: join a channel for a while, and look at what comes ---- */

struct gateway_verify {
	uint64_t started_ns;
	struct arrival arrival;
};
/* Joins on the pseudo-interface as a program does (source any: every source), or goes on with what
 * it did for the same channel. It leaves by itself when it is not asked for some seconds. */
int gateway_service_verify(struct gateway_service *service, const struct amt_addr *source,
			   const struct amt_addr *group, struct gateway_verify *out,
			   struct error *err);
/* Leaves. */
void gateway_service_verify_end(struct gateway_service *service);

#endif
