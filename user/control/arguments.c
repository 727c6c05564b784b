/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/arguments.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool arguments_error(const char *format, const char *what)
{
	fprintf(stderr, "amt-ctl: ");
	fprintf(stderr, format, what);
	fprintf(stderr, "; see amt-ctl help\n");
	return false;
}

static bool parse_number(const char *text, unsigned long max, unsigned int *number)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno || value > max)
		return arguments_error("'%s' is no number that is possible here", text);
	*number = (unsigned int)value;
	return true;
}

bool arguments_nothing(struct arguments *arguments, int argc, char **argv, json_t *request)
{
	return argc == 0 || arguments_error("'%s' is too much", argv[0]);
}

static bool parse_one(const char *name, int argc, char **argv, json_t *request)
{
	if (argc > 1)
		return arguments_error("'%s' is too much", argv[1]);
	if (argc == 1 && argv[0][0] == '-')
		return arguments_error("there is no option '%s'", argv[0]);
	if (argc == 1)
		json_object_set_new(request, name, json_string(argv[0]));
	return true;
}

bool arguments_tunnels(struct arguments *arguments, int argc, char **argv, json_t *request)
{
	return parse_one("address", argc, argv, request);
}

bool arguments_groups(struct arguments *arguments, int argc, char **argv, json_t *request)
{
	return parse_one("group", argc, argv, request);
}

bool arguments_stats(struct arguments *arguments, int argc, char **argv, json_t *request)
{
	if (argc && strcmp(argv[0], "--nonzero") == 0) {
		json_object_set_new(request, "nonzero", json_true());
		argc--, argv++;
	}
	return arguments_nothing(arguments, argc, argv, request);
}

static void add_relay(json_t *request, const char *relay)
{
	json_t *relays = json_object_get(request, "relay");

	if (!relays) {
		relays = json_array();
		json_object_set_new(request, "relay", relays);
	}
	json_array_append_new(relays, json_string(relay));
}

bool arguments_attach(struct arguments *arguments, int argc, char **argv, json_t *request)
{
	const char *name = NULL;
	int i;

	for (i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--upstream") == 0 || strcmp(argv[i], "--uplink") == 0 ||
		    strcmp(argv[i], "--gateway") == 0)
			json_object_set_new(request, argv[i] + 2, json_true());
		else if (strcmp(argv[i], "--mode") == 0 && i + 1 < argc)
			json_object_set_new(request, "mode", json_string(argv[++i]));
		else if (strcmp(argv[i], "--relay") == 0 && i + 1 < argc)
			add_relay(request, argv[++i]);
		else if (strncmp(argv[i], "--mode=", 7) == 0)
			json_object_set_new(request, "mode", json_string(argv[i] + 7));
		else if (argv[i][0] == '-')
			return arguments_error("there is no option '%s'", argv[i]);
		else if (name)
			return arguments_error("'%s' is too much: one interface at a time",
					       argv[i]);
		else
			name = argv[i];
	}
	if (!name)
		return arguments_error("%s wants the name of an interface", "attach");
	json_object_set_new(request, "interface", json_string(name));
	return true;
}

bool arguments_detach(struct arguments *arguments, int argc, char **argv, json_t *request)
{
	if (argc != 1)
		return arguments_error("%s wants one interface, or --all", "detach");
	if (strcmp(argv[0], "--all") == 0) {
		json_object_set_new(request, "all", json_true());
		return true;
	}
	return parse_one("interface", argc, argv, request);
}

bool arguments_verify(struct arguments *arguments, int argc, char **argv, json_t *request)
{
	int i;

	arguments->timeout_s = 10;
	for (i = 0; i < argc; i++) {
		bool more = i + 1 < argc;

		if (more && (strcmp(argv[i], "--source") == 0 || strcmp(argv[i], "--group") == 0)) {
			json_object_set_new(request, argv[i] + 2, json_string(argv[i + 1]));
		} else if (more && strcmp(argv[i], "--relay") == 0) {
			arguments->relay = argv[i + 1];
		} else if (more && strcmp(argv[i], "--timeout") == 0) {
			if (!parse_number(argv[i + 1], 3600, &arguments->timeout_s))
				return false;
		} else {
			return arguments_error("'%s' is not possible here", argv[i]);
		}
		i++;
	}
	if (!json_object_get(request, "group"))
		return arguments_error("%s wants --group, and mostly --source", "verify");
	return true;
}

bool arguments_top(struct arguments *arguments, int argc, char **argv, json_t *request)
{
	if (argc == 0)
		return true;
	if (argc != 2 || strcmp(argv[0], "--count") != 0)
		return arguments_error("'%s' is not possible here", argv[0]);
	return parse_number(argv[1], 1000000, &arguments->top_count);
}

bool arguments_shutdown(struct arguments *arguments, int argc, char **argv, json_t *request)
{
	if (argc == 0)
		return true;
	if (argc != 2 || strcmp(argv[0], "--drain") != 0)
		return arguments_error("'%s' is not possible here", argv[0]);
	if (!parse_number(argv[1], 86400, &arguments->drain_s))
		return false;
	json_object_set_new(request, "drain", json_integer(arguments->drain_s));
	return true;
}
