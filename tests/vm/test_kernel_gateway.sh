#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The Linux kernel's own AMT driver as gateway, with our relay: IPv4 and IPv6 groups over IPv4, and
# the driver's quirks by their numbers.
# shellcheck disable=SC2317 # cases are called by name
# shellcheck disable=SC2016 # what stands in single quotes is awk's and jq's
source "$(dirname "$0")/kernel.sh"
driver_load
topology

query_interval=10
our_relay() {
	relay_start "$(relay_conf "query-interval = $query_interval" 'query-response-interval = 2')"
}

# kernel_gateway NAME IF LOCAL: a gateway device amt0
kernel_gateway() {
	ip -n "$net_id-$1" link add amt0 type amt mode gateway local "$3" dev "$2" \
		discovery "$relay4" relay_port 2268 gateway_port 2268
	ip -n "$net_id-$1" addr add 172.16.0.1/24 dev amt0
	ip -n "$net_id-$1" link set dev amt0 up
	ip -n "$net_id-$1" route add default dev amt0 2>/dev/null || true
	ip -n "$net_id-$1" -6 route add default dev amt0 2>/dev/null || true
}

both_up() {
	capture_start c gw gw0 'udp port 2268'
	our_relay
	kernel_gateway gw gw0 10.2.1.1
}

has_members() { # has_members GROUP N
	ctl --json groups "$1" | jq -e ".groups[0].members == $2"
}

no_groups() {
	ctl --json groups | jq -e '.groups | length == 0'
}

