// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * amt_ingress, packet in, verdict and octets out: what is passed untouched, what is refused and how
 * it is counted, and which entry serves what is accepted.
 */
#include "bpf/helper_path.h"

#include <linux/bpf.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

static struct path path;

static int setup(void **state)
{
	path_open(&path);
	return 0;
}

static int teardown(void **state)
{
	path_close(&path);
	return 0;
}

static int reset(void **state)
{
	path_reset(&path);
	return 0;
}

/* Runs a packet; whatever is passed must be as it came. */
static int verdict_of(const struct packet *packet)
{
	uint8_t out[FRAME_MAX];
	uint32_t length;
	int verdict = path_run(&path, path.up0, packet, out, &length);

	if (verdict == XDP_PASS) {
		assert_int_equal(length, packet->length);
		assert_memory_equal(out, packet->frame, length);
	}
	return verdict;
}

static int verdict_for(const struct packet_spec *spec)
{
	struct packet packet;

	packet_build(&packet, spec);
	return verdict_of(&packet);
}

static void serve(enum amt_path how, unsigned int members)
{
	path_group(&path, 1, NULL, GROUP4, how, path_endpoint(0, false, false), 1000, members);
	path_group(&path, 2, NULL, GROUP6, how, path_endpoint(0, true, false), 1000, members);
}

static void expect(enum amt_counter counter, uint64_t value)
{
	uint64_t got = path_counter(&path, counter);

	if (got != value)
		fail_msg("counter %d is %llu, not %llu", counter, (unsigned long long)got,
			 (unsigned long long)value);
}

static void test_foreign(void **state)
{
	struct packet packet;

	serve(AMT_PATH_XDP_DIRECT, 1);
	assert_int_equal(verdict_for(&(struct packet_spec){.group = "192.0.2.77"}), XDP_PASS);
	assert_int_equal(verdict_for(&(struct packet_spec){.ipv6 = true, .group = "2001:db8::77"}),
			 XDP_PASS);
	packet_build(&packet, &(struct packet_spec){.payload = 20});
	packet.frame[12] = 0x08;
	packet.frame[13] = 0x06; /* ARP */
	assert_int_equal(verdict_of(&packet), XDP_PASS);
	for (int ipv6 = 0; ipv6 < 2; ipv6++) {
		packet_build(&packet, &(struct packet_spec){.ipv6 = ipv6, .vlans = 2});
		/* every length that ends before the IP header does */
		for (packet.length = 14; packet.length < (ipv6 ? 62u : 42u); packet.length++)
			assert_int_equal(verdict_of(&packet), XDP_PASS);
	}
	expect(AMT_COUNT_NO_GROUP, 0);
	expect(AMT_COUNT_MALFORMED, 0);
}

static void test_link_local(void **state)
{
	static const char *const groups[] = {"224.0.0.1", "224.0.0.255", "ff02::1",
					     "ff01::5",	  "ff32::1",	 "ff10::1"};

	for (unsigned int i = 0; i < 6; i++) {
		path_group(&path, 3, NULL, groups[i], AMT_PATH_XDP_DIRECT, 0, 1000, 1);
		assert_int_equal(
			verdict_for(&(struct packet_spec){.group = groups[i], .ipv6 = i > 1}),
			XDP_PASS);
		expect(AMT_COUNT_LINK_LOCAL, i + 1);
	}
	serve(AMT_PATH_XDP_DIRECT, 1);
	assert_int_equal(verdict_for(&(struct packet_spec){.source = "169.254.3.4"}), XDP_PASS);
	assert_int_equal(verdict_for(&(struct packet_spec){.ipv6 = true, .source = "fe80::4"}),
			 XDP_PASS);
	expect(AMT_COUNT_LINK_LOCAL, 8);
	assert_int_equal(verdict_for(&(struct packet_spec){.source = "169.253.3.4"}), XDP_REDIRECT);
	assert_int_equal(verdict_for(&(struct packet_spec){.ipv6 = true, .source = "fec0::4"}),
			 XDP_REDIRECT);
}

