/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests and dumps. The parsers are in rtnl_parse.c. */
#include "datapath/rtnl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <libmnl/libmnl.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#define EVENT_BUFFER (4 * 1024 * 1024)
#define ANSWER_MAX   32768

struct rtnl {
	struct mnl_socket *socket;
	unsigned int seq;
	char answer[ANSWER_MAX];
};

static int open_socket(struct rtnl *rtnl)
{
	/* the kernel answers at once; the time-out only guards against a lost answer */
	struct timeval patience = {.tv_sec = 1};

	rtnl->socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!rtnl->socket || mnl_socket_bind(rtnl->socket, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    setsockopt(mnl_socket_get_fd(rtnl->socket), SOL_SOCKET, SO_RCVTIMEO, &patience,
		       sizeof(patience)) < 0)
		return -errno;
	return 0;
}

int rtnl_open(struct rtnl **out)
{
	struct rtnl *rtnl = calloc(1, sizeof(*rtnl));
	int err;

	if (!rtnl)
		return -ENOMEM;
	err = open_socket(rtnl);
	if (err) {
		rtnl_close(rtnl);
		return err;
	}
	rtnl->seq = (unsigned int)time(NULL);
	*out = rtnl;
	return 0;
}

void rtnl_close(struct rtnl *rtnl)
{
	if (!rtnl)
		return;
	if (rtnl->socket)
		mnl_socket_close(rtnl->socket);
	free(rtnl);
}

int rtnl_subscribe(const unsigned int *groups, unsigned int ngroups)
{
	struct sockaddr_nl local = {.nl_family = AF_NETLINK};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	int room = EVENT_BUFFER, err;
	unsigned int i;

	if (fd < 0)
		return -errno;
	/* without CAP_NET_ADMIN: what net.core.rmem_max grants */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	err = bind(fd, (struct sockaddr *)&local, sizeof(local)) < 0 ? -errno : 0;
	for (i = 0; !err && i < ngroups; i++)
		if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i],
			       sizeof(groups[i])) < 0)
			err = -errno;
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

static int run(struct rtnl *rtnl, struct nlmsghdr *request, mnl_cb_t fn, void *arg)
{
	unsigned int portid;
	ssize_t len;
	int status;

	if (!rtnl->socket)
		return -EBADF;
	portid = mnl_socket_get_portid(rtnl->socket);
	request->nlmsg_flags |= NLM_F_REQUEST;
	request->nlmsg_seq = ++rtnl->seq;
	if (mnl_socket_sendto(rtnl->socket, request, request->nlmsg_len) < 0)
		return -errno;
	do {
		len = mnl_socket_recvfrom(rtnl->socket, rtnl->answer, sizeof(rtnl->answer));
		if (len < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		status = mnl_cb_run(rtnl->answer, (size_t)len, rtnl->seq, portid, fn, arg);
		/* EPROTO: the late answer to a request that was given up */
	} while (status > MNL_CB_STOP || (status < 0 && errno == EPROTO));
	return status < 0 ? -errno : 0;
}

static int take_message(const struct nlmsghdr *message, void *arg)
{
	struct nlmsghdr *copy = arg;

	if (message->nlmsg_len > ANSWER_MAX)
		return MNL_CB_ERROR;
	memcpy(copy, message, message->nlmsg_len);
	return MNL_CB_STOP;
}

/* Puts an address as its family has it. */
static void put_addr(struct nlmsghdr *message, uint16_t type, const struct amt_addr *addr)
{
	if (addr_is_ipv4(addr))
		mnl_attr_put(message, type, 4, addr->bytes + AMT_ADDR_V4_OFFSET);
	else
		mnl_attr_put(message, type, 16, addr->bytes);
}

static struct nlmsghdr *request_of(char *buf, uint16_t type, size_t extra, void **header)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(buf);

	message->nlmsg_type = type;
	*header = mnl_nlmsg_put_extra_header(message, extra);
	return message;
}

static int route_request(struct rtnl *rtnl, const struct amt_addr *dst, const struct amt_addr *src,
			 struct rtnl_route *out)
{
	char buf[256], answer[ANSWER_MAX] __attribute__((aligned(NLMSG_ALIGNTO)));
	uint8_t bits = addr_is_ipv4(dst) ? 32 : 128;
	struct nlmsghdr *message;
	struct rtmsg *route;
	void *header;
	int err;

