#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Every packet path of this kernel once, end to end, adoption, the gateway. Short: a guest without
# KVM is slow.
source "$(dirname "$0")/lib.sh"
topology

# Before Linux 6.3 nobody says whether a veth takes XDP frames: `mode = xdp` does.
channel4=$source4,232.1.1.1

# stream PATH OUTER INNER GATEWAYS [CONF_LINE...]
stream() {
	local path=$1 outer=$2 channel=$source4,232.1.1.1 n=$4
	[ "$3" = 4 ] || channel=$source6,ff3e::8000:1
	shift 4
	relay_start "$(relay_conf "$@")"
	stream_pass "$path" "$outer" "$channel" "$n"
}

stream_pass() { # stream_pass PATH OUTER CHANNEL GATEWAYS: 60 packets to each
	# shellcheck disable=SC2046
	gateways_start g "$4" -r "$(outer_relay "$2")" -n "$4" $(outer_sources "$2" 32) \
		--in-order --expect 60 "$3"
	expect_path "${3#*,}" "$1"
	send_in_order -g "${3#*,}" -n 60 -r 1M
	gateways_good g
	expect "copies out" "$(stat copies_out)" -eq $((60 * $4))
	datapath_clean
}

# amtd goes, by a signal or without a word, and the next one adopts what flows. The gateways stay
# when the stream ends, which may be before a slow guest's next amtd has been looked at.
restart() { # restart SIGNAL
	local sender
	relay_start "$(relay_conf 'mode = xdp')"
	gateways_start g 4 -r "$relay4" -n 4 -S 10.2.1.1 --in-order "$channel4"
	send_in_order -g 232.1.1.1 -n 400 -r 400k &
	sender=$!
	kill "-$1" "$relay_pid"
	wait "$relay_pid" || true
	relay_start "$(relay_conf 'mode = xdp')"
	status_is .adopted || fail "not adopted"
	expect_path 232.1.1.1 'xdp*'
	wait "$sender"
	copies_rest
	gateways_have g 1 400
}

# Our gateway behind our relay: what a program on amt0 gets is the file.
gateway() { # gateway MODE
	local group=232.1.1.1
	relay_start "$(relay_conf)"
	relay_start "" gw
	ctl attach gw0 --gateway --relay "$relay4" --mode "$1" >/dev/null
	head -c 100001 /dev/urandom >"$net_dir/film"
	rm -f "$net_dir/r.ready"
	# shellcheck disable=SC2046
	$(where gw) "$build/amt-load" receive -I amt0 --json --list --ready "$net_dir/r.ready" \
		--complete --compare "$net_dir/film" "$channel4" \
		>"$net_dir/r.json" 2>"$net_dir/r.err" &
	echo $! >"$net_dir/r.pid"
	instance=$net_id
	wait_for 60 status_is '.channels >= 1' || fail "not joined at the relay: $(cat "$net_dir/r.err")"
	send -g "$group" -r 1M "$net_dir/film"
	instance=$net_id-gw
	gateways_good r
	expect "packets not taken by the fast path" \
		"$(ctl --json status | jq .traffic.slow_packets)" -eq 0
}

run_case "XDP: IPv4 over IPv4" stream xdp 4 4 2 'mode = xdp'
run_case "XDP: IPv4 over IPv4, 40 gateways" stream xdp-recirculated 4 4 40 'mode = xdp'
run_case "TC: IPv6 over IPv6, 40 gateways" stream tc 6 6 40 'mode = tc'
run_case "restart: amtd is killed and is adopted, nothing is lost" restart KILL
run_case "gateway, XDP: the octets of a file" gateway xdp
if full_plan; then
	run_case "XDP: IPv6 over IPv6" stream 'xdp*' 6 6 4 'mode = xdp'
	run_case "XDP: IPv4 over IPv6" stream 'xdp*' 6 4 4 'mode = xdp'
	run_case "TC: IPv4 over IPv4" stream tc 4 4 4 'mode = tc'
	run_case "restart: amtd ends and is adopted, nothing is lost" restart TERM
	run_case "gateway, TC: the octets of a file" gateway tc
fi
finish
