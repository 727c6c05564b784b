/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ICMP errors about Multicast Data (RFC 7450 5.3.3.6.4, R-95, R-175): which are believed, and what
 * a run of them does. */
#include "unit/unit.h"
#include "unit/helper_relay.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <amt/wire.h>
#include "base/checksum.h"
#include "relay/icmp_unreachable.h"

#define GATEWAY_PORT 40000

/* What the tests change of a right message, as it comes from the gateway's host. */
struct made {
	uint8_t type, code, quoted_version, quoted_ihl, quoted_protocol, quoted_fragment, first;
	bool wrong_checksum;
};

static const struct made made4 = {3, 3, 4, 5, IPPROTO_UDP, 0, AMT_DATA, false};
static const struct made made6 = {1, 4, 6, 0, IPPROTO_UDP, 0, AMT_DATA, false};

/* Header of the quoted packet. Returns its length. */
static size_t put_ip(const struct made *made, bool ipv6, uint8_t *at)
{
	struct amt_addr from = address(ipv6 ? RELAY6 : RELAY4);
	struct amt_addr to = address(ipv6 ? GATEWAY6 : GATEWAY4);

	at[0] = (uint8_t)(made->quoted_version << 4 | made->quoted_ihl);
	if (ipv6) {
		at[6] = made->quoted_protocol;
		memcpy(at + 8, from.bytes, 16);
		memcpy(at + 24, to.bytes, 16);
		return AMT_IPV6_HLEN;
	}
	at[6] = 0x40; /* DF */
	at[7] = made->quoted_fragment;
	at[9] = made->quoted_protocol;
	memcpy(at + 12, from.bytes + AMT_ADDR_V4_OFFSET, 4);
	memcpy(at + 16, to.bytes + AMT_ADDR_V4_OFFSET, 4);
	return (size_t)made->quoted_ihl * 4;
}

/* A message that quotes `data` octets of the UDP payload. Returns its length. */
static size_t make(const struct made *made, bool ipv6, size_t data, uint8_t *buf)
{
	__be16 port = htons(AMT_PORT), gateway = htons(GATEWAY_PORT), checksum;
	size_t len = 8;

	memset(buf, 0, 256);
	buf[0] = made->type;
	buf[1] = made->code;
	len += put_ip(made, ipv6, buf + len);
	memcpy(buf + len, &port, 2);
	memcpy(buf + len + 2, &gateway, 2);
	len += AMT_UDP_HLEN;
	if (data)
		buf[len] = made->first;
	len += data;
	checksum = checksum_finish(checksum_add(0, buf, len));
	memcpy(buf + 2, &checksum, 2);
	buf[2] ^= made->wrong_checksum;
	return len;
}

/* On the heap, as long as it is: ASan sees an overread. */
static bool parse(bool ipv6, const uint8_t *buf, size_t len, struct amt_sockaddr *relay,
		  struct amt_sockaddr *gateway)
{
	struct exact exact = exact_copy(buf, len);
	bool ret = icmp_unreachable_parse(ipv6, exact.data, len, relay, gateway);

	free_exact(&exact);
	return ret;
}

static bool believed(const struct made *made, bool ipv6, size_t data)
{
	struct amt_sockaddr relay, gateway;
	uint8_t buf[256];
	size_t len = make(made, ipv6, data, buf);

	return parse(ipv6, buf, len, &relay, &gateway);
}

static void names_relay_and_gateway(void **state)
{
	struct amt_sockaddr relay, gateway;
	struct amt_addr expected;
	uint8_t buf[256];
	size_t len;
	int ipv6;

	for (ipv6 = 0; ipv6 < 2; ipv6++) {
		len = make(ipv6 ? &made6 : &made4, ipv6, 30, buf);
		assert_true(parse(ipv6, buf, len, &relay, &gateway));
		expected = address(ipv6 ? RELAY6 : RELAY4);
		assert_true(addr_equal(&relay.addr, &expected));
		expected = address(ipv6 ? GATEWAY6 : GATEWAY4);
		assert_true(addr_equal(&gateway.addr, &expected));
		assert_int_equal(ntohs(relay.port), AMT_PORT);
		assert_int_equal(ntohs(gateway.port), GATEWAY_PORT);
	}
}

