/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/descriptors.h"

#include <string.h>
#include <unistd.h>
#include <sys/socket.h>

union control {
	struct cmsghdr header;
	char octets[CMSG_SPACE(sizeof(int) * DESCRIPTORS_MAX)];
};

ssize_t descriptors_send(int socket, const void *buf, size_t len, const struct descriptors *with,
			 int flags)
{
	const size_t size = with->n * sizeof(with->fd[0]);
	struct iovec iov = {.iov_base = (void *)buf, .iov_len = len};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	union control control = {0};

	if (with->n) {
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(size);
		memcpy(CMSG_DATA(&control.header), with->fd, size);
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(size);
	}
	return sendmsg(socket, &message, flags);
}

ssize_t descriptors_receive(int socket, void *buf, size_t len, struct descriptors *got, int flags)
{
	struct iovec iov = {.iov_base = buf, .iov_len = len};
	union control control;
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t received = recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);
	const struct cmsghdr *header;

	got->n = 0;
	if (received < 0)
		return received;
	header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
		got->n = (unsigned int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(got->fd[0]));
		memcpy(got->fd, CMSG_DATA(header), got->n * sizeof(got->fd[0]));
	}
	return received;
}

void descriptors_close(struct descriptors *all)
{
	while (all->n)
		close(all->fd[--all->n]);
}
