/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What judges the streams: payloads, sequence numbers, channels, inner datagrams, receivers. */
#include "unit/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <netinet/in.h>
#include "base/checksum.h"
#include "load/channel.h"
#include "load/datagram.h"
#include "load/payload.h"
#include "load/receiver.h"
#include "load/source.h"
#include "load/tracker.h"
#include "proto/report.h"

static struct amt_addr addr(const char *text)
{
	struct amt_addr out;

	assert_int_equal(addr_parse(text, &out), 0);
	return out;
}

/* ---- payload ---- */

static size_t make_payload(uint8_t *buf, uint64_t sequence, uint64_t total, size_t content)
{
	struct payload payload = {
		.stream = 7,
		.sequence = sequence,
		.total = total,
		.chunk = (uint16_t)content,
		.content_len = content,
	};

	payload_generate(7, sequence, buf + PAYLOAD_HEADER, content);
	return payload_write(&payload, buf);
}

static void payload_there_and_back(void **state)
{
	uint8_t buf[200], content[100];
	struct payload payload;
	size_t len = make_payload(buf, 0x0102030405060708, 99, sizeof(content));

	assert_int_equal(len, PAYLOAD_HEADER + sizeof(content));
	assert_int_equal(payload_parse(buf, len, &payload), 0);
	assert_int_equal(payload.stream, 7);
	assert_true(payload.sequence == 0x0102030405060708);
	assert_int_equal(payload.total, 99);
	assert_int_equal(payload.chunk, sizeof(content));
	payload_generate(7, payload.sequence, content, sizeof(content));
	assert_int_equal(payload.content_len, sizeof(content));
	assert_memory_equal(payload.content, content, sizeof(content));
}

/* Every octet counts, and every length. */
static void payload_damage(void **state)
{
	uint8_t buf[200];
	struct payload payload;
	size_t len = make_payload(buf, 5, 0, 61), i;

	for (i = 0; i < len; i++) {
		buf[i] ^= 0x10;
		assert_int_equal(payload_parse(buf, len, &payload), i < 4 ? -EPROTO : -EBADMSG);
		buf[i] ^= 0x10;
	}
	for (i = 0; i < len; i++)
		assert_int_equal(payload_parse(buf, i, &payload),
				 i < PAYLOAD_HEADER ? -EPROTO : -EBADMSG);
}

/* ---- tracker ---- */

static void tracker_counts(void **state)
{
	static const uint64_t sequence[] = {10, 11, 13, 12, 13, 20, 9, 9};
	struct tracker t = {0};
	size_t i;

	for (i = 0; i < sizeof(sequence) / sizeof(sequence[0]); i++)
		tracker_add(&t, sequence[i]);
	assert_int_equal(t.distinct, 6);
	assert_int_equal(t.duplicates, 2);
	assert_int_equal(t.reordered, 2);	  /* 12 and 9 */
	assert_int_equal(tracker_missing(&t), 6); /* 14 .. 19 */
	assert_int_equal(tracker_missing_of(&t, 30), 24);
}

static void tracker_window(void **state)
{
	struct tracker t = {0};
	uint64_t i;

	for (i = 0; i < 3 * TRACKER_WINDOW; i += 2)
		assert_true(tracker_add(&t, i));
	for (i = 2 * TRACKER_WINDOW + 1; i < 3 * TRACKER_WINDOW - 1; i += 2)
		assert_true(tracker_add(&t, i));
	for (i = 2 * TRACKER_WINDOW + 1; i < 3 * TRACKER_WINDOW - 1; i++)
		assert_false(tracker_add(&t, i));
	assert_false(tracker_add(&t, 1));
	assert_int_equal(t.stale, 1);
	assert_int_equal(t.duplicates, TRACKER_WINDOW - 2);
	assert_int_equal(tracker_missing(&t), TRACKER_WINDOW);
	/* a leap over more than the window, and to the far end */
	assert_true(tracker_add(&t, UINT64_MAX - 1));
	assert_false(tracker_add(&t, UINT64_MAX - 1));
	assert_true(tracker_add(&t, UINT64_MAX - TRACKER_WINDOW + 1));
}

/* What passes while nobody listens is not missing; what is lost before and after is. */
static void tracker_excuses(void **state)
{
	struct tracker t = {0};

	tracker_add(&t, 1);
	tracker_add(&t, 3);
	tracker_pause(&t);
	tracker_add(&t, 100);
	tracker_add(&t, 102);
	assert_int_equal(tracker_missing(&t), 2);
	assert_int_equal(t.excused, 96);
}

