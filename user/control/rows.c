/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The two answers that can be long, tunnels and groups: each row, and each member in a row, is made
 * when the client takes it, and what ended in the meantime is left out.
 */
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "control/check.h"
#include "control/commands.h"
#include "relay/service.h"

#define MEMBERS_AT_ONCE 64 /* tunnels that are asked whether they are */

struct rows {
	const struct control_context *context; /* the relay is gone when the role has changed */
	uint32_t *ids;			       /* NULL: all below n */
	unsigned int n, room, at;
	bool whole; /* with the memberships or members of each */
	bool failed;
	struct amt_addr wanted; /* group; any: all */
	/* of the row in hand */
	struct amt_group_key key;
	uint32_t tunnel; /* the next that may be a member */
};

static struct rows *rows_new(const struct control_context *context, bool whole)
{
	struct rows *rows = calloc(1, sizeof(*rows));

	if (rows) {
		rows->context = context;
		rows->whole = whole;
	}
	return rows;
}

static void rows_free(void *state)
{
	struct rows *rows = state;

	free(rows->ids);
	free(rows);
}

static void rows_add(struct rows *rows, uint32_t id)
{
	if (rows->n == rows->room) {
		unsigned int room = rows->room ? rows->room * 2 : 256;
		uint32_t *grown = reallocarray(rows->ids, room, sizeof(*grown));

		if (!grown) {
			rows->failed = true;
			return;
		}
		rows->ids = grown;
		rows->room = room;
	}
	rows->ids[rows->n++] = id;
}