static void test_malformed(void **state)
{
	struct packet packet;
	uint8_t *ip = packet.frame + 14;
	unsigned int expected = 0;

	serve(AMT_PATH_XDP_DIRECT, 1);
	for (int ihl = 0; ihl < 5; ihl++) {
		packet_build(&packet, &(struct packet_spec){.payload = 40});
		ip[0] = 0x40 | ihl;
		assert_int_equal(verdict_of(&packet), XDP_PASS);
		expect(AMT_COUNT_MALFORMED, ++expected);
	}
	packet_build(&packet, &(struct packet_spec){.payload = 40});
	ip[0] = 0x65;
	assert_int_equal(verdict_of(&packet), XDP_PASS);
	ip[0] = 0x45;
	ip[3] = 19; /* shorter than its header */
	assert_int_equal(verdict_of(&packet), XDP_PASS);
	ip[3] = 69; /* one more than there is */
	assert_int_equal(verdict_of(&packet), XDP_PASS);
	packet_build(&packet, &(struct packet_spec){.payload = 40, .ipv6 = true});
	ip[0] = 0x40;
	assert_int_equal(verdict_of(&packet), XDP_PASS);
	ip[0] = 0x60;
	ip[5] = 49;
	assert_int_equal(verdict_of(&packet), XDP_PASS);
	ip[5] = 0;
	ip[6] = 0; /* a jumbogram */
	assert_int_equal(verdict_of(&packet), XDP_PASS);
	expect(AMT_COUNT_MALFORMED, expected + 6);
	expect(AMT_COUNT_PACKETS_IN, 0);
}

static void test_no_group(void **state)
{
	serve(AMT_PATH_XDP_DIRECT, 1);
	assert_int_equal(verdict_for(&(struct packet_spec){.group = "232.1.2.4"}), XDP_PASS);
	assert_int_equal(verdict_for(&(struct packet_spec){.ipv6 = true, .group = "ff3e::9"}),
			 XDP_PASS);
	expect(AMT_COUNT_NO_GROUP, 2);
	/* another source of an SSM group */
	path_group(&path, 2, SOURCE4, "232.1.2.5", AMT_PATH_XDP_DIRECT, 0, 1000, 1);
	assert_int_equal(
		verdict_for(&(struct packet_spec){.source = "198.51.100.8", .group = "232.1.2.5"}),
		XDP_PASS);
	expect(AMT_COUNT_NO_GROUP, 3);
	serve(AMT_PATH_TC, 1);
	assert_int_equal(verdict_for(&(struct packet_spec){}), XDP_PASS);
	assert_int_equal(verdict_for(&(struct packet_spec){.ipv6 = true}), XDP_PASS);
	expect(AMT_COUNT_NO_GROUP, 3);
	expect(AMT_COUNT_PACKETS_IN, 0);
}

/* An (S,G) entry alone decides for its source. */
static void test_lookup(void **state)
{
	path_group(&path, 1, NULL, GROUP4, AMT_PATH_XDP_DIRECT, 0, 1000, 1);
	path_group(&path, 2, SOURCE4, GROUP4, AMT_PATH_XDP_DIRECT, 0, 1000, 1);
	assert_int_equal(verdict_for(&(struct packet_spec){.payload = 72}), XDP_REDIRECT);
	assert_int_equal(path_group_counters(&path, 2).packets, 1);
	assert_int_equal(path_group_counters(&path, 2).bytes, 100);
	assert_int_equal(path_group_counters(&path, 1).packets, 0);
	assert_int_equal(verdict_for(&(struct packet_spec){.source = "198.51.100.8"}),
			 XDP_REDIRECT);
	assert_int_equal(path_group_counters(&path, 1).packets, 1);
	assert_int_equal(path_group_counters(&path, 2).packets, 1);
	expect(AMT_COUNT_PACKETS_IN, 2);
	expect(AMT_COUNT_BYTES_IN, 128);
	expect(AMT_COUNT_PACKETS_DIRECT, 2);
}

