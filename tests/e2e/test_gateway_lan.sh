#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Who may want something of a gateway: a LAN behind smcroute, twenty programs at once, and one that
# joins a thousand groups and leaves them.
# shellcheck disable=SC2086,SC2119,SC2317 # words of our own, without blanks; cases are called by name
source "$(dirname "$0")/lib_gateway.sh"
command -v smcrouted >/dev/null || net_die "smcrouted is missing; run scripts/setup test"

#  gw [amt0] -> smcrouted -> [lan0] --- [eth0] lan
lan_make() {
	net_add lan
	net_link gw lan0 lan eth0
	net_addr gw lan0 192.168.8.1/24 fd00:8::1/64
	net_addr lan eth0 192.168.8.2/24 fd00:8::2/64
	on gw sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
}

smcroute_start() {
	cat >"$net_dir/smcroute.conf" <<-CONF
		phyint amt0 enable
		phyint lan0 enable
		mgroup from amt0 group $ssm4 source $source4
		mroute from amt0 group $ssm4 source $source4 to lan0
		mgroup from amt0 group $ssm6 source $source6
		mroute from amt0 group $ssm6 source $source6 to lan0
	CONF
	# shellcheck disable=SC2046
	$(where gw) smcrouted -n -N -i "$net_id" -f "$net_dir/smcroute.conf" \
		-P "$net_dir/smcroute.pid" -u "$net_dir/smcroute.sock" \
		>"$net_dir/smcroute.log" 2>&1 &
}

# smcrouted joins on amt0, the kernel routes to the LAN, and a receiver there has every octet.
forwards_to_lan() {
	local receiver
	relays_up
	gateway_up $relay4
	smcroute_start
	wait_for 20 forwards 2 || fail "smcrouted did not join: $(cat "$net_dir/smcroute.log")"
	head -c 600000 /dev/urandom >"$net_dir/film"
	# shellcheck disable=SC2046
	$(where lan) "$build/amt-load" receive -I eth0 --complete --compare "$net_dir/film" --json \
		--list --ready "$net_dir/lan.ready" "${channels[@]}" >"$net_dir/lan.json" 2>&1 &
	receiver=$!
	wait_for 10 test -e "$net_dir/lan.ready" || fail "$(cat "$net_dir/lan.json")"
	stream -g $ssm4 -g $ssm6 -r 4M "$net_dir/film"
	wait "$receiver" || fail "in the LAN: $(cat "$net_dir/lan.json"); $(gctl stats --nonzero)"
}

twenty_receivers() {
	local n
	relays_up
	gateway_up $relay4
	head -c 600000 /dev/urandom >"$net_dir/film"
	for ((n = 1; n <= 20; n++)); do
		listener_start r$n --complete --compare "$net_dir/film" "${channels[@]}"
	done
	wait_for 10 forwards 2 || fail "not joined at the relay"
	stream -g $ssm4 -g $ssm6 -r 2M "$net_dir/film"
	for ((n = 1; n <= 20; n++)); do
		listener_good r$n
	done
	# one copy for all
	expect "packets by the tunnel" "$(gateway_stat decap_packets)" -eq "$(figure r1 .packets)"
	wait_for 20 forwards_no_more || fail "still joined at the relay"
}

forwards_no_more() {
	"$build/amt-ctl" -i "$net_id" --json status | jq -e '.channels == 0' && no_tunnel
}

# All joined at the relay, each with its stream; then all gone.
thousand_groups() {
	relays_up 'max-groups-per-tunnel = 1000'
	gateway_up $relay6
	on gw sysctl -q -w net.ipv4.igmp_max_memberships=2000
	listener_start many --expect 3 "$source4,232.2.0.1x500" "$source6,ff3e::9:1x500"
	wait_for 60 forwards 1000 || fail "not joined: $("$build/amt-ctl" -i "$net_id" status)"
	wait_for 10 gateway_is '.groups == 1000' || fail "$(gctl status)"
	expect "tunnels" "$(tunnels)" -eq 1
	stream -g 232.2.0.1x500 -g ff3e::9:1x500 -n 3 -s 100 -r 1600
	listener_good many
	wait_for 60 forwards_no_more || fail "not left: $("$build/amt-ctl" -i "$net_id" status)"
	wait_for 10 gateway_is '.groups == 0' || fail "$(gctl status)"
}

two_relays
lan_make
run_case "smcroute forwards from amt0 into a LAN" forwards_to_lan
run_case "twenty receivers on amt0" twenty_receivers
run_case "a thousand groups joined, and left" thousand_groups
finish
