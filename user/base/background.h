/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Going into the background only after start-up has succeeded: the process that was called waits
 * and exits with what the daemon says, so that a script that called it knows.
 */
#ifndef AMT_BASE_BACKGROUND_H
#define AMT_BASE_BACKGROUND_H

/* Returns in the daemon-to-be, with what background_ready() takes, or a negative errno. The caller
 * never returns from it: it exits 0 after background_ready(), 1 when the daemon has ended. */
int background_start(void);
/* Lets the caller go; from now on the daemon has no terminal. */
void background_ready(int fd);

#endif
