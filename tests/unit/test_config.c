/* SPDX-License-Identifier: GPL-2.0-or-later */
/* amtd.conf(5): a good file, every kind of error with its line, and the manual's defaults. */
#include "unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/config.h"

static char reports[64][1024];
static unsigned int nreports;

static void report(const char *line)
{
	assert_true(nreports < 64);
	snprintf(reports[nreports++], sizeof(reports[0]), "%s", line);
}

static int read_text(const char *text, struct config *config)
{
	/* fmemopen() of nothing fails, so a newline is always there */
	size_t size = strlen(text) + 1;
	char *copy = malloc(size);
	FILE *stream;
	int ret;

	memcpy(copy, text, size - 1);
	copy[size - 1] = '\n';
	stream = fmemopen(copy, size, "r");
	nreports = 0;
	ret = config_read(stream, "t.conf", config, report);
	fclose(stream);
	free(copy);
	return ret;
}

static void good_file(void **state)
{
	struct config config;
	char buf[AMT_PREFIX_STRLEN];

	assert_int_equal(read_text("# a comment\n"
				   "log-level = debug\n"
				   "relay {\n"
				   "    address   = {\"192.0.2.1\", \"2001:db8::1\"}\n"
				   "    discovery = 192.52.193.1\n"
				   "    upstream  = {eth1, \"eth2.100\"}\n"
				   "    uplink    = {\"eth0\"}\n"
				   "    port = 3268\n"
				   "    query-interval = 20\n"
				   "    teardown = on\n"
				   "    accept-linux-p = no\n"
				   "    permit-groups = {\"232.0.0.0/8\", \"ff3e::/32\"}\n"
				   "    permit-gateways = {\"10.0.0.0/8\"}\n"
				   "    permit-gateways += {\"::/0\"}\n"
				   "    dscp = 46\n"
				   "    ttl = keep\n"
				   "    query-source-ipv4 = 192.0.2.1\n"
				   "}\n",
				   &config),
			 0);
	assert_int_equal(nreports, 0);
	assert_int_equal(config.log_level, LOG_LEVEL_DEBUG);
	assert_true(config.relay.present);
	assert_int_equal(config.relay.address.n, 2);
	assert_int_equal(config.relay.discovery.n, 1);
	assert_int_equal(config.relay.upstream.n, 2);
	assert_string_equal(config.relay.upstream.list[1], "eth2.100");
	assert_string_equal(config.relay.uplink.list[0], "eth0");
	assert_int_equal(config.relay.port, 3268);
	assert_int_equal(config.relay.query_interval, 20);
	assert_string_equal(config.relay.teardown, "on");
	assert_false(config.relay.accept_linux_p);
	assert_string_equal(prefix_print(&config.relay.permit_groups.list[1], buf), "ff3e::/32");
	assert_int_equal(config.relay.permit_gateways.n, 2);
	assert_string_equal(prefix_print(&config.relay.permit_gateways.list[1], buf), "::/0");
	assert_string_equal(config.relay.dscp, "46");
	assert_string_equal(config.relay.ttl, "keep");
	/* not named: the default */
	assert_int_equal(config.relay.robustness, 2);
	assert_string_equal(config.relay.mode, "auto");
	config_free(&config);
}

static void defaults_without_file(void **state)
{
	struct config config, empty;

	assert_int_equal(config_load(NULL, &config, report), 0);
	assert_true(config.relay.present);
	assert_int_equal(config.relay.query_interval, 125);
	assert_int_equal(config.relay.max_tunnels_per_address, 4096);
	assert_int_equal(config.relay.address.n, 0);
	assert_int_equal(read_text("relay { }", &empty), 0);
	assert_int_equal(empty.relay.max_tunnels, config.relay.max_tunnels);
	config_free(&empty);
	config_free(&config);
}

