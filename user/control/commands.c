/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/commands.h"

#include <errno.h>
#include <net/if.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/counters.h"
#include "base/loop.h"
#include "gateway/service.h"
#include "relay/service.h"

#define ADDRESSES_MAX 256
#define DRAIN_MAX     86400

/* ---- what all answers share ---- */

bool control_arguments(const json_t *request, struct control_answer *answer, const char *format,
		       ...)
{
	json_error_t error;
	va_list args;
	int ret;

	va_start(args, format);
	ret = json_vunpack_ex((json_t *)request, &error, 0, format, args);
	va_end(args);
	if (ret)
		control_fail(answer, "wrong arguments: %s", error.text);
	return ret == 0;
}

json_t *control_seconds(uint64_t ns)
{
	return json_real((double)(ns / NSEC_PER_MSEC) / 1000.0);
}

json_t *control_until(uint64_t now, uint64_t deadline)
{
	if (deadline == TIME_NEVER)
		return json_null();
	return control_seconds(deadline > now ? deadline - now : 0);
}

json_t *control_since(uint64_t now, uint64_t then)
{
	return then ? control_seconds(now > then ? now - then : 0) : json_null();
}

json_t *control_addr(const struct amt_addr *addr)
{
	char buf[AMT_ADDR_STRLEN];

	return json_string(addr_print(addr, buf));
}

json_t *control_interface_name(uint32_t ifindex)
{
	char name[IF_NAMESIZE];

	if (!ifindex)
		return json_null();
	return if_indextoname(ifindex, name) ? json_string(name)
					     : json_sprintf("ifindex %u", ifindex);
}

struct datapath *control_datapath(struct control_context *context)
{
	return context->gateway ? gateway_service_datapath(context->gateway)
				: relay_service_datapath(context->service);
}

/* Each bound with the turns that took no longer, but longer than the bound before; the last has no
 * bound. */
static json_t *turns_json(const struct loop_stats *stats)
{
	json_t *array = json_array();
	unsigned int i;

	for (i = 0; i <= LOOP_BOUNDS; i++)
		json_array_append_new(
			array, json_pack("{so sI}", "up_to",
					 i < LOOP_BOUNDS ? json_real((double)loop_bound(i) / 1e9)
							 : json_null(),
					 "turns", (json_int_t)stats->turn[i]));
	return array;
}

json_t *control_loop(void)
{
	struct loop_stats stats;

	loop_stats(&stats);
	return json_pack("{sI so sf so}", "turns", (json_int_t)stats.turns, "busy",
			 control_seconds(stats.busy_ns), "longest",
			 (double)(stats.longest_ns / 1000) / 1e6, "histogram", turns_json(&stats));
}

/* All counters: those of the packet path and amtd's own. */
static int counters_read(struct control_context *context, uint64_t counters[AMT_COUNTERS_NUM])
{
	unsigned int i;
	int ret;

	memset(counters, 0, AMT_COUNTERS_NUM * sizeof(counters[0]));
	ret = datapath_counters(control_datapath(context), counters);
	for (i = 0; i < AMT_COUNTERS_NUM; i++)
		counters[i] += counter_get((enum amt_counter)i);
	return ret;
}

/* ---- status ---- */

static json_t *addresses_json(struct relay_service *service)
{
	static struct relay_service_address list[ADDRESSES_MAX];
	unsigned int i, n = relay_service_addresses(service, list, ADDRESSES_MAX);
	json_t *array = json_array();

	for (i = 0; i < n; i++)
		json_array_append_new(array, json_pack("{so si sb sb ss}", "address",
						       control_addr(&list[i].local.addr), "port",
						       ntohs(list[i].local.port), "advertised",
						       list[i].advertised, "configured",
						       list[i].configured, "interface",
						       list[i].interface));
	return array;
}

static json_t *upstream_json(struct relay_service *service)
{
	struct upstream_status status = {0};

	upstream_status(relay_service_upstream(service), &status);
	return json_pack("{si si si si}", "groups", status.groups, "sockets", status.sockets,
			 "failed", status.failed, "holder_pid", status.holder_pid);
}

static json_t *traffic_json(const uint64_t counters[AMT_COUNTERS_NUM])
{
	return json_pack("{sI sI sI sI sI}", "packets_in",
			 (json_int_t)counters[AMT_COUNT_PACKETS_IN], "bytes_in",
			 (json_int_t)counters[AMT_COUNT_BYTES_IN], "copies_out",
			 (json_int_t)counters[AMT_COUNT_COPIES_OUT], "copies_bytes",
			 (json_int_t)counters[AMT_COUNT_COPIES_BYTES], "xmit_drops",
			 (json_int_t)counters[AMT_COUNT_XMIT_DROPS]);
}

