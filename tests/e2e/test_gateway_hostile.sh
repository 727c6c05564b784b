#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Relays that do not play by the rules, and those who pretend to be one: Advertisements, Queries and
# data that are late, repeated, forged, cut at every length or of any content, 100,000 of them
# mutated. Each is counted under its own reason, none gets to the host, and service goes on.
# shellcheck disable=SC2046,SC2086,SC2119,SC2317 # words of our own, without blanks; cases are called by name
# ASan's quarantine would look like a leak.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}quarantine_size_mb=1
source "$(dirname "$0")/lib_gateway.sh"
for e2e_tool in rogue forge; do
	[ -x "$build/tests/e2e/$e2e_tool" ] || net_die "$e2e_tool is missing; run make tests"
done
beside_relay

# ---- a rogue in the place of the relay ----

rogue_start() { # rogue_start OUTER
	local other=$other4
	[ "$1" = 4 ] || other=$other6
	rm -f "$net_dir/rogue.in" "$net_dir/rogue.out"
	mkfifo "$net_dir/rogue.in" "$net_dir/rogue.out"
	$(where relay) "$build/tests/e2e/rogue" "$(outer_relay "$1")" "$other" \
		<"$net_dir/rogue.in" >"$net_dir/rogue.out" &
	rogue_pid=$!
	exec 8>"$net_dir/rogue.in" 9<"$net_dir/rogue.out"
}

rogue() { # rogue WORD...: a line, done when this returns
	local said
	echo "$*" >&8
	read -r -t 150 said <&9 || fail "rogue does not do: $*"
	[ "$said" = ok ] || fail "$*: $said"
}

rogue_end() {
	exec 8>&- 9<&-
	kill "$rogue_pid" # amtd has its input open as well
	wait "$rogue_pid" || true
}

# For captures on amt0: what comes out of it, not what the host sends.
into_host() {
	echo "not ether src $(ip -n "$net_id-gw" -j link show amt0 | jq -r '.[0].address')"
}

# ---- one reason each ----

# All that amtd and the packet path count, but what time and the host itself bring.
counters='.counters | del(.request_sent, .discovery_sent, .gateway_retransmitted, .nexthop_changed,
	.gateway_report_ignored, .gateway_report_early, .gateway_record_local, .update_sent)'

# Names of what has been counted since `before`, each with how often if it is not once.
counted_since() {
	gctl --json stats | jq "$counters" >"$net_dir/after"
	jq -rn --slurpfile a "$net_dir/before" --slurpfile b "$net_dir/after" '
		[$b[0] | to_entries[] | {key, value: (.value - $a[0][.key])} |
			select(.value != 0) | if .value == 1 then .key else "\(.value) \(.key)" end] |
		sort | join(" ")'
}

has_counted() { # has_counted WANTED
	[ "$(counted_since)" = "$1" ]
}

# counts WANTED COMMAND...: these counters and no other go up
counts() {
	local wanted=$1
	shift
	gctl --json stats | jq "$counters" >"$net_dir/before"
	"$@"
	wait_for 20 has_counted "$wanted" || fail "$* counts '$(counted_since)' instead of '$wanted'"
}

advertisements() { # advertisements OUTER QUERY: while one is awaited
	local received=advertisement_received type
	counts "$received gateway_wrong_nonce" rogue advertise nonce
	counts "$received gateway_wrong_peer" rogue advertise peer
	counts "$received gateway_wrong_peer" rogue advertise port
	counts "$received gateway_bad_relay" rogue advertise relay
	counts bad_version rogue advertise version
	for type in 1 3 5 7 0 9 15; do # what a gateway does not take (R-04)
		counts gateway_bad_type rogue type $type
	done
	counts bad_version rogue type $((0x16)) # data of another version is no data
	if [ "$1" = 4 ]; then
		counts "12 short_message" rogue lengths advertise
	else # with 12 octets it names an IPv4 address
		counts "23 short_message advertisement_received gateway_bad_relay" \
			rogue lengths advertise
	fi
	counts "gateway_not_awaited query_received" rogue "$2"
}

