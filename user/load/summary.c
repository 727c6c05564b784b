/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "load/summary.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jansson.h>
#include "base/clock.h"

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static struct summary_times times_of(uint64_t *values, size_t n)
{
	if (n == 0)
		return (struct summary_times){0};
	qsort(values, n, sizeof(*values), compare_u64);
	return (struct summary_times){values[n / 2], values[n * 99 / 100], values[n - 1]};
}

static int measure_times(struct summary *summary, const struct summary_entry *entries,
			 unsigned int n)
{
	uint64_t *values = calloc(n ? n : 1, sizeof(*values));
	size_t found = 0;
	unsigned int i;

	if (!values)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		if (entries[i].gateway && entries[i].gateway->round_trip_ns)
			values[found++] = entries[i].gateway->round_trip_ns;
	}
	summary->query = times_of(values, found);
	for (found = 0, i = 0; i < n; i++) {
		const struct receiver *receiver = entries[i].receiver;

		if (receiver->first_after_join_ns > receiver->joined_ns)
			values[found++] = receiver->first_after_join_ns - receiver->joined_ns;
	}
	summary->data = times_of(values, found);
	free(values);
	return 0;
}

static void add_gateway(struct summary *summary, const struct gateway *gateway)
{
	const struct gateway_counts *counts = &gateway->counts;

	summary->gateways++;
	summary->established += gateway->round_trip_ns > 0;
	summary->counts.discoveries += counts->discoveries;
	summary->counts.requests += counts->requests;
	summary->counts.queries += counts->queries;
	summary->counts.updates += counts->updates;
	summary->counts.teardowns += counts->teardowns;
	summary->counts.limited += counts->limited;
	summary->counts.retries += counts->retries;
	summary->counts.refused += counts->refused;
	summary->totals.foreign += counts->foreign;
}

static bool entry_identical(const struct summary_entry *entry)
{
	unsigned int same = 0;
	const struct flow *flow;

	for (flow = entry->receiver->flows; flow; flow = flow->next) {
		if (!flow_identical(flow, entry->receiver, &entry->rules))
			return false;
		same++;
	}
	return same >= entry->receiver->wanted->n;
}

int summary_make(struct summary *summary, const struct summary_entry *entries, unsigned int n)
{
	unsigned int i;

	summary->receivers = n;
	for (i = 0; i < n; i++) {
		receiver_add_totals(entries[i].receiver, &entries[i].rules, &summary->totals);
		if (entries[i].gateway)
			add_gateway(summary, entries[i].gateway);
		summary->socket_drops += entries[i].socket_drops;
		summary->identical += entry_identical(&entries[i]);
	}
	return measure_times(summary, entries, n);
}

bool summary_good(const struct summary *s)
{
	const struct receiver_totals *t = &s->totals;

	return t->missing == 0 && t->duplicate == 0 && t->foreign == 0 && t->damaged == 0 &&
	       t->different == 0 && t->stale == 0 && t->silent == 0 && t->write_errors == 0 &&
	       s->established == s->gateways && (!s->in_order || t->reordered == 0) &&
	       (!s->compare || s->identical == s->receivers);
}

/* ---- for people ---- */

static void line(const char *name, uint64_t value, const char *note)
{
	printf("%-14s %12" PRIu64 "%s%s\n", name, value, *note ? "  " : "", note);
}

static void line_if(const char *name, uint64_t value, const char *note)
{
	if (value > 0)
		line(name, value, note);
}

static double milliseconds(uint64_t ns)
{
	return (double)ns / 1e6;
}

