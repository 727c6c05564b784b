/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Datagrams over their group's MTU (RFC 7450 5.3.3.6.2, R-87..R-94). */
#include "unit/unit.h"
#include "unit/bytes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <amt/wire.h>
#include "base/checksum.h"
#include "base/clock.h"
#include "base/counters.h"
#include "relay/fragment.h"
#include "relay/icmp_error.h"
#include "relay/too_big.h"

#define DF 0x4000
#define MF 0x2000

static void put16(uint8_t *at, unsigned int value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static unsigned int get16(const uint8_t *at)
{
	return (unsigned int)(at[0] << 8 | at[1]);
}

/* An IPv4 datagram of len octets, 20 + options of them header, payload counting up. */
static uint8_t *ipv4(size_t len, const char *options, unsigned int fragment, const char *group)
{
	uint8_t *out = calloc(1, len), option[40];
	struct amt_addr source = address("198.51.100.1"), destination = address(group);
	size_t header = 20 + unhex(options, option, sizeof(option)), i;
	__be16 checksum;

	assert_non_null(out);
	out[0] = (uint8_t)(0x40 | header / 4);
	out[1] = 0xb8 | 1; /* EF, ECT(1) */
	put16(out + 2, (unsigned int)len);
	put16(out + 4, 0x1234);
	put16(out + 6, fragment);
	out[8] = 17;
	out[9] = 17;
	memcpy(out + 12, source.bytes + 12, 4);
	memcpy(out + 16, destination.bytes + 12, 4);
	memcpy(out + 20, option, header - 20);
	checksum = checksum_finish(checksum_add(0, out, header));
	memcpy(out + 10, &checksum, 2);
	for (i = header; i < len; i++)
		out[i] = (uint8_t)(i * 7 + i / 256);
	return out;
}

static uint8_t *ipv6(size_t len, const char *group)
{
	uint8_t *out = calloc(1, len);
	struct amt_addr source = address("2001:db8:5::1"), destination = address(group);

	assert_non_null(out);
	out[0] = 0x6b; /* traffic class 0xb9 */
	out[1] = 0x90;
	put16(out + 4, (unsigned int)len - 40);
	out[6] = 17;
	out[7] = 9;
	memcpy(out + 8, source.bytes, 16);
	memcpy(out + 24, destination.bytes, 16);
	return out;
}

/* ---- fragments ---- */

struct reassembly {
	uint8_t payload[70000];
	size_t len; /* seen so far, in order */
	size_t mtu;
	size_t header; /* of the last fragment */
	unsigned int n, base, last_flags;
	const uint8_t *datagram;
};

static void reassemble(void *arg, const uint8_t *fragment, size_t len)
{
	struct reassembly *r = arg;
	unsigned int field = get16(fragment + 6);

	assert_true(len <= r->mtu);
	r->header = (size_t)(fragment[0] & 15) * 4;
	assert_int_equal(get16(fragment + 2), len);
	assert_true(checksum_good(checksum_add(0, fragment, r->header)));
	assert_int_equal((field & 0x1fff) * 8, r->base + r->len);
	assert_memory_equal(fragment + 4, r->datagram + 4, 2);	 /* identification */
	assert_memory_equal(fragment + 8, r->datagram + 8, 2);	 /* TTL, protocol */
	assert_memory_equal(fragment + 12, r->datagram + 12, 8); /* addresses */
	assert_int_equal(fragment[1], r->datagram[1]);
	memcpy(r->payload + r->len, fragment + r->header, len - r->header);
	r->len += len - r->header;
	r->last_flags = field & 0xe000;
	r->n++;
}

static void fragments_make_the_datagram_again(void **state)
{
	static struct reassembly r;
	static const size_t lengths[] = {29, 100, 1371, 1500, 8972, 65535};
	static const size_t mtus[] = {28, 68, 552, 1370, 1450, 1471};
	size_t i, j;
	int n;

	for (i = 0; i < 6; i++)
		for (j = 0; j < 6; j++) {
			uint8_t *datagram = ipv4(lengths[i], "", 0, "232.1.1.1");

			memset(&r, 0, sizeof(r));
			r.mtu = mtus[j];
			r.datagram = datagram;
			n = fragment_ipv4(datagram, lengths[i], mtus[j], reassemble, &r);
			assert_int_equal(n, r.n);
			assert_int_equal(r.len, lengths[i] - 20);
			assert_memory_equal(r.payload, datagram + 20, r.len);
			assert_int_equal(r.last_flags, 0);
			free(datagram);
		}
}

static void fragment_of_a_fragment_keeps_its_place(void **state)
{
	static struct reassembly r;
	uint8_t *datagram = ipv4(1500, "", MF | 185, "232.1.1.1");

	memset(&r, 0, sizeof(r));
	r.mtu = 1000;
	r.base = 185 * 8;
	r.datagram = datagram;
	assert_int_equal(fragment_ipv4(datagram, 1500, 1000, reassemble, &r), 2);
	assert_int_equal(r.last_flags, MF); /* more of the datagram comes after it */
	free(datagram);
	datagram = ipv4(1500, "", 0x1fff, "232.1.1.1"); /* would end behind 65535 */
	assert_int_equal(fragment_ipv4(datagram, 1500, 1000, reassemble, &r), -EINVAL);
	free(datagram);
}

static void collect_headers(void *arg, const uint8_t *fragment, size_t len)
{
	uint8_t(*headers)[60] = arg;
	size_t i = 0;

	while (headers[i][0])
		i++;
	memcpy(headers[i], fragment, (size_t)(fragment[0] & 15) * 4);
}

/* RFC 791 3.1: options with the copied flag go into every fragment, others into the first */
static void options_are_copied_as_they_say(void **state)
{
	/* NOP, record route (7, not copied), router alert (148, copied), end */
	uint8_t *datagram = ipv4(600, "01 07 07 04 00 00 00 00 94 04 00 00", 0, "232.1.1.1");
	uint8_t headers[8][60] = {{0}};

	assert_int_equal(fragment_ipv4(datagram, 600, 400, collect_headers, headers), 2);
	assert_int_equal(headers[0][0], 0x48);
	assert_memory_equal(headers[0] + 20, datagram + 20, 12);
	assert_int_equal(headers[1][0], 0x46);
	assert_hex(headers[1] + 20, 4, "94 04 00 00");
	free(datagram);
}

static void nonsense_is_not_fragmented(void **state)
{
	static const char *const options[] = {"07 00 00 00", "07 01 00 00", "94 05 00 00",
					      "01 01 01 07"};
	uint8_t *datagram = ipv4(600, "", 0, "232.1.1.1"), headers[64][60] = {{0}};
	size_t i;

	for (i = 0; i < 20; i++)
		assert_int_equal(fragment_ipv4(datagram, i, 400, collect_headers, headers),
				 -EINVAL);
	assert_int_equal(fragment_ipv4(datagram, 599, 400, collect_headers, headers), -EINVAL);
	assert_int_equal(fragment_ipv4(datagram, 600, 27, collect_headers, headers), -EMSGSIZE);
	datagram[0] = 0x44;
	assert_int_equal(fragment_ipv4(datagram, 600, 400, collect_headers, headers), -EINVAL);
	datagram[0] = 0x65;
	assert_int_equal(fragment_ipv4(datagram, 600, 400, collect_headers, headers), -EINVAL);
	free(datagram);
	for (i = 0; i < 4; i++) {
		datagram = ipv4(600, options[i], 0, "232.1.1.1");
		assert_int_equal(fragment_ipv4(datagram, 600, 400, collect_headers, headers),
				 -EINVAL);
		free(datagram);
	}
}

/* ---- ICMP ---- */

static void icmp_says_what_fits(void **state)
{
	uint8_t *datagram = ipv4(1500, "", DF, "232.1.1.1"), buf[ICMP_ERROR_MAX];
	size_t len = icmp_frag_needed(datagram, 1500, 1400, buf);

	assert_int_equal(len, 8 + 548); /* 576 with its IP header */
	assert_int_equal(buf[0], 3);
	assert_int_equal(buf[1], 4);
	assert_int_equal(get16(buf + 4), 0);
	assert_int_equal(get16(buf + 6), 1400); /* RFC 1191 */
	assert_true(checksum_good(checksum_add(0, buf, len)));
	assert_memory_equal(buf + 8, datagram, len - 8);
	assert_int_equal(icmp_frag_needed(datagram, 100, 1400, buf), 108);
	free(datagram);
	datagram = ipv6(9000, "ff3e::1");
	len = icmp6_packet_too_big(datagram, 9000, 0x12345, buf);
	assert_int_equal(len, 1280 - 40);
	assert_hex(buf, 8, "02 00 00 00 00 01 23 45");
	assert_memory_equal(buf + 8, datagram, len - 8);
	free(datagram);
}

/* ---- what is sent to whom ---- */

struct sent {
	struct amt_sockaddr local, peer;
	uint8_t tos;
	size_t len;
	uint8_t first[64]; /* its first octets */
};

struct world {
	struct sent sent[64];
	unsigned int nsent;
	struct amt_addr icmp_to;
	uint8_t icmp[ICMP_ERROR_MAX];
	unsigned int nicmp;
	struct too_big_options options;
	struct too_big *too_big;
};

static void keep_sent(void *arg, const struct amt_sockaddr *local, const struct amt_sockaddr *peer,
		      uint8_t tos, const void *buf, size_t len)
{
	struct world *w = arg;
	struct sent *sent = &w->sent[w->nsent++ % 64];

	*sent = (struct sent){*local, *peer, tos, len, {0}};
	memcpy(sent->first, buf, len < sizeof(sent->first) ? len : sizeof(sent->first));
}

static void keep_icmp(void *arg, const struct amt_addr *to, const void *buf, size_t len)
{
	struct world *w = arg;

	w->icmp_to = *to;
	memcpy(w->icmp, buf, len);
	w->nicmp++;
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	counter_reset_all();
	*state = w;
	return 0;
}

static void start(struct world *w)
{
	const struct too_big_edge edge = {w, keep_sent, keep_icmp};

	w->too_big = too_big_new(&w->options, &edge);
	assert_non_null(w->too_big);
}

static int teardown(void **state)
{
	struct world *w = *state;

	too_big_free(w->too_big);
	free(w);
	return 0;
}

static struct too_big_target target(uint16_t port, uint32_t mtu, bool ecn)
{
	return (struct too_big_target){
		.local = {address("192.0.2.1"), htons(AMT_PORT)},
		.peer = {address("203.0.113.9"), htons(port)},
		.mtu = mtu,
		.ecn = ecn,
	};
}

static void pass(struct too_big *too_big, uint64_t now, const void *datagram, size_t len,
		 const struct too_big_target *targets, unsigned int n)
{
	struct too_big_passage passage;
	unsigned int i;

	if (!too_big_begin(too_big, now, datagram, len, &passage))
		return;
	for (i = 0; i < n; i++)
		too_big_send(too_big, &passage, &targets[i]);
	too_big_end(too_big, now, &passage);
}

static void datagram_in(struct world *w, uint8_t *datagram, size_t len,
			const struct too_big_target *targets, unsigned int n)
{
	w->nsent = 0;
	w->nicmp = 0;
	pass(w->too_big, NSEC_PER_SEC, datagram, len, targets, n);
	free(datagram);
}

/* who can carry it gets it whole, the others in fragments */
static void without_df_it_is_fragmented_where_needed(void **state)
{
	struct world *w = *state;
	const struct too_big_target targets[] = {target(1, 1470, true), target(2, 1400, false),
						 target(3, 0, false)};

	start(w);
	datagram_in(w, ipv4(1450, "", 0, "232.1.1.1"), 1450, targets, 3);
	assert_int_equal(w->nsent, 3);
	assert_int_equal(w->sent[0].len, 2 + 1450);
	assert_hex(w->sent[0].first, 4, "06 00 45 b9");
	assert_int_equal(w->sent[0].tos, 0xb9); /* ECN with E only */
	assert_int_equal(w->sent[1].tos, 0xb8);
	assert_int_equal(w->sent[1].len, 2 + 1396);
	assert_int_equal(w->sent[2].len, 2 + 20 + 1450 - 1396);
	assert_hex(w->sent[2].first, 2, "06 00");
	assert_true(sockaddr_equal(&w->sent[2].peer, &targets[1].peer));
	assert_true(sockaddr_equal(&w->sent[2].local, &targets[1].local)); /* */
	assert_int_equal(w->nicmp, 0);
	assert_int_equal(counter_get(AMT_COUNT_FRAGMENTED), 1);
}

/* one error with the smallest MTU, and nothing for the tunnels concerned */
static void with_df_the_source_is_told_once(void **state)
{
	struct world *w = *state;
	struct amt_addr source = address("198.51.100.1");
	const struct too_big_target targets[] = {target(1, 1400, false), target(2, 1300, false),
						 target(3, 1350, false), target(4, 1470, false)};

	start(w);
	datagram_in(w, ipv4(1450, "", DF, "232.1.1.1"), 1450, targets, 4);
	assert_int_equal(w->nsent, 1);
	assert_true(sockaddr_equal(&w->sent[0].peer, &targets[3].peer));
	assert_int_equal(w->nicmp, 1);
	assert_true(addr_equal(&w->icmp_to, &source));
	assert_int_equal(get16(w->icmp + 6), 1300);
	assert_int_equal(counter_get(AMT_COUNT_ICMP_TOO_BIG_SENT), 1);
	assert_int_equal(counter_get(AMT_COUNT_FRAGMENTED), 0);
}

static void ipv6_is_never_fragmented(void **state)
{
	struct world *w = *state;
	struct amt_addr source = address("2001:db8:5::1");
	const struct too_big_target targets[] = {target(1, 1400, true), target(2, 1450, true)};

	start(w);
	datagram_in(w, ipv6(1450, "ff3e::8000:1"), 1450, targets, 2);
	assert_int_equal(w->nsent, 1);
	assert_int_equal(w->sent[0].tos, 0xb9);
	assert_int_equal(w->nicmp, 1);
	assert_true(addr_equal(&w->icmp_to, &source));
	assert_hex(w->icmp, 8, "02 00 00 00 00 00 05 78");
}

/* Errors go to the sources of SSM channels only, whatever range that is */
static void asm_sources_are_not_told(void **state)
{
	struct world *w = *state;
	const struct too_big_target targets[] = {target(1, 1400, false)};
	struct amt_prefix ssm;

	start(w);
	datagram_in(w, ipv4(1450, "", DF, "239.1.1.1"), 1450, targets, 1);
	assert_int_equal(w->nicmp, 0);
	too_big_free(w->too_big);
	assert_int_equal(prefix_parse("239.1.0.0/16", &ssm), 0);
	w->options.ssm = &ssm;
	w->options.nssm = 1;
	start(w);
	datagram_in(w, ipv4(1450, "", DF, "239.1.1.1"), 1450, targets, 1);
	assert_int_equal(w->nicmp, 1);
	datagram_in(w, ipv4(1450, "", DF, "232.1.1.1"), 1450, targets, 1);
	assert_int_equal(w->nicmp, 0);
}

static void dscp_may_be_fixed(void **state)
{
	struct world *w = *state;
	const struct too_big_target targets[] = {target(1, 1500, true)};

	w->options.dscp_fixed = true;
	w->options.dscp = 10 << 2;
	start(w);
	datagram_in(w, ipv4(1450, "", 0, "232.1.1.1"), 1450, targets, 1);
	assert_int_equal(w->sent[0].tos, 10 << 2 | 1);
}

static void errors_and_copies_are_limited(void **state)
{
	struct world *w = *state;
	struct too_big_target *many = calloc(1000, sizeof(*many));
	uint8_t *datagram = ipv4(1450, "", DF, "232.1.1.1");
	const struct too_big_target one = target(1, 1400, false);
	unsigned int i;

	assert_non_null(many);
	start(w);
	for (i = 0; i < 1000; i++)
		pass(w->too_big, NSEC_PER_SEC, datagram, 1450, &one, 1);
	assert_true(w->nicmp >= 1 && w->nicmp <= 20);
	free(datagram);
	datagram = ipv4(1450, "", 0, "232.1.1.1");
	for (i = 0; i < 1000; i++)
		many[i] = target((uint16_t)(i + 1), 1400, false);
	for (i = 0; i < 100; i++)
		pass(w->too_big, 2 * NSEC_PER_SEC, datagram, 1450, many, 1000);
	assert_true(w->nsent >= 20000 && w->nsent <= 22000);
	assert_int_equal(counter_get(AMT_COUNT_EVENT_LOST), 90);
	w->nsent = 0;
	pass(w->too_big, 3 * NSEC_PER_SEC, datagram, 1450, many, 1000);
	assert_int_equal(w->nsent, 2000);
	free(datagram);
	free(many);
}

static void nonsense_is_dropped(void **state)
{
	struct world *w = *state;
	const struct too_big_target targets[] = {target(1, 10, false)};
	struct exact exact;
	uint8_t octets[64];
	size_t len;
	int first;

	start(w);
	for (first = 0; first < 256; first++)
		for (len = 0; len < sizeof(octets); len++) {
			memset(octets, first, sizeof(octets));
			exact = exact_copy(octets, len);
			pass(w->too_big, NSEC_PER_SEC, exact.data, len, targets, 1);
			free_exact(&exact);
		}
	assert_int_equal(counter_get(AMT_COUNT_FRAGMENTED), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		cmocka_unit_test(fragments_make_the_datagram_again),
		cmocka_unit_test(fragment_of_a_fragment_keeps_its_place),
		cmocka_unit_test(options_are_copied_as_they_say),
		cmocka_unit_test(nonsense_is_not_fragmented),
		cmocka_unit_test(icmp_says_what_fits),
		TEST(without_df_it_is_fragmented_where_needed),
		TEST(with_df_the_source_is_told_once),
		TEST(ipv6_is_never_fragmented),
		TEST(asm_sources_are_not_told),
		TEST(dscp_may_be_fixed),
		TEST(errors_and_copies_are_limited),
		TEST(nonsense_is_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
