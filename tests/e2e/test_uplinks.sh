#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A hundred gateways move from one uplink to the other and back, time and again, while a stream goes
# to all of them: each has every packet, and none twice. The interfaces that they are reached by are
# there all the time, so nothing has an excuse to be lost. Order is not judged: the two ways are not
# equally long.
#
#   src -- relay --- down0 --- gw
#              '---- down1 ---'
# shellcheck disable=SC2317 # cases are called by their names
source "$(dirname "$0")/lib.sh"

gateways=100 packets=1500 moves=10

network() {
	local interface
	net_add src relay gw
	net_link src src0 relay up0
	net_link relay down0 gw gw0
	net_link relay down1 gw gw1
	net_addr src src0 $source4/24 $source6/64
	net_addr relay up0 10.1.0.254/24 2001:db8:1::fe/64
	net_addr relay down0 $relay4/16 $relay6/64
	net_addr relay down1 10.3.0.254/24
	net_addr gw gw0 10.2.1.1/16 2001:db8:2::1:1/64
	net_addr gw gw1 10.3.0.1/24
	net_addrs gw gw0 10.9.0. 1 4 32
	for interface in all default gw0 gw1; do
		on gw sysctl -q -w "net.ipv4.conf.$interface.rp_filter=0"
	done
}

route() { # route 0|1: which uplink leads to the gateways
	local via=10.2.1.1
	[ "$1" = 0 ] || via=10.3.0.1
	ip -n "$net_id-relay" route replace 10.9.0.0/24 via "$via" dev "down$1" src "$relay4"
}

all_use() { # all_use 0|1
	ctl --json tunnels | jq -e --argjson n "$gateways" --arg interface "down$1" \
		'.tunnels | length == $n and all(.interface == $interface)' >/dev/null
}

move() { # move 0|1
	route "$1"
	wait_for 15 all_use "$1" || fail "gateways are not reached by down$1"
}

to_and_fro() { # to_and_fro MODE
	local i sender
	route 0
	relay_start "$(relay_conf "mode = $1" 'uplink += {"down1"}')"
	# shellcheck disable=SC2046,SC2086
	gateways_start g "$gateways" -n "$gateways" -r $relay4 $(printf -- '-S 10.9.0.%d ' 1 2 3 4) \
		"$source4,232.1.1.1"
	wait_for 15 all_use 0 || fail "gateways are not reached by down0"
	send -g 232.1.1.1 -n "$packets" -s 200 -r 480k & # 300 a second
	sender=$!
	for ((i = 1; i <= moves; i++)); do
		move $((i % 2))
	done
	kill -0 "$sender" 2>/dev/null || fail "the stream was over before the gateways had moved"
	wait "$sender"
	copies_rest
	gateways_have g 1 "$packets"
	datapath_clean
}

network
run_case "to another uplink and back, under a stream: XDP" to_and_fro xdp
run_case "to another uplink and back, under a stream: TC" to_and_fro tc
finish
