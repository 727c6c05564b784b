// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The gateway's programs, packet in, verdict and octets out, XDP and TC alike: whose data is taken
 * what is wanted, lengths, the ECN table row by row, both families each way.
 */
#include "bpf/helper_packet.h"
#include "unit/unit.h"

#include <arpa/inet.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <string.h>

#include <amt/counters.h>
#include <amt/wire.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "skel/amt_tc.skel.h"
#include "skel/amt_xdp.skel.h"

#define RELAY4 "192.0.2.1"
#define RELAY6 "2001:db8::1"
#define LOCAL4 "203.0.113.9"
#define LOCAL6 "2001:db8:9::9"
#define PORT   40000

static const uint8_t peer_mac[6] = {0x02, 0xaa, 0, 0, 0, 1};

static struct {
	struct amt_xdp *xdp;
	struct amt_tc *tc;
	bool use_tc;
	struct amt_config config;
} t;

enum verdict { PASSED, DROPPED, DELIVERED };

struct outer {
	bool ipv6;
	unsigned int vlans;
	uint8_t tos;
	const char *relay, *local; /* NULL: ours */
	unsigned int relay_port, local_port;
	unsigned int trailing; /* octets in the UDP payload behind the datagram */
	unsigned int padding;  /* octets behind the IP packet */
	uint16_t check;
};

struct frame {
	uint8_t octets[FRAME_MAX];
	uint32_t length, ip, udp, inner; /* inner: offset */
};

/* ---- maps ---- */

static int map_fd(const char *name)
{
	return bpf_object__find_map_fd_by_name(t.xdp->obj, name);
}

static void put(const char *map, const void *key, uint32_t flags)
{
	int cpus = libbpf_num_possible_cpus();
	struct amt_decap values[cpus];

	memset(values, 0, sizeof(values));
	for (int i = 0; i < cpus; i++)
		values[i].flags = flags;
	assert_int_equal(bpf_map_update_elem(map_fd(map), key, values, BPF_ANY), 0);
}

static struct amt_decap get(const char *map, const void *key)
{
	int cpus = libbpf_num_possible_cpus();
	struct amt_decap values[cpus], sum = {0};

	assert_int_equal(bpf_map_lookup_elem(map_fd(map), key, values), 0);
	for (int i = 0; i < cpus; i++) {
		sum.packets += values[i].packets;
		sum.bytes += values[i].bytes;
	}
	return sum;
}

static struct amt_decap_key relay_key(bool ipv6)
{
	return (struct amt_decap_key){packet_address(ipv6 ? RELAY6 : RELAY4),
				      packet_address(ipv6 ? LOCAL6 : LOCAL4), htons(AMT_PORT),
				      htons(PORT)};
}

static void put_relay(bool ipv6, uint32_t flags)
{
	struct amt_decap_key key = relay_key(ipv6);

	put("decap_relays", &key, flags);
	memset(&key.relay, 0, sizeof(key.relay));
	key.relay_port = 0;
	put("decap_relays", &key, 0);
}

static struct amt_group_key group_key(const char *source, const char *group)
{
	struct amt_group_key key = {.group = packet_address(group)};

	if (source)
		key.source = packet_address(source);
	return key;
}

static void want(const char *source, const char *group, uint32_t flags)
{
	struct amt_group_key key = group_key(source, group);

	put("decap_wanted", &key, flags);
}

static void put_config(void)
{
	uint32_t zero = 0;

	assert_int_equal(bpf_map_update_elem(map_fd("config"), &zero, &t.config, BPF_ANY), 0);
}

static uint64_t counter(enum amt_counter which)
{
	int cpus = libbpf_num_possible_cpus();
	uint64_t values[cpus], sum = 0;
	uint32_t key = which;

	assert_int_equal(bpf_map_lookup_elem(map_fd("counters"), &key, values), 0);
	for (int i = 0; i < cpus; i++)
		sum += values[i];
	return sum;
}

