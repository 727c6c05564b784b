/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `amt-load gateways`: many players in one event loop; when they start, churn, leave and end.
 */
#include "load/commands.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <event2/event.h>
#include "base/clock.h"
#include "load/gateways_options.h"
#include "load/player.h"
#include "load/summary.h"

#define TICK_MS	  10
#define TICK_MORE 1000			/* gateways for which a tick takes a millisecond longer */
#define SETTLE_NS (200 * NSEC_PER_MSEC) /* after the last packet: a duplicate may follow */

enum phase { PHASE_RUNNING, PHASE_SETTLING, PHASE_LINGERING };

struct swarm {
	struct gateways_options options;
	struct gateway_edge edge;
	struct event_base *base;
	struct event *tick, *signals[4];
	struct subscriptions *wanted; /* one for each first channel that a gateway can have */
	unsigned int nwanted;
	struct player *players;
	unsigned int n;
	int output;
	enum phase phase;
	bool ready, left;
	uint64_t started_ns, ended_ns, phase_end_ns, live_ns, done_check_ns;
	uint64_t packets, packets_ns; /* last seen total, and when it last grew */
	uint64_t live_packets;
	uint64_t joins, leaves;
};

static uint32_t random_number(void *arg)
{
	uint32_t number;

	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		abort(); /* cannot fail once the kernel has seeded its generator */
	return number;
}

/* ---- setting up ---- */

static int raise_file_limit(uint64_t need, struct error *err)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur >= need)
		return 0;
	limit.rlim_cur = need;
	if (limit.rlim_max < need)
		limit.rlim_max = need;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		return error_set(err, -errno,
				 "%llu gateways need %llu open files; raise 'ulimit -n'",
				 (unsigned long long)(need - 64), (unsigned long long)need);
	return 0;
}

/* Gateway i starts with channel i * each: only some first channels occur, in a cycle. */
static int make_subscriptions(struct swarm *swarm, struct error *err)
{
	const struct gateways_options *o = &swarm->options;
	unsigned int each = (unsigned int)o->each, first = 0;

	swarm->wanted = calloc(o->channels.n, sizeof(*swarm->wanted));
	if (!swarm->wanted)
		return error_set(err, -ENOMEM, "no memory");
	do {
		if (swarm->nwanted == o->gateways)
			break;
		if (subscriptions_make(&swarm->wanted[swarm->nwanted], &o->channels, first, each,
				       o->excluded.list, o->excluded.n))
			return error_set(err, -ENOMEM, "no memory");
		swarm->nwanted++;
		first = (first + each) % o->channels.n;
	} while (first != 0);
	return 0;
}

/* The i-th source address of the relay's family; any address where none is given. */
static struct amt_addr pick_source(const struct gateways_options *o, const struct amt_addr *relay,
				   unsigned int i)
{
	const struct addr_list *sources = &o->sources[!addr_is_ipv4(relay)];

	return sources->n ? sources->list[i % sources->n] : (struct amt_addr){{0}};
}

static int make_player(struct swarm *swarm, unsigned int i, struct error *err)
{
	const struct gateways_options *o = &swarm->options;
	struct player *player = &swarm->players[i];
	const struct subscriptions *wanted = &swarm->wanted[i % swarm->nwanted];
	struct amt_sockaddr relay = {
		.addr = o->relays.list[i % o->relays.n],
		.port = htons((uint16_t)o->port),
	};
	int family = addr_family(&relay.addr);
	struct amt_sockaddr local = {
		.addr = pick_source(o, &relay.addr, i / o->relays.n),
		.port = htons(o->source_port ? (uint16_t)(o->source_port + i) : 0),
	};

	load_gateway_init(&player->gateway, &o->gateway, &swarm->edge, wanted, &relay);
	receiver_init(&player->receiver, wanted, &o->watch.reference);
	if (i == 0)
		player->receiver.output = swarm->output;
	player->churn_ns = player->leave_ns = player->due_ns = TIME_NEVER;
	return player_open(player, swarm->base, family, &local, o->buffer, err);
}

