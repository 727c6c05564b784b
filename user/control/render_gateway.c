/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The answers of a gateway as people read them. */
#include "control/render.h"

#include "control/render_rows.h"
#include "control/table.h"

/* An address and its port, or a dash. */
static void print_end(const json_t *answer, const char *name, const char *port, FILE *out)
{
	if (json_is_string(json_object_get(answer, name)))
		fprintf(out, "%s %s %s %lld", name, text_of(answer, name), port,
			number_of(answer, port));
	else
		fprintf(out, "%s -", name);
}

static const char *milliseconds(const json_t *value, char *buf)
{
	if (!json_is_number(value))
		return "-";
	snprintf(buf, CELL_LEN, "%.3f ms", json_number_value(value) * 1000);
	return buf;
}

static void print_tunnel(const json_t *answer, FILE *out)
{
	char handshake[CELL_LEN], query[CELL_LEN];

	print_end(answer, "relay", "relay_port", out);
	fprintf(out, "  state %s", text_of(answer, "state"));
	if (json_is_string(json_object_get(answer, "leaving")))
		fprintf(out, "  leaving %s", text_of(answer, "leaving"));
	fputc('\n', out);
	print_end(answer, "local", "local_port", out);
	fputs("  ", out);
	print_end(answer, "endpoint", "endpoint_port", out);
	fprintf(out, "  nat %s\n", form_value(member(answer, "nat"), FLAG, query));
	fprintf(out, "handshake %s  next_query %s  limit %s  ecn %s\n",
		milliseconds(member(answer, "handshake"), handshake),
		form_value(member(answer, "next_query"), DURATION, query),
		flag_of(answer, "limit") ? "yes" : "no", flag_of(answer, "ecn") ? "yes" : "no");
}

void render_gateway_status(const json_t *answer, FILE *out)
{
	const json_t *pseudo = json_object_get(answer, "pseudo_interface");
	const char *warning = json_string_value(member(pseudo, "warning"));
	char bytes[CELL_LEN], uptime[CELL_LEN];

	fprintf(out, "%s: amtd %s, pid %lld, up %s%s\n", text_of(answer, "instance"),
		text_of(answer, "version"), number_of(answer, "pid"),
		form_value(member(answer, "uptime"), DURATION, uptime),
		flag_of(answer, "adopted") ? ", took over a running gateway" : "");
	print_tunnel(answer, out);
	fprintf(out, "groups %lld  packets %lld (%s)\n", number_of(answer, "groups"),
		number_of(answer, "traffic.packets"),
		form_value(member(answer, "traffic.bytes"), OCTETS, bytes));
	render_loop(answer, out);
	if (json_is_object(pseudo))
		fprintf(out, "pseudo_interface %s  mtu %lld  address %s\n",
			text_of(pseudo, "interface"), number_of(pseudo, "mtu"),
			text_of(pseudo, "address"));
	if (warning && warning[0])
		fprintf(out, "warning: %s\n", warning);
	fputc('\n', out);
	if (json_array_size(json_object_get(answer, "interfaces")))
		render_interfaces(answer, out);
	else
		fputs("no uplink is attached: amt-ctl attach IFACE --gateway\n", out);
}

void render_gateway_groups(const json_t *answer, FILE *out)
{
	static const struct field fields[] = {
		{"group", TEXT},     {"source", TEXT},	{"excluded", FLAG},
		{"packets", NUMBER}, {"bytes", OCTETS}, {"last_packet", DURATION},
	};

	PRINT_ROWS(json_object_get(answer, "groups"), fields, out);
}

void render_relays(const json_t *answer, FILE *out)
{
	static const struct field fields[] = {
		{"candidate", TEXT}, {"kind", TEXT},	 {"relay", TEXT},
		{"current", FLAG},   {"held", DURATION}, {"why", TEXT},
	};

	PRINT_ROWS(json_object_get(answer, "relays"), fields, out);
}
