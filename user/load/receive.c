/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `amt-load receive`: a native listener, for the upstream side and for hosts behind a gateway.
 */
#include "load/commands.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>
#include "base/clock.h"
#include "load/options.h"
#include "load/payload.h"
#include "load/summary.h"
#include "load/watch.h"

struct listen_options {
	struct channels channels;
	struct watch_options watch;
	const char *interface;
	uint64_t port;
};

struct listener {
	struct listen_options options;
	struct subscriptions wanted;
	struct receiver receiver;
	struct pollfd *sockets; /* one a channel: a socket joins few groups */
	int output;
	uint64_t started_ns, last_ns;
};

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
	stop = 1;
}

static void usage(FILE *out)
{
	fputs("Usage: amt-load receive [OPTIONS] -I IFACE CHANNEL...\n"
	      "\n"
	      "Joins channels on an interface, without AMT, and checks what arrives.\n"
	      "CHANNEL is [SOURCE,]GROUP; GROUPxN means N groups from GROUP on.\n"
	      "\n"
	      "  -I, --interface NAME      join on this interface\n"
	      "  -p, --port PORT           UDP port [5001]\n"
	      "  -d, --duration SECONDS    end after this [when interrupted]\n"
	      "  -f, --complete            end when every stream is complete\n"
	      "  -E, --expect N            as -f, where each stream has N packets\n"
	      "  -i, --idle SECONDS        end when nothing came for so long after the first "
	      "packet\n"
	      "                            [3 with -f and -E]\n"
	      "  -C, --compare FILE        every stream has to be FILE\n"
	      "  -O, --output FILE         write the first stream to FILE\n"
	      "      --in-order            packets out of order are a failure too\n"
	      "  -l, --list                one line for each stream\n"
	      "  -j, --json                summary as JSON, with -l each stream too\n"
	      "      --ready FILE          make FILE when all channels are joined\n"
	      "  -h, --help\n"
	      "\n"
	      "Exit status 1 unless every packet came once, wanted and whole.\n"
	      "\n"
	      "Example: amt-load receive -I amt0 10.0.0.1,232.1.1.1\n",
	      out);
}

