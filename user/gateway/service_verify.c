/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The health check of a channel: joined on the pseudo-interface by a socket like any program's,
 * while a packet socket sees what arrives there, on whatever UDP port.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include "base/clock.h"
#include "gateway/arrival.h"
#include "gateway/service_state.h"

#define PATIENCE_NS (3 * NSEC_PER_SEC) /* without a question: whoever asked is gone */
#define READS_MAX   256
#define ROOM	    2048
#define BUFFER	    (1 << 20)

struct verify {
	struct arrival arrival;
	uint64_t started_ns, asked_ns;
	int member, tap;
	struct event *readable;
};

static void verify_free(struct verify *verify)
{
	if (verify->readable)
		event_free(verify->readable);
	if (verify->member >= 0)
		close(verify->member);
	if (verify->tap >= 0)
		close(verify->tap);
	free(verify);
}

/* ---- what arrives ---- */

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct verify *verify = arg;
	uint8_t buf[ROOM];
	unsigned int i;

	for (i = 0; i < READS_MAX; i++) {
		ssize_t len = recv(fd, buf, sizeof(buf), MSG_TRUNC | MSG_DONTWAIT);
		size_t held = len > (ssize_t)sizeof(buf) ? sizeof(buf) : (size_t)len;

		if (len < 0)
			return;
		arrival_datagram(&verify->arrival, clock_now(), buf, held, (size_t)len);
	}
}

/* ---- sockets ---- */

static int open_tap(bool ipv6, uint32_t ifindex)
{
	struct sockaddr_ll at = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ipv6 ? ETH_P_IPV6 : ETH_P_IP),
		.sll_ifindex = (int)ifindex,
	};
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), room = BUFFER;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	if (bind(fd, (struct sockaddr *)&at, sizeof(at))) {
		int error = errno;

		close(fd);
		return -error;
	}
	return fd;
}

static int join(int fd, const struct verify *verify, uint32_t ifindex)
{
	struct amt_sockaddr group = {verify->arrival.group, 0},
			    source = {verify->arrival.source, 0};
	struct group_source_req both = {.gsr_interface = ifindex};
	struct group_req any = {.gr_interface = ifindex};
	int level = addr_is_ipv4(&verify->arrival.group) ? IPPROTO_IP : IPPROTO_IPV6;

	sockaddr_to_native(&group, &any.gr_group);
	sockaddr_to_native(&group, &both.gsr_group);
	sockaddr_to_native(&source, &both.gsr_source);
	if (addr_is_any(&verify->arrival.source)
		    ? setsockopt(fd, level, MCAST_JOIN_GROUP, &any, sizeof(any))
		    : setsockopt(fd, level, MCAST_JOIN_SOURCE_GROUP, &both, sizeof(both)))
		return -errno;
	return 0;
}

/* Never bound: it is a member and receives nothing, so that nothing piles up. */
static int open_member(const struct verify *verify, uint32_t ifindex)
{
	int fd = socket(addr_family(&verify->arrival.group), SOCK_DGRAM | SOCK_CLOEXEC, 0), ret;

	if (fd < 0)
		return -errno;
	ret = join(fd, verify, ifindex);
	if (ret)
		close(fd);
	return ret ? ret : fd;
}

static int verify_open(struct gateway_service *service, struct verify *verify, struct error *err)
{
	struct pseudo_info info;

	pseudo_info(service->pseudo, &info);
	verify->tap = open_tap(!addr_is_ipv4(&verify->arrival.group), info.ifindex);
	if (verify->tap < 0)
		return error_set(err, verify->tap, "cannot watch %s: %s", info.name,
				 strerror(-verify->tap));
	verify->readable =
		event_new(service->base, verify->tap, EV_READ | EV_PERSIST, on_readable, verify);
	if (!verify->readable || event_add(verify->readable, NULL))
		return error_set(err, -ENOMEM, "no memory");
	verify->member = open_member(verify, info.ifindex);
	if (verify->member < 0)
		return error_set(err, verify->member, "cannot join on %s: %s", info.name,
				 strerror(-verify->member));
	return 0;
}

/* ---- asked by control ---- */

static int verify_start(struct gateway_service *service, const struct amt_addr *source,
			const struct amt_addr *group, struct error *err)
{
	struct verify *verify = calloc(1, sizeof(*verify));
	int rc;

	if (!verify)
		return error_set(err, -ENOMEM, "no memory");
	verify->arrival.source = *source;
	verify->arrival.group = *group;
	verify->member = verify->tap = -1;
	verify->started_ns = clock_now();
	rc = verify_open(service, verify, err);
	if (rc)
		verify_free(verify);
	else
		service->verify = verify;
	return rc;
}

int gateway_service_verify(struct gateway_service *service, const struct amt_addr *source,
			   const struct amt_addr *group, struct gateway_verify *out,
			   struct error *err)
{
	struct verify *verify = service->verify;
	int rc;

	if (!gateway_service_running(service) || !service->pseudo)
		return error_set(err, -ENOTCONN,
				 "no uplink is attached: amt-ctl attach IFACE --gateway");
	if (verify && (!addr_equal(&verify->arrival.source, source) ||
		       !addr_equal(&verify->arrival.group, group)))
		return error_set(err, -EBUSY, "another channel is being verified; try again");
	if (!verify) {
		rc = verify_start(service, source, group, err);
		if (rc)
			return rc;
		verify = service->verify;
	}
	verify->asked_ns = clock_now();
	*out = (struct gateway_verify){verify->started_ns, verify->arrival};
	return 0;
}

void gateway_service_verify_end(struct gateway_service *service)
{
	if (service->verify)
		verify_free(service->verify);
	service->verify = NULL;
}

void service_verify_second(struct gateway_service *service)
{
	if (service->verify && clock_now() > service->verify->asked_ns + PATIENCE_NS)
		gateway_service_verify_end(service);
}
