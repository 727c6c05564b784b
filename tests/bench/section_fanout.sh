# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154 # shared with tests/bench/run
# What a copy costs on each path, over N (see helper_train.h for how it is measured).

# shellcheck source=chains.sh
source tests/bench/chains.sh

section fanout "what a copy costs: XDP, TC, sendmmsg, and the bound"

table() { # table FILE: rows of a measurement, with ratios to the sendmmsg loop and to the bound
	jq -r '.rows as $rows | $rows[] | . as $r
		| ($rows[] | select(.path == "sendmmsg" and .n == $r.n and .payload == $r.payload)
			| .ns_per_copy) as $plain
		| ($rows[] | select(.path == "bound" and .n == $r.n and .payload == $r.payload)
			| .ns_per_copy) as $bound
		| [.payload, .n, .path, .ns_per_copy, $plain / .ns_per_copy, .ns_per_copy / $bound,
			.delivered * 100] | @tsv' "$1" | sort -k1,1n -k2,2n -s |
		awk -F'\t' 'BEGIN { printf "%8s %6s  %-10s %12s %14s %12s %10s\n", "payload", "N",
			"path", "ns per copy", "sendmmsg/this", "this/bound", "delivered" }
			{ printf "%8d %6d  %-10s %12.1f %14.2f %12.2f %9.2f%%\n", $1, $2, $3, $4, $5, $6, $7 }'
}

section_fanout() {
	chains_make
	echo "Cost of a copy: CPU time, median; without the sender's share"
	measure xdp:1,8,64,256 tc:1,8,64,256 sendmmsg:1,8,64,256 bound:1,8,64,256 \
		>"$net_dir/rows.json"
	table "$net_dir/rows.json"
	# shellcheck disable=SC2016 # jq's own variable
	result '.rows = $new.rows | .sender_ns = $new.sender_ns | .clock = $new.clock' "$net_dir/rows.json"
}
