# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154 # shared with tests/bench/run
# What very many channels cost amtd where each tunnel has them all: memory, a join, a leave, upstream
# joins, the longest turn of its loop, a restart. The kernel's own record of an upstream join is not in
# the memory: it comes once a channel, not once a membership.

# shellcheck source=state.sh
source tests/bench/state.sh

section channels "10,000 channels of 100 tunnels each: memory, joins, leaves, pauses, restart"

channels_tunnels=100 channels_each=10000

channels_are_joined() {
	ctl --json status | jq -e ".upstream.groups == $channels_each" >/dev/null
}

channels_members() { # memberships, as the packet path has them
	ctl --json groups | jq '[.groups[].members] | add // 0'
}

section_channels() {
	local all=$((channels_tunnels * channels_each)) before holder holder_ns joins empty kb
	local restart_s restart_cpu_s
	state_network
	# 16 members a block on this ring, and as many blocks again while lists are written anew
	state_relay "max-tunnels = $channels_tunnels" "max-channels = $channels_each" \
		"max-groups-per-tunnel = $channels_each" "max-blocks = 100000"
	empty=$(state_memory)
	before=$(cpu_ns "$relay_pid")
	crowd_files=()
	crowd_start st-gw 1 $channels_tunnels "10.1.0.1,232.8.0.1x$channels_each" -b 16384 \
		--start-rate 2 --end leave
	state_await $channels_tunnels 200
	wait_for 60 channels_are_joined || net_die "$(ctl --json status | jq .upstream) upstream"
	sleep 2 # gateways say their joins twice (R-76)
	joins=$(cpu_ns "$relay_pid")
	[ "$(channels_members)" -eq $all ] || net_die "$(channels_members) memberships, not $all"
	holder=$(ctl --json status | jq .upstream.holder_pid)
	holder_ns=$(cpu_ns "$holder")
	kb=$((($(state_memory) - empty) / 1024))
	state_figures $channels_tunnels $channels_each $((joins - before))
	state_restart $channels_tunnels
	[ "$(channels_members)" -eq $all ] || net_die "memberships are lost by the restart"
	before=$(cpu_ns "$relay_pid")
	kill -USR1 "${crowd_pids[@]}"
	state_await 0 200
	state_note octets_per_membership $((kb * 1024 / all)) \
		leave_us "$(awk -v ns=$(($(cpu_ns "$relay_pid") - before)) -v n=$all \
			'BEGIN { printf "%.1f", ns / n / 1000 }')" \
		holder_ms $((holder_ns / 1000000)) restart_s "$restart_s" \
		restart_cpu_s "$restart_cpu_s" later "$(state_loop)"
	crowd_end
	ctl shutdown >/dev/null
	jq -r '"\(.tunnels) tunnels with \(.channels) channels each:",
		"  \(.octets_per_membership) octets a membership over those of the empty relay, " +
		"\(.octets_per_tunnel / .channels | round) all told",
		"  \(.join_us) us of CPU time a join, \(.leave_us) us a leave; " +
		"\(.holder_ms) ms for the upstream joins and looks for other listeners",
		"  longest turn of the loop \(.longest_turn_ms) ms while they join, " +
		"\(.turns_over_5_ms) of more than 5 ms; \(.later.longest_turn_ms) ms while they leave",
		"  restart in \(.restart_s) s, of them \(.restart_cpu_s) s of CPU time"' \
		"$net_dir/state.json"
	# shellcheck disable=SC2016 # jq's own variable
	result '.channels = $new' "$net_dir/state.json"
}
