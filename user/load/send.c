/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `amt-load send`: one stream to one or more multicast groups, paced, in bursts if asked for.
 */
#include "load/commands.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <jansson.h>
#include "base/clock.h"
#include "load/channel.h"
#include "load/options.h"
#include "load/payload.h"
#include "load/source.h"

#define BURST_MAX 1024
#define LATE_MAX  (100 * NSEC_PER_MSEC) /* later than this is not caught up with */

enum { FAMILY_IPV4, FAMILY_IPV6, FAMILIES };

struct send_options {
	struct channels groups;
	struct addr_list sources;
	const char *interface, *path;
	uint64_t port, source_port, packets, size, rate, burst, stream, ttl, tos;
	uint64_t delay_ns;
	bool json, quiet;
};

struct sender {
	const struct send_options *options;
	struct source source;
	int fd[FAMILIES];
	uint8_t *buffer; /* burst payloads of options->size */
	struct iovec *iov;
	struct sockaddr_storage *to; /* of each group */
	struct mmsghdr *messages[FAMILIES];
	unsigned int queued[FAMILIES];
	uint64_t packets, bytes, started_ns, ended_ns;
};

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
	stop = 1;
}

static void usage(FILE *out)
{
	fputs("Usage: amt-load send [OPTIONS] -g GROUP [FILE|-]\n"
	      "\n"
	      "Sends a file, standard input or generated packets as a multicast stream that the\n"
	      "other commands of amt-load can check.\n"
	      "\n"
	      "  -g, --group GROUP[xN]     send to GROUP (to N groups from it on); repeatable, "
	      "both\n"
	      "                            families: every group gets every packet\n"
	      "  -I, --interface NAME      leave by this interface\n"
	      "  -S, --source ADDR         source address, one of each family in use\n"
	      "  -p, --port PORT           destination UDP port [5001]\n"
	      "  -P, --source-port PORT    source UDP port [any]\n"
	      "  -s, --size OCTETS         UDP payload, of which 32 are the header [1348]\n"
	      "  -n, --packets N           generated packets; 0: until interrupted [1000]\n"
	      "  -r, --rate BITS           payload bits per second and group, 0: no pause [10M]\n"
	      "  -b, --burst N             packets sent back to back, then the pause [1]\n"
	      "  -t, --ttl N               TTL or hop limit [16]\n"
	      "  -T, --tos N               TOS or traffic class octet [0]\n"
	      "  -i, --stream-id N         tells streams of one channel apart [random]\n"
	      "      --delay SECONDS       wait before the first packet [0]\n"
	      "  -j, --json                summary as JSON\n"
	      "  -q, --quiet               no summary\n"
	      "  -h, --help\n"
	      "\n"
	      "Example: amt-load send -I eth1 -S 10.0.0.1 -g 232.1.1.1 -r 20M film.ts\n",
	      out);
}

enum { OPTION_DELAY = OPTION_LONG };

