/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/check.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include "base/config_value.h"
#include "gateway/service.h"

int check_interface(const char *text, struct error *err)
{
	if (config_is_interface(text))
		return 0;
	return error_set(err, -EINVAL,
			 "'%.64s' is no interface; write a name of 1 to %d characters, as ip link "
			 "shows it",
			 text, IFNAMSIZ - 1);
}

const char *mode_name(enum datapath_mode mode)
{
	static const char *const name[] = {
		[DATAPATH_MODE_AUTO] = "auto",
		[DATAPATH_MODE_XDP] = "xdp",
		[DATAPATH_MODE_TC] = "tc",
	};

	return name[mode];
}

int check_mode(const char *text, enum datapath_mode *mode, struct error *err)
{
	for (*mode = DATAPATH_MODE_AUTO; *mode <= DATAPATH_MODE_TC; (*mode)++)
		if (strcmp(text, mode_name(*mode)) == 0)
			return 0;
	return error_set(err, -EINVAL, "mode '%.64s' is none of auto, xdp, tc", text);
}

int check_relay(const char *text, struct error *err)
{
	if (config_is_relay(text))
		return 0;
	return error_set(err, -EINVAL,
			 "'%.64s' is no relay: write a unicast address, a DNS name, or anycast",
			 text);
}

int check_address(const char *text, struct amt_addr *addr, struct error *err)
{
	if (addr_parse(text, addr) == 0)
		return 0;
	return error_set(err, -EINVAL,
			 "'%.64s' is no address; write one such as 192.0.2.1 or 2001:db8::1", text);
}

int check_group(const char *text, struct amt_addr *group, struct error *err)
{
	int ret = check_address(text, group, err);

	if (ret)
		return ret;
	if (addr_is_multicast(group) && !addr_is_multicast_local(group))
		return 0;
	return error_set(err, -EINVAL,
			 "'%.64s' is no group that can be routed; write one such as 232.1.1.1 or "
			 "ff3e::8000:1",
			 text);
}

int check_source(const char *text, const struct amt_addr *group, struct amt_addr *source,
		 struct error *err)
{
	int ret = check_address(text, source, err);

	if (ret)
		return ret;
	if (addr_is_unicast_source(source) && addr_is_ipv4(source) == addr_is_ipv4(group))
		return 0;
	return error_set(err, -EINVAL,
			 "'%.64s' can be no source of this group; write a unicast address of the "
			 "group's family",
			 text);
}

int check_roles(bool gateway, bool relay_side, unsigned int nrelays, struct error *err)
{
	if (gateway && relay_side)
		return error_set(err, -EINVAL,
				 "upstream and uplink are roles of a relay's interface; gateway is "
				 "another");
	if (!gateway && nrelays)
		return error_set(err, -EINVAL, "relays are named for a gateway: attach --gateway");
	if (nrelays > GATEWAY_SERVICE_RELAYS)
		return error_set(err, -EINVAL, "%u relays are too many; name %d at most", nrelays,
				 GATEWAY_SERVICE_RELAYS);
	return 0;
}
