# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154 # shared with tests/bench/run
# What 100,000 tunnels with two channels each cost amtd: memory all told (amtd, its helper process
# and the maps), a join, the longest turn of its loop, a restart, and a route change that moves all
# of them to another next hop.

section state "100,000 tunnels: memory, joins, the loop's longest turn, restart, route change"

state_tunnels=100000 state_channels=2

state_make() {
	net_add st-src st-relay st-gw
	net_link st-src src0 st-relay up0
	net_link st-relay down0 st-gw gw0
	net_addr st-src src0 10.1.0.1/24
	net_addr st-relay up0 10.1.0.254/24
	net_addr st-relay down0 10.2.0.1/16
	net_addr st-gw gw0 10.2.1.1/16 10.2.1.2/16
	# every gateway has an address of its own
	ip -n "$net_id-st-gw" route add local 10.64.0.0/10 dev gw0
	ip -n "$net_id-st-relay" route add 10.64.0.0/10 via 10.2.1.1
	cat >"$net_dir/state.conf" <<-CONF
		relay {
		    address = {"10.2.0.1"}
		    upstream = {"up0"}
		    uplink = {"down0"}
		    max-tunnels = $state_tunnels
		}
	CONF
	relay_start "$net_dir/state.conf" st-relay || net_die "amtd does not start"
}

# A process may have fewer files open than there are gateways.
state_join() {
	local limit first=0 n at
	limit=$(ulimit -Hn)
	[ "$limit" != unlimited ] || limit=100000
	limit=$((limit > 16100 ? 16000 : limit - 100))
	state_loads=()
	while [ $first -lt $state_tunnels ]; do
		n=$((state_tunnels - first < limit ? state_tunnels - first : limit))
		at=$((first + 1))
		# shellcheck disable=SC2046
		$(where st-gw) "$build/amt-load" gateways -r 10.2.0.1 -n "$n" -b 8192 -R 3600 \
			-S "10.$((64 + at / 65536)).$((at / 256 % 256)).$((at % 256))x$n" \
			--start-rate 400 --end leave --linger 3 --quiet \
			"10.1.0.1,232.8.0.1x$state_channels" >/dev/null 2>&1 &
		state_loads+=($!)
		disown # its end is not worth a word
		first=$((first + n))
	done
	wait_for 300 state_has $state_tunnels ||
		net_die "$(ctl --json status | jq .tunnels) tunnels instead of $state_tunnels"
	sleep 1.5 # gateways say their joins twice (R-76)
}

state_has() { # state_has TUNNELS
	[ "$(ctl --json status | jq .tunnels)" -eq "$1" ]
}

state_cpu_us() {
	awk -v hertz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); printf "%.0f\n", ($12 + $13) * 1e6 / hertz }' \
		"/proc/$relay_pid/stat"
}

state_rss() { # state_rss PID: octets
	awk '$1 == "VmRSS:" { print $2 * 1024 }' "/proc/$1/status"
}

# Octets of the maps; with "mapped", of those that amtd maps, which are in its resident memory too.
state_maps() { # state_maps all|mapped
	local map
	for map in $(ctl --json maps | jq -r '.maps[].map'); do
		case $1:$map in
		all:* | mapped:group_blocks | mapped:block_list | mapped:blocks | mapped:fanout4 | \
			mapped:fanout6 | mapped:tunnels)
			bpftool -j map show pinned "/sys/fs/bpf/amt/$instance/$map" 2>/dev/null |
				jq '.bytes_memlock // 0'
			;;
		esac
	done | awk '{ sum += $1 } END { print sum + 0 }'
}

state_loop() { # longest turn (ms), turns of more than 5 ms
	ctl --json stats | jq -c '.loop | [.longest * 1000,
		([.histogram[] | select(.up_to == null or .up_to > 0.005) | .turns] | add)]'
}

state_restart() { # sets restart_s: until the next amtd serves all
	local began
	began=$(date +%s%N)
	kill -TERM "$relay_pid"
	wait "$relay_pid" || true
	relay_start "$net_dir/state.conf" st-relay || net_die "amtd does not start again"
	state_has $state_tunnels || net_die "tunnels are lost by the restart"
	restart_s=$(awk -v ns=$(($(date +%s%N) - began)) 'BEGIN { print ns / 1e9 }')
}

section_state() {
	local before join memory holder joining restart_s seconds
	state_make
	before=$(state_cpu_us)
	state_join
	join=$((($(state_cpu_us) - before) / state_tunnels / state_channels))
	holder=$(ctl --json status | jq .upstream.holder_pid)
	memory=$(($(state_rss "$relay_pid") + $(state_rss "$holder") + $(state_maps all) - $(state_maps mapped)))
	joining=$(state_loop)
	state_restart
	jq -n --argjson tunnels $state_tunnels --argjson channels $state_channels \
		--argjson memory $memory --argjson join $join --argjson joining "$joining" \
		--argjson restart "$restart_s" '{tunnels: $tunnels, channels: $channels,
			octets_per_tunnel: ($memory / $tunnels | round), join_us: $join,
			longest_turn_ms: $joining[0], turns_over_5_ms: $joining[1],
			restart_s: $restart}' >"$net_dir/state.json"
	before=$(state_cpu_us)
	ip -n "$net_id-st-relay" route replace 10.64.0.0/10 via 10.2.1.2
	sleep 5
	seconds=$(awk -v us=$(($(state_cpu_us) - before)) 'BEGIN { print us / 1e6 }')
	ctl --json tunnels | jq -e 'all(.tunnels[]; .next_hop == "10.2.1.2")' >/dev/null ||
		net_die "tunnels stay with the old next hop"
	jq --argjson seconds "$seconds" '. + {reroute_cpu_s: $seconds}' "$net_dir/state.json" \
		>"$net_dir/state.all"
	kill -KILL "${state_loads[@]}"
	ctl shutdown >/dev/null
	jq -r '"\(.tunnels) tunnels with \(.channels) channels each:",
		"  \(.octets_per_tunnel) octets a tunnel all told, \(.join_us) us of CPU time a join",
		"  longest turn of the loop \(.longest_turn_ms) ms, \(.turns_over_5_ms) of more than 5 ms",
		"  restart in \(.restart_s) s, another next hop for all by \(.reroute_cpu_s) s of CPU time"' \
		"$net_dir/state.all"
	# shellcheck disable=SC2016 # jq's own variable
	result '.state = $new' "$net_dir/state.all"
}