/* RFC 792: only eight octets of the quoted packet's payload need be there. */
static void takes_a_short_quote_but_no_shorter(void **state)
{
	struct amt_sockaddr relay, gateway;
	uint8_t buf[256];
	size_t whole, len;
	int ipv6;

	for (ipv6 = 0; ipv6 < 2; ipv6++) {
		struct made made = ipv6 ? made6 : made4;

		whole = make(&made, ipv6, 0, buf);
		assert_true(parse(ipv6, buf, whole, &relay, &gateway));
		for (len = 0; len < whole; len++) {
			__be16 checksum;

			buf[2] = buf[3] = 0; /* right for each length, so that the length decides */
			checksum = checksum_finish(checksum_add(0, buf, len));
			if (len >= 4)
				memcpy(buf + 2, &checksum, 2);
			assert_false(parse(ipv6, buf, len, &relay, &gateway));
		}
	}
}

static void every_code_counts_but_too_big(void **state)
{
	struct made made;
	int code;

	for (code = 0; code < 16; code++) {
		made = made4;
		made.code = (uint8_t)code;
		assert_int_equal(believed(&made, false, 30), code != 4);
		made = made6;
		made.code = (uint8_t)code;
		assert_true(believed(&made, true, 30));
	}
}

static void refuses_what_quotes_nothing_of_ours(void **state)
{
	struct made bad[] = {made4, made4, made4, made4, made4, made4, made4, made4};
	struct made bad6[] = {made6, made6, made6, made6};
	unsigned int i;

	bad[0].type = 11; /* time exceeded */
	bad[1].wrong_checksum = true;
	bad[2].quoted_version = 6;
	bad[3].quoted_ihl = 4;
	bad[4].quoted_protocol = IPPROTO_TCP;
	bad[5].quoted_fragment = 1;
	bad[6].first = AMT_QUERY;
	bad[7].first = 0x10 | AMT_DATA;
	for (i = 0; i < 8; i++)
		assert_false(believed(&bad[i], false, 30));
	bad6[0].type = 3;
	bad6[1].quoted_version = 4;
	bad6[2].quoted_protocol = IPPROTO_TCP;
	bad6[3].first = AMT_ADVERTISEMENT;
	for (i = 0; i < 4; i++)
		assert_false(believed(&bad6[i], true, 30));
}

/* Whatever the octets: no overread, and what is believed has all it needs. */
static void survives_noise(void **state)
{
	struct amt_sockaddr relay, gateway;
	uint8_t buf[256];
	unsigned int i, at;
	size_t len;

	srand(1);
	for (i = 0; i < 20000; i++) {
		bool ipv6 = i & 1;

		len = make(ipv6 ? &made6 : &made4, ipv6, (size_t)rand() % 30, buf);
		for (at = 0; at < 3; at++)
			buf[(size_t)rand() % len] = (uint8_t)rand();
		len = (size_t)rand() % (len + 1);
		if (parse(ipv6, buf, len, &relay, &gateway))
			assert_true(len >= 8 + 20 + 8);
	}
}

/* ---- a run of them ---- */

static struct fake_gateway joined(struct world *w, uint16_t port)
{
	struct fake_gateway g = fake_at(w, GATEWAY4, port, RELAY4);

	assert_true(fake_request(&g, false));
	fake_report(&g, RECORD_TO_EX, "239.1.1.1", "");
	assert_int_not_equal(fake_tunnel(&g), UINT32_MAX);
	return g;
}

/* n seconds with errors, `each` in a second */
static void errors(struct world *w, const struct fake_gateway *g, unsigned int n, unsigned int each)
{
	unsigned int i;

	while (n--) {
		for (i = 0; i < each; i++)
			relay_unreachable(w->relay, w->now, &g->local, &g->addr);
		world_pass(w, SECONDS(1));
	}
}

