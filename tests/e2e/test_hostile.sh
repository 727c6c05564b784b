#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Gateways that do not play by the rules: wrong MACs, old secrets, faults of every kind, messages cut
# at every length, 100,000 mutated messages, a flood of Requests. Each is counted under its own
# reason, nothing grows, and genuine gateways are served all the time.
# shellcheck disable=SC2046,SC2086 # words of our own, without blanks
# ASan's quarantine would look like a leak.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}quarantine_size_mb=1
source "$(dirname "$0")/lib.sh"
mangle=$build/tests/e2e/mangle
[ -x "$mangle" ] || net_die "$mangle is missing; run make tests"
topology

genuine4=10.2.1.30 genuine6=2001:db8:2::1:30 # not among the addresses that are forged
group4=239.1.1.1 group6=ff1e::1:1

mangle() { # mangle OUTER STEP...
	if [ "$1" = 4 ]; then
		on gw "$mangle" "$relay4" 10.2.1.1 "${@:2}"
	else
		on gw "$mangle" "$relay6" 2001:db8:2::1:1 "${@:2}"
	fi
}

tunnels() {
	ctl --json status | jq .tunnels
}

# Two genuine gateways, of both outer and inner families, which a stream of N packets a second
# passes whole. genuine_start NAME; then genuine_send N, and genuine_end NAME STREAMS N
genuine_start() {
	gateways_start "$1" 2 -r "$relay4" -r "$relay6" -n 2 -S $genuine4 -S $genuine6 \
		$source4,$group4 $source6,$group6
}

genuine_send() {
	send -g $group4 -g $group6 -n "$1" -s 1000 -r 400k # 50 packets a second
}

# ---- one reason each ----

control_counters='.counters | to_entries | .[map(.key) | index("discovery_received"):] | from_entries'

# What amtd has counted since the last call, names only; the figures are in `counted`. Packets that
# the hosts send of their own accord count as well, in the packet path.
counted_since() {
	ctl --json stats | jq "$control_counters" >"$net_dir/after"
	jq -n --slurpfile a "$net_dir/before" --slurpfile b "$net_dir/after" '
		[$b[0] | to_entries[] | {key, value: (.value - $a[0][.key])} |
			select(.value != 0)] | from_entries' >"$net_dir/counted"
	mv "$net_dir/after" "$net_dir/before"
	jq -r 'del(.request_received, .query_sent, .nexthop_changed) | keys | join(" ")' "$net_dir/counted"
}

# counts WANTED OUTER INNER STEP...: these counters and no other go up, by one; the Requests around
# it, which see to it that the relay is through, apart
counts() {
	local wanted=$1 outer=$2 inner=$3 got
	shift 3
	mangle "$outer" "ask$inner" "$@" "through$inner"
	got=$(counted_since)
	[ "$got" = "$wanted" ] || fail "$* counts '$got' instead of '$wanted'"
	jq -e 'del(.request_received, .query_sent, .nexthop_changed) | all(. == 1)' \
		"$net_dir/counted" >/dev/null ||
		fail "$* counts $(cat "$net_dir/counted")"
}

reasons() { # reasons OUTER INNER
	local name of="$1 $2"
	relay_start "$(relay_conf 'teardown = on' 'requests-per-second = 0')"
	ctl --json stats | jq "$control_counters" >"$net_dir/before"
	counts bad_version $of fault=version
	counts bad_type $of fault=type
	counts bad_type $of fault=query
	counts data_from_gateway $of fault=data
	counts short_message $of fault=short
	counts "bad_mac update_received" $of fault=mac
	counts "bad_mac update_received" $of fault=mac-end
	counts "bad_mac update_received" $of fault=nonce
	counts "inner_short update_received" $of fault=cut
	for name in not-ip protocol ttl fragment checksum; do
		counts "inner_${name/-/_} update_received" $of fault=$name
	done
	[ "$2" = 6 ] || counts "inner_ip_checksum update_received" $of fault=ip-checksum
	counts "report_type update_received" $of fault=report-type
	counts "report_short update_received" $of fault=report-short
	counts "record_unknown update_accepted update_received" $of fault=record-type
	counts "record_bad_group update_accepted update_received" $of fault=group
	counts "advertisement_sent discovery_received zero_nonce" $of nonce0
	counts "teardown_bad_mac teardown_received" $of teardown-wrong
	counts "teardown_received teardown_unknown" $of teardown
	expect tunnels "$(tunnels)" -eq 0
	expect "groups joined upstream" "$(ctl --json status | jq .upstream.groups)" -eq 0

	mangle "$1" "ask$2" macs "through$2"
	counted_since >/dev/null
	[ "$(jq .bad_mac "$net_dir/counted")" -eq 48 ] || fail "macs: $(cat "$net_dir/counted")"
	expect tunnels "$(tunnels)" -eq 0
	counts "tunnel_created update_accepted update_received" $of join
	mangle "$1" "ask$2" join teardown-wrong fault=mac "through$2"
	expect "tunnels after a wrong Teardown" "$(tunnels)" -eq 2
	mangle "$1" "ask$2" join teardown "through$2"
	expect "tunnels after a right one" "$(tunnels)" -eq 2
}

