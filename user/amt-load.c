/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * amt-load: plays gateways against a relay, sends the streams they want, and checks every packet.
 * See amt-load(8); the commands are in load/.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "load/commands.h"
#include "load/options.h"

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} commands[] = {
	{"gateways", command_gateways, "play gateways that join channels, check what arrives"},
	{"send", command_send, "send a file or generated packets as a multicast stream"},
	{"receive", command_receive, "join channels without AMT, check what arrives"},
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void usage(FILE *out)
{
	size_t i;

	fputs("Usage: amt-load COMMAND [OPTIONS]\n\n", out);
	for (i = 0; i < COMMANDS; i++)
		fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].help);
	fputs("\n'amt-load COMMAND --help' shows a command's options; 'amt-load --version'.\n",
	      out);
}

int main(int argc, char **argv)
{
	size_t i;

	opterr = 0; /* the commands say it themselves, in one line */
	if (argc < 2) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0) {
		usage(stdout);
		return EXIT_SUCCESS;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		puts("amt-load " AMT_VERSION);
		return EXIT_SUCCESS;
	}
	for (i = 0; i < COMMANDS; i++) {
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	}
	fprintf(stderr, "amt-load: there is no command '%s'; try 'amt-load --help'\n", argv[1]);
	return EXIT_USAGE;
}
