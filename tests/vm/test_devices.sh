#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Devices that are made of others: VLAN as upstream and uplink, bonds; and routes over two ways.
source "$(dirname "$0")/../e2e/lib.sh"
topology

load_module() { # load_module NAME WHAT
	modprobe "$1" 2>/dev/null || skip "this kernel has no $2"
}

vlan_add() { # vlan_add NAME IF
	ip -n "$net_id-$1" link add link "$2" name "$2.7" type vlan id 7
	ip -n "$net_id-$1" link set dev "$2.7" up
}

vlan_remove() {
	ip -n "$net_id-src" link del src0.7
	ip -n "$net_id-relay" link del up0.7
	ip -n "$net_id-relay" link del down0.7
	ip -n "$net_id-gw" link del gw0.7
}

vlans_add() {
	local name
	load_module 8021q "VLAN devices"
	trap vlan_remove EXIT
	for name in 'src src0' 'relay up0' 'relay down0' 'gw gw0'; do
		# shellcheck disable=SC2086
		vlan_add $name
	done
	net_addr src src0.7 10.11.0.1/24
	net_addr relay up0.7 10.11.0.254/24
	net_addr relay down0.7 10.12.0.1/24
	net_addrs gw gw0.7 10.12.0. 11 14 24
}

conf() { # conf ADDRESS UPSTREAM UPLINKS [LINE]
	cat >"$net_dir/devices.conf" <<-CONF
		relay {
		    address = {"$1"}
		    upstream = {"$2"}
		    uplink = {$3}
		    ${4:-}
		}
	CONF
	echo "$net_dir/devices.conf"
}

# served PATH RELAY GATEWAYS SENDER_INTERFACE SOURCE GATEWAY_SOURCE...: 60 packets to each
served() {
	local path=$1 relay=$2 n=$3 interface=$4 source=$5 from sources=()
	shift 5
	for from in "$@"; do sources+=(-S "$from"); done
	gateways_start g "$n" -r "$relay" -n "$n" "${sources[@]}" --in-order --expect 60 \
		"$source,232.1.1.1"
	expect_path 232.1.1.1 "$path"
	on src "$build/amt-load" send -I "$interface" -S "$source" --quiet -g 232.1.1.1 -n 60 -r 1M
	gateways_good g
	datapath_clean
}

# Upstream and uplink are VLAN devices, which have no XDP of their own.
vlan_devices() {
	vlans_add
	relay_start "$(conf 10.12.0.1 up0.7 '"down0.7"')"
	served tc 10.12.0.1 4 src0.7 10.11.0.1 10.12.0.11 10.12.0.12
}

# Uplink is the device below: XDP writes the tag.
vlan_tag() {
	vlans_add
	relay_start "$(conf 10.12.0.1 up0 '"down0"' 'mode = xdp')"
	served 'xdp*' 10.12.0.1 4 src0 "$source4" 10.12.0.11 10.12.0.12
}

# ---- a bond of two links ----

bond_remove() {
	ip -n "$net_id-relay" link del bond0
	ip -n "$net_id-gw" link del bond0
	ip -n "$net_id-relay" link del one
	ip -n "$net_id-relay" link del two
}

bond() {
	local namespace
	load_module bonding "bonds"
	trap bond_remove EXIT
	net_link relay one gw one
	net_link relay two gw two
	for namespace in relay gw; do
		ip -n "$net_id-$namespace" link add bond0 type bond mode active-backup miimon 100
		ip -n "$net_id-$namespace" link set one down master bond0
		ip -n "$net_id-$namespace" link set two down master bond0
		ip -n "$net_id-$namespace" link set bond0 type bond active_slave one
		ip -n "$net_id-$namespace" link set bond0 up
	done
	net_addr relay bond0 10.14.0.1/24
	net_addrs gw bond0 10.14.0. 11 14 24
	relay_start "$(conf 10.14.0.1 up0 '"bond0"')"
	served '*' 10.14.0.1 8 src0 "$source4" 10.14.0.11 10.14.0.12
	ip -n "$net_id-relay" link set one down # and over the other link
	wait_for 30 other_link || fail "the bond stays on a link that is down"
	served '*' 10.14.0.1 8 src0 "$source4" 10.14.0.11 10.14.0.12
}

other_link() {
	local namespace
	for namespace in relay gw; do
		ip -n "$net_id-$namespace" -j -d link show bond0 |
			jq -e '.[0].linkinfo.info_data.active_slave == "two"' >/dev/null || return 1
	done
}

# ---- a route over two ways ----

two_ways_remove() {
	ip netns pids "$net_id-ways" | xargs -r kill 2>/dev/null || true
	ip -n "$net_id-relay" link del one
	ip -n "$net_id-relay" link del two
	ip -n "$net_id-gw" addr flush dev lo
}

sent_by() { # sent_by IF
	ip -n "$net_id-relay" -s -j link show dev "$1" | jq '.[0].stats64.tx.packets'
}

two_ways() {
	local number before_one before_two
	trap two_ways_remove EXIT
	net_link relay one gw one
	net_link relay two gw two
	net_addr relay one 10.15.0.1/24
	net_addr relay two 10.16.0.1/24
	net_addr gw one 10.15.0.2/24
	net_addr gw two 10.16.0.2/24
	net_addrs gw lo 10.17.0. 1 16 32
	ip -n "$net_id-relay" route add 10.17.0.0/16 nexthop via 10.15.0.2 nexthop via 10.16.0.2 ||
		skip "this kernel has no routes over two ways"
	on gw sysctl -q -w net.ipv4.conf.all.rp_filter=0
	ip -n "$net_id-gw" route replace 10.2.0.1/32 via 10.15.0.1 # where Requests go
	relay_start "$(conf "$relay4" up0 '"down0", "one", "two"' 'mode = xdp')"
	before_one=$(sent_by one) before_two=$(sent_by two)
	# shellcheck disable=SC2046
	served 'xdp*' "$relay4" 16 src0 "$source4" $(for number in {1..16}; do echo "10.17.0.$number"; done)
	expect "packets by the one way" $(($(sent_by one) - before_one)) -ge 60
	expect "packets by the other way" $(($(sent_by two) - before_two)) -ge 60
}

run_case "VLAN devices as upstream and uplink, by TC" vlan_devices
run_case "gateways in a VLAN of the uplink, by XDP" vlan_tag
run_case "a bond as uplink, and one of its links fails" bond
run_case "gateways behind a route over two ways" two_ways
finish
