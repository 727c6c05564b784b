/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit/unit.h"
#include "bpf/net.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <net/if.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static pid_t peer = -1;
static int own_namespace = -1;

static pid_t hold_namespace(void)
{
	int ready[2];
	char octet;
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC))
		return -1;
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET) || write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	if (pid > 0 && read(ready[0], &octet, 1) != 1)
		pid = -1;
	close(ready[0]);
	return pid;
}

bool net_enter(void)
{
	if (unshare(CLONE_NEWNET))
		return false;
	own_namespace = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	peer = hold_namespace();
	if (peer < 0 || own_namespace < 0)
		return false;
	net_run("ip link set lo up");
	net_peer("ip link set lo up");
	return true;
}

void net_leave(void)
{
	if (peer > 0) {
		kill(peer, SIGKILL);
		waitpid(peer, NULL, 0);
	}
	peer = -1;
	if (own_namespace >= 0)
		close(own_namespace);
	own_namespace = -1;
}

static void shell(const char *prefix, const char *format, va_list args)
{
	char command[1024];
	int len = snprintf(command, sizeof(command), "%s", prefix);

	vsnprintf(command + len, sizeof(command) - (size_t)len, format, args);
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

void net_run(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	shell("", format, args);
	va_end(args);
}

void net_peer(const char *format, ...)
{
	char prefix[64];
	va_list args;

	snprintf(prefix, sizeof(prefix), "nsenter -t %d -n ", (int)peer);
	va_start(args, format);
	shell(prefix, format, args);
	va_end(args);
}

int net_peer_pid(void)
{
	return peer;
}

void net_peer_enter(void)
{
	char path[64];
	int there;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)peer);
	there = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(there >= 0);
	assert_int_equal(setns(there, CLONE_NEWNET), 0);
	close(there);
}

void net_peer_leave(void)
{
	assert_int_equal(setns(own_namespace, CLONE_NEWNET), 0);
}

int net_peer_socket(int domain, int type, int protocol)
{
	int fd;

	net_peer_enter();
	fd = socket(domain, type | SOCK_CLOEXEC, protocol);
	net_peer_leave();
	assert_true(fd >= 0);
	return fd;
}

void net_veth(const char *name, const char *other)
{
	net_run("ip link add %s type veth peer name %s netns %d", name, other, (int)peer);
	net_run("sysctl -qw net.ipv6.conf.%s.accept_dad=0", name);
	net_peer("sysctl -qw net.ipv6.conf.%s.accept_dad=0", other);
	net_run("ip link set %s up", name);
	net_peer("ip link set %s up", other);
}

uint32_t net_ifindex(const char *name)
{
	return if_nametoindex(name);
}

struct amt_addr net_addr(const char *text)
{
	struct amt_addr out;

	assert_int_equal(addr_parse(text, &out), 0);
	return out;
}
