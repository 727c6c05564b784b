# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154 # shared with tests/bench/run
# What the sections share that load one relay with very much state.

# shellcheck source=crowd.sh
source tests/bench/crowd.sh

state_networks=0

state_network() { # once, by the first section that wants it
	[ $state_networks -eq 0 ] || return 0
	state_networks=1
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
