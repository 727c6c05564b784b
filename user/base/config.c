/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * amtd.conf(5) as a whole: the table of keys with their defaults, what only several keys together
 * can get wrong, and the file around it. config_file.c reads the text.
 */
#include "base/config.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include "base/config_file.h"
#include "base/config_value.h"

/* clang-format off */
#define AT(field) offsetof(struct SECTION, field)
#define LIST(type, name, field)			{name, CONFIG_##type, AT(field), "", 0, 0, NULL}
#define NUMBER(name, field, value, min, max)	{name, CONFIG_NUMBER, AT(field), value, min, max, NULL}
#define BOOLEAN(name, field, value)		{name, CONFIG_BOOLEAN, AT(field), value, 0, 0, NULL}
#define WORD(name, field, value, words)		{name, CONFIG_WORD, AT(field), value, 0, 0, words}
#define OTHER(type, name, field, value, min, max) \
						{name, CONFIG_##type, AT(field), value, min, max, NULL}

#define SECTION config_relay
static const struct config_key relay_keys[] = {
	LIST(ADDRESSES, "address", address),
	LIST(ADDRESSES, "discovery", discovery),
	LIST(NAMES, "upstream", upstream),
	LIST(NAMES, "uplink", uplink),
	WORD("mode", mode, "auto", "auto xdp tc"),
	OTHER(PORT, "port", port, "2268", 1, 65535),
	NUMBER("query-interval", query_interval, "125", 1, 31744),
	NUMBER("query-response-interval", query_response_interval, "10", 1, 3174),
	NUMBER("robustness", robustness, "2", 1, 7),
	NUMBER("secret-lifetime", secret_lifetime, "3600", 1, 7200),
	WORD("teardown", teardown, "auto", "auto on off"),
	BOOLEAN("strict-router-alert", strict_router_alert, "false"),
	BOOLEAN("accept-repeated-mac", accept_repeated_mac, "true"),
	BOOLEAN("accept-short-mac", accept_short_mac, "false"),
	BOOLEAN("accept-linux-p", accept_linux_p, "true"),
	OTHER(IPV4, "query-source-ipv4", query_source_ipv4, "0.0.0.0", 0, 0),
	OTHER(IPV6_LL, "query-source-ipv6", query_source_ipv6, "fe80::1", 0, 0),
	LIST(GROUPS, "permit-groups", permit_groups),
	LIST(PREFIXES, "permit-gateways", permit_gateways),
	LIST(GROUPS, "ssm-range", ssm_range),
	NUMBER("max-tunnels", max_tunnels, "100000", 1, 4000000),
	NUMBER("max-tunnels-per-address", max_tunnels_per_address, "4096", 1, 65535),
	NUMBER("max-groups-per-tunnel", max_groups_per_tunnel, "256", 1, 65535),
	NUMBER("max-sources-per-group", max_sources_per_group, "64", 1, 4096),
	NUMBER("max-channels", max_channels, "16384", 1, 1000000),
	NUMBER("max-blocks", max_blocks, "32768", 1, 1000000),
	NUMBER("max-nexthops", max_nexthops, "65535", 2, 65536),
	NUMBER("requests-per-second", requests_per_second, "500", 0, 1000000),
	NUMBER("requests-burst", requests_burst, "5000", 1, 1000000),
	NUMBER("max-group-rate", max_group_rate, "0", 0, 400000000),
	NUMBER("max-tunnel-rate", max_tunnel_rate, "0", 0, 400000000),
	NUMBER("amplification", amplification, "4", 0, 100),
	NUMBER("unreachable-limit", unreachable_limit, "60", 0, 65535),
	BOOLEAN("shield", shield, "true"),
	BOOLEAN("spread-groups", spread_groups, "true"),
	WORD("ttl", ttl, "decrement", "decrement keep"),
	OTHER(DSCP, "dscp", dscp, "copy", 0, 63),
	NUMBER("outer-ttl", outer_ttl, "64", 1, 255),
	BOOLEAN("udp-checksum", udp_checksum, "false"),
	NUMBER("tunnel-mtu", tunnel_mtu, "0", 0, 65000),
	NUMBER("tunnel-mtu-min", tunnel_mtu_min, "552", 68, 65000),
	NUMBER("events-per-second", events_per_second, "1000", 0, 1000000),
	NUMBER("upstream-retry", upstream_retry, "5", 1, 3600),
};
#undef SECTION

#define SECTION config_gateway
static const struct config_key gateway_keys[] = {
	LIST(NAMES, "uplink", uplink),
	WORD("mode", mode, "auto", "auto xdp tc"),
	LIST(RELAYS, "relay", relay),
	OTHER(PORT, "port", port, "2268", 1, 65535),
	OTHER(INTERFACE, "interface", interface, "amt0", 0, 0),
	LIST(HOSTS, "addresses", addresses),
	NUMBER("mtu", mtu, "0", 0, 65535),
	NUMBER("route-metric", route_metric, "0", 0, 65535),
	NUMBER("local-port", local_port, "0", 0, 65535),
	OTHER(IPV4, "source-ipv4", source_ipv4, "0.0.0.0", 0, 0),
	OTHER(IPV6, "source-ipv6", source_ipv6, "::", 0, 0),
	BOOLEAN("ipv4-groups", ipv4_groups, "true"),
	BOOLEAN("ipv6-groups", ipv6_groups, "true"),
	BOOLEAN("ecn", ecn, "true"),
	NUMBER("discovery-timeout", discovery_timeout, "1", 1, 3600),
	NUMBER("discovery-timeout-max", discovery_timeout_max, "120", 1, 86400),
	NUMBER("discovery-retries", discovery_retries, "3", 0, 1000),
	NUMBER("request-timeout", request_timeout, "1", 1, 3600),
	NUMBER("request-timeout-max", request_timeout_max, "120", 1, 86400),
	NUMBER("request-retries", request_retries, "3", 0, 1000),
	NUMBER("unreachable-retries", unreachable_retries, "2", 0, 1000),
	NUMBER("keepalive", keepalive, "0", 0, 31744),
	NUMBER("hold-down", hold_down, "180", 1, 86400),
	NUMBER("hold-down-limit", hold_down_limit, "600", 1, 86400),
	NUMBER("data-timeout", data_timeout, "30", 0, 3600),
	NUMBER("teardown-repeats", teardown_repeats, "2", 1, 10),
};
#undef SECTION
/* clang-format on */

/* Of these, what stands in the file is taken at a start only: sizes of pinned maps, and what a
 * tunnel is known by. */
static const char relay_fixed[] = " port max-tunnels max-channels max-blocks max-nexthops ";
static const char gateway_fixed[] = " interface local-port source-ipv4 source-ipv6 ";

#define NKEYS(keys) (sizeof(keys) / sizeof((keys)[0]))

static const struct config_section sections[CONFIG_SECTIONS] = {
	[CONFIG_RELAY_SECTION] = {"relay", relay_keys, NKEYS(relay_keys),
				  offsetof(struct config, relay), relay_fixed},
	[CONFIG_GATEWAY_SECTION] = {"gateway", gateway_keys, NKEYS(gateway_keys),
				    offsetof(struct config, gateway), gateway_fixed},
};

const char *config_key(const char *section, unsigned int i, const char **default_value)
{
	const struct config_section *at = sections;

	while (strcmp(at->name, section) != 0)
		at++;
	if (i >= at->nkeys)
		return NULL;
	*default_value = at->keys[i].default_value;
	return at->keys[i].name;
}

static int section_default(const struct config_section *section, struct config *config)
{
	void *base = (char *)config + section->offset;
	unsigned int i;

	for (i = 0; i < section->nkeys; i++) {
		const struct config_key *key = &section->keys[i];

		if (!config_is_list(key) && config_value_set(key, base, key->default_value, NULL))
			return -ENOMEM;
	}
	return 0;
}

/* A relay that waits for attach. */
int config_default(struct config *config)
{
	unsigned int i;
	int ret = 0;

	memset(config, 0, sizeof(*config));
	config->log_level = LOG_LEVEL_INFO;
	config->relay.present = true;
	for (i = 0; i < CONFIG_SECTIONS && !ret; i++)
		ret = section_default(&sections[i], config);
	return ret;
}

static int line_of(const struct config_file *file, enum config_section_id section, const char *name)
{
	const struct config_key *keys = sections[section].keys;
	unsigned int i = 0;

	while (strcmp(keys[i].name, name) != 0)
		i++;
	return file->lines[section][i];
}

static void check_relay(struct config_file *file)
{
	const struct config_relay *relay = &file->config->relay;
	int line = line_of(file, CONFIG_RELAY_SECTION, "query-response-interval");

	if (relay->query_response_interval >= relay->query_interval)
		config_file_error(
			file, line ? line : line_of(file, CONFIG_RELAY_SECTION, "query-interval"),
			"query-response-interval (now %u) must be less than query-interval "
			"(now %u), RFC 3376 8.3; set both",
			relay->query_response_interval, relay->query_interval);
	if (relay->tunnel_mtu && relay->tunnel_mtu < relay->tunnel_mtu_min) {
		line = line_of(file, CONFIG_RELAY_SECTION, "tunnel-mtu");
		config_file_error(file, line,
				  "tunnel-mtu %u is less than tunnel-mtu-min %u; raise it, or "
				  "write 0 to take the route's",
				  relay->tunnel_mtu, relay->tunnel_mtu_min);
	}
}

static void check_timeout(struct config_file *file, const char *name, unsigned int first,
			  const char *name_max, unsigned int max)
{
	int line = line_of(file, CONFIG_GATEWAY_SECTION, name);

	if (first > max)
		config_file_error(file,
				  line ? line : line_of(file, CONFIG_GATEWAY_SECTION, name_max),
				  "%s (now %u) must not be more than %s (now %u); set both", name,
				  first, name_max, max);
}

static void check_gateway(struct config_file *file)
{
	const struct config_gateway *gateway = &file->config->gateway;

	check_timeout(file, "discovery-timeout", gateway->discovery_timeout,
		      "discovery-timeout-max", gateway->discovery_timeout_max);
	check_timeout(file, "request-timeout", gateway->request_timeout, "request-timeout-max",
		      gateway->request_timeout_max);
	if (!gateway->ipv4_groups && !gateway->ipv6_groups)
		config_file_error(file, line_of(file, CONFIG_GATEWAY_SECTION, "ipv6-groups"),
				  "neither ipv4-groups nor ipv6-groups: nothing could be joined; "
				  "write true for one");
	if (gateway->mtu && gateway->mtu < 1280)
		config_file_error(file, line_of(file, CONFIG_GATEWAY_SECTION, "mtu"),
				  "mtu %u is less than the 1280 that IPv6 needs; raise it, or "
				  "write 0 for the default",
				  gateway->mtu);
}

/* What only several keys together can get wrong. */
static void check_whole(struct config_file *file)
{
	if (!file->sections_seen)
		config_file_error(file, 1,
				  "no relay or gateway section; 'relay { }' alone is a relay that "
				  "waits for amt-ctl attach");
	check_relay(file);
	check_gateway(file);
}

static void warn_whole(struct config_file *file)
{
	const struct config_relay *relay = &file->config->relay;

	/* above 127 QQIC is a floating point code, which some gateways take as plain seconds
	 */
	if (relay->query_interval > 127)
		config_file_warning(file, line_of(file, CONFIG_RELAY_SECTION, "query-interval"),
				    "query-interval %u is over 127: the Linux gateway misreads "
				    "it; 127 is safe",
				    relay->query_interval);
	if (relay->robustness == 1)
		config_file_warning(file, line_of(file, CONFIG_RELAY_SECTION, "robustness"),
				    "robustness 1: one lost Membership Update ends a tunnel; "
				    "2 is safe");
}

static void report_unreadable(const char *name, int error, void (*report)(const char *line))
{
	char line[1024];

	snprintf(line, sizeof(line), "%s: %s; -f takes the path of a readable file", name,
		 strerror(-error));
	report(line);
}

int config_read(FILE *stream, const char *name, struct config *config,
		void (*report)(const char *line))
{
	struct config_file file = {.config = config, .sections = sections};
	int ret;

	_Static_assert(NKEYS(relay_keys) <= CONFIG_KEYS_MAX, "config_file.h: CONFIG_KEYS_MAX");
	_Static_assert(NKEYS(gateway_keys) <= CONFIG_KEYS_MAX, "config_file.h: CONFIG_KEYS_MAX");
	memset(config, 0, sizeof(*config));
	ret = config_file_parse(&file, stream);
	if (ret == 0) {
		check_whole(&file);
		warn_whole(&file);
	}
	config_file_report(&file, name, report);
	if (ret && ret != -EINVAL)
		report_unreadable(name, ret, report);
	if (file.errors)
		ret = -EINVAL;
	config->from_file = true;
	config->gateway.present = file.seen[CONFIG_GATEWAY_SECTION] > 0;
	config->relay.present = !config->gateway.present;
	config_file_free(&file);
	if (ret)
		config_free(config);
	return ret;
}

int config_load(const char *path, struct config *config, void (*report)(const char *line))
{
	FILE *stream;
	int ret;

	if (!path)
		return config_default(config);
	stream = fopen(path, "re");
	if (!stream) {
		ret = -errno;
		memset(config, 0, sizeof(*config));
		report_unreadable(path, ret, report);
		return ret;
	}
	ret = config_read(stream, path, config, report);
	fclose(stream);
	return ret;
}

/* ---- reading it again ---- */

static bool is_fixed(const struct config_section *section, const struct config_key *key)
{
	char word[64];

	snprintf(word, sizeof(word), " %s ", key->name);
	return strstr(section->fixed, word) != NULL;
}

static void section_compare(const struct config_section *section, struct config *now,
			    struct config *again,
			    void (*fn)(void *arg, const char *key, bool needs_restart), void *arg)
{
	void *a = (char *)now + section->offset, *b = (char *)again + section->offset;
	unsigned int i;

	for (i = 0; i < section->nkeys; i++) {
		const struct config_key *key = &section->keys[i];
		bool fixed = is_fixed(section, key);

		if (config_value_equal(key, a, b))
			continue;
		if (fixed)
			config_value_swap(key, a, b);
		fn(arg, key->name, fixed);
	}
}

void config_compare(struct config *now, struct config *again,
		    void (*fn)(void *arg, const char *key, bool needs_restart), void *arg)
{
	unsigned int i;

	if (now->log_level != again->log_level)
		fn(arg, "log-level", false);
	for (i = 0; i < CONFIG_SECTIONS; i++)
		section_compare(&sections[i], now, again, fn, arg);
}

void config_free(struct config *config)
{
	unsigned int i, j;

	for (i = 0; i < CONFIG_SECTIONS; i++)
		for (j = 0; j < sections[i].nkeys; j++)
			config_value_free(&sections[i].keys[j],
					  (char *)config + sections[i].offset);
	memset(config, 0, sizeof(*config));
}