static const struct option long_options[] = {
	{"group", required_argument, NULL, 'g'},
	{"interface", required_argument, NULL, 'I'},
	{"source", required_argument, NULL, 'S'},
	{"port", required_argument, NULL, 'p'},
	{"source-port", required_argument, NULL, 'P'},
	{"size", required_argument, NULL, 's'},
	{"packets", required_argument, NULL, 'n'},
	{"rate", required_argument, NULL, 'r'},
	{"burst", required_argument, NULL, 'b'},
	{"ttl", required_argument, NULL, 't'},
	{"tos", required_argument, NULL, 'T'},
	{"stream-id", required_argument, NULL, 'i'},
	{"delay", required_argument, NULL, OPTION_DELAY},
	{"json", no_argument, NULL, 'j'},
	{"quiet", no_argument, NULL, 'q'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static int take_option(void *to, int c, struct error *err)
{
	struct send_options *o = to;

	switch (c) {
	case 'g':
		return channels_add(&o->groups, optarg, err);
	case 'I':
		o->interface = optarg;
		return 0;
	case 'S':
		return option_addr("source", optarg, &o->sources, err);
	case 'p':
		return option_number("port", optarg, 1, 65535, &o->port, err);
	case 'P':
		return option_number("source-port", optarg, 1, 65535, &o->source_port, err);
	case 's':
		return option_number("size", optarg, PAYLOAD_HEADER + 1, PAYLOAD_MAX, &o->size,
				     err);
	case 'n':
		return option_number("packets", optarg, 0, 1e15, &o->packets, err);
	case 'r':
		return option_number("rate", optarg, 0, 1e12, &o->rate, err);
	case 'b':
		return option_number("burst", optarg, 1, BURST_MAX, &o->burst, err);
	case 't':
		return option_number("ttl", optarg, 1, 255, &o->ttl, err);
	case 'T':
		return option_number("tos", optarg, 0, 255, &o->tos, err);
	case 'i':
		return option_number("stream-id", optarg, 0, UINT32_MAX, &o->stream, err);
	case OPTION_DELAY:
		return option_seconds("delay", optarg, &o->delay_ns, err);
	case 'j':
		o->json = true;
		return 0;
	case 'q':
		o->quiet = true;
		return 0;
	}
	return -ENOTSUP;
}

static int read_options(struct send_options *o, int argc, char **argv, struct error *err)
{
	static const struct option_table table = {
		"send", ":g:I:S:p:P:s:n:r:b:t:T:i:jqh", long_options, take_option, usage,
	};
	uint32_t stream;
	int ret;

	if (getrandom(&stream, sizeof(stream), 0) != sizeof(stream))
		return error_set(err, -errno, "no random numbers: %s", strerror(errno));
	o->stream = stream;
	ret = options_read(&table, o, argc, argv, err);
	if (ret)
		return ret;
	if (optind < argc)
		o->path = argv[optind++];
	if (optind < argc)
		return error_set(err, -EINVAL, "one file only; '%s' is too many", argv[optind]);
	if (o->groups.n == 0)
		return error_set(err, -EINVAL, "no group to send to; say --group GROUP");
	return 0;
}

/* ---- sockets ---- */

static const struct amt_addr *source_of(const struct send_options *o, int family)
{
	unsigned int i;

	for (i = 0; i < o->sources.n; i++) {
		if (addr_family(&o->sources.list[i]) == family)
			return &o->sources.list[i];
	}
	return NULL;
}

static int set_int(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) ? -errno : 0;
}

static int set_options(int fd, int family, const struct send_options *o, unsigned int ifindex)
{
	struct ip_mreqn out = {.imr_ifindex = (int)ifindex};
	int ttl = (int)o->ttl, tos = (int)o->tos, ret;

	set_int(fd, SOL_SOCKET, SO_SNDBUFFORCE, 8 << 20); /* best effort: bursts */
	if (family == AF_INET6) {
		ret = set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, ttl);
		if (!ret)
			ret = set_int(fd, IPPROTO_IPV6, IPV6_TCLASS, tos);
		if (!ret)
			ret = set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0);
		if (!ret && ifindex)
			ret = set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, (int)ifindex);
		return ret;
	}
	ret = set_int(fd, IPPROTO_IP, IP_MULTICAST_TTL, ttl);
	if (!ret)
		ret = set_int(fd, IPPROTO_IP, IP_TOS, tos);
	if (!ret)
		ret = set_int(fd, IPPROTO_IP, IP_MULTICAST_LOOP, 0);
	if (!ret && ifindex && setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &out, sizeof(out)))
		ret = -errno;
	return ret;
}

static int open_socket(struct sender *sender, unsigned int which, unsigned int ifindex,
		       struct error *err)
{
	const struct send_options *o = sender->options;
	int family = which == FAMILY_IPV6 ? AF_INET6 : AF_INET, ret;
	const struct amt_addr *source = source_of(o, family);
	struct amt_sockaddr local = {.port = htons((uint16_t)o->source_port)};
	struct sockaddr_storage native;
	char text[AMT_ADDR_STRLEN];
	socklen_t len;

