/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit/unit.h"
#include "unit/bytes.h"

#include <stdlib.h>
#include <string.h>
#include "base/checksum.h"

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

size_t unhex(const char *hex, uint8_t *buf, size_t size)
{
	size_t len = 0;

	for (; hex && *hex; hex++) {
		if (*hex == ' ')
			continue;
		assert_true(digit(hex[0]) >= 0 && digit(hex[1]) >= 0);
		assert_true(len < size);
		buf[len++] = (uint8_t)(digit(hex[0]) << 4 | digit(hex[1]));
		hex++;
	}
	return len;
}

void assert_hex(const uint8_t *bytes, size_t len, const char *hex)
{
	uint8_t expected[2048];

	assert_int_equal(len, unhex(hex, expected, sizeof(expected)));
	assert_memory_equal(bytes, expected, len);
}

struct exact exact_copy(const uint8_t *bytes, size_t len)
{
	size_t before = len ? 0 : 1; /* malloc(0) would give an octet that may be read */
	struct exact exact = {.base = malloc(before + len)};

	assert_non_null(exact.base);
	exact.data = exact.base + before;
	if (len)
		memcpy(exact.data, bytes, len);
	return exact;
}

void free_exact(struct exact *exact)
{
	free(exact->base);
	exact->base = exact->data = NULL;
}

struct amt_addr address(const char *text)
{
	struct amt_addr out;

	assert_int_equal(addr_parse(text, &out), 0);
	return out;
}

static void put_checksum(uint8_t *at, uint32_t sum)
{
	__be16 value = checksum_finish(sum);

	memcpy(at, &value, sizeof(value));
}

size_t build_ipv4(const struct test_ip *ip, uint8_t *buf, size_t size)
{
	struct amt_addr source = address(ip->source ? ip->source : "0.0.0.0");
	size_t header, len;

	assert_true(size >= 60);
	memset(buf, 0, 20);
	header = 20 + unhex(ip->options, buf + 20, 40);
	assert_int_equal(header % 4, 0);
	len = unhex(ip->message, buf + header, size - header);
	if (len >= 4)
		put_checksum(buf + header + 2, checksum_add(0, buf + header, len));
	buf[0] = (uint8_t)(0x40 | header / 4);
	buf[2] = (uint8_t)((header + len) >> 8);
	buf[3] = (uint8_t)(header + len);
	buf[6] = (uint8_t)(ip->fragment >> 8);
	buf[7] = (uint8_t)ip->fragment;
	buf[8] = ip->ttl ? ip->ttl : 1;
	buf[9] = ip->protocol ? ip->protocol : 2;
	memcpy(buf + 12, source.bytes + 12, 4);
	memcpy(buf + 16, "\xe0\x00\x00\x16", 4);
	put_checksum(buf + 10, checksum_add(0, buf, header));
	return header + len;
}

size_t build_ipv6(const struct test_ip *ip, uint8_t *buf, size_t size)
{
	struct amt_addr source = address(ip->source ? ip->source : "::");
	struct amt_addr to = address("ff02::16");
	size_t extension, len;
	uint8_t *message;

	assert_true(size >= 40);
	memset(buf, 0, 40);
	extension = unhex(ip->options, buf + 40, size - 40);
	message = buf + 40 + extension;
	len = unhex(ip->message, message, size - 40 - extension);
	if (len >= 4)
		put_checksum(message + 2,
			     checksum_add(checksum_add_pseudo(0, &source, &to, 58, (uint32_t)len),
					  message, len));
	buf[0] = 0x60;
	buf[4] = (uint8_t)((extension + len) >> 8);
	buf[5] = (uint8_t)(extension + len);
	buf[6] = ip->protocol || extension ? ip->protocol : 58;
	buf[7] = ip->ttl ? ip->ttl : 1;
	memcpy(buf + 8, source.bytes, 16);
	memcpy(buf + 24, to.bytes, 16);
	return 40 + extension + len;
}