queries() { # queries INNER: while one is awaited
	local query=query$1 received=query_received name
	counts "advertisement_received gateway_not_awaited" rogue advertise # R-23
	counts "gateway_wrong_nonce $received" rogue "$query" nonce
	counts "gateway_wrong_peer $received" rogue "$query" peer
	counts "gateway_wrong_peer $received" rogue "$query" port
	counts bad_version rogue "$query" version
	counts "gateway_wrong_protocol $received" rogue "$query" protocol-other
	for name in not-ip protocol ttl fragment checksum report group sources inner-length; do
		counts "gateway_bad_query $received" rogue "$query" $name
	done
	[ "$1" = 6 ] || counts "gateway_bad_query $received" rogue "$query" ip-checksum
	# a header of 12 octets, then the datagram
	name=$(($1 == 4 ? 36 : 76))
	counts "12 short_message $name gateway_bad_query $name query_received" \
		rogue lengths "$query"
}

signalling() { # signalling OUTER INNER
	local other=$((10 - $2))
	rogue_start "$1"
	gateway_beside auto "$1" 'discovery-timeout = 3600' 'discovery-timeout-max = 3600' \
		'request-timeout = 3600' 'request-timeout-max = 3600' "ipv$other-groups = no"
	capture_start amt0 gw amt0 "$(into_host)"
	rogue await discovery
	advertisements "$1" "query$2"
	gateway_is '.state == "discovery"' || fail "$(gctl status)"
	rogue advertise
	rogue await "request$2"
	queries "$2"
	gateway_is '.state == "request"' || fail "$(gctl status)"
	counts "query_accepted query_received" rogue "query$2" interval=1
	gateway_is '.state == "up"' || fail "$(gctl status)"
	rogue await "request$2"
	counts "gateway_wrong_nonce query_received" rogue "query$2" old # late
	counts "query_accepted query_received" rogue "query$2" interval=3000
	counts "gateway_not_awaited query_received" rogue "query$2" # again (R-40)
	counts "advertisement_received gateway_not_awaited" rogue advertise
	gateway_is '.state == "up"' || fail "$(gctl status)"
	capture_stop amt0
	# the host got the two that were right, and nothing else (R-42, R-177)
	capture_judge amt0
	expect "packets that the host got" "$(capture_count amt0 frame)" -eq 2
	expect "queries that the host got" \
		"$(capture_count amt0 'igmp.type == 0x11 || icmpv6.type == 130')" -eq 2
	rogue_end
}

# ---- data ----

host_got() { # packets that came out of amt0, but for queries
	echo $(($(ip -n "$net_id-gw" -s -j link show amt0 | jq '.[0].stats64.rx.packets') -
		$(gateway_stat query_accepted)))
}

# Data of the relay itself with everything wrong that can be. A stream comes whole meanwhile.
data() { # data MODE OUTER INNER
	local header=28 number before
	[ "$3" = 4 ] || header=48
	relay_start "$(relay_conf)"
	gateway_beside "$1" "$2"
	instance=$net_id
	wait_for 20 gateway_is '.state == "up"' || fail "$(gctl status)"
	listener_start film --expect 50 "${channels[@]}"
	wait_for 20 status_is '.channels >= 2' || fail "not joined at the relay: $(ctl groups)"
	before=$(host_got)
	counts decap_malformed forge "$2" "$3" size=40 inner-length=1 send
	counts decap_malformed forge "$2" "$3" size=40 inner-length=-$((header + 40)) send
	counts decap_malformed forge "$2" "$3" size=40 cut=1 send
	counts decap_malformed forge "$2" "$3" size=40 udp-length=1 send
	counts decap_malformed forge "$2" "$3" size=40 udp-length=-1 send
	counts decap_malformed forge "$2" "$3" size=40 version=5 send
	counts decap_not_multicast forge "$2" 4 size=40 group=10.2.1.1 send
	counts decap_not_multicast forge "$2" 6 size=40 group=2001:db8:2::1:1 send
	counts decap_link_local forge "$2" 4 size=40 group=224.0.0.1 send
	counts decap_link_local forge "$2" 6 size=40 group=ff02::1 send
	counts decap_unwanted forge "$2" 4 size=40 group=239.5.5.5 send
	counts bad_version forge "$2" "$3" size=40 first=$((0x16)) send
	counts gateway_bad_type forge "$2" "$3" size=40 first=$((0x0f)) send
	# at every length: without an AMT header they go to the socket
	number=$((header + 40))
	counts "$number decap_malformed gateway_data_at_socket gateway_data_refused short_message" \
		forge "$2" "$3" size=40 lengths
	expect "packets that the host got" "$(host_got)" -eq "$before"
	send -g $ssm4 -g $ssm6 -n 50 -s 200 -r 200k
	listener_good film
	expect "packets that the host got" "$(host_got)" -eq $((before + 100))
}

