/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * amtd(8): the daemon, a relay or a gateway. Reads its configuration, gives up what root can do
 * beyond it, opens the role and the control socket, and runs the loop. A plain stop leaves the
 * packet path and what is joined as they are, for a restart; only amt-ctl shutdown ends them.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <event2/event.h>
#include <systemd/sd-daemon.h>
#include "base/background.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/option.h"
#include "base/privileges.h"
#include "control/commands.h"
#include "control/listen.h"
#include "gateway/service.h"
#include "relay/holder.h"
#include "relay/service.h"

enum { EXIT_ERROR = 1, EXIT_USAGE = 2 };

#define NSIGNALS    3
#define LARGE_BLOCK (1 << 20) /* octets */

struct settings {
	const char *file; /* NULL: the instance's own, or the defaults */
	const char *instance;
	bool foreground, check;
	char path[PATH_MAX]; /* of the file, wherever the process goes */
};

struct daemon {
	const struct settings *settings;
	struct config config;
	struct event_base *base;
	struct event *signals[NSIGNALS], *end;
	struct relay_service *service; /* one of both */
	struct gateway_service *gateway;
	struct control_server *control;
	struct control_context context;
	bool shutdown; /* end the role too, not this process alone */
};

/* ---- configuration ---- */

static void report_config(const char *line)
{
	fprintf(stderr, "%s\n", line);
}

static int load_config(const struct settings *settings, struct config *config)
{
	const char *file = settings->file;

	if (!file && access(settings->path, F_OK) == 0)
		file = settings->path;
	return config_load(file, config, report_config);
}

/* For a reload, which comes when the working directory is another one. */
static int find_path(struct settings *settings)
{
	char cwd[PATH_MAX] = "";
	int n;

	if (settings->file && settings->file[0] != '/' && !getcwd(cwd, sizeof(cwd)))
		return -errno;
	if (settings->file)
		n = snprintf(settings->path, sizeof(settings->path), "%s%s%s", cwd,
			     cwd[0] ? "/" : "", settings->file);
	else
		n = snprintf(settings->path, sizeof(settings->path), "/etc/amt/%s.conf",
			     settings->instance);
	return n < (int)sizeof(settings->path) ? 0 : -ENAMETOOLONG;
}

/* ---- the end ---- */

static void stop(struct daemon *daemon)
{
	event_base_loopbreak(daemon->base);
}

/* A gateway's relay hears of the end twice, a second apart. */
static void on_end_time(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval again = {.tv_usec = 50000};
	struct daemon *daemon = arg;

	if (daemon->gateway) {
		gateway_service_detach_all(daemon->gateway);
		if (gateway_service_leaving(daemon->gateway)) {
			evtimer_add(daemon->end, &again);
			return;
		}
	}
	stop(daemon);
}

static void on_shutdown(void *arg, unsigned int drain_s)
{
	struct daemon *daemon = arg;
	struct timeval tv = {.tv_sec = (time_t)drain_s};

	daemon->shutdown = true;
	if (daemon->service)
		relay_service_set_draining(daemon->service, true);
	if (drain_s)
		log_info("shutting down in %u s%s", drain_s,
			 daemon->service ? "; no new tunnels from now on" : "");
	evtimer_add(daemon->end, &tv);
}

static void on_signal(evutil_socket_t signal, short what, void *arg)
{
	struct daemon *daemon = arg;
	struct error err = {""};

	if (signal == SIGHUP)
		json_decref(
			control_reload(&daemon->context, &err)); /* which logs all it has to say */
	else
		stop(daemon);
}

static void log_tunnels_left(const struct daemon *daemon)
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

static void close_relay(struct daemon *daemon)
{
	if (daemon->shutdown) {
		relay_service_destroy(daemon->service);
	} else {
		log_tunnels_left(daemon);
		relay_service_close(daemon->service);
	}
}

static void close_gateway(struct daemon *daemon)
{
	if (daemon->shutdown) {
		gateway_service_destroy(daemon->gateway);
	} else {
		log_info("stopped; %s", gateway_service_running(daemon->gateway)
						? "what is joined is still received, until the "
						  "relay's timers end: start amtd again to go on"
						: "no uplink is attached");
		gateway_service_close(daemon->gateway);
	}
}

