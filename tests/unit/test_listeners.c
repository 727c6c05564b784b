/* SPDX-License-Identifier: GPL-2.0-or-later */
/* /proc/net/igmp and igmp6 as kernels print them. */
#include "unit/unit.h"

#include <stdio.h>
#include <string.h>
#include <arpa/inet.h>
#include "relay/listeners.h"

static char seen[1024];

static void note(void *arg, uint32_t ifindex, const struct amt_addr *group, unsigned int users)
{
	char addr[AMT_ADDR_STRLEN], line[128];

	snprintf(line, sizeof(line), "%u %s %u\n", ifindex, addr_print(group, addr), users);
	strncat(seen, line, sizeof(seen) - strlen(seen) - 1);
}

static void parse(void (*fn)(FILE *file, listeners_fn fn, void *arg), const char *text)
{
	FILE *file = fmemopen((char *)text, strlen(text), "r");

	assert_non_null(file);
	seen[0] = '\0';
	fn(file, note, NULL);
	fclose(file);
}

static void igmp(void **state)
{
	char text[512];

	/* groups are numbers of the host's byte order */
	snprintf(text, sizeof(text),
		 "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n"
		 "1\tlo        :     1      V3\n"
		 "\t\t\t\t%08X     1 0:00000000\t\t0\n"
		 "12\teth0      :     2      V3\n"
		 "\t\t\t\t%08X     3 0:00000000\t\t0\n"
		 "\t\t\t\tgarbage\n"
		 "\t\t\t\t%08X     1 0:00000000\t\t0\n",
		 htonl(0xe0000001), htonl(0xe8010101), htonl(0xe0000001));
	parse(listeners_parse_igmp, text);
	assert_string_equal(seen, "1 224.0.0.1 1\n12 232.1.1.1 3\n12 224.0.0.1 1\n");
}

static void igmp6(void **state)
{
	parse(listeners_parse_igmp6,
	      "1    lo              ff020000000000000000000000000001     1 0000000C 0\n"
	      "garbage\n"
	      "2    eth0            ff02000000000000000000000000000     1 0000000C 0\n"
	      "14   eth0            ff3e0000000000000000000080000001     2 00000004 0\n");
	assert_string_equal(seen, "1 ff02::1 1\n14 ff3e::8000:1 2\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(igmp),
		cmocka_unit_test(igmp6),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
