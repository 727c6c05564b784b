#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The guest's side of tests/vm/bench: a chain for each path, N = 1, 10, 100 gateways with a channel
# one after the other, and again one listener beside all those tunnels. Says its rows in one line, as
# JSON.
set -euo pipefail
cd "$(dirname "$0")/../.."
mountpoint -q /sys/fs/bpf || mount -t bpf bpf /sys/fs/bpf
mkdir -p /run/netns
sysctl -q -w net.core.netdev_max_backlog=10000 net.core.rmem_max=16777216
# shellcheck source=../../scripts/netns.sh
source scripts/netns.sh
section() { :; } # chains.sh is of tests/bench/run
# shellcheck source=../bench/chains.sh
source tests/bench/chains.sh
# shellcheck source=driver.sh
source tests/vm/driver.sh
net_begin "$PWD/build"
rounds=3
paths=(xdp tc sendmmsg driver)

# Gateways with an address each: the driver knows a tunnel by its address alone.
gateways() { # gateways PATH N FIRST_ADDRESS
	local sources=() i
	for ((i = $3; i < $3 + $2; i++)); do sources+=(-S "$gateway_base$i"); done
	rm -f "$net_dir/ready"
	# shellcheck disable=SC2046
	$(where "$1-gw") "$build/amt-load" gateways -r 10.2.0.1 -n "$2" -b 65536 "${sources[@]}" \
		-R 36000 --quiet --ready "$net_dir/ready" "10.1.0.1,$(group_of "$2")" >/dev/null 2>&1 &
	disown
	wait_for 600 test -e "$net_dir/ready" || net_die "$1: $2 gateways do not join"
}

# All paths with N copies of a packet, while each relay has TUNNELS tunnels. rows N TUNNELS
rows() {
	measure "${paths[@]/%/:$1}" >"$net_dir/rows"
	jq -c --argjson tunnels "$2" '.rows[] |
		{path, payload, n, tunnels: $tunnels, instructions: .ns_per_copy, delivered}' \
		"$net_dir/rows" >>"$net_dir/all"
	cat "$net_dir/rows"
}

driver_load
for chain in "${paths[@]}" sender; do
	make_chain "$chain"
	[ "$chain" = sender ] || net_addrs "$chain-gw" gw0 $gateway_base 5 111 16
done
start_relay xdp
start_relay tc
start_plain sendmmsg
driver_relay driver-relay 10.2.0.1 "10.1.0.1,$(group_of 1)" "10.1.0.1,$(group_of 10)" \
	"10.1.0.1,$(group_of 100)"
total=0
for n in 1 10 100; do
	for chain in xdp tc driver; do
		gateways "$chain" "$n" $((total + 1))
	done
	total=$((total + n))
	rows "$n" "$total"
done
rows 1 "$total"
jq -sc --arg kernel "$(uname -r)" '{kernel: $kernel, rows: .}' "$net_dir/all" | sed 's/^/bench: /'
