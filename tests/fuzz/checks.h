/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What must hold for any octets whatever that are given to a parser. The fuzz targets run it on
 * what libFuzzer finds, tests/unit/test_corpus.c on the corpus and its mutations.
 */
#ifndef AMT_TESTS_FUZZ_CHECKS_H
#define AMT_TESTS_FUZZ_CHECKS_H

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "base/checksum.h"
#include "proto/message.h"
#include "proto/query.h"
#include "proto/report.h"

/* Touches every octet, so that a sanitizer sees a pointer or a length that is wrong. The volatile
 * sink keeps the compiler from leaving the reads out. */
static inline void fuzz_read(const uint8_t *bytes, size_t len)
{
	volatile uint8_t sink = 0;

	while (len-- > 0)
		sink ^= bytes[len];
}

static inline void fuzz_put_checksum(uint8_t *at, uint32_t sum)
{
	__be16 value = checksum_finish(sum);

	memcpy(at, &value, sizeof(value));
}

static inline void fuzz_repair4(uint8_t *ip, size_t len)
{
	size_t header = (size_t)(ip[0] & 15) * 4, total = (size_t)(ip[2] << 8 | ip[3]);

	if (header < 20 || total > len || total < header + 4)
		return;
	memset(ip + 10, 0, 2);
	fuzz_put_checksum(ip + 10, checksum_add(0, ip, header));
	memset(ip + header + 2, 0, 2);
	fuzz_put_checksum(ip + header + 2, checksum_add(0, ip + header, total - header));
}

static inline void fuzz_repair6(uint8_t *ip, size_t len)
{
	size_t total = 40 + (size_t)(ip[4] << 8 | ip[5]);
	size_t header = ip[6] == 0 && len > 41 ? 48 + (size_t)ip[41] * 8 : 40;
	struct amt_addr source, destination;
	uint32_t sum;

	if (total > len || total < header + 4)
		return;
	source = addr_from_ipv6(ip + 8);
	destination = addr_from_ipv6(ip + 24);
	memset(ip + header + 2, 0, 2);
	sum = checksum_add_pseudo(0, &source, &destination, 58, (uint32_t)(total - header));
	fuzz_put_checksum(ip + header + 2, checksum_add(sum, ip + header, total - header));
}

/* Puts right checksums into an inner datagram where it has room for them: chance would never find
 * one that is right, and all that stands behind that check would stay untried. */
static inline void fuzz_repair_checksums(uint8_t *datagram, size_t len)
{
	if (len >= 20 && datagram[0] >> 4 == 4)
		fuzz_repair4(datagram, len);
	else if (len >= 40 && datagram[0] >> 4 == 6)
		fuzz_repair6(datagram, len);
}

/* A message that was read can be written, is not longer then, and reads the same again. */
static inline int check_message(const uint8_t *data, size_t len)
{
	struct amt_message msg, again;
	uint8_t *out;
	int written;

	if (message_parse(data, len, &msg))
		return -1;
	if (msg.datagram) {
		assert(msg.datagram + msg.datagram_len <= data + len);
		fuzz_read(msg.datagram, msg.datagram_len);
	}
	out = malloc(len);
	assert(out);
	written = message_write(&msg, out, len);
	assert(written > 0 && (size_t)written <= len);
	assert(message_parse(out, (size_t)written, &again) == 0);
	assert(again.type == msg.type && again.nonce == msg.nonce && again.ecn == msg.ecn);
	assert(again.want_mld == msg.want_mld && again.linux_p == msg.linux_p);
	assert(again.limit == msg.limit && again.gateway_present == msg.gateway_present);
	assert(memcmp(again.mac, msg.mac, sizeof(msg.mac)) == 0);
	assert(sockaddr_equal(&again.gateway, &msg.gateway));
	assert(addr_equal(&again.relay, &msg.relay));
	assert(again.datagram_len == msg.datagram_len);
	free(out);
	return 0;
}

static inline void check_records(struct report *report)
{
	struct report_record record;
	unsigned int i, seen = 0, unknown = 0;

	while (report_next(report, &record, &unknown)) {
		seen++;
		assert(record.type >= RECORD_IS_IN && record.type <= RECORD_BLOCK);
		assert(record.old_host ? record.nsources == 0 : true);
		assert(addr_is_any(&record.group) || addr_is_ipv4(&record.group) != report->ipv6);
		for (i = 0; i < record.nsources; i++) {
			struct amt_addr source = report_source(&record, i);

			assert(addr_is_any(&source) || addr_is_ipv4(&source) != report->ipv6);
		}
	}
	assert(seen + unknown == report->records);
}

/* A report that was taken can be iterated to its end; strict takes nothing that lenient refuses. */
static inline int check_report(const uint8_t *data, size_t len)
{
	static const struct report_options lenient = {0}, strict = {.require_router_alert = true};
	struct report report;
	int err = report_parse(data, len, &strict, &report);

	if (err == 0)
		check_records(&report);
	if (report_parse(data, len, &lenient, &report)) {
		assert(err != 0);
		return -1;
	}
	assert(err == 0 || err == -AMT_COUNT_INNER_NO_ROUTER_ALERT);
	check_records(&report);
	return 0;
}

/* A query that was taken can be written again, and then says the same. */
static inline int check_query(const uint8_t *data, size_t len)
{
	struct query_params params, again;
	uint8_t out[QUERY_MLD_LEN];
	int inner, written;
	bool mld, mld_again;

	inner = query_parse(data, len, &mld, &params);
	if (inner < 0)
		return -1;
	assert((size_t)inner <= len);
	if (params.robustness == 0 || (mld && addr_is_ipv4(&params.source)))
		return 0;
	written = query_write(mld, &params, out, sizeof(out));
	assert(written == (mld ? QUERY_MLD_LEN : QUERY_IGMP_LEN));
	assert(query_parse(out, (size_t)written, &mld_again, &again) == written);
	assert(mld_again == mld && again.robustness == params.robustness);
	assert(again.interval_s == params.interval_s);
	assert(addr_equal(&again.source, &params.source));
	return 0;
}

/* Runs a check on the octets as they are, then with checksums put right. */
static inline void check_datagram(int (*check)(const uint8_t *data, size_t len),
				  const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);

	assert(copy);
	check(data, len);
	if (len)
		memcpy(copy, data, len);
	fuzz_repair_checksums(copy, len);
	check(copy, len);
	free(copy);
}

#endif