/* One bad line each, put into line 3 of a file. */
static void errors_with_line(void **state)
{
	static const struct {
		const char *line, *says;
	} row[] = {
		{"address = 1.2.3", "address: '1.2.3' is not possible: write an IPv4 or IPv6"},
		{"address = {192.0.2.1, 192.0.2.1}", "in the list already"},
		{"address = 224.0.0.1", "unicast"},
		{"discovery = fe80::1", "link-local"},
		{"upstream = sixteen-letters-", "interface name"},
		{"uplink = \"a/b\"", "interface name"},
		{"uplink = \"\"", "interface name"},
		{"mode = fast", "mode: 'fast' is not possible: write one of: auto xdp tc"},
		{"mode = \"auto xdp\"", "one of: auto xdp tc"},
		{"mode = \"\"", "one of: auto xdp tc"},
		{"port = 0", "from 1 to 65535"},
		{"port = 65536", "from 1 to 65535"},
		{"port = -1", "from 1 to 65535"},
		{"port = 22x", "from 1 to 65535"},
		{"port = 99999999999999999999", "from 1 to 65535"},
		{"robustness = 8", "from 1 to 7"},
		{"secret-lifetime = 7201", "from 1 to 7200"},
		{"teardown = maybe", "one of: auto on off"},
		{"udp-checksum = 2", "write true or false"},
		{"permit-groups = 192.0.2.0/24", "multicast prefix"},
		{"permit-groups = 0.0.0.0/0", "multicast prefix"},
		{"permit-gateways = 192.0.2.1/24", "bits behind its length zero"},
		{"dscp = 64", "write copy, or a number from 0 to 63"},
		{"query-source-ipv4 = 2001:db8::1", "unicast IPv4"},
		{"query-source-ipv6 = 2001:db8::1", "link-local IPv6"},
		{"query-intervall = 3", "did you mean 'query-interval'?"},
		{"frobnicate = 3", "unknown option 'frobnicate'; amtd.conf(5) lists all"},
		{"frobnicate = {3, 4}", "unknown option 'frobnicate'"},
		{"query-interval = 5", "must be less than query-interval (now 5)"},
		{"query-response-interval = 200", "query-response-interval (now 200) must be less"},
		{"tunnel-mtu = 500", "less than tunnel-mtu-min 552"},
		{"port = {1, 2}", "see amtd.conf(5) for the syntax"},
		{"port 1", "see amtd.conf(5) for the syntax"},
		{"mode = {auto}", "see amtd.conf(5) for the syntax"},
		{"log-level = debug", "'log-level' belongs outside of sections"},
	};
	struct config config;
	char text[512];
	size_t i;

	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		snprintf(text, sizeof(text), "relay {\n\n%s\n}\n", row[i].line);
		assert_int_equal(read_text(text, &config), -EINVAL);
		if (nreports != 1 || strncmp(reports[0], "t.conf:3: ", 10) != 0 ||
		    !strstr(reports[0], row[i].says))
			fail_msg("%s: %u reports, the first: %s", row[i].line, nreports,
				 reports[0]);
	}
}

static void gateway_file(void **state)
{
	struct config config;
	char buf[AMT_ADDR_STRLEN];

	assert_int_equal(read_text("gateway {\n"
				   "    uplink = eth0\n"
				   "    relay = {\"192.0.2.1\", relay.example.net, anycast}\n"
				   "    interface = mcast0\n"
				   "    addresses = {\"192.0.2.5/24\", \"2001:db8::5/64\"}\n"
				   "    source-ipv6 = 2001:db8::9\n"
				   "    keepalive = 20\n"
				   "    ipv6-groups = no\n"
				   "    data-timeout = 0\n"
				   "}\n",
				   &config),
			 0);
	assert_int_equal(nreports, 0);
	assert_true(config.gateway.present && !config.relay.present && config.from_file);
	assert_string_equal(config.gateway.uplink.list[0], "eth0");
	assert_int_equal(config.gateway.relay.n, 3);
	assert_string_equal(config.gateway.relay.list[1], "relay.example.net");
	assert_string_equal(config.gateway.interface, "mcast0");
	assert_int_equal(config.gateway.addresses.list[0].bits, 120);
	assert_string_equal(addr_print(&config.gateway.addresses.list[0].addr, buf), "192.0.2.5");
	assert_int_equal(config.gateway.keepalive, 20);
	assert_true(config.gateway.ipv4_groups && !config.gateway.ipv6_groups);
	assert_int_equal(config.gateway.data_timeout, 0);
	/* not named: the default */
	assert_int_equal(config.gateway.hold_down, 180);
	assert_int_equal(config.gateway.port, 2268);
	assert_false(addr_is_unicast_source(&config.gateway.source_ipv4));
	config_free(&config);
}

