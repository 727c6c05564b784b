/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t v4_mapped[AMT_ADDR_V4_OFFSET] = {[10] = 0xff, [11] = 0xff};

struct amt_addr addr_from_ipv4(const void *four_octets)
{
	struct amt_addr addr;

	memcpy(addr.bytes, v4_mapped, sizeof(v4_mapped));
	memcpy(addr.bytes + AMT_ADDR_V4_OFFSET, four_octets, 4);
	return addr;
}

struct amt_addr addr_from_ipv6(const void *sixteen_octets)
{
	struct amt_addr addr;

	memcpy(addr.bytes, sixteen_octets, sizeof(addr.bytes));
	return addr;
}

int addr_parse(const char *text, struct amt_addr *addr)
{
	uint8_t raw[16];

	if (inet_pton(AF_INET, text, raw) == 1)
		*addr = addr_from_ipv4(raw);
	else if (inet_pton(AF_INET6, text, raw) == 1)
		*addr = addr_from_ipv6(raw);
	else
		return -EINVAL;
	return 0;
}

const char *addr_print(const struct amt_addr *addr, char *buf)
{
	if (addr_is_any(addr))
		return strcpy(buf, "*");
	if (addr_is_ipv4(addr))
		inet_ntop(AF_INET, addr->bytes + AMT_ADDR_V4_OFFSET, buf, AMT_ADDR_STRLEN);
	else
		inet_ntop(AF_INET6, addr->bytes, buf, AMT_ADDR_STRLEN);
	return buf;
}

bool addr_is_any(const struct amt_addr *addr)
{
	static const struct amt_addr any;

	return addr_equal(addr, &any);
}

bool addr_is_ipv4(const struct amt_addr *addr)
{
	return memcmp(addr->bytes, v4_mapped, sizeof(v4_mapped)) == 0;
}

bool addr_is_multicast(const struct amt_addr *addr)
{
	if (addr_is_ipv4(addr))
		return (addr->bytes[AMT_ADDR_V4_OFFSET] & 0xf0) == 0xe0;
	return addr->bytes[0] == 0xff;
}

bool addr_is_multicast_local(const struct amt_addr *addr)
{
	const uint8_t *v4 = addr->bytes + AMT_ADDR_V4_OFFSET;

	if (addr_is_ipv4(addr))
		return v4[0] == 224 && v4[1] == 0 && v4[2] == 0;
	return addr->bytes[0] == 0xff && (addr->bytes[1] & 0x0f) <= 2;
}

bool addr_is_ssm(const struct amt_addr *addr)
{
	if (addr_is_ipv4(addr))
		return addr->bytes[AMT_ADDR_V4_OFFSET] == 232;
	return addr->bytes[0] == 0xff && (addr->bytes[1] & 0xf0) == 0x30 && addr->bytes[2] == 0 &&
	       addr->bytes[3] == 0;
}

bool addr_is_unicast_source(const struct amt_addr *addr)
{
	static const uint8_t loopback6[16] = {[15] = 1};
	const uint8_t *v4 = addr->bytes + AMT_ADDR_V4_OFFSET;

	if (addr_is_any(addr) || addr_is_multicast(addr))
		return false;
	if (addr_is_ipv4(addr))
		return v4[0] != 0 && v4[0] != 127 && v4[0] < 224;
	return memcmp(addr->bytes, loopback6, sizeof(loopback6)) != 0;
}

bool addr_equal(const struct amt_addr *a, const struct amt_addr *b)
{
	return addr_compare(a, b) == 0;
}

