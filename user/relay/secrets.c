/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The secrets of the response MAC: one current, one previous, pinned through the edge so that a
 * restart keeps them and gateways notice nothing (RFC 7450 5.3.6, R-118, R-160, R-183).
 */
#include <string.h>
#include "base/clock.h"
#include "base/counters.h"
#include "proto/response_mac.h"
#include "relay/engine.h"

#define SECRET_LIFETIME_MAX_S 7200 /* */

static uint64_t lifetime_ns(const struct relay *relay)
{
	unsigned int s = relay->options.secret_lifetime_s;

	return (s && s < SECRET_LIFETIME_MAX_S ? s : SECRET_LIFETIME_MAX_S) * NSEC_PER_SEC;
}

uint64_t secrets_previous_ns(const struct relay *relay)
{
	return 2 * relay->interval_ns;
}

static uint64_t previous_until(const struct relay *relay)
{
	return relay->current.installed_ns + secrets_previous_ns(relay);
}

static void secret_store(struct relay *relay, unsigned int index, const struct amt_secret *secret)
{
	relay->edge.secret_set(relay->edge.arg, index, secret);
}

static void rotate(struct relay *relay, uint64_t now)
{
	relay->previous = relay->current;
	relay->edge.random(relay->edge.arg, relay->current.key, sizeof(relay->current.key));
	relay->current.installed_ns = now ? now : 1; /* 0 means: no secret */
	/* In this order a crash in between leaves the old one valid */
	secret_store(relay, 1, &relay->previous);
	secret_store(relay, 0, &relay->current);
	counter_add(AMT_COUNT_SECRET_ROTATED, 1);
}

void secrets_load(struct relay *relay, uint64_t now)
{
	relay->edge.secret_get(relay->edge.arg, 0, &relay->current);
	relay->edge.secret_get(relay->edge.arg, 1, &relay->previous);
	if (relay->current.installed_ns > now) /* from before a reboot: of another clock */
		explicit_bzero(&relay->current, sizeof(relay->current));
	secrets_tick(relay, now);
}

uint64_t secrets_tick(struct relay *relay, uint64_t now)
{
	uint64_t rotate_at = relay->current.installed_ns + lifetime_ns(relay);

	if (!relay->current.installed_ns || now >= rotate_at) {
		rotate(relay, now);
		rotate_at = relay->current.installed_ns + lifetime_ns(relay);
	}
	if (!relay->previous.installed_ns)
		return rotate_at;
	if (now >= previous_until(relay)) {
		explicit_bzero(&relay->previous, sizeof(relay->previous));
		secret_store(relay, 1, &relay->previous);
		return rotate_at;
	}
	return rotate_at < previous_until(relay) ? rotate_at : previous_until(relay);
}

bool secrets_verify(const struct relay *relay, uint64_t now, const struct amt_sockaddr *gateway,
		    const struct amt_message *msg, bool *ecn)
{
	size_t length = relay->options.accept_short_mac ? AMT_MAC_SHORT_LEN : AMT_MAC_LEN;

	if (response_mac_verify(&relay->current, gateway, msg->nonce, msg->mac, length, ecn))
		return true;
	if (now >= previous_until(relay) ||
	    !response_mac_verify(&relay->previous, gateway, msg->nonce, msg->mac, length, ecn))
		return false;
	if (msg->type == AMT_UPDATE)
		counter_add(AMT_COUNT_UPDATE_PREVIOUS_SECRET, 1);
	return true;
}
