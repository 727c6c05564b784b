/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The live table of amt-ctl top: rates between two looks at the same relay or gateway. */
#include <stdlib.h>
#include <string.h>
#include "control/render.h"
#include "control/table.h"

struct rate {
	const json_t *group;
	double packets, octets, drops, copies; /* a second */
};

static double traffic(const struct render_sample *sample, const char *name)
{
	const json_t *object = json_object_get(sample->status, "traffic");

	return json_number_value(json_object_get(object, name));
}

static double growth(double before, double after, double seconds)
{
	/* counters start anew with a new relay */
	return after > before && seconds > 0 ? (after - before) / seconds : 0;
}

static const char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "-";
}

/* Rows come in the order of their ids, which two samples share: at is where the last was found. */
static const json_t *same_group(const json_t *rows, const json_t *group, size_t *at)
{
	size_t i, n = json_array_size(rows);

	for (i = 0; i < n; i++) {
		const json_t *row = json_array_get(rows, (*at + i) % n);

		if (strcmp(text_of(row, "group"), text_of(group, "group")) == 0 &&
		    strcmp(text_of(row, "source"), text_of(group, "source")) == 0) {
			*at = (*at + i + 1) % n;
			return row;
		}
	}
	return NULL;
}

static double grown(const json_t *before, const json_t *after, const char *name, double seconds)
{
	return growth(json_number_value(json_object_get(before, name)),
		      json_number_value(json_object_get(after, name)), seconds);
}

static int by_rate(const void *a, const void *b)
{
	const struct rate *x = a, *y = b;

	if (x->copies != y->copies)
		return x->copies < y->copies ? 1 : -1;
	return strcmp(text_of(x->group, "group"), text_of(y->group, "group"));
}

static struct rate *rates_new(const json_t *before, const json_t *after, double seconds, size_t *n)
{
	struct rate *rates = calloc(json_array_size(after) + 1, sizeof(*rates));
	const json_t *group;
	size_t i, at = 0;

	*n = rates ? json_array_size(after) : 0;
	for (i = 0; i < *n; i++) {
		const json_t *old;

		group = json_array_get(after, i);
		old = same_group(before, group, &at);
		rates[i].group = group;
		if (!old)
			continue;
		rates[i].packets = grown(old, group, "packets", seconds);
		rates[i].octets = grown(old, group, "bytes", seconds);
		rates[i].drops = grown(old, group, "drops", seconds);
		/* a gateway has no members: its busiest are those with most packets */
		old = json_object_get(group, "members");
		rates[i].copies = rates[i].packets * (old ? json_number_value(old) : 1);
	}
	if (*n)
		qsort(rates, *n, sizeof(*rates), by_rate);
	return rates;
}

static void print_head(const struct render_sample *before, const struct render_sample *after,
		       double seconds, FILE *out)
{
	char in[HUMAN_LEN], copies[HUMAN_LEN], drops[HUMAN_LEN], uptime[HUMAN_LEN];
	double octets =
		growth(traffic(before, "copies_bytes"), traffic(after, "copies_bytes"), seconds);
	const json_t *status = after->status;

	fprintf(out, "%s: up %s  tunnels %lld  groups %lld  channels %lld\n",
		text_of(status, "instance"),
		human_duration(json_number_value(json_object_get(status, "uptime")), uptime),
		(long long)json_integer_value(json_object_get(status, "tunnels")),
		(long long)json_integer_value(json_object_get(status, "groups")),
		(long long)json_integer_value(json_object_get(status, "channels")));
	fprintf(out, "packets_in %s/s  copies_out %s/s  %.1f Mbit/s out  xmit_drops %s/s\n\n",
		human_count(growth(traffic(before, "packets_in"), traffic(after, "packets_in"),
				   seconds),
			    in),
		human_count(growth(traffic(before, "copies_out"), traffic(after, "copies_out"),
				   seconds),
			    copies),
		octets * 8 / 1e6,
		human_count(growth(traffic(before, "xmit_drops"), traffic(after, "xmit_drops"),
				   seconds),
			    drops));
}

static void add_row(struct table *table, const struct rate *rate)
{
	char buf[HUMAN_LEN];

	table_cell(table, text_of(rate->group, "group"));
	table_cell(table, text_of(rate->group, "source"));
	snprintf(buf, sizeof(buf), "%lld",
		 (long long)json_integer_value(json_object_get(rate->group, "members")));
	table_cell(table, buf);
	table_cell(table, text_of(rate->group, "path"));
	table_cell(table, human_count(rate->packets, buf));
	snprintf(buf, sizeof(buf), "%.2f", rate->octets * 8 / 1e6);
	table_cell(table, buf);
	table_cell(table, human_count(rate->copies, buf));
	table_cell(table, human_count(rate->drops, buf));
}

static void print_gateway_head(const struct render_sample *before,
			       const struct render_sample *after, double seconds, FILE *out)
{
	char packets[HUMAN_LEN], uptime[HUMAN_LEN];
	const json_t *status = after->status;

	fprintf(out, "%s: up %s  relay %s  state %s  groups %lld\n", text_of(status, "instance"),
		human_duration(json_number_value(json_object_get(status, "uptime")), uptime),
		text_of(status, "relay"), text_of(status, "state"),
		(long long)json_integer_value(json_object_get(status, "groups")));
	fprintf(out, "packets %s/s  %.1f Mbit/s\n\n",
		human_count(growth(traffic(before, "packets"), traffic(after, "packets"), seconds),
			    packets),
		growth(traffic(before, "bytes"), traffic(after, "bytes"), seconds) * 8 / 1e6);
}

static void add_gateway_row(struct table *table, const struct rate *rate)
{
	char buf[HUMAN_LEN];

	table_cell(table, text_of(rate->group, "group"));
	table_cell(table, text_of(rate->group, "source"));
	table_cell(table, human_count(rate->packets, buf));
	snprintf(buf, sizeof(buf), "%.2f", rate->octets * 8 / 1e6);
	table_cell(table, buf);
}

void render_top(const struct render_sample *before, const struct render_sample *after,
		double seconds, unsigned int lines, FILE *out)
{
	static const struct table_column columns[] = {
		{"group", false},    {"source", false}, {"members", true},  {"path", false},
		{"packets/s", true}, {"Mbit/s", true},	{"copies/s", true}, {"drops/s", true},
	};
	static const struct table_column gateway_columns[] = {
		{"group", false}, {"source", false}, {"packets/s", true}, {"Mbit/s", true}};
	bool gateway = strcmp(text_of(after->status, "role"), "gateway") == 0;
	struct table *table = gateway ? table_new(gateway_columns, 4)
				      : table_new(columns, sizeof(columns) / sizeof(columns[0]));
	size_t n, i;
	struct rate *rates = rates_new(json_object_get(before->groups, "groups"),
				       json_object_get(after->groups, "groups"), seconds, &n);

	if (gateway)
		print_gateway_head(before, after, seconds, out);
	else
		print_head(before, after, seconds, out);
	for (i = 0; table && i < n && i < lines; i++)
		(gateway ? add_gateway_row : add_row)(table, &rates[i]);
	if (table)
		table_print(table, out);
	if (n > lines)
		fprintf(out, "and %zu more: amt-ctl groups\n", n - lines);
	table_free(table);
	free(rates);
}