# ---- bad messages by the thousand ----

# Of each message that came one of these counts, once.
received='.counters | .short_message + .bad_version + .gateway_bad_type + .advertisement_received +
	.query_received + .gateway_data_at_socket + .decap_packets + .decap_foreign +
	.decap_malformed + .decap_not_multicast + .decap_link_local + .decap_unwanted +
	.decap_ecn_dropped + .decap_too_big + .decap_no_target + .decap_failed'

has_received() { # has_received NUMBER
	[ "$(gctl --json stats | jq "$received")" -ge "$1" ]
}

resident() { # kB of the gateway's amtd
	awk '/^VmRSS/ { print $2 }' "/proc/$(gctl --json status | jq .pid)/status"
}

mutated() { # mutated MODE OUTER NUMBER
	local done=0 batch=1000 pid before
	rogue_start "$2"
	gateway_beside "$1" "$2" 'keepalive = 1' 'request-retries = 1' 'hold-down = 1' \
		'hold-down-limit = 1' 'request-timeout-max = 1' 'discovery-timeout-max = 1'
	pid=$(gctl --json status | jq .pid)
	listener_start film "${channels[@]}"
	rogue await discovery
	rogue advertise
	rogue await request4
	rogue query4 interval=2
	rogue await request6
	rogue query6 interval=2
	wait_for 20 gateway_is '.state == "up"' || fail "$(gctl status)"
	# what is neither a general query nor a datagram of these groups
	capture_start others gw amt0 "$(into_host) and not (ip dst host $ssm4 or ip6 dst host $ssm6 or
		ip dst host 224.0.0.1 or ip6 dst host ff02::1)"
	capture_start queries gw amt0 "$(into_host) and
		(ip dst host 224.0.0.1 or ip6 dst host ff02::1)"
	while [ $done -lt "$3" ]; do
		rogue mutate $batch $ssm4 $ssm6
		done=$((done + batch))
		wait_for 60 has_received $done ||
			fail "$(gctl --json stats | jq "$received") of $done messages: $(gctl stats --nonzero)"
		[ $done -ne $(($3 / 5)) ] || before=$(resident) # what is allocated once is there
	done
	[ "$(gctl --json status | jq .pid)" -eq "$pid" ] || fail "another amtd"
	for name in short_message bad_version gateway_bad_type gateway_wrong_nonce \
		gateway_not_awaited gateway_bad_query query_accepted decap_malformed \
		decap_not_multicast decap_unwanted decap_packets; do
		expect $name "$(gateway_stat $name)" -gt 0
	done
	# it levels off: 200,000 messages more make 1 MB, of the sanitizer's own
	expect "resident kB" "$(resident)" -le $((before + 8192))
	capture_stop others
	capture_stop queries
	expect "packets that the host should not get" "$(capture_count others frame)" -eq 0
	capture_judge queries
	expect "queries that are none" \
		"$(capture_count queries '!(igmp.type == 0x11 || icmpv6.type == 130)')" -eq 0
	kill -INT "$(cat "$net_dir/film.pid")"
	rogue_end
	serves
}

# Normal service, by a relay at the rogue's address.
serves() {
	relay_start "$(relay_conf)"
	listener_start again --expect 300 "${channels[@]}"
	wait_for 60 status_is '.channels >= 2' || fail "not joined at the relay: $(gctl status)"
	send -g $ssm4 -g $ssm6 -n 300 -s 1000 -r 2M
	listener_good again
	gateway_is '.state == "up"' || fail "$(gctl status)"
	datapath_clean
}

for outer in 4 6; do
	for of in 4 6; do
		run_case "IPv$of over IPv$outer: Advertisements and Queries" signalling $outer $of
	done
	for mode in xdp tc; do
		run_case "$mode: IPv4 over IPv$outer: data" data $mode $outer 4
		run_case "$mode: IPv6 over IPv$outer: data" data $mode $outer 6
	done
done
run_case "xdp: 50,000 mutated messages over IPv4" mutated xdp 4 50000
run_case "tc: 50,000 mutated messages over IPv6" mutated tc 6 50000
finish
