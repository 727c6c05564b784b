/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The answers that a gateway gives in its own way: status, groups, relays, verify.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "control/check.h"
#include "control/commands.h"
#include "gateway/service.h"

static json_t *port_json(const struct amt_sockaddr *sa)
{
	return sa->port ? json_integer(ntohs(sa->port)) : json_null();
}

static json_t *known_addr(const struct amt_sockaddr *sa)
{
	return sa->port ? control_addr(&sa->addr) : json_null();
}

/* ---- status ---- */

static const char *state_name(const struct gateway_service_status *status, bool running)
{
	return running ? gateway_state_name(status->engine.state) : "detached";
}

static json_t *nat_json(enum gateway_service_nat nat)
{
	return nat == NAT_UNKNOWN ? json_null() : json_boolean(nat == NAT_YES);
}

static json_t *pseudo_json(const struct pseudo_info *info)
{
	if (!info->name[0])
		return json_null();
	return json_pack("{ss ss si so ss}", "interface", info->name, "peer", info->peer, "mtu",
			 (int)info->mtu, "address", control_addr(&info->ipv4), "warning",
			 info->warning);
}

struct sums {
	unsigned int groups;
	uint64_t packets, bytes;
};

static void add_sums(void *arg, const struct datapath_decap_group *group)
{
	struct sums *to = arg;

	to->groups += !group->excluded;
	to->packets += group->packets;
	to->bytes += group->bytes;
}

/* A round trip is told to the microsecond. */
static json_t *handshake_json(uint64_t ns)
{
	return ns ? json_real((double)(ns / 1000) / 1e6) : json_null();
}

void control_gateway_status(struct control_context *context, struct control_answer *answer)
{
	struct gateway_service *service = context->gateway;
	struct gateway_service_status status;
	bool running = gateway_service_status(service, &status), up;
	const struct gateway_status *engine = &status.engine;
	uint64_t now = clock_now();
	struct sums sums = {0};

	up = running && engine->state == GATEWAY_UP;
	datapath_decap_wanted_walk(gateway_service_datapath(service), add_sums, &sums);
	control_answer(
		answer,
		json_pack(
			"{ss ss ss si so sb ss so so so so so so so so so sb sb so si so so so so}",
			"role", "gateway", "instance", context->instance, "version", AMT_VERSION,
			"pid", getpid(), "uptime",
			control_since(now, gateway_service_started_ns(service)), "adopted",
			gateway_service_adopted(service), "state", state_name(&status, running),
			"relay", known_addr(&engine->relay), "relay_port",
			port_json(&engine->relay), "local", known_addr(&status.local), "local_port",
			port_json(&status.local), "endpoint", known_addr(&engine->endpoint),
			"endpoint_port", port_json(&engine->endpoint), "nat", nat_json(status.nat),
			"handshake", handshake_json(engine->handshake_ns), "next_query",
			running ? control_until(now, engine->next_query_ns) : json_null(), "limit",
			up && engine->limit, "ecn", up && engine->ecn, "leaving",
			known_addr(&engine->leaving), "groups", sums.groups, "traffic",
			json_pack("{sI sI sI}", "packets", (json_int_t)sums.packets, "bytes",
				  (json_int_t)sums.bytes, "slow_packets",
				  (json_int_t)status.slow_packets),
			"pseudo_interface", pseudo_json(&status.pseudo), "interfaces",
			control_interfaces(context, NULL), "loop", control_loop()));
}

/* ---- groups ---- */

struct list {
	struct datapath_decap_group *rows;
	unsigned int n, room, at;
	bool all, failed;
	struct amt_addr wanted; /* group, unless all */
};

static void note_group(void *arg, const struct datapath_decap_group *group)
{
	struct list *to = arg;

	if (!to->all && !addr_equal(&group->key.group, &to->wanted))
		return;
	if (to->n == to->room) {
		unsigned int room = to->room ? to->room * 2 : 64;
		struct datapath_decap_group *grown = reallocarray(to->rows, room, sizeof(*grown));

		if (!grown) {
			to->failed = true;
			return;
		}
		to->rows = grown;
		to->room = room;
	}
	to->rows[to->n++] = *group;
}

static int by_key(const void *a, const void *b)
{
	const struct amt_group_key *x = &((const struct datapath_decap_group *)a)->key;
	const struct amt_group_key *y = &((const struct datapath_decap_group *)b)->key;
	int order = addr_compare(&x->group, &y->group);

	return order ? order : addr_compare(&x->source, &y->source);
}

static void list_free(void *state)
{
	struct list *list = state;

	free(list->rows);
	free(list);
}

