/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/query.h"

#include <errno.h>
#include <string.h>
#include "proto/inner.h"

/* RFC 3376 4.1, RFC 3810 5.1: offsets in the message */
#define IGMP_MAX_RESP 1
#define IGMP_GROUP    4
#define IGMP_QRV      8 /* reserved, S, QRV; then QQIC and the number of sources */
#define IGMP_V3_LEN   12
#define MLD_MAX_RESP  4
#define MLD_GROUP     8
#define MLD_QRV	      24
#define MLD_V2_LEN    28
#define QRV_MASK      0x07
#define QQIC	      1 /* from QRV */
#define NSOURCES      2 /* from QRV */

/* Gateways should answer at once: AMT has one host on a link. The smallest that is not 0. */
#define MAX_RESP_CODE 1

/* Code with the high bit set: (mant | 0x10) << (exp + 3). */
#define CODE_FLOAT     0x80
#define CODE_EXP_SHIFT 4
#define CODE_EXP_MASK  7
#define CODE_MANT_MASK 0x0f

uint8_t query_interval_code(unsigned int seconds)
{
	unsigned int exp = 0, mant;

	if (seconds < CODE_FLOAT)
		return (uint8_t)seconds;
	if (seconds > query_interval_seconds(UINT8_MAX))
		return UINT8_MAX;
	while (seconds >> (exp + 3) > 0x1f)
		exp++;
	mant = seconds >> (exp + 3) & CODE_MANT_MASK;
	return (uint8_t)(CODE_FLOAT | exp << CODE_EXP_SHIFT | mant);
}

unsigned int query_interval_seconds(uint8_t code)
{
	unsigned int exp = code >> CODE_EXP_SHIFT & CODE_EXP_MASK;

	if (code < CODE_FLOAT)
		return code;
	return ((code & CODE_MANT_MASK) | 0x10U) << (exp + 3);
}

int query_write(bool mld, const struct query_params *params, void *output, size_t size)
{
	static const uint8_t all_hosts4[4] = {224, 0, 0, 1};
	static const uint8_t all_nodes6[16] = {[0] = 0xff, [1] = 0x02, [15] = 0x01};
	struct amt_addr to = mld ? addr_from_ipv6(all_nodes6) : addr_from_ipv4(all_hosts4);
	size_t len = mld ? MLD_V2_LEN : IGMP_V3_LEN;
	uint8_t *buf = output, *message = buf + inner_header_len(mld), *qrv;

	if (params->robustness == 0 || params->robustness > QRV_MASK)
		return -EINVAL;
	if (size < inner_header_len(mld) + len)
		return -ENOSPC;
	memset(message, 0, len);
	if (mld) {
		message[0] = MLD_QUERY;
		message[MLD_MAX_RESP + 1] = MAX_RESP_CODE;
		qrv = message + MLD_QRV;
	} else {
		message[0] = IGMP_QUERY;
		message[IGMP_MAX_RESP] = MAX_RESP_CODE;
		qrv = message + IGMP_QRV;
	}
	qrv[0] = (uint8_t)params->robustness;
	qrv[QQIC] = query_interval_code(params->interval_s);
	return inner_finish(mld, &params->source, &to, buf, len);
}

/* A general query: no group, no sources. What follows is ignored (RFC 3376 4.1.10). */
static bool is_general_query(const struct inner *inner)
{
	static const uint8_t zero[16];
	const uint8_t *message = inner->message;

	if (inner->ipv6)
		return message[0] == MLD_QUERY && inner->message_len >= MLD_V2_LEN &&
		       memcmp(message + MLD_GROUP, zero, 16) == 0 &&
		       memcmp(message + MLD_QRV + NSOURCES, zero, 2) == 0;
	return message[0] == IGMP_QUERY && inner->message_len >= IGMP_V3_LEN &&
	       memcmp(message + IGMP_GROUP, zero, 4) == 0 &&
	       memcmp(message + IGMP_QRV + NSOURCES, zero, 2) == 0;
}

int query_parse(const void *datagram, size_t len, bool *mld, struct query_params *params)
{
	static const uint8_t none4[4];
	const struct amt_addr any4 = addr_from_ipv4(none4);
	struct inner inner;
	const uint8_t *qrv;

	if (inner_parse(datagram, len, &inner) || !is_general_query(&inner))
		return -EINVAL;
	qrv = inner.message + (inner.ipv6 ? MLD_QRV : IGMP_QRV);
	memset(params, 0, sizeof(*params));
	if (!addr_equal(&inner.source, &any4))
		params->source = inner.source;
	params->robustness = qrv[0] & QRV_MASK;
	params->interval_s = query_interval_seconds(qrv[QQIC]);
	*mld = inner.ipv6;
	return (int)inner.len;
}
