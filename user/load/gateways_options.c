/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "load/gateways_options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GATEWAYS_MAX 1000000

static void usage(FILE *out)
{
	fputs("Usage: amt-load gateways [OPTIONS] -r RELAY CHANNEL...\n"
	      "\n"
	      "Plays AMT gateways that join channels at a relay, and checks what arrives.\n"
	      "CHANNEL is [SOURCE,]GROUP; GROUPxN means N groups from GROUP on.\n"
	      "\n"
	      "Gateways:\n"
	      "  -r, --relay ADDR          relay; several: gateways take turns, families may "
	      "differ\n"
	      "  -p, --port PORT           the relay's UDP port [2268]\n"
	      "  -D, --discover            ask ADDR by Relay Discovery for the relay\n"
	      "  -n, --gateways N          how many [1]\n"
	      "  -S, --source ADDR         their source address; several: they take turns; ADDRxN\n"
	      "                            means N addresses in a row\n"
	      "  -P, --source-port PORT    gateway i sends from PORT+i [any]\n"
	      "  -k, --each K              gateway i joins only K channels, from the i*K-th on\n"
	      "  -x, --exclude ADDR        join GROUPs without SOURCE as EXCLUDE {ADDR ...}\n"
	      "  -o, --old                 report by IGMPv2 and MLDv1\n"
	      "  -e, --ecn                 set the E flag of RFC 9601\n"
	      "      --linux-p             set P where the Linux gateway does (bit 0x80)\n"
	      "  -R, --refresh SECONDS     a Request this often [as the relay says]\n"
	      "      --retry SECONDS       first retransmission [1], doubled up to 120\n"
	      "      --start-rate N        gateways that start, and leave, per second; 0: all at\n"
	      "                            once [1000]\n"
	      "  -c, --churn N[:SECONDS]   the last N leave and join again, that often [1]\n"
	      "  -b, --buffer OCTETS       receive buffer of each socket [4M]\n"
	      "\n"
	      "End:\n"
	      "  -d, --duration SECONDS    end after this [when interrupted]\n"
	      "  -f, --complete            end when every stream is complete; streams count from\n"
	      "                            their first packet, and every group must have one\n"
	      "  -E, --expect N            as -f, where each stream has N packets\n"
	      "  -i, --idle SECONDS        end when nothing came for so long after the first "
	      "packet\n"
	      "                            [3 with -f and -E]\n"
	      "      --leave-at SECONDS    leave after this, but stay and count what still comes\n"
	      "      --end HOW             teardown, leave or none [teardown]\n"
	      "      --linger SECONDS      listen for so long after leaving [0.2]\n"
	      "\n"
	      "Verdict (exit status 1 unless every packet came once, wanted and whole):\n"
	      "  -C, --compare FILE        every stream has to be FILE\n"
	      "  -O, --output FILE         write the first stream of the first gateway to FILE\n"
	      "      --in-order            packets out of order are a failure too\n"
	      "  -l, --list                one line for each gateway and stream\n"
	      "  -j, --json                summary as JSON, with -l each gateway too\n"
	      "  -q, --quiet               no live line\n"
	      "      --ready FILE          make FILE when all gateways have sent their joins\n"
	      "  -h, --help\n"
	      "\n"
	      "Signals: INT and TERM end, USR1 leaves all channels, USR2 joins them again.\n"
	      "\n"
	      "Example: amt-load gateways -r 192.0.2.1 -n 200 -f 10.0.0.1,232.1.1.1\n",
	      out);
}

enum {
	OPTION_LINUX_P = WATCH_OPTIONS_END,
	OPTION_RETRY,
	OPTION_START_RATE,
	OPTION_LEAVE_AT,
	OPTION_END,
	OPTION_LINGER,
};

