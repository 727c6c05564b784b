/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "load/channel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "proto/report.h"

#define CHANNELS_MAX 100000

void addr_advance(struct amt_addr *addr, uint32_t n)
{
	unsigned int i;

	for (i = sizeof(addr->bytes); i > 12 && n > 0; i--) {
		n += addr->bytes[i - 1];
		addr->bytes[i - 1] = (uint8_t)n;
		n >>= 8;
	}
}

unsigned long addr_take_count(char *text, unsigned long max)
{
	char *x = strrchr(text, 'x');
	unsigned long count;
	char *end;

	if (!x)
		return 1;
	errno = 0;
	count = strtoul(x + 1, &end, 10);
	if (errno || *end || end == x + 1 || x[1] == '-' || count > max)
		return 0;
	*x = '\0';
	return count;
}

static int append(struct channels *channels, const struct channel *first, unsigned int count)
{
	struct channel *list;
	unsigned int i;

	list = realloc(channels->list, (channels->n + count) * sizeof(*list));
	if (!list)
		return -ENOMEM;
	channels->list = list;
	for (i = 0; i < count; i++) {
		struct channel *channel = &list[channels->n++];

		*channel = *first;
		addr_advance(&channel->group, i);
	}
	return 0;
}

int channels_add(struct channels *channels, const char *text, struct error *err)
{
	char copy[2 * AMT_ADDR_STRLEN + 16];
	struct channel channel = {0};
	struct amt_addr last;
	unsigned long count;
	char *comma, *group = copy;

	if (strlen(text) >= sizeof(copy))
		return error_set(err, -EINVAL, "'%s' is no channel; say [SOURCE,]GROUP", text);
	strcpy(copy, text);
	count = addr_take_count(copy, CHANNELS_MAX);
	if (count == 0 || channels->n + count > CHANNELS_MAX)
		return error_set(err, -EINVAL, "'%s': xN means 1 to %u groups", text, CHANNELS_MAX);
	comma = strchr(copy, ',');
	if (comma) {
		*comma = '\0';
		group = comma + 1;
		if (addr_parse(copy, &channel.source) || !addr_is_unicast_source(&channel.source))
			return error_set(err, -EINVAL, "'%s': '%s' is no source address", text,
					 copy);
	}
	if (addr_parse(group, &channel.group) || !addr_is_multicast(&channel.group))
		return error_set(err, -EINVAL, "'%s': '%s' is no multicast group", text, group);
	if (comma && addr_family(&channel.source) != addr_family(&channel.group))
		return error_set(err, -EINVAL, "'%s': source and group are of different families",
				 text);
	last = channel.group;
	addr_advance(&last, (uint32_t)count - 1);
	if (!addr_is_multicast(&last))
		return error_set(err, -EINVAL, "'%s' runs beyond the multicast range", text);
	if (append(channels, &channel, (unsigned int)count))
		return error_set(err, -ENOMEM, "no memory for %lu channels", count);
	return 0;
}

void channels_free(struct channels *channels)
{
	free(channels->list);
	memset(channels, 0, sizeof(*channels));
}

static int add_source(struct subscription *subscription, const struct amt_addr *source)
{
	struct amt_addr *list;
	unsigned int i;

	for (i = 0; i < subscription->nsources; i++) {
		if (addr_equal(&subscription->sources[i], source))
			return 0;
	}
	list = realloc(subscription->sources, (subscription->nsources + 1) * sizeof(*list));
	if (!list)
		return -ENOMEM;
	subscription->sources = list;
	list[subscription->nsources++] = *source;
	return 0;
}

static int set_exclude(struct subscription *subscription, const struct amt_addr *excluded,
		       unsigned int nexcluded)
{
	unsigned int i;
	int ret = 0;

	subscription->exclude = true;
	subscription->nsources = 0; /* "any source" takes in the single ones */
	for (i = 0; i < nexcluded && !ret; i++) {
		if (addr_family(&excluded[i]) == addr_family(&subscription->group))
			ret = add_source(subscription, &excluded[i]);
	}
	return ret;
}

static struct subscription *find_group(const struct subscriptions *subscriptions,
				       const struct amt_addr *group)
{
	unsigned int i;

	for (i = 0; i < subscriptions->n; i++) {
		if (addr_equal(&subscriptions->list[i].group, group))
			return &subscriptions->list[i];
	}
	return NULL;
}