static void test_ttl(void **state)
{
	serve(AMT_PATH_XDP_DIRECT, 1);
	for (int ipv6 = 0; ipv6 < 2; ipv6++) {
		assert_int_equal(verdict_for(&(struct packet_spec){.ttl = 1, .ipv6 = ipv6}),
				 XDP_DROP);
		assert_int_equal(verdict_for(&(struct packet_spec){.ttl = 2, .ipv6 = ipv6}),
				 XDP_REDIRECT);
	}
	expect(AMT_COUNT_TTL_EXPIRED, 2);
	assert_int_equal(path_group_counters(&path, 1).drops, 1);
	path.config.flags = AMT_CONFIG_TTL_KEEP;
	path_config(&path);
	assert_int_equal(verdict_for(&(struct packet_spec){.ttl = 1}), XDP_REDIRECT);
	expect(AMT_COUNT_TTL_EXPIRED, 2);
}

static void test_lease_and_upstream(void **state)
{
	struct amt_group record = path_record(1, AMT_PATH_XDP_DIRECT);

	serve(AMT_PATH_XDP_DIRECT, 1);
	path.config.lease_ns = 1;
	path_config(&path);
	assert_int_equal(verdict_for(&(struct packet_spec){}), XDP_PASS);
	expect(AMT_COUNT_LEASE_EXPIRED, 1);
	path.config.lease_ns = UINT64_MAX;
	path_config(&path);
	record.upstream_ifindex = path.uplink[0];
	path_change(&path, NULL, GROUP4, &record);
	assert_int_equal(verdict_for(&(struct packet_spec){}), XDP_PASS);
	expect(AMT_COUNT_WRONG_UPSTREAM, 1);
	record.upstream_ifindex = path.up0;
	path_change(&path, NULL, GROUP4, &record);
	assert_int_equal(verdict_for(&(struct packet_spec){}), XDP_REDIRECT);
	assert_int_equal(path_group_counters(&path, 1).drops, 2);
}

static void test_no_member(void **state)
{
	struct amt_endpoint endpoint = {};
	uint32_t zero = 0;

	path_group(&path, 1, NULL, GROUP4, AMT_PATH_XDP_DIRECT, 0, 1000, 0);
	assert_int_equal(verdict_for(&(struct packet_spec){}), XDP_DROP);
	expect(AMT_COUNT_NO_MEMBER, 1);
	serve(AMT_PATH_XDP_DIRECT, 2);
	bpf_map_update_elem(bpf_map__fd(path.xdp->maps.endpoints), &zero, &endpoint, 0);
	assert_int_equal(verdict_for(&(struct packet_spec){}), XDP_DROP);
	expect(AMT_COUNT_ENDPOINT_INVALID, 1);
}

static void test_recirculates(void **state)
{
	unsigned int most = amt_direct_max(PATH_RING);

	serve(AMT_PATH_XDP_DIRECT, most);
	assert_int_equal(verdict_for(&(struct packet_spec){}), XDP_REDIRECT);
	expect(AMT_COUNT_PACKETS_DIRECT, 1);
	serve(AMT_PATH_XDP_DIRECT, most + 1);
	assert_int_equal(verdict_for(&(struct packet_spec){}), XDP_REDIRECT);
	serve(AMT_PATH_XDP_DIRECT, 100);
	assert_int_equal(verdict_for(&(struct packet_spec){}), XDP_REDIRECT);
	serve(AMT_PATH_XDP_RECIRCULATED, 1);
	assert_int_equal(verdict_for(&(struct packet_spec){}), XDP_REDIRECT);
	expect(AMT_COUNT_PACKETS_DIRECT, 1);
	expect(AMT_COUNT_PACKETS_RECIRCULATED, 3);
}

