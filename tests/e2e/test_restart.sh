#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# amtd goes and comes back under a running stream: killed, stopped, without a configuration, with
# another one, not at all; what stays meanwhile, and what a shutdown leaves. And amtds side by side.
# shellcheck disable=SC2317 # cases are called by their names
source "$(dirname "$0")/lib.sh"
topology

groups4=(232.1.1.1 232.1.1.2)
groups6=(ff3e::8000:1 ff3e::8000:2)

sources() { # of gateways, as options
	printf -- '-S 10.2.1.%d -S 2001:db8:2::1:%d ' 1 1 2 2 3 3 4 4 5 5
}

channels() {
	printf "$source4,%s " "${groups4[@]}"
	printf "$source6,%s " "${groups6[@]}"
}

# 50 gateways, every other one over IPv6, each with two groups of each family, and with room for
# what comes while they wait for a CPU
gateways() { # gateways OPTION...
	# shellcheck disable=SC2046
	gateways_start g 50 -n 50 -b 32M -r "$relay4" -r "$relay6" $(sources) "$@" $(channels)
}

stream() { # until it is interrupted: all four groups, 150 packets a second each
	# shellcheck disable=SC2046
	$(where src) "$build/amt-load" send -I src0 -S "$source4" -S "$source6" --quiet \
		$(printf -- '-g %s ' "${groups4[@]}" "${groups6[@]}") -s 1000 -n 0 -r 1200k &
	sender=$!
}

stream_end() {
	kill -INT "$sender"
	wait "$sender"
}

# What is to be the same after a restart: gateways and what they joined, next hops, the secrets.
state() {
	ctl --json tunnels | jq -c '[.tunnels[] | [.gateway, .port, .relay, .id, .groups, .next_hop,
		.mac]] | sort'
	ctl --json groups | jq -c '[.groups[] | [.group, .source, .members, .path]] | sort'
	bpftool -j map dump pinned "/sys/fs/bpf/amt/$instance/secrets" | jq -c '[.[].value]'
}

again() { # again [CONF]: as relay_start, and it has taken over
	relay_start "$@"
	status_is .adopted || fail "nothing was adopted"
}

still() { # nothing is under way any more, as far as can be seen
	local before
	before=$(stat copies_out)
	sleep 0.2
	[ "$(stat copies_out)" -eq "$before" ]
}

killed() {
	kill -KILL "$relay_pid"
	wait "$relay_pid" 2>/dev/null || true
}

stopped() {
	kill -TERM "$relay_pid"
	wait "$relay_pid" || fail "amtd ended with $?"
}

# No group is left upstream, not even for a moment: IGMPv3 and MLDv2 leave by records of type 3
# without sources (to INCLUDE {}) or 6 (BLOCK), IGMPv2 and MLDv1 by messages of their own.
leaves() { # leaves CAPTURE: how many packets of it leave a group
	capture_count "$1" 'igmp.type == 0x17 || icmpv6.type == 132 ||
		igmp.record_type == 3 || igmp.record_type == 6 ||
		icmpv6.mldr.mar.record_type == 3 || icmpv6.mldr.mar.record_type == 6'
}

# restart END [CONF_LINE...]: END is how amtd ends
restart() {
	local end=$1 conf
	shift
	conf=$(relay_conf "$@")
	relay_start "$conf"
	gateways
	state >"$net_dir/before"
	capture_start upstream src src0 'igmp or icmp6 or (ip6 and proto 0)'
	stream
	sleep 0.3
	"$end"
	sleep 0.3
	again "$conf"
	sleep 0.3
	state >"$net_dir/after"
	stream_end
	wait_for 10 still
	capture_stop upstream
	gateways_signal g INT
	gateways_good g
	diff "$net_dir/before" "$net_dir/after" || fail "another state after the restart"
	expect flows "$(figure g '[.each[].flows[]] | length')" -eq 200
	expect "flows without the last packet" "$(figure g '[.each[].flows[].last] | min')" -eq \
		"$(figure g '[.each[].flows[].last] | max')"
	expect "leaves upstream" "$(leaves upstream)" -eq 0
	datapath_clean
}

