/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/verify.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include "base/clock.h"
#include "gateway/probe.h"

#define STEP_NS	 100000000
#define WATCH_MS 1000 /* from the first packet on */

/* Why nothing came, as far as it is known. */
static const char *reason(const char *state)
{
	static const struct {
		const char *state, *reason;
	} all[] = {
		{"waiting", "no relay answers"}, {"resolving", "its name is not resolved"},
		{"discovery", "no answer"},	 {"request", "no Membership Query"},
		{"up", "joined, but no data"},
	};
	size_t i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strcmp(state, all[i].state) == 0)
			return all[i].reason;
	return state;
}

/* One line for people, one object for programs; both say the same. */
static int conclude(json_t *answer, bool json)
{
	const char *relay = json_string_value(json_object_get(answer, "relay"));
	const char *state = json_string_value(json_object_get(answer, "state"));
	const json_t *lost = json_object_get(answer, "lost");
	double first = json_number_value(json_object_get(answer, "first_packet"));
	json_int_t packets = json_integer_value(json_object_get(answer, "packets"));

	json_object_set_new(answer, "ok", json_boolean(packets > 0));
	if (json) {
		json_dumpf(answer, stdout, JSON_COMPACT);
		putchar('\n');
	} else if (!packets) {
		printf("failed relay %s %s after %.0f s\n", relay ? relay : "-",
		       state ? reason(state) : "-",
		       json_number_value(json_object_get(answer, "elapsed")));
	} else {
		printf("ok relay %s first packet after %.0f ms, %lld packets, ",
		       relay ? relay : "-", first * 1000, (long long)packets);
		if (json_is_integer(lost))
			printf("%lld lost\n", (long long)json_integer_value(lost));
		else
			printf("loss unknown (no RTP)\n");
	}
	json_decref(answer);
	return packets ? 0 : 1;
}

/* ---- by the instance ---- */

/* One look; NULL after saying why not. */
static json_t *ask(struct control_client *client, const json_t *request, bool end, bool json)
{
	json_t *copy = json_deep_copy(request), *answer;
	const char *text, *error;
	struct error err = {""};

	if (end)
		json_object_set_new(copy, "end", json_true());
	if (control_client_ask(client, copy, &answer, &text, &err)) {
		fprintf(stderr, "amt-ctl: %s\n", err.text);
		return NULL;
	}
	error = json_string_value(json_object_get(answer, "error"));
	if (!error)
		return answer;
	if (json)
		puts(text);
	else
		fprintf(stderr, "amt-ctl: %s\n", error);
	json_decref(answer);
	return NULL;
}

static bool is_over(const json_t *answer, unsigned int timeout_s)
{
	const json_t *first = json_object_get(answer, "first_packet");
	double elapsed = json_number_value(json_object_get(answer, "elapsed"));

	if (json_is_number(first))
		return elapsed >= json_number_value(first) + WATCH_MS / 1000.0;
	return elapsed >= timeout_s;
}

int verify_instance(struct control_client *client, const json_t *request, unsigned int timeout_s,
		    bool json)
{
	static const struct timespec step = {.tv_nsec = STEP_NS};
	json_t *answer;

	for (;;) {
		answer = ask(client, request, false, json);
		if (!answer)
			return 1;
		if (is_over(answer, timeout_s))
			break;
		json_decref(answer);
		nanosleep(&step, NULL);
	}
	json_decref(answer);
	answer = ask(client, request, true, json);
	return answer ? conclude(answer, json) : 1;
}

/* ---- by ourselves ---- */

int verify_relay(const struct arguments *arguments, bool json)
{
	const struct probe_options options = {
		.relay = arguments->relay,
		.source = arguments->source,
		.group = arguments->group,
		.timeout_s = arguments->timeout_s,
		.watch_ms = WATCH_MS,
	};
	struct probe_result result;
	const struct arrival *arrival = &result.arrival;
	struct error err = {""};
	char buf[AMT_ADDR_STRLEN];

	if (probe_run(&options, &result, &err)) {
		fprintf(stderr, "amt-ctl: %s\n", err.text);
		return 1;
	}
	return conclude(
		json_pack("{so ss sf so sI sI so}", "relay",
			  addr_is_any(&result.relay) ? json_string(options.relay)
						     : json_string(addr_print(&result.relay, buf)),
			  "state", gateway_state_name(result.state), "elapsed",
			  (double)(result.ended_ns - result.started_ns) / NSEC_PER_SEC,
			  "first_packet",
			  arrival->first_ns
				  ? json_real((double)(arrival->first_ns - result.started_ns) /
					      NSEC_PER_SEC)
				  : json_null(),
			  "packets", (json_int_t)arrival->packets, "bytes",
			  (json_int_t)arrival->bytes, "lost",
			  rtp_is_one(&arrival->rtp)
				  ? json_integer((json_int_t)rtp_lost(&arrival->rtp))
				  : json_null()),
		json);
}
