#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Next hops change under a running stream: routers, routes, MAC addresses, neighbours that vanish,
# links that go down. Eight gateways, four reached over each family, each with an IPv4 and an IPv6
# channel, so that every change is seen in all four combinations.
#
#               .---- a ----.
#   src -- relay ---- b ---- gw      down0 leads to a switch with routers a and b and the gateways,
#               '-- switch --'       down1 to the gateways alone
#
# Each change is made in the middle of a first stream; when the relay shows the new next hop, a
# second stream begins, of which every packet has to arrive once. Of the first one a packet may be
# missing only where the network itself had lost the way, which each case says; none comes twice.
# shellcheck disable=SC2317 # cases are called by their names
source "$(dirname "$0")/lib.sh"

channels=("$source4,232.1.1.1" "$source6,ff3e::8000:1")
router_a4=10.2.0.11 router_a6=2001:db8:2::a
router_b4=10.2.0.12 router_b6=2001:db8:2::b
direct4=10.3.0.1 direct6=2001:db8:3::1

quiet_sysctl() { # quiet_sysctl NAME SETTING...
	local name=$1
	shift
	on "$name" sysctl -q -w "$@"
}

switch() { # the relay's own network
	local port
	ip -n "$net_id-switch" link add br0 type bridge mcast_snooping 0
	for port in relay a b gw; do
		ip -n "$net_id-switch" link set dev "p-$port" master br0
	done
	ip -n "$net_id-switch" link set dev br0 up
}

network() {
	local name
	net_add src relay switch a b gw
	net_link src src0 relay up0
	net_link relay down0 switch p-relay
	net_link relay down1 gw direct
	net_link a lan switch p-a
	net_link b lan switch p-b
	net_link gw lan switch p-gw
	net_link a far gw from-a
	net_link b far gw from-b
	switch
	net_addr src src0 $source4/24 $source6/64
	net_addr relay up0 10.1.0.254/24 2001:db8:1::fe/64
	net_addr relay down0 $relay4/16 $relay6/64
	net_addr relay down1 10.3.0.254/24 2001:db8:3::fe/64
	net_addr a lan $router_a4/16 $router_a6/64
	net_addr b lan $router_b4/16 $router_b6/64
	net_addr gw direct $direct4/24 $direct6/64
	net_addr a far 10.11.0.1/24 2001:db8:11::1/64
	net_addr b far 10.12.0.1/24 2001:db8:12::1/64
	net_addr gw from-a 10.11.0.2/24 2001:db8:11::2/64
	net_addr gw from-b 10.12.0.2/24 2001:db8:12::2/64
	net_addr gw lan 10.2.1.1/16 2001:db8:2::1:1/64
	# the addresses of the gateways: to the relay they are wherever its routes say
	net_addrs gw lan 10.9.0. 1 4 32
	net_addrs gw lan 2001:db8:9:: 1 4 128
	for name in a b; do
		quiet_sysctl $name net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	done
	ip -n "$net_id-a" route add 10.9.0.0/24 via 10.11.0.2
	ip -n "$net_id-b" route add 10.9.0.0/24 via 10.12.0.2
	ip -n "$net_id-a" route add 2001:db8:9::/64 via 2001:db8:11::2
	ip -n "$net_id-b" route add 2001:db8:9::/64 via 2001:db8:12::2
	quiet_sysctl gw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 \
		net.ipv4.conf.lan.arp_notify=1 net.ipv6.conf.lan.ndisc_notify=1
	for name in lan direct from-a from-b; do
		quiet_sysctl gw net.ipv4.conf.$name.rp_filter=0
	done
	# a neighbour that is gone is found out in a second; addresses stay while the link is down
	quiet_sysctl relay net.ipv4.neigh.down0.retrans_time_ms=100 \
		net.ipv6.neigh.down0.retrans_time_ms=100 \
		net.ipv4.neigh.down0.delay_first_probe_time=1 \
		net.ipv6.neigh.down0.delay_first_probe_time=1 \
		net.ipv4.neigh.down0.base_reachable_time_ms=1000 \
		net.ipv6.neigh.down0.base_reachable_time_ms=1000 \
		net.ipv6.conf.down0.keep_addr_on_down=1
}

# ---- routes of the relay ----

