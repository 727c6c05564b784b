#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Forged Requests as fast as one CPU sends them, each from another address, while 1,000 genuine
# gateways refresh and a stream runs.
# shellcheck disable=SC2046,SC2086 # words of our own, without blanks
# ASan's quarantine would look like a leak.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}quarantine_size_mb=1
source "$(dirname "$0")/lib.sh"
flood=$build/tests/e2e/flood
[ -x "$flood" ] || net_die "$flood is missing; run make tests"
topology

gateways=1000 group=232.1.1.1 packets=200
forged4=100.64.0.1 forged6=2001:db8:f::1 addresses=200000

# The flood has an uplink of its own. On one that it shares, a receive ring that is full drops what is
# genuine before anybody sees it, as a NIC's would; with several queues it is the flood's own.
net_add foe
net_link foe foe0 relay down1
net_addr foe foe0 10.3.0.2/24 2001:db8:3::2/64
net_addr relay down1 10.3.0.1/24 2001:db8:3::1/64
foe_mac=$(ip -n "$net_id-foe" -json link show foe0 | jq -r '.[0].address')
down1_mac=$(ip -n "$net_id-relay" -json link show down1 | jq -r '.[0].address')
# where amtd's own answers go; the flood drops them
ip -n "$net_id-relay" neigh add 10.3.0.2 lladdr "$foe_mac" dev down1
ip -n "$net_id-relay" neigh add 2001:db8:3::2 lladdr "$foe_mac" dev down1
ip -n "$net_id-relay" route add 100.64.0.0/10 via 10.3.0.2
ip -n "$net_id-relay" route add 2001:db8:f::/48 via 2001:db8:3::2

forge() { # forge 4|6 NUMBER: how many were sent
	local first=$forged4
	[ "$1" = 4 ] || first=$forged6
	on foe "$flood" foe0 "$down1_mac" "$(outer_relay "$1")" $first $addresses "$2" | jq .sent
}

resident() { # kB of amtd
	awk '/^VmRSS/ { print $2 }' "/proc/$(ctl --json status | jq .pid)/status"
}

# Nobody loses a packet or a refresh: an answer that does not come would be asked for once more, and
# they have patience enough for a slow machine.
flooded() { # flooded NUMBER [GATEWAY_OPTION...]: of each family; sets sent and after
	local number=$1 before sender
	shift
	ctl attach down1 --uplink
	gateways_start g $gateways -r "$relay4" -n $gateways -S 10.2.1.1x32 -R 2 --start-rate 500 \
		"$@" $source4,$group
	forge 4 20000 >/dev/null # what is allocated once is there
	before=$(resident)
	send -g $group -n $packets -s 1000 -r 160k &
	sender=$!
	sent=$(($(forge 4 "$number") + $(forge 6 "$number")))
	wait $sender
	after=$(resident)
	ctl stats --nonzero
	expect "forged Requests" "$sent" -gt "$number"
	expect "resident kB after the flood, before it $before," $((after * 100)) -le $((before * 105))
	expect tunnels "$(ctl --json status | jq .tunnels)" -eq $gateways
	copies_rest
	gateways_have g 1 $packets
	figure g '{requests, queries, retries, updates, query_median_ns, query_p99_ns, query_max_ns}'
}

# None of the forged ones reaches amtd, which so has nothing to do for them: that is counted, not the
# time that it takes, and so is the same on any machine.
with_shield() {
	local sent after
	relay_start "$(relay_conf)"
	wait_for 20 status_is 'all(.interfaces[] | select(.uplink); .shield == "on")' ||
		skip "the uplink has no shield"
	flooded 500000 --retry 20
	stats_zero shield_passed shield_bad_mac
	# what the ring took
	expect "Requests answered or refused" \
		$(($(stat shield_answered) + $(stat shield_refused))) -gt $((sent / 2))
	expect "messages that reached amtd" "$(stat shield_authentic)" -le \
		"$(figure g '.updates + .teardowns')"
	expect "refreshes that were repeated" "$(figure g .retries)" -eq 0
}

# Without, the flood fills amtd's socket. The rate of a source bounds nothing here, since each address
# is another source; but no packet is lost, no tunnel expires, and who asks again is heard.
without_shield() {
	local sent after
	relay_start "$(relay_conf 'shield = false')"
	flooded 100000 --retry 1
	expect shield_answered "$(stat shield_answered)" -eq 0
	expect "Requests that reached amtd" "$(stat request_received)" -gt 10000
	expect "gateways without a Query" "$(figure g '.gateways - .established')" -eq 0
}

unset AMT_TEST_SHIELD # the cases say themselves
run_case "1,000 gateways and a flood, with the shield" with_shield
run_case "1,000 gateways and a flood, without" without_shield
finish