# An Update with a MAC out of a Query that the amtd before sent: the secrets are those of then.
# (Without accept-repeated-mac, which would take it whatever the secrets.)
old_mac() {
	local conf asked
	conf=$(relay_conf 'accept-repeated-mac = false')
	relay_start "$conf"
	gateways
	killed
	again "$conf"
	asked=$(stat request_received) # the packet path counts on over a restart
	gateways_signal g USR1
	wait_for 10 status_is '.tunnels == 0' || fail "tunnels do not end"
	gateways_signal g USR2
	wait_for 10 status_is '.tunnels == 50' || fail "tunnels do not come back"
	expect "Requests" "$(stat request_received)" -eq "$asked"
	stats_zero bad_mac update_previous_secret update_repeated_mac
	expect "Updates" "$(stat update_accepted)" -ge 200 # each family in one of its own, twice
	gateways_signal g INT
	gateways_end g || true # there was no stream
}

unreachables() { # ICMP errors that the relay's host has sent
	on relay cat /proc/net/snmp /proc/net/snmp6 | awk '
		$1 == "Icmp:" && !names { for (i = 1; i <= NF; i++) if ($i == "OutDestUnreachs") at = i
			names = 1; next }
		$1 == "Icmp:" { n += $at }
		$1 == "Icmp6OutDestUnreachs" { n += $2 }
		END { print n }'
}

# What gateways say while there is no amtd waits for the next one, and none hears that the port is
# closed: a gateway may take that for the relay's end.
said_meanwhile() {
	local conf
	conf=$(relay_conf)
	relay_start "$conf"
	gateways
	killed
	gateways_signal g USR1 # they leave
	sleep 0.3
	expect "ICMP errors of the relay" "$(unreachables)" -eq 0
	again "$conf"
	wait_for 10 status_is '.tunnels == 0' || fail "what was said is lost"
	gateways_signal g INT
	gateways_end g || true # there was no stream
}

# What amt-ctl attached is attached again, with the addresses of the interface.
without_configuration() {
	relay_start
	ctl attach up0 --upstream
	ctl attach down0 --uplink
	wait_for 10 status_is '.addresses | length == 2' || fail "no addresses"
	gateways
	state >"$net_dir/before"
	stream
	killed
	again
	state >"$net_dir/after"
	stream_end
	wait_for 10 still
	gateways_signal g INT
	gateways_good g
	diff "$net_dir/before" "$net_dir/after" || fail "another state after the restart"
	status_is '[.interfaces[] | select(.runtime) | .interface] | sort == ["down0", "up0"]' ||
		fail "what amt-ctl attached is not"
	datapath_clean
}

joined_upstream() { # by this host on up0
	on relay cat /proc/net/igmp | grep -q '010101E8' # 232.1.1.1
}

flowing() {
	[ "$(stat copies_out)" -gt 0 ]
}

# amtd does not come back: after one group membership interval, 3 s here, the packet path stops and
# the groups are left. One that starts later still begins where the gateways are.
lease_over() {
	local conf
	conf=$(relay_conf 'query-interval = 2' 'query-response-interval = 1' 'robustness = 1')
	relay_start "$conf"
	gateways
	capture_start upstream src src0 'igmp or icmp6 or (ip6 and proto 0)'
	stream
	wait_for "$e2e_patience" flowing || fail "no stream"
	joined_upstream
	killed
	wait_for 15 not joined_upstream || fail "the groups are not left"
	sleep 0.5
	capture_start data gw gw0 'udp port 2268'
	sleep 1
	capture_stop data
	expect "copies after the lease" "$(capture_count data 'amt.type == 6')" -eq 0
	capture_stop upstream
	expect "leaves upstream" "$(leaves upstream)" -gt 0
	relay_start "$conf"
	expect lease_expired "$(stat lease_expired)" -gt 0
	wait_for 10 status_is '.tunnels == 50' || fail "gateways do not come back"
	wait_for 10 joined_upstream || fail "groups are not joined again"
	stream_end
}

# Another size of the maps: what is pinned cannot be used, which is said once, and all begins anew.
other_sizes() {
	relay_start "$(relay_conf)"
	gateways
	killed
	: >"$relay_log"
	relay_start "$(relay_conf 'max-tunnels = 1000')"
	status_is '.adopted == false and .tunnels == 0' || fail "tunnels of the amtd before"
	expect "lines about it" "$(grep -c 'maps of the amtd before do not fit' "$relay_log")" -eq 1
	expect "warnings and errors" "$(grep -cE 'warning|error' "$relay_log")" -le 1
	gateways_signal g INT
	gateways_end g || true
	gateways --expect 50
	send -n 50 -g "${groups4[0]}" -g "${groups4[1]}" -g "${groups6[0]}" -g "${groups6[1]}"
	gateways_good g
}

