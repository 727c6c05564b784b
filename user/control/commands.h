/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the control socket of amtd answers: one handler a command, from the views of its relay or
 * gateway to JSON. amt-ctl(8) names the members. Times are seconds, ages and rests, never dates.
 */
#ifndef AMT_CONTROL_COMMANDS_H
#define AMT_CONTROL_COMMANDS_H

#include <stdbool.h>
#include <stdint.h>
#include "base/addr.h"
#include "control/server.h"

struct config;
struct datapath;
struct gateway_service;
struct relay_service;

struct control_context {
	/* One of both, as the role is. */
	struct relay_service *service;
	struct gateway_service *gateway;
	const char *instance;
	/* What is in force, and the file that it came from: absolute, and there is a file once one
	 * was read. */
	struct config *config;
	const char *file;
	/* Ends amtd and the relay in so many seconds, until which no tunnel is made; called once
	 * the answer is out. */
	void (*shutdown)(void *arg, unsigned int drain_s);
	/* Makes an amtd without interfaces a gateway, or a relay: changes the two above. */
	int (*change_role)(void *arg, bool gateway, struct error *err);
	void *arg;
	unsigned int drain_s; /* of the shutdown that was asked for */
};

/* Reads the configuration again and puts it into force, as far as that is possible without a
 * restart; logs what changed or what is wrong. Returns the answer of reload, or NULL and why; then
 * nothing has changed. */
json_t *control_reload(struct control_context *context, struct error *err);

/* Ends with a NULL name; arg of the handlers is struct control_context. */
extern const struct control_command control_commands[];

/* ---- for the files behind it ---- */

/* json_unpack() with the whole format, "command" included; what is missing, of another type or not
 * asked for fails the request and returns false. */
bool control_arguments(const json_t *request, struct control_answer *answer, const char *format,
		       ...);

/* How views become JSON: */
json_t *control_seconds(uint64_t ns); /* to milliseconds */
json_t *control_until(uint64_t now, uint64_t deadline);
json_t *control_since(uint64_t now, uint64_t then); /* null: never */
json_t *control_addr(const struct amt_addr *addr);
json_t *control_interface_name(uint32_t ifindex); /* null: any */

/* How long the event loop works at a time. */
json_t *control_loop(void);
/* All interfaces, or the one of that name. */
json_t *control_interfaces(struct control_context *context, const char *name);
struct datapath *control_datapath(struct control_context *context);

void control_attach(void *arg, const json_t *request, struct control_answer *answer);
void control_detach(void *arg, const json_t *request, struct control_answer *answer);
void control_tunnels(void *arg, const json_t *request, struct control_answer *answer);
void control_groups(void *arg, const json_t *request, struct control_answer *answer);
void control_relays(void *arg, const json_t *request, struct control_answer *answer);
void control_reload_command(void *arg, const json_t *request, struct control_answer *answer);
void control_verify(void *arg, const json_t *request, struct control_answer *answer);
void control_gateway_status(struct control_context *context, struct control_answer *answer);
/* group NULL: all. */
void control_gateway_groups(struct control_context *context, const struct amt_addr *group,
			    struct control_answer *answer);

#endif