	sender->fd[which] = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sender->fd[which] < 0)
		return error_set(err, -errno, "no socket: %s", strerror(errno));
	ret = set_options(sender->fd[which], family, o, ifindex);
	if (ret)
		return error_set(err, ret, "cannot set up the socket: %s", strerror(-ret));
	if (!source && !o->source_port)
		return 0;
	local.addr = source ? *source : addr_from_ipv6(&in6addr_any);
	len = sockaddr_to_native(&local, &native);
	if (!source)
		native.ss_family = (sa_family_t)family;
	if (bind(sender->fd[which], (struct sockaddr *)&native, len))
		return error_set(err, -errno, "cannot send from %s: %s",
				 source ? addr_print(source, text) : "that port", strerror(errno));
	return 0;
}

static int open_sockets(struct sender *sender, struct error *err)
{
	const struct send_options *o = sender->options;
	unsigned int i, ifindex = 0, which;
	int ret;

	if (o->interface) {
		ifindex = if_nametoindex(o->interface);
		if (ifindex == 0)
			return error_set(err, -ENODEV, "there is no interface '%s'", o->interface);
	}
	for (i = 0; i < o->groups.n; i++) {
		which = addr_is_ipv4(&o->groups.list[i].group) ? FAMILY_IPV4 : FAMILY_IPV6;
		if (sender->fd[which] >= 0)
			continue;
		ret = open_socket(sender, which, ifindex, err);
		if (ret)
			return ret;
	}
	return 0;
}

static int prepare(struct sender *sender, struct error *err)
{
	const struct send_options *o = sender->options;
	struct amt_sockaddr to = {.port = htons((uint16_t)o->port)};
	unsigned int i;

	sender->buffer = malloc(o->burst * o->size);
	sender->iov = calloc(o->burst, sizeof(*sender->iov));
	sender->to = calloc(o->groups.n, sizeof(*sender->to));
	for (i = 0; i < FAMILIES; i++)
		sender->messages[i] = calloc(o->burst * o->groups.n, sizeof(*sender->messages[i]));
	if (!sender->buffer || !sender->iov || !sender->to || !sender->messages[FAMILY_IPV4] ||
	    !sender->messages[FAMILY_IPV6])
		return error_set(err, -ENOMEM, "no memory");
	for (i = 0; i < o->groups.n; i++) {
		to.addr = o->groups.list[i].group;
		sockaddr_to_native(&to, &sender->to[i]);
	}
	return 0;
}

static void release(struct sender *sender)
{
	unsigned int i;

	for (i = 0; i < FAMILIES; i++) {
		if (sender->fd[i] >= 0)
			close(sender->fd[i]);
		free(sender->messages[i]);
	}
	free(sender->buffer);
	free(sender->iov);
	free(sender->to);
	source_close(&sender->source);
}

/* ---- sending ---- */

static void queue(struct sender *sender, unsigned int slot)
{
	const struct send_options *o = sender->options;
	unsigned int i, which;

	for (i = 0; i < o->groups.n; i++) {
		struct mmsghdr *message;

		which = sender->to[i].ss_family == AF_INET6 ? FAMILY_IPV6 : FAMILY_IPV4;
		message = &sender->messages[which][sender->queued[which]++];
		memset(message, 0, sizeof(*message));
		message->msg_hdr.msg_name = &sender->to[i];
		message->msg_hdr.msg_namelen = which == FAMILY_IPV6 ? sizeof(struct sockaddr_in6)
								    : sizeof(struct sockaddr_in);
		message->msg_hdr.msg_iov = &sender->iov[slot];
		message->msg_hdr.msg_iovlen = 1;
	}
}

static int flush(struct sender *sender, struct error *err)
{
	static const struct timespec moment = {.tv_nsec = 200000};
	unsigned int which, done;
	int n;

	for (which = 0; which < FAMILIES; which++) {
		for (done = 0; done < sender->queued[which];) {
			n = sendmmsg(sender->fd[which], sender->messages[which] + done,
				     sender->queued[which] - done, 0);
			if (n > 0)
				done += (unsigned int)n;
			else if (errno == ENOBUFS) /* the device's queue is full */
				nanosleep(&moment, NULL);
			else if (errno != EINTR)
				return error_set(err, -errno, "cannot send: %s%s", strerror(errno),
						 errno == ENETUNREACH
							 ? "; say --interface and --source"
							 : "");
		}
		sender->packets += sender->queued[which];
		sender->queued[which] = 0;
	}
	return 0;
}