/* ---- too big ---- */

struct received {
	unsigned int records;
	struct amt_event event;
	uint8_t data[AMT_EVENT_DATA_MAX];
};

static int take_event(void *context, void *data, size_t size)
{
	struct received *received = context;

	received->records++;
	assert_true(size >= sizeof(received->event));
	memcpy(&received->event, data, sizeof(received->event));
	assert_int_equal(size, sizeof(received->event) + received->event.length);
	memcpy(received->data, (uint8_t *)data + sizeof(received->event), received->event.length);
	return 0;
}

static struct received received;

static unsigned int take_events(void)
{
	struct ring_buffer *ring =
		ring_buffer__new(bpf_map__fd(path.xdp->maps.events), take_event, &received, NULL);

	assert_non_null(ring);
	received.records = 0;
	ring_buffer__consume(ring);
	ring_buffer__free(ring);
	return received.records;
}

static void test_too_big(void **state)
{
	for (int ipv6 = 0; ipv6 < 2; ipv6++) {
		struct packet_spec spec = {.ipv6 = ipv6,
					   .payload = 1500 - (ipv6 ? 48 : 28),
					   .padding = 5,
					   .vlans = ipv6};
		struct packet expected;

		serve(AMT_PATH_XDP_DIRECT, 1);
		assert_int_equal(verdict_for(&spec), XDP_REDIRECT);
		assert_int_equal(take_events(), 0);
		spec.payload++;
		assert_int_equal(verdict_for(&spec), XDP_DROP);
		expect(AMT_COUNT_TOO_BIG, ipv6 + 1);
		assert_int_equal(take_events(), 1);
		packet_forwarded(&expected, &spec);
		assert_int_equal(received.event.type, AMT_EVENT_TOO_BIG);
		assert_int_equal(received.event.ifindex, path.up0);
		assert_int_equal(received.event.id, ipv6 ? 2 : 1);
		assert_int_equal(received.event.length, 1501);
		assert_memory_equal(received.data, expected.frame + expected.front, 1501);
	}
}

static void test_event_rate(void **state)
{
	path.config.events_per_second = 5;
	path_config(&path);
	serve(AMT_PATH_XDP_DIRECT, 1);
	for (int i = 0; i < 50; i++)
		assert_int_equal(verdict_for(&(struct packet_spec){.payload = 1600}), XDP_DROP);
	expect(AMT_COUNT_TOO_BIG, 50);
	/* a second may end in between */
	assert_in_range(take_events(), 5, 10);
	assert_in_range(path_counter(&path, AMT_COUNT_EVENT_LOST), 40, 45);
}

/* ---- what leaves ingress ---- */

static void check_template(const struct packet_spec *spec, uint32_t endpoint)
{
	struct copy_spec copy = path_copy(&path, endpoint, spec->tos);
	unsigned int header = (copy.vlan ? 18 : 14) + (copy.ipv6 ? 50 : 30);
	struct packet packet, expected;
	uint8_t out[FRAME_MAX];
	uint32_t length;

	path_group(&path, 1, NULL, spec->ipv6 ? GROUP6 : GROUP4, AMT_PATH_XDP_DIRECT, endpoint,
		   1000, 2);
	packet_build(&packet, spec);
	assert_int_equal(path_run(&path, path.up0, &packet, out, &length), XDP_REDIRECT);
	packet_forwarded(&expected, spec);
	assert_int_equal(length, header + expected.inner);
	assert_memory_equal(out + header, expected.frame + expected.front, expected.inner);
	/* no gateway yet: a frame that is never filled reaches nobody */
	assert_memory_equal(out, "\0\0\0\0\0\0\0\0\0\0\0\0", 12);
	assert_int_equal(out[header - 2], 6);
	assert_int_equal(out[header - 1], 0);
}

