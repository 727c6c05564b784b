/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * amtd.conf(5): read by libconfuse, checked whole before anything is done with it, every error
 * with file and line.
 */
#ifndef AMT_BASE_CONFIG_H
#define AMT_BASE_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "base/addr.h"
#include "base/log.h"

struct config_addresses {
	struct amt_addr *list;
	unsigned int n;
};
struct config_prefixes {
	struct amt_prefix *list;
	unsigned int n;
};
struct config_names {
	char **list;
	unsigned int n;
};

/* Values as in the file; see amtd.conf(5) for meaning, range and default of each. */
struct config_relay {
	bool present; /* a relay section is there, or no file at all */
	struct config_addresses address, discovery;
	struct config_names upstream, uplink;
	char *mode; /* "auto", "xdp", "tc" */
	uint16_t port;
	unsigned int query_interval, query_response_interval, robustness;
	unsigned int secret_lifetime;
	char *teardown; /* "auto", "on", "off" */
	bool strict_router_alert, accept_repeated_mac, accept_short_mac, accept_linux_p;
	unsigned int max_tunnels, max_tunnels_per_address, max_groups_per_tunnel;
	unsigned int max_sources_per_group, max_channels, max_blocks, max_nexthops;
	unsigned int requests_per_second, requests_burst, amplification;
	unsigned int unreachable_limit;
	bool shield;
	bool spread_groups;			      /* a large group is copied by all CPUs */
	unsigned int max_group_rate, max_tunnel_rate; /* kbit/s */
	struct config_prefixes permit_groups, permit_gateways, ssm_range;
	char *ttl;  /* "decrement", "keep" */
	char *dscp; /* "copy", or 0..63 */
	unsigned int outer_ttl;
	bool udp_checksum; /* on IPv4 as well */
	unsigned int tunnel_mtu, tunnel_mtu_min;
	unsigned int events_per_second;
	unsigned int upstream_retry;
	struct amt_addr query_source_ipv4, query_source_ipv6; /* all zero: see amtd.conf(5) */
};

struct config_gateway {
	bool present; /* a gateway section is there */
	struct config_names uplink;
	char *mode;		   /* "auto", "xdp", "tc" */
	struct config_names relay; /* addresses, names, "anycast"; in order. None: anycast */
	uint16_t port;		   /* of relays */
	char *interface;
	struct config_prefixes addresses; /* of the interface, with host bits */
	unsigned int mtu;		  /* 0: 1500, or the uplink's if that is more */
	unsigned int route_metric;
	unsigned int local_port;
	struct amt_addr source_ipv4, source_ipv6; /* all zero: the kernel's choice */
	bool ipv4_groups, ipv6_groups, ecn;
	unsigned int discovery_timeout, discovery_timeout_max, discovery_retries;
	unsigned int request_timeout, request_timeout_max, request_retries;
	unsigned int unreachable_retries, keepalive;
	unsigned int hold_down, hold_down_limit, data_timeout, teardown_repeats;
};

struct config {
	enum log_level log_level;
	bool from_file; /* the role is the file's, and stays */
	struct config_relay relay;
	struct config_gateway gateway; /* defaults where there is no such section */
};

/* Reads path; NULL gives the defaults: a relay that waits for attach. Every error goes to report
 * as one line "FILE:LINE: what is wrong; what to do"; a warning ("FILE:LINE: warning: ...") does
 * not fail. Returns 0, or -EINVAL after reporting all, or another negative errno (file not
 * readable, reported as well); then config holds nothing. */
int config_load(const char *path, struct config *config, void (*report)(const char *line));
/* The same from an open stream; name stands for it in errors. */
int config_read(FILE *stream, const char *name, struct config *config,
		void (*report)(const char *line));
/* What a missing file means: every default, a relay that waits for attach. 0 or -ENOMEM. */
int config_default(struct config *config);
void config_free(struct config *config);
/* What differs between the configuration in force and the same file, read again: calls fn for each
 * key. Of those that need a restart both exchange their values, so that again can be put into force
 * whole. */
void config_compare(struct config *now, struct config *again,
		    void (*fn)(void *arg, const char *key, bool needs_restart), void *arg);

/* Key i of a section ("relay", "gateway") and its default as it would stand in the file ("" for an
 * empty list); NULL behind the last. For the test that holds amtd.conf(5) against it. */
const char *config_key(const char *section, unsigned int i, const char **default_value);

#endif