static void print_gateways(const struct summary *s)
{
	line("gateways", s->gateways, "");
	if (s->established < s->gateways)
		line("no answer", s->gateways - s->established, "gateways without a Query");
	printf("%-14s %12" PRIu64 "  requests %" PRIu64 ", updates %" PRIu64 ", teardowns %" PRIu64
	       ", sent again %" PRIu64 "\n",
	       "queries", s->counts.queries, s->counts.requests, s->counts.updates,
	       s->counts.teardowns, s->counts.retries);
	line_if("limited", s->counts.limited, "Queries with the L flag");
	line_if("refused", s->counts.refused, "messages that a gateway has to ignore");
	printf("%-14s %12.3f  ms from Request to Query, worst %.3f\n", "query",
	       milliseconds(s->query.median_ns), milliseconds(s->query.max_ns));
}

void summary_print(const struct summary *s)
{
	const struct receiver_totals *t = &s->totals;

	if (s->gateways > 0)
		print_gateways(s);
	if (t->packets > 0)
		printf("%-14s %12.3f  ms from join to data, 99 %% in %.3f, worst %.3f\n",
		       "first packet", milliseconds(s->data.median_ns),
		       milliseconds(s->data.p99_ns), milliseconds(s->data.max_ns));
	line("packets", t->packets, "");
	printf("%-14s %12.2f  Mbit/s of payload over %.2f s\n", "rate",
	       s->seconds > 0 ? (double)t->bytes * 8 / s->seconds / 1e6 : 0, s->seconds);
	line("missing", t->missing, s->socket_drops ? "(see socket drops)" : "");
	line("duplicate", t->duplicate, "");
	line("foreign", t->foreign, "");
	line("damaged", t->damaged, "");
	line_if("silent", t->silent, "groups without any packet");
	line_if("different", t->different, "from the file");
	line_if("reordered", t->reordered, "");
	line_if("stale", t->stale, "too late to be judged");
	line_if("fragments", t->fragments, "");
	line_if("after leave", t->after_leave, "");
	line_if("write errors", t->write_errors, "");
	line_if("socket drops", s->socket_drops, "lost here, not on the way: raise --buffer");
	if (s->compare)
		printf("%-14s %12" PRIu64 "  of %" PRIu64 " receivers\n", "identical", s->identical,
		       s->receivers);
	printf("result         %s\n", !summary_good(s) ? "FAILED"
				      : !t->packets ? "good, but nothing came: -f wants something"
						    : "good");
}

static void print_flow(const struct summary_entry *entry, const struct flow *flow)
{
	char source[AMT_ADDR_STRLEN], group[AMT_ADDR_STRLEN];
	const struct reference *reference = entry->receiver->reference;
	const char *verdict = "";

	if (reference && reference->data)
		verdict = flow_identical(flow, entry->receiver, &entry->rules) ? "  identical"
									       : "  DIFFERENT";
	printf("%-28s %s,%s  packets %" PRIu64 "  missing %" PRIu64 "  duplicate %" PRIu64
	       "  octets %" PRIu64 "%s\n",
	       entry->name, addr_print(&flow->source, source), addr_print(&flow->group, group),
	       flow->tracker.distinct, flow_missing(flow, &entry->rules), flow->tracker.duplicates,
	       flow->bytes, verdict);
}

void summary_print_entries(const struct summary_entry *entries, unsigned int n)
{
	const struct flow *flow;
	unsigned int i;

	for (i = 0; i < n; i++) {
		if (!entries[i].receiver->flows)
			printf("%-28s nothing\n", entries[i].name);
		for (flow = entries[i].receiver->flows; flow; flow = flow->next)
			print_flow(&entries[i], flow);
	}
}

/* ---- as JSON ---- */

static void put(json_t *object, const char *name, uint64_t value)
{
	json_object_set_new(object, name, json_integer((json_int_t)value));
}

