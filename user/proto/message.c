/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/message.h"

#include <errno.h>
#include <string.h>

/* Octets that a message of each type has at least (RFC 7450 5.1.1 .. 5.1.7). */
static const uint8_t least_len[] = {
	[AMT_DISCOVERY] = AMT_DISCOVERY_LEN, [AMT_ADVERTISEMENT] = AMT_ADVERTISEMENT_LEN4,
	[AMT_REQUEST] = AMT_REQUEST_LEN,     [AMT_QUERY] = AMT_QUERY_DATAGRAM,
	[AMT_UPDATE] = AMT_UPDATE_DATAGRAM,  [AMT_DATA] = AMT_DATA_LEN,
	[AMT_TEARDOWN] = AMT_TEARDOWN_LEN,
};

/* The 18 octets of a gateway: port, and an address that is IPv4 when its first 96 bits are zero
 * (RFC 7450 5.1.4.9.2). The v4-mapped form, which a sloppy gateway may send back in its Teardown,
 * names the same endpoint and is taken too. */
static struct amt_sockaddr gateway_read(const uint8_t *at)
{
	static const uint8_t compatible[AMT_ADDR_V4_OFFSET];
	const uint8_t *addr = at + sizeof(__be16);
	struct amt_sockaddr gateway;

	memcpy(&gateway.port, at, sizeof(gateway.port));
	if (memcmp(addr, compatible, sizeof(compatible)) == 0)
		gateway.addr = addr_from_ipv4(addr + AMT_ADDR_V4_OFFSET);
	else
		gateway.addr = addr_from_ipv6(addr);
	return gateway;
}

static void gateway_write(const struct amt_sockaddr *gateway, uint8_t *at)
{
	struct amt_addr addr = gateway->addr;

	if (addr_is_ipv4(&addr))
		memset(addr.bytes, 0, AMT_ADDR_V4_OFFSET);
	memcpy(at, &gateway->port, sizeof(gateway->port));
	memcpy(at + sizeof(gateway->port), addr.bytes, sizeof(addr.bytes));
}

/* The length alone tells the family (RFC 7450 5.1.2.6), so no other length has a meaning. */
static int advertisement_parse(const uint8_t *buf, size_t len, struct amt_message *msg)
{
	memcpy(&msg->nonce, buf + AMT_ADVERTISEMENT_NONCE, AMT_NONCE_LEN);
	if (len == AMT_ADVERTISEMENT_LEN4)
		msg->relay = addr_from_ipv4(buf + AMT_ADVERTISEMENT_RELAY);
	else if (len == AMT_ADVERTISEMENT_LEN6)
		msg->relay = addr_from_ipv6(buf + AMT_ADVERTISEMENT_RELAY);
	else
		return -AMT_COUNT_SHORT_MESSAGE;
	return 0;
}

static void request_parse(const uint8_t *buf, struct amt_message *msg)
{
	uint8_t flags = buf[AMT_REQUEST_FLAGS];

	memcpy(&msg->nonce, buf + AMT_REQUEST_NONCE, AMT_NONCE_LEN);
	msg->linux_p = flags & AMT_REQUEST_P_LINUX;
	msg->want_mld = flags & (AMT_REQUEST_P | AMT_REQUEST_P_LINUX);
	msg->ecn = flags & AMT_REQUEST_E;
}

/* The gateway fields are the last 18 octets, wherever the inner datagram ends. */
static int query_message_parse(const uint8_t *buf, size_t len, struct amt_message *msg)
{
	uint8_t flags = buf[AMT_QUERY_FLAGS];

	memcpy(msg->mac, buf + AMT_QUERY_MAC, AMT_MAC_LEN);
	memcpy(&msg->nonce, buf + AMT_QUERY_NONCE, AMT_NONCE_LEN);
	msg->limit = flags & AMT_QUERY_L;
	msg->gateway_present = flags & AMT_QUERY_G;
	if (msg->gateway_present) {
		if (len < AMT_QUERY_DATAGRAM + AMT_GATEWAY_LEN)
			return -AMT_COUNT_SHORT_MESSAGE;
		len -= AMT_GATEWAY_LEN;
		msg->gateway = gateway_read(buf + len);
	}
	msg->datagram = buf + AMT_QUERY_DATAGRAM;
	msg->datagram_len = len - AMT_QUERY_DATAGRAM;
	return 0;
}