static void clear(const char *map, size_t key_size)
{
	uint8_t key[64];

	assert_true(key_size <= sizeof(key));
	while (!bpf_map_get_next_key(map_fd(map), NULL, key))
		assert_int_equal(bpf_map_delete_elem(map_fd(map), key), 0);
}

static void reset(bool use_tc)
{
	uint64_t zeros[libbpf_num_possible_cpus()];

	memset(zeros, 0, sizeof(zeros));
	t.use_tc = use_tc;
	t.config = (struct amt_config){
		.schema = AMT_SCHEMA_VERSION, .decap_ifindex = 1, .decap_mtu = 1500};
	memcpy(t.config.decap_mac, peer_mac, sizeof(peer_mac));
	put_config();
	clear("decap_relays", sizeof(struct amt_decap_key));
	clear("decap_wanted", sizeof(struct amt_group_key));
	for (uint32_t i = 0; i < AMT_DATA_COUNTERS_NUM; i++)
		bpf_map_update_elem(map_fd("counters"), &i, zeros, BPF_ANY);
	put_relay(false, AMT_DECAP_ECN);
	put_relay(true, AMT_DECAP_ECN);
	want(NULL, GROUP4, 0);
	want(NULL, GROUP6, 0);
}

/* ---- packets ---- */

static void put16(uint8_t *at, unsigned int value)
{
	at[0] = value >> 8;
	at[1] = value;
}

static void put_address(uint8_t *at, const char *text, bool ipv6)
{
	struct amt_addr addr = packet_address(text);

	memcpy(at, addr.bytes + (ipv6 ? 0 : AMT_ADDR_V4_OFFSET), ipv6 ? 16 : 4);
}

static void build_ip(uint8_t *ip, const struct outer *o, unsigned int udp_length)
{
	const char *relay = o->relay ? o->relay : o->ipv6 ? RELAY6 : RELAY4;
	const char *local = o->local ? o->local : o->ipv6 ? LOCAL6 : LOCAL4;

	if (o->ipv6) {
		ip[0] = 0x60 | o->tos >> 4;
		ip[1] = o->tos << 4;
		put16(ip + 4, udp_length);
		ip[6] = IPPROTO_UDP;
		ip[7] = 60;
	} else {
		ip[0] = 0x45;
		ip[1] = o->tos;
		put16(ip + 2, 20 + udp_length);
		ip[6] = 0x40;
		ip[8] = 60;
		ip[9] = IPPROTO_UDP;
	}
	put_address(ip + (o->ipv6 ? 8 : 12), relay, o->ipv6);
	put_address(ip + (o->ipv6 ? 24 : 16), local, o->ipv6);
	if (!o->ipv6)
		put16(ip + 10, internet_checksum(ip, 20, 0));
}

static void encapsulate(struct frame *f, const struct outer *o, const void *inner, uint32_t length)
{
	uint32_t udp_length = 8 + 2 + length + o->trailing;
	uint8_t *at = f->octets + 12;

	memset(f, 0, sizeof(*f));
	memcpy(f->octets, "\x02\x01\x02\x03\x04\x05\x02\x11\x12\x13\x14\x15", 12);
	for (unsigned int i = 0; i < o->vlans; i++, at += 4)
		memcpy(at, i + 1 < o->vlans ? "\x88\xa8\x00\x07" : "\x81\x00\x00\x2a", 4);
	put16(at, o->ipv6 ? 0x86dd : 0x0800);
	f->ip = 14 + 4 * o->vlans;
	f->udp = f->ip + (o->ipv6 ? 40 : 20);
	f->inner = f->udp + 10;
	build_ip(f->octets + f->ip, o, udp_length);
	at = f->octets + f->udp;
	put16(at, o->relay_port ? o->relay_port : AMT_PORT);
	put16(at + 2, o->local_port ? o->local_port : PORT);
	put16(at + 4, udp_length);
	put16(at + 6, o->check);
	at[8] = AMT_DATA;
	memcpy(at + 10, inner, length);
	f->length = f->udp + udp_length + o->padding;
}

static void build(struct frame *f, const struct outer *o, const struct packet_spec *spec,
		  struct packet *inner)
{
	packet_build(inner, spec);
	encapsulate(f, o, inner->frame + inner->front, inner->inner);
}

