/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/render.h"

#include <stdbool.h>
#include <string.h>
#include "base/counters.h"
#include "control/render_rows.h"
#include "control/table.h"

#define COLUMNS_MAX 20

/* ---- values ---- */

const char *form_value(const json_t *value, enum form form, char *buf)
{
	if (!value || json_is_null(value))
		return "-";
	switch (form) {
	case FLAG:
		return json_is_true(value) ? "yes" : "no";
	case DURATION:
		return human_duration(json_number_value(value), buf);
	case OCTETS:
		return human_octets(json_number_value(value), buf);
	case NUMBER:
		snprintf(buf, CELL_LEN, "%lld", (long long)json_integer_value(value));
		return buf;
	case TEXT:
		break;
	}
	return json_is_string(value) ? json_string_value(value) : "-";
}

const json_t *member(const json_t *object, const char *path)
{
	char name[64];

	for (;;) {
		size_t n = strcspn(path, ".");

		snprintf(name, sizeof(name), "%.*s", (int)n, path);
		object = json_object_get(object, name);
		if (!path[n])
			return object;
		path += n + 1;
	}
}

const char *text_of(const json_t *object, const char *path)
{
	const char *text = json_string_value(member(object, path));

	return text ? text : "-";
}

long long number_of(const json_t *object, const char *path)
{
	return (long long)json_integer_value(member(object, path));
}

bool flag_of(const json_t *object, const char *path)
{
	return json_is_true(member(object, path));
}

/* ---- tables ---- */

void print_rows(const json_t *rows, const struct field *fields, unsigned int n, FILE *out)
{
	struct table_column columns[COLUMNS_MAX];
	struct table *table;
	char buf[CELL_LEN];
	const json_t *row;
	unsigned int i;
	size_t at;

	for (i = 0; i < n; i++)
		columns[i] = (struct table_column){
			fields[i].name,
			fields[i].form != TEXT && fields[i].form != FLAG,
		};
	table = table_new(columns, n);
	if (!table)
		return;
	json_array_foreach(rows, at, row) for (i = 0; i < n; i++) table_cell(
		table, form_value(json_object_get(row, fields[i].name), fields[i].form, buf));
	table_print(table, out);
	table_free(table);
}

/* ---- status ---- */

static const struct field interface_fields[] = {
	{"interface", TEXT}, {"upstream", FLAG}, {"uplink", FLAG}, {"gateway", FLAG},
	{"mode", TEXT},	     {"xdp", FLAG},	 {"tc", FLAG},	   {"ring", NUMBER},
	{"mtu", NUMBER},     {"runtime", FLAG},	 {"absent", FLAG}, {"shield", TEXT},
	{"why", TEXT},
};

void render_interfaces(const json_t *answer, FILE *out)
{
	PRINT_ROWS(json_object_get(answer, "interfaces"), interface_fields, out);
}

static void render_head(const json_t *answer, FILE *out)
{
	char uptime[CELL_LEN], interval[CELL_LEN], age[CELL_LEN];

	fprintf(out, "%s: amtd %s, pid %lld, up %s%s%s%s\n", text_of(answer, "instance"),
		text_of(answer, "version"), number_of(answer, "pid"),
		form_value(member(answer, "uptime"), DURATION, uptime),
		flag_of(answer, "adopted") ? ", took over a running relay" : "",
		flag_of(answer, "draining") ? ", draining: no new tunnels" : "",
		flag_of(answer, "at_limit") && !flag_of(answer, "draining")
			? ", at the limit of tunnels"
			: "");
	fprintf(out,
		"tunnels %lld  groups %lld  channels %lld  membership_interval %s  secret_age %s\n",
		number_of(answer, "tunnels"), number_of(answer, "groups"),
		number_of(answer, "channels"),
		form_value(member(answer, "membership_interval"), DURATION, interval),
		form_value(member(answer, "secret_age"), DURATION, age));
}

