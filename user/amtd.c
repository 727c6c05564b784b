/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * amtd(8): the relay daemon. Reads its configuration, gives up what root can do beyond it, opens
 * the relay and the control socket, and runs the loop. A plain stop leaves the packet path and the
 * upstream joins as they are, for a restart; only amt-ctl shutdown ends them.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <event2/event.h>
#include "base/background.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"
#include "base/privileges.h"
#include "control/commands.h"
#include "control/listen.h"
#include "relay/holder.h"
#include "relay/service.h"

enum { EXIT_ERROR = 1, EXIT_USAGE = 2 };

#define NSIGNALS 3

struct settings {
	const char *file; /* NULL: the instance's own, or the defaults */
	const char *instance;
	bool foreground, check;
};

struct daemon {
	const struct settings *settings;
	struct config config;
	struct event_base *base;
	struct event *signals[NSIGNALS], *end;
	struct relay_service *service;
	struct control_server *control;
	struct control_context context;
	bool shutdown; /* end the relay too, not this process alone */
};

/* ---- configuration ---- */

static void report_config(const char *line)
{
	fprintf(stderr, "%s\n", line);
}

static int load_config(const struct settings *settings, struct config *config)
{
	const char *file = settings->file;
	char own[64];

	if (!file) {
		snprintf(own, sizeof(own), "/etc/amt/%s.conf", settings->instance);
		file = access(own, F_OK) == 0 ? own : NULL;
	}
	return config_load(file, config, report_config);
}

/* ---- the end ---- */

static void stop(struct daemon *daemon)
{
	event_base_loopbreak(daemon->base);
}

static void on_end_time(evutil_socket_t fd, short what, void *arg)
{
	stop(arg);
}

static void on_shutdown(void *arg, unsigned int drain_s)
{
	struct daemon *daemon = arg;
	struct timeval tv = {.tv_sec = (time_t)drain_s};

	daemon->shutdown = true;
	relay_service_set_draining(daemon->service, true);
	if (drain_s)
		log_info("shutting down in %u s; no new tunnels from now on", drain_s);
	evtimer_add(daemon->end, &tv);
}

static void on_signal(evutil_socket_t signal, short what, void *arg)
{
	if (signal == SIGHUP)
		log_info("the configuration is read at the start only: restart amtd, packets keep "
			 "flowing meanwhile");
	else
		stop(arg);
}

static void log_what_is_left(const struct daemon *daemon)
{
	struct relay *relay = relay_service_relay(daemon->service);
	unsigned int tunnels = relay_tunnels(relay);

	if (tunnels)
		log_info("stopped; %u tunnels are still served for up to %u s: start amtd again to "
			 "take them over, amt-ctl shutdown ends them",
			 tunnels, (unsigned int)(relay_gmi(relay) / NSEC_PER_SEC));
	else
		log_info("stopped; no tunnels, what is attached stays for the next start: amt-ctl "
			 "shutdown removes it");
}

static void close_all(struct daemon *daemon)
{
	unsigned int i;

	control_server_close(daemon->control);
	if (daemon->service && daemon->shutdown) {
		relay_service_destroy(daemon->service);
		log_info("shut down; nothing is left");
	} else if (daemon->service) {
		log_what_is_left(daemon);
		relay_service_close(daemon->service);
	}
	for (i = 0; i < NSIGNALS; i++)
		if (daemon->signals[i])
			event_free(daemon->signals[i]);
	if (daemon->end)
		event_free(daemon->end);
	if (daemon->base)
		event_base_free(daemon->base);
	config_free(&daemon->config);
}

/* ---- the start ---- */

static int open_loop(struct daemon *daemon, struct error *err)
{
	static const int numbers[NSIGNALS] = {SIGTERM, SIGINT, SIGHUP};
	unsigned int i;

	daemon->base = event_base_new();
	if (!daemon->base)
		return error_set(err, -ENOMEM, "no memory");
	daemon->end = evtimer_new(daemon->base, on_end_time, daemon);
	if (!daemon->end)
		return error_set(err, -ENOMEM, "no memory");
	for (i = 0; i < NSIGNALS; i++) {
		daemon->signals[i] = evsignal_new(daemon->base, numbers[i], on_signal, daemon);
		if (!daemon->signals[i] || event_add(daemon->signals[i], NULL))
			return error_set(err, -ENOMEM, "no memory");
	}
	return 0;
}

