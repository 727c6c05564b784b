/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine's options out of the configuration, whose table holds every default once.
 */
#include <string.h>
#include "base/config.h"
#include "relay/relay.h"

static enum teardown_mode teardown_mode(const char *word)
{
	if (!strcmp(word, "on"))
		return TEARDOWN_ON;
	return strcmp(word, "off") ? TEARDOWN_AUTO : TEARDOWN_OFF;
}

void relay_options_set(struct relay_options *options, const struct config_relay *config)
{
	*options = (struct relay_options){
		.query_interval_s = config->query_interval,
		.response_interval_s = config->query_response_interval,
		.robustness = config->robustness,
		.secret_lifetime_s = config->secret_lifetime,
		.teardown = teardown_mode(config->teardown),
		.strict_router_alert = config->strict_router_alert,
		.accept_repeated_mac = config->accept_repeated_mac,
		.accept_short_mac = config->accept_short_mac,
		.accept_linux_p = config->accept_linux_p,
		.max_tunnels = config->max_tunnels,
		.max_tunnels_per_address = config->max_tunnels_per_address,
		.max_groups_per_tunnel = config->max_groups_per_tunnel,
		.max_sources_per_group = config->max_sources_per_group,
		.max_channels = config->max_channels,
		.requests_per_second = config->requests_per_second,
		.requests_burst = config->requests_burst,
		.max_group_rate = config->max_group_rate,
		.max_tunnel_rate = config->max_tunnel_rate,
		.amplification = config->amplification,
		.unreachable_limit = config->unreachable_limit,
		.permit_groups = config->permit_groups.list,
		.npermit_groups = config->permit_groups.n,
		.permit_gateways = config->permit_gateways.list,
		.npermit_gateways = config->permit_gateways.n,
		.ssm = config->ssm_range.list,
		.nssm = config->ssm_range.n,
		.query_source4 = config->query_source_ipv4,
		.query_source6 = config->query_source_ipv6,
	};
}

int relay_options_default(struct relay_options *options)
{
	struct config config;
	int rc = config_default(&config);

	if (rc)
		return rc;
	relay_options_set(options, &config.relay);
	config_free(&config); /* the lists are empty by default: nothing points there */
	return 0;
}