# A listener, joined as the relay sees it. join NAME NAMESPACE MEMBERS OPTION... CHANNEL
join() {
	local name=$1 namespace=$2 members=$3 group=${!#}
	shift 3
	listener_start "$name" "$namespace" "$@"
	wait_for "$patience" has_members "${group#*,}" "$members" ||
		fail "the relay has not $members members of ${group#*,}: $(ctl stats --nonzero)"
}

file_through() { # file_through CHANNEL: joins, compares octet by octet, leaves
	join r gw 1 --complete --compare "$net_dir/file" "$1"
	send_in_order -g "${1#*,}" -s 1200 -r 2M "$net_dir/file"
	listener_good r
	wait_for "$patience" no_groups || fail "no leave: $(ctl groups)"
}

stream() { # stream CHANNEL: join, data, leave, join again
	file_make 60001
	file_through "$1"
	file_through "$1"
	datapath_clean
}

first_stream() {
	both_up
	stream "$1"
}

both_families() {
	join r4 gw 1 --expect 40 "$(channel 4)"
	join r6 gw 1 --expect 40 "$(channel 6)"
	one_tunnel
	send_in_order -g "$ssm4" -g "$ssm6" -n 40 -s 1200 -r 500k
	listener_good r4
	listener_good r6
}

one_tunnel() { # before the listeners end: it goes with its last subscription
	expect tunnels "$(ctl --json status | jq .tunnels)" -eq 1
}

recorded() {
	ctl --json stats | jq .counters >"$net_dir/stats"
	capture_stop c
	wait_for "$patience" not kill -0 "$(cat "$net_dir/c.pid")"
	capture_list c
	list_judge
}

counted() { # counted COUNTER: when the capture ended
	jq ".$1" "$net_dir/stats"
}

there_is_a_list() {
	[ -s "$net_dir/list" ] || fail "nothing was recorded"
}

q5() { # Requests of both families with one nonce, one MAC for both
	there_is_a_list
	local pairs
	pairs=$(awk -F'|' '$1 == 3 { seen[$2] = seen[$2] " " $3 } END { for (n in seen) print seen[n] }' \
		"$net_dir/list" | grep -c '000000.*800000' || true)
	expect "pairs of Requests with one nonce" "$pairs" -gt 0
	expect "MACs refused" "$(counted bad_mac)" -eq 0
}

q6() { # frequent Requests are no flood
	there_is_a_list
	expect "Requests" "$(listed_count '$1 == 3')" -gt 4
	expect "Requests refused" "$(counted request_rate_limited)" -eq 0
}

q7() { # router alert exactly as it wants it
	there_is_a_list
	local lengths
	lengths=$(listed '$1 == 4 && $8 ~ /igmp/' 4)
	[ "$lengths" = 20,24 ] || fail "IP header lengths of IGMP Queries: $lengths"
	lengths=$(listed '$1 == 4 && $8 ~ /icmpv6/' 5)
	[ "$lengths" = 8 ] || fail "hop-by-hop options of MLD Queries: $lengths"
}

q8() { # a link-local source, or the host's stack does not take the MLD Query
	there_is_a_list
	local sources
	sources=$(listed '$1 == 4 && $7 == 130' 6)
	[[ $sources == fe80:* ]] || fail "MLD Queries come from $sources"
}

q11() { # reserved bits of Advertisements are zero
	there_is_a_list
	local octets
	octets=$(listed '$1 == 2' 3)
	[ "$octets" = 000000 ] || fail "octets 1 to 3 of Advertisements: $octets"
}

q13() { # its P is 0x80
	there_is_a_list
	local octets
	octets=$(listed '$1 == 3' 3)
	[ "$octets" = "000000 800000" ] || fail "octets 1 to 3 of Requests: $octets"
	expect request_linux_p "$(counted request_linux_p)" -gt 0
	expect "MLD Queries" "$(listed_count '$1 == 4 && $7 == 130')" -gt 0
}

q14() { # no G, no L for a gateway that did not set E
	there_is_a_list
	local octets
	octets=$(listed '$1 == 4' 3 | tr ' ' '\n' | cut -c1-2 | sort -u)
	[ "$octets" = 00 ] || fail "octet 1 of Queries: $octets"
}

# Queries come every few seconds, and the stream takes no notice.
long() {
	local queries created
	join r4 gw 1 --expect "$long_packets" "$(channel 4)"
	join r6 gw 1 --expect "$long_packets" "$(channel 6)"
	one_tunnel
	queries=$(stat query_sent) created=$(stat tunnel_created)
	send_long "$ssm4" "$ssm6"
	listener_good r4
	listener_good r6
	expect "Queries meanwhile" $(($(stat query_sent) - queries)) -ge $((long_seconds / 10))
	expect "tunnels made meanwhile" "$(stat tunnel_created)" -eq "$created"
	datapath_clean
}

# amtd is killed, and adopted by the next one, while the stream flows; a Request of the driver's comes
# meanwhile. At an ICMP error it would ask again at once, four times, then forget the relay and drop
# its data. Killed shortly before it asks: who is away for two intervals has no tunnels any more.
relay_restart() {
	local sender
	join r gw 1 --expect 400 "$(channel 4)"
	wait_for "$patience" at_least query_sent $(($(stat query_sent) + 1)) || fail "it does not ask"
	sleep $((query_interval - 3))
	send_in_order -g "$ssm4" -n 400 -r 200k -s 1200 &
	sender=$!
	kill -KILL "$(ctl --json status | jq .pid)"
	wait_for "$patience" something_waits || fail "nothing came while amtd was away"
	our_relay
	wait "$sender"
	listener_good r
}

something_waits() { # in the relay's sockets, which the holder keeps
	on relay ss -Hnul 'sport = :2268' | awk '{ waiting += $2 } END { exit waiting == 0 }'
}

# The device goes without a word, and another comes.
gateway_restart() {
	ip -n "$net_id-gw" link del amt0
	kernel_gateway gw gw0 10.2.1.1
	file_make 50001
	file_through "$(channel 4)"
	file_through "$(channel 6)"
}

# Three kernel gateways that share one address towards the relay.
nat() {
	local n
	our_relay
	ip -n "$net_id-gw" link del amt0 2>/dev/null || true
	net_masquerade gw gw0
	for n in 1 2 3; do
		net_link gw "in$n" "k$n" eth0
		net_addr gw "in$n" "10.9.$n.1/24"
		net_addr "k$n" eth0 "10.9.$n.2/24"
		ip -n "$net_id-k$n" route add 10.2.0.0/16 via "10.9.$n.1"
		kernel_gateway "k$n" eth0 "10.9.$n.2"
	done
	for n in 1 2 3; do
		join "r$n" "k$n" "$n" --expect 60 "$(channel 4)"
	done
	expect "addresses" "$(ctl --json tunnels | jq '[.tunnels[].gateway] | unique | length')" -eq 1
	expect "tunnels" "$(ctl --json tunnels | jq '.tunnels | length')" -eq 3
	send_in_order -g "$ssm4" -n 60 -s 1200 -r 1M
	for n in 1 2 3; do
		listener_good "r$n"
	done
}

run_step "kernel gateway: IPv4 group: join, data, leave, join again" first_stream "$(channel 4)"
run_step "kernel gateway: IPv6 group: join, data, leave, join again" stream "$(channel 6)"
if full_plan; then
	run_step "kernel gateway: both families in one tunnel" both_families
	run_step "kernel gateway: tshark finds nothing wrong" recorded
	run_step "Q-5: one nonce for both families" q5
	run_step "Q-6: Requests every two seconds" q6
	run_step "Q-7: router alert" q7
	run_step "Q-8: MLD Query from a link-local address" q8
	run_step "Q-11: reserved bits" q11
	run_step "Q-13: P at 0x80" q13
	run_step "Q-14: neither L nor G" q14
	run_step "kernel gateway: $long_seconds s without loss" long
fi
run_step "kernel gateway: restart of the relay" relay_restart
if full_plan; then
	run_case "kernel gateway: restart of the gateway" gateway_restart
	net_add k1 k2 k3
	run_case "kernel gateways: three behind one NAT address" nat
fi
finish