static json_t *next_row(void *state)
{
	struct list *list = state;
	const struct datapath_decap_group *row;

	if (list->at == list->n)
		return NULL;
	row = &list->rows[list->at++];
	return json_pack("{so so sb sI sI so}", "group", control_addr(&row->key.group), "source",
			 control_addr(&row->key.source), "excluded", row->excluded, "packets",
			 (json_int_t)row->packets, "bytes", (json_int_t)row->bytes, "last_packet",
			 control_since(clock_now(), row->last_ns));
}

void control_gateway_groups(struct control_context *context, const struct amt_addr *group,
			    struct control_answer *answer)
{
	struct list *list = calloc(1, sizeof(*list));
	struct control_rows rows = {.next = next_row, .free = list_free, .state = list};

	if (!list) {
		control_answer(answer, NULL);
		return;
	}
	list->all = !group;
	if (group)
		list->wanted = *group;
	datapath_decap_wanted_walk(gateway_service_datapath(context->gateway), note_group, list);
	if (list->failed) {
		list_free(list);
		control_answer(answer, NULL);
		return;
	}
	if (list->n)
		qsort(list->rows, list->n, sizeof(*list->rows), by_key);
	control_answer_rows(answer, json_pack("{ss}", "role", "gateway"), "groups", &rows);
}

/* ---- relays ---- */

struct views {
	json_t *array;
	uint64_t now;
};

static void add_view(void *arg, const struct gateway_candidate_view *view)
{
	static const char *const kinds[] = {
		[CANDIDATE_ADDRESS] = "address",
		[CANDIDATE_ANYCAST] = "anycast",
		[CANDIDATE_NAME] = "name",
	};
	const struct gateway_candidate *candidate = view->candidate;
	struct views *to = arg;
	bool named = candidate->kind == CANDIDATE_NAME, held = view->held_until_ns > to->now;

	json_array_append_new(
		to->array,
		json_pack("{so ss so sb so ss}", "candidate",
			  named ? json_string(candidate->name) : control_addr(&candidate->addr),
			  "kind", kinds[candidate->kind], "relay",
			  addr_is_any(&view->relay) ? json_null() : control_addr(&view->relay),
			  "current", view->current, "held",
			  held ? control_until(to->now, view->held_until_ns) : json_null(), "why",
			  held && view->why ? view->why : ""));
}

void control_relays(void *arg, const json_t *request, struct control_answer *answer)
{
	struct control_context *context = arg;
	struct views views = {NULL, clock_now()};
	const char *command;

	if (!control_arguments(request, answer, "{s:s !}", "command", &command))
		return;
	if (!context->gateway) {
		control_fail(answer, "this amtd is no gateway; who is served: amt-ctl tunnels");
		return;
	}
	views.array = json_array();
	gateway_service_walk_candidates(context->gateway, views.now, add_view, &views);
	control_answer(answer, json_pack("{so}", "relays", views.array));
}

/* ---- verify ---- */

static void answer_verify(const struct control_context *context,
			  const struct gateway_verify *result, struct control_answer *answer)
{
	const struct arrival *arrival = &result->arrival;
	struct gateway_service_status status;
	uint64_t now = clock_now();

	gateway_service_status(context->gateway, &status);
	control_answer(answer, json_pack("{so ss so so sI sI so}", "relay",
					 known_addr(&status.engine.relay), "state",
					 state_name(&status, true), "elapsed",
					 control_seconds(now - result->started_ns), "first_packet",
					 arrival->first_ns ? control_seconds(arrival->first_ns -
									     result->started_ns)
							   : json_null(),
					 "packets", (json_int_t)arrival->packets, "bytes",
					 (json_int_t)arrival->bytes, "lost",
					 rtp_is_one(&arrival->rtp)
						 ? json_integer((json_int_t)rtp_lost(&arrival->rtp))
						 : json_null()));
}

void control_verify(void *arg, const json_t *request, struct control_answer *answer)
{
	struct control_context *context = arg;
	const char *command, *source_text = NULL, *group_text = NULL;
	struct amt_addr source = {0}, group;
	struct gateway_verify result;
	struct error err = {"it failed"};
	int end = 0;

	if (!control_arguments(request, answer, "{s:s s?s s:s s?b !}", "command", &command,
			       "source", &source_text, "group", &group_text, "end", &end))
		return;
	if (!context->gateway)
		control_fail(answer, "this amtd is no gateway; to ask a relay without one: amt-ctl "
				     "verify ... --relay ADDRESS");
	else if (check_group(group_text, &group, &err) ||
		 (source_text && check_source(source_text, &group, &source, &err)) ||
		 gateway_service_verify(context->gateway, &source, &group, &result, &err))
		control_fail(answer, "%s", err.text);
	else
		answer_verify(context, &result, answer);
	if (end && context->gateway)
		gateway_service_verify_end(context->gateway);
}
