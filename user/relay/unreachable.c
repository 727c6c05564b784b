/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ends a tunnel whose gateway cannot be reached (RFC 7450 5.3.3.6.4, R-95). Whoever knows a
 * gateway's address and port can forge such errors, so they have to go on: all of a second count
 * once, and any Update, which has a response MAC, begins anew.
 */
#include "base/clock.h"
#include "base/counters.h"
#include "relay/engine.h"

static bool in_a_row(struct tunnel *tunnel, unsigned int limit, uint64_t now)
{
	uint8_t second = (uint8_t)(now / NSEC_PER_SEC);

	if (tunnel->unreachable && tunnel->unreachable_second == second)
		return false;
	tunnel->unreachable_second = second;
	if (tunnel->unreachable < UINT16_MAX)
		tunnel->unreachable++;
	return limit && tunnel->unreachable >= limit;
}

void relay_unreachable(struct relay *relay, uint64_t now, const struct amt_sockaddr *local,
		       const struct amt_sockaddr *gateway)
{
	struct tunnel *tunnel = tunnel_find(relay, gateway, &local->addr);

	if (!tunnel || tunnel->ending || tunnel->relay_port != local->port) {
		counter_add(AMT_COUNT_UNREACHABLE_IGNORED, 1);
		return;
	}
	counter_add(AMT_COUNT_DATA_UNREACHABLE, 1);
	if (!in_a_row(tunnel, relay->options.unreachable_limit, now))
		return;
	counter_add(AMT_COUNT_TUNNEL_UNREACHABLE, 1);
	tunnel_end(relay, tunnel);
}
