/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bpf/helper_stream.h"

#include "unit/unit.h"

#include <linux/if_packet.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>
#include "bpf/helper_packet.h"
#include "bpf/net.h"

static void *send_all(void *arg)
{
	struct stream *stream = arg;
	struct packet_spec spec = {.payload = stream->payload};
	struct packet packet;
	cpu_set_t cpu;

	CPU_ZERO(&cpu);
	CPU_SET(0, &cpu); /* a sender that changes CPUs reorders by itself */
	pthread_setaffinity_np(pthread_self(), sizeof(cpu), &cpu);
	while (!stream->stop && stream->sent < stream->most) {
		spec.sequence = stream->sent;
		spec.group = stream->groups[stream->groups[1] ? stream->sent % 2 : 0];
		packet_build(&packet, &spec);
		send(stream->fd, packet.frame, packet.length, 0);
		stream->sent++;
		usleep(stream->period_us);
	}
	return NULL;
}

void stream_start(struct stream *stream, unsigned int period_us)
{
	const struct sockaddr_ll at = {.sll_family = AF_PACKET,
				       .sll_ifindex = (int)net_ifindex(stream->interface)};

	stream->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	assert_true(stream->fd >= 0);
	assert_int_equal(bind(stream->fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	stream->period_us = period_us;
	stream->stop = false;
	stream->sent = 0;
	assert_int_equal(pthread_create(&stream->thread, NULL, send_all, stream), 0);
}

void stream_stop(struct stream *stream)
{
	stream->stop = true;
	pthread_join(stream->thread, NULL);
	close(stream->fd);
}