/* Returns how many payload octets the burst held, 0 at the end, or a negative errno. */
static long send_burst(struct sender *sender, struct error *err)
{
	const struct send_options *o = sender->options;
	unsigned int slot;
	long octets = 0;
	int len;

	for (slot = 0; slot < o->burst; slot++) {
		uint8_t *at = sender->buffer + slot * o->size;

		len = source_next(&sender->source, at);
		if (len < 0)
			return error_set(err, len, "cannot read %s: %s", o->path, strerror(-len));
		if (len == 0)
			break;
		sender->iov[slot].iov_base = at;
		sender->iov[slot].iov_len = (size_t)len;
		queue(sender, slot);
		octets += len;
	}
	sender->bytes += (uint64_t)octets * o->groups.n;
	return flush(sender, err) ? -EIO : octets;
}

static void sleep_until(uint64_t when)
{
	struct timespec ts = {
		.tv_sec = (time_t)(when / NSEC_PER_SEC),
		.tv_nsec = (long)(when % NSEC_PER_SEC),
	};

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

static int send_stream(struct sender *sender, struct error *err)
{
	const struct send_options *o = sender->options;
	uint64_t due, now;
	long octets = 0;

	if (o->delay_ns)
		sleep_until(clock_now() + o->delay_ns);
	sender->started_ns = due = clock_now();
	while (!stop) {
		octets = send_burst(sender, err);
		if (octets <= 0)
			break;
		if (o->rate == 0)
			continue;
		due += (uint64_t)((double)octets * 8 * (double)NSEC_PER_SEC / (double)o->rate);
		now = clock_now();
		if (due > now)
			sleep_until(due);
		else if (now - due > LATE_MAX)
			due = now;
	}
	sender->ended_ns = clock_now();
	return octets < 0 ? -EIO : 0;
}

static void summary(const struct sender *sender)
{
	double seconds = (double)(sender->ended_ns - sender->started_ns) / (double)NSEC_PER_SEC;
	double rate = seconds > 0 ? (double)sender->bytes * 8 / seconds : 0;
	json_t *json;

	if (sender->options->json) {
		json = json_pack("{s:I, s:I, s:I, s:I, s:f, s:f}", "stream",
				 (json_int_t)sender->options->stream, "sequences",
				 (json_int_t)sender->source.sequence, "packets",
				 (json_int_t)sender->packets, "bytes", (json_int_t)sender->bytes,
				 "seconds", seconds, "bits_per_second", rate);
		json_dumpf(json, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(json);
	} else if (!sender->options->quiet) {
		printf("sent %llu packets, %llu octets of payload in %.2f s: %.2f Mbit/s\n",
		       (unsigned long long)sender->packets, (unsigned long long)sender->bytes,
		       seconds, rate / 1e6);
	}
}

int command_send(int argc, char **argv)
{
	struct send_options options = {
		.port = 5001,
		.size = 1348,
		.packets = 1000,
		.rate = 10000000,
		.burst = 1,
		.ttl = 16,
	};
	struct sender sender = {.options = &options, .fd = {-1, -1}};
	struct sigaction action = {.sa_handler = on_signal};
	struct error err = {""};
	int status = EXIT_USAGE;

	if (read_options(&options, argc, argv, &err))
		goto out;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	status = EXIT_FAILURE;
	if (source_open(&sender.source, options.path, (uint32_t)options.stream, options.size,
			options.packets, &err) ||
	    open_sockets(&sender, &err) || prepare(&sender, &err) || send_stream(&sender, &err))
		goto out;
	summary(&sender);
	status = EXIT_SUCCESS;
out:
	if (status != EXIT_SUCCESS)
		fprintf(stderr, "amt-load: %s\n", err.text);
	release(&sender);
	channels_free(&options.groups);
	free(options.sources.list);
	return status;
}
