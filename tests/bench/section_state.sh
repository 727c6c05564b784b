# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154 # shared with tests/bench/run
# What state costs amtd: memory all told (amtd, its helper process and the maps), a join, the longest
# turn of its loop, a restart; and what those who listen notice of a restart, of a route change and
# of 1,000 leaves a second: nothing.

# shellcheck source=crowd.sh
source tests/bench/crowd.sh

section state "100,000 tunnels: memory, joins, pauses, restart, route change, leaves under a stream"

state_network() {
	net_add st-src st-relay st-gw
	net_link st-src src0 st-relay up0
	net_link st-relay down0 st-gw gw0
	net_addr st-src src0 10.1.0.1/24
	net_addr st-relay up0 10.1.0.254/24
	net_addr st-relay down0 10.2.0.1/16
	net_addr st-gw gw0 10.2.1.1/16 10.2.1.2/16
	crowd_route st-gw gw0 st-relay 10.2.1.1
}

state_relay() { # state_relay LINE...: of the configuration
	{
		printf '%s\n' 'relay {' 'address = {"10.2.0.1"}' 'upstream = {"up0"}' \
			'uplink = {"down0"}' "$@" '}'
	} >"$net_dir/state.conf"
	relay_start "$net_dir/state.conf" st-relay || net_die "amtd does not start"
}

state_has() { # state_has TUNNELS
	[ "$(ctl --json status | jq .tunnels)" -eq "$1" ]
}

state_await() { # state_await TUNNELS SECONDS
	wait_for "$2" state_has "$1" ||
		net_die "$(ctl --json status | jq .tunnels) tunnels instead of $1"
}

# Octets of the maps that amtd does not map: those are in its resident memory.
state_maps() {
	local map
	for map in $(ctl --json maps | jq -r '.maps[].map'); do
		case $map in
		group_blocks | block_list | blocks | fanout4 | fanout6 | tunnels) continue ;;
		esac
		bpftool -j map show pinned "/sys/fs/bpf/amt/$instance/$map" 2>/dev/null |
			jq '.bytes_memlock // 0'
	done | awk '{ sum += $1 } END { print sum + 0 }'
}

state_memory() { # octets, all told
	local holder
	holder=$(ctl --json status | jq .upstream.holder_pid)
	echo $((($(rss_kb "$relay_pid") + $(rss_kb "$holder")) * 1024 + $(state_maps)))
}

state_loop() { # {longest turn in ms, turns of more than 5 ms}
	ctl --json stats | jq -c '.loop | {longest_turn_ms: (.longest * 1000), turns_over_5_ms:
		([.histogram[] | select(.up_to == null or .up_to > 0.005) | .turns] | add)}'
}

# Seconds until the next amtd serves all, and what it used of them: beside other work it has to wait
# for a CPU. It looks up routes afterwards, in turns of its loop.
state_restart() { # state_restart TUNNELS: sets restart_s, restart_cpu_s
	local began
	began=$(date +%s%N)
	kill -TERM "$relay_pid"
	wait "$relay_pid" || true
	relay_start "$net_dir/state.conf" st-relay || net_die "amtd does not start again"
	restart_cpu_s=$(awk -v ns="$(cpu_ns "$relay_pid")" 'BEGIN { print ns / 1e9 }')
	restart_s=$(awk -v ns=$(($(date +%s%N) - began)) 'BEGIN { print ns / 1e9 }')
	state_has "$1" || net_die "tunnels are lost by the restart"
}

# Into state.json; joins until now took that CPU time.
state_figures() { # state_figures TUNNELS CHANNELS CPU_NS
	jq -n --argjson tunnels "$1" --argjson channels "$2" --argjson memory "$(state_memory)" \
		--argjson cpu "$3" --argjson joining "$(state_loop)" '{tunnels: $tunnels,
			channels: $channels, octets_per_tunnel: ($memory / $tunnels | round),
			join_us: ($cpu / $tunnels / $channels / 100 | round / 10)} + $joining' \
		>"$net_dir/state.json"
}

state_note() { # state_note NAME FIGURE...: name and number, into state.json
	local file=$net_dir/state.json
	while [ $# -gt 0 ]; do
		jq --arg name "$1" --argjson figure "$2" '.[$name] = $figure' "$file" >"$file.new"
		mv "$file.new" "$file"
		shift 2
	done
}

state_tunnels=100000 state_watchers=1000 state_leavers=10000

# Packets of 200 octets to a group.
state_stream() { # state_stream GROUP PACKETS PACKETS_A_SECOND
	# shellcheck disable=SC2046
	$(where st-src) "$build/amt-load" send -I src0 -S 10.1.0.1 -g "$1" -s 200 \
		-r $((1600 * $3)) -n "$2" --quiet &
	state_sender=$!
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
	crowd_start st-gw 1 $others 10.1.0.1,232.8.0.1x2 -b 16384 --start-rate 700 --end none
	# the watchers' third group is the one whose stream goes through the restart
	crowd_start st-gw $((others + 1)) $state_watchers 10.1.0.1,232.8.0.1x3 -b 65536 --end none
	crowd_start st-gw $((state_tunnels - state_leavers + 1)) $state_leavers \
		10.1.0.1,232.8.0.1x2 -b 16384 --start-rate 1000 --end leave
	state_await $state_tunnels 300
	sleep 1.5 # gateways say their joins twice (R-76)
}

section_state() {
	local before restart_s restart_cpu_s alone_s alone_cpu_s reroute_cpu_s leave_s
	state_network
	state_relay "max-tunnels = $state_tunnels"
	before=$(cpu_ns "$relay_pid")
	state_join_all
	state_figures $state_tunnels 2 $(($(cpu_ns "$relay_pid") - before))
	state_restart $state_tunnels
	alone_s=$restart_s alone_cpu_s=$restart_cpu_s
	state_stream 232.8.0.3 400 40
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
		reroute_cpu_s "$reroute_cpu_s" leave_s "$leave_s" later "$(state_loop)"
	ctl shutdown >/dev/null
	jq -r --argjson leavers $state_leavers '"\(.tunnels) tunnels with \(.channels) channels each:",
		"  \(.octets_per_tunnel) octets a tunnel all told, \(.join_us) us of CPU time a join",
		"  longest turn of the loop \(.longest_turn_ms) ms while they join, " +
		"\(.turns_over_5_ms) of more than 5 ms; after the restart \(.later.longest_turn_ms) ms",
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
