#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# An uplink with a network card's driver and rings, which are larger than a veth's 256: bursts to
# groups that are larger than that. tests/vm/run gives the guest two cards (vmxnet3), which QEMU
# connects by a hub.
#
#   src -- relay [card0] -- hub -- [card1] gw
source "$(dirname "$0")/lib.sh"
relay_card=10.18.0.1

cards() { # the names of the guest's cards
	find /sys/bus/pci/drivers/vmxnet3/*/net/ -mindepth 1 -maxdepth 1 -printf '%f\n' 2>/dev/null
}

nothing_here() { # nothing_here WHY
	echo "skip rings larger than 256: $1"
	exit 77
}

modprobe vmxnet3 2>/dev/null || nothing_here "this kernel has no vmxnet3"
if printf '%s\n6.6\n' "$(uname -r)" | sort -VC; then
	nothing_here "vmxnet3 has XDP since Linux 6.6"
fi
mapfile -t found < <(cards)
[ ${#found[@]} -eq 2 ] || nothing_here "there are no two cards; ask for vm/test_rings by name"

card_move() { # card_move CARD NAMESPACE NAME
	ip link set dev "$1" netns "$net_id-$2" name "$3"
	on "$2" ethtool -K "$3" tx off lro off >/dev/null
	ip -n "$net_id-$2" link set dev "$3" up
}

topology
card_move "${found[0]}" relay card0
card_move "${found[1]}" gw card1
on gw ethtool -G card1 rx 4096 # all of a burst's copies come at once
net_addr relay card0 $relay_card/16
net_addrs gw card1 10.18.1. 1 8 16

conf() {
	cat >"$net_dir/rings.conf" <<-CONF
		relay {
		    address = {"$relay_card"}
		    upstream = {"up0"}
		    uplink = {"card0"}
		    mode = xdp
		}
	CONF
	echo "$net_dir/rings.conf"
}

# Bursts of 8 packets: the ring of the gateways' card has room for all copies of one, and an emulated
# guest empties it when all have come.
bursts() { # bursts RING GATEWAYS PATH
	local ring=$1 n=$2 path=$3
	relay_start "$(conf)"
	status_is ".interfaces[] | select(.interface == \"card0\") | .ring == $ring" ||
		fail "not a ring of $ring: $(ctl status)"
	gateways_start g "$n" -r "$relay_card" -n "$n" -S 10.18.1.1x8 --in-order --expect 64 \
		"$source4,232.1.1.1"
	expect_path 232.1.1.1 "$path"
	send_in_order -g 232.1.1.1 -n 64 -b 8 -s 200 -r 100k
	gateways_good g
	expect "copies out" "$(stat copies_out)" -eq $((64 * n))
	datapath_clean
}

on relay ethtool -G card0 tx 1024
run_case "a ring of 1024: bursts to 8 gateways, directly" bursts 1024 8 xdp
run_case "a ring of 1024: bursts to 300 gateways" bursts 1024 300 xdp-recirculated
on relay ethtool -G card0 tx 4096
run_case "a ring of 4096: bursts to 32 gateways, directly" bursts 4096 32 xdp
run_case "a ring of 4096: bursts to 300 gateways" bursts 4096 300 xdp-recirculated
finish