what_is_left() {
	ls -d "/sys/fs/bpf/amt/$instance" "/run/amt/$instance".* 2>/dev/null
	ip netns pids "$net_id-relay" | sed 's/^/process /'
	on relay ip -o link show type veth | grep -vE ' (up0|down0)@'
	on relay bpftool -j net show | jq -c '.[0] | (.xdp + .tc + .flow_dissector)[]'
	on relay tc qdisc show | grep clsact
	on relay ss -Hanu
	! joined_upstream || echo "groups upstream"
}

nothing_is_left() {
	[ -z "$(what_is_left)" ]
}

shut_down() { # shut_down MODE
	relay_start "$(relay_conf "mode = $1")"
	gateways
	capture_start upstream src src0 'igmp or icmp6 or (ip6 and proto 0)'
	joined_upstream || fail "groups are not joined"
	ctl shutdown
	wait "$relay_pid" || fail "amtd ended with $?"
	wait_for 10 nothing_is_left || fail "there is still: $(what_is_left)"
	capture_stop upstream
	expect "leaves upstream" "$(leaves upstream)" -gt 0
	gateways_signal g INT
	gateways_end g || true
}

second_refused() {
	local said status=0
	relay_start "$(relay_conf)"
	gateways --expect 50
	# shellcheck disable=SC2046
	said=$($(where relay) "$build/amtd" -n -i "$instance" -f "$(relay_conf)" 2>&1) || status=$?
	echo "$said"
	expect "the second one's status" "$status" -eq 1
	expect "lines" "$(wc -l <<<"$said")" -eq 1
	grep -q "$instance" <<<"$said" || fail "says nothing of the instance"
	send -n 50 -g "${groups4[0]}" -g "${groups4[1]}" -g "${groups6[0]}" -g "${groups6[1]}"
	gateways_good g
	datapath_clean
}

# ---- two of them in one network namespace ----

second_links() {
	net_link src src1 relay up1
	net_link relay down1 gw gw1
	net_addr src src1 10.4.0.1/24
	net_addr relay up1 10.4.0.254/24
	net_addr relay down1 10.5.0.1/16
	net_addrs gw gw1 10.5.1. 1 4 16
}

second_relay() { # its instance is $net_id-two
	echo 'relay { address = 10.5.0.1 upstream = up1 uplink = down1 }' >"$net_dir/two.conf"
	# shellcheck disable=SC2046
	$(where relay) "$build/amtd" -n -i "$net_id-two" -f "$net_dir/two.conf" >>"$relay_log" 2>&1 &
	second_pid=$!
	instance=$net_id-two
	wait_for 20 ctl status || fail "the second amtd does not start"
}

# The same group from two sources on two networks: each relay carries its own, and one that is killed,
# started again and shut down is nothing to the other.
side_by_side() {
	local conf
	conf=$(relay_conf)
	second_links
	relay_start "$conf"
	gateways_start one 4 -n 4 -r "$relay4" -S 10.2.1.1 --expect 600 239.1.1.1
	second_relay
	gateways_start two 4 -n 4 -r 10.5.0.1 -S 10.5.1.1 --expect 600 239.1.1.1
	send -n 600 -r 1M -s 250 -g 239.1.1.1 &
	# shellcheck disable=SC2046
	$(where src) "$build/amt-load" send -I src1 -S 10.4.0.1 --quiet -n 600 -r 1M -s 250 \
		-g 239.1.1.1 &
	killed
	instance=$net_id
	again "$conf"
	gateways_good one
	gateways_good two
	expect "packets in" "$(stat packets_in)" -eq 600
	ctl shutdown
	instance=$net_id-two
	expect "packets in of the second" "$(stat packets_in)" -eq 600
	expect "copies out of the second" "$(stat copies_out)" -eq 2400
	datapath_clean
	ctl shutdown
	wait "$second_pid"
}

for mode in xdp tc; do
	run_case "$mode: amtd is killed" restart killed "mode = $mode"
done
run_case "amtd is stopped" restart stopped
run_case "a MAC of before is accepted" old_mac
run_case "what gateways say while amtd is away" said_meanwhile
run_case "without a configuration" without_configuration
run_case "amtd does not come back" lease_over
run_case "other sizes" other_sizes
for mode in xdp tc; do
	run_case "$mode: shutdown leaves nothing" shut_down $mode
done
run_case "a second amtd of the same name" second_refused
run_case "two amtds in one namespace" side_by_side
finish
