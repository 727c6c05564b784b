/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libevent's resolver does the asking; the bound on the whole question is ours. */
#include "gateway/names.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <event2/util.h>
#include <sys/socket.h>
#include "base/log.h"

#define RESOLV_CONF	   "/etc/resolv.conf"
#define HOSTS		   "/etc/hosts"
#define DEFAULT_TIMEOUT_MS 2000
#define DEFAULT_ATTEMPTS   3
#define DEFAULT_TOTAL_MS   10000

struct question {
	struct question *next;
	struct names *names;
	struct event *end; /* answers, at once or when time is up */
	struct evdns_getaddrinfo_request *request;
	const char *why;
	struct amt_addr addrs[NAMES_ADDRS_MAX];
	unsigned int id, naddrs;
	bool given_up; /* the resolver still holds it, for its last call */
};

struct names {
	struct event_base *base;
	struct evdns_base *dns;
	struct names_options options;
	names_fn fn;
	void *arg;
	struct question *questions;
	struct event *reaper; /* frees it all, outside the resolver's calls */
	bool closing;
};

/* ---- the resolver ---- */

static void on_log(int is_warning, const char *text)
{
	log_debug("%s", text); /* the answer says what matters */
}

static void set_option(struct evdns_base *dns, const char *option, const char *value)
{
	(void)evdns_base_set_option(dns, option, value);
}

/* A file that is not there means a name server on this host, as in resolv.conf(5). */
static struct evdns_base *resolver_new(const struct names *names)
{
	struct evdns_base *dns = evdns_base_new(names->base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	char text[16];

	if (!dns)
		return NULL;
	snprintf(text, sizeof(text), "%u.%03u", names->options.timeout_ms / 1000,
		 names->options.timeout_ms % 1000);
	/* options of resolv.conf come first, ours are bounds */
	(void)evdns_base_resolv_conf_parse(dns, DNS_OPTION_NAMESERVERS | DNS_OPTION_SEARCH,
					   names->options.resolv_conf);
	(void)evdns_base_load_hosts(dns, names->options.hosts);
	if (evdns_base_count_nameservers(dns) == 0)
		(void)evdns_base_nameserver_ip_add(dns, "127.0.0.1");
	set_option(dns, "timeout:", text);
	set_option(dns, "initial-probe-timeout:", text);
	snprintf(text, sizeof(text), "%u", names->options.attempts);
	set_option(dns, "attempts:", text);
	return dns;
}

/* ---- questions ---- */

static void question_unlink(struct question *question)
{
	struct question **at;

	for (at = &question->names->questions; *at != question; at = &(*at)->next)
		;
	*at = question->next;
}

static void question_free(struct question *question)
{
	question_unlink(question);
	if (question->end)
		event_free(question->end);
	free(question);
}

/* The resolver calls back once more, from the loop, for what is cancelled. */
static void question_give_up(struct question *question)
{
	question->given_up = true;
	event_del(question->end);
	if (question->request)
		evdns_getaddrinfo_cancel(question->request);
	else
		question_free(question);
}

static void on_end(evutil_socket_t fd, short what, void *arg)
{
	struct question *question = arg;
	struct names *names = question->names;
	struct question copy = *question;

	if (question->request && !copy.why)
		copy.why = "no answer in time";
	question_give_up(question);
	names->fn(names->arg, copy.id, copy.addrs, copy.naddrs, copy.naddrs ? NULL : copy.why);
}

static void add_addr(struct question *question, const struct sockaddr *native)
{
	struct amt_sockaddr sa;
	unsigned int i;

	if (sockaddr_from_native(native, &sa) || !addr_is_unicast_source(&sa.addr) ||
	    question->naddrs == NAMES_ADDRS_MAX)
		return;
	for (i = 0; i < question->naddrs; i++)
		if (addr_equal(&question->addrs[i], &sa.addr))
			return;
	question->addrs[question->naddrs++] = sa.addr;
}

static void on_answer(int result, struct evutil_addrinfo *answer, void *arg)
{
	struct question *question = arg;
	struct names *names = question->names;
	const struct evutil_addrinfo *one;
	static const struct timeval at_once;

	question->request = NULL;
	for (one = answer; one; one = one->ai_next)
		add_addr(question, one->ai_addr);
	if (answer)
		evutil_freeaddrinfo(answer);
	if (question->given_up) {
		question_free(question);
		if (names->closing && !names->questions)
			event_add(names->reaper, &at_once);
		return;
	}
	question->why = result ? evutil_gai_strerror(result) : "no usable address";
	event_add(question->end, &at_once);
}

static struct question *question_new(struct names *names, unsigned int id)
{
	struct question *question = calloc(1, sizeof(*question));

	if (!question)
		return NULL;
	question->names = names;
	question->id = id;
	question->end = evtimer_new(names->base, on_end, question);
	if (!question->end) {
		free(question);
		return NULL;
	}
	question->next = names->questions;
	names->questions = question;
	return question;
}

static void question_ask(struct question *question, const char *name)
{
	struct evutil_addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM};
	struct names *names = question->names;
	struct evdns_getaddrinfo_request *request;
	struct timeval total = {.tv_sec = names->options.total_ms / 1000,
				.tv_usec = names->options.total_ms % 1000 * 1000};

	event_add(question->end, &total);
	/* NULL: on_answer() was called already */
	request = evdns_getaddrinfo(names->dns, name, NULL, &hints, on_answer, question);
	question->request = request;
}

int names_resolve(struct names *names, unsigned int id, const char *name)
{
	struct question *question;

	names_cancel(names, id);
	if (!names->questions && names->dns) {
		evdns_base_free(names->dns, 0);
		names->dns = NULL;
	}
	if (!names->dns)
		names->dns = resolver_new(names);
	question = names->dns ? question_new(names, id) : NULL;
	if (!question)
		return -ENOMEM;
	question_ask(question, name);
	return 0;
}

void names_cancel(struct names *names, unsigned int id)
{
	struct question *question;

	for (question = names->questions; question; question = question->next) {
		if (question->id == id && !question->given_up) {
			question_give_up(question);
			return;
		}
	}
}

/* ---- life ---- */

static void names_destroy(struct names *names)
{
	if (names->dns)
		evdns_base_free(names->dns, 0);
	event_free(names->reaper);
	free(names);
}

static void on_reap(evutil_socket_t fd, short what, void *arg)
{
	names_destroy(arg);
}

struct names *names_new(struct event_base *base, const struct names_options *options, names_fn fn,
			void *arg)
{
	struct names *names = calloc(1, sizeof(*names));

	if (!names)
		return NULL;
	names->reaper = evtimer_new(base, on_reap, names);
	if (!names->reaper) {
		free(names);
		return NULL;
	}
	evdns_set_log_fn(on_log);
	names->base = base;
	names->fn = fn;
	names->arg = arg;
	if (options)
		names->options = *options;
	if (!names->options.resolv_conf)
		names->options.resolv_conf = RESOLV_CONF;
	if (!names->options.hosts)
		names->options.hosts = HOSTS;
	if (!names->options.timeout_ms)
		names->options.timeout_ms = DEFAULT_TIMEOUT_MS;
	if (!names->options.attempts)
		names->options.attempts = DEFAULT_ATTEMPTS;
	if (!names->options.total_ms)
		names->options.total_ms = DEFAULT_TOTAL_MS;
	return names;
}

void names_free(struct names *names)
{
	struct question *question, *next;

	if (!names)
		return;
	names->closing = true;
	for (question = names->questions; question; question = next) {
		next = question->next;
		if (!question->given_up)
			question_give_up(question);
	}
	if (!names->questions)
		names_destroy(names);
}