static int add_channel(struct subscriptions *out, const struct channel *channel,
		       const struct amt_addr *excluded, unsigned int nexcluded)
{
	struct subscription *subscription = find_group(out, &channel->group);

	if (!subscription) {
		subscription = &out->list[out->n++];
		subscription->group = channel->group;
	}
	if (addr_is_ipv4(&channel->group))
		out->ipv4 = true;
	else
		out->ipv6 = true;
	if (subscription->exclude)
		return 0;
	if (addr_is_any(&channel->source))
		return set_exclude(subscription, excluded, nexcluded);
	return add_source(subscription, &channel->source);
}

int subscriptions_make(struct subscriptions *out, const struct channels *channels,
		       unsigned int first, unsigned int count, const struct amt_addr *excluded,
		       unsigned int nexcluded)
{
	unsigned int i;
	int ret = 0;

	memset(out, 0, sizeof(*out));
	out->list = calloc(count, sizeof(*out->list));
	if (!out->list)
		return -ENOMEM;
	for (i = 0; i < count && !ret; i++)
		ret = add_channel(out, &channels->list[(first + i) % channels->n], excluded,
				  nexcluded);
	if (ret)
		subscriptions_free(out);
	return ret;
}

void subscriptions_free(struct subscriptions *subscriptions)
{
	unsigned int i;

	for (i = 0; i < subscriptions->n; i++)
		free(subscriptions->list[i].sources);
	free(subscriptions->list);
	memset(subscriptions, 0, sizeof(*subscriptions));
}

bool subscriptions_want(const struct subscriptions *subscriptions, const struct amt_addr *source,
			const struct amt_addr *group)
{
	const struct subscription *subscription = find_group(subscriptions, group);
	unsigned int i;

	if (!subscription)
		return false;
	for (i = 0; i < subscription->nsources; i++) {
		if (addr_equal(&subscription->sources[i], source))
			return !subscription->exclude;
	}
	return subscription->exclude;
}

/* ---- reports ---- */

#define RECORDS_MAX 64
#define REPORT_MAX  1200 /* octets of records in one report: fits a tunnel over any path */

/* RFC 3376 4.2.12 */
static enum record_type record_type(const struct subscription *subscription, enum report_kind kind)
{
	if (subscription->exclude) {
		static const enum record_type type[] = {RECORD_IS_EX, RECORD_TO_EX, RECORD_TO_IN};

		return type[kind];
	} else {
		static const enum record_type type[] = {RECORD_IS_IN, RECORD_ALLOW, RECORD_BLOCK};

		return type[kind];
	}
}

static bool next_of_family(const struct subscriptions *subscriptions, bool ipv6,
			   struct report_cursor *cursor)
{
	while (cursor->subscription < subscriptions->n &&
	       addr_is_ipv4(&subscriptions->list[cursor->subscription].group) == ipv6) {
		cursor->subscription++;
		cursor->source = 0;
	}
	return cursor->subscription < subscriptions->n;
}

/* Fills one record with as many sources as fit into room, moves the cursor behind them. Returns
 * the octets it takes, 0 when it does not fit. A list of IS_EX or TO_EX is not split but cut
 * (R-145). */
static size_t take_record(const struct subscription *subscription, enum report_kind kind,
			  size_t room, struct report_cursor *cursor, struct report_build *record)
{
	size_t addr_len = addr_is_ipv4(&subscription->group) ? 4 : 16;
	size_t header = 4 + addr_len;
	unsigned int fit, left;

	record->type = record_type(subscription, kind);
	record->group = subscription->group;
	left = record->type == RECORD_TO_IN ? 0 : subscription->nsources - cursor->source;
	if (room < header + (left > 0 ? addr_len : 0))
		return 0;
	fit = (unsigned int)((room - header) / addr_len);
	record->sources = subscription->sources + cursor->source;
	record->nsources = left < fit ? left : fit;
	cursor->source += record->nsources;
	if (record->nsources == left || subscription->exclude) {
		cursor->subscription++;
		cursor->source = 0;
	}
	return header + record->nsources * addr_len;
}

int subscriptions_report(const struct subscriptions *subscriptions, enum report_kind kind,
			 bool ipv6, bool old, struct report_cursor *cursor, void *buf, size_t size)
{
	struct report_build records[RECORDS_MAX];
	size_t room = REPORT_MAX, taken;
	unsigned int n = 0;

	if (!next_of_family(subscriptions, ipv6, cursor))
		return 0;
	if (old)
		return report_write_old(NULL, &subscriptions->list[cursor->subscription++].group,
					kind == REPORT_LEAVE, buf, size);
	while (n < RECORDS_MAX && next_of_family(subscriptions, ipv6, cursor)) {
		taken = take_record(&subscriptions->list[cursor->subscription], kind, room, cursor,
				    &records[n]);
		if (taken == 0)
			break;
		room -= taken;
		n++;
	}
	return report_write(ipv6, NULL, records, n, buf, size);
}
