/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Log lines for people: to standard error, with syslog priorities in front where systemd reads
 * them (JOURNAL_STREAM set), or to syslog. An error is logged once, by the place that knows most of
 * it.
 */
#ifndef AMT_BASE_LOG_H
#define AMT_BASE_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Messages above the level are dropped. Default: info. */
void log_set_level(enum log_level level);
/* What stands in front of each line, usually the program's name; kept by reference. */
void log_set_name(const char *name);
/* For a daemon that has no standard error any more. */
void log_to_syslog(void);

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