# Q-10: Cisco's gateways give the first four octets of the MAC back intact.
short_mac() { # short_mac OUTER INNER
	relay_start "$(relay_conf 'accept-short-mac = yes' 'requests-per-second = 0')"
	ctl --json stats | jq "$control_counters" >"$net_dir/before"
	counts "bad_mac update_received" "$1" "$2" fault=mac
	counts "tunnel_created update_accepted update_received" "$1" "$2" fault=mac-end
}

# ---- secrets ----

# R-59, R-160: the previous secret is good for a while, an older one is not.
old_secret() { # old_secret OUTER
	relay_start "$(relay_conf 'secret-lifetime = 4' 'query-interval = 3' \
		'query-response-interval = 1' 'accept-repeated-mac = no')"
	local rotated
	rotated=$(stat secret_rotated)
	wait_for 20 at_least secret_rotated $((++rotated)) # so that the next is a while away
	{
		wait_for 10 at_least query_sent 1
		wait_for 20 at_least secret_rotated $((rotated + 1))
		echo
		wait_for 10 at_least update_received 1
		expect update_previous_secret "$(stat update_previous_secret)" -eq 1 >&2
		expect tunnels "$(tunnels)" -eq 1 >&2
		wait_for 20 at_least secret_rotated $((rotated + 2))
		echo
	} | mangle "$1" ask4 wait join wait join
	wait_for "$e2e_patience" at_least bad_mac 1 || fail "an Update by an old secret is not refused"
	expect update_accepted "$(stat update_accepted)" -eq 1
	expect update_previous_secret "$(stat update_previous_secret)" -eq 1
}

# ---- bad messages by the thousand ----

received() { # how many messages of all kinds
	ctl --json stats | jq '.counters | .discovery_received + .request_received +
		.update_received + .teardown_received + .short_message + .bad_version +
		.bad_type + .data_from_gateway'
}

mutated() {
	local sender
	relay_start "$(relay_conf 'teardown = on' 'requests-per-second = 0')"
	genuine_start first
	mangle 4 ask4 lengths
	mangle 6 ask6 lengths
	expect short_message "$(stat short_message)" -gt 100
	expect inner_short "$(stat inner_short)" -gt 100
	expect tunnels "$(tunnels)" -eq 2
	genuine_send 400 &
	sender=$!
	mangle 4 ask4 mutate=50000
	mangle 6 ask6 mutate=50000
	wait $sender
	expect "messages received" "$(received)" -gt 99000
	for name in short_message bad_version bad_type data_from_gateway bad_mac inner_short \
		inner_not_ip inner_protocol inner_ttl inner_ip_checksum inner_checksum \
		inner_fragment report_type report_short record_unknown record_bad_group \
		teardown_bad_mac; do
		expect $name "$(stat $name)" -gt 0
	done
	copies_rest
	gateways_have first 2 400
	# then normal service, for new gateways too
	genuine_start second
	genuine_send 50
	copies_rest
	gateways_have second 2 50
	datapath_clean
}

# ---- a flood of Requests ----

resident() { # kB of amtd
	awk '/^VmRSS/ { print $2 }' "/proc/$(ctl --json status | jq .pid)/status"
}

request_flood() {
	local before after sender
	relay_start "$(relay_conf)"
	genuine_start first
	mangle 4 ask4 flood=20000 # what is allocated once is there
	before=$(resident)
	genuine_send 400 &
	sender=$!
	mangle 4 ask4 flood=100000
	mangle 6 ask6 flood=100000
	genuine_start second # new gateways are served too
	wait $sender
	after=$(resident)
	expect "Requests received" "$(stat request_received)" -gt 50000
	expect request_rate_limited "$(stat request_rate_limited)" -gt 0
	expect "resident kB after the flood" "$after" -le $((before + 2048))
	expect tunnels "$(tunnels)" -eq 4
	stats_zero short_message bad_version bad_type
	copies_rest
	gateways_have first 2 400
	gateways_signal second INT
	gateways_good second
}

for outer in 4 6; do
	for inner in 4 6; do
		run_case "IPv$inner over IPv$outer: every fault counts as what it is" \
			reasons $outer $inner
	done
done
run_case "MACs of which four octets are right, where that is enough" short_mac 4 4
run_case "the same over IPv6" short_mac 6 6
run_case "MACs of an old secret" old_secret 4
run_case "MACs of an old secret over IPv6" old_secret 6
run_case "100,000 mutated messages" mutated
run_case "a flood of Requests" request_flood
finish
