#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A stream reaches every gateway whole: 1, 200 and 4,096 gateways, bursts, all four combinations of
# inner and outer family, on each packet path.
source "$(dirname "$0")/lib.sh"
topology

inner_channel() { # inner_channel 4|6
	if [ "$1" = 4 ]; then echo "$source4,232.1.1.1"; else echo "$source6,ff3e::8000:1"; fi
}

inner_group() { # inner_group 4|6
	local channel
	channel=$(inner_channel "$1")
	echo "${channel#*,}"
}

# stream PATH OUTER INNER GATEWAYS PACKETS RATE [CONF_LINE...]
stream() {
	local path=$1 outer=$2 inner=$3 n=$4 packets=$5 rate=$6
	shift 6
	relay_start "$(relay_conf "$@")"
	# shellcheck disable=SC2046
	gateways_start g "$n" -r "$(outer_relay "$outer")" -n "$n" $(outer_sources "$outer" 32) \
		--start-rate 5000 --in-order --expect "$packets" "$(inner_channel "$inner")"
	expect_path "$(inner_group "$inner")" "$path"
	send -g "$(inner_group "$inner")" -n "$packets" -s 1348 -r "$rate"
	gateways_good g
	expect "packets in" "$(stat packets_in)" -eq "$packets"
	expect "copies out" "$(stat copies_out)" -eq $((packets * n))
	datapath_clean
}

# The same with a file, compared octet by octet, by the load generator and by cmp.
file_stream() { # file_stream OUTER INNER GATEWAYS
	local file=$net_dir/file
	relay_start "$(relay_conf)"
	head -c 2000001 /dev/urandom >"$file"
	# shellcheck disable=SC2046
	gateways_start g "$3" -r "$(outer_relay "$1")" -n "$3" $(outer_sources "$1" 32) \
		--in-order --complete --compare "$file" --output "$net_dir/out" \
		--start-rate 5000 "$(inner_channel "$2")"
	expect_path "$(inner_group "$2")" 'xdp*'
	send -g "$(inner_group "$2")" -r 20M "$file"
	gateways_good g
	cmp "$file" "$net_dir/out" || fail "the file of the first gateway is another one"
	expect "identical gateways" "$(figure g .identical)" -eq "$3"
	datapath_clean
}

# A capture of what reaches the gateways, judged by tshark.
captured() { # captured OUTER INNER
	local data="amt.type == 6"
	relay_start "$(relay_conf)"
	capture_start c gw gw0
	# shellcheck disable=SC2046
	gateways_start g 3 -r "$(outer_relay "$1")" -n 3 -D $(outer_sources "$1" 3) --in-order \
		--expect 50 "$(inner_channel "$2")"
	send -g "$(inner_group "$2")" -n 50 -r 5M
	gateways_good g
	capture_stop c
	capture_judge c
	expect discoveries "$(capture_count c 'amt.type == 1')" -eq 3
	expect advertisements "$(capture_count c 'amt.type == 2')" -eq 3
	expect requests "$(capture_count c 'amt.type == 3')" -eq 3
	expect queries "$(capture_count c 'amt.type == 4')" -eq 3
	expect "data messages" "$(capture_count c "$data")" -eq 150
	expect "data from another port" "$(capture_count c "$data && udp.srcport != 2268")" -eq 0
	# R-93, R-94, R-108: DF, never a fragment, own TTL; the inner one is one less than sent
	if [ "$1" = 4 ]; then
		expect "data without DF" \
			"$(capture_count c "$data && (ip.flags.df == 0 || ip.frag_offset > 0)")" -eq 0
	fi
	expect "data with the inner TTL 15" "$(capture_count c \
		"$data && $([ "$2" = 4 ] && echo ip.ttl || echo ipv6.hlim) == 15")" -eq 150
}

for outer in 4 6; do
	for inner in 4 6; do
		name="IPv$inner over IPv$outer"
		run_case "$name: one gateway gets a file" file_stream $outer $inner 1
		run_case "$name: 200 gateways get a file" file_stream $outer $inner 200
		run_case "$name: tshark finds nothing wrong" captured $outer $inner
		run_case "$name: a burst of 64 packets to 16 gateways" \
			stream 'xdp*' $outer $inner 16 64 0
		run_case "$name: 4,096 gateways" stream xdp-recirculated $outer $inner 4096 60 400k
	done
done
run_case "TC: IPv4 over IPv6, 40 gateways" stream tc 6 4 40 500 10M 'mode = tc'
run_case "TC: IPv6 over IPv4, 40 gateways" stream tc 4 6 40 500 10M 'mode = tc'
finish