/* What is passed must be as it came. */
static enum verdict run(const struct frame *f, uint8_t *out, uint32_t *length)
{
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = f->octets, .data_size_in = f->length,
		    .data_out = out, .data_size_out = FRAME_MAX, .repeat = 1);
	int program = t.use_tc ? bpf_program__fd(t.tc->progs.amt_gateway_tc)
			       : bpf_program__fd(t.xdp->progs.amt_ingress);

	assert_int_equal(bpf_prog_test_run_opts(program, &options), 0);
	*length = options.data_size_out;
	if (options.retval == (t.use_tc ? (uint32_t)TC_ACT_UNSPEC : XDP_PASS)) {
		assert_int_equal(*length, f->length);
		assert_memory_equal(out, f->octets, *length);
		return PASSED;
	}
	if (options.retval == (t.use_tc ? TC_ACT_SHOT : XDP_DROP))
		return DROPPED;
	assert_int_equal(options.retval, t.use_tc ? TC_ACT_REDIRECT : XDP_REDIRECT);
	return DELIVERED;
}

static enum verdict verdict_of(const struct frame *f)
{
	uint8_t out[FRAME_MAX];
	uint32_t length;

	return run(f, out, &length);
}

static enum verdict verdict_for(const struct outer *o, const struct packet_spec *spec)
{
	struct packet inner;
	struct frame f;

	build(&f, o, spec, &inner);
	return verdict_of(&f);
}

static void expect_delivered(const struct frame *f, const struct packet *inner)
{
	uint8_t out[FRAME_MAX];
	uint32_t length;

	assert_int_equal(run(f, out, &length), DELIVERED);
	assert_int_equal(length, 14 + inner->inner);
	assert_memory_equal(out, inner->frame, 6); /* the group's MAC address */
	assert_memory_equal(out + 6, peer_mac, 6);
	assert_memory_equal(out + 12, inner->frame + inner->front - 2, 2 + inner->inner);
}

#define BOTH(test)                           \
	static void test##_xdp(void **state) \
	{                                    \
		reset(false);                \
		test();                      \
	}                                    \
	static void test##_tc(void **state)  \
	{                                    \
		reset(true);                 \
		test();                      \
	}

/* ---- tests ---- */

static void delivers(void)
{
	static const uint32_t payloads[] = {0, 4, 12, 64, 1316, 1400};
	struct packet inner;
	struct frame f;
	uint64_t packets = 0, bytes = 0;

	for (unsigned int outer6 = 0; outer6 < 2; outer6++)
		for (unsigned int inner6 = 0; inner6 < 2; inner6++)
			/* the stack takes tags out before TC: PROG_TEST_RUN does not */
			for (unsigned int vlans = 0; vlans < (t.use_tc ? 1 : 3); vlans++)
				for (unsigned int i = 0; i < 6; i++) {
					build(&f, &(struct outer){.ipv6 = outer6, .vlans = vlans},
					      &(struct packet_spec){.ipv6 = inner6,
								    .payload = payloads[i],
								    .sequence = i},
					      &inner);
					expect_delivered(&f, &inner);
					packets++;
					bytes += inner.inner;
				}
	assert_int_equal(counter(AMT_COUNT_DECAP_PACKETS), packets);
	assert_int_equal(counter(AMT_COUNT_DECAP_BYTES), bytes);
}
BOTH(delivers)

static void counts_for_relay_and_group(void)
{
	struct amt_decap_key relay = relay_key(true);
	struct amt_group_key group = group_key(NULL, GROUP4);
	struct packet_spec spec = {.payload = 100};

	assert_int_equal(verdict_for(&(struct outer){.ipv6 = true}, &spec), DELIVERED);
	assert_int_equal(get("decap_relays", &relay).packets, 1);
	assert_int_equal(get("decap_relays", &relay).bytes, 128);
	assert_int_equal(get("decap_wanted", &group).packets, 1);
	assert_int_equal(get("decap_wanted", &group).bytes, 128);
	relay = relay_key(false);
	assert_int_equal(get("decap_relays", &relay).packets, 0);
}
BOTH(counts_for_relay_and_group)

