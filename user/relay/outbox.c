/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "relay/outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include "base/counters.h"

#define OUTBOX_MESSAGES 64
#define OUTBOX_OCTETS	131072 /* room for two of the longest payloads */

struct envelope {
	struct sockaddr_storage peer;
	struct iovec iov;
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
};

struct outbox {
	int fd;
	unsigned int n;
	size_t used;
	struct mmsghdr message[OUTBOX_MESSAGES];
	struct envelope envelope[OUTBOX_MESSAGES];
	uint8_t octets[OUTBOX_OCTETS];
};

struct outbox *outbox_new(void)
{
	return calloc(1, sizeof(struct outbox));
}

void outbox_free(struct outbox *outbox)
{
	free(outbox);
}

bool outbox_is_empty(const struct outbox *outbox)
{
	return outbox->n == 0;
}

/* TOS or traffic class of this one message. */
static void write_class(struct msghdr *msg, struct envelope *envelope, bool ipv4, uint8_t tos)
{
	int value = tos;
	struct cmsghdr *cmsg;

	msg->msg_control = envelope->control;
	msg->msg_controllen = sizeof(envelope->control);
	cmsg = CMSG_FIRSTHDR(msg);
	cmsg->cmsg_level = ipv4 ? IPPROTO_IP : IPPROTO_IPV6;
	cmsg->cmsg_type = ipv4 ? IP_TOS : IPV6_TCLASS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(value));
	memcpy(CMSG_DATA(cmsg), &value, sizeof(value));
}

void outbox_put(struct outbox *outbox, int fd, const struct amt_sockaddr *peer, uint8_t tos,
		const void *buf, size_t len)
{
	struct envelope *envelope;
	struct msghdr *msg;

	if (len > OUTBOX_OCTETS) {
		counter_add(AMT_COUNT_SEND_FAILED, 1);
		return;
	}
	if (outbox->n && (outbox->fd != fd || outbox->n == OUTBOX_MESSAGES ||
			  outbox->used + len > OUTBOX_OCTETS))
		outbox_flush(outbox);
	outbox->fd = fd;
	envelope = &outbox->envelope[outbox->n];
	envelope->iov = (struct iovec){outbox->octets + outbox->used, len};
	memcpy(envelope->iov.iov_base, buf, len);
	outbox->used += len;
	msg = &outbox->message[outbox->n++].msg_hdr;
	*msg = (struct msghdr){
		.msg_name = &envelope->peer,
		.msg_namelen = sockaddr_to_native(peer, &envelope->peer),
		.msg_iov = &envelope->iov,
		.msg_iovlen = 1,
	};
	write_class(msg, envelope, addr_is_ipv4(&peer->addr), tos);
}

void outbox_flush(struct outbox *outbox)
{
	unsigned int done = 0;

	while (done < outbox->n) {
		int sent = sendmmsg(outbox->fd, &outbox->message[done], outbox->n - done,
				    MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent > 0) {
			done += (unsigned int)sent;
			continue;
		}
		if (errno == EINTR)
			continue;
		/* No room: none of the rest would go. Else it is about this one's peer. */
		if (errno == EAGAIN || errno == ENOBUFS) {
			counter_add(AMT_COUNT_SEND_FAILED, outbox->n - done);
			break;
		}
		counter_add(AMT_COUNT_SEND_FAILED, 1);
		done++;
	}
	outbox->n = 0;
	outbox->used = 0;
}
