/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "load/options.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include "base/clock.h"
#include "base/option.h"
#include "load/channel.h"

#define ADDRS_MAX 1000000u

static double scale_of(const char *suffix)
{
	if (*suffix == '\0')
		return 1;
	if (suffix[1] == '\0') {
		switch (*suffix) {
		case 'k':
		case 'K':
			return 1e3;
		case 'm':
		case 'M':
			return 1e6;
		case 'g':
		case 'G':
			return 1e9;
		}
	}
	return 0;
}

int option_number(const char *option, const char *text, uint64_t min, uint64_t max, uint64_t *out,
		  struct error *err)
{
	double value, scale;
	char *end;

	value = strtod(text, &end);
	scale = end == text ? 0 : scale_of(end);
	value *= scale;
	if (scale == 0 || !isfinite(value) || value < (double)min || value > (double)max)
		return error_set(err, -EINVAL,
				 "--%s: '%s' is no number from %llu to %llu (k, M, G may follow)",
				 option, text, (unsigned long long)min, (unsigned long long)max);
	*out = (uint64_t)value;
	return 0;
}

int option_seconds(const char *option, const char *text, uint64_t *ns, struct error *err)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !isfinite(value) || value < 0 || value > 1e9)
		return error_set(err, -EINVAL, "--%s: '%s' is no number of seconds", option, text);
	*ns = (uint64_t)(value * (double)NSEC_PER_SEC);
	return 0;
}

int option_addr(const char *option, const char *text, struct addr_list *out, struct error *err)
{
	struct amt_addr addr, *list;

	if (addr_parse(text, &addr))
		return error_set(err, -EINVAL, "--%s: '%s' is no IPv4 or IPv6 address", option,
				 text);
	list = realloc(out->list, (out->n + 1) * sizeof(*list));
	if (!list)
		return error_set(err, -ENOMEM, "no memory");
	out->list = list;
	list[out->n++] = addr;
	return 0;
}

int option_addrs(const char *option, const char *text, struct addr_list out[2], struct error *err)
{
	char copy[AMT_ADDR_STRLEN + 16];
	struct addr_list *family;
	struct amt_addr addr, *list;
	unsigned long count = 0, i;

	if (strlen(text) < sizeof(copy))
		count = addr_take_count(strcpy(copy, text), ADDRS_MAX);
	if (count == 0 || addr_parse(copy, &addr))
		return error_set(err, -EINVAL,
				 "--%s: '%s' is no IPv4 or IPv6 address (xN behind it: N in a row, "
				 "up to %u)",
				 option, text, ADDRS_MAX);
	family = &out[!addr_is_ipv4(&addr)];
	list = realloc(family->list, (family->n + count) * sizeof(*list));
	if (!list)
		return error_set(err, -ENOMEM, "no memory");
	family->list = list;
	for (i = 0; i < count; i++) {
		list[family->n] = addr;
		addr_advance(&list[family->n++], (uint32_t)i);
	}
	return 0;
}

static int wrong(const struct option_table *table, int option, char **argv, struct error *err)
{
	struct error what;

	option_wrong(option, argv, &what);
	return error_set(err, -EINVAL, "%.300s; try 'amt-load %s --help'", what.text,
			 table->command);
}

int options_read(const struct option_table *table, void *to, int argc, char **argv,
		 struct error *err)
{
	int option, ret = 0;

	while (!ret &&
	       (option = getopt_long(argc, argv, table->letters, table->options, NULL)) != -1) {
		if (option == 'h') {
			table->usage(stdout);
			exit(EXIT_SUCCESS);
		}
		ret = table->take(to, option, err);
		if (ret == -ENOTSUP)
			ret = wrong(table, option, argv, err);
	}
	return ret;
}

int option_reference(const char *path, struct reference *out, struct error *err)
{
	struct stat st;
	int fd, ret;
	void *map;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st)) {
		ret = error_set(err, -errno, "%s: %s", path, strerror(errno));
		goto out;
	}
	if (!S_ISREG(st.st_mode) || st.st_size == 0) {
		ret = error_set(err, -EINVAL, "%s: has to be a file with something in it", path);
		goto out;
	}
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		ret = error_set(err, -errno, "%s: %s", path, strerror(errno));
		goto out;
	}
	out->data = map;
	out->len = (size_t)st.st_size;
	ret = 0;
out:
	if (fd >= 0)
		close(fd);
	return ret;
}