static void one_role(void **state)
{
	struct config config;

	assert_int_equal(read_text("relay { }\n\ngateway { }\n", &config), -EINVAL);
	assert_int_equal(nreports, 1);
	assert_string_equal(reports[0], "t.conf:3: a relay and a gateway section: an amtd has one "
					"role; give each a file and an instance of its own (amtd "
					"-i NAME)");
	assert_int_equal(read_text("gateway {", &config), -EINVAL);
	assert_string_equal(reports[0],
			    "t.conf:1: the gateway section does not end; write a closing brace");
}

/* One bad line each, put into line 3 of a file. */
static void gateway_errors(void **state)
{
	static const struct {
		const char *line, *says;
	} row[] = {
		{"relay = {anycast, anycast}", "in the list already"},
		{"relay = 232.1.1.1", "a relay's unicast address, a DNS name, or anycast"},
		{"relay = 1.2.3", "a relay's unicast address"},
		{"relay = \"a..b\"", "a relay's unicast address"},
		{"relay = fe80::1", "a relay's unicast address"},
		{"interface = all", "no interface can have this name"},
		{"interface = sixteen-letters-", "interface name"},
		{"addresses = 192.0.2.5/33", "an interface's address such as"},
		{"source-ipv4 = 2001:db8::1", "unicast IPv4"},
		{"source-ipv6 = 192.0.2.1", "unicast IPv6 address, or ::"},
		{"mtu = 1000", "less than the 1280 that IPv6 needs"},
		{"hold-down = 0", "from 1 to 86400"},
		{"request-timeout = 200", "request-timeout (now 200) must not be more than"},
		{"discovery-timeout-max = 1\ndiscovery-timeout = 2", "(now 2) must not be more"},
		{"ipv4-groups = no\nipv6-groups = no", "nothing could be joined"},
		{"max-tunnels = 3", "option 'max-tunnels' belongs into the relay section"},
		{"keepaliv = 3", "did you mean 'keepalive'?"},
	};
	struct config config;
	char text[512];
	size_t i;

	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		snprintf(text, sizeof(text), "gateway {\n\n%s\n}\n", row[i].line);
		assert_int_equal(read_text(text, &config), -EINVAL);
		if (nreports != 1 || !strstr(reports[0], row[i].says))
			fail_msg("%s: %u reports, the first: %s", row[i].line, nreports,
				 reports[0]);
	}
	assert_int_equal(read_text("relay {\nkeepalive = 3\n}", &config), -EINVAL);
	assert_string_equal(reports[0],
			    "t.conf:2: option 'keepalive' belongs into the gateway section");
}

static void all_errors_at_once(void **state)
{
	struct config config;

	assert_int_equal(read_text("relay {\n"
				   "port = 1\n"
				   "port = 2\n"
				   "prot = 3\n"
				   "mdoe = xdp\n"
				   "max-tunnels = none\n"
				   "prot = 3\n"
				   "upstream = eth0\n"
				   "upstream = eth1\n"
				   "}\n"
				   "relay { robustness = 9 }\n"
				   "log-level = 3\n",
				   &config),
			 -EINVAL);
	assert_int_equal(nreports, 9);
	assert_string_equal(reports[0], "t.conf:3: port is set twice, first in line 2; remove one");
	assert_string_equal(reports[1], "t.conf:4: unknown option 'prot'; did you mean 'port'?");
	assert_string_equal(reports[2], "t.conf:5: unknown option 'mdoe'; did you mean 'mode'?");
	assert_memory_equal(reports[3], "t.conf:6: max-tunnels", 21);
	assert_memory_equal(reports[4], "t.conf:7: unknown", 17);
	assert_memory_equal(reports[5], "t.conf:9: upstream is set twice", 31);
	assert_memory_equal(reports[6], "t.conf:11: ", 11);
	assert_memory_equal(reports[7], "t.conf:11: ", 11);
	assert_memory_equal(reports[8], "t.conf:12: log-level: '3'", 25);
}

