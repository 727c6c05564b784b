#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A gateway's whole session as it is on the wire, from Discovery to Teardown, judged by tshark.
# shellcheck disable=SC2086,SC2119,SC2317 # words of our own, without blanks; cases are called by name
source "$(dirname "$0")/lib_gateway.sh"
beside_relay
all="1 2 3 4 5 6 7" # types
family=ip # of tshark's fields, outside

# Everything that a gateway says and hears, and a stream of both families.
session() { # session OUTER
	relay_start "$(relay_conf)"
	capture_start s gw gw0 'udp port 2268'
	gateway_beside tc "$1" # XDP would take data before the capture sees it
	wait_for 20 gateway_is '.state == "up"' || fail "the relay does not answer: $(gctl status)"
	listener_start film --expect 50 "${channels[@]}"
	wait_for 20 has_channels || fail "not joined at the relay"
	instance=$net_id
	send -g $ssm4 -g $ssm6 -n 50 -r 1M
	listener_good film
	wait_for 20 no_tunnel || fail "not left at the relay"
	listener_start again "${channels[@]}"
	wait_for 20 has_channels || fail "not joined again"
	gctl shutdown # Teardown, twice
	kill "$(cat "$net_dir/again.pid")"
	capture_stop s
}

has_channels() {
	"$build/amt-ctl" -i "$net_id" --json status | jq -e '.channels == 2'
}

# tshark reads the capture once: a line a message, the outer fields under their names.
table() {
	local field options=()
	for field in amt.type amt.version amt.discovery_nonce amt.request_nonce amt.response_mac \
		amt.membership_query.g amt.gateway.port_number amt.gateway.ip_address $family.src \
		$family.dst udp.srcport udp.dstport udp.checksum udp.payload igmp.type icmpv6.type; do
		options+=(-e "$field")
	done
	capture_read s -Y amt -T fields -E header=y -E occurrence=f "${options[@]}" >"$net_dir/table"
}

of() { # of TYPES FIELD...: one line a message of these types
	awk -F '\t' -v types=" $1 " -v names="${*:2}" '
		NR == 1 {
			for (i = 1; i <= NF; i++)
				column[$i] = i
			n = split(names, name, " ")
			next
		}
		index(types, " " $column["amt.type"] " ") {
			for (i = 1; i <= n; i++)
				printf "%s%s", $column[name[i]], i < n ? " " : "\n"
		}' "$net_dir/table"
}

same() { # same WHAT ACTUAL EXPECTED
	[ "$2" = "$3" ] || fail "$1: $2, not $3"
}

# In this order for the first time, each between the two that hold the session.
in_order() {
	same "types" "$(of "$all" amt.type | awk '!seen[$1]++' | xargs)" "1 2 3 4 5 6 7"
	same "gateway to relay" "$(of "1 3 5 7" $family.src udp.srcport \
		$family.dst udp.dstport | sort -u)" "$(endpoint "$1") $port $(outer_relay "$1") 2268"
	same "relay to gateway" "$(of "2 4 6" $family.src udp.srcport \
		$family.dst udp.dstport | sort -u)" "$(outer_relay "$1") 2268 $(endpoint "$1") $port"
	same "version" "$(of "$all" amt.version | sort -u)" 0
	same "a Discovery's reserved bits" "$(of 1 udp.payload | cut -c 1-8 | sort -u)" 01000000
	same "messages without a checksum" "$(of "1 2 3 4 5 7" udp.checksum amt.type |
		grep '^0x0000 ' || true)" ""
}

# The nonce of an answer is the question's (R-14, R-31), and none is zero or used twice (R-20, R-28).
nonces() {
	same "the Advertisement's nonce" "$(of 2 amt.discovery_nonce | head -n 1)" \
		"$(of 1 amt.discovery_nonce | head -n 1)"
	same "the Queries' nonces" "$(of 4 amt.request_nonce | sort -u)" \
		"$(of 3 amt.request_nonce | sort -u)"
	expect "Requests" "$(of 3 amt.request_nonce | sort -u | wc -l)" -eq 2
	same "nonces of zero" "$(of "$all" amt.discovery_nonce amt.request_nonce amt.type |
		grep '0x00000000 ' || true)" ""
}

# One Request for each protocol, both with E (R-26, R-101); Queries with G and our endpoint (R-34).
handshakes() {
	local address
	address=$(endpoint "$1")
	same "Requests" "$(of 3 udp.payload | cut -c 1-8 | sort -u |
		xargs)" "03020000 03030000"
	same "the Queries' endpoint" "$(of 4 amt.membership_query.g \
		amt.gateway.port_number amt.gateway.ip_address | sort -u)" \
		"1 $port ${address/#10./::10.}"
}

# Updates and Teardown say what a Query gave (R-72, R-81), reports are the host's own.
says_what_was_given() {
	local given address
	address=$(endpoint "$1")
	given=$(of 4 amt.request_nonce amt.response_mac | sort -u)
	same "nonce and MAC of Updates" "$(of 5 amt.request_nonce amt.response_mac |
		sort -u)" "$given"
	same "reports" "$(of 5 igmp.type icmpv6.type | tr -d ' ' | sort -u |
		xargs)" "0x22 143"
	expect "Teardowns" "$(of 7 amt.type | wc -l)" -eq 2
	same "the Teardowns' endpoint" "$(of 7 amt.gateway.port_number \
		amt.gateway.ip_address | sort -u)" "$port ${address/#10./::10.}"
	grep -qxF "$(of 7 amt.request_nonce amt.response_mac | sort -u)" \
		<<<"$given" || fail "nonce and MAC of the Teardown are no Query's"
}

whole() { # whole OUTER
	[ "$1" = 4 ] || family=ipv6
	session "$1"
	capture_judge s
	table
	in_order "$1"
	nonces
	handshakes "$1"
	says_what_was_given "$1"
	same "data" "$(of 6 amt.type | wc -l)" 100
}

run_case "a session over IPv4" whole 4
run_case "a session over IPv6" whole 6
finish
