// SPDX-License-Identifier: GPL-2.0-or-later
/* See helper_shield.h. */
#include "bpf/helper_shield.h"
#include "unit/unit.h"

#include <arpa/inet.h>
#include <linux/bpf.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <amt/wire.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "bpf/net.h"
#include "proto/query.h"

static const uint8_t own_mac[6] = {0x02, 0, 0, 0, 0, 0x01};
static const uint8_t peer_mac[6] = {0x02, 0, 0, 0, 0, 0x99};

#define LOOPBACK 1 /* what a program that is only tried out comes in by */

int shield_map(struct shield *s, const char *name)
{
	return bpf_object__find_map_fd_by_name(s->xdp->obj, name);
}

static void put(struct shield *s, const char *map, const void *key, const void *value)
{
	assert_int_equal(bpf_map_update_elem(shield_map(s, map), key, value, BPF_ANY), 0);
}

static void clear(struct shield *s, const char *map)
{
	uint8_t key[64];

	while (!bpf_map_get_next_key(shield_map(s, map), NULL, key))
		assert_int_equal(bpf_map_delete_elem(shield_map(s, map), key), 0);
}

struct amt_secret shield_key(char letter)
{
	struct amt_secret secret = {.installed_ns = 1};

	memset(secret.key, letter, sizeof(secret.key));
	return secret;
}

void shield_secret(struct shield *s, unsigned int index, char letter, uint64_t installed_ns)
{
	struct amt_secret secret = shield_key(letter);

	secret.installed_ns = installed_ns;
	put(s, "secrets", &index, &secret);
}

/* Into the slot that is not valid, as amtd does it. */
void shield_policy(struct shield *s)
{
	uint32_t zero = 0, slot = s->config.shield % AMT_SHIELD_SLOTS;

	put(s, "shield", &slot, &s->policy);
	s->config.shield = slot + 1;
	put(s, "config", &zero, &s->config);
}

static void put_address(struct shield *s, const char *local, const char *advertised)
{
	const struct amt_addr key = packet_address(local);
	const struct amt_shield_address value = {packet_address(advertised)};

	put(s, "shield_addresses", &key, &value);
}

void shield_permit(struct shield *s, uint32_t list, uint32_t bits, const struct amt_addr *addr)
{
	const struct amt_shield_prefix prefix = {AMT_SHIELD_LIST_BITS + bits, list, *addr};
	const uint32_t one = 1;

	put(s, "shield_permitted", &prefix, &one);
}

static int listener(const char *text)
{
	const struct amt_sockaddr at = {packet_address(text), htons(AMT_PORT)};
	struct sockaddr_storage native;
	socklen_t length = sockaddr_to_native(&at, &native);
	int fd = socket(native.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0), one = 1;

	assert_true(fd >= 0);
	setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &one, sizeof(one));
	setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &one, sizeof(one));
	assert_int_equal(bind(fd, (struct sockaddr *)&native, length), 0);
	return fd;
}

void shield_listen(struct shield *s, bool listen)
{
	static const char *const address[] = SHIELD_ADDRESSES;

	for (unsigned int i = 0; i < SHIELD_SOCKETS; i++) {
		if (s->sockets[i] >= 0)
			close(s->sockets[i]);
		s->sockets[i] = listen ? listener(address[i]) : -1;
	}
}

void shield_reset(struct shield *s)
{
	uint64_t zeros[libbpf_num_possible_cpus()];
	struct amt_shield_link link = {.uplink = 0};
	const struct query_params params4 = {.robustness = 2, .interval_s = 125},
				  params6 = {packet_address("fe80::1"), 2, 125};
	uint32_t loopback = LOOPBACK;

	memset(zeros, 0, sizeof(zeros));
	for (uint32_t i = 0; i < AMT_DATA_COUNTERS_NUM; i++)
		put(s, "counters", &i, zeros);
	clear(s, "shield_addresses");
	clear(s, "shield_permitted");
	clear(s, "shield_sources");
	clear(s, "shield_gateways");
	memcpy(link.mac, own_mac, sizeof(own_mac));
	put(s, "shield_links", &loopback, &link);
	put_address(s, RELAY4, RELAY4);
	put_address(s, RELAY6, RELAY6);
	put_address(s, DISCOVERY4, RELAY4);
	shield_secret(s, 0, 'c', 1);
	shield_secret(s, 1, 'p', 0);
	s->config = (struct amt_config){.schema = AMT_SCHEMA_VERSION};
	s->policy = (struct amt_shield){
		.port = htons(AMT_PORT),
		.flags = AMT_SHIELD_G_ECN | AMT_SHIELD_LINUX_P | AMT_SHIELD_REPEATED,
		.previous_ns = UINT64_MAX / 2,
		.proven_ns = 260000000000,
	};
	assert_true(query_write(false, &params4, s->policy.igmp_query, QUERY_IGMP_LEN) > 0);
	assert_true(query_write(true, &params6, s->policy.mld_query, QUERY_MLD_LEN) > 0);
	shield_policy(s);
}

