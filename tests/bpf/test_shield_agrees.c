// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * With the shield and without, everything is the same. One amtd stands behind a shield, one alone;
 * both get the same frames, good and mutated ones, through the kernel's own stack. What the shield
 * answers is what the lonely one answers, octet by octet; what it drops, that one would neither
 * have answered nor taken; what it lets through is unchanged. In the end both have the same state.
 */
#include "unit/unit.h"
#include "bpf/helper_fuzz.h"
#include "bpf/helper_stack.h"
#include "unit/helper_relay.h"

#include <arpa/inet.h>
#include <linux/bpf.h>
#include <string.h>
#include <amt/wire.h>

#define FRAMES_EACH 25000 /* of each policy */

static struct shield s;
static struct shield_frame f;
static struct stack stack;
static struct world *behind, *alone;
static unsigned int frame;			       /* in hand */
static unsigned int answered, dropped, passed, handed; /* frames, messages of those passed */

/* ---- both ---- */

static void feed(struct world *w, const struct stack_datagram *datagram)
{
	w->nsent = 0;
	world_receive(w, &datagram->local, &datagram->peer, datagram->octets, datagram->length);
}

static void expect_answer(void)
{
	bool ipv6 = f.octets[f.ip] >> 4 == 6;
	const uint8_t *udp = s.out + 14 + (ipv6 ? 40 : 20);
	const char *why;

	if (!shield_is_answer(&s, &f, &why))
		fail_msg("frame %u: wrong answer: %s", frame, why);
	if (!stack.ngot) { /* a checksum left to a device by chance: nobody finishes it here */
		shield_checksums(&f);
		stack_deliver(&stack, &f);
	}
	if (stack.ngot != 1)
		fail_msg("frame %u is answered, but the stack delivers %u messages", frame,
			 stack.ngot);
	feed(alone, stack.got);
	assert_int_equal(alone->nsent, 1);
	assert_int_equal(udp[4] << 8 | udp[5], 8 + alone->sent_len);
	assert_memory_equal(udp + 8, alone->sent, alone->sent_len);
	answered++;
}

static void expect_silence(void)
{
	for (unsigned int i = 0; i < stack.ngot; i++) {
		feed(alone, &stack.got[i]);
		assert_int_equal(alone->nsent, 0);
	}
	dropped++;
}

static void expect_untouched(void)
{
	assert_int_equal(s.out_length, f.length);
	assert_memory_equal(s.out, f.octets, f.length);
	for (unsigned int i = 0; i < stack.ngot; i++) {
		feed(alone, &stack.got[i]);
		feed(behind, &stack.got[i]);
		assert_int_equal(behind->nsent, alone->nsent);
		if (alone->nsent)
			assert_memory_equal(behind->sent, alone->sent, alone->sent_len);
		handed++;
	}
	passed++;
}

/* As service_shield.c does after each batch of messages. */
static void tell_shield(bool first)
{
	struct amt_shield policy;

	relay_shield(behind->relay, &policy);
	policy.port = htons(AMT_PORT);
	policy.previous_ns = UINT64_MAX / 2; /* the worlds' clock stands still */
	if (!first && !memcmp(&policy, &s.policy, sizeof(policy)))
		return;
	s.policy = policy;
	shield_policy(&s);
}

static void agree(void)
{
	int verdict;

	fuzz_frame(&f);
	verdict = shield_run(&s, &f);
	stack_deliver(&stack, &f);
	switch (verdict) {
	case XDP_TX:
		expect_answer();
		break;
	case XDP_DROP:
		expect_silence();
		break;
	default:
		assert_int_equal(verdict, XDP_PASS);
		expect_untouched();
	}
	assert_int_equal(relay_tunnels(behind->relay), relay_tunnels(alone->relay));
	tell_shield(false);
}

static void same_state(void)
{
	for (unsigned int i = 0; i < WORLD_TUNNELS; i++) {
		const struct world_tunnel *a = &behind->tunnels[i], *b = &alone->tunnels[i];

		assert_int_equal(a->exists, b->exists);
		if (a->exists) {
			assert_true(sockaddr_equal(&a->gateway, &b->gateway));
			assert_int_equal(a->ecn, b->ecn);
		}
	}
	for (unsigned int i = 0; i < WORLD_SETS; i++) {
		const struct world_set *a = &behind->sets[i], *b = &alone->sets[i];

		assert_int_equal(a->exists, b->exists);
		if (a->exists)
			assert_memory_equal(a->member, b->member, sizeof(a->member));
	}
}