static void other_files(void **state)
{
	struct config config;
	char text[4096] = "relay {\n";
	unsigned int i;

	assert_int_equal(read_text("log-level = info", &config), -EINVAL);
	assert_string_equal(reports[0], "t.conf:1: no relay or gateway section; 'relay { }' alone "
					"is a relay that waits for amt-ctl attach");
	assert_int_equal(read_text("relay {", &config), -EINVAL);
	assert_int_equal(nreports, 1);
	assert_string_equal(reports[0],
			    "t.conf:1: the relay section does not end; write a closing brace");
	assert_int_equal(read_text("\nport = 2268\nrelay { port = 2268 }", &config), -EINVAL);
	assert_int_equal(nreports, 1);
	assert_string_equal(reports[0],
			    "t.conf:2: option 'port' belongs into the relay or gateway section");
	/* more unknown keys than are named: it ends all the same */
	for (i = 0; i < 50; i++)
		snprintf(text + strlen(text), 32, "x%u = 1\n", i);
	assert_int_equal(read_text(strcat(text, "}"), &config), -EINVAL);
	assert_int_equal(nreports, 33);
	nreports = 0;
	assert_int_equal(config_load("/nonexistent/amtd.conf", &config, report), -ENOENT);
	assert_string_equal(reports[0], "/nonexistent/amtd.conf: No such file or directory; -f "
					"takes the path of a readable file");
	assert_int_equal(config_load("/", &config, report), -EISDIR);
	assert_int_equal(nreports, 2);
}

/* What is wrong, in words that name it, and never in a line behind the text's last. */
static void syntax_errors(void **state)
{
	static const struct {
		const char *text, *report;
	} wrong[] = {
		{"relay {\nuplink = {\"eth0\"",
		 "t.conf:2: a list does not end; write a closing brace"},
		{"relay {\nuplink = \"eth0 }",
		 "t.conf:2: a text does not end; write a closing quote"},
		{"relay {\nuplink = 'eth0 }\n",
		 "t.conf:3: a text does not end; write a closing quote"},
		{"relay { }\n/* no more", "t.conf:2: a comment does not end; write */"},
		{"\nrelais { }", "t.conf:2: unknown option 'relais'; did you mean 'relay'?"},
		{"relay { prot }", "t.conf:1: unknown option 'prot'; did you mean 'port'?"},
		{"relay { port 5 }",
		 "t.conf:1: missing equal sign after option 'port'; see amtd.conf(5) for the "
		 "syntax"},
		{"relay {\nuplink = {eth0\nport = 5 }",
		 "t.conf:3: unexpected token 'port'; see amtd.conf(5) for the syntax"},
	};
	struct config config;
	unsigned int i;

	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(read_text(wrong[i].text, &config), -EINVAL);
		assert_string_equal(reports[0], wrong[i].report);
		assert_int_equal(nreports, 1);
	}
}

static void warnings_do_not_fail(void **state)
{
	struct config config;

	assert_int_equal(read_text("relay {\nrobustness = 1\nquery-interval = 200\n}", &config), 0);
	assert_int_equal(nreports, 2);
	assert_memory_equal(reports[0], "t.conf:2: warning: robustness 1", 31);
	assert_memory_equal(reports[1], "t.conf:3: warning: query-interval 200", 37);
	assert_int_equal(config.relay.query_interval, 200);
	config_free(&config);
	/* 127 is the largest that every gateway reads right */
	assert_int_equal(read_text("relay { query-interval = 127 }", &config), 0);
	assert_int_equal(nreports, 0);
	config_free(&config);
}

/* The manual says "Default: VALUE." in the line behind ".It Ic KEY ...", in the section's part. */
static void manual_default(const char *part, const char *key, const char *value)
{
	char item[64], want[128];
	const char *at;

	snprintf(item, sizeof(item), "\n.It Ic %s ", key);
	at = strstr(part, item);
	if (!at)
		fail_msg("amtd.conf(5) does not describe %s", key);
	at = strchr(at + 1, '\n');
	snprintf(want, sizeof(want), "\nDefault: %s.", value[0] ? value : "{}");
	if (strncmp(at, want, strlen(want)) != 0)
		fail_msg("amtd.conf(5): %s: expected '%s', found '%.40s'", key, want + 1, at + 1);
}

/* ---- the file read again ---- */

static char changed[512];

static void note_change(void *arg, const char *key, bool needs_restart)
{
	size_t n = strlen(changed);

	snprintf(changed + n, sizeof(changed) - n, "%s%s%s", n ? " " : "", key,
		 needs_restart ? "!" : "");
}

