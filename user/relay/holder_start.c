/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The listening socket is made here and handed down, so a connection can be made at once: it waits
 * in the backlog until the new process has started.
 */
#include "relay/holder_start.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include "relay/holder.h"

#define TAKE_PATIENCE 5000 /* ms */

static int holder_address(const char *instance, struct sockaddr_un *out)
{
	int len;

	memset(out, 0, sizeof(*out));
	out->sun_family = AF_UNIX;
	len = snprintf(out->sun_path, sizeof(out->sun_path), HOLDER_PATH, instance);
	return len < (int)sizeof(out->sun_path) ? 0 : -ENAMETOOLONG;
}

int holder_connect(const char *instance)
{
	struct sockaddr_un address;
	int fd, err = holder_address(instance, &address);

	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

static int listen_socket(const char *instance, struct error *err)
{
	struct sockaddr_un address;
	int fd, code = holder_address(instance, &address);
	mode_t mask;

	if (code)
		return error_set(err, code, "instance name %s is too long", instance);
	if (mkdir(HOLDER_FOLDER, 0755) && errno != EEXIST)
		return error_set(err, -errno, "cannot make %s: %s", HOLDER_FOLDER, strerror(errno));
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_set(err, -errno, "cannot make a unix socket: %s", strerror(errno));
	unlink(address.sun_path);
	mask = umask(0177); /* root only, from the first moment */
	code = bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 64) ? -errno
											: 0;
	umask(mask);
	if (code) {
		close(fd);
		return error_set(err, code, "cannot listen on %s: %s", address.sun_path,
				 strerror(-code));
	}
	return fd;
}

/* By name: under a tool that runs amtd, such as valgrind, the link itself is the tool. Where the
 * file was replaced (an upgrade), the name leads nowhere, and the link to what runs here. */
static void exec_self(char **argv)
{
	static const char self[] = "/proc/self/exe";
	char path[PATH_MAX];
	ssize_t len = readlink(self, path, sizeof(path) - 1);

	if (len > 0) {
		path[len] = 0;
		execv(path, argv);
	}
	execv(self, argv);
}

/* In the child: nothing of amtd's is kept but the listening socket. */
static void become_holder(const char *instance, int listening)
{
	char name[] = "amt-upstream", argument[] = HOLDER_ARGUMENT;
	char *argv[] = {name, argument, (char *)instance, NULL};
	int null = open("/dev/null", O_RDWR);

	if (setsid() < 0 || null < 0)
		_exit(1);
	listening = fcntl(listening, F_DUPFD, 16); /* out of the way of what dup2 replaces */
	if (listening < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0 ||
	    dup2(listening, HOLDER_FD) < 0 || close_range(HOLDER_FD + 1, ~0u, 0))
		_exit(1);
	switch (fork()) { /* not a session leader any more, and init's child */
	case -1:
		_exit(1);
	case 0:
		exec_self(argv);
		_exit(1);
	}
	_exit(0);
}

int holder_start(const char *instance, struct error *err)
{
	int status = 0, fd, listening = listen_socket(instance, err);
	pid_t pid;

	if (listening < 0)
		return listening;
	pid = fork();
	if (pid == 0)
		become_holder(instance, listening);
	if (pid < 0)
		error_set(err, -errno, "cannot start the upstream holder: %s", strerror(errno));
	close(listening);
	if (pid < 0)
		return -EAGAIN;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		return error_set(err, -ECHILD, "cannot start the upstream holder");
	fd = holder_connect(instance);
	if (fd < 0)
		return error_set(err, fd, "cannot reach the upstream holder: %s", strerror(-fd));
	return fd;
}

/* The answer may come after what the holder had to say to the connection before. */
static bool receive_taken(int fd, struct descriptors *out)
{
	struct pollfd readable = {.fd = fd, .events = POLLIN};
	struct holder_record record;

	while (poll(&readable, 1, TAKE_PATIENCE) > 0) {
		if (descriptors_receive(fd, &record, sizeof(record), out, 0) != sizeof(record))
			return false;
		if (record.type == HOLDER_TAKE)
			return record.netns == holder_netns();
	}
	return false;
}

void holder_take(const char *instance, struct descriptors *out)
{
	const struct holder_record record = {.version = HOLDER_VERSION, .type = HOLDER_TAKE};
	int fd = holder_connect(instance);

	out->n = 0;
	if (fd < 0)
		return;
	if (send(fd, &record, sizeof(record), MSG_NOSIGNAL) != sizeof(record) ||
	    !receive_taken(fd, out))
		descriptors_close(out);
	close(fd);
}