static void cuts_what_is_behind(void)
{
	struct packet inner;
	struct frame f;

	for (unsigned int ipv6 = 0; ipv6 < 2; ipv6++)
		for (unsigned int n = 1; n < 60; n += 7) {
			build(&f, &(struct outer){.ipv6 = ipv6, .trailing = n, .padding = 60 - n},
			      &(struct packet_spec){.payload = 33}, &inner);
			expect_delivered(&f, &inner);
		}
}
BOTH(cuts_what_is_behind)

static void inner_fragments_and_options(void)
{
	struct packet inner;
	struct frame f;

	for (unsigned int inner6 = 0; inner6 < 2; inner6++) {
		build(&f, &(struct outer){},
		      &(struct packet_spec){.ipv6 = inner6, .payload = 64, .options = 1}, &inner);
		expect_delivered(&f, &inner);
	}
	build(&f, &(struct outer){}, &(struct packet_spec){.payload = 64, .fragment = true},
	      &inner);
	expect_delivered(&f, &inner);
}
BOTH(inner_fragments_and_options)

static void foreign(void)
{
	static const struct outer forged[] = {
		{.relay = "192.0.2.2"},
		{.relay_port = 2269},
		{.relay_port = PORT},
		{.ipv6 = true, .relay = "2001:db8::2"},
		{.ipv6 = true, .relay_port = 1},
	};
	static const struct outer others[] = {
		{.local = "203.0.113.8"},
		{.local_port = PORT + 1},
		{.ipv6 = true, .local = "2001:db8:9::8"},
		{.relay = "192.0.2.2", .local = "203.0.113.8"},
	};
	struct packet_spec spec = {.payload = 64};

	for (unsigned int i = 0; i < 5; i++) {
		assert_int_equal(verdict_for(&forged[i], &spec), DROPPED);
		assert_int_equal(counter(AMT_COUNT_DECAP_FOREIGN), i + 1);
	}
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(verdict_for(&others[i], &spec), PASSED);
	assert_int_equal(counter(AMT_COUNT_DECAP_FOREIGN), 5);
	assert_int_equal(counter(AMT_COUNT_DECAP_PACKETS), 0);
}
BOTH(foreign)

/* Other AMT messages, versions, protocols, outer fragments, options, a wrong header checksum; every
 * length that ends before the AMT header does. */
static void left_to_the_stack(void)
{
	struct packet_spec spec = {.payload = 64};
	struct packet inner;
	struct frame f;

	for (unsigned int first = 0; first < 256; first++) {
		build(&f, &(struct outer){.ipv6 = first & 1}, &spec, &inner);
		f.octets[f.udp + 8] = first;
		assert_int_equal(verdict_of(&f), first == AMT_DATA ? DELIVERED : PASSED);
	}
	for (unsigned int ipv6 = 0; ipv6 < 2; ipv6++) {
		build(&f, &(struct outer){.ipv6 = ipv6}, &spec, &inner);
		f.octets[f.ip + (ipv6 ? 6 : 9)] = IPPROTO_TCP;
		assert_int_equal(verdict_of(&f), PASSED);
		build(&f, &(struct outer){.ipv6 = ipv6}, &spec, &inner);
		/* PROG_TEST_RUN wants whole IP headers for TC */
		for (f.length = t.use_tc ? f.udp : 14; f.length < f.inner; f.length++)
			assert_int_equal(verdict_of(&f), PASSED);
	}
	build(&f, &(struct outer){}, &spec, &inner);
	f.octets[f.ip + 6] = 0x20; /* MF */
	assert_int_equal(verdict_of(&f), PASSED);
	build(&f, &(struct outer){}, &spec, &inner);
	f.octets[f.ip] = 0x46;
	assert_int_equal(verdict_of(&f), PASSED);
	build(&f, &(struct outer){}, &spec, &inner);
	f.octets[f.ip + 8]--; /* the TTL: its checksum is wrong now */
	assert_int_equal(verdict_of(&f), PASSED);
	build(&f, &(struct outer){.ipv6 = true}, &spec, &inner);
	f.octets[f.ip + 6] = IPPROTO_FRAGMENT;
	assert_int_equal(verdict_of(&f), PASSED);
}
BOTH(left_to_the_stack)