	message = request_of(buf, RTM_GETROUTE, sizeof(*route), &header);
	route = header;
	route->rtm_family = (uint8_t)addr_family(dst);
	route->rtm_dst_len = bits;
	put_addr(message, RTA_DST, dst);
	if (src) {
		route->rtm_src_len = bits;
		put_addr(message, RTA_SRC, src);
	}
	err = run(rtnl, message, take_message, answer);
	if (err)
		return err;
	return rtnl_parse_route((struct nlmsghdr *)answer, out) ? 0 : -EBADMSG;
}

static bool is_local(struct rtnl *rtnl, const struct amt_addr *addr)
{
	struct rtnl_route route;

	return route_request(rtnl, addr, NULL, &route) == 0 && route.type == RTN_LOCAL;
}

int rtnl_route_get(struct rtnl *rtnl, const struct amt_addr *dst, const struct amt_addr *src,
		   struct rtnl_route *out)
{
	bool with_source = src && !addr_is_any(src) && addr_is_ipv4(src) == addr_is_ipv4(dst);
	int err = route_request(rtnl, dst, with_source ? src : NULL, out);

	/* IPv4 refuses a source that is not (or no longer, or not yet) an address of this host;
	 * copies are sent from it all the same */
	if (err && with_source && !is_local(rtnl, src))
		err = route_request(rtnl, dst, NULL, out);
	return err;
}

static struct nlmsghdr *neigh_request(char *buf, uint16_t type, uint32_t ifindex,
				      const struct amt_addr *addr, struct ndmsg **neigh)
{
	void *header;
	struct nlmsghdr *message = request_of(buf, type, sizeof(**neigh), &header);

	*neigh = header;
	(*neigh)->ndm_family = (uint8_t)addr_family(addr);
	(*neigh)->ndm_ifindex = (int)ifindex;
	put_addr(message, NDA_DST, addr);
	return message;
}

int rtnl_neigh_get(struct rtnl *rtnl, uint32_t ifindex, const struct amt_addr *addr,
		   struct rtnl_neigh *out)
{
	char buf[256], answer[ANSWER_MAX] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct ndmsg *neigh;
	struct nlmsghdr *message = neigh_request(buf, RTM_GETNEIGH, ifindex, addr, &neigh);
	int err = run(rtnl, message, take_message, answer);

	if (err)
		return err;
	return rtnl_parse_neigh((struct nlmsghdr *)answer, out) ? 0 : -EBADMSG;
}

int rtnl_neigh_use(struct rtnl *rtnl, uint32_t ifindex, const struct amt_addr *addr)
{
	char buf[256];
	struct ndmsg *neigh;
	struct nlmsghdr *message = neigh_request(buf, RTM_NEWNEIGH, ifindex, addr, &neigh);

	message->nlmsg_flags = NLM_F_CREATE | NLM_F_ACK;
	neigh->ndm_flags = NTF_USE;
	return run(rtnl, message, NULL, NULL);
}

struct receiver {
	rtnl_message_fn fn;
	void *arg;
};

static int hand_on(const struct nlmsghdr *message, void *arg)
{
	const struct receiver *receiver = arg;

	if (receiver->fn)
		receiver->fn(receiver->arg, message);
	return MNL_CB_OK;
}

int rtnl_request(struct rtnl *rtnl, struct nlmsghdr *request, rtnl_message_fn fn, void *arg)
{
	struct receiver receiver = {.fn = fn, .arg = arg};

	return run(rtnl, request, hand_on, &receiver);
}

int rtnl_dump(struct rtnl *rtnl, uint16_t type, rtnl_message_fn fn, void *arg)
{
	struct receiver receiver = {.fn = fn, .arg = arg};
	char buf[256];
	void *header;
	struct nlmsghdr *message;
	int err, reopened;

	/* both headers begin with the family; the kernel wants the type's own one */
	message = request_of(buf, type,
			     type == RTM_GETLINK ? sizeof(struct ifinfomsg) : sizeof(struct ndmsg),
			     &header);
	message->nlmsg_flags = NLM_F_DUMP;
	err = run(rtnl, message, hand_on, &receiver);
	if (err != -EINTR)
		return err;
	/* the rest of the dump would keep the socket busy */
	mnl_socket_close(rtnl->socket);
	reopened = open_socket(rtnl);
	return reopened ? reopened : err;
}