static int open_relay(struct daemon *daemon, struct error *err)
{
	const struct relay_service_options options = {
		.instance = daemon->settings->instance,
		.config = &daemon->config.relay,
	};
	char path[CONTROL_PATH_LEN];
	int ret = relay_service_open(&daemon->service, &options, daemon->base, err);

	if (ret)
		return ret;
	daemon->context = (struct control_context){
		.service = daemon->service,
		.instance = daemon->settings->instance,
		.shutdown = on_shutdown,
		.arg = daemon,
	};
	return control_server_open(&daemon->control, daemon->base,
				   control_path(daemon->settings->instance, path), control_commands,
				   &daemon->context, err);
}

static int open_all(struct daemon *daemon, struct error *err)
{
	int ret = privileges_drop(daemon->config.relay.port < 1024, err);

	if (!ret)
		ret = open_loop(daemon, err);
	if (!ret)
		ret = open_relay(daemon, err);
	return ret;
}

static int run(struct daemon *daemon)
{
	struct error err = {"start-up failed"};
	int background = -1;

	if (!daemon->settings->foreground) {
		background = background_start();
		if (background < 0) {
			log_error("no background process: %s", strerror(-background));
			return EXIT_ERROR;
		}
	}
	if (open_all(daemon, &err)) {
		log_error("%s", err.text);
		return EXIT_ERROR;
	}
	log_info("%s: relay %s", daemon->settings->instance,
		 relay_service_adopted(daemon->service) ? "taken over from a predecessor"
							: "started");
	if (background >= 0) {
		background_ready(background);
		log_to_syslog();
	}
	event_base_dispatch(daemon->base);
	return 0;
}

static int check(const struct settings *settings)
{
	struct config config;

	if (load_config(settings, &config))
		return EXIT_ERROR;
	config_free(&config);
	return 0;
}

static int start(const struct settings *settings)
{
	struct daemon daemon = {.settings = settings};
	int status;

	if (settings->check)
		return check(settings);
	if (load_config(settings, &daemon.config))
		return EXIT_ERROR;
	log_set_level(daemon.config.log_level);
	status = run(&daemon);
	close_all(&daemon);
	return status;
}

static void print_usage(FILE *out)
{
	fprintf(out, "usage: amtd [-f FILE] [-i NAME] [-n] [-t]\n\n"
		     "  -f FILE  configuration, default /etc/amt/NAME.conf if it exists\n"
		     "  -i NAME  name of this instance, default " INSTANCE_DEFAULT "\n"
		     "  -n       stay in the foreground, log to standard error\n"
		     "  -t       check the configuration and exit\n"
		     "  -V       print the version\n");
}

int main(int argc, char **argv)
{
	struct settings settings = {.instance = INSTANCE_DEFAULT};
	int option;

	log_set_name("amtd");
	if (argc > 1 && strcmp(argv[1], "--hold-upstream") == 0)
		return upstream_holder_main(argc, argv);
	while ((option = getopt(argc, argv, "f:i:ntVh")) != -1) {
		switch (option) {
		case 'f':
			settings.file = optarg;
			break;
		case 'i':
			settings.instance = optarg;
			break;
		case 'n':
			settings.foreground = true;
			break;
		case 't':
			settings.check = true;
			break;
		case 'V':
			puts("amtd " AMT_VERSION);
			return 0;
		default:
			print_usage(option == 'h' ? stdout : stderr);
			return option == 'h' ? 0 : EXIT_USAGE;
		}
	}
	if (optind < argc || !instance_is_valid(settings.instance)) {
		print_usage(stderr);
		return EXIT_USAGE;
	}
	return start(&settings);
}
