/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Asks drivers and kernel what they can do; see device.h. Called by attach.c. */
#include "datapath/device.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "datapath/link_request.h"

/* command: the kernel's structure for one of ETHTOOL_*, which it completes. */
static bool ethtool(const char *name, void *command)
{
	struct ifreq request = {.ifr_data = command};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool known;

	if (fd < 0)
		return false;
	strncpy(request.ifr_name, name, IFNAMSIZ - 1);
	known = !ioctl(fd, SIOCETHTOOL, &request);
	close(fd);
	return known;
}

uint32_t device_ring(const char *name)
{
	struct ethtool_ringparam ring = {.cmd = ETHTOOL_GRINGPARAM};

	return ethtool(name, &ring) && ring.tx_pending ? ring.tx_pending : DEVICE_RING_ASSUMED;
}

uint32_t device_queues(const char *name)
{
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};

	return ethtool(name, &channels) ? channels.combined_count + channels.tx_count : 0;
}

enum device_xmit device_xdp_xmit(uint32_t ifindex)
{
	uint64_t features;

	if (link_xdp_features(ifindex, &features))
		return DEVICE_XMIT_UNKNOWN;
	return features & LINK_XDP_NDO_XMIT ? DEVICE_XMIT_YES : DEVICE_XMIT_NO;
}

int device_mac(const char *name, uint8_t mac[6])
{
	struct ifreq request = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), ret;

	if (fd < 0)
		return -errno;
	strncpy(request.ifr_name, name, IFNAMSIZ - 1);
	ret = ioctl(fd, SIOCGIFHWADDR, &request) ? -errno : 0;
	close(fd);
	memcpy(mac, request.ifr_hwaddr.sa_data, 6);
	return ret;
}

uint32_t device_netns(void)
{
	struct stat here;

	return stat("/proc/self/ns/net", &here) ? 0 : (uint32_t)here.st_ino;
}

bool device_kernel_is_rt(void)
{
	struct utsname uts;
	FILE *file = fopen("/sys/kernel/realtime", "re");
	char flag = '0';

	if (file) {
		if (fread(&flag, 1, 1, file) != 1)
			flag = '0';
		fclose(file);
	}
	return flag == '1' || (!uname(&uts) && strstr(uts.version, "PREEMPT_RT"));
}
