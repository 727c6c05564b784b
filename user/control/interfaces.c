/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interfaces: how they are shown, attach and detach, in either role of amtd.
 */
#include <errno.h>
#include <string.h>
#include "control/check.h"
#include "control/commands.h"
#include "gateway/service.h"
#include "relay/service.h"

static json_t *shield_json(const struct datapath_interface *interface)
{
	if (!interface->uplink)
		return json_null();
	return interface->shield ? json_string("on")
				 : json_sprintf("off (%s)", interface->shield_why);
}

static json_t *interface_json(const struct datapath_interface *interface)
{
	return json_pack("{ss si sb sb sb sb ss sb sb sb si si si sb so ss}", "interface",
			 interface->name, "ifindex", interface->ifindex, "absent",
			 !interface->ifindex, "upstream", interface->upstream, "uplink",
			 interface->uplink, "gateway", interface->gateway, "mode",
			 mode_name(interface->asked), "xdp", interface->xdp, "tc", interface->tc,
			 "dispatcher", interface->dispatcher, "ring", interface->ring, "halvings",
			 interface->halvings, "mtu", interface->mtu, "runtime", interface->runtime,
			 "shield", shield_json(interface), "why", interface->why);
}

json_t *control_interfaces(struct control_context *context, const char *name)
{
	struct datapath_interface list[AMT_INTERFACES_MAX];
	unsigned int i, n;
	json_t *array = json_array();

	n = datapath_interfaces(control_datapath(context), list, AMT_INTERFACES_MAX);
	for (i = 0; i < n; i++)
		if (!name || strcmp(list[i].name, name) == 0)
			json_array_append_new(array, interface_json(&list[i]));
	return array;
}

/* ---- attach ---- */

struct attach {
	const char *name;
	int upstream, uplink, gateway;
	enum datapath_mode mode;
	const char *relays[GATEWAY_SERVICE_RELAYS];
	unsigned int nrelays;
};

/* Roles are checked: there are no more relays than attach has room for. */
static int relays_parse(const json_t *array, struct attach *attach, struct error *err)
{
	const json_t *each;
	size_t i;
	int ret = 0;

	json_array_foreach(array, i, each)
	{
		const char *text = json_string_value(each);

		ret = check_relay(text ? text : "", err);
		if (ret)
			break;
		attach->relays[attach->nrelays++] = text;
	}
	return ret;
}

static bool attach_parse(const json_t *request, struct attach *attach,
			 struct control_answer *answer)
{
	const char *command, *mode = "auto";
	json_t *relays = NULL;
	struct error err;

	if (!control_arguments(request, answer, "{s:s s:s s?b s?b s?b s?o s?s !}", "command",
			       &command, "interface", &attach->name, "upstream", &attach->upstream,
			       "uplink", &attach->uplink, "gateway", &attach->gateway, "relay",
			       &relays, "mode", &mode))
		return false;
	if (check_interface(attach->name, &err) == 0 &&
	    check_mode(mode, &attach->mode, &err) == 0 &&
	    check_roles(attach->gateway, attach->upstream || attach->uplink,
			(unsigned int)json_array_size(relays), &err) == 0 &&
	    relays_parse(relays, attach, &err) == 0)
		return true;
	control_fail(answer, "%s", err.text);
	return false;
}

static int attach_now(struct control_context *context, const struct attach *attach,
		      struct error *err)
{
	bool roles = attach->upstream || attach->uplink;
	int ret = 0;

	if (attach->gateway && !context->gateway)
		ret = context->change_role(context->arg, true, err);
	else if (!attach->gateway && context->gateway &&
		 (roles || !gateway_service_running(context->gateway)))
		ret = context->change_role(context->arg, false, err);
	if (ret)
		return ret;
	if (context->gateway)
		return gateway_service_attach(context->gateway, attach->name, attach->mode,
					      attach->relays, attach->nrelays, err);
	return relay_service_attach(context->service, attach->name, attach->upstream,
				    attach->uplink, attach->mode, err);
}

void control_attach(void *arg, const json_t *request, struct control_answer *answer)
{
	struct control_context *context = arg;
	struct attach attach = {0};
	struct error err = {"it failed"};

	if (!attach_parse(request, &attach, answer))
		return;
	if (attach_now(context, &attach, &err)) {
		control_fail(answer, "%s", err.text);
		return;
	}
	control_answer(answer,
		       json_pack("{so}", "interfaces", control_interfaces(context, attach.name)));
}

/* ---- detach ---- */

static int detach_one(struct control_context *context, const char *name, struct error *err)
{
	return context->gateway ? gateway_service_detach(context->gateway, name, err)
				: relay_service_detach(context->service, name, err);
}

static unsigned int detach_all(struct control_context *context)
{
	return context->gateway ? gateway_service_detach_all(context->gateway)
				: relay_service_detach_all(context->service);
}

void control_detach(void *arg, const json_t *request, struct control_answer *answer)
{
	struct control_context *context = arg;
	const char *command, *name = NULL;
	struct error err = {"it failed"};
	unsigned int detached = 1;
	int all = 0;

	if (!control_arguments(request, answer, "{s:s s?s s?b !}", "command", &command, "interface",
			       &name, "all", &all))
		return;
	if (!name == !all) {
		control_fail(answer, "detach takes either an interface or all of them");
		return;
	}
	if (all) {
		detached = detach_all(context);
	} else if (detach_one(context, name, &err)) {
		control_fail(answer, "%s", err.text);
		return;
	}
	control_answer(answer, json_pack("{si}", "detached", detached));
}