static void so_many_in_a_row_end_the_tunnel(void **state)
{
	struct world *w = *state;
	struct fake_gateway g, other;

	w->options.unreachable_limit = 10;
	world_start(w);
	g = joined(w, GATEWAY_PORT);
	other = joined(w, GATEWAY_PORT + 1);
	errors(w, &g, 9, 1);
	assert_true(fake_gets(&g, "198.51.100.1", "239.1.1.1"));
	errors(w, &g, 1, 1);
	assert_int_equal(fake_tunnel(&g), UINT32_MAX);
	assert_true(fake_gets(&other, "198.51.100.1", "239.1.1.1"));
	assert_int_equal(counter_get(AMT_COUNT_DATA_UNREACHABLE), 10);
	assert_int_equal(counter_get(AMT_COUNT_TUNNEL_UNREACHABLE), 1);
	errors(w, &g, 1, 1);
	assert_int_equal(counter_get(AMT_COUNT_UNREACHABLE_IGNORED), 1);

	g = joined(
		w,
		GATEWAY_PORT); /* one that lives is back with its next Update, with a clean sheet */
	errors(w, &g, 9, 1);
	assert_true(fake_gets(&g, "198.51.100.1", "239.1.1.1"));
}

/* A burst is no run: whoever forges errors has to go on for as many seconds. */
static void all_of_a_second_count_once(void **state)
{
	struct world *w = *state;
	struct fake_gateway g;

	w->options.unreachable_limit = 3;
	world_start(w);
	g = joined(w, GATEWAY_PORT);
	errors(w, &g, 2, 1000);
	assert_int_equal(world_tunnels(w), 1);
	errors(w, &g, 1, 1);
	assert_int_equal(world_tunnels(w), 0);
}

static void an_update_begins_anew(void **state)
{
	struct world *w = *state;
	struct fake_gateway g;
	unsigned int i;

	w->options.unreachable_limit = 3;
	world_start(w);
	g = joined(w, GATEWAY_PORT);
	for (i = 0; i < 10; i++) {
		errors(w, &g, 2, 1);
		fake_report(&g, RECORD_IS_EX, "239.1.1.1", "");
	}
	assert_int_equal(counter_get(AMT_COUNT_TUNNEL_UNREACHABLE), 0);
	g.mac[0] ^= 1; /* which has to be authentic */
	w->options.accept_repeated_mac = false;
	errors(w, &g, 2, 1);
	fake_report(&g, RECORD_IS_EX, "239.1.1.1", "");
	errors(w, &g, 1, 1);
	assert_int_equal(world_tunnels(w), 0);
}

static void zero_is_no_limit(void **state)
{
	struct world *w = *state;
	struct fake_gateway g;

	w->options.unreachable_limit = 0;
	world_start(w);
	g = joined(w, GATEWAY_PORT);
	errors(w, &g, 200, 1);
	assert_int_equal(world_tunnels(w), 1);
	assert_int_equal(counter_get(AMT_COUNT_DATA_UNREACHABLE), 200);
}

/* errors about what never went out change nothing. */
static void of_no_tunnel(void **state)
{
	struct world *w = *state;
	struct fake_gateway g, wrong;

	w->options.unreachable_limit = 1;
	world_start(w);
	g = joined(w, GATEWAY_PORT);
	wrong = g;
	wrong.addr.port = htons(GATEWAY_PORT + 1);
	errors(w, &wrong, 2, 1);
	wrong = g;
	wrong.local.port = htons(AMT_PORT + 1);
	errors(w, &wrong, 2, 1);
	wrong = g;
	wrong.local.addr = address("192.0.2.2");
	errors(w, &wrong, 2, 1);
	assert_int_equal(world_tunnels(w), 1);
	assert_int_equal(counter_get(AMT_COUNT_UNREACHABLE_IGNORED), 6);
	assert_int_equal(counter_get(AMT_COUNT_DATA_UNREACHABLE), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_relay_and_gateway),
		cmocka_unit_test(takes_a_short_quote_but_no_shorter),
		cmocka_unit_test(every_code_counts_but_too_big),
		cmocka_unit_test(refuses_what_quotes_nothing_of_ours),
		cmocka_unit_test(survives_noise),
		cmocka_unit_test_setup_teardown(so_many_in_a_row_end_the_tunnel, world_setup,
						world_teardown),
		cmocka_unit_test_setup_teardown(all_of_a_second_count_once, world_setup,
						world_teardown),
		cmocka_unit_test_setup_teardown(an_update_begins_anew, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(zero_is_no_limit, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(of_no_tunnel, world_setup, world_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
