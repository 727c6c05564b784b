/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "load/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include "base/clock.h"

#define IDLE_NS (3 * NSEC_PER_SEC) /* where the end is that of the streams */

int watch_take(struct watch_options *o, int option, struct error *err)
{
	switch (option) {
	case 'd':
		return option_seconds("duration", optarg, &o->duration_ns, err);
	case 'f':
		o->rules.complete = true;
		return 0;
	case 'E':
		return option_number("expect", optarg, 1, 1e15, &o->rules.expect, err);
	case 'i':
		return option_seconds("idle", optarg, &o->idle_ns, err);
	case 'C':
		return option_reference(optarg, &o->reference, err);
	case 'O':
		o->output = optarg;
		return 0;
	case WATCH_IN_ORDER:
		o->in_order = true;
		return 0;
	case 'l':
		o->list = true;
		return 0;
	case 'j':
		o->json = true;
		return 0;
	case WATCH_READY:
		o->ready = optarg;
		return 0;
	}
	return -ENOTSUP;
}

void watch_settle(struct watch_options *o)
{
	if (o->idle_ns == 0 && watch_ends_complete(o))
		o->idle_ns = IDLE_NS;
}

void watch_free(struct watch_options *o)
{
	if (o->reference.data)
		munmap((void *)o->reference.data, o->reference.len);
}

bool watch_ends_complete(const struct watch_options *o)
{
	return o->rules.complete || o->rules.expect;
}

static int create(const char *path, int *fd, struct error *err)
{
	*fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	return *fd < 0 ? error_set(err, -errno, "%s: %s", path, strerror(errno)) : 0;
}

int watch_open_output(const struct watch_options *o, int *fd, struct error *err)
{
	return o->output ? create(o->output, fd, err) : 0;
}

int watch_tell_ready(const struct watch_options *o, struct error *err)
{
	int fd, ret;

	if (!o->ready)
		return 0;
	ret = create(o->ready, &fd, err);
	if (!ret)
		close(fd);
	return ret;
}

int watch_report(const struct watch_options *o, struct summary *summary,
		 const struct summary_entry *entries, unsigned int n)
{
	int ret;

	summary->in_order = o->in_order;
	summary->compare = o->reference.data != NULL;
	ret = summary_make(summary, entries, n);
	if (ret)
		return ret;
	if (o->json)
		summary_print_json(summary, o->list ? entries : NULL, n);
	else if (o->list)
		summary_print_entries(entries, n);
	if (!o->json)
		summary_print(summary);
	return summary_good(summary) ? EXIT_SUCCESS : EXIT_FAILURE;
}