static void expect_malformed(const struct frame *f, unsigned int *n)
{
	assert_int_equal(verdict_of(f), DROPPED);
	assert_int_equal(counter(AMT_COUNT_DECAP_MALFORMED), ++*n);
}

static void lengths(void)
{
	struct packet inner;
	struct frame f;
	unsigned int n = 0;

	for (unsigned int outer6 = 0; outer6 < 2; outer6++)
		for (unsigned int inner6 = 0; inner6 < 2; inner6++) {
			struct outer o = {.ipv6 = outer6};
			struct packet_spec spec = {.ipv6 = inner6, .payload = 20};
			uint32_t whole;

			/* the frame ends early; the UDP length is too small, or too large */
			build(&f, &o, &spec, &inner);
			whole = f.length;
			for (f.length = f.inner; f.length < whole; f.length++)
				expect_malformed(&f, &n);
			for (uint32_t udp = 0; udp < whole - f.udp; udp++) {
				put16(f.octets + f.udp + 4, udp);
				expect_malformed(&f, &n);
			}
			put16(f.octets + f.udp + 4, whole - f.udp + 1);
			expect_malformed(&f, &n);
			/* the inner datagram is longer than there is room for */
			build(&f, &o, &spec, &inner);
			put16(f.octets + f.inner + (inner6 ? 4 : 2),
			      inner.inner + 1 - (inner6 ? 40 : 0));
			expect_malformed(&f, &n);
		}
	for (unsigned int version = 0; version < 16; version++) {
		build(&f, &(struct outer){}, &(struct packet_spec){.payload = 64}, &inner);
		f.octets[f.inner] = version << 4 | 5;
		if (version != 4 && version != 6)
			expect_malformed(&f, &n);
	}
	f.octets[f.inner] = 0x44;
	expect_malformed(&f, &n);
}
BOTH(lengths)

static void destinations(void)
{
	static const char *const local[] = {"224.0.0.1", "224.0.0.251", "ff02::1", "ff01::5",
					    "ff32::1"};
	static const char *const unicast[] = {"192.0.2.99", "127.0.0.1", "240.0.0.1",
					      "2001:db8::99", "::1"};

	for (unsigned int i = 0; i < 5; i++) {
		want(NULL, local[i], 0);
		assert_int_equal(
			verdict_for(&(struct outer){},
				    &(struct packet_spec){.group = local[i], .ipv6 = i > 1}),
			DROPPED);
		assert_int_equal(counter(AMT_COUNT_DECAP_LINK_LOCAL), i + 1);
		want(NULL, unicast[i], 0);
		assert_int_equal(
			verdict_for(&(struct outer){},
				    &(struct packet_spec){.group = unicast[i], .ipv6 = i > 2}),
			DROPPED);
		assert_int_equal(counter(AMT_COUNT_DECAP_NOT_MULTICAST), i + 1);
	}
}
BOTH(destinations)

static void wanted(void)
{
	struct packet_spec spec = {.payload = 64, .group = "239.1.1.1"};

	assert_int_equal(verdict_for(&(struct outer){}, &spec), DROPPED);
	assert_int_equal(counter(AMT_COUNT_DECAP_UNWANTED), 1);
	want(SOURCE4, "239.1.1.1", 0);
	assert_int_equal(verdict_for(&(struct outer){}, &spec), DELIVERED);
	spec.source = "198.51.100.8";
	assert_int_equal(verdict_for(&(struct outer){}, &spec), DROPPED);
	want(NULL, "239.1.1.1", 0);
	assert_int_equal(verdict_for(&(struct outer){}, &spec), DELIVERED);
	want(SOURCE4, "239.1.1.1", AMT_DECAP_EXCLUDED);
	assert_int_equal(verdict_for(&(struct outer){}, &spec), DELIVERED);
	spec.source = SOURCE4;
	assert_int_equal(verdict_for(&(struct outer){}, &spec), DROPPED);
	assert_int_equal(counter(AMT_COUNT_DECAP_UNWANTED), 3);
}
BOTH(wanted)

