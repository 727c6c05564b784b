/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tables for people: alignment, quantities, and each answer as amt-ctl prints it. */
#include "unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "control/render.h"
#include "control/table.h"

static char *printed;
static size_t printed_length;

static FILE *paper(void)
{
	free(printed);
	return open_memstream(&printed, &printed_length);
}

static void render(void (*fn)(const json_t *answer, FILE *out), const char *json)
{
	json_t *answer = json_loads(json, 0, NULL);
	FILE *out = paper();

	assert_non_null(answer);
	fn(answer, out);
	fclose(out);
	json_decref(answer);
}

static int throw_away(void **state)
{
	free(printed);
	printed = NULL;
	return 0;
}

static void alignment(void **state)
{
	static const struct table_column columns[] = {{"name", false}, {"n", true}, {"why", false}};
	struct table *table = table_new(columns, 3);
	FILE *out = paper();

	table_print(table, out);
	table_cell(table, "a");
	table_cell(table, "1000");
	table_cell(table, "");
	table_cell(table, "longer");
	table_cell(table, "1");
	table_cell(table, "because of that");
	table_cell(table, "last");
	table_print(table, out);
	table_free(table);
	fclose(out);
	assert_string_equal(printed, "name  n  why\n"
				     "name       n  why\n"
				     "a       1000\n"
				     "longer     1  because of that\n"
				     "last\n");
}

static void quantities(void **state)
{
	static const struct {
		double value;
		const char *duration, *count, *octets;
	} row[] = {
		{-1, "0.0s", "-1", "-1 B"},
		{0, "0.0s", "0", "0 B"},
		{0.44, "0.4s", "0", "0 B"},
		{59, "59s", "59", "59 B"},
		{61, "1m 01s", "61", "61 B"},
		{999, "16m 39s", "999", "999 B"},
		{1024, "17m 04s", "1.02k", "1.00 KiB"},
		{7260, "2h 01m", "7.26k", "7.09 KiB"},
		{90000, "1d 01h", "90.0k", "87.9 KiB"},
		{999999, "11d 13h", "1.00M", "977 KiB"},
		{123456789, "1428d 21h", "123M", "118 MiB"},
		{1e18, NULL, "1000P", "888 PiB"},
	};
	char buf[HUMAN_LEN];
	size_t i;

	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		if (row[i].duration)
			assert_string_equal(human_duration(row[i].value, buf), row[i].duration);
		assert_string_equal(human_count(row[i].value, buf), row[i].count);
		assert_string_equal(human_octets(row[i].value, buf), row[i].octets);
	}
}

static void tunnels(void **state)
{
	render(render_tunnels,
	       "{\"tunnels\":[{\"gateway\":\"203.0.113.9\",\"port\":40112,\"relay\":\"192.0.2.1\","
	       "\"groups\":1,\"age\":3725.5,\"expires\":259.2,\"packets\":12,\"bytes\":15792,"
	       "\"next_hop\":null,\"mac\":null,\"interface\":null,\"memberships\":[{\"group\":"
	       "\"232.1.1.1\",\"mode\":\"include\",\"expires\":259.2,\"older_host\":false,"
	       "\"sources\":[{\"source\":\"198.51.100.7\",\"excluded\":false,\"expires\":9.04}]}]"
	       "}]}");
	assert_string_equal(
		printed,
		"gateway       port  relay      groups     age  expires  packets     bytes  "
		"next_hop  mac  interface\n"
		"203.0.113.9  40112  192.0.2.1       1  1h 02m   4m 19s       12  15.4 KiB  "
		"-         -    -\n"
		"\n"
		"203.0.113.9 port 40112:\n"
		"  group 232.1.1.1  mode include  expires 4m 19s\n"
		"    source 198.51.100.7  expires 9.0s\n");
}

static void status(void **state)
{
	render(render_status,
	       "{\"instance\":\"main\",\"version\":\"0.1.0\",\"pid\":77,\"uptime\":61,"
	       "\"adopted\":true,\"draining\":false,\"at_limit\":true,\"tunnels\":2,\"groups\":1,"
	       "\"channels\":3,\"membership_interval\":260,\"secret_age\":1,"
	       "\"xmit_drops_counted\":false,\"addresses\":[],\"interfaces\":[]}");
	assert_non_null(strstr(printed, "main: amtd 0.1.0, pid 77, up 1m 01s, took over a running "
					"relay, at the limit of tunnels\n"));
	assert_non_null(strstr(printed, "membership_interval 4m 20s"));
	assert_non_null(strstr(printed, "no interface is attached: amt-ctl attach IFACE\n"));
	assert_non_null(strstr(printed, "no address is listened on"));
	assert_non_null(strstr(printed, "xmit_drops not counted"));
}