/* Packets of before may come when the receiver listens again, and behind those of afterwards. */
static void tracker_excuses_late_packets(void **state)
{
	struct tracker t = {0};

	tracker_add(&t, 1);
	tracker_pause(&t);
	tracker_add(&t, 2);
	tracker_add(&t, 3);
	tracker_add(&t, 100);
	assert_int_equal(tracker_missing(&t), 0);
	tracker_add(&t, 4);
	assert_int_equal(tracker_missing(&t), 0);
	tracker_add(&t, 102); /* a loss */
	assert_int_equal(tracker_missing(&t), 1);
	tracker_pause(&t);
	tracker_add(&t, 103);
	tracker_pause(&t);
	tracker_add(&t, 200);
	assert_int_equal(tracker_missing(&t), 1);
}

/* ---- channels ---- */

static void channels_parse(void **state)
{
	static const char *const bad[] = {"",
					  "10.0.0.1",
					  "10.0.0.1,10.0.0.2",
					  "232.1.1.1,10.0.0.1",
					  "10.0.0.1,ff3e::1",
					  "232.1.1.1x0",
					  "232.1.1.1x",
					  "232.1.1.1x-1",
					  "239.255.255.255x2",
					  "232.1.1.1x9999999",
					  ",232.1.1.1",
					  "10.0.0.1,"};
	struct channels channels = {0};
	char text[AMT_ADDR_STRLEN];
	struct error err;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(channels_add(&channels, bad[i], &err), -EINVAL);
	assert_int_equal(channels.n, 0);
	assert_int_equal(channels_add(&channels, "10.0.0.1,232.1.1.254x3", &err), 0);
	assert_int_equal(channels_add(&channels, "ff0e::ffff", &err), 0);
	assert_int_equal(channels.n, 4);
	assert_string_equal(addr_print(&channels.list[2].group, text), "232.1.2.0");
	assert_string_equal(addr_print(&channels.list[2].source, text), "10.0.0.1");
	assert_string_equal(addr_print(&channels.list[3].source, text), "*");
	channels_free(&channels);
}

static struct subscriptions want(const char *const *texts, const struct amt_addr *excluded,
				 unsigned int nexcluded)
{
	struct subscriptions wanted;
	struct channels channels = {0};

	for (; *texts; texts++)
		assert_int_equal(channels_add(&channels, *texts, NULL), 0);
	assert_int_equal(subscriptions_make(&wanted, &channels, 0, channels.n, excluded, nexcluded),
			 0);
	channels_free(&channels);
	return wanted;
}

static void subscriptions_merge(void **state)
{
	static const char *const texts[] = {"10.0.0.1,239.1.1.1",
					    "10.0.0.2,239.1.1.1",
					    "10.0.0.1,239.1.1.1",
					    "239.1.1.2",
					    "ff0e::1",
					    NULL};
	struct amt_addr excluded[] = {addr("10.0.0.9"), addr("2001:db8::9")};
	struct subscriptions w = want(texts, excluded, 2);
	struct amt_addr a = addr("239.1.1.1"), b = addr("239.1.1.2"), c = addr("ff0e::1");
	struct amt_addr s1 = addr("10.0.0.1"), s3 = addr("10.0.0.3"), s9 = addr("10.0.0.9");

	assert_int_equal(w.n, 3);
	assert_true(w.ipv4 && w.ipv6);
	assert_int_equal(w.list[0].nsources, 2);
	assert_true(subscriptions_want(&w, &s1, &a));
	assert_false(subscriptions_want(&w, &s3, &a));
	assert_true(subscriptions_want(&w, &s3, &b));
	assert_false(subscriptions_want(&w, &s9, &b));
	assert_false(subscriptions_want(&w, &excluded[1], &c));
	subscriptions_free(&w);
}

/* Reads all reports of a kind back; returns the records, adds their sources to *sources. */
static unsigned int read_back(const struct subscriptions *w, enum report_kind kind, bool ipv6,
			      enum record_type type, unsigned int *sources)
{
	struct report_options options = {.require_router_alert = true};
	struct report_cursor cursor = {0};
	struct report_record record;
	unsigned int records = 0;
	struct report report;
	uint8_t buf[2048];
	int len;

	*sources = 0;
	while ((len = subscriptions_report(w, kind, ipv6, false, &cursor, buf, sizeof(buf))) > 0) {
		assert_true(len <= 1280);
		assert_int_equal(report_parse(buf, (size_t)len, &options, &report), 0);
		while (report_next(&report, &record, NULL)) {
			assert_int_equal(record.type, type);
			*sources += record.nsources;
			records++;
		}
	}
	assert_int_equal(len, 0);
	return records;
}