# Old or new, there is a way at any moment: IPv6 does not replace a route by one of another kind, so
# there the new one comes first, with a better metric.
route() { # route IPV4_NEXT_HOP IPV6_NEXT_HOP: as `ip route` takes them
	local old prefix=2001:db8:9::/64
	# shellcheck disable=SC2086
	ip -n "$net_id-relay" route replace 10.9.0.0/24 $1 src $relay4
	old=$(ip -n "$net_id-relay" -6 -j route show "$prefix" | jq '.[0].metric // 1024')
	# shellcheck disable=SC2086
	ip -n "$net_id-relay" route add "$prefix" $2 src $relay6 metric $((old - 1))
	ip -n "$net_id-relay" route del "$prefix" metric "$old" 2>/dev/null || true
}

route_link() { route "dev down0" "dev down0"; }
route_a() { route "via $router_a4" "via $router_a6"; }
route_b() { route "via $router_b4" "via $router_b6"; }
route_direct() { route "via $direct4" "via $direct6"; }

mac_of() { # mac_of NAME IF
	ip -n "$net_id-$1" -j link show dev "$2" | jq -r '.[0].address'
}

# What amt-ctl tunnels says of all gateways; the next hops are those of the two families, `-` means
# the gateway itself.
all_show() { # all_show IPV4_NEXT_HOP IPV6_NEXT_HOP INTERFACE MAC
	ctl --json tunnels | jq -e --arg hop4 "$1" --arg hop6 "$2" --arg interface "$3" \
		--arg mac "$4" '.tunnels | length == 8 and all(
		(if .gateway | test(":") then $hop6 else $hop4 end) as $hop |
		.next_hop == (if $hop == "-" then .gateway else $hop end) and
		.interface == $interface and .mac == $mac)' >/dev/null
}

await() { # await IPV4_NEXT_HOP IPV6_NEXT_HOP INTERFACE MAC
	wait_for 15 all_show "$@" ||
		fail "next hops are $(ctl --json tunnels | jq -c '.tunnels[] |
			[.next_hop, .interface, .mac]' | sort -u | tr '\n' ' ')"
}

await_a() { await "$router_a4" "$router_a6" down0 "$(mac_of a lan)"; }
await_b() { await "$router_b4" "$router_b6" down0 "$(mac_of b lan)"; }
await_link() { await - - down0 "$(mac_of gw lan)"; }
await_direct() { await "$direct4" "$direct6" down1 "$(mac_of gw direct)"; }

# ---- changes: each ends when the relay shows the new state ----

to_a() { route_a && await_a; }
to_b() { route_b && await_b; }
to_link() { route_link && await_link; }
to_direct() { route_direct && await_direct; }

# Until it answers, packets still take the way there was.
to_late_b() {
	ip -n "$net_id-switch" link set dev p-b down
	on relay ip neigh flush to "$router_b4"
	on relay ip neigh flush to "$router_b6"
	route_b
	sleep 0.5
	ip -n "$net_id-switch" link set dev p-b up
	await_b
}

new_mac() { # tells its neighbours, as routers and hosts do that take an address over
	ip -n "$net_id-gw" link set dev lan address "02:00:00:00:00:$1"
	await_link
}

poke() { # poke: the relay's host sends something to all gateways, and so finds out who is gone
	local n
	for n in 1 2 3 4; do
		on relay bash -c "echo >/dev/udp/10.9.0.$n/9; echo >/dev/udp/2001:db8:9::$n/9" \
			2>/dev/null || true
	done
}

all_unresolved() {
	poke
	ctl --json tunnels | jq -e '.tunnels | all(.mac == null)' >/dev/null
}

neighbour_vanishes() {
	ip -n "$net_id-switch" link set dev p-gw down
	# its own end has lost its link too; only its place at the switch is to be empty
	wait_for 15 all_unresolved || fail "next hops that are gone are still used"
	ip -n "$net_id-switch" link set dev p-gw up
	await_link
}

carrier_lost() {
	ip -n "$net_id-switch" link set dev p-relay down
	wait_for 15 all_unresolved || fail "next hops are used without a carrier"
	ip -n "$net_id-switch" link set dev p-relay up
	await_link
}

link_down() {
	ip -n "$net_id-relay" link set dev down0 down
	wait_for 15 all_unresolved || fail "next hops are used over a link that is down"
	ip -n "$net_id-relay" link set dev down0 up
	route_link # the kernel forgets routes with their link
	await_link
}