static void gateway_status(void **state)
{
	render(render_status,
	       "{\"role\":\"gateway\",\"instance\":\"main\",\"version\":\"0.1.0\",\"pid\":77,"
	       "\"uptime\":61,\"adopted\":true,\"state\":\"up\",\"relay\":\"192.0.2.1\","
	       "\"relay_port\":2268,\"local\":\"10.0.0.5\",\"local_port\":40000,\"endpoint\":"
	       "\"203.0.113.9\",\"endpoint_port\":1025,\"nat\":true,\"handshake\":0.0125,"
	       "\"next_query\":100,\"limit\":false,\"ecn\":true,\"leaving\":null,\"groups\":2,"
	       "\"traffic\":{\"packets\":12,\"bytes\":2048,\"slow_packets\":0},"
	       "\"pseudo_interface\":{\"interface\":\"amt0\",\"peer\":\"amt0-peer\",\"mtu\":1500,"
	       "\"address\":\"169.254.1.2\",\"warning\":\"rp_filter\"},\"interfaces\":[]}");
	assert_string_equal(printed,
			    "main: amtd 0.1.0, pid 77, up 1m 01s, took over a running gateway\n"
			    "relay 192.0.2.1 relay_port 2268  state up\n"
			    "local 10.0.0.5 local_port 40000  endpoint 203.0.113.9 endpoint_port "
			    "1025  nat yes\n"
			    "handshake 12.500 ms  next_query 1m 40s  limit no  ecn yes\n"
			    "groups 2  packets 12 (2.00 KiB)\n"
			    "pseudo_interface amt0  mtu 1500  address 169.254.1.2\n"
			    "warning: rp_filter\n"
			    "\n"
			    "no uplink is attached: amt-ctl attach IFACE --gateway\n");
	render(render_status, "{\"role\":\"gateway\",\"relay\":null,\"state\":\"waiting\","
			      "\"nat\":null,\"handshake\":null}");
	assert_non_null(strstr(printed, "relay -  state waiting\nlocal -  endpoint -  nat -\n"
					"handshake -  next_query -"));
}

static void gateway_tables(void **state)
{
	render(render_groups,
	       "{\"role\":\"gateway\",\"groups\":[{\"group\":\"232.1.1.1\",\"source\":"
	       "\"192.0.2.9\",\"excluded\":false,\"packets\":12,\"bytes\":2048,"
	       "\"last_packet\":0.4}]}");
	assert_string_equal(printed,
			    "group      source     excluded  packets     bytes  last_packet\n"
			    "232.1.1.1  192.0.2.9  no             12  2.00 KiB         0.4s\n");
	render(render_relays,
	       "{\"relays\":[{\"candidate\":\"relay.example.net\",\"kind\":\"name\",\"relay\":"
	       "null,\"current\":false,\"held\":170,\"why\":\"no answer\"},"
	       "{\"candidate\":\"192.52.193.1\",\"kind\":\"anycast\",\"relay\":\"192.0.2.1\","
	       "\"current\":true,\"held\":null,\"why\":\"\"}]}");
	assert_string_equal(printed,
			    "candidate          kind     relay      current    held  why\n"
			    "relay.example.net  name     -          no       2m 50s  no answer\n"
			    "192.52.193.1       anycast  192.0.2.1  yes           -\n");
}

static void stats(void **state)
{
	render(render_stats, "{\"counters\":{\"packets_in\":18446744073709,\"later_one\":2}}");
	assert_string_equal(printed,
			    "counter              value  meaning\n"
			    "packets_in  18446744073709  multicast packets accepted for fan-out\n"
			    "later_one                2\n");
	render(render_stats,
	       "{\"counters\":{},\"loop\":{\"turns\":9,\"busy\":61,\"longest\":0.00125,"
	       "\"histogram\":[{\"up_to\":0.0001,\"turns\":7},{\"up_to\":0.005,"
	       "\"turns\":0},{\"up_to\":null,\"turns\":2}]}}");
	assert_string_equal(printed, "counter  value  meaning\n"
				     "loop: turns 9  busy 1m 01s  longest 1.250 ms\n"
				     "  up to    0.1 ms             7\n"
				     "  longer                      2\n");
}