static int make_players(struct swarm *swarm, struct error *err)
{
	const struct gateways_options *o = &swarm->options;
	unsigned int i;
	int ret;

	swarm->n = (unsigned int)o->gateways;
	swarm->players = calloc(swarm->n, sizeof(*swarm->players));
	if (!swarm->players)
		return error_set(err, -ENOMEM, "no memory for %u gateways", swarm->n);
	for (i = 0; i < swarm->n; i++)
		swarm->players[i].fd = -1;
	for (i = 0; i < swarm->n; i++) {
		ret = make_player(swarm, i, err);
		if (ret)
			return ret;
	}
	swarm->started_ns = clock_now(); /* many sockets take their time */
	for (i = 0; i < swarm->n; i++)
		swarm->players[i].start_ns =
			swarm->started_ns + (o->start_rate ? i * NSEC_PER_SEC / o->start_rate : 0);
	return 0;
}

/* ---- running ---- */

static bool churns(const struct swarm *swarm, unsigned int i)
{
	return i >= swarm->n - swarm->options.churn;
}

static void join(struct swarm *swarm, struct player *player, uint64_t now)
{
	player_join(player, now);
	swarm->joins++;
}

static void leave(struct swarm *swarm, struct player *player, uint64_t now, enum ending how)
{
	player->leave_ns = TIME_NEVER;
	if (!player->gateway.joined || how == ENDING_NONE)
		return;
	player_leave(player, now, how == ENDING_TEARDOWN);
	swarm->leaves++;
}

/* As fast as they started: thousands at once would only overrun the relay's socket. Returns when
 * the last one will have left. */
static uint64_t leave_all(struct swarm *swarm, uint64_t now)
{
	uint64_t rate = swarm->options.start_rate, at = now;
	unsigned int i;

	for (i = 0; i < swarm->n; i++) {
		struct player *player = &swarm->players[i];

		player->start_ns = player->churn_ns = TIME_NEVER;
		if (!player->gateway.joined)
			continue;
		player->leave_ns = at;
		at += rate ? NSEC_PER_SEC / rate : 0;
	}
	return at;
}

static void join_all(struct swarm *swarm, uint64_t now)
{
	unsigned int i;

	for (i = 0; i < swarm->n; i++) {
		if (!swarm->players[i].gateway.joined)
			join(swarm, &swarm->players[i], now);
	}
}

/* Between half and one and a half of the period. */
static uint64_t next_churn(const struct swarm *swarm, uint64_t now)
{
	uint64_t period = swarm->options.churn_ns;

	return now + period / 2 + (uint64_t)((double)period * random_number(NULL) / UINT32_MAX);
}

static void churn(struct swarm *swarm, struct player *player, uint64_t now)
{
	if (player->gateway.joined) {
		leave(swarm, player, now, ENDING_LEAVE);
	} else {
		load_gateway_forget(&player->gateway);
		join(swarm, player, now);
	}
	player->churn_ns = next_churn(swarm, now);
}

static void tick_player(struct swarm *swarm, unsigned int i, uint64_t now)
{
	struct player *player = &swarm->players[i];

	if (now >= player->start_ns) {
		player->start_ns = TIME_NEVER;
		player->due_ns = 0;
		join(swarm, player, now);
		if (churns(swarm, i))
			player->churn_ns = next_churn(swarm, now);
	}
	if (now >= player->leave_ns) {
		leave(swarm, player, now, swarm->options.ending);
		player->due_ns = 0;
	}
	if (now >= player->churn_ns) {
		churn(swarm, player, now);
		player->due_ns = 0;
	}
	if (now >= player->due_ns)
		player->due_ns = load_gateway_tick(&player->gateway, now);
}

static void check_ready(struct swarm *swarm)
{
	struct error err;
	unsigned int i;

	for (i = 0; i < swarm->n; i++) {
		if (!churns(swarm, i) && !load_gateway_established(&swarm->players[i].gateway))
			return;
	}
	swarm->ready = true;
	if (watch_tell_ready(&swarm->options.watch, &err))
		fprintf(stderr, "amt-load: %s\n", err.text);
}