int addr_compare(const struct amt_addr *a, const struct amt_addr *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

int addr_family(const struct amt_addr *addr)
{
	return addr_is_ipv4(addr) ? AF_INET : AF_INET6;
}

bool sockaddr_equal(const struct amt_sockaddr *a, const struct amt_sockaddr *b)
{
	return a->port == b->port && addr_equal(&a->addr, &b->addr);
}

const char *sockaddr_print(const struct amt_sockaddr *sa, char *buf)
{
	char addr[AMT_ADDR_STRLEN];

	snprintf(buf, AMT_SOCKADDR_STRLEN, addr_is_ipv4(&sa->addr) ? "%s:%u" : "[%s]:%u",
		 addr_print(&sa->addr, addr), ntohs(sa->port));
	return buf;
}

socklen_t sockaddr_to_native(const struct amt_sockaddr *sa, struct sockaddr_storage *out)
{
	struct sockaddr_in *in4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;

	memset(out, 0, sizeof(*out));
	if (addr_is_ipv4(&sa->addr)) {
		in4->sin_family = AF_INET;
		in4->sin_port = sa->port;
		memcpy(&in4->sin_addr, sa->addr.bytes + AMT_ADDR_V4_OFFSET, 4);
		return sizeof(*in4);
	}
	in6->sin6_family = AF_INET6;
	in6->sin6_port = sa->port;
	memcpy(&in6->sin6_addr, sa->addr.bytes, 16);
	return sizeof(*in6);
}

int sockaddr_from_native(const struct sockaddr *in, struct amt_sockaddr *sa)
{
	const struct sockaddr_in *in4 = (const struct sockaddr_in *)in;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)in;

	switch (in->sa_family) {
	case AF_INET:
		sa->addr = addr_from_ipv4(&in4->sin_addr);
		sa->port = in4->sin_port;
		return 0;
	case AF_INET6:
		sa->addr = addr_from_ipv6(&in6->sin6_addr);
		sa->port = in6->sin6_port;
		return 0;
	}
	return -EAFNOSUPPORT;
}

/* Clears all bits behind the first `bits`. */
static struct amt_addr addr_masked(const struct amt_addr *addr, unsigned int bits)
{
	struct amt_addr out = *addr;
	unsigned int i;

	for (i = 0; i < sizeof(out.bytes); i++) {
		unsigned int keep = bits > i * 8 ? bits - i * 8 : 0;

		if (keep < 8)
			out.bytes[i] &= (uint8_t)(0xff00 >> keep);
	}
	return out;
}

int prefix_parse(const char *text, struct amt_prefix *prefix)
{
	char addr[AMT_ADDR_STRLEN];
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	unsigned long bits;
	unsigned int max;
	struct amt_addr masked;
	char *end;

	if (len >= sizeof(addr))
		return -EINVAL;
	memcpy(addr, text, len);
	addr[len] = '\0';
	if (addr_parse(addr, &prefix->addr))
		return -EINVAL;
	max = addr_is_ipv4(&prefix->addr) ? 32 : 128;
	bits = max;
	if (slash) {
		if (slash[1] < '0' || slash[1] > '9')
			return -EINVAL;
		bits = strtoul(slash + 1, &end, 10);
		if (*end || bits > max)
			return -EINVAL;
	}
	prefix->bits = (unsigned int)bits + 128 - max;
	masked = addr_masked(&prefix->addr, prefix->bits);
	return addr_equal(&masked, &prefix->addr) ? 0 : -EINVAL;
}

bool prefix_contains(const struct amt_prefix *prefix, const struct amt_addr *addr)
{
	struct amt_addr masked = addr_masked(addr, prefix->bits);

	return addr_equal(&masked, &prefix->addr);
}

const char *prefix_print(const struct amt_prefix *prefix, char *buf)
{
	char addr[AMT_ADDR_STRLEN];
	bool ipv4 = addr_is_ipv4(&prefix->addr) && prefix->bits >= 96;

	if (addr_is_any(&prefix->addr)) /* "::/0"; addr_print would say "*" */
		strcpy(addr, "::");
	else
		addr_print(&prefix->addr, addr);
	snprintf(buf, AMT_PREFIX_STRLEN, "%s/%u", addr, ipv4 ? prefix->bits - 96 : prefix->bits);
	return buf;
}

int prefix_parse_host(const char *text, struct amt_prefix *out)
{
	const char *slash = strchr(text, '/');
	char addr[AMT_ADDR_STRLEN];
	unsigned long bits, most;
	char *end;

	if (!slash)
		slash = text + strlen(text);
	if ((size_t)(slash - text) >= sizeof(addr))
		return -EINVAL;
	memcpy(addr, text, (size_t)(slash - text));
	addr[slash - text] = '\0';
	if (addr_parse(addr, &out->addr) || !addr_is_unicast_source(&out->addr))
		return -EINVAL;
	most = addr_is_ipv4(&out->addr) ? 32 : 128;
	bits = most;
	if (*slash) {
		if (slash[1] < '0' || slash[1] > '9')
			return -EINVAL;
		bits = strtoul(slash + 1, &end, 10);
		if (*end || bits > most || !bits)
			return -EINVAL;
	}
	out->bits = (unsigned int)(bits + 128 - most);
	return 0;
}
