# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154 # shared with tests/bench/run
# What a recirculated group costs against a direct one.

# shellcheck source=chains.sh
source tests/bench/chains.sh

section recirculation "what a copy of a large group costs against one of a small group"

# The reference is N = 4 or, where the transmit ring is too short to send four copies at once for
# each packet of a poll, the largest N that goes direct.
section_recirculation() {
	local paths
	chains_make
	join xdp 3 4 256 1024
	paths=$(instance=$net_id-xdp-relay ctl --json groups | jq -c \
		'[.groups[] | {key: .group, value: .path}] | from_entries')
	echo "Recirculated against direct"
	measure xdp:3,4,256,1024 >"$net_dir/recirculation.json"
	jq --argjson paths "$paths" '[.rows[] | . + {way:
		$paths["232.9.\(.n / 256 | floor).\(.n % 256)"]}] as $rows
		| $rows | map(. as $r
		| ([$rows[] | select(.payload == $r.payload and .way == "xdp")] | max_by(.n)
			| .ns_per_copy) as $direct
		| . + {direct_ratio: (.ns_per_copy / $direct)})' "$net_dir/recirculation.json" \
		>"$net_dir/ratios.json"
	jq -r '.[] | [.payload, .n, .way, .ns_per_copy, .direct_ratio, .delivered * 100] | @tsv' \
		"$net_dir/ratios.json" | sort -k1,1n -k2,2n |
		awk -F'\t' 'BEGIN { printf "%8s %6s  %-18s %12s %14s %10s\n", "payload", "N", "path",
			"ns per copy", "this/direct", "delivered" }
			{ printf "%8d %6d  %-18s %12.1f %14.2f %9.2f%%\n", $1, $2, $3, $4, $5, $6 }'
	# shellcheck disable=SC2016 # jq's own variable
	result '.recirculation = $new' "$net_dir/ratios.json"
}