static const struct option long_options[] = {
	{"relay", required_argument, NULL, 'r'},
	{"port", required_argument, NULL, 'p'},
	{"discover", no_argument, NULL, 'D'},
	{"gateways", required_argument, NULL, 'n'},
	{"source", required_argument, NULL, 'S'},
	{"source-port", required_argument, NULL, 'P'},
	{"each", required_argument, NULL, 'k'},
	{"exclude", required_argument, NULL, 'x'},
	{"old", no_argument, NULL, 'o'},
	{"ecn", no_argument, NULL, 'e'},
	{"linux-p", no_argument, NULL, OPTION_LINUX_P},
	{"refresh", required_argument, NULL, 'R'},
	{"retry", required_argument, NULL, OPTION_RETRY},
	{"start-rate", required_argument, NULL, OPTION_START_RATE},
	{"churn", required_argument, NULL, 'c'},
	{"buffer", required_argument, NULL, 'b'},
	{"leave-at", required_argument, NULL, OPTION_LEAVE_AT},
	{"end", required_argument, NULL, OPTION_END},
	{"linger", required_argument, NULL, OPTION_LINGER},
	{"quiet", no_argument, NULL, 'q'},
	WATCH_LONG_OPTIONS,
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static int take_churn(struct gateways_options *o, char *text, struct error *err)
{
	char *colon = strchr(text, ':');

	if (colon) {
		*colon = '\0';
		if (option_seconds("churn", colon + 1, &o->churn_ns, err))
			return -EINVAL;
	}
	return option_number("churn", text, 0, GATEWAYS_MAX, &o->churn, err);
}

static int take_ending(struct gateways_options *o, const char *text, struct error *err)
{
	static const char *const name[] = {"teardown", "leave", "none"};
	unsigned int i;

	for (i = 0; i < sizeof(name) / sizeof(name[0]); i++) {
		if (strcmp(text, name[i]) == 0) {
			o->ending = (enum ending)i;
			return 0;
		}
	}
	return error_set(err, -EINVAL, "--end: '%s' is none of teardown, leave, none", text);
}

static int take_refresh(struct gateways_options *o, struct error *err)
{
	uint64_t seconds;
	int ret = option_number("refresh", optarg, 1, 100000, &seconds, err);

	o->gateway.refresh_s = (unsigned int)seconds;
	return ret;
}

static int take_retry(struct gateways_options *o, struct error *err)
{
	int ret = option_seconds("retry", optarg, &o->gateway.retry_ns, err);

	if (!ret && o->gateway.retry_ns < NSEC_PER_MSEC)
		ret = error_set(err, -EINVAL, "--retry: at least 0.001");
	return ret;
}

static int take_flag(struct gateways_options *o, int c, struct error *err)
{
	switch (c) {
	case 'D':
		o->gateway.discover = true;
		return 0;
	case 'o':
		o->gateway.old = true;
		return 0;
	case 'e':
		o->gateway.ecn = true;
		return 0;
	case OPTION_LINUX_P:
		o->gateway.linux_p = true;
		return 0;
	case 'q':
		o->quiet = true;
		return 0;
	}
	return watch_take(&o->watch, c, err);
}

static int take_option(void *to, int c, struct error *err)
{
	struct gateways_options *o = to;

	switch (c) {
	case 'r':
		return option_addr("relay", optarg, &o->relays, err);
	case 'p':
		return option_number("port", optarg, 1, 65535, &o->port, err);
	case 'n':
		return option_number("gateways", optarg, 1, GATEWAYS_MAX, &o->gateways, err);
	case 'S':
		return option_addrs("source", optarg, o->sources, err);
	case 'P':
		return option_number("source-port", optarg, 1, 65535, &o->source_port, err);
	case 'k':
		return option_number("each", optarg, 1, 100000, &o->each, err);
	case 'x':
		return option_addr("exclude", optarg, &o->excluded, err);
	case 'R':
		return take_refresh(o, err);
	case OPTION_RETRY:
		return take_retry(o, err);
	case OPTION_START_RATE:
		return option_number("start-rate", optarg, 0, 1e9, &o->start_rate, err);
	case 'c':
		return take_churn(o, optarg, err);
	case 'b':
		return option_number("buffer", optarg, 4096, 1 << 30, &o->buffer, err);
	case OPTION_LEAVE_AT:
		return option_seconds("leave-at", optarg, &o->leave_ns, err);
	case OPTION_END:
		return take_ending(o, optarg, err);
	case OPTION_LINGER:
		return option_seconds("linger", optarg, &o->linger_ns, err);
	}
	return take_flag(o, c, err);
}

static int check(struct gateways_options *o, struct error *err)
{
	unsigned int i;

	if (o->relays.n == 0)
		return error_set(err, -EINVAL, "no relay; say --relay ADDR");
	if (o->channels.n == 0)
		return error_set(err, -EINVAL, "no channel to join; say [SOURCE,]GROUP");
	if (o->each > o->channels.n)
		return error_set(err, -EINVAL, "--each %llu, but there are only %u channels",
				 (unsigned long long)o->each, o->channels.n);
	if (o->churn > o->gateways)
		return error_set(err, -EINVAL, "--churn %llu, but there are only %llu gateways",
				 (unsigned long long)o->churn, (unsigned long long)o->gateways);
	if (o->source_port && o->source_port + o->gateways - 1 > 65535)
		return error_set(err, -EINVAL, "--source-port: %llu gateways do not fit above it",
				 (unsigned long long)o->gateways);
	for (i = 0; i < o->relays.n && o->sources[0].n + o->sources[1].n > 0; i++) {
		if (!o->sources[!addr_is_ipv4(&o->relays.list[i])].n)
			return error_set(err, -EINVAL,
					 "no --source of the family of one of the relays");
	}
	if (o->each == 0)
		o->each = o->channels.n;
	watch_settle(&o->watch);
	return 0;
}

int gateways_options_read(struct gateways_options *o, int argc, char **argv, struct error *err)
{
	static const struct option_table table = {
		.command = "gateways",
		.letters = ":r:p:Dn:S:P:k:x:oeR:c:b:qh" WATCH_LETTERS,
		.options = long_options,
		.take = take_option,
		.usage = usage,
	};
	int ret;

	*o = (struct gateways_options){
		.port = AMT_PORT,
		.gateways = 1,
		.start_rate = 1000,
		.buffer = 4 << 20,
		.churn_ns = NSEC_PER_SEC,
		.linger_ns = 200 * NSEC_PER_MSEC,
		.gateway = {.retry_ns = NSEC_PER_SEC, .retry_max_ns = 120 * NSEC_PER_SEC},
	};
	ret = options_read(&table, o, argc, argv, err);
	while (!ret && optind < argc)
		ret = channels_add(&o->channels, argv[optind++], err);
	return ret ? ret : check(o, err);
}

void gateways_options_free(struct gateways_options *o)
{
	channels_free(&o->channels);
	free(o->relays.list);
	free(o->sources[0].list);
	free(o->sources[1].list);
	free(o->excluded.list);
	watch_free(&o->watch);
}