static json_t *relay_status_json(struct control_context *context,
				 const uint64_t counters[AMT_COUNTERS_NUM])
{
	struct relay_service *service = context->service;
	struct relay *relay = relay_service_relay(service);
	uint64_t now = clock_now();

	return json_pack(
		"{ss ss ss si so sb sb sb si si si so so sb so so so so so}", "role", "relay",
		"instance", context->instance, "version", AMT_VERSION, "pid", getpid(), "uptime",
		control_since(now, relay_service_started_ns(service)), "adopted",
		relay_service_adopted(service), "draining", relay_service_draining(service),
		"at_limit", relay_at_limit(relay), "tunnels", relay_tunnels(relay), "groups",
		merge_groups(relay_merge(relay)), "channels", merge_channels(relay_merge(relay)),
		"membership_interval", control_seconds(relay_gmi(relay)), "secret_age",
		control_seconds(relay_secret_age(relay, now)), "xmit_drops_counted",
		datapath_counts_xmit_drops(relay_service_datapath(service)), "traffic",
		traffic_json(counters), "upstream", upstream_json(service), "addresses",
		addresses_json(service), "interfaces", control_interfaces(context, NULL), "loop",
		control_loop());
}

static void handle_status(void *arg, const json_t *request, struct control_answer *answer)
{
	struct control_context *context = arg;
	uint64_t counters[AMT_COUNTERS_NUM] = {0};
	const char *command;

	if (!control_arguments(request, answer, "{s:s !}", "command", &command))
		return;
	if (context->gateway) {
		control_gateway_status(context, answer);
		return;
	}
	counters_read(context, counters);
	control_answer(answer, relay_status_json(context, counters));
}
/* ---- stats, maps ---- */

static void handle_stats(void *arg, const json_t *request, struct control_answer *answer)
{
	struct control_context *context = arg;
	uint64_t counters[AMT_COUNTERS_NUM] = {0};
	json_t *object;
	const char *command;
	int nonzero = 0, i, ret;

	if (!control_arguments(request, answer, "{s:s s?b !}", "command", &command, "nonzero",
			       &nonzero))
		return;
	ret = counters_read(context, counters);
	if (ret) {
		control_fail(answer, "the packet path's counters cannot be read: %s",
			     strerror(-ret));
		return;
	}
	object = json_object();
	for (i = 0; i < AMT_COUNTERS_NUM; i++)
		if (counters[i] || !nonzero)
			json_object_set_new(object, counter_name((enum amt_counter)i),
					    json_integer((json_int_t)counters[i]));
	control_answer(answer, json_pack("{so so}", "counters", object, "loop", control_loop()));
}

static void handle_maps(void *arg, const json_t *request, struct control_answer *answer)
{
	struct control_context *context = arg;
	struct datapath_map_view map;
	json_t *array = json_array();
	const char *command;
	unsigned int i;

	if (!control_arguments(request, answer, "{s:s !}", "command", &command)) {
		json_decref(array);
		return;
	}
	for (i = 0; datapath_map(control_datapath(context), i, &map); i++)
		json_array_append_new(
			array, json_pack("{ss ss ss ss sI so}", "map", map.name, "path", map.path,
					 "type", map.type, "holds", map.holds, "max_entries",
					 (json_int_t)map.max_entries, "used",
					 map.used == DATAPATH_NONE ? json_null()
								   : json_integer(map.used)));
	control_answer(answer, json_pack("{so}", "maps", array));
}

/* ---- shutdown ---- */

static void shutdown_now(void *arg)
{
	struct control_context *context = arg;

	context->shutdown(context->arg, context->drain_s);
}

static void handle_shutdown(void *arg, const json_t *request, struct control_answer *answer)
{
	struct control_context *context = arg;
	const char *command;
	unsigned int tunnels = 0;
	int drain_s = 0;

	if (!control_arguments(request, answer, "{s:s s?i !}", "command", &command, "drain",
			       &drain_s))
		return;
	if (drain_s < 0 || drain_s > DRAIN_MAX) {
		control_fail(answer, "drain is a number of seconds from 0 to %d", DRAIN_MAX);
		return;
	}
	context->drain_s = (unsigned int)drain_s;
	control_answer_then(answer, shutdown_now, context);
	if (!context->gateway)
		tunnels = relay_tunnels(relay_service_relay(context->service));
	control_answer(answer, json_pack("{si si}", "tunnels", tunnels, "drain", drain_s));
}

const struct control_command control_commands[] = {
	{"status", handle_status},  {"tunnels", control_tunnels},	{"groups", control_groups},
	{"relays", control_relays}, {"verify", control_verify},		{"stats", handle_stats},
	{"maps", handle_maps},	    {"reload", control_reload_command}, {"attach", control_attach},
	{"detach", control_detach}, {"shutdown", handle_shutdown},	{NULL, NULL},
};