static json_t *flow_json(const struct summary_entry *entry, const struct flow *flow)
{
	char source[AMT_ADDR_STRLEN], group[AMT_ADDR_STRLEN];
	json_t *json = json_object();

	json_object_set_new(json, "source", json_string(addr_print(&flow->source, source)));
	json_object_set_new(json, "group", json_string(addr_print(&flow->group, group)));
	put(json, "stream", flow->stream);
	put(json, "packets", flow->tracker.distinct);
	put(json, "first", flow->tracker.first);
	put(json, "last", flow->tracker.next ? flow->tracker.next - 1 : 0);
	put(json, "missing", flow_missing(flow, &entry->rules));
	put(json, "duplicate", flow->tracker.duplicates);
	put(json, "reordered", flow->tracker.reordered);
	put(json, "different", flow->different);
	put(json, "after_leave", flow->after_leave);
	put(json, "bytes", flow->bytes);
	json_object_set_new(json, "identical",
			    json_boolean(flow_identical(flow, entry->receiver, &entry->rules)));
	return json;
}

static json_t *entry_json(const struct summary_entry *entry)
{
	json_t *json = json_object(), *flows = json_array();
	const struct flow *flow;

	json_object_set_new(json, "name", json_string(entry->name));
	put(json, "packets", entry->receiver->packets);
	put(json, "foreign",
	    entry->receiver->foreign + (entry->gateway ? entry->gateway->counts.foreign : 0));
	put(json, "damaged", entry->receiver->damaged);
	put(json, "fragments", entry->receiver->fragments);
	put(json, "socket_drops", entry->socket_drops);
	if (entry->gateway)
		json_object_set_new(json, "established",
				    json_boolean(entry->gateway->round_trip_ns > 0));
	for (flow = entry->receiver->flows; flow; flow = flow->next)
		json_array_append_new(flows, flow_json(entry, flow));
	json_object_set_new(json, "flows", flows);
	return json;
}

static void put_counts(json_t *json, const struct summary *s)
{
	put(json, "gateways", s->gateways);
	put(json, "established", s->established);
	put(json, "joins", s->joins);
	put(json, "leaves", s->leaves);
	put(json, "discoveries", s->counts.discoveries);
	put(json, "requests", s->counts.requests);
	put(json, "queries", s->counts.queries);
	put(json, "updates", s->counts.updates);
	put(json, "teardowns", s->counts.teardowns);
	put(json, "limited", s->counts.limited);
	put(json, "retries", s->counts.retries);
	put(json, "refused", s->counts.refused);
	put(json, "query_median_ns", s->query.median_ns);
	put(json, "query_p99_ns", s->query.p99_ns);
	put(json, "query_max_ns", s->query.max_ns);
}

static void put_totals(json_t *json, const struct summary *s)
{
	const struct receiver_totals *t = &s->totals;

	put(json, "receivers", s->receivers);
	put(json, "packets", t->packets);
	put(json, "distinct", t->distinct);
	put(json, "bytes", t->bytes);
	put(json, "missing", t->missing);
	put(json, "duplicate", t->duplicate);
	put(json, "foreign", t->foreign);
	put(json, "damaged", t->damaged);
	put(json, "different", t->different);
	put(json, "silent", t->silent);
	put(json, "incomplete", t->incomplete);
	put(json, "reordered", t->reordered);
	put(json, "stale", t->stale);
	put(json, "fragments", t->fragments);
	put(json, "after_leave", t->after_leave);
	put(json, "socket_drops", s->socket_drops);
	put(json, "identical", s->identical);
	put(json, "data_median_ns", s->data.median_ns);
	put(json, "data_p99_ns", s->data.p99_ns);
	put(json, "data_max_ns", s->data.max_ns);
	json_object_set_new(json, "seconds", json_real(s->seconds));
	json_object_set_new(json, "good", json_boolean(summary_good(s)));
}

int summary_print_json(const struct summary *s, const struct summary_entry *entries, unsigned int n)
{
	json_t *json = json_object(), *list;
	unsigned int i;
	int ret;

	if (s->gateways > 0)
		put_counts(json, s);
	put_totals(json, s);
	if (entries) {
		list = json_array();
		for (i = 0; i < n; i++)
			json_array_append_new(list, entry_json(&entries[i]));
		json_object_set_new(json, "each", list);
	}
	ret = json_dumpf(json, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(json);
	return ret;
}
