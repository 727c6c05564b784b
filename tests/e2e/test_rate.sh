#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Rates: of a group, cut in the packet path, and of a tunnel, decided at the join (R-181).
# shellcheck disable=SC2317 # cases are called by their names
source "$(dirname "$0")/lib.sh"
topology

group() { # group GROUP JQ
	ctl --json groups "$1" | jq -e ".groups[0] | $2"
}

# A stream of 20 times what the group may have. Of each packet all gateways get a copy or none does,
# and no more go out than fit the time that it took.
group_rate() { # group_rate MODE
	local bits allowed
	relay_start "$(relay_conf 'max-group-rate = 500' "mode = $1")"
	gateways_start a 4 -n 4 -r "$relay4" -r "$relay6" "$source4,232.1.1.1"
	gateways_start b 5 -n 1 -r "$relay4" "$source4,232.1.1.2"
	send -g 232.1.1.1 -n 1500 -s 1000 -r 10M --json >"$net_dir/sent.json"
	send -g 232.1.1.2 -n 50 -s 1000 -r 200k
	copies_rest
	expect "packets seen" "$(group 232.1.1.1 '.packets + .limited')" -eq 1500
	expect "packets cut" "$(group 232.1.1.1 .limited)" -gt 100
	expect drops "$(group 232.1.1.1 .drops)" -eq "$(group 232.1.1.1 .limited)"
	expect "packets cut of the slow group" "$(group 232.1.1.2 .limited)" -eq 0
	expect group_rate "$(stat group_rate)" -eq "$(group 232.1.1.1 .limited)"
	bits=$(($(group 232.1.1.1 .bytes) * 8))
	# beside the time of the stream, the bucket and one packet
	allowed=$(jq '(.seconds + 0.1) * 500000 + 2 * 8 * 1028 | floor' "$net_dir/sent.json")
	expect "bits of the group" "$bits" -le "$allowed"
	gateways_signal a INT
	gateways_end a || true
	expect "packets of the gateways" "$(figure a .packets)" -eq \
		$(($(stat copies_out) - 50))
	[ "$(figure a '[.each[].flows[].packets] | unique | length')" -eq 1 ] || fail "not the same"
	expect damaged "$(figure a '.damaged + .duplicate + .foreign')" -eq 0
	gateways_have b 1 50
}

measured() { # measured GROUP: it is clear that something flows
	group "$1" '.rate != null and .rate > 100' >/dev/null
}

# Two channels of a Mbit/s, and a tunnel that may have one and a half.
tunnel_rate() {
	relay_start "$(relay_conf)"
	gateways_start a 1 -n 1 -r "$relay4" "$source4,232.1.1.1" "$source4,232.1.1.2"
	send -g 232.1.1.1 -g 232.1.1.2 -n 0 -s 1000 -r 1M &
	wait_for 20 measured 232.1.1.1 || fail "not measured: $(ctl groups)"
	wait_for 20 measured 232.1.1.2 || fail "not measured: $(ctl groups)"
	# less than one of them, so that the figure of the moment does not matter
	relay_conf 'max-tunnel-rate = 90' >/dev/null
	ctl reload
	status_is '.tunnels == 1 and .channels == 2' || fail "what was joined is not"
	gateways_start b 1 -n 1 -r "$relay4" -S 10.2.1.2 "$source4,232.1.1.1"
	wait_for 10 refused || fail "tunnel_rate is $(stat tunnel_rate)"
	status_is '.tunnels == 1' || fail "the tunnel was made"
	relay_conf 'max-tunnel-rate = 400000000' >/dev/null
	ctl reload
	wait_for 20 asks_again || fail "not admitted now"
}

asks_again() {
	gateways_signal b USR1
	sleep 0.3
	gateways_signal b USR2
	sleep 0.5
	status_is '.tunnels == 2'
}

refused() {
	[ "$(stat tunnel_rate)" -gt 0 ]
}

run_case "a group has no more than its rate: XDP" group_rate auto
run_case "a group has no more than its rate: TC" group_rate tc
run_case "a tunnel joins no more than its rate" tunnel_rate
finish