void shield_open(struct shield *s)
{
	struct bpf_program *program;

	memset(s, 0, sizeof(*s));
	memset(s->sockets, 0xff, sizeof(s->sockets));
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	net_run("ip link set lo up");
	s->xdp = amt_xdp__open();
	assert_non_null(s->xdp);
	s->xdp->rodata->interface_flags = AMT_INTERFACE_UPLINK;
	bpf_object__for_each_program(program, s->xdp->obj)
		bpf_program__set_autoload(program, program == s->xdp->progs.amt_ingress);
	assert_int_equal(amt_xdp__load(s->xdp), 0);
	shield_listen(s, true);
	shield_reset(s);
}

void shield_close(struct shield *s)
{
	shield_listen(s, false);
	amt_xdp__destroy(s->xdp);
}

struct shield shield;

int shield_setup_all(void **state)
{
	shield_open(&shield);
	return 0;
}

int shield_setup(void **state)
{
	shield_reset(&shield);
	return 0;
}

int shield_teardown_all(void **state)
{
	shield_close(&shield);
	return 0;
}

uint64_t shield_counter(struct shield *s, enum amt_counter counter)
{
	uint64_t values[libbpf_num_possible_cpus()], sum = 0;
	uint32_t key = counter;

	assert_int_equal(bpf_map_lookup_elem(shield_map(s, "counters"), &key, values), 0);
	for (int i = 0; i < libbpf_num_possible_cpus(); i++)
		sum += values[i];
	return sum;
}

/* ---- frames ---- */

static void put16(uint8_t *at, unsigned int value)
{
	at[0] = value >> 8;
	at[1] = value;
}

static unsigned int get16(const uint8_t *at)
{
	return at[0] << 8 | at[1];
}

static uint16_t udp_checksum(const uint8_t *ip, const uint8_t *udp, uint32_t length)
{
	bool ipv6 = ip[0] >> 4 == 6;
	uint16_t addresses = ~internet_checksum(ip + (ipv6 ? 8 : 12), ipv6 ? 32 : 8, 0);

	return internet_checksum(udp, length, (uint64_t)addresses + IPPROTO_UDP + length);
}

void shield_checksums(struct shield_frame *frame)
{
	uint8_t *ip = frame->octets + frame->ip, *udp = frame->octets + frame->udp;
	uint32_t length = get16(udp + 4);
	uint16_t check;

	if (length > sizeof(frame->octets) - frame->udp) /* mutated */
		return;

	if (ip[0] >> 4 == 4) {
		put16(ip + 10, 0);
		put16(ip + 10, internet_checksum(ip, (ip[0] & 15) * 4, 0));
	}
	put16(udp + 6, 0);
	check = udp_checksum(ip, udp, length);
	put16(udp + 6, check ? check : 0xffff);
}