static bool all_done(const struct swarm *swarm)
{
	const struct watch_options *o = &swarm->options.watch;
	unsigned int i;

	if (!watch_ends_complete(o))
		return false;
	for (i = 0; i < swarm->n; i++) {
		if (!churns(swarm, i) && !receiver_done(&swarm->players[i].receiver, &o->rules))
			return false;
	}
	return true;
}

static void live_line(struct swarm *swarm, uint64_t now, const struct receiver_totals *totals)
{
	unsigned int i, joined = 0;

	if (swarm->options.quiet || !isatty(STDERR_FILENO))
		return;
	for (i = 0; i < swarm->n; i++)
		joined += load_gateway_established(&swarm->players[i].gateway);
	fprintf(stderr,
		"\r%6.1f s  joined %u of %u  %.1f packets/s  duplicate %llu  foreign %llu  "
		"damaged %llu \033[K",
		(double)(now - swarm->started_ns) / 1e9, joined, swarm->n,
		(double)(totals->packets - swarm->live_packets) * 1e9 /
			(double)(now - swarm->live_ns),
		(unsigned long long)totals->duplicate, (unsigned long long)totals->foreign,
		(unsigned long long)totals->damaged);
	swarm->live_packets = totals->packets;
	swarm->live_ns = now;
}

static void look_around(struct swarm *swarm, uint64_t now)
{
	struct receiver_rules none = {0};
	struct receiver_totals totals = {0};
	uint64_t packets = 0;
	unsigned int i;

	for (i = 0; i < swarm->n; i++)
		packets += swarm->players[i].receiver.packets;
	if (packets != swarm->packets)
		swarm->packets_ns = now;
	swarm->packets = packets;
	if (now - swarm->live_ns < NSEC_PER_SEC)
		return;
	for (i = 0; i < swarm->n; i++)
		receiver_add_totals(&swarm->players[i].receiver, &none, &totals);
	live_line(swarm, now, &totals);
}

static bool run_is_over(struct swarm *swarm, uint64_t now)
{
	const struct gateways_options *o = &swarm->options;

	if (o->watch.duration_ns && now - swarm->started_ns >= o->watch.duration_ns)
		return true;
	if (o->watch.idle_ns && swarm->packets > 0 && now - swarm->packets_ns >= o->watch.idle_ns)
		return true;
	if (now < swarm->done_check_ns)
		return false;
	swarm->done_check_ns = now + 5 * TICK_MS * NSEC_PER_MSEC;
	return all_done(swarm);
}

static void next_phase(struct swarm *swarm, uint64_t now)
{
	const struct gateways_options *o = &swarm->options;

	if (swarm->phase == PHASE_RUNNING) {
		swarm->phase = PHASE_SETTLING;
		swarm->ended_ns = now;
		swarm->phase_end_ns = now + SETTLE_NS;
	} else if (swarm->phase == PHASE_SETTLING) {
		swarm->phase = PHASE_LINGERING;
		swarm->phase_end_ns = now;
		if (o->ending != ENDING_NONE)
			swarm->phase_end_ns = leave_all(swarm, now) + o->linger_ns;
	} else {
		event_base_loopbreak(swarm->base);
	}
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct swarm *swarm = arg;
	const struct gateways_options *o = &swarm->options;
	uint64_t now = clock_now();
	unsigned int i;

	for (i = 0; i < swarm->n; i++)
		tick_player(swarm, i, now);
	if (!swarm->ready)
		check_ready(swarm);
	look_around(swarm, now);
	if (o->leave_ns && !swarm->left && now - swarm->started_ns >= o->leave_ns) {
		swarm->left = true;
		leave_all(swarm, now);
	}
	if (swarm->phase == PHASE_RUNNING ? run_is_over(swarm, now) : now >= swarm->phase_end_ns)
		next_phase(swarm, now);
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
	struct swarm *swarm = arg;
	uint64_t now = clock_now();

	if (number == SIGUSR1)
		leave_all(swarm, now);
	else if (number == SIGUSR2)
		join_all(swarm, now);
	else if (swarm->phase == PHASE_RUNNING)
		next_phase(swarm, now);
	else
		event_base_loopbreak(swarm->base);
}