/* ---- policies ---- */

static struct amt_prefix permitted[2];

static void teardown_on(struct relay_options *options)
{
	options->teardown = TEARDOWN_ON;
	options->accept_linux_p = false;
	options->query_interval_s = 300;
}

static void teardown_off(struct relay_options *options)
{
	options->teardown = TEARDOWN_OFF;
	options->robustness = 7;
}

static void short_macs(struct relay_options *options)
{
	options->accept_short_mac = true;
}

static void few_tunnels(struct relay_options *options)
{
	options->max_tunnels = 5;
}

static void nothing_repeated(struct relay_options *options)
{
	options->accept_repeated_mac = false;
	options->query_source6 = packet_address("fe80::1234");
}

static void few_gateways(struct relay_options *options)
{
	assert_int_equal(prefix_parse("203.0.113.0/24", &permitted[0]), 0);
	assert_int_equal(prefix_parse("2001:db8:9::/48", &permitted[1]), 0);
	options->permit_gateways = permitted;
	options->npermit_gateways = 2;
	for (unsigned int i = 0; i < 2; i++)
		shield_permit(&s, 0, permitted[i].bits, &permitted[i].addr);
}

struct policy {
	void (*change)(struct relay_options *options);
	bool draining;
};

static struct world *new_world(const struct policy *policy)
{
	const struct amt_addr relay4 = packet_address(RELAY4), relay6 = packet_address(RELAY6);
	struct world *w = world_new();

	w->secrets[0] = shield_key('c');
	w->secrets[1] = shield_key('p');
	w->options.requests_per_second = 0; /* the clocks differ */
	if (policy->change)
		policy->change(&w->options);
	world_start(w);
	relay_set_draining(w->relay, policy->draining);
	assert_int_equal(relay_add_address(w->relay, &relay4), 0);
	assert_int_equal(relay_add_address(w->relay, &relay6), 0);
	return w;
}

static void try_policy(void **state)
{
	const struct policy *policy = *state;

	shield_reset(&s);
	shield_secret(&s, 1, 'p', 1);
	answered = dropped = passed = handed = 0;
	behind = new_world(policy);
	alone = new_world(policy);
	tell_shield(true);
	for (frame = 0; frame < FRAMES_EACH; frame++)
		agree();
	same_state();
	print_message("%u frames: %u answered, %u dropped, %u passed, %u messages of these to "
		      "amtd, %u tunnels\n",
		      FRAMES_EACH, answered, dropped, passed, handed, relay_tunnels(alone->relay));
	/* it was about something */
	assert_true(answered > FRAMES_EACH / 20);
	assert_true(dropped > FRAMES_EACH / 20);
	assert_true(handed > FRAMES_EACH / 20);
	assert_true(policy->draining || relay_tunnels(alone->relay) > 0);
	world_free(behind);
	world_free(alone);
}

static int open_all(void **state)
{
	shield_open(&s);
	stack_open(&stack, &s);
	return 0;
}

static int close_all(void **state)
{
	stack_close(&stack);
	shield_close(&s);
	return 0;
}

int main(void)
{
	static struct policy by_default,
		on = {.change = teardown_on}, off = {.change = teardown_off},
		draining = {.draining = true}, limit = {.change = few_tunnels},
		short_mac = {.change = short_macs}, once = {.change = nothing_repeated},
		few = {.change = few_gateways};
	const struct CMUnitTest tests[] = {
#define TEST(name, policy) {name, try_policy, NULL, NULL, &(policy)}
		TEST("by default", by_default),
		TEST("gateway fields for all", on),
		TEST("gateway fields for none", off),
		TEST("draining", draining),
		TEST("five tunnels at most", limit),
		TEST("four octets of a MAC are enough", short_mac),
		TEST("no MAC counts for longer than its secret", once),
		TEST("few gateways are permitted", few),
	};

	return cmocka_run_group_tests(tests, open_all, close_all);
}