static void rows_answer(struct rows *rows, struct control_answer *answer, const char *name,
			const struct control_rows *how)
{
	struct control_rows answer_rows = *how;

	answer_rows.free = rows_free;
	answer_rows.state = rows;
	if (rows->failed) {
		rows_free(rows);
		control_answer(answer, NULL);
		return;
	}
	control_answer_rows(answer, json_object(), name, &answer_rows);
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* ---- tunnels ---- */

struct memberships {
	json_t *groups;
	uint64_t now;
};

static void add_group(void *arg, const struct membership_view *view)
{
	struct memberships *to = arg;

	json_array_append_new(to->groups,
			      json_pack("{so ss so sb so}", "group", control_addr(&view->group),
					"mode", view->exclude ? "exclude" : "include", "expires",
					control_until(to->now, view->expires), "older_host",
					view->old_host_until > to->now, "sources", json_array()));
}

static void add_source(void *arg, const struct membership_view *view,
		       const struct membership_source_view *source)
{
	struct memberships *to = arg;
	json_t *group = json_array_get(to->groups, json_array_size(to->groups) - 1);

	json_array_append_new(json_object_get(group, "sources"),
			      json_pack("{so sb so}", "source", control_addr(&source->source),
					"excluded", source->excluded, "expires",
					source->excluded
						? json_null()
						: control_until(to->now, source->expires)));
}

static json_t *mac_json(const struct datapath_nexthop_view *hop)
{
	const uint8_t *mac = hop->mac;

	if (!hop->resolved)
		return json_null();
	return json_sprintf("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
			    mac[5]);
}

static json_t *tunnel_json(struct relay_service *service, const struct relay_tunnel_view *view)
{
	struct datapath *dp = relay_service_datapath(service);
	const struct amt_tunnel *record = datapath_tunnel(dp, view->id);
	struct datapath_nexthop_view hop = {0};
	uint64_t now = clock_now(), packets = 0, bytes = 0;

	datapath_tunnel_traffic(dp, view->id, &packets, &bytes);
	datapath_tunnel_nexthop(dp, view->id, &hop);
	return json_pack("{so si so si sI si so so so sb sI sI si so so so}", "gateway",
			 control_addr(&view->gateway.addr), "port", ntohs(view->gateway.port),
			 "relay", control_addr(&view->relay.addr), "relay_port",
			 ntohs(view->relay.port), "id", (json_int_t)view->id, "groups",
			 view->groups, "age", control_since(now, view->created_ns), "expires",
			 control_until(now, view->expires_ns), "last_update",
			 control_since(now, view->last_update_ns), "ecn", view->ecn, "packets",
			 (json_int_t)packets, "bytes", (json_int_t)bytes, "mtu",
			 record ? (int)record->mtu : 0, "next_hop",
			 hop.routed ? control_addr(&hop.address) : json_null(), "mac",
			 mac_json(&hop), "interface",
			 hop.routed ? json_string(hop.interface) : json_null());
}

static json_t *next_tunnel(void *state)
{
	struct rows *rows = state;
	struct relay_service *service = rows->context->service;
	struct relay_tunnel_view view;
	json_t *row;

	while (service && rows->at < rows->n) {
		uint32_t id = rows->ids ? rows->ids[rows->at] : rows->at;

		rows->at++;
		if (!relay_view(relay_service_relay(service), id, &view))
			continue;
		row = tunnel_json(service, &view);
		if (rows->whole) {
			struct memberships to = {json_array(), clock_now()};

			membership_walk(view.membership, add_group, add_source, &to);
			json_object_set_new(row, "memberships", to.groups);
		}
		return row;
	}
	return NULL;
}

static void note_tunnel(void *arg, const struct relay_tunnel_view *view)
{
	rows_add(arg, view->id);
}

void control_tunnels(void *arg, const json_t *request, struct control_answer *answer)
{
	struct control_context *context = arg;
	const char *command, *text = NULL;
	struct amt_addr addr;
	struct error err;
	struct rows *rows;

	if (!control_arguments(request, answer, "{s:s s?s !}", "command", &command, "address",
			       &text))
		return;
	if (text && check_address(text, &addr, &err)) {
		control_fail(answer, "%s", err.text);
		return;
	}
	if (context->gateway) {
		control_fail(answer, "this amtd is a gateway; its relays: amt-ctl relays");
		return;
	}
	rows = rows_new(context, text != NULL);
	if (!rows) {
		control_answer(answer, NULL);
		return;
	}
	if (text)
		relay_walk(relay_service_relay(context->service), &addr, note_tunnel, rows);
	else /* without a list: there may be very many */
		rows->n = relay_tunnel_ids(relay_service_relay(context->service));
	if (rows->ids)
		qsort(rows->ids, rows->n, sizeof(*rows->ids), by_number);
	rows_answer(rows, answer, "tunnels", &(struct control_rows){.next = next_tunnel});
}

/* ---- groups ---- */

static const char *path_name(enum amt_path path)
{
	switch (path) {
	case AMT_PATH_XDP_DIRECT:
		return "xdp";
	case AMT_PATH_XDP_RECIRCULATED:
		return "xdp-recirculated";
	case AMT_PATH_TC:
		return "tc";
	}
	return "?";
}

static json_t *upstream_error_json(struct rows *rows, const struct amt_addr *group)
{
	int error = upstream_group_error(relay_service_upstream(rows->context->service), group);

	return error ? json_string(strerror(-error)) : json_null();
}

static json_t *group_json(struct rows *rows, const struct datapath_set_view *view)
{
	const struct amt_group_counters *counters = &view->counters;

	return json_pack(
		"{so so si si ss ss si so so so sI sI sI sI so}", "group",
		control_addr(&view->key.group), "source", control_addr(&view->key.source),
		"members", view->members, "blocks", view->blocks, "path", path_name(view->path),
		"why", view->why ? view->why : "", "mtu", (int)view->mtu, "upstream",
		control_interface_name(view->upstream_ifindex), "rate",
		view->rate == DATAPATH_NONE ? json_null() : json_integer(view->rate),
		"upstream_error", upstream_error_json(rows, &view->key.group), "packets",
		(json_int_t)counters->packets, "bytes", (json_int_t)counters->bytes, "drops",
		(json_int_t)counters->drops, "limited", (json_int_t)counters->limited,
		"last_packet", control_since(clock_now(), counters->last_ns));
}

static json_t *next_group(void *state)
{
	struct rows *rows = state;
	struct relay_service *service = rows->context->service;
	struct datapath_set_view view;

	while (service && rows->at < rows->n) {
		/* an id may belong to another group by now */
		if (datapath_set_view(relay_service_datapath(service), rows->ids[rows->at++],
				      &view) ||
		    (rows->whole && !addr_equal(&view.key.group, &rows->wanted)))
			continue;
		rows->key = view.key;
		rows->tunnel = 0;
		return group_json(rows, &view);
	}
	return NULL;
}

static json_t *member_json(const struct relay_tunnel_view *view)
{
	return json_pack("{so si sI}", "gateway", control_addr(&view->gateway.addr), "port",
			 ntohs(view->gateway.port), "id", (json_int_t)view->id);
}

/* By their ids, whatever joins and leaves meanwhile. */
static bool add_members(void *state, json_t *items)
{
	struct rows *rows = state;
	struct relay_service *service = rows->context->service;
	struct relay_tunnel_view view;
	uint32_t end = rows->tunnel + MEMBERS_AT_ONCE, top;

	if (!service)
		return false;
	top = relay_tunnel_ids(relay_service_relay(service));
	for (; rows->tunnel < end && rows->tunnel < top; rows->tunnel++)
		if (datapath_set_has(relay_service_datapath(service), &rows->key, rows->tunnel) &&
		    relay_view(relay_service_relay(service), rows->tunnel, &view))
			json_array_append_new(items, member_json(&view));
	return rows->tunnel < top;
}

static void note_group(void *arg, const struct amt_group_key *key, uint32_t set,
		       unsigned int includes, unsigned int excludes)
{
	struct rows *rows = arg;

	if (set != MERGE_NO_SET && (!rows->whole || addr_equal(&key->group, &rows->wanted)))
		rows_add(rows, set);
}

void control_groups(void *arg, const json_t *request, struct control_answer *answer)
{
	struct control_context *context = arg;
	const char *command, *text = NULL;
	struct amt_addr group = {0};
	struct error err;
	struct rows *rows;

	if (!control_arguments(request, answer, "{s:s s?s !}", "command", &command, "group", &text))
		return;
	if (text && check_group(text, &group, &err)) {
		control_fail(answer, "%s", err.text);
		return;
	}
	if (context->gateway) {
		control_gateway_groups(context, text ? &group : NULL, answer);
		return;
	}
	rows = rows_new(context, text != NULL);
	if (!rows) {
		control_answer(answer, NULL);
		return;
	}
	rows->wanted = group;
	merge_walk(relay_merge(relay_service_relay(context->service)), note_group, rows);
	if (rows->n)
		qsort(rows->ids, rows->n, sizeof(*rows->ids), by_number);
	rows_answer(rows, answer, "groups",
		    &(struct control_rows){.next = next_group,
					   .list = text ? "tunnels" : NULL,
					   .add = add_members});
}