static int make_events(struct swarm *swarm, struct error *err)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
	uint64_t ms = swarm->options.gateways / TICK_MORE;
	struct timeval interval = {0};
	unsigned int i;

	ms = ms > TICK_MS ? ms : TICK_MS; /* each tick looks at every gateway */
	interval.tv_sec = (time_t)(ms / 1000);
	interval.tv_usec = (suseconds_t)(ms % 1000 * 1000);
	swarm->base = event_base_new();
	if (!swarm->base)
		return error_set(err, -ENOMEM, "no event loop");
	swarm->tick = event_new(swarm->base, -1, EV_PERSIST, on_tick, swarm);
	if (!swarm->tick || event_add(swarm->tick, &interval))
		return error_set(err, -ENOMEM, "no memory");
	for (i = 0; i < 4; i++) {
		swarm->signals[i] = evsignal_new(swarm->base, numbers[i], on_signal, swarm);
		if (!swarm->signals[i] || event_add(swarm->signals[i], NULL))
			return error_set(err, -ENOMEM, "no memory");
	}
	return 0;
}

/* ---- the end ---- */

/* A gateway that comes and goes cannot have a stream as a whole. */
static void make_entries(const struct swarm *swarm, struct summary_entry *entries)
{
	unsigned int i;

	for (i = 0; i < swarm->n; i++) {
		const struct player *player = &swarm->players[i];

		entries[i].name = player->name;
		entries[i].gateway = &player->gateway;
		entries[i].receiver = &player->receiver;
		if (!churns(swarm, i))
			entries[i].rules = swarm->options.watch.rules;
		entries[i].socket_drops = player_socket_drops(player);
	}
}

static int report(const struct swarm *swarm, struct error *err)
{
	const struct gateways_options *o = &swarm->options;
	struct summary_entry *entries = calloc(swarm->n, sizeof(*entries));
	struct summary summary = {
		.joins = swarm->joins,
		.leaves = swarm->leaves,
		.seconds = (double)(swarm->ended_ns - swarm->started_ns) / 1e9,
	};
	int status;

	if (!entries)
		return error_set(err, -ENOMEM, "no memory");
	make_entries(swarm, entries);
	if (!o->quiet && isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
	status = watch_report(&o->watch, &summary, entries, swarm->n);
	free(entries);
	return status < 0 ? error_set(err, status, "no memory") : status;
}

static void release(struct swarm *swarm)
{
	unsigned int i;

	for (i = 0; i < swarm->n && swarm->players; i++)
		player_close(&swarm->players[i]);
	free(swarm->players);
	for (i = 0; i < swarm->nwanted; i++)
		subscriptions_free(&swarm->wanted[i]);
	free(swarm->wanted);
	for (i = 0; i < 4; i++) {
		if (swarm->signals[i])
			event_free(swarm->signals[i]);
	}
	if (swarm->tick)
		event_free(swarm->tick);
	if (swarm->base)
		event_base_free(swarm->base);
	if (swarm->output >= 0)
		close(swarm->output);
	gateways_options_free(&swarm->options);
}

int command_gateways(int argc, char **argv)
{
	struct swarm swarm = {.output = -1};
	struct error err = {""};
	int status = EXIT_USAGE, ret;

	swarm.edge = (struct gateway_edge){
		.send = player_send,
		.random = random_number,
		.data = player_data,
	};
	if (gateways_options_read(&swarm.options, argc, argv, &err))
		goto out;
	status = EXIT_FAILURE;
	if (raise_file_limit(swarm.options.gateways + 64, &err) ||
	    watch_open_output(&swarm.options.watch, &swarm.output, &err) ||
	    make_subscriptions(&swarm, &err) || make_events(&swarm, &err) ||
	    make_players(&swarm, &err))
		goto out;
	event_base_dispatch(swarm.base);
	ret = report(&swarm, &err);
	if (ret >= 0)
		status = ret;
out:
	if (err.text[0])
		fprintf(stderr, "amt-load: %s\n", err.text);
	release(&swarm);
	return status;
}
