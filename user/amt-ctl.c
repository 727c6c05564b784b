/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * amt-ctl(8): asks a running amtd, relay or gateway, and changes its interfaces. One table of
 * commands: the words of the command line become a request, the answer becomes a table, or with
 * --json is printed as it came.
 */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include "control/arguments.h"
#include "control/client.h"
#include "control/listen.h"
#include "control/render.h"
#include "control/verify.h"

enum { EXIT_ERROR = 1, EXIT_USAGE = 2, EXIT_NOT_RUNNING = 3 };

#define SHUTDOWN_S 30 /* for amtd to end after its drain time */

struct session {
	const char *instance;
	bool json;
	struct control_client *client;
	struct arguments arguments;
};

struct command {
	const char *name, *arguments, *help, *example;
	/* Fills in the request from argv; false: wrong usage, and said so. */
	bool (*parse)(struct arguments *arguments, int argc, char **argv, json_t *request);
	void (*render)(const json_t *answer, FILE *out);
	/* Instead of one request, one answer. Returns an exit status. */
	int (*run)(struct session *session, const struct command *command, json_t *request);
};

static const struct command commands[];

/* ---- asking ---- */

/* One answer that is no error; else says why and returns an exit status. */
static int ask(struct session *session, json_t *request, json_t **answer, const char **text)
{
	struct error err;
	const char *error;

	if (control_client_ask(session->client, request, answer, text, &err)) {
		fprintf(stderr, "amt-ctl: %s\n", err.text);
		return EXIT_ERROR;
	}
	error = json_string_value(json_object_get(*answer, "error"));
	if (!error)
		return 0;
	if (session->json && text)
		puts(*text);
	else
		fprintf(stderr, "amt-ctl: %s\n", error);
	json_decref(*answer);
	return EXIT_ERROR;
}

static int run_plain(struct session *session, const struct command *command, json_t *request)
{
	const char *text;
	json_t *answer;
	int ret = ask(session, request, &answer, &text);

	if (ret)
		return ret;
	if (session->json)
		puts(text);
	else if (command->render)
		command->render(answer, stdout);
	json_decref(answer);
	return 0;
}

static void render_detached(const json_t *answer, FILE *out)
{
	long long n = (long long)json_integer_value(json_object_get(answer, "detached"));

	fprintf(out, "detached %lld\n", n);
}

static void print_keys(const char *title, const json_t *keys, FILE *out)
{
	const json_t *key;
	size_t i;

	json_array_foreach(keys, i, key)
		fprintf(out, "%s%s", i ? ", " : title, json_string_value(key));
	if (json_array_size(keys))
		fputc('\n', out);
}

static void render_reload(const json_t *answer, FILE *out)
{
	const json_t *changed = json_object_get(answer, "changed"),
		     *restart = json_object_get(answer, "restart");

	print_keys("changed: ", changed, out);
	print_keys("a restart of amtd is needed for: ", restart, out);
	if (!json_array_size(changed) && !json_array_size(restart))
		fputs("nothing has changed\n", out);
}

static int run_shutdown(struct session *session, const struct command *command, json_t *request)
{
	int ret = run_plain(session, command, request);

	if (ret ||
	    control_client_wait_end(session->client, session->arguments.drain_s + SHUTDOWN_S) == 0)
		return ret;
	fprintf(stderr, "amt-ctl: amtd has not ended after %u s; look into its log\n",
		session->arguments.drain_s + SHUTDOWN_S);
	return EXIT_ERROR;
}

static int run_verify(struct session *session, const struct command *command, json_t *request)
{
	int ret = verify_instance(session->client, request, session->arguments.timeout_s,
				  session->json);

	json_decref(request);
	return ret;
}

static int sample_take(struct session *session, struct render_sample *sample)
{
	int ret = ask(session, json_pack("{ss}", "command", "status"), &sample->status, NULL);

	if (ret)
		return ret;
	ret = ask(session, json_pack("{ss}", "command", "groups"), &sample->groups, NULL);
	if (ret)
		json_decref(sample->status);
	return ret;
}

