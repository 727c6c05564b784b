/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine's options before the configuration has its say, and what the texts in it stand for.
 */
#include <string.h>
#include <arpa/inet.h>
#include "gateway/gateway.h"

/* 192.52.193.1 and 2001:3::1 (RFC 7450 7.1). */
static const struct gateway_candidate anycast[] = {
	{.kind = CANDIDATE_ANYCAST,
	 .addr = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 52, 193, 1}}},
	{.kind = CANDIDATE_ANYCAST, .addr = {{0x20, 0x01, 0x00, 0x03, [15] = 1}}},
};

unsigned int gateway_candidates_of(const char *text,
				   struct gateway_candidate to[GATEWAY_CANDIDATES_OF_ONE])
{
	if (strcmp(text, "anycast") == 0) {
		memcpy(to, anycast, sizeof(anycast));
		return sizeof(anycast) / sizeof(anycast[0]);
	}
	memset(to, 0, sizeof(*to));
	to->kind = addr_parse(text, &to->addr) ? CANDIDATE_NAME : CANDIDATE_ADDRESS;
	if (to->kind == CANDIDATE_NAME)
		strncpy(to->name, text, sizeof(to->name) - 1);
	return 1;
}

void gateway_options_default(struct gateway_options *options)
{
	*options = (struct gateway_options){
		.discovery_initial = 1,
		.discovery_max = 120,
		.discovery_retries = 3,
		.request_initial = 1,
		.request_max = 120,
		.request_retries = 3,
		.unreachable_retries = 2,
		.hold_down = 180,
		.hold_down_limit = 600,
		.data_timeout = 30,
		.teardown_repeats = 2,
		.port = AMT_PORT,
		.ecn = true,
		.ipv4_groups = true,
		.ipv6_groups = true,
		.candidates = anycast,
		.ncandidates = sizeof(anycast) / sizeof(anycast[0]),
	};
}