/* Milliseconds of work between two waits: what a gateway may have to wait for its answer. */
void render_loop(const json_t *answer, FILE *out)
{
	char busy[CELL_LEN];

	if (json_is_object(member(answer, "loop")))
		fprintf(out, "loop: turns %lld  busy %s  longest %.3f ms\n",
			number_of(answer, "loop.turns"),
			form_value(member(answer, "loop.busy"), DURATION, busy),
			json_number_value(member(answer, "loop.longest")) * 1000);
}

static void render_traffic(const json_t *answer, FILE *out)
{
	char in[CELL_LEN], copies[CELL_LEN];

	fprintf(out, "packets_in %lld (%s)  copies_out %lld (%s)  ",
		number_of(answer, "traffic.packets_in"),
		form_value(member(answer, "traffic.bytes_in"), OCTETS, in),
		number_of(answer, "traffic.copies_out"),
		form_value(member(answer, "traffic.copies_bytes"), OCTETS, copies));
	if (flag_of(answer, "xmit_drops_counted"))
		fprintf(out, "xmit_drops %lld%s\n", number_of(answer, "traffic.xmit_drops"),
			number_of(answer, "traffic.xmit_drops")
				? " (an uplink's ring was full, or its peer takes less: see its "
				  "ring here, its MTU at the peer)"
				: "");
	else
		fprintf(out, "xmit_drops not counted: no raw tracepoint xdp_devmap_xmit\n");
	fprintf(out, "upstream: groups %lld  sockets %lld  failed %lld  holder_pid %lld\n",
		number_of(answer, "upstream.groups"), number_of(answer, "upstream.sockets"),
		number_of(answer, "upstream.failed"), number_of(answer, "upstream.holder_pid"));
}

static void render_smaller_blocks(const json_t *answer, FILE *out)
{
	const json_t *interface;
	size_t i;

	json_array_foreach(json_object_get(answer, "interfaces"), i, interface)
	{
		if (number_of(interface, "halvings"))
			fprintf(out,
				"%s drops copies at transmit: its blocks are %d times smaller now; "
				"a larger ring (ethtool -G), or a queue for each CPU, helps more\n",
				text_of(interface, "interface"),
				1 << number_of(interface, "halvings"));
	}
}

void render_status(const json_t *answer, FILE *out)
{
	static const struct field fields[] = {
		{"address", TEXT},    {"port", NUMBER},	   {"advertised", FLAG},
		{"configured", FLAG}, {"interface", TEXT},
	};
	const json_t *addresses = json_object_get(answer, "addresses");

	if (strcmp(text_of(answer, "role"), "gateway") == 0) {
		render_gateway_status(answer, out);
		return;
	}
	render_head(answer, out);
	render_traffic(answer, out);
	render_smaller_blocks(answer, out);
	render_loop(answer, out);
	fputc('\n', out);
	if (json_array_size(addresses))
		PRINT_ROWS(addresses, fields, out);
	else
		fputs("no address is listened on: attach an uplink that has one, or set address in "
		      "amtd.conf(5)\n",
		      out);
	fputc('\n', out);
	if (json_array_size(json_object_get(answer, "interfaces")))
		render_interfaces(answer, out);
	else
		fputs("no interface is attached: amt-ctl attach IFACE\n", out);
}

/* ---- tunnels ---- */

static void render_memberships(const json_t *tunnel, FILE *out)
{
	const json_t *group, *source;
	char buf[CELL_LEN];
	size_t i, j;

	json_array_foreach(json_object_get(tunnel, "memberships"), i, group)
	{
		fprintf(out, "  group %s  mode %s  expires %s%s\n", text_of(group, "group"),
			text_of(group, "mode"), form_value(member(group, "expires"), DURATION, buf),
			flag_of(group, "older_host") ? "  older_host" : "");
		json_array_foreach(json_object_get(group, "sources"), j, source)
		{
			bool excluded = flag_of(source, "excluded");

			fprintf(out, "    source %s  %s%s\n", text_of(source, "source"),
				excluded ? "excluded" : "expires ",
				excluded ? ""
					 : form_value(member(source, "expires"), DURATION, buf));
		}
	}
}