static void target(void)
{
	struct packet_spec spec = {.payload = 1472};

	assert_int_equal(verdict_for(&(struct outer){}, &spec), DELIVERED);
	spec.payload++;
	assert_int_equal(verdict_for(&(struct outer){}, &spec), DROPPED);
	assert_int_equal(counter(AMT_COUNT_DECAP_TOO_BIG), 1);
	t.config.decap_ifindex = 0;
	put_config();
	assert_int_equal(verdict_for(&(struct outer){}, &spec), DROPPED);
	assert_int_equal(counter(AMT_COUNT_DECAP_NO_TARGET), 1);
	assert_int_equal(counter(AMT_COUNT_DECAP_PACKETS), 1);
}
BOTH(target)

/* RFC 6040 4.2, Figure 4: as printed there, by codepoint 0 Not-ECT, 1 ECT(1), 2 ECT(0), 3 CE. */
#define LOST 0xff
static const struct {
	uint8_t inner, outer, result;
	bool suspicious;
} figure4[16] = {
	{0, 0, 0, false}, {0, 2, 0, true},  {0, 1, 0, true},  {0, 3, LOST, true},
	{2, 0, 2, false}, {2, 2, 2, false}, {2, 1, 1, false}, {2, 3, 3, false},
	{1, 0, 1, false}, {1, 2, 1, true},  {1, 1, 1, false}, {1, 3, 3, false},
	{3, 0, 3, false}, {3, 2, 3, false}, {3, 1, 3, true},  {3, 3, 3, false},
};

static void ecn_row(unsigned int row, bool outer6, bool inner6)
{
	uint64_t suspicious = counter(AMT_COUNT_DECAP_ECN_SUSPICIOUS);
	uint64_t dropped = counter(AMT_COUNT_DECAP_ECN_DROPPED);
	bool lost = figure4[row].result == LOST;
	struct packet_spec spec = {
		.ipv6 = inner6, .payload = 64, .sequence = row, .tos = 0xb8 | figure4[row].inner};
	struct packet inner, expected;
	struct frame f;

	build(&f, &(struct outer){.ipv6 = outer6, .tos = 0x48 | figure4[row].outer}, &spec, &inner);
	if (lost) {
		assert_int_equal(verdict_of(&f), DROPPED);
	} else {
		spec.tos = 0xb8 | figure4[row].result;
		packet_build(&expected, &spec);
		expect_delivered(&f, &expected);
	}
	assert_int_equal(counter(AMT_COUNT_DECAP_ECN_SUSPICIOUS),
			 suspicious + figure4[row].suspicious);
	assert_int_equal(counter(AMT_COUNT_DECAP_ECN_DROPPED), dropped + lost);
}

static void ecn(void)
{
	for (unsigned int row = 0; row < 16; row++)
		for (unsigned int families = 0; families < 4; families++)
			ecn_row(row, families & 1, families & 2);
}
BOTH(ecn)

/* Without ECN towards the relay, what is outside means nothing. */
static void ecn_off(void)
{
	struct packet inner;
	struct frame f;

	put_relay(false, 0);
	for (unsigned int i = 0; i < 16; i++) {
		build(&f, &(struct outer){.tos = i & 3},
		      &(struct packet_spec){.payload = 64, .tos = i >> 2}, &inner);
		expect_delivered(&f, &inner);
	}
	assert_int_equal(counter(AMT_COUNT_DECAP_ECN_SUSPICIOUS), 0);
}
BOTH(ecn_off)

/* Any UDP checksum is taken, zero too, and the one that a sender on this host leaves to a
 * device; an inner one of that kind is finished by XDP. */