static void reports_are_split(void **state)
{
	static const char *const texts[] = {"10.0.0.1,232.1.1.1x1000", "2001:db8::1,ff3e::1x500",
					    NULL};
	struct subscriptions w = want(texts, NULL, 0);
	unsigned int sources;

	assert_int_equal(read_back(&w, REPORT_STATE, false, RECORD_IS_IN, &sources), 1000);
	assert_int_equal(sources, 1000);
	assert_int_equal(read_back(&w, REPORT_LEAVE, true, RECORD_BLOCK, &sources), 500);
	assert_int_equal(sources, 500);
	subscriptions_free(&w);
}

/* Many sources of one group: split over records where the RFC lets, cut where it does not. */
static void long_source_lists(void **state)
{
	struct subscription one = {.group = addr("239.1.1.1")};
	struct subscriptions w = {.list = &one, .n = 1, .ipv4 = true};
	unsigned int i, sources;

	one.nsources = 900;
	one.sources = calloc(one.nsources, sizeof(*one.sources));
	for (i = 0; i < one.nsources; i++)
		one.sources[i] = addr_from_ipv4((uint8_t[4]){10, 0, (uint8_t)(i >> 8), (uint8_t)i});
	assert_true(read_back(&w, REPORT_JOIN, false, RECORD_ALLOW, &sources) > 1);
	assert_int_equal(sources, 900);
	one.exclude = true;
	assert_int_equal(read_back(&w, REPORT_JOIN, false, RECORD_TO_EX, &sources), 1);
	assert_in_range(sources, 200, 300);
	assert_int_equal(read_back(&w, REPORT_LEAVE, false, RECORD_TO_IN, &sources), 1);
	assert_int_equal(sources, 0);
	free(one.sources);
}

/* ---- datagrams ---- */

static size_t make_datagram(uint8_t *buf, const char *source, const char *group, size_t len)
{
	struct amt_addr s = addr(source), g = addr(group);
	bool v4 = addr_is_ipv4(&g);
	size_t hlen = v4 ? 20 : 40, udp_len = len + 8;
	uint8_t *udp = buf + hlen;
	__be16 sum;

	memset(buf, 0, hlen + 8);
	buf[0] = v4 ? 0x45 : 0x60;
	buf[v4 ? 9 : 6] = IPPROTO_UDP;
	buf[v4 ? 8 : 7] = 9;
	buf[v4 ? 2 : 4] = (uint8_t)((udp_len + (v4 ? 20 : 0)) >> 8);
	buf[v4 ? 3 : 5] = (uint8_t)(udp_len + (v4 ? 20 : 0));
	memcpy(buf + (v4 ? 12 : 8), s.bytes + (v4 ? 12 : 0), v4 ? 4 : 16);
	memcpy(buf + (v4 ? 16 : 24), g.bytes + (v4 ? 12 : 0), v4 ? 4 : 16);
	if (v4) {
		sum = checksum_finish(checksum_add(0, buf, hlen));
		memcpy(buf + 10, &sum, 2);
	}
	udp[4] = (uint8_t)(udp_len >> 8);
	udp[5] = (uint8_t)udp_len;
	sum = checksum_finish(checksum_add(
		checksum_add_pseudo(0, &s, &g, IPPROTO_UDP, (uint32_t)udp_len), udp, udp_len));
	memcpy(udp + 6, &sum, 2);
	return hlen + udp_len;
}

static void datagrams_are_checked(void **state)
{
	static const char *const pair[][2] = {{"10.0.0.1", "232.1.1.1"},
					      {"2001:db8::1", "ff3e::1"}};
	uint8_t buf[256];
	struct datagram d;
	size_t i, at, len;

	for (i = 0; i < 2; i++) {
		struct amt_addr group = addr(pair[i][1]);
		size_t hlen = i == 0 ? 20 : 40;

		memset(buf, 0xa5, sizeof(buf));
		len = make_datagram(buf, pair[i][0], pair[i][1], 33);
		assert_int_equal(datagram_parse(buf, len, &d), DATAGRAM_UDP);
		assert_int_equal(d.payload_len, 33);
		assert_int_equal(d.ttl, 9);
		assert_true(addr_equal(&d.group, &group));
		for (at = 0; at < len; at++)
			assert_int_equal(datagram_parse(buf, at, &d), DATAGRAM_MALFORMED);
		assert_int_equal(datagram_parse(buf, len + 1, &d), DATAGRAM_MALFORMED);
		buf[len - 1] ^= 1;
		assert_int_equal(datagram_parse(buf, len, &d), DATAGRAM_BAD_CHECKSUM);
		buf[hlen + 6] = buf[hlen + 7] = 0;
		assert_int_equal(datagram_parse(buf, len, &d),
				 i == 0 ? DATAGRAM_UDP : DATAGRAM_BAD_CHECKSUM);
	}
}