/* 1000 octets are 8 s at 1 kbit/s, far over the bucket's depth. */
static void test_group_rate(void **state)
{
	struct packet_spec spec = {.payload = 972};
	struct amt_group_counters counters;

	path.config.group_rate = 1;
	path_config(&path);
	path_group(&path, 3, NULL, GROUP4, AMT_PATH_XDP_DIRECT, 0, 1000, 1);
	path_group(&path, 4, NULL, "232.1.1.99", AMT_PATH_XDP_DIRECT, 0, 1000, 1);
	assert_int_equal(verdict_for(&spec), XDP_REDIRECT);
	assert_int_equal(verdict_for(&spec), XDP_DROP);
	assert_int_equal(verdict_for(&spec), XDP_DROP);
	expect(AMT_COUNT_GROUP_RATE, 2);
	expect(AMT_COUNT_PACKETS_IN, 1);
	counters = path_group_counters(&path, 3);
	assert_int_equal(counters.packets, 1);
	assert_int_equal(counters.drops, 2);
	assert_int_equal(counters.limited, 2);
	spec.group = "232.1.1.99"; /* another group has its own */
	assert_int_equal(verdict_for(&spec), XDP_REDIRECT);
	path.config.group_rate = 0;
	path_config(&path);
	spec.group = NULL;
	assert_int_equal(verdict_for(&spec), XDP_REDIRECT);
}

static void test_shapes(void **state)
{
	const struct packet_spec shapes[] = {
		{.payload = 0},
		{.payload = 4, .padding = 14},
		{.payload = 50, .vlans = 1},
		{.payload = 51, .vlans = 2, .padding = 3},
		{.payload = 500, .options = 10},
		{.payload = 500, .fragment = true},
		{.payload = 1, .fragment = true, .padding = 25},
		{.payload = 1472, .ttl = 255},
		{.payload = 0, .ipv6 = true},
		{.payload = 52, .vlans = 2, .ipv6 = true},
		{.payload = 500, .options = 1, .ipv6 = true},
		{.payload = 500, .fragment = true, .ipv6 = true},
		{.payload = 1452, .ttl = 2, .ipv6 = true, .padding = 4},
		{.payload = 400, .unfinished = true},
		{.payload = 401, .unfinished = true, .padding = 7},
		{.payload = 402, .unfinished = true, .ipv6 = true},
		{.payload = 403, .unfinished = true, .options = 3, .vlans = 1},
		{.payload = 404, .unfinished = true, .options = 1, .ipv6 = true},
	};

	for (unsigned int i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		for (uint32_t endpoint = 0; endpoint < 4; endpoint++)
			check_template(&shapes[i], endpoint);
	expect(AMT_COUNT_CHECKSUM_UNFINISHED, 5 * 4);
}

/* Each TTL, since the IPv4 checksum carries at some: octets out are compared with a header made
 * anew. */
static void test_every_ttl(void **state)
{
	for (unsigned int ttl = 2; ttl < 256; ttl++)
		for (unsigned int sequence = 0; sequence < 4; sequence++)
			check_template(&(struct packet_spec){.ttl = ttl,
							     .tos = sequence * 77,
							     .payload = ttl + sequence},
				       0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_foreign, reset),
		cmocka_unit_test_teardown(test_link_local, reset),
		cmocka_unit_test_teardown(test_malformed, reset),
		cmocka_unit_test_teardown(test_no_group, reset),
		cmocka_unit_test_teardown(test_lookup, reset),
		cmocka_unit_test_teardown(test_ttl, reset),
		cmocka_unit_test_teardown(test_lease_and_upstream, reset),
		cmocka_unit_test_teardown(test_no_member, reset),
		cmocka_unit_test_teardown(test_recirculates, reset),
		cmocka_unit_test_teardown(test_too_big, reset),
		cmocka_unit_test_teardown(test_event_rate, reset),
		cmocka_unit_test_teardown(test_group_rate, reset),
		cmocka_unit_test_teardown(test_shapes, reset),
		cmocka_unit_test_teardown(test_every_ttl, reset),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