int message_parse(const void *input, size_t len, struct amt_message *msg)
{
	const uint8_t *buf = input;

	memset(msg, 0, sizeof(*msg));
	if (len == 0)
		return -AMT_COUNT_SHORT_MESSAGE;
	if (buf[0] >> AMT_VERS_SHIFT != AMT_WIRE_VERSION)
		return -AMT_COUNT_BAD_VERSION;
	msg->type = buf[0] & AMT_TYPE_MASK;
	if (msg->type < AMT_DISCOVERY || msg->type > AMT_TEARDOWN)
		return -AMT_COUNT_BAD_TYPE;
	if (len < least_len[msg->type])
		return -AMT_COUNT_SHORT_MESSAGE;

	switch (msg->type) {
	case AMT_DISCOVERY:
		memcpy(&msg->nonce, buf + AMT_DISCOVERY_NONCE, AMT_NONCE_LEN);
		break;
	case AMT_ADVERTISEMENT:
		return advertisement_parse(buf, len, msg);
	case AMT_REQUEST:
		request_parse(buf, msg);
		break;
	case AMT_QUERY:
		return query_message_parse(buf, len, msg);
	case AMT_UPDATE:
		memcpy(msg->mac, buf + AMT_UPDATE_MAC, AMT_MAC_LEN);
		memcpy(&msg->nonce, buf + AMT_UPDATE_NONCE, AMT_NONCE_LEN);
		msg->datagram = buf + AMT_UPDATE_DATAGRAM;
		msg->datagram_len = len - AMT_UPDATE_DATAGRAM;
		break;
	case AMT_DATA:
		msg->datagram = buf + AMT_DATA_DATAGRAM;
		msg->datagram_len = len - AMT_DATA_DATAGRAM;
		break;
	case AMT_TEARDOWN:
		memcpy(msg->mac, buf + AMT_TEARDOWN_MAC, AMT_MAC_LEN);
		memcpy(&msg->nonce, buf + AMT_TEARDOWN_NONCE, AMT_NONCE_LEN);
		msg->gateway = gateway_read(buf + AMT_TEARDOWN_GATEWAY);
		break;
	}
	return 0;
}

static uint8_t request_flags(const struct amt_message *msg)
{
	uint8_t flags = msg->ecn ? AMT_REQUEST_E : 0;

	if (msg->want_mld)
		flags |= msg->linux_p ? AMT_REQUEST_P_LINUX : AMT_REQUEST_P;
	return flags;
}

/* What the message has in front of its datagram, and behind it. -EINVAL: no such type. */
static int fixed_len(const struct amt_message *msg, size_t *head, size_t *tail)
{
	if (msg->type < AMT_DISCOVERY || msg->type > AMT_TEARDOWN)
		return -EINVAL;
	*head = least_len[msg->type];
	*tail = 0;
	if (msg->type == AMT_ADVERTISEMENT && !addr_is_ipv4(&msg->relay))
		*head = AMT_ADVERTISEMENT_LEN6;
	if (msg->type == AMT_QUERY && msg->gateway_present)
		*tail = AMT_GATEWAY_LEN;
	return 0;
}

static void head_write(const struct amt_message *msg, uint8_t *buf)
{
	bool ipv4 = addr_is_ipv4(&msg->relay);

	buf[0] = AMT_WIRE_VERSION << AMT_VERS_SHIFT | msg->type;
	switch (msg->type) {
	case AMT_DISCOVERY:
		memcpy(buf + AMT_DISCOVERY_NONCE, &msg->nonce, AMT_NONCE_LEN);
		break;
	case AMT_ADVERTISEMENT:
		memcpy(buf + AMT_ADVERTISEMENT_NONCE, &msg->nonce, AMT_NONCE_LEN);
		memcpy(buf + AMT_ADVERTISEMENT_RELAY,
		       msg->relay.bytes + (ipv4 ? AMT_ADDR_V4_OFFSET : 0), ipv4 ? 4 : 16);
		break;
	case AMT_REQUEST:
		buf[AMT_REQUEST_FLAGS] = request_flags(msg);
		memcpy(buf + AMT_REQUEST_NONCE, &msg->nonce, AMT_NONCE_LEN);
		break;
	case AMT_QUERY:
		buf[AMT_QUERY_FLAGS] =
			(msg->limit ? AMT_QUERY_L : 0) | (msg->gateway_present ? AMT_QUERY_G : 0);
		memcpy(buf + AMT_QUERY_MAC, msg->mac, AMT_MAC_LEN);
		memcpy(buf + AMT_QUERY_NONCE, &msg->nonce, AMT_NONCE_LEN);
		break;
	case AMT_UPDATE:
		memcpy(buf + AMT_UPDATE_MAC, msg->mac, AMT_MAC_LEN);
		memcpy(buf + AMT_UPDATE_NONCE, &msg->nonce, AMT_NONCE_LEN);
		break;
	case AMT_DATA:
		break;
	case AMT_TEARDOWN:
		memcpy(buf + AMT_TEARDOWN_MAC, msg->mac, AMT_MAC_LEN);
		memcpy(buf + AMT_TEARDOWN_NONCE, &msg->nonce, AMT_NONCE_LEN);
		gateway_write(&msg->gateway, buf + AMT_TEARDOWN_GATEWAY);
		break;
	}
}

int message_write(const struct amt_message *msg, void *output, size_t size)
{
	uint8_t *buf = output;
	size_t head, tail, datagram_len = 0;

	if (fixed_len(msg, &head, &tail))
		return -EINVAL;
	if (msg->type == AMT_QUERY || msg->type == AMT_UPDATE || msg->type == AMT_DATA)
		datagram_len = msg->datagram_len;
	if (size < head + tail || size - head - tail < datagram_len)
		return -ENOSPC;

	if (datagram_len) /* may stand in buf already */
		memmove(buf + head, msg->datagram, datagram_len);
	memset(buf, 0, head);
	head_write(msg, buf);
	if (tail)
		gateway_write(&msg->gateway, buf + head + datagram_len);
	return (int)(head + datagram_len + tail);
}