/* ---- receivers ---- */

static void feed(struct receiver *receiver, const char *source, const char *group,
		 uint64_t sequence, uint64_t total)
{
	uint8_t buf[512];
	size_t hlen = strchr(group, ':') ? 48 : 28;
	size_t len = make_payload(buf + hlen, sequence, total, 100);

	receiver_datagram(receiver, 1 + sequence, buf, make_datagram(buf, source, group, len));
}

static void receiver_judges(void **state)
{
	static const char *const texts[] = {"10.0.0.1,232.1.1.1", "2001:db8::1,ff3e::1", NULL};
	struct subscriptions w = want(texts, NULL, 0);
	struct receiver_rules rules = {.complete = true};
	struct receiver_totals totals = {0};
	struct receiver r;

	receiver_init(&r, &w, NULL);
	receiver_listen(&r, true, 0);
	feed(&r, "10.0.0.1", "232.1.1.1", 0, 3);
	feed(&r, "10.0.0.1", "232.1.1.1", 2, 3);
	feed(&r, "10.0.0.1", "232.1.1.1", 2, 3);
	feed(&r, "10.0.0.2", "232.1.1.1", 0, 3);
	feed(&r, "10.0.0.1", "232.1.1.2", 0, 3);
	assert_false(receiver_done(&r, &rules));
	receiver_add_totals(&r, &rules, &totals);
	assert_int_equal(totals.missing, 1);
	assert_int_equal(totals.duplicate, 1);
	assert_int_equal(totals.foreign, 2);
	assert_int_equal(totals.silent, 1);
	feed(&r, "10.0.0.1", "232.1.1.1", 1, 3);
	assert_false(receiver_done(&r, &rules));
	feed(&r, "2001:db8::1", "ff3e::1", 0, 1);
	assert_true(receiver_done(&r, &rules));
	rules.expect = 3;
	assert_false(receiver_done(&r, &rules));
	receiver_listen(&r, false, 10);
	feed(&r, "10.0.0.1", "232.1.1.1", 3, 4);
	memset(&totals, 0, sizeof(totals));
	receiver_add_totals(&r, &(struct receiver_rules){0}, &totals);
	assert_int_equal(totals.after_leave, 1);
	assert_int_equal(totals.missing, 0);
	receiver_free(&r);
	subscriptions_free(&w);
}

/* The file that was sent is what every receiver has, octet by octet; another one is not. */
static void file_there_and_back(void **state)
{
	static const char *const texts[] = {"10.0.0.1,232.1.1.1", NULL};
	struct receiver_rules rules = {.complete = true};
	struct amt_addr source = addr("10.0.0.1"), group = addr("232.1.1.1");
	struct subscriptions w = want(texts, NULL, 0);
	char path[] = "/tmp/test_load_XXXXXX";
	uint8_t data[1000], buf[200];
	struct reference reference = {.data = data, .len = sizeof(data)};
	int fd = mkstemp(path), len, pass;
	struct source from;
	struct receiver r;
	FILE *file;

	assert_true(fd >= 0);
	payload_generate(1, 1, data, sizeof(data));
	file = fdopen(fd, "w");
	assert_int_equal(fwrite(data, 1, sizeof(data), file), sizeof(data));
	fclose(file);
	for (pass = 0; pass < 2; pass++) {
		assert_int_equal(source_open(&from, path, 4, 132, 0, NULL), 0);
		assert_int_equal(from.total, 10);
		receiver_init(&r, &w, &reference);
		receiver_listen(&r, true, 0);
		while ((len = source_next(&from, buf)) > 0)
			receiver_payload(&r, 1, &source, &group, buf, (size_t)len);
		assert_int_equal(len, 0);
		assert_true(receiver_done(&r, &rules));
		assert_int_equal(flow_identical(r.flows, &r, &rules), pass == 0);
		receiver_free(&r);
		source_close(&from);
		data[999] ^= 1;
	}
	unlink(path);
	subscriptions_free(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(payload_there_and_back),
		cmocka_unit_test(payload_damage),
		cmocka_unit_test(tracker_counts),
		cmocka_unit_test(tracker_window),
		cmocka_unit_test(tracker_excuses_late_packets),
		cmocka_unit_test(tracker_excuses),
		cmocka_unit_test(channels_parse),
		cmocka_unit_test(subscriptions_merge),
		cmocka_unit_test(reports_are_split),
		cmocka_unit_test(long_source_lists),
		cmocka_unit_test(datagrams_are_checked),
		cmocka_unit_test(receiver_judges),
		cmocka_unit_test(file_there_and_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
