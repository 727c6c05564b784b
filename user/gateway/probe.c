/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/probe.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <amt/wire.h>
#include "base/clock.h"
#include "gateway/gateway.h"
#include "gateway/names.h"
#include "gateway/port.h"
#include "proto/report.h"

#define STEP_MS 20 /* the clock of a few seconds' work */

struct probe {
	struct probe_options options;
	struct probe_result *result;
	struct event_base *base;
	struct event *step;
	struct port *port;
	struct names *names;
	struct gateway *gateway;
	struct gateway_candidate candidates[GATEWAY_CANDIDATES_OF_ONE];
	unsigned int ncandidates;
	struct amt_sockaddr relay;
	bool asked;	 /* a query wants its report */
	bool unresolved; /* the name could not even be asked for */
	bool leaving;
};

/* ---- the engine's edge ---- */

static int edge_send(void *arg, const struct amt_sockaddr *peer, const void *buf, size_t len)
{
	struct probe *probe = arg;

	return port_send(probe->port, peer, buf, len);
}

static void edge_random(void *arg, void *buf, size_t len)
{
	if (getrandom(buf, len, 0) != (ssize_t)len) /* at once for so few octets */
		abort();
}

static void edge_query(void *arg, bool mld, unsigned int robustness, unsigned int interval_s)
{
	struct probe *probe = arg;

	probe->asked = true;
}

static void edge_relay_changed(void *arg, const struct gateway_relay *relay)
{
	struct probe *probe = arg;

	if (!relay)
		return;
	probe->relay = relay->relay;
	probe->result->relay = relay->relay.addr;
}

static void edge_resolve(void *arg, unsigned int candidate, const char *name)
{
	struct probe *probe = arg;

	probe->unresolved = names_resolve(probe->names, candidate, name) != 0;
}

static void on_resolved(void *arg, unsigned int id, const struct amt_addr *addrs,
			unsigned int naddrs, const char *why)
{
	struct probe *probe = arg;

	gateway_resolved(probe->gateway, clock_now(), id, addrs, naddrs);
}

/* ---- what comes ---- */

static void on_message(void *arg, uint64_t now, const struct amt_sockaddr *peer, const void *buf,
		       size_t len)
{
	struct probe *probe = arg;

	gateway_receive(probe->gateway, now, peer, buf, len);
}

static void on_data(void *arg, uint64_t now, const struct amt_sockaddr *peer, uint8_t tos,
		    uint8_t *buf, size_t len)
{
	struct probe *probe = arg;

	if (!probe->leaving && len > AMT_DATA_DATAGRAM && sockaddr_equal(peer, &probe->relay))
		arrival_datagram(&probe->result->arrival, now, buf + AMT_DATA_DATAGRAM,
				 len - AMT_DATA_DATAGRAM, len - AMT_DATA_DATAGRAM);
}

static void on_unreachable(void *arg, uint64_t now, const struct amt_sockaddr *peer)
{
	struct probe *probe = arg;

	gateway_unreachable(probe->gateway, now, &peer->addr);
}

/* ---- time ---- */

static void report(struct probe *probe, uint64_t now)
{
	const struct arrival *arrival = &probe->result->arrival;
	bool ipv6 = !addr_is_ipv4(&arrival->group), any = addr_is_any(&arrival->source);
	const struct report_build record = {
		.type = any ? RECORD_IS_EX : RECORD_IS_IN,
		.group = arrival->group,
		.sources = &arrival->source,
		.nsources = any ? 0 : 1,
	};
	struct amt_addr link_local;
	uint8_t buf[256];
	int len;

	addr_parse("fe80::1", &link_local);
	len = report_write(ipv6, ipv6 ? &link_local : NULL, &record, 1, buf, sizeof(buf));
	if (len > 0)
		gateway_report(probe->gateway, now, buf, (size_t)len);
	probe->asked = false;
}

static bool is_over(const struct probe *probe, uint64_t now)
{
	const struct probe_result *result = probe->result;
	uint64_t first = result->arrival.first_ns;

	if (first)
		return now >= first + probe->options.watch_ms * NSEC_PER_MSEC;
	return now >= result->started_ns + probe->options.timeout_s * NSEC_PER_SEC;
}

static void leave(struct probe *probe, uint64_t now)
{
	struct gateway_status status;

	gateway_status(probe->gateway, &status);
	probe->result->state = status.state;
	probe->result->ended_ns = now;
	probe->leaving = true;
	gateway_shutdown(probe->gateway, now);
}

static void on_step(evutil_socket_t fd, short what, void *arg)
{
	struct probe *probe = arg;
	uint64_t now = clock_now(), next;

	if (probe->unresolved)
		gateway_resolved(probe->gateway, now, 0, NULL, 0);
	probe->unresolved = false;
	if (probe->asked && !probe->leaving)
		report(probe, now);
	if (!probe->leaving && is_over(probe, now))
		leave(probe, now);
	next = gateway_tick(probe->gateway, now);
	if (probe->leaving && next == TIME_NEVER)
		event_base_loopbreak(probe->base);
}

/* ---- life ---- */

static int open_engine(struct probe *probe, struct error *err)
{
	const struct gateway_edge edge = {
		.arg = probe,
		.send = edge_send,
		.random = edge_random,
		.query = edge_query,
		.relay_changed = edge_relay_changed,
		.resolve = edge_resolve,
	};
	struct gateway_options options;

	gateway_options_default(&options);
	options.candidates = probe->candidates;
	options.ncandidates = probe->ncandidates;
	options.data_timeout = 0;
	options.ipv4_groups = addr_is_ipv4(&probe->options.group);
	options.ipv6_groups = !options.ipv4_groups;
	probe->names = names_new(probe->base, NULL, on_resolved, probe);
	probe->gateway = gateway_new(&options, &edge, clock_now());
	return probe->names && probe->gateway ? 0 : error_set(err, -ENOMEM, "no memory");
}

static int probe_open(struct probe *probe, struct error *err)
{
	static const struct timeval step = {.tv_usec = STEP_MS * 1000};
	const struct port_options options = {
		.receive = on_message,
		.data = on_data,
		.unreachable = on_unreachable,
		.arg = probe,
	};
	int rc;

	probe->base = event_base_new();
	if (!probe->base)
		return error_set(err, -ENOMEM, "no memory");
	rc = port_open(&probe->port, &options, probe->base, err);
	if (!rc)
		rc = open_engine(probe, err);
	if (rc)
		return rc;
	probe->step = event_new(probe->base, -1, EV_PERSIST, on_step, probe);
	if (!probe->step || event_add(probe->step, &step))
		return error_set(err, -ENOMEM, "no memory");
	return 0;
}

static void probe_close(struct probe *probe)
{
	if (probe->step)
		event_free(probe->step);
	gateway_free(probe->gateway);
	if (probe->names)
		names_free(probe->names);
	port_close(probe->port);
	if (probe->base) {
		event_base_loop(probe->base, EVLOOP_NONBLOCK); /* names_free() needs a turn */
		event_base_free(probe->base);
	}
}

int probe_run(const struct probe_options *options, struct probe_result *out, struct error *err)
{
	struct probe probe = {.options = *options, .result = out};
	int rc;

	memset(out, 0, sizeof(*out));
	out->started_ns = clock_now();
	out->arrival.source = options->source;
	out->arrival.group = options->group;
	probe.ncandidates = gateway_candidates_of(options->relay, probe.candidates);
	rc = probe_open(&probe, err);
	if (!rc)
		event_base_dispatch(probe.base);
	probe_close(&probe);
	return rc;
}
