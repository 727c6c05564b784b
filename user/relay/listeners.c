/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "relay/listeners.h"

#include <inttypes.h>
#include <string.h>

void listeners_parse_igmp(FILE *file, listeners_fn fn, void *arg)
{
	unsigned int ifindex = 0, users;
	struct amt_addr addr;
	uint32_t group; /* printed as a number of this host's byte order */
	char line[256];

	while (fgets(line, sizeof(line), file)) {
		if (line[0] != '\t') {
			if (sscanf(line, "%u", &ifindex) != 1)
				ifindex = 0;
		} else if (ifindex && sscanf(line, " %" SCNx32 " %u", &group, &users) == 2) {
			addr = addr_from_ipv4(&group);
			fn(arg, ifindex, &addr, users);
		}
	}
}

void listeners_parse_igmp6(FILE *file, listeners_fn fn, void *arg)
{
	unsigned int ifindex, users, octet, i;
	struct amt_addr addr;
	char line[256], hex[33];

	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%u %*s %32[0-9a-f] %u", &ifindex, hex, &users) != 3 ||
		    strlen(hex) != 32)
			continue;
		for (i = 0; i < 16 && sscanf(hex + 2 * i, "%2x", &octet) == 1; i++)
			addr.bytes[i] = (uint8_t)octet;
		if (i == 16)
			fn(arg, ifindex, &addr, users);
	}
}

void listeners_read(listeners_fn fn, void *arg)
{
	FILE *file = fopen("/proc/net/igmp", "re");

	if (file) {
		listeners_parse_igmp(file, fn, arg);
		fclose(file);
	}
	file = fopen("/proc/net/igmp6", "re"); /* missing where IPv6 is */
	if (file) {
		listeners_parse_igmp6(file, fn, arg);
		fclose(file);
	}
}