/* What differs between two files, "!" behind what needs a restart. */
static const char *differences(const char *before, const char *after, struct config *now,
			       struct config *again)
{
	assert_int_equal(read_text(before, now), 0);
	assert_int_equal(read_text(after, again), 0);
	changed[0] = '\0';
	config_compare(now, again, note_change, NULL);
	return changed;
}

static void compared(void **state)
{
	static const struct {
		const char *before, *after, *says;
	} row[] = {
		{"relay { }", "relay { # the same\n}", ""},
		{"relay { }", "relay { query-interval = 125 }", ""},
		{"relay { }", "log-level = debug relay { }", "log-level"},
		{"relay { }", "relay { ttl = keep udp-checksum = yes }", "ttl udp-checksum"},
		{"relay { dscp = 4 }", "relay { dscp = 5 }", "dscp"},
		{"relay { address = 192.0.2.1 }", "relay { address = {192.0.2.1, 192.0.2.2} }",
		 "address"},
		{"relay { address = {192.0.2.1, 192.0.2.2} }",
		 "relay { address = {192.0.2.2, 192.0.2.1} }", "address"},
		{"relay { uplink = {a, b} }", "relay { uplink = {a, c} }", "uplink"},
		{"relay { permit-gateways = {\"10.0.0.0/8\"} }",
		 "relay { permit-gateways = {\"10.0.0.0/9\"} }", "permit-gateways"},
		{"relay { query-source-ipv4 = 192.0.2.1 }", "relay { }", "query-source-ipv4"},
		{"relay { }", "relay { port = 3000 max-blocks = 5 robustness = 3 }",
		 "port! robustness max-blocks!"},
		{"gateway { }",
		 "gateway { interface = amt1 relay = {anycast} addresses = "
		 "{\"192.0.2.1/24\"} source-ipv6 = \"2001:db8::1\" }",
		 "relay interface! addresses source-ipv6!"},
	};
	struct config now, again;
	size_t i;

	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		assert_string_equal(differences(row[i].before, row[i].after, &now, &again),
				    row[i].says);
		config_free(&now);
		config_free(&again);
	}
}

/* What needs a restart stays as it is in what can be put into force. */
static void fixed_keys_stay(void **state)
{
	struct config now, again;

	differences("gateway { interface = amt1 }",
		    "gateway { interface = amt2 local-port = 7 mtu = 1400 }", &now, &again);
	assert_string_equal(again.gateway.interface, "amt1");
	assert_int_equal(again.gateway.local_port, 0);
	assert_int_equal(again.gateway.mtu, 1400);
	assert_string_equal(now.gateway.interface, "amt2");
	config_free(&now);
	config_free(&again);
}

/* ---- the manual ---- */

/* Describes every key of the section, and nothing that is not there. */
static void manual_section(const char *manual, const char *section)
{
	char title[64], *part, *end, *at;
	const char *key, *value;
	unsigned int i, items = 0;

	snprintf(title, sizeof(title), "\n.Ss The %s section\n", section);
	part = strstr(manual, title);
	assert_non_null(part);
	part = strdup(part);
	end = strstr(part + 1, "\n.S");
	*end = '\0';
	for (i = 0; (key = config_key(section, i, &value)); i++)
		manual_default(part, key, value);
	for (at = part; (at = strstr(at, "\n.It Ic ")); at++)
		items++;
	assert_int_equal(items, i);
	free(part);
}

static void manual_agrees(void **state)
{
	static char manual[65536];
	FILE *file = fopen("man/amtd.conf.5", "r");

	assert_non_null(file);
	assert_true(fread(manual, 1, sizeof(manual) - 1, file) > 0);
	fclose(file);
	manual_default(manual, "log-level", "info");
	manual_section(manual, "relay");
	manual_section(manual, "gateway");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_file),
		cmocka_unit_test(defaults_without_file),
		cmocka_unit_test(errors_with_line),
		cmocka_unit_test(all_errors_at_once),
		cmocka_unit_test(other_files),
		cmocka_unit_test(syntax_errors),
		cmocka_unit_test(warnings_do_not_fail),
		cmocka_unit_test(gateway_file),
		cmocka_unit_test(one_role),
		cmocka_unit_test(gateway_errors),
		cmocka_unit_test(manual_agrees),
		cmocka_unit_test(compared),
		cmocka_unit_test(fixed_keys_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
