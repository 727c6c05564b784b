#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The Linux kernel's own AMT driver as relay, with our gateway: IPv4 and IPv6 groups over IPv4.
# shellcheck disable=SC2317 # cases are called by name
# shellcheck disable=SC2016 # what stands in single quotes is awk's and jq's
source "$(dirname "$0")/kernel.sh"
command -v smcrouted >/dev/null || net_die "smcrouted is missing; run scripts/setup vm"
driver_load
topology
instance=$net_id-gw

kernel_relay() {
	driver_relay relay "$relay4" "$source4,$ssm4" "$source4,$asm4" "$source6,$ssm6" "$source6,$asm6"
}

our_gateway() {
	cat >"$net_dir/gateway.conf" <<-CONF
		gateway {
		    uplink = {"gw0"}
		    relay = {"$relay4"}
		    keepalive = 5
		}
	CONF
	relay_start "$net_dir/gateway.conf" gw
}

gateway_is() { # gateway_is JQ_CONDITION
	ctl --json status | jq -e "$1" >/dev/null
}

both_up() {
	capture_start c relay down0 'udp port 2268'
	kernel_relay
	our_gateway
	wait_for "$patience" gateway_is '.state == "up"' || fail "no Query: $(ctl status)"
}

# Probes without end, for a port at which no listener is. probe_start GROUP...
probe_start() {
	local options=() group
	for group in "$@"; do options+=(-g "$group"); done
	# shellcheck disable=SC2046
	$(where src) "$build/amt-load" send -I src0 -S "$source4" -S "$source6" --quiet \
		-p 5002 -n 0 -r 10k -s 64 "${options[@]}" &
	probe=$!
}

probe_end() {
	kill "$probe"
	wait "$probe" || true
}

# The relay forwards these groups: probes come out of the tunnel. forwards GROUP...
forwards() {
	local group probe
	for group in "$@"; do
		probe_start "$group"
		wait_for "$patience" flows "$group" ||
			fail "nothing of $group: $(ctl groups; ctl stats --nonzero)"
		probe_end
	done
}

flows() { # flows GROUP: its packets are taken out of the tunnel
	ctl --json groups | jq -e ".groups[] | select(.group == \"$1\") | .packets > 0"
}

# Joins, compares octet by octet, leaves. file_through CHANNEL...
file_through() {
	local there groups=() options=()
	for there in "$@"; do
		groups+=("${there#*,}")
		options+=(-g "${there#*,}")
	done
	listener_start r gw --complete --compare "$net_dir/file" "$@"
	forwards "${groups[@]}"
	send_in_order "${options[@]}" -s 1200 -r 2M "$net_dir/file"
	listener_good r
	wait_for "$patience" gateway_is '.groups == 0' || fail "no leave: $(ctl groups)"
}

stream() { # stream CHANNEL...: join, data, leave, join again
	file_make 60001
	file_through "$@"
	file_through "$@"
	nothing_wrong
}

nothing_wrong() {
	stats_zero decap_malformed decap_foreign decap_failed decap_xmit_drops decap_too_big \
		decap_not_multicast gateway_bad_query gateway_wrong_protocol
}

first_stream() {
	both_up
	stream "$@"
}

recorded() {
	capture_stop c
	wait_for "$patience" not kill -0 "$(cat "$net_dir/c.pid")"
	capture_list c
	list_judge
}

q15() {
	local asked answered
	[ -s "$net_dir/list" ] || fail "nothing was recorded"
	asked=$(listed '$1 == 3' 3)
	[[ $asked == *02* ]] || fail "no Request with E: $asked"
	[[ $asked == *"000000"* ]] || fail "no IGMP Request without flags: $asked"
	[[ $asked == *"800000"* ]] || fail "no MLD Request with the driver's P: $asked"
	answered=$(awk -F'|' '$1 == 3 { octets[$2] = $3 } $1 == 4 { print octets[$2] }' \
		"$net_dir/list" | sort -u | paste -sd ' ')
	[ "$answered" = "000000 800000" ] || fail "Requests that were answered: $answered"
	expect gateway_without_ecn "$(stat gateway_without_ecn)" -gt 0
	expect gateway_linux_p "$(stat gateway_linux_p)" -gt 0
}

# Queries come every few seconds, and the stream takes no notice.
long() {
	local queries failed
	listener_start long gw --expect "$long_packets" "$(channel 4)" "$(channel 6)"
	forwards "$ssm4" "$ssm6"
	queries=$(stat query_received) failed=$(stat gateway_relay_failed)
	send_long "$ssm4" "$ssm6"
	listener_good long
	expect "Queries meanwhile" $(($(stat query_received) - queries)) -ge $((long_seconds / 10))
	expect "relays that failed" "$(stat gateway_relay_failed)" -eq "$failed"
	nothing_wrong
}

# amtd is killed, and adopted by the next one, while the stream flows. The listener stays until then:
# that it left while nobody was there would be known after the membership interval only.
gateway_restart() {
	local sender
	file_make 50001
	listener_start r gw --idle 3600 "$(channel 4)"
	forwards "$ssm4"
	send_in_order -g "$ssm4" -n 200 -r 200k -s 1200 &
	sender=$!
	kill -KILL "$(ctl --json status | jq .pid)"
	our_gateway
	gateway_is .adopted || fail "not adopted"
	wait_for "$patience" gateway_is '.state == "up"' || fail "$(ctl status)"
	wait "$sender"
	wait_for "$patience" not again "$ssm4" || fail "packets come for ever"
	gateways_have r 1 200
	file_through "$(channel 6)"
}

# The device goes, and what it knew of us; with the next one streams flow again by themselves.
relay_restart() {
	local probe
	listener_start r gw --duration 3600 "$(channel 4)" "$(channel 6)"
	forwards "$ssm4" "$ssm6"
	driver_relay_end relay
	kernel_relay
	probe_start "$ssm4" "$ssm6"
	wait_for "$patience" again "$ssm4" || fail "no IPv4 again: $(ctl groups; ctl stats --nonzero)"
	wait_for "$patience" again "$ssm6" || fail "no IPv6 again: $(ctl groups; ctl stats --nonzero)"
	probe_end
	kill "$(cat "$net_dir/r.pid")"
	wait_for "$patience" gateway_is '.groups == 0' || fail "no leave: $(ctl groups)"
	file_make 50001
	file_through "$(channel 4)"
	file_through "$(channel 6)"
}

again() { # again GROUP: packets come at this moment
	local before now
	before=$(packets_of "$1")
	sleep 1
	now=$(packets_of "$1")
	[ "$now" -gt "$before" ]
}

packets_of() { # packets_of GROUP
	ctl --json groups | jq ".groups[] | select(.group == \"$1\") | .packets"
}

run_step "kernel relay: IPv4 group: join, data, leave, join again" first_stream "$(channel 4)"
run_step "kernel relay: IPv6 group: join, data, leave, join again" stream "$(channel 6)"
if full_plan; then
	run_step "kernel relay: IPv4 and IPv6 at once, any source" stream $asm4 $asm6
	run_step "kernel relay: tshark finds nothing wrong" recorded
	run_step "Q-15: asked without E, and for MLD with P at 0x80" q15
	run_step "kernel relay: $long_seconds s without loss" long
fi
run_step "kernel relay: restart of the gateway" gateway_restart
if full_plan; then
	run_case "kernel relay: restart of the relay" relay_restart
fi
finish