static void close_all(struct daemon *daemon)
{
	unsigned int i;

	control_server_close(daemon->control);
	if (daemon->service)
		close_relay(daemon);
	else if (daemon->gateway)
		close_gateway(daemon);
	if (daemon->shutdown)
		log_info("shut down; nothing is left");
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

/* ---- the role ---- */

static int open_role(struct daemon *daemon, bool gateway, struct error *err)
{
	const struct relay_service_options relay_options = {
		.instance = daemon->settings->instance,
		.config = &daemon->config.relay,
	};
	const struct gateway_service_options gateway_options = {
		.instance = daemon->settings->instance,
		.config = &daemon->config.gateway,
	};
	int ret = gateway ? gateway_service_open(&daemon->gateway, &gateway_options, daemon->base,
						 err)
			  : relay_service_open(&daemon->service, &relay_options, daemon->base, err);

	if (daemon->service) /* it may have been a gateway before a restart */
		gateway_service_sweep(daemon->settings->instance,
				      relay_service_datapath(daemon->service));
	daemon->context.service = daemon->service;
	daemon->context.gateway = daemon->gateway;
	return ret;
}

static int role_is_fixed(const struct daemon *daemon, struct error *err)
{
	struct relay_service *relay = daemon->service;
	struct datapath_interface one;

	if (daemon->config.from_file)
		return error_set(err, -EPERM,
				 "the configuration makes this amtd a %s; start another for the "
				 "other role: amtd -i NAME",
				 relay ? "relay" : "gateway");
	if (relay ? datapath_interfaces(relay_service_datapath(relay), &one, 1) > 0
		  : gateway_service_running(daemon->gateway))
		return error_set(err, -EBUSY,
				 "interfaces are attached in the role of a %s; detach them first "
				 "(amt-ctl detach --all), or start another amtd: amtd -i NAME",
				 relay ? "relay" : "gateway");
	return 0;
}

static void end_role(struct daemon *daemon)
{
	if (daemon->service)
		relay_service_destroy(daemon->service);
	if (daemon->gateway)
		gateway_service_destroy(daemon->gateway);
	daemon->service = daemon->context.service = NULL;
	daemon->gateway = daemon->context.gateway = NULL;
}

/* Nothing is attached, so nothing is lost. */
static int change_role(void *arg, bool gateway, struct error *err)
{
	struct daemon *daemon = arg;
	struct error again = {""};
	int ret = role_is_fixed(daemon, err);

	if (ret)
		return ret;
	end_role(daemon);
	ret = open_role(daemon, gateway, err);
	if (!ret) {
		log_info("%s: now a %s", daemon->settings->instance, gateway ? "gateway" : "relay");
		return 0;
	}
	if (open_role(daemon, !gateway, &again)) { /* then there is nothing to serve with */
		log_error("%s", again.text);
		stop(daemon);
	}
	return ret;
}

static int open_control(struct daemon *daemon, struct error *err)
{
	char path[CONTROL_PATH_LEN];

	daemon->context.instance = daemon->settings->instance;
	daemon->context.config = &daemon->config;
	daemon->context.file = daemon->settings->path;
	daemon->context.shutdown = on_shutdown;
	daemon->context.change_role = change_role;
	daemon->context.arg = daemon;
	return control_server_open(&daemon->control, daemon->base,
				   control_path(daemon->settings->instance, path), control_commands,
				   &daemon->context, err);
}

static bool starts_as_gateway(const struct daemon *daemon)
{
	if (daemon->config.from_file)
		return daemon->config.gateway.present;
	return gateway_service_left(daemon->settings->instance);
}

static int open_all(struct daemon *daemon, struct error *err)
{
	const struct config *config = &daemon->config;
	bool low = config->relay.port < 1024 ||
		   (config->gateway.local_port && config->gateway.local_port < 1024);
	int ret = privileges_drop(low, err);

	if (!ret)
		ret = open_loop(daemon, err);
	if (!ret)
		ret = open_role(daemon, starts_as_gateway(daemon), err);
	if (!ret)
		ret = open_control(daemon, err);
	return ret;
}

static void log_started(const struct daemon *daemon)
{
	bool adopted = daemon->service ? relay_service_adopted(daemon->service)
				       : gateway_service_adopted(daemon->gateway);

	log_info("%s: %s %s", daemon->settings->instance, daemon->service ? "relay" : "gateway",
		 adopted ? "taken over from a predecessor" : "started");
}

/* So that no turn of the loop pays for many others. */
static void tune_malloc(void)
{
	/* A large table that grows is given other pages by the kernel, not copied; left to itself,
	 * malloc raises that size whenever such a block is freed. */
	mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK);
	/* Small blocks are merged as they are freed, not, after 100,000 tunnels have ended, all of
	 * them when the next larger one is asked for. */
	mallopt(M_MXFAST, 0);
}

static int run(struct daemon *daemon)
{
	struct error err = {"start-up failed"};
	int background = -1;

	tune_malloc();
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
	log_started(daemon);
	(void)sd_notify(0, "READY=1"); /* where systemd waits for it */
	if (background >= 0) {
		background_ready(background);
		log_to_syslog();
	}
	loop_run(daemon->base);
	(void)sd_notify(0, "STOPPING=1");
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

static int start(struct settings *settings)
{
	struct daemon daemon = {.settings = settings};
	int status = find_path(settings);

	if (status) {
		log_error("%s: %s", settings->file, strerror(-status));
		return EXIT_ERROR;
	}
	if (settings->check)
		return check(settings);
	if (load_config(settings, &daemon.config))
		return EXIT_ERROR;
	log_set_level(daemon.config.log_level);
	status = run(&daemon);
	close_all(&daemon);
	return status;
}

static void print_usage(void)
{
	puts("usage: amtd [-f FILE] [-i NAME] [-n] [-t]\n\n"
	     "  -f FILE  configuration, default /etc/amt/NAME.conf if it exists\n"
	     "  -i NAME  name of this instance, default " INSTANCE_DEFAULT "\n"
	     "  -n       stay in the foreground, log to standard error\n"
	     "  -t       check the configuration and exit\n"
	     "  -V       print the version\n"
	     "  -h       this list\n"
	     "amtd(8) and amtd.conf(5) say more.");
}

static int usage_error(const char *what)
{
	log_error("%s; see amtd -h", what);
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	struct settings settings = {.instance = INSTANCE_DEFAULT};
	struct error err;
	int option;

	opterr = 0; /* one line says what is wrong */
	log_set_name("amtd");
	if (argc > 1 && strcmp(argv[1], "--hold-upstream") == 0)
		return upstream_holder_main(argc, argv);
	while ((option = getopt_long(argc, argv, ":f:i:ntVh", options, NULL)) != -1) {
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
		case 'h':
			print_usage();
			return 0;
		default:
			option_wrong(option, argv, &err);
			return usage_error(err.text);
		}
	}
	if (optind < argc) {
		error_set(&err, -EINVAL, "'%s' is too much", argv[optind]);
		return usage_error(err.text);
	}
	if (!instance_is_valid(settings.instance)) {
		error_set(&err, -EINVAL, "'%s' is no name of an instance: " INSTANCE_RULE,
			  settings.instance, INSTANCE_LEN);
		return usage_error(err.text);
	}
	return start(&settings);
}
