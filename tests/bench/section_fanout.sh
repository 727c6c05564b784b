# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154 # shared with tests/bench/run
# What a copy costs on each path, over N (see helper_train.h for how it is measured).
#
# Where a path ends: the bound is one broadcast, which a ring of 256 does not hold beyond N = 256.
# TC sends all copies of a packet at once into the receiver's backlog, which holds 1,000
# (net.core.netdev_max_backlog) unless the whole host is told otherwise.

# shellcheck source=chains.sh
source tests/bench/chains.sh

section fanout "what a copy costs over N: XDP, TC, sendmmsg, UDP_SEGMENT, and the bound"

fanout_all=(1 4 8 16 64 256 1024 4096 16384)
fanout_few=(1 4 8 16 64 256)
fanout_ipv6=(1 8 64 1024)

numbers() { # numbers N...: with commas
	local IFS=,
	echo "$*"
}

# Rows of a measurement, with ratios to the sendmmsg loop and to the bound. fanout_ratios FILE
fanout_ratios() {
	jq '.rows as $rows | [$rows[] | . as $r
		| def of($path): first($rows[] | select(.path == $path and .n == $r.n and
			.payload == $r.payload) | .ns_per_copy) // null;
		. + {plain: of("sendmmsg"), bound: of("bound")}
		| .plain_ratio = (if .plain then .plain / .ns_per_copy else null end)
		| .bound_ratio = (if .bound then .ns_per_copy / .bound else null end)]
		| sort_by(.payload, .n)' "$1"
}

fanout_table() { # fanout_table FILE, of fanout_ratios
	jq -r '.[] | [.payload, .n, .path, .ns_per_copy, .plain_ratio // "-", .bound_ratio // "-",
			.delivered * 100] | @tsv' "$1" |
		awk -F'\t' 'function ratio(x) { return x == "-" ? x : sprintf("%.2f", x) }
			BEGIN { printf "%8s %6s  %-9s %12s %14s %11s %10s\n", "payload", "N", "path",
				"ns per copy", "sendmmsg/this", "this/bound", "delivered" }
			{ printf "%8d %6d  %-9s %12.1f %14s %11s %9.2f%%\n", $1, $2, $3, $4,
				ratio($5), ratio($6), $7 }'
}

fanout_ipv6_table() { # fanout_ipv6_table FILE, of fanout_ratios
	jq -r '. as $rows | .[] | select(.path == "xdp6") | . as $r
		| first($rows[] | select(.path == "xdp" and .n == $r.n and .payload == $r.payload))
		| "  \($r.payload) octets, N = \($r.n): " +
			"\($r.ns_per_copy / .ns_per_copy * 100 | round / 100)"' "$1"
}

fanout_plot() { # fanout_plot FILE PNG: payload 1316, over N
	local path lines=()
	for path in sendmmsg segment tc xdp6 xdp bound; do
		jq -r --arg path $path '.[] | select(.path == $path and .payload == 1316)
			| "\(.n) \(.ns_per_copy)"' "$1" >"$net_dir/plot.$path"
		lines+=("'$net_dir/plot.$path' with linespoints title '$path'")
	done
	(
		IFS=,
		gnuplot <<-PLOT
			set terminal pngcairo size 900,560
			set output '$2'
			set logscale xy
			set xlabel 'copies of a packet (N)'
			set ylabel 'CPU time of a copy, ns'
			set title 'Payload of 1,316 octets'
			set grid
			set key outside
			plot ${lines[*]}
		PLOT
	)
}

section_fanout() {
	local all few ipv6
	all=$(numbers "${fanout_all[@]}") few=$(numbers "${fanout_few[@]}")
	ipv6=$(numbers "${fanout_ipv6[@]}")
	chains_make
	join xdp "${fanout_all[@]}"
	join xdp6 "${fanout_ipv6[@]}"
	join tc "${fanout_few[@]}"
	echo "Cost of a copy: CPU time, median; without the sender's share"
	measure "xdp:$all" "xdp6:$ipv6" "tc:$few" "sendmmsg:$all" "segment:$all" "bound:$few" \
		>"$net_dir/rows.json"
	fanout_ratios "$net_dir/rows.json" >"$net_dir/fanout.json"
	fanout_table "$net_dir/fanout.json"
	echo "segment is the sendmmsg loop with UDP_SEGMENT: a message of all packets that have come"
	echo "together, here of 8 and more; a stream waits for as many, and gateways get them in bursts."
	echo "xdp6 has its gateways on IPv6. A copy costs, against IPv4:"
	fanout_ipv6_table "$net_dir/fanout.json"
	[ -z "$plot" ] || fanout_plot "$net_dir/fanout.json" "$plot"
	# shellcheck disable=SC2016 # jq's own variable
	result '.rows = $new.rows | .sender_ns = $new.sender_ns | .clock = $new.clock' "$net_dir/rows.json"
}