void shield_build(struct shield_frame *f, const char *from, unsigned int port, const char *to,
		  const void *payload, uint32_t length)
{
	struct amt_addr source = packet_address(from), local = packet_address(to);
	bool ipv6 = strchr(from, ':');
	uint8_t *ip = f->octets + 14;

	memset(f, 0, sizeof(*f));
	memcpy(f->octets, own_mac, 6);
	memcpy(f->octets + 6, peer_mac, 6);
	put16(f->octets + 12, ipv6 ? 0x86dd : 0x0800);
	f->ip = 14;
	f->udp = f->ip + (ipv6 ? 40 : 20);
	f->payload = f->udp + 8;
	f->length = f->payload + length;
	if (ipv6) {
		ip[0] = 0x60;
		put16(ip + 4, 8 + length);
		ip[6] = IPPROTO_UDP;
		ip[7] = 61;
		memcpy(ip + 8, source.bytes, 16);
		memcpy(ip + 24, local.bytes, 16);
	} else {
		ip[0] = 0x45;
		put16(ip + 2, 28 + length);
		put16(ip + 4, 0x4711);
		ip[8] = 61;
		ip[9] = IPPROTO_UDP;
		memcpy(ip + 12, source.bytes + 12, 4);
		memcpy(ip + 16, local.bytes + 12, 4);
	}
	put16(f->octets + f->udp, port);
	put16(f->octets + f->udp + 2, AMT_PORT);
	put16(f->octets + f->udp + 4, 8 + length);
	memcpy(f->octets + f->payload, payload, length);
	shield_checksums(f);
	if (f->length < 60) /* a driver hands over Ethernet's padding, too */
		f->length = 60;
}

void shield_message(struct shield_frame *frame, const char *from, const struct amt_message *msg)
{
	uint8_t octets[512];
	int length = message_write(msg, octets, sizeof(octets));

	assert_true(length > 0);
	shield_build(frame, from, PORT, strchr(from, ':') ? RELAY6 : RELAY4, octets, length);
}

int shield_run(struct shield *s, const struct shield_frame *frame)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame->octets,
		    .data_size_in = frame->length, .data_out = s->out,
		    .data_size_out = sizeof(s->out));

	assert_int_equal(bpf_prog_test_run_opts(bpf_program__fd(s->xdp->progs.amt_ingress), &opts),
			 0);
	s->out_length = opts.data_size_out;
	return (int)opts.retval;
}

/* ---- answers ---- */

static bool swapped(const uint8_t *a, const uint8_t *b, uint32_t each)
{
	return !memcmp(a, b + each, each) && !memcmp(a + each, b, each);
}

/* Of everything in front of the message: RFC 7450 5.1.2, 5.1.4, R-13, R-30. */
bool shield_is_answer(struct shield *s, const struct shield_frame *q, const char **why)
{
	bool ipv6 = q->octets[q->ip] >> 4 == 6;
	const uint8_t *ip = s->out + 14, *udp = ip + (ipv6 ? 40 : 20);
	uint32_t total = ipv6 ? 40 + get16(ip + 4) : get16(ip + 2);
	uint32_t room = s->out_length - 14, length = get16(udp + 4);

	*why = "MAC addresses or type";
	if (!swapped(s->out, q->octets, 6) || memcmp(s->out + 12, q->octets + 12, 2))
		return false;
	*why = "lengths";
	if (s->out_length < 60 || total > room || (total < room && s->out_length != 60) ||
	    length != total - (ipv6 ? 40 : 20) || length <= 8)
		return false;
	*why = "IP header";
	if (ipv6 ? memcmp(ip, "\x6c\0\0\0", 4) || ip[6] != IPPROTO_UDP || ip[7] != 64
		 : memcmp(ip, "\x45\xc0", 2) || memcmp(ip + 4, "\0\0\x40\0\x40\x11", 6) ||
			    internet_checksum(ip, 20, 0))
		return false;
	*why = "addresses or ports";
	if (!swapped(ip + (ipv6 ? 8 : 12), q->octets + q->ip + (ipv6 ? 8 : 12), ipv6 ? 16 : 4) ||
	    !swapped(udp, q->octets + q->udp, 2))
		return false;
	*why = "UDP checksum";
	if (!get16(udp + 6) || udp_checksum(ip, udp, length))
		return false;
	*why = "padding";
	for (uint32_t i = total; i < room; i++)
		if (ip[i])
			return false;
	return true;
}

struct amt_message shield_answer(struct shield *s, const struct shield_frame *question)
{
	bool ipv6 = question->octets[question->ip] >> 4 == 6;
	const uint8_t *udp = s->out + 14 + (ipv6 ? 40 : 20);
	struct amt_message msg;
	const char *why;

	if (!shield_is_answer(s, question, &why))
		fail_msg("wrong answer: %s", why);
	assert_int_equal(message_parse(udp + 8, get16(udp + 4) - 8, &msg), 0);
	return msg;
}
