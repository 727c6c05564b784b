/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Records over a unix socket that carry open file descriptors (SCM_RIGHTS). */
#ifndef AMT_BASE_DESCRIPTORS_H
#define AMT_BASE_DESCRIPTORS_H

#include <stddef.h>
#include <sys/types.h>

#define DESCRIPTORS_MAX 253 /* with one record: the kernel's own bound */

struct descriptors {
	int fd[DESCRIPTORS_MAX];
	unsigned int n;
};

/* As send(2); what was sent stays open here as well. */
ssize_t descriptors_send(int socket, const void *buf, size_t len, const struct descriptors *with,
			 int flags);
/* As recv(2); the descriptors that came are the caller's, closed on exec. */
ssize_t descriptors_receive(int socket, void *buf, size_t len, struct descriptors *got, int flags);
void descriptors_close(struct descriptors *all);

#endif
