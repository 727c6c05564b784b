/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses: families, scopes and prefixes. */
#include "unit/unit.h"

#include <errno.h>
#include <string.h>
#include "base/addr.h"

static struct amt_addr addr(const char *text)
{
	struct amt_addr out;

	assert_int_equal(addr_parse(text, &out), 0);
	return out;
}

static void parse_and_print(void **state)
{
	static const char *const good[] = {"192.0.2.1", "2001:db8::1", "ff3e::8000:1", "fe80::1"};
	static const char *const bad[] = {"", "1.2.3", "1.2.3.4.5", "2001:db8:::1", "eth0"};
	char buf[AMT_ADDR_STRLEN];
	struct amt_addr out;
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		out = addr(good[i]);
		assert_string_equal(addr_print(&out, buf), good[i]);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(addr_parse(bad[i], &out), -EINVAL);
	memset(&out, 0, sizeof(out));
	assert_string_equal(addr_print(&out, buf), "*");
}

static void scopes(void **state)
{
	static const struct {
		const char *text;
		bool multicast, local, ssm, source;
	} row[] = {
		{"192.0.2.1", false, false, false, true},
		{"127.0.0.1", false, false, false, false},
		{"255.255.255.255", false, false, false, false},
		{"224.0.0.1", true, true, false, false},
		{"224.0.1.1", true, false, false, false},
		{"232.1.1.1", true, false, true, false},
		{"239.1.1.1", true, false, false, false},
		{"::1", false, false, false, false},
		{"2001:db8::1", false, false, false, true},
		{"ff02::1", true, true, false, false},
		{"ff01::1", true, true, false, false},
		{"ff3e::1", true, false, true, false},
		{"ff3e:30::1", true, false, false, false},
		{"ff0e::1", true, false, false, false},
	};
	size_t i;

	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct amt_addr a = addr(row[i].text);

		assert_int_equal(addr_is_multicast(&a), row[i].multicast);
		assert_int_equal(addr_is_multicast_local(&a), row[i].local);
		assert_int_equal(addr_is_ssm(&a), row[i].ssm);
		assert_int_equal(addr_is_unicast_source(&a), row[i].source);
	}
}

static void prefixes(void **state)
{
	struct amt_prefix prefix;
	struct amt_addr in = addr("192.0.2.77"), out = addr("192.0.3.1");
	char buf[AMT_PREFIX_STRLEN];

	assert_int_equal(prefix_parse("192.0.2.0/24", &prefix), 0);
	assert_true(prefix_contains(&prefix, &in));
	assert_false(prefix_contains(&prefix, &out));
	assert_string_equal(prefix_print(&prefix, buf), "192.0.2.0/24");
	assert_int_equal(prefix_parse("0.0.0.0/0", &prefix), 0);
	assert_true(prefix_contains(&prefix, &out));
	in = addr("2001:db8::1");
	assert_false(prefix_contains(&prefix, &in));
	assert_int_equal(prefix_parse("::/0", &prefix), 0);
	assert_true(prefix_contains(&prefix, &in));
	assert_string_equal(prefix_print(&prefix, buf), "::/0");
	assert_int_equal(prefix_parse("192.0.2.1/24", &prefix), -EINVAL);
	assert_int_equal(prefix_parse("192.0.2.0/33", &prefix), -EINVAL);
	assert_int_equal(prefix_parse("192.0.2.0/", &prefix), -EINVAL);
}

static void native_form(void **state)
{
	struct amt_sockaddr sa = {.addr = addr("192.0.2.1"), .port = htons(2268)}, back;
	struct sockaddr_storage native;
	char buf[AMT_SOCKADDR_STRLEN];

	assert_int_equal(sockaddr_to_native(&sa, &native), sizeof(struct sockaddr_in));
	assert_int_equal(sockaddr_from_native((struct sockaddr *)&native, &back), 0);
	assert_true(sockaddr_equal(&sa, &back));
	assert_string_equal(sockaddr_print(&sa, buf), "192.0.2.1:2268");
	sa.addr = addr("2001:db8::1");
	assert_int_equal(sockaddr_to_native(&sa, &native), sizeof(struct sockaddr_in6));
	assert_int_equal(sockaddr_from_native((struct sockaddr *)&native, &back), 0);
	assert_true(sockaddr_equal(&sa, &back));
	assert_string_equal(sockaddr_print(&sa, buf), "[2001:db8::1]:2268");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse_and_print),
		cmocka_unit_test(scopes),
		cmocka_unit_test(prefixes),
		cmocka_unit_test(native_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
