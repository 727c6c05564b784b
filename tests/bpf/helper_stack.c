// SPDX-License-Identifier: GPL-2.0-or-later
/* See helper_stack.h. */
#include "bpf/helper_stack.h"
#include "unit/unit.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <amt/wire.h>
#include "bpf/net.h"

#define PATIENCE_S 20
#define MARK	   "this is a mark"

/* A packet goes from one end to the other on the CPU that sends it, before send() returns or at
 * least before the next one that this CPU sends. */
static void stay_here(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
}

void stack_open(struct stack *stack, const struct shield *shield)
{
	const struct timeval patience = {.tv_sec = PATIENCE_S};

	*stack = (struct stack){.sockets = shield->sockets};
	stay_here();
	net_run("ip link add stack0 address " SHIELD_MAC " type veth peer name far0");
	net_run("sysctl -qw net.ipv6.conf.far0.disable_ipv6=1 net.ipv4.conf.all.rp_filter=0 "
		"net.ipv4.conf.stack0.rp_filter=0");
	net_run("ip link set stack0 up; ip link set far0 up");
	net_run("ip addr add " RELAY4 "/24 dev stack0; ip addr add " DISCOVERY4 "/24 dev stack0; "
		"ip addr add " RELAY6 "/64 dev stack0 nodad");
	net_run("ip route add default dev stack0; ip -6 route add default dev stack0");
	stack->out = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	assert_true(stack->out >= 0);
	stack->ifindex = (int)net_ifindex("far0");
	assert_int_equal(
		setsockopt(stack->sockets[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)),
		0);
}

void stack_close(struct stack *stack)
{
	close(stack->out);
	net_run("ip link del stack0");
}

static void put_in(struct stack *stack, const struct shield_frame *frame)
{
	const struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = stack->ifindex};

	assert_int_equal(sendto(stack->out, frame->octets, frame->length, 0,
				(const struct sockaddr *)&to, sizeof(to)),
			 frame->length);
}

/* Something that surely comes out behind the frame in question. */
static struct stack_datagram put_mark(struct stack *stack)
{
	struct stack_datagram mark = {.length = sizeof(MARK) + sizeof(stack->marks)};
	struct shield_frame frame;

	stack->marks++;
	memcpy(mark.octets, MARK, sizeof(MARK));
	memcpy(mark.octets + sizeof(MARK), &stack->marks, sizeof(stack->marks));
	shield_build(&frame, "203.0.113.77", PORT, RELAY4, mark.octets, mark.length);
	put_in(stack, &frame);
	return mark;
}

static bool take(struct stack *stack, unsigned int socket, int flags, struct stack_datagram *out)
{
	static const char *const address[] = SHIELD_ADDRESSES;
	struct sockaddr_storage peer;
	socklen_t size = sizeof(peer);
	ssize_t length = recvfrom(stack->sockets[socket], out->octets, sizeof(out->octets), flags,
				  (struct sockaddr *)&peer, &size);

	if (length < 0)
		return false;
	out->length = (uint32_t)length;
	out->local = (struct amt_sockaddr){packet_address(address[socket]), htons(AMT_PORT)};
	return !sockaddr_from_native((struct sockaddr *)&peer, &out->peer);
}

static void keep(struct stack *stack, const struct stack_datagram *datagram)
{
	assert_true(stack->ngot < STACK_DATAGRAMS);
	stack->got[stack->ngot++] = *datagram;
}

void stack_deliver(struct stack *stack, const struct shield_frame *frame)
{
	struct stack_datagram mark, datagram;

	stack->ngot = 0;
	put_in(stack, frame);
	mark = put_mark(stack);
	for (;;) {
		assert_true(take(stack, 0, 0, &datagram));
		if (datagram.length == mark.length &&
		    !memcmp(datagram.octets, mark.octets, mark.length))
			break;
		keep(stack, &datagram);
	}
	for (unsigned int i = 1; i < SHIELD_SOCKETS; i++)
		while (take(stack, i, MSG_DONTWAIT, &datagram))
			keep(stack, &datagram);
}
