/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "relay/too_big.h"

#include <stdlib.h>
#include <string.h>
#include <amt/wire.h>
#include "base/clock.h"
#include "base/counters.h"
#include "relay/fragment.h"
#include "relay/icmp_error.h"
#include "relay/ratelimit.h"

#define COPIES_PER_SECOND 20000 /* sent by this slow path; some 20 ms of CPU time */
#define ICMP_PER_SECOND	  10	/* to one source; it needs to hear it once */
#define ICMP_BURST	  10

#define IPV4_DF_OCTET 6
#define IPV4_DF	      0x40

struct too_big {
	struct too_big_options options;
	struct too_big_edge edge;
	struct ratelimit *icmp;
	uint64_t second; /* that `copies` counts */
	unsigned int copies;
	uint8_t message[AMT_DATA_LEN + FRAGMENT_MAX];
};

/* What the decisions need of the inner header. */
struct inner_view {
	struct amt_addr source, group;
	uint8_t tos;
	bool may_fragment; /* IPv4 with DF=0 */
};

struct too_big *too_big_new(const struct too_big_options *options, const struct too_big_edge *edge)
{
	struct too_big *too_big = calloc(1, sizeof(*too_big));

	if (!too_big)
		return NULL;
	too_big->options = *options;
	too_big->edge = *edge;
	too_big->icmp = ratelimit_new(ICMP_PER_SECOND, ICMP_BURST, options->hash_key);
	if (!too_big->icmp) {
		free(too_big);
		return NULL;
	}
	too_big->message[0] = AMT_DATA;
	return too_big;
}

void too_big_free(struct too_big *too_big)
{
	if (!too_big)
		return;
	ratelimit_free(too_big->icmp);
	free(too_big);
}

void too_big_set_options(struct too_big *too_big, const struct too_big_options *options)
{
	too_big->options = *options;
}

static bool inner_read(const uint8_t *datagram, size_t len, struct inner_view *view)
{
	if (len >= AMT_IPV4_HLEN && datagram[0] >> 4 == 4) {
		view->source = addr_from_ipv4(datagram + 12);
		view->group = addr_from_ipv4(datagram + 16);
		view->tos = datagram[1];
		view->may_fragment = !(datagram[IPV4_DF_OCTET] & IPV4_DF);
		return true;
	}
	if (len >= AMT_IPV6_HLEN && datagram[0] >> 4 == 6) {
		view->source = addr_from_ipv6(datagram + 8);
		view->group = addr_from_ipv6(datagram + 24);
		view->tos = (uint8_t)(datagram[0] << 4 | datagram[1] >> 4);
		view->may_fragment = false;
		return true;
	}
	return false;
}

static bool group_is_ssm(const struct too_big_options *options, const struct amt_addr *group)
{
	unsigned int i;

	if (!options->ssm)
		return addr_is_ssm(group);
	for (i = 0; i < options->nssm; i++)
		if (prefix_contains(&options->ssm[i], group))
			return true;
	return false;
}

/* One message of a datagram on its way to one tunnel. */
struct copy {
	struct too_big *too_big;
	const struct too_big_target *target;
	uint8_t tos;
};

static uint8_t outer_tos(const struct too_big_options *options, const struct inner_view *view,
			 const struct too_big_target *target)
{
	uint8_t dscp = options->dscp_fixed ? options->dscp : view->tos & AMT_DSCP_MASK;

	return dscp | (target->ecn ? view->tos & AMT_ECN_MASK : 0);
}

static void send_copy(void *arg, const uint8_t *datagram, size_t len)
{
	const struct copy *copy = arg;
	struct too_big *too_big = copy->too_big;

	memcpy(too_big->message + AMT_DATA_DATAGRAM, datagram, len);
	too_big->edge.send(too_big->edge.arg, &copy->target->local, &copy->target->peer, copy->tos,
			   too_big->message, AMT_DATA_LEN + len);
	too_big->copies++;
}

static bool over_budget(struct too_big *too_big, uint64_t now)
{
	if (now / NSEC_PER_SEC != too_big->second) {
		too_big->second = now / NSEC_PER_SEC;
		too_big->copies = 0;
	}
	return too_big->copies >= COPIES_PER_SECOND;
}

/* One error for all tunnels that could not be served. */
static void tell_source(struct too_big *too_big, uint64_t now, const struct inner_view *view,
			const void *datagram, size_t len, uint32_t mtu)
{
	uint8_t buf[ICMP_ERROR_MAX];
	size_t n;

	if (!group_is_ssm(&too_big->options, &view->group) ||
	    !addr_is_unicast_source(&view->source) ||
	    !ratelimit_take(too_big->icmp, now, &view->source))
		return;
	if (addr_is_ipv4(&view->source))
		n = icmp_frag_needed(datagram, len, mtu, buf);
	else
		n = icmp6_packet_too_big(datagram, len, mtu, buf);
	too_big->edge.icmp(too_big->edge.arg, &view->source, buf, n);
	counter_add(AMT_COUNT_ICMP_TOO_BIG_SENT, 1);
}

void too_big_datagram(struct too_big *too_big, uint64_t now, const void *datagram, size_t len,
		      const struct too_big_target *targets, unsigned int ntargets)
{
	bool fragmented = false;
	struct inner_view view;
	uint32_t smallest = 0;
	unsigned int i;

	if (len > FRAGMENT_MAX || !inner_read(datagram, len, &view))
		return;
	if (over_budget(too_big, now)) {
		counter_add(AMT_COUNT_EVENT_LOST, 1);
		return;
	}
	for (i = 0; i < ntargets; i++) {
		const struct too_big_target *target = &targets[i];
		struct copy copy = {too_big, target, outer_tos(&too_big->options, &view, target)};

		if (!target->mtu)
			continue;
		if (len <= target->mtu)
			send_copy(&copy, datagram, len);
		else if (view.may_fragment)
			fragmented |=
				fragment_ipv4(datagram, len, target->mtu, send_copy, &copy) > 0;
		else if (!smallest || target->mtu < smallest)
			smallest = target->mtu;
	}
	if (fragmented)
		counter_add(AMT_COUNT_FRAGMENTED, 1);
	if (smallest)
		tell_source(too_big, now, &view, datagram, len, smallest);
}
