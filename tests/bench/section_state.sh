# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154 # shared with tests/bench/run
# What state costs amtd: memory all told (amtd, its helper process and the maps), a join, the longest
# turn of its loop, also while the group of them all is listed and another gateway names a source of
# it, a restart; and what those who listen notice of a restart, of a route change and of 1,000 leaves
# a second: nothing.

# shellcheck source=state.sh
source tests/bench/state.sh

section state "100,000 tunnels: memory, joins, pauses, restart, route change, leaves under a stream"

state_group=239.8.0.1 # joined by all, without a source

state_tunnels=100000 state_watchers=1000 state_leavers=10000

# Packets of 200 octets to a group.
state_stream() { # state_stream GROUP PACKETS PACKETS_A_SECOND
	# shellcheck disable=SC2046
	$(where st-src) "$build/amt-load" send -I src0 -S 10.1.0.1 -g "$1" -s 200 \
		-r $((1600 * $3)) -n "$2" --quiet &
	state_sender=$!
}

state_source_has() { # state_source_has MEMBERS
	ctl --json groups | jq -e --arg group $state_group --argjson members "$1" \
		'any(.groups[]; .group == $group and .source == "10.1.0.1" and
			.members == $members)' >/dev/null
}

state_source_is_gone() {
	ctl --json groups | jq -e --arg group $state_group \
		'all(.groups[]; .group != $group or .source != "10.1.0.1")' >/dev/null
}

# What concerns all members of one group at once: who lists them; who names a source that the others
# want too, and leaves again.
state_large_group() { # sets large, as state_loop
	local gateway
	[ "$(ctl --json groups $state_group | jq '.groups[0].tunnels | length')" -eq $state_tunnels ] ||
		net_die "not all of group $state_group are listed"
	# shellcheck disable=SC2046
	$(where st-gw) "$build/amt-load" gateways -r 10.2.0.1 -S 10.2.1.2 -x 10.1.0.1 --quiet \
		--end leave $state_group >/dev/null 2>&1 &
	gateway=$!
	wait_for 20 state_source_has $state_tunnels || net_die "the new source is not for all"
	kill -INT $gateway
	wait $gateway || true
	wait_for 20 state_source_is_gone || net_die "the new source does not go"
	large=$(state_loop)
}

state_reroute() { # sets reroute_cpu_s
	local before
	before=$(cpu_ns "$relay_pid")
	ip -n "$net_id-st-relay" route replace 10.64.0.0/10 via 10.2.1.2
	sleep 5
	reroute_cpu_s=$(awk -v ns=$(($(cpu_ns "$relay_pid") - before)) 'BEGIN { print ns / 1e9 }')
	ctl --json tunnels | jq -e 'all(.tunnels[]; .next_hop == "10.2.1.2")' >/dev/null ||
		net_die "tunnels stay with the old next hop"
}

# The last process of the crowd leaves, 1,000 of its gateways a second.
state_leave() { # sets leave_s
	local began
	began=$(date +%s%N)
	kill -USR1 "${crowd_pids[-1]}"
	wait_for 60 state_has $((state_tunnels - state_leavers)) || net_die "gateways do not leave"
	leave_s=$(awk -v ns=$(($(date +%s%N) - began)) 'BEGIN { print ns / 1e9 }')
}

# Of those that stay: what they have of the streams, against what they should.
state_verdict() { # state_verdict RESTART_PACKETS LEAVE_PACKETS
	local stay=("${crowd_files[@]:0:${#crowd_files[@]}-1}") expected
	expected=$((state_watchers * $1 + (state_tunnels - state_leavers) * $2))
	state_note restart_packets "$1" leave_packets "$2" \
		missing $((expected - $(crowd_sum distinct "${stay[@]}"))) \
		duplicate "$(crowd_sum duplicate "${crowd_files[@]}")" \
		socket_drops "$(crowd_sum socket_drops "${crowd_files[@]}")" \
		relay_drops "$(ctl --json stats | jq '.counters |
			.xmit_drops + .recirculation_drops')"
}

state_join_all() {
	local others=$((state_tunnels - state_watchers - state_leavers))
	crowd_files=()
	crowd_start st-gw 1 $others $state_group 10.1.0.1,232.8.0.1 -b 16384 --start-rate 700 --end none
	# the watchers' third channel is the one whose stream goes through the restart; each has room
	# for all of it, however late it gets a CPU
	crowd_start st-gw $((others + 1)) $state_watchers $state_group 10.1.0.1,232.8.0.1x2 -b 1048576 --end none
	crowd_start st-gw $((state_tunnels - state_leavers + 1)) $state_leavers \
		$state_group 10.1.0.1,232.8.0.1 -b 16384 --start-rate 1000 --end leave
	state_await $state_tunnels 300
	sleep 1.5 # gateways say their joins twice (R-76)
}

section_state() {
	local before large restart_s restart_cpu_s alone_s alone_cpu_s reroute_cpu_s leave_s
	state_network
	state_relay "max-tunnels = $((state_tunnels + 1))"
	before=$(cpu_ns "$relay_pid")
	state_join_all
	state_figures $state_tunnels 2 $(($(cpu_ns "$relay_pid") - before))
	state_restart $state_tunnels
	state_large_group
	alone_s=$restart_s alone_cpu_s=$restart_cpu_s
	state_stream 232.8.0.2 400 40
	sleep 1
	state_restart $state_tunnels
	wait "$state_sender"
	state_reroute
	state_stream 232.8.0.1 16 1
	sleep 1
	state_leave
	wait "$state_sender"
	sleep 3
	crowd_end
	state_verdict 400 16
	state_note restart_s "$alone_s" restart_cpu_s "$alone_cpu_s" \
		restart_streaming_s "$restart_s" restart_streaming_cpu_s "$restart_cpu_s" \
		reroute_cpu_s "$reroute_cpu_s" leave_s "$leave_s" large "$large" later "$(state_loop)"
	ctl shutdown >/dev/null
	jq -r --argjson leavers $state_leavers '"\(.tunnels) tunnels with \(.channels) channels each:",
		"  \(.octets_per_tunnel) octets a tunnel all told, \(.join_us) us of CPU time a join",
		"  longest turn of the loop \(.longest_turn_ms) ms while they join, " +
		"\(.turns_over_5_ms) of more than 5 ms; after the restart \(.later.longest_turn_ms) ms",
		"  all members of a group listed, and given and taken a source of their own: longest turn " +
		"\(.large.longest_turn_ms) ms, \(.large.turns_over_5_ms) of more than 5 ms",
		"  restart in \(.restart_s) s, of them \(.restart_cpu_s) s of CPU time; beside a stream and " +
		"its receivers \(.restart_streaming_s) s, of them \(.restart_streaming_cpu_s) s of CPU time",
		"  another next hop for all by \(.reroute_cpu_s) s of CPU time",
		"  \($leavers) of them leave in \(.leave_s) s",
		"  \(.restart_packets) packets through the restart, \(.leave_packets) through the leaves, " +
		"to all who stay: missing \(.missing), duplicate \(.duplicate)",
		"  (receivers were too slow for \(.socket_drops), the relay dropped \(.relay_drops))"' \
		"$net_dir/state.json"
	# shellcheck disable=SC2016 # jq's own variable
	result '.state = $new' "$net_dir/state.json"
}