# ---- a case ----

gateways() {
	# shellcheck disable=SC2046,SC2086
	gateways_start g 8 -n 8 -r $relay4 -r $relay6 $(printf -- '-S 10.9.0.%d ' 1 2 3 4) \
		$(printf -- '-S 2001:db8:9::%d ' 1 2 3 4) "${channels[@]}"
}

stream=(-g 232.1.1.1 -g ff3e::8000:1 -s 200 -r 400k)

first_stream() { # until it is interrupted
	# shellcheck disable=SC2046,SC2086
	$(where src) "$build/amt-load" send -I src0 -S $source4 -S $source6 --quiet -i 1 -n 0 \
		"${stream[@]}" &
	sender=$!
}

still() { # nothing is under way any more, as far as can be seen
	local before
	before=$(stat copies_out)
	sleep 0.2
	[ "$(stat copies_out)" -eq "$before" ]
}

second_stream() {
	local before
	wait_for 10 still || fail "copies go on without a stream"
	before=$(stat copies_out)
	send -i 2 -n 100 "${stream[@]}"
	# 8 gateways, two groups
	wait_for 10 eval "[ \$(stat copies_out) -ge $((before + 1600)) ]" ||
		fail "$(($(stat copies_out) - before)) copies of the second streams instead of 1600"
	sleep 0.1
}

flows() { # flows STREAM JQ: how many flows of the gateways fulfil it
	figure g "[.each[].flows[] | select(.stream == $1 and ($2))] | length"
}

totals() {
	ctl stats --nonzero | awk '/drop|lost|refused|invalid|failed/ { print $1, $2 }'
	figure g '"missing \(.missing), duplicate \(.duplicate), foreign \(.foreign)"'
	# shellcheck disable=SC2016 # jq's variables
	figure g '.each[] | .name as $n | .flows[] | "\($n) \(.group) stream \(.stream):" +
		" \(.packets) packets from \(.first) to \(.last), missing \(.missing)"'
}

# The relay goes on after a case that failed, but not its gateways and stream.
clear_away() {
	kill "$(cat "$net_dir/g.pid" 2>/dev/null)" "$sender" 2>/dev/null || true
}

# change LOSS FROM CHANGE...: LOSS is `none` or `some`, FROM what the routes are before
change() {
	local loss=$1 from=$2 figure
	shift 2
	rm -f "$net_dir/g.pid"
	trap clear_away EXIT
	"route_$from"
	gateways
	"await_$from"
	first_stream
	sleep 0.3
	"$@"
	sleep 0.3
	kill -INT "$sender"
	wait "$sender"
	second_stream
	gateways_signal g INT
	gateways_end g || [ "$loss" = some ] || { totals; fail "packets are missing"; }
	totals
	expect "complete second streams" "$(flows 2 ".packets == 100 and .first == 0")" -eq 16
	expect "first streams" "$(flows 1 true)" -eq 16
	for figure in duplicate foreign damaged stale; do
		expect "$figure" "$(figure g ".$figure")" -eq 0
	done
	[ "$loss" = some ] || expect missing "$(figure g .missing)" -eq 0
}

begin() { # begin MODE
	relay_start "$(relay_conf "mode = $1" 'uplink += {"down1"}')"
}

network
sender='' macs=10
for mode in xdp tc; do
	begin $mode
	run_step "$mode: a gateway behind a router" change none a await_a
	run_step "$mode: another router" change none a to_b
	run_step "$mode: another router that answers late" change none a to_late_b
	run_step "$mode: from a router to the link" change none b to_link
	run_step "$mode: from the link to a router" change none link to_a
	run_step "$mode: to another uplink" change none a to_direct
	run_step "$mode: and back to the first" change none direct to_link
	# frames to the old MAC address are lost until the neighbour has told the new one
	run_step "$mode: a new MAC address" change some link new_mac $((++macs))
	# while its port is off the neighbour is not there
	run_step "$mode: a neighbour vanishes and returns" change some link neighbour_vanishes
	run_step "$mode: the uplink loses its carrier" change some link carrier_lost
	run_step "$mode: the uplink is set down and up" change some link link_down
	case_end
done
finish