static void checksums(void)
{
	struct packet inner;
	struct frame f;
	uint8_t pseudo[12] = {};

	for (unsigned int i = 0; i < 2; i++) {
		build(&f, &(struct outer){.ipv6 = i, .check = 0x1234},
		      &(struct packet_spec){.payload = 5}, &inner);
		expect_delivered(&f, &inner);
	}
	build(&f, &(struct outer){}, &(struct packet_spec){.payload = 5}, &inner);
	memcpy(pseudo, f.octets + f.ip + 12, 8);
	pseudo[9] = IPPROTO_UDP;
	memcpy(pseudo + 10, f.octets + f.udp + 4, 2);
	put16(f.octets + f.udp + 6, (uint16_t)~internet_checksum(pseudo, 12, 0));
	expect_delivered(&f, &inner);
}
BOTH(checksums)

static void finishes_inner(void **state)
{
	struct packet inner, finished;
	struct frame f;

	reset(false);
	packet_build(&finished, &(struct packet_spec){.payload = 77});
	build(&f, &(struct outer){}, &(struct packet_spec){.payload = 77, .unfinished = true},
	      &inner);
	assert_memory_not_equal(inner.frame, finished.frame, finished.length);
	expect_delivered(&f, &finished);
	assert_int_equal(counter(AMT_COUNT_CHECKSUM_UNFINISHED), 1);
}

/* Several datagrams in one are the stack's to split, for the socket. */
static void gso(void **state)
{
	struct __sk_buff context = {.gso_size = 70, .gso_segs = 2};
	struct packet inner;
	struct frame f;

	reset(true);
	build(&f, &(struct outer){}, &(struct packet_spec){.payload = 200}, &inner);
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = f.octets, .data_size_in = f.length,
		    .ctx_in = &context, .ctx_size_in = sizeof(context), .repeat = 1);
	assert_int_equal(
		bpf_prog_test_run_opts(bpf_program__fd(t.tc->progs.amt_gateway_tc), &options), 0);
	assert_int_equal(options.retval, (uint32_t)TC_ACT_UNSPEC);
	assert_int_equal(counter(AMT_COUNT_DECAP_GSO), 1);
	assert_int_equal(counter(AMT_COUNT_DECAP_PACKETS), 0);
}

/* ---- programs ---- */

static void small_maps(struct bpf_object *object)
{
	struct bpf_map *map, *other;

	bpf_object__for_each_map(map, object)
	{
		if (object == t.xdp->obj || bpf_map__is_internal(map))
			continue;
		other = bpf_object__find_map_by_name(t.xdp->obj, bpf_map__name(map));
		assert_int_equal(bpf_map__reuse_fd(map, bpf_map__fd(other)), 0);
	}
}

static int setup(void **state)
{
	struct bpf_program *program;

	t.xdp = amt_xdp__open();
	assert_non_null(t.xdp);
	t.xdp->rodata->interface_flags = AMT_INTERFACE_GATEWAY;
	bpf_object__for_each_program(program, t.xdp->obj)
		bpf_program__set_autoload(program, program == t.xdp->progs.amt_ingress);
	assert_int_equal(amt_xdp__load(t.xdp), 0);
	t.tc = amt_tc__open();
	assert_non_null(t.tc);
	bpf_program__set_autoload(t.tc->progs.amt_relay_tc, false);
	small_maps(t.tc->obj);
	assert_int_equal(amt_tc__load(t.tc), 0);
	return 0;
}

static int teardown(void **state)
{
	amt_tc__destroy(t.tc);
	amt_xdp__destroy(t.xdp);
	return 0;
}

#define TESTS(test) cmocka_unit_test(test##_xdp), cmocka_unit_test(test##_tc)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TESTS(delivers),
		TESTS(counts_for_relay_and_group),
		TESTS(cuts_what_is_behind),
		TESTS(inner_fragments_and_options),
		TESTS(foreign),
		TESTS(left_to_the_stack),
		TESTS(lengths),
		TESTS(destinations),
		TESTS(wanted),
		TESTS(target),
		TESTS(ecn),
		TESTS(ecn_off),
		TESTS(checksums),
		cmocka_unit_test(finishes_inner),
		cmocka_unit_test(gso),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
