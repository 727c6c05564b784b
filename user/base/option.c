/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/option.h"

#include <errno.h>
#include <getopt.h>

int option_wrong(int option, char **argv, struct error *err)
{
	const char *argument = argv[optind - 1];

	if (option == ':')
		return error_set(err, -EINVAL, "%s wants a value", argument);
	/* a letter may stand among others: its argument is not done with */
	if (optopt > 0 && optopt < 256)
		return error_set(err, -EINVAL, "there is no option '-%c' here", optopt);
	return error_set(err, -EINVAL, "there is no option '%s' here", argument);
}
