#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A NAT between gateway and relay that forgets its binding during a stream, and makes another one
# (R-45, R-166): what is lost, what comes twice, and what the relay keeps of the old endpoint.
# shellcheck disable=SC2086,SC2119,SC2317 # words of our own, without blanks; cases are called by name
source "$(dirname "$0")/lib_gateway.sh"

interval=6 # of queries
rate=1M	    # of each stream: 93 packets a second
per_second=$((1000000 / 8 / 1348 + 1))

# The router's bindings live in two zones of its connection tracking, each with its own ports: a
# gateway that is put into the other zone is seen at another port from its next packet on.
nat_of_zones() {
	on router nft -f - <<-NFT
		table inet nat
		delete table inet nat
		table inet nat {
			chain postrouting {
				type nat hook postrouting priority srcnat
				oifname "out*" meta l4proto udp ct zone 1 masquerade to :40000-49999 random
				oifname "out*" meta l4proto udp ct zone 2 masquerade to :50000-59999 random
			}
			chain inward {
				type filter hook prerouting priority raw - 1
				iifname "out*" udp dport 40000-49999 ct zone set 1
				iifname "out*" udp dport 50000-59999 ct zone set 2
			}
			chain outward {
				type filter hook prerouting priority raw - 1
				iifname "inside" ct zone set 1
			}
		}
	NFT
}

rebind() { # rebind forgotten|kept: what comes of the old binding, which the relay sends to
	on router nft -f - <<-NFT
		flush chain inet nat outward
		add rule inet nat outward iifname "inside" ct zone set 2
	NFT
	[ "$1" = kept ] || on router nft add rule inet nat inward udp dport 40000-49999 drop
}

# A stream over a rebinding, and what the receiver says of it: rebound RELAY forgotten|kept [LINE...]
# Sets served, the number of tunnels that the relay had in the end.
rebound() {
	nat_of_zones
	relays_up "query-interval = $interval" 'query-response-interval = 3' "${@:3}"
	gateway_up "$1"
	listener_start film "${channels[@]}"
	wait_for 10 forwards 2 || fail "not joined at the relay"
	stream_start -g $ssm4 -g $ssm6 -r $rate
	packets_come 100
	tunnel_at 40000 || fail "$(relay_tunnels)"
	# early enough that the next Query finds it, late enough that it takes less than an interval
	wait_for 30 gateway_is '.next_query > 2 and .next_query < 5' || fail "$(gctl status)"
	rebind "$2"
	wait_for 30 tunnel_at 50000 || fail "not joined by the new endpoint: $(relay_tunnels)"
	packets_come 200
	served=$(tunnels)
	stream_stop
	listener_stop film
	echo "missing, duplicate: $(figure film '[.each[].flows[] | .missing, .duplicate] |
		map(tostring) | join(" ")'), of $(figure film .distinct)"
	expect "streams" "$(figure film '.each[0].flows | length')" -eq 2
	expect "damaged and foreign packets" "$(figure film '.damaged + .foreign')" -eq 0
}

relay_tunnels() {
	"$build/amt-ctl" -i "$net_id" "$@" tunnels
}

tunnel_at() { # tunnel_at PORT: the relay has one with both groups, at that port or 9,999 after it
	relay_tunnels --json | jq -e "[.tunnels[] | select(.port >= $1 and .port < $1 + 10000)] |
		length == 1 and .[0].groups == 2" >/dev/null
}

# Lost is what came between the rebinding and the next Query, of each stream.
lost_less_than_an_interval() {
	expect "most packets lost of a stream" "$(figure film '[.each[].flows[].missing] | max')" \
		-le $((interval * per_second))
}

follows() { # follows RELAY
	rebound "$1" forgotten
	gateway_is '.endpoint_port >= 50000 and .nat' || fail "$(gctl status)"
	expect gateway_endpoint_changed "$(gateway_stat gateway_endpoint_changed)" -eq 1
	expect "Teardowns sent" "$(gateway_stat teardown_sent)" -ge 1
	expect "tunnels after the Teardown" "$served" -eq 1
	lost_less_than_an_interval
	expect "duplicates" "$(figure film .duplicate)" -eq 0
}

# The old binding leads to the gateway as well, so that data comes by both until the Teardown.
no_duplicates() { # no_duplicates RELAY
	rebound "$1" kept
	expect "tunnels after the Teardown" "$served" -eq 1
	lost_less_than_an_interval
	expect "duplicates" "$(figure film .duplicate)" -eq 0
}

# A relay that does not tell the endpoint cannot be sent a Teardown: both are served until the old
# one's timers end (R-166). That the test sees it shows that the cases above would.
duplicates_without_teardown() {
	rebound $relay4 kept 'teardown = off'
	expect "tunnels" "$served" -eq 2
	expect "duplicates" "$(figure film .duplicate)" -ge 50
}

# The keep-alive is shorter than the relay's interval: the rebinding is found within it (R-168).
keepalive_finds_it() {
	nat_of_zones
	relays_up # asks every 125 s
	gateway_up_by "relay = {\"$relay4\"}" 'keepalive = 3' 'data-timeout = 0'
	gateway_is '.next_query <= 3' || fail "$(gctl status)"
	listener_start film "${channels[@]}"
	wait_for 10 forwards 2 || fail "not joined at the relay"
	stream_start -g $ssm4 -g $ssm6 -r $rate
	packets_come 100
	rebind forgotten
	wait_for 30 tunnel_at 50000 || fail "the keep-alive does not find it: $(gctl status)"
	packets_come 200
	stream_stop
	listener_stop film
	expect "duplicates" "$(figure film .duplicate)" -eq 0
}

two_relays
run_case "a new binding is followed over IPv4: an interval's loss at most" follows $relay4
run_case "a new binding is followed over IPv6: an interval's loss at most" follows $relay6
run_case "no duplicates when the old binding stays" no_duplicates $relay4
run_case "duplicates from a relay without Teardown" duplicates_without_teardown
run_case "a keep-alive finds the new binding sooner" keepalive_finds_it
finish