void render_tunnels(const json_t *answer, FILE *out)
{
	static const struct field fields[] = {
		{"gateway", TEXT},  {"port", NUMBER},	   {"relay", TEXT},	{"groups", NUMBER},
		{"age", DURATION},  {"expires", DURATION}, {"packets", NUMBER}, {"bytes", OCTETS},
		{"next_hop", TEXT}, {"mac", TEXT},	   {"interface", TEXT},
	};
	const json_t *tunnels = json_object_get(answer, "tunnels"), *tunnel;
	size_t i;

	PRINT_ROWS(tunnels, fields, out);
	json_array_foreach(tunnels, i, tunnel)
	{
		if (!json_array_size(json_object_get(tunnel, "memberships")))
			continue;
		fprintf(out, "\n%s port %lld:\n", text_of(tunnel, "gateway"),
			number_of(tunnel, "port"));
		render_memberships(tunnel, out);
	}
}

/* ---- groups ---- */

static const struct field group_fields[] = {
	{"group", TEXT},	   {"source", TEXT},	     {"members", NUMBER},
	{"blocks", NUMBER},	   {"path", TEXT},	     {"mtu", NUMBER},
	{"upstream", TEXT},	   {"packets", NUMBER},	     {"bytes", OCTETS},
	{"rate", NUMBER},	   {"drops", NUMBER},	     {"limited", NUMBER},
	{"last_packet", DURATION}, {"upstream_error", TEXT}, {"why", TEXT},
};

void render_groups(const json_t *answer, FILE *out)
{
	static const struct field member_fields[] = {
		{"gateway", TEXT}, {"port", NUMBER}, {"id", NUMBER}};
	const json_t *groups = json_object_get(answer, "groups"), *group;
	size_t i;

	if (strcmp(text_of(answer, "role"), "gateway") == 0) {
		render_gateway_groups(answer, out);
		return;
	}
	PRINT_ROWS(groups, group_fields, out);
	json_array_foreach(groups, i, group)
	{
		const json_t *tunnels = json_object_get(group, "tunnels");

		if (!json_array_size(tunnels))
			continue;
		fprintf(out, "\ntunnels of group %s source %s:\n", text_of(group, "group"),
			text_of(group, "source"));
		PRINT_ROWS(tunnels, member_fields, out);
	}
}

/* ---- stats, maps ---- */

static const char *help_of(const char *name)
{
	int i;

	for (i = 0; i < AMT_COUNTERS_NUM; i++)
		if (strcmp(counter_name((enum amt_counter)i), name) == 0)
			return counter_help((enum amt_counter)i);
	return "";
}

static void render_turns(const json_t *turns, FILE *out)
{
	const json_t *row;
	size_t i;

	json_array_foreach(turns, i, row)
	{
		const json_t *bound = json_object_get(row, "up_to");

		if (!number_of(row, "turns"))
			continue;
		if (json_is_number(bound))
			fprintf(out, "  up to %6.1f ms  ", json_number_value(bound) * 1000);
		else
			fprintf(out, "  longer %10s", "");
		fprintf(out, "%12lld\n", number_of(row, "turns"));
	}
}

void render_stats(const json_t *answer, FILE *out)
{
	static const struct table_column columns[] = {
		{"counter", false}, {"value", true}, {"meaning", false}};
	struct table *table = table_new(columns, 3);
	const json_t *value;
	const char *name;
	char buf[CELL_LEN];

	if (!table)
		return;
	json_object_foreach((json_t *)json_object_get(answer, "counters"), name, value)
	{
		table_cell(table, name);
		table_cell(table, form_value(value, NUMBER, buf));
		table_cell(table, help_of(name));
	}
	table_print(table, out);
	table_free(table);
	render_loop(answer, out);
	render_turns(member(answer, "loop.histogram"), out);
}

void render_maps(const json_t *answer, FILE *out)
{
	static const struct field fields[] = {
		{"map", TEXT},	  {"type", TEXT}, {"max_entries", NUMBER},
		{"used", NUMBER}, {"path", TEXT}, {"holds", TEXT},
	};

	PRINT_ROWS(json_object_get(answer, "maps"), fields, out);
}