static void sample_free(struct render_sample *sample)
{
	json_decref(sample->status);
	json_decref(sample->groups);
}

static unsigned int screen_lines(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || size.ws_row < 10)
		return 40;
	return size.ws_row - 6u;
}

static int run_top(struct session *session, const struct command *command, json_t *request)
{
	struct render_sample before, after;
	unsigned int n;
	int ret;

	json_decref(request);
	if (session->json) {
		arguments_error("top is for people; programs ask status and groups");
		return EXIT_USAGE;
	}
	ret = sample_take(session, &before);
	if (ret)
		return ret;
	for (n = 0; !session->arguments.top_count || n < session->arguments.top_count; n++) {
		sleep(1);
		ret = sample_take(session, &after);
		if (ret)
			break;
		if (isatty(STDOUT_FILENO))
			fputs("\033[H\033[J", stdout);
		render_top(&before, &after, 1, screen_lines(), stdout);
		fflush(stdout);
		sample_free(&before);
		before = after;
	}
	sample_free(&before);
	return ret;
}

/* ---- help ---- */

static const struct command *command_find(const char *name)
{
	const struct command *command = commands;

	while (command->name && strcmp(command->name, name) != 0)
		command++;
	return command->name ? command : NULL;
}

static void print_help(FILE *out)
{
	const struct command *command;

	fprintf(out, "usage: amt-ctl [-i NAME] [--json] [COMMAND]\n\n");
	for (command = commands; command->name; command++) {
		int n = fprintf(out, "  %s %s", command->name, command->arguments);

		fprintf(out, n < 30 ? "%*s%s\n" : "\n%*s%s\n", n < 30 ? 32 - n : 32, "",
			command->help);
	}
	fprintf(out, "\n-i NAME  the instance of amtd, default " INSTANCE_DEFAULT "\n"
		     "--json   the answer as amtd gives it\n"
		     "-V       the version\n"
		     "-h       this list\n"
		     "amt-ctl(8) describes what is shown.\n");
}

static int help(int argc, char **argv)
{
	const struct command *command = argc ? command_find(argv[0]) : NULL;

	if (argc == 0) {
		print_help(stdout);
		return 0;
	}
	if (argc > 1 || !command) {
		arguments_error("there is no command '%s'", argv[argc > 1]);
		return EXIT_USAGE;
	}
	printf("amt-ctl %s %s\n  %s\nexample: %s\n", command->name, command->arguments,
	       command->help, command->example);
	return 0;
}

static const struct command commands[] = {
	{"status", "", "what is attached, tunnels or relay, groups (the default)", "amt-ctl status",
	 arguments_nothing, render_status, run_plain},
	{"attach",
	 "IFACE [--upstream|--uplink | --gateway [--relay RELAY]...] [--mode auto|xdp|tc]",
	 "serve an interface; no flag: one-armed relay; --gateway: receive by amt0",
	 "amt-ctl attach eth1 --upstream\n         amt-ctl attach eth0 --gateway --relay 192.0.2.1",
	 arguments_attach, render_interfaces, run_plain},
	{"reload", "", "read the configuration again and put it into force",
	 "editor /etc/amt/main.conf && amt-ctl reload", arguments_nothing, render_reload,
	 run_plain},
	{"detach", "IFACE|--all", "leave an interface, or all", "amt-ctl detach eth1",
	 arguments_detach, render_detached, run_plain},
	{"tunnels", "[ADDRESS]", "gateways served; with an address, what it has joined",
	 "amt-ctl tunnels 203.0.113.9", arguments_tunnels, render_tunnels, run_plain},
	{"groups", "[GROUP]", "channels forwarded, with a group to whom; at a gateway, received",
	 "amt-ctl groups 232.1.1.1", arguments_groups, render_groups, run_plain},
	{"relays", "", "of a gateway: relays in the order of trial, and which are held down",
	 "amt-ctl relays", arguments_nothing, render_relays, run_plain},
	{"verify", "--group G [--source S] [--relay RELAY] [--timeout SECONDS]",
	 "join a channel for a moment: does it arrive? With a relay: without any amtd",
	 "amt-ctl verify --source 192.0.2.9 --group 232.1.1.1", arguments_verify, NULL, run_verify},
	{"stats", "[--nonzero]", "every counter and drop reason", "amt-ctl stats --nonzero",
	 arguments_stats, render_stats, run_plain},
	{"top", "[--count N]", "rates, refreshed each second", "amt-ctl top", arguments_top, NULL,
	 run_top},
	{"maps", "", "pinned maps: path and what each holds", "amt-ctl maps", arguments_nothing,
	 render_maps, run_plain},
	{"shutdown", "[--drain SECONDS]",
	 "end amtd, all tunnels and the packet path (a plain stop keeps the packets flowing)",
	 "amt-ctl shutdown --drain 60", arguments_shutdown, NULL, run_shutdown},
	{"help", "[COMMAND]", "this list, or one command with an example", "amt-ctl help attach",
	 NULL, NULL, NULL},
	{0},
};

