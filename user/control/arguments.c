/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/arguments.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/option.h"
#include "control/check.h"

#define VERIFY_S 10 /* default of --timeout */

static const struct option no_options[] = {{0}};

/* ---- what all share ---- */

bool arguments_error(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "amt-ctl: ");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "; see amt-ctl help\n");
	return false;
}

int arguments_option(int argc, char **argv, const char *letters, const struct option *options)
{
	int option = getopt_long(argc, argv, letters, options, NULL);
	struct error err;

	if (option != '?' && option != ':')
		return option;
	option_wrong(option, argv, &err);
	arguments_error("%s", err.text);
	return '?';
}

/* The next option of a command: long ones only, wherever they stand. */
static int next_option(int argc, char **argv, const struct option *options)
{
	return arguments_option(argc, argv, ":", options);
}

/* Begins a command's own options: main() has read those before it. */
static void options_begin(void)
{
	optind = 0;
}

/* What stands beside the options, no more than max words. */
static bool take_words(int argc, char **argv, int max)
{
	return argc - optind <= max || arguments_error("'%s' is too much", argv[optind + max]);
}

/* A command without options. */
static bool only_words(int argc, char **argv, int max)
{
	options_begin();
	return next_option(argc, argv, no_options) == -1 && take_words(argc, argv, max);
}

static bool take_number(const char *text, unsigned long min, unsigned long max,
			unsigned int *number)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno || value < min || value > max)
		return arguments_error("'%s' is no number from %lu to %lu", text, min, max);
	*number = (unsigned int)value;
	return true;
}

/* Says err, of a check that failed. */
static bool checked(int ret, const struct error *err)
{
	return ret == 0 || arguments_error("%s", err->text);
}

static void put_text(json_t *request, const char *name, const char *text)
{
	json_object_set_new(request, name, json_string(text));
}

/* ---- the commands ---- */

bool arguments_nothing(struct arguments *arguments, int argc, char **argv, json_t *request)
{
	return only_words(argc, argv, 0);
}

/* No word, or an address by that name. */
static bool take_address(int argc, char **argv, json_t *request, const char *name,
			 int (*check)(const char *text, struct amt_addr *out, struct error *err))
{
	struct amt_addr addr;
	struct error err;

	if (!only_words(argc, argv, 1))
		return false;
	if (optind == argc)
		return true;
	put_text(request, name, argv[optind]);
	return checked(check(argv[optind], &addr, &err), &err);
}

bool arguments_tunnels(struct arguments *arguments, int argc, char **argv, json_t *request)
{
	return take_address(argc, argv, request, "address", check_address);
}

bool arguments_groups(struct arguments *arguments, int argc, char **argv, json_t *request)
{
	return take_address(argc, argv, request, "group", check_group);
}

bool arguments_stats(struct arguments *arguments, int argc, char **argv, json_t *request)
{
	enum { NONZERO = 256 };
	static const struct option options[] = {{"nonzero", no_argument, NULL, NONZERO}, {0}};
	int option;

	options_begin();
	while ((option = next_option(argc, argv, options)) != -1) {
		if (option == '?')
			return false;
		json_object_set_new(request, "nonzero", json_true());
	}
	return take_words(argc, argv, 0);
}

static bool take_relay(json_t *request, const char *relay)
{
	json_t *relays = json_object_get(request, "relay");
	struct error err;

	if (!relays) {
		relays = json_array();
		json_object_set_new(request, "relay", relays);
	}
	json_array_append_new(relays, json_string(relay));
	return checked(check_relay(relay, &err), &err);
}

static bool take_mode(json_t *request, const char *text)
{
	enum datapath_mode mode;
	struct error err;

	put_text(request, "mode", text);
	return checked(check_mode(text, &mode, &err), &err);
}

static bool take_interface(json_t *request, const char *name)
{
	struct error err;

	put_text(request, "interface", name);
	return checked(check_interface(name, &err), &err);
}

static bool roles_fit(const json_t *request)
{
	bool relay_side =
		json_object_get(request, "upstream") || json_object_get(request, "uplink");
	struct error err;

	return checked(check_roles(json_object_get(request, "gateway"), relay_side,
				   (unsigned int)json_array_size(json_object_get(request, "relay")),
				   &err),
		       &err);
}