static const struct option long_options[] = {
	{"interface", required_argument, NULL, 'I'},
	{"port", required_argument, NULL, 'p'},
	WATCH_LONG_OPTIONS,
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static int take_option(void *to, int c, struct error *err)
{
	struct listen_options *o = to;

	switch (c) {
	case 'I':
		o->interface = optarg;
		return 0;
	case 'p':
		return option_number("port", optarg, 1, 65535, &o->port, err);
	}
	return watch_take(&o->watch, c, err);
}

static int read_options(struct listen_options *o, int argc, char **argv, struct error *err)
{
	static const struct option_table table = {
		"receive", ":I:p:h" WATCH_LETTERS, long_options, take_option, usage,
	};
	int ret = options_read(&table, o, argc, argv, err);

	while (!ret && optind < argc)
		ret = channels_add(&o->channels, argv[optind++], err);
	if (ret)
		return ret;
	if (!o->interface)
		return error_set(err, -EINVAL, "no interface to join on; say --interface NAME");
	if (o->channels.n == 0)
		return error_set(err, -EINVAL, "no channel to join; say [SOURCE,]GROUP");
	watch_settle(&o->watch);
	return 0;
}

/* ---- joining ---- */

static int join(int fd, unsigned int ifindex, const struct channel *channel)
{
	struct amt_sockaddr group = {.addr = channel->group}, source = {.addr = channel->source};
	int level = addr_is_ipv4(&channel->group) ? IPPROTO_IP : IPPROTO_IPV6;
	struct group_source_req with = {.gsr_interface = ifindex};
	struct group_req any = {.gr_interface = ifindex};

	sockaddr_to_native(&group, &any.gr_group);
	if (addr_is_any(&channel->source))
		return setsockopt(fd, level, MCAST_JOIN_GROUP, &any, sizeof(any)) ? -errno : 0;
	with.gsr_group = any.gr_group;
	sockaddr_to_native(&source, &with.gsr_source);
	return setsockopt(fd, level, MCAST_JOIN_SOURCE_GROUP, &with, sizeof(with)) ? -errno : 0;
}

static int open_channel(const struct listener *listener, const struct channel *channel,
			unsigned int ifindex, struct error *err)
{
	int family = addr_family(&channel->group), one = 1, buffer = 16 << 20, fd, ret;
	struct amt_sockaddr local = {
		.addr = channel->group,
		.port = htons((uint16_t)listener->options.port),
	};
	struct sockaddr_storage native;
	char text[AMT_ADDR_STRLEN];

	fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_set(err, -errno, "no socket: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer));
	/* bound to the group, so that other groups of this port stay out */
	if (bind(fd, (struct sockaddr *)&native, sockaddr_to_native(&local, &native)))
		ret = -errno;
	else
		ret = join(fd, ifindex, channel);
	if (ret) {
		close(fd);
		return error_set(err, ret, "cannot join %s: %s", addr_print(&channel->group, text),
				 strerror(-ret));
	}
	return fd;
}

static int open_sockets(struct listener *listener, struct error *err)
{
	const struct channels *channels = &listener->options.channels;
	unsigned int i, ifindex = if_nametoindex(listener->options.interface);

	if (ifindex == 0)
		return error_set(err, -ENODEV, "there is no interface '%s'",
				 listener->options.interface);
	for (i = 0; i < channels->n; i++) {
		listener->sockets[i].events = POLLIN;
		listener->sockets[i].fd = open_channel(listener, &channels->list[i], ifindex, err);
		if (listener->sockets[i].fd < 0)
			return listener->sockets[i].fd;
	}
	return 0;
}

static int prepare(struct listener *listener, struct error *err)
{
	struct listen_options *o = &listener->options;
	unsigned int i;

	listener->sockets = calloc(o->channels.n, sizeof(*listener->sockets));
	for (i = 0; i < o->channels.n && listener->sockets; i++)
		listener->sockets[i].fd = -1;
	if (!listener->sockets ||
	    subscriptions_make(&listener->wanted, &o->channels, 0, o->channels.n, NULL, 0))
		return error_set(err, -ENOMEM, "no memory");
	receiver_init(&listener->receiver, &listener->wanted, &o->watch.reference);
	if (watch_open_output(&o->watch, &listener->output, err))
		return -EIO;
	listener->receiver.output = listener->output;
	if (open_sockets(listener, err))
		return -EIO;
	return watch_tell_ready(&o->watch, err);
}

/* ---- listening ---- */

static void drain(struct listener *listener, int fd, const struct amt_addr *group)
{
	static uint8_t buf[PAYLOAD_MAX];
	struct sockaddr_storage native;
	struct amt_sockaddr from;
	socklen_t len;
	ssize_t n;
	int i;

	for (i = 0; i < 256; i++) {
		len = sizeof(native);
		n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&native, &len);
		if (n < 0 || sockaddr_from_native((struct sockaddr *)&native, &from))
			break;
		listener->last_ns = clock_now();
		receiver_payload(&listener->receiver, listener->last_ns, &from.addr, group, buf,
				 (size_t)n);
	}
}

static bool is_over(const struct listener *listener, uint64_t now)
{
	const struct watch_options *o = &listener->options.watch;

	if (stop || (o->duration_ns && now - listener->started_ns >= o->duration_ns))
		return true;
	if (o->idle_ns && listener->last_ns && now - listener->last_ns >= o->idle_ns)
		return true;
	return watch_ends_complete(o) && receiver_done(&listener->receiver, &o->rules) &&
	       now - listener->last_ns > 200 * NSEC_PER_MSEC;
}

static void run(struct listener *listener)
{
	unsigned int i, n = listener->options.channels.n;

	listener->started_ns = clock_now();
	receiver_listen(&listener->receiver, true, listener->started_ns);
	while (!is_over(listener, clock_now())) {
		if (poll(listener->sockets, n, 50) <= 0)
			continue;
		for (i = 0; i < n; i++) {
			if (listener->sockets[i].revents)
				drain(listener, listener->sockets[i].fd,
				      &listener->options.channels.list[i].group);
		}
	}
}

static int report(const struct listener *listener)
{
	const struct listen_options *o = &listener->options;
	struct summary_entry entry = {
		.name = o->interface,
		.receiver = &listener->receiver,
		.rules = o->watch.rules,
	};
	struct summary summary = {
		.joins = o->channels.n,
		.seconds = (double)(clock_now() - listener->started_ns) / 1e9,
	};
	int status = watch_report(&o->watch, &summary, &entry, 1);

	return status < 0 ? EXIT_FAILURE : status;
}

static void release(struct listener *listener)
{
	struct listen_options *o = &listener->options;
	unsigned int i;

	for (i = 0; i < o->channels.n && listener->sockets; i++) {
		if (listener->sockets[i].fd >= 0)
			close(listener->sockets[i].fd);
	}
	free(listener->sockets);
	receiver_free(&listener->receiver);
	subscriptions_free(&listener->wanted);
	channels_free(&o->channels);
	watch_free(&o->watch);
	if (listener->output >= 0)
		close(listener->output);
}

int command_receive(int argc, char **argv)
{
	struct listener listener = {.output = -1, .options = {.port = 5001}};
	struct sigaction action = {.sa_handler = on_signal};
	struct error err = {""};
	int status = EXIT_USAGE;

	if (read_options(&listener.options, argc, argv, &err))
		goto out;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	status = EXIT_FAILURE;
	if (prepare(&listener, &err))
		goto out;
	run(&listener);
	status = report(&listener);
out:
	if (err.text[0])
		fprintf(stderr, "amt-load: %s\n", err.text);
	release(&listener);
	return status;
}
