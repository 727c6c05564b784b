/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdbool.h>
#include <stdlib.h>
#include <syslog.h>

static enum log_level max_level = LOG_LEVEL_INFO;
static const char *program = "amt";
static bool to_syslog;

void log_set_level(enum log_level level)
{
	max_level = level;
}

void log_set_name(const char *name)
{
	program = name;
}

void log_to_syslog(void)
{
	openlog(program, LOG_PID, LOG_DAEMON);
	to_syslog = true;
}

static void log_line(enum log_level level, const char *format, va_list args)
{
	static const int priority[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};
	static const char *const word[] = {"error: ", "warning: ", "", "debug: "};
	char text[1024];

	if (level > max_level)
		return;
	vsnprintf(text, sizeof(text), format, args);
	if (to_syslog)
		syslog(priority[level], "%s", text);
	else if (getenv("JOURNAL_STREAM"))
		fprintf(stderr, "<%d>%s\n", priority[level], text);
	else
		fprintf(stderr, "%s: %s%s\n", program, word[level], text);
}

#define LOG_FUNCTION(name, level)              \
	void name(const char *format, ...)     \
	{                                      \
		va_list args;                  \
                                               \
		va_start(args, format);        \
		log_line(level, format, args); \
		va_end(args);                  \
	}

LOG_FUNCTION(log_error, LOG_LEVEL_ERROR)
LOG_FUNCTION(log_warning, LOG_LEVEL_WARNING)
LOG_FUNCTION(log_info, LOG_LEVEL_INFO)
LOG_FUNCTION(log_debug, LOG_LEVEL_DEBUG)
