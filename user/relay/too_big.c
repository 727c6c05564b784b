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

/* What the decisions need of the inner header. */
static bool inner_read(struct too_big_passage *view)
{
	const uint8_t *datagram = view->datagram;
	size_t len = view->len;

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

static uint8_t outer_tos(const struct too_big_options *options, const struct too_big_passage *view,
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
static void tell_source(struct too_big *too_big, uint64_t now, const struct too_big_passage *it)
{
	uint8_t buf[ICMP_ERROR_MAX];
	size_t n;

	if (!group_is_ssm(&too_big->options, &it->group) || !addr_is_unicast_source(&it->source) ||
	    !ratelimit_take(too_big->icmp, now, &it->source))
		return;
	if (addr_is_ipv4(&it->source))
		n = icmp_frag_needed(it->datagram, it->len, it->smallest, buf);
	else
		n = icmp6_packet_too_big(it->datagram, it->len, it->smallest, buf);
	too_big->edge.icmp(too_big->edge.arg, &it->source, buf, n);
	counter_add(AMT_COUNT_ICMP_TOO_BIG_SENT, 1);
}

bool too_big_begin(struct too_big *too_big, uint64_t now, const void *datagram, size_t len,
		   struct too_big_passage *passage)
{
	*passage = (struct too_big_passage){.datagram = datagram, .len = len};
	if (len > FRAGMENT_MAX || !inner_read(passage))
		return false;
	if (!over_budget(too_big, now))
		return true;
	counter_add(AMT_COUNT_EVENT_LOST, 1);
	return false;
}

void too_big_send(struct too_big *too_big, struct too_big_passage *it,
		  const struct too_big_target *target)
{
	struct copy copy = {too_big, target, outer_tos(&too_big->options, it, target)};

	if (!target->mtu)
		return;
	if (it->len <= target->mtu)
		send_copy(&copy, it->datagram, it->len);
	else if (it->may_fragment)
		it->fragmented |=
			fragment_ipv4(it->datagram, it->len, target->mtu, send_copy, &copy) > 0;
	else if (!it->smallest || target->mtu < it->smallest)
		it->smallest = target->mtu;
}

void too_big_end(struct too_big *too_big, uint64_t now, const struct too_big_passage *passage)
{
	if (passage->fragmented)
		counter_add(AMT_COUNT_FRAGMENTED, 1);
	if (passage->smallest)
		tell_source(too_big, now, passage);
}
