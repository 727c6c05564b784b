/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The relay role: what to answer to each AMT message and what it changes (RFC 7450 5.3). An engine
 * without sockets and clock: messages come in through relay_receive() with the time and both
 * addresses, answers and changes of forwarding go out through struct relay_edge, so that unit
 * tests play years in milliseconds. sockets.h, upstream.h and datapath are its edges in amtd.
 */
#ifndef AMT_RELAY_RELAY_H
#define AMT_RELAY_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <amt/maps.h>
#include "base/addr.h"
#include "proto/membership.h"
#include "proto/merge.h"

struct config_relay;

enum teardown_mode { TEARDOWN_AUTO, TEARDOWN_ON, TEARDOWN_OFF }; /* */

/* All times in seconds here are the configuration's; see amtd.conf(5) for the defaults. */
struct relay_options {
	unsigned int query_interval_s;	  /* 125; QQIC */
	unsigned int response_interval_s; /* 10; for GMI only */
	unsigned int robustness;	  /* 2 */
	unsigned int secret_lifetime_s;	  /* 3600, at most 7200 */
	enum teardown_mode teardown;
	bool strict_router_alert;
	bool accept_repeated_mac; /* Q-4; on */
	bool accept_short_mac;	  /* Q-10; off */
	bool accept_linux_p;	  /* Q-13; on */
	unsigned int max_tunnels;
	unsigned int max_tunnels_per_address;
	unsigned int max_groups_per_tunnel;
	unsigned int max_sources_per_group;
	unsigned int max_channels;
	unsigned int requests_per_second; /* per source address; 0: no limit */
	unsigned int requests_burst;
	unsigned int max_group_rate; /* kbit/s, of a group that was not measured yet; 0: no limit */
	unsigned int max_tunnel_rate;	/* kbit/s of all that a tunnel has joined; 0: no limit */
	unsigned int amplification;	/* octets out for an octet in; 0: no bound */
	unsigned int unreachable_limit; /* seconds with ICMP errors in a row; 0: no limit */
	const struct amt_prefix *permit_groups; /* NULL: all but link-local */
	unsigned int npermit_groups;
	const struct amt_prefix *permit_gateways; /* NULL: all */
	unsigned int npermit_gateways;
	const struct amt_prefix *ssm; /* NULL: IANA's ranges */
	unsigned int nssm;
	struct amt_addr query_source4; /* inner source of IGMP queries; any: 0.0.0.0 */
	struct amt_addr query_source6; /* of MLD queries; any: fe80::1 */
};

/* What the configuration says; lists stay its own and must outlive the relay. */
void relay_options_set(struct relay_options *options, const struct config_relay *config);
/* The configuration's defaults. 0 or -ENOMEM. */
int relay_options_default(struct relay_options *options);

/* What the engine needs of the world. All but send may be called only inside relay_* calls. */
struct relay_edge {
	void *arg;
	/* Sends one UDP payload from local to peer. */
	void (*send)(void *arg, const struct amt_sockaddr *local, const struct amt_sockaddr *peer,
		     const void *buf, size_t len);
	void (*random)(void *arg, void *buf, size_t len);
	/* Secrets are pinned, so that a restart keeps them. */
	void (*secret_get)(void *arg, unsigned int index, struct amt_secret *secret);
	void (*secret_set)(void *arg, unsigned int index, const struct amt_secret *secret);
	/* Tunnels in the packet path; shaped as datapath.h has them. */
	int (*tunnel_add)(void *arg, const struct amt_sockaddr *gateway,
			  const struct amt_sockaddr *relay, bool ecn, uint64_t created_ns,
			  uint64_t expires_ns, uint32_t *id);
	void (*tunnel_remove)(void *arg, uint32_t id);
	void (*tunnel_set_expiry)(void *arg, uint32_t id, uint64_t expires_ns);
	int (*tunnel_set_ecn)(void *arg, uint32_t id, bool ecn);
	/* kbit/s of (source, group) now; source NULL: of all channels of the group. max_group_rate
	 * stands for each that was not measured yet. Only asked with max_tunnel_rate. */
	uint64_t (*rate)(void *arg, const struct amt_addr *group, const struct amt_addr *source);
	struct merge_sink sink; /* called with arg above */
};

struct relay;

struct relay *relay_new(const struct relay_options *options, const struct relay_edge *edge,
			uint64_t now); /* NULL: no memory */
void relay_free(struct relay *relay);
/* Puts other options into force while tunnels are served: limits hold for what comes from now on;
 * what is no longer permitted ends. Gateways that were told a longer query interval keep the longer
 * times until each has surely asked again. */
void relay_set_options(struct relay *relay, const struct relay_options *options, uint64_t now);

/* Which address an Advertisement carries when local was asked: the first of the same family, or
 * the address that was asked when none is set. */
int relay_add_address(struct relay *relay, const struct amt_addr *addr);
void relay_remove_address(struct relay *relay, const struct amt_addr *addr);

/* One UDP payload that peer sent to local. Everything that can be wrong with it is counted. */
void relay_receive(struct relay *relay, uint64_t now, const struct amt_sockaddr *local,
		   const struct amt_sockaddr *peer, const void *buf, size_t len);

/* An ICMP error says that Multicast Data from local did not reach the gateway. */
void relay_unreachable(struct relay *relay, uint64_t now, const struct amt_sockaddr *local,
		       const struct amt_sockaddr *gateway);

/* Timers: acts on what is due at now, returns the next deadline. Bounded work a call; a deadline
 * in the past means: call again soon. */
uint64_t relay_tick(struct relay *relay, uint64_t now);

/* L=1 in every Query from now on: a graceful shutdown. */
void relay_set_draining(struct relay *relay, bool draining);

/* Adoption, see datapath.h. The caller restores each tunnel, then each of its groups, and ends with
 * relay_restore_done(): tunnels with nothing joined go, as the configuration may permit less now.
 */
int relay_restore_tunnel(struct relay *relay, uint64_t now, uint32_t id,
			 const struct amt_tunnel *record);
int relay_restore_group(struct relay *relay, uint64_t now, uint32_t id,
			const struct amt_addr *group, bool exclude, const struct amt_addr *sources,
			unsigned int nsources);
void relay_restore_done(struct relay *relay);

/* ---- for control ---- */

unsigned int relay_tunnels(const struct relay *relay);
struct merge *relay_merge(struct relay *relay);
uint64_t relay_gmi(const struct relay *relay); /* ns */
uint64_t relay_secret_age(const struct relay *relay, uint64_t now);
bool relay_at_limit(const struct relay *relay); /* L=1 is being sent */
/* What the shield needs to answer as the engine does, but for the port and which list of permitted
 * gateways; changes with the number of tunnels, draining and the options. */
void relay_shield(const struct relay *relay, struct amt_shield *shield);
/* The address that an Advertisement sent from local carries. */
struct amt_addr relay_advertised(const struct relay *relay, const struct amt_addr *local);
struct relay_tunnel_view {
	uint32_t id;
	struct amt_sockaddr gateway, relay;
	bool ecn;
	uint64_t created_ns, expires_ns, last_update_ns;
	unsigned int groups;
	const struct membership *membership;
};
/* All ids are below this. */
uint32_t relay_tunnel_ids(const struct relay *relay);
/* One tunnel by its id; false: no such tunnel. */
bool relay_view(const struct relay *relay, uint32_t id, struct relay_tunnel_view *out);
/* Calls fn for each tunnel of one gateway address. */
void relay_walk(struct relay *relay, const struct amt_addr *gateway,
		void (*fn)(void *arg, const struct relay_tunnel_view *view), void *arg);

#endif
