/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside of the gateway service, for its own files only: service.c (life and interfaces),
 * service_run.c (start and stop of the running gateway), service_edge.c (what the engine and its
 * surroundings call), service_data.c (data that comes to the socket), service_record.c (what
 * outlives a restart), service_network.c (changes of addresses and routes), service_verify.c.
 */
#ifndef AMT_GATEWAY_SERVICE_STATE_H
#define AMT_GATEWAY_SERVICE_STATE_H

#include <net/if.h>
#include "base/wakeup.h"
#include "gateway/joined.h"
#include "gateway/names.h"
#include "gateway/port.h"
#include "gateway/service.h"

struct event;
struct verify;

/* What is pinned: the packet path does not read it. */
struct service_record {
	uint32_t magic;	 /* SERVICE_RECORD_MAGIC; 0: there was no gateway */
	uint8_t runtime; /* made a gateway by an attach, not by a file */
	uint8_t saved_valid;
	uint16_t port_ipv4, port_ipv6;
	char interface[IF_NAMESIZE]; /* the pseudo-interface */
	struct gateway_saved saved;
	char relays[512]; /* of the attach: texts, each with its NUL; an empty one ends them */
};
#define SERVICE_RECORD_MAGIC 0x414d5401u

struct service_uplink {
	char name[IF_NAMESIZE];
	uint32_t mtu;
};

struct gateway_service {
	struct event_base *base;
	const struct config_gateway *config;
	char *instance;
	uint64_t started_ns;
	bool adopted; /* took up a predecessor's state */
	bool leaving; /* stopped, but for what the relay is still told */

	struct datapath *datapath;
	struct service_uplink uplinks[AMT_INTERFACES_MAX];
	unsigned int nuplinks;
	struct service_record record, pinned; /* as it should be, as it is */

	/* while it runs */
	struct gateway *gateway;
	struct gateway_candidate *candidates;
	unsigned int ncandidates;
	struct pseudo *pseudo; /* NULL: somebody removed it, it is made again */
	struct port *port;
	struct names *names;
	struct joined *joined;
	struct verify *verify;
	struct datapath_decap_relay tap; /* data is taken from it; address any: from none */
	uint64_t slow_packets;
	int unresolved; /* a candidate whose name could not even be asked for; -1: none */
	bool full;	/* said that the packet path takes no more groups */

	struct wakeup tick; /* the engine's next deadline */
	struct event *second, *revive;
	struct event *network, *settle;
	int network_fd;
	uint64_t network_view;	       /* a hash of how relays are reached */
	struct amt_addr network_relay; /* the one in use then */
};

/* ---- service.c ---- */
/* After whatever happened: the engine's and the joins' timers, and what is to be pinned. */
void service_settle(struct gateway_service *service);

/* ---- service_run.c ---- */
int service_start(struct gateway_service *service, struct error *err);
/* Tells the relay, and removes all but what that needs. */
void service_stop(struct gateway_service *service);
/* Ends it without a word, and leaves everything as it is. */
void service_abandon(struct gateway_service *service);
/* All is said. */
void service_left(struct gateway_service *service);
int service_pseudo_open(struct gateway_service *service, struct error *err);
uint32_t service_mtu(const struct gateway_service *service);

/* ---- service_edge.c ---- */
void service_gateway_edge(struct gateway_service *service, struct gateway_edge *edge);
void service_port_options(struct gateway_service *service, struct port_options *options);
void service_resolved(void *arg, unsigned int id, const struct amt_addr *addrs, unsigned int naddrs,
		      const char *why);
void service_joined_changed(void *arg, const struct amt_group_key *key,
			    enum joined_verdict verdict);
void service_report(void *arg, uint64_t now, const void *datagram, size_t len);
/* Takes data from tap at our address of now. */
void service_tap_review(struct gateway_service *service);

/* ---- service_data.c ---- */
void service_data(void *arg, uint64_t now, const struct amt_sockaddr *peer, uint8_t tos,
		  uint8_t *buf, size_t len);

/* ---- service_record.c ---- */
void service_record_load(struct gateway_service *service);
/* Pins what has changed. */
void service_record_save(struct gateway_service *service);
void service_record_clear(struct gateway_service *service);
int service_record_set_relays(struct gateway_service *service, const char *const *relays,
			      unsigned int nrelays);
/* The relay texts of the record, or of the configuration, as candidates. */
int service_candidates(struct gateway_service *service);
void service_engine_options(const struct gateway_service *service, struct gateway_options *options);

/* ---- service_network.c ---- */
int service_network_open(struct gateway_service *service, struct error *err);
/* After the engine has acted: it may ask another relay now. */
void service_network_relay(struct gateway_service *service);
void service_network_close(struct gateway_service *service);

/* ---- service_verify.c ---- */
void service_verify_second(struct gateway_service *service);

#endif
