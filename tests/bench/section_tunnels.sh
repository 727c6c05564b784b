# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154 # shared with tests/bench/run
# What tunnels cost that listen to something else: per copy, memory, and joins.

# shellcheck source=chains.sh
source tests/bench/chains.sh
# shellcheck source=crowd.sh
source tests/bench/crowd.sh

section tunnels "what 100,000 idle tunnels cost: a copy, memory, a join"

idle_gateways=100000 idle_groups=2

# Tunnels that listen to other groups: what they cost a copy, amtd's memory and CPU time.
section_tunnels() {
	chains_make
	join xdp 64
	local pid=${relay_pids[xdp]} before after leave_before leave_after others all kb empty_kb
	crowd_route xdp-gw gw0 xdp-relay ${gateway_base}1
	others=$(tunnels xdp)
	all=$((others + idle_gateways))
	measure xdp:64 >"$net_dir/idle.before"
	empty_kb=$(rss_kb "$pid")
	before=$(cpu_ns "$pid")
	crowd_start xdp-gw 1 $idle_gateways "10.1.0.1,232.8.0.1x$idle_groups" -b 4096 \
		--start-rate 700 --end leave --linger 3
	wait_for 200 tunnels_are xdp $all || net_die "$(tunnels xdp) tunnels instead of $all"
	sleep 1.5 # gateways say their joins twice
	after=$(cpu_ns "$pid")
	kb=$(rss_kb "$pid")
	measure xdp:64 >"$net_dir/idle.with"
	leave_before=$(cpu_ns "$pid")
	crowd_end
	wait_for 60 tunnels_are xdp "$others" || net_die "idle tunnels do not leave"
	leave_after=$(cpu_ns "$pid")
	measure xdp:64 >"$net_dir/idle.after"
	jq -n --argjson tunnels $idle_gateways --argjson others "$others" \
		--argjson groups $idle_groups --argjson kb "$kb" \
		--argjson empty_kb "$empty_kb" \
		--argjson join "$(((after - before) / idle_gateways / idle_groups))" \
		--argjson leave "$(((leave_after - leave_before) / idle_gateways / idle_groups))" \
		--slurpfile before "$net_dir/idle.before" --slurpfile with "$net_dir/idle.with" \
		--slurpfile after "$net_dir/idle.after" '
		def cost($run; $payload): $run[0].rows[] | select(.payload == $payload) | .ns_per_copy;
		def ratio($payload): cost($with; $payload) * 2 /
			(cost($before; $payload) + cost($after; $payload));
		{tunnels: $tunnels, others: $others, groups_per_tunnel: $groups, rss_kb: $kb, rss_kb_before: $empty_kb,
			join_ns: $join, leave_ns: $leave,
			idle_ratio: {"64": ratio(64), "1316": ratio(1316)}}' >"$net_dir/tunnels.json"
	jq -r '"\(.tunnels) idle tunnels with \(.groups_per_tunnel) groups each, beside \(.others):",
		"  a copy at N = 64 costs \(.idle_ratio."64" * 1000 | round / 1000) (64 octets) and " +
		"\(.idle_ratio."1316" * 1000 | round / 1000) (1316) of what it costs without them",
		"  amtd: \(.rss_kb / 1000) MB resident (\(.rss_kb_before / 1000) before), " +
		"\(.join_ns / 1000) us of CPU time a join, \(.leave_ns / 1000) us a leave"' \
		"$net_dir/tunnels.json"
	# shellcheck disable=SC2016 # jq's own variable
	result '.idle_tunnels = $new' "$net_dir/tunnels.json"
}