bool arguments_attach(struct arguments *arguments, int argc, char **argv, json_t *request)
{
	enum { UPSTREAM = 256, UPLINK, GATEWAY, RELAY, MODE };
	static const struct option options[] = {
		{"upstream", no_argument, NULL, UPSTREAM},
		{"uplink", no_argument, NULL, UPLINK},
		{"gateway", no_argument, NULL, GATEWAY},
		{"relay", required_argument, NULL, RELAY},
		{"mode", required_argument, NULL, MODE},
		{0},
	};
	bool good = true;
	int option;

	options_begin();
	while (good && (option = next_option(argc, argv, options)) != -1) {
		if (option == '?')
			good = false;
		else if (option == RELAY)
			good = take_relay(request, optarg);
		else if (option == MODE)
			good = take_mode(request, optarg);
		else
			json_object_set_new(request, options[option - UPSTREAM].name, json_true());
	}
	if (!good)
		return false;
	if (optind == argc)
		return arguments_error("attach wants the name of an interface");
	if (argc - optind > 1)
		return arguments_error("'%s' is too much: one interface at a time",
				       argv[optind + 1]);
	return take_interface(request, argv[optind]) && roles_fit(request);
}

bool arguments_detach(struct arguments *arguments, int argc, char **argv, json_t *request)
{
	enum { ALL = 256 };
	static const struct option options[] = {{"all", no_argument, NULL, ALL}, {0}};
	bool all = false;
	int option;

	options_begin();
	while ((option = next_option(argc, argv, options)) != -1) {
		if (option == '?')
			return false;
		all = true;
	}
	if (argc - optind + all != 1)
		return arguments_error("detach wants one interface, or --all");
	if (!all)
		return take_interface(request, argv[optind]);
	json_object_set_new(request, "all", json_true());
	return true;
}

/* The channel, in the order in which its words can be judged. */
static bool take_channel(struct arguments *arguments, json_t *request, const char *group,
			 const char *source)
{
	struct error err;

	if (!group)
		return arguments_error("verify wants --group, and mostly --source");
	put_text(request, "group", group);
	if (!checked(check_group(group, &arguments->group, &err), &err))
		return false;
	if (!source)
		return true;
	put_text(request, "source", source);
	return checked(check_source(source, &arguments->group, &arguments->source, &err), &err);
}

bool arguments_verify(struct arguments *arguments, int argc, char **argv, json_t *request)
{
	enum { SOURCE = 256, GROUP, RELAY, TIMEOUT };
	static const struct option options[] = {
		{"source", required_argument, NULL, SOURCE},
		{"group", required_argument, NULL, GROUP},
		{"relay", required_argument, NULL, RELAY},
		{"timeout", required_argument, NULL, TIMEOUT},
		{0},
	};
	const char *group = NULL, *source = NULL;
	struct error err;
	int option;

	arguments->timeout_s = VERIFY_S;
	options_begin();
	while ((option = next_option(argc, argv, options)) != -1) {
		if (option == '?')
			return false;
		else if (option == SOURCE)
			source = optarg;
		else if (option == GROUP)
			group = optarg;
		else if (option == RELAY)
			arguments->relay = optarg;
		else if (!take_number(optarg, 0, 3600, &arguments->timeout_s))
			return false;
	}
	return take_words(argc, argv, 0) &&
	       (!arguments->relay || checked(check_relay(arguments->relay, &err), &err)) &&
	       take_channel(arguments, request, group, source);
}

bool arguments_top(struct arguments *arguments, int argc, char **argv, json_t *request)
{
	enum { COUNT = 256 };
	static const struct option options[] = {{"count", required_argument, NULL, COUNT}, {0}};
	int option;

	options_begin();
	while ((option = next_option(argc, argv, options)) != -1)
		if (option == '?' || !take_number(optarg, 1, 1000000, &arguments->top_count))
			return false;
	return take_words(argc, argv, 0);
}

bool arguments_shutdown(struct arguments *arguments, int argc, char **argv, json_t *request)
{
	enum { DRAIN = 256 };
	static const struct option options[] = {{"drain", required_argument, NULL, DRAIN}, {0}};
	int option;

	options_begin();
	while ((option = next_option(argc, argv, options)) != -1) {
		if (option == '?' || !take_number(optarg, 0, 86400, &arguments->drain_s))
			return false;
		json_object_set_new(request, "drain", json_integer(arguments->drain_s));
	}
	return take_words(argc, argv, 0);
}
