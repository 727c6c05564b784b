/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reload: the configuration is read again, compared with what is in force, and what differs put
 * into force in the running relay or gateway. An error anywhere changes nothing.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "base/config.h"
#include "base/log.h"
#include "control/commands.h"
#include "gateway/service.h"
#include "relay/service.h"

/* ---- reading ---- */

/* What config_load() reports: all of it goes to the log, the first error to who asks. */
static struct {
	struct error first;
	unsigned int errors;
} findings;

static void on_finding(const char *line)
{
	if (strstr(line, ": warning: ")) {
		log_warning("%s", line);
		return;
	}
	log_error("%s", line);
	if (!findings.errors++)
		error_set(&findings.first, -EINVAL, "%s", line);
}

static int read_again(const struct control_context *context, struct config *again,
		      struct error *err)
{
	bool file = context->config->from_file || access(context->file, F_OK) == 0;
	int ret;

	memset(&findings, 0, sizeof(findings));
	ret = config_load(file ? context->file : NULL, again, on_finding);
	if (ret && !findings.errors)
		error_set(err, ret, "the configuration cannot be read: %s", strerror(-ret));
	else if (ret && findings.errors > 1)
		error_set(err, ret, "%.400s (%u more: amtd -t)", findings.first.text,
			  findings.errors - 1);
	else if (ret)
		*err = findings.first;
	return ret;
}

/* ---- putting into force ---- */

struct changes {
	json_t *changed, *restart; /* keys */
};

static void on_change(void *arg, const char *key, bool needs_restart)
{
	struct changes *changes = arg;

	json_array_append_new(needs_restart ? changes->restart : changes->changed,
			      json_string(key));
}

static int role_reload(const struct control_context *context, struct error *err)
{
	return context->gateway ? gateway_service_reload(context->gateway, err)
				: relay_service_reload(context->service, err);
}

/* The services look at *context->config; afterwards again holds what is no longer in force. */
static int put_into_force(const struct control_context *context, struct config *again,
			  struct error *err)
{
	struct config before = *context->config;
	struct error undo = {""};
	int ret;

	*context->config = *again;
	*again = before;
	ret = role_reload(context, err);
	if (!ret) {
		log_set_level(context->config->log_level);
		return 0;
	}
	*again = *context->config;
	*context->config = before;
	if (role_reload(context, &undo))
		log_error("after a reload that failed: %s", undo.text);
	return ret;
}

static bool is_other_role(const struct control_context *context, const struct config *again)
{
	return again->from_file && again->gateway.present != (context->gateway != NULL);
}

static int apply(const struct control_context *context, struct config *again,
		 struct changes *changes, struct error *err)
{
	if (is_other_role(context, again)) {
		on_change(changes, "role", true);
		return 0;
	}
	config_compare(context->config, again, on_change, changes);
	return json_array_size(changes->changed) ? put_into_force(context, again, err) : 0;
}

/* ---- saying it ---- */

static const char *join(const json_t *keys, char *buf, size_t size)
{
	const json_t *key;
	size_t i, length = 0;

	buf[0] = '\0';
	json_array_foreach(keys, i, key)
	{
		int n = snprintf(buf + length, size - length, "%s%s", i ? ", " : "",
				 json_string_value(key));

		if (n < 0 || (size_t)n >= size - length)
			break;
		length += (size_t)n;
	}
	return buf;
}

static void log_changes(const struct changes *changes)
{
	char buf[768];

	if (json_array_size(changes->changed))
		log_info("reload: changed: %s", join(changes->changed, buf, sizeof(buf)));
	if (json_array_size(changes->restart))
		log_warning("reload: a restart is needed for: %s",
			    join(changes->restart, buf, sizeof(buf)));
	if (!json_array_size(changes->changed) && !json_array_size(changes->restart))
		log_info("reload: nothing has changed");
}

json_t *control_reload(struct control_context *context, struct error *err)
{
	struct changes changes;
	struct config again;
	int ret = read_again(context, &again, err);

	if (ret) {
		log_error("reload: nothing has changed, because of errors");
		return NULL;
	}
	changes = (struct changes){json_array(), json_array()};
	ret = apply(context, &again, &changes, err);
	config_free(&again);
	if (ret) {
		log_error("reload: nothing has changed: %s", err->text);
		json_decref(changes.changed);
		json_decref(changes.restart);
		return NULL;
	}
	log_changes(&changes);
	return json_pack("{so so}", "changed", changes.changed, "restart", changes.restart);
}

void control_reload_command(void *arg, const json_t *request, struct control_answer *answer)
{
	struct control_context *context = arg;
	struct error err = {"it failed"};
	const char *command;
	json_t *object;

	if (!control_arguments(request, answer, "{s:s !}", "command", &command))
		return;
	object = control_reload(context, &err);
	if (object)
		control_answer(answer, object);
	else
		control_fail(answer, "%s", err.text);
}