/* ---- main ---- */

static int connect_and_run(struct session *session, const struct command *command, json_t *request)
{
	char path[CONTROL_PATH_LEN];
	struct error err;
	int ret =
		control_client_open(&session->client, control_path(session->instance, path), &err);

	if (ret == -ENOENT || ret == -ECONNREFUSED) {
		fprintf(stderr,
			"amt-ctl: amtd '%s' is not running; start it: amtd -i %s, or "
			"systemctl start amtd@%s\n",
			session->instance, session->instance, session->instance);
		json_decref(request);
		return EXIT_NOT_RUNNING;
	}
	if (ret) {
		fprintf(stderr, "amt-ctl: %s\n", err.text);
		json_decref(request);
		return EXIT_ERROR;
	}
	ret = command->run(session, command, request);
	control_client_close(session->client);
	return ret;
}

static int run_command(struct session *session, int argc, char **argv)
{
	const char *name = argc ? argv[0] : "status";
	const struct command *command = command_find(name);
	json_t *request;

	if (!command) {
		arguments_error("there is no command '%s'", name);
		return EXIT_USAGE;
	}
	if (!command->run)
		return help(argc - 1, argv + 1);
	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
		return help(1, argv);
	request = json_pack("{ss}", "command", name);
	if (!command->parse(&session->arguments, argc, argv, request)) {
		json_decref(request);
		return EXIT_USAGE;
	}
	if (session->arguments.relay) { /* of verify: no amtd is asked */
		int ret = verify_relay(&session->arguments, session->json);

		json_decref(request);
		return ret;
	}
	return connect_and_run(session, command, request);
}

/* Takes --json out, wherever it stands. */
static int take_json(struct session *session, int argc, char **argv)
{
	int i, n = 0;

	for (i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			session->json = true;
		else
			argv[n++] = argv[i];
	}
	argv[n] = NULL;
	return n;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"instance", required_argument, NULL, 'i'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{0},
	};
	struct session session = {.instance = INSTANCE_DEFAULT};
	int option, ret;

	opterr = 0; /* one line says what is wrong */
	argc = take_json(&session, argc, argv);
	while ((option = arguments_option(argc, argv, "+:i:hV", options)) != -1) {
		switch (option) {
		case 'i':
			session.instance = optarg;
			break;
		case 'h':
			print_help(stdout);
			return 0;
		case 'V':
			puts("amt-ctl " AMT_VERSION);
			return 0;
		default:
			return EXIT_USAGE;
		}
	}
	if (!instance_is_valid(session.instance)) {
		arguments_error("'%s' is no name of an instance: " INSTANCE_RULE, session.instance,
				INSTANCE_LEN);
		return EXIT_USAGE;
	}
	ret = run_command(&session, argc - optind, argv + optind);
	if (fflush(stdout) && !ret)
		ret = EXIT_ERROR;
	return ret;
}