/* Whatever an answer lacks or holds, nothing but "-" comes of it. */
static void odd_answers(void **state)
{
	static const char *const odd[] = {
		"{}",
		"[]",
		"{\"tunnels\":3}",
		"{\"tunnels\":[3,null,[]]}",
		"{\"groups\":[{\"group\":1,\"tunnels\":[[]]}]}",
		"{\"counters\":[]}",
		"{\"maps\":[{\"map\":{}}]}",
		"{\"interfaces\":[{\"xdp\":\"x\"}]}",
		"{\"role\":\"gateway\",\"pseudo_interface\":3,\"groups\":[4]}",
		"{\"relays\":{}}",
	};
	size_t i;

	for (i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		render(render_status, odd[i]);
		render(render_tunnels, odd[i]);
		render(render_groups, odd[i]);
		render(render_stats, odd[i]);
		render(render_maps, odd[i]);
		render(render_interfaces, odd[i]);
		render(render_relays, odd[i]);
	}
	render(render_tunnels, odd[0]);
	assert_memory_equal(printed, "gateway  port", 13);
}

static json_t *group(const char *address, int members, int packets, int octets)
{
	return json_pack("{ss ss si ss si si si}", "group", address, "source", "*", "members",
			 members, "path", "xdp", "packets", packets, "bytes", octets, "drops", 0);
}

static struct render_sample sample(int packets, json_t *first, json_t *second)
{
	return (struct render_sample){
		json_pack("{ss si s{si si}}", "instance", "main", "tunnels", 5, "traffic",
			  "packets_in", packets, "copies_bytes", packets * 1000),
		json_pack("{s[oo]}", "groups", first, second),
	};
}

static void top(void **state)
{
	struct render_sample before =
		sample(0, group("232.1.1.1", 2, 10, 1000), group("232.1.1.2", 5, 0, 0));
	/* two seconds later, and in another order; the busier one comes first */
	struct render_sample after = sample(2000, group("232.1.1.2", 5, 2000, 2000000),
					    group("232.1.1.1", 2, 30, 251000));
	FILE *out = paper();

	render_top(&before, &after, 2, 10, out);
	fclose(out);
	assert_non_null(strstr(printed, "packets_in 1.00k/s"));
	assert_non_null(strstr(printed, "8.0 Mbit/s out"));
	assert_non_null(
		strstr(printed,
		       "group      source  members  path  packets/s  Mbit/s  copies/s  drops/s\n"
		       "232.1.1.2  *             5  xdp       1.00k    8.00     5.00k        0\n"
		       "232.1.1.1  *             2  xdp          10    1.00        20        0\n"));
	out = paper();
	render_top(&before, &after, 2, 1, out);
	fclose(out);
	assert_non_null(strstr(printed, "and 1 more: amt-ctl groups\n"));
	json_decref(before.status);
	json_decref(before.groups);
	json_decref(after.status);
	json_decref(after.groups);
}

static struct render_sample gateway_sample(int packets)
{
	return (struct render_sample){
		json_pack("{ss ss ss ss s{si si}}", "role", "gateway", "instance", "main", "relay",
			  "192.0.2.1", "state", "up", "traffic", "packets", packets, "bytes",
			  packets * 1000),
		json_pack("{s[{ss ss si si}]}", "groups", "group", "232.1.1.1", "source", "*",
			  "packets", packets, "bytes", packets * 1000),
	};
}

static void gateway_top(void **state)
{
	struct render_sample before = gateway_sample(0), after = gateway_sample(2000);
	FILE *out = paper();

	render_top(&before, &after, 2, 10, out);
	fclose(out);
	assert_non_null(strstr(printed, "relay 192.0.2.1  state up"));
	assert_non_null(strstr(printed, "packets 1.00k/s  8.0 Mbit/s\n"));
	assert_non_null(strstr(printed, "group      source  packets/s  Mbit/s\n"
					"232.1.1.1  *           1.00k    8.00\n"));
	json_decref(before.status);
	json_decref(before.groups);
	json_decref(after.status);
	json_decref(after.groups);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(alignment, throw_away),
		cmocka_unit_test(quantities),
		cmocka_unit_test_teardown(tunnels, throw_away),
		cmocka_unit_test_teardown(status, throw_away),
		cmocka_unit_test_teardown(gateway_status, throw_away),
		cmocka_unit_test_teardown(gateway_tables, throw_away),
		cmocka_unit_test_teardown(stats, throw_away),
		cmocka_unit_test_teardown(odd_answers, throw_away),
		cmocka_unit_test_teardown(top, throw_away),
		cmocka_unit_test_teardown(gateway_top, throw_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
