/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is wrong with an option of a command line, in the same words for all programs. */
#ifndef AMT_BASE_OPTION_H
#define AMT_BASE_OPTION_H

#include "base/error.h"

/* After getopt_long() has returned '?' or ':', with opterr 0, letters that begin with ':' (perhaps
 * behind '+') and 256 or more for options without a letter. Returns -EINVAL. */
int option_wrong(int option, char **argv, struct error *err);

#endif
