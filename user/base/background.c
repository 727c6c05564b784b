/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/background.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <sys/types.h>

static void wait_and_exit(int fd)
{
	char byte;
	ssize_t n;

	do
		n = read(fd, &byte, 1);
	while (n < 0 && errno == EINTR);
	_exit(n == 1 ? 0 : 1);
}

int background_start(void)
{
	int fds[2], ret;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	pid = fork();
	if (pid < 0) {
		ret = -errno;
		close(fds[0]);
		close(fds[1]);
		return ret;
	}
	close(fds[pid ? 1 : 0]);
	if (pid)
		wait_and_exit(fds[0]);
	setsid();
	return fds[1];
}

void background_ready(int fd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), i;

	for (i = 0; null >= 0 && i < 3; i++)
		dup2(null, i);
	(void)!chdir("/"); /* holds no file system that may be unmounted */
	if (null > 2)
		close(null);
	(void)!write(fd, "", 1);
	close(fd);
}
