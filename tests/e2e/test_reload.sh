#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Another configuration under a running stream: what changes live and what does not, errors that
# change nothing; and interfaces that are not there when amtd starts, or starts again.
# shellcheck disable=SC2317 # cases are called by their names
source "$(dirname "$0")/lib.sh"
topology
net_addr relay lo 10.9.0.1/32

channels=("$source4,232.1.1.1" "$source6,ff3e::8000:1")
reload_conf=$net_dir/amtd.conf

# conf LINE...: writes the file that amtd was started with; LINEs are all of the relay section
conf() {
	{
		echo 'relay {'
		printf '    %s\n' "$@"
		shield_line
		echo '}'
	} >"$reload_conf"
}

base=("address = {\"$relay4\", \"$relay6\"}" 'upstream = up0' 'uplink = down0')

stream_start() { # both channels, 150 packets a second each, until stream_end
	# shellcheck disable=SC2046
	$(where src) "$build/amt-load" send -I src0 -S "$source4" -S "$source6" --quiet -g 232.1.1.1 \
		-g ff3e::8000:1 -s 1000 -n 0 -r 1200k &
	sender=$!
}

stream_end() {
	kill -INT "$sender"
	wait "$sender"
	copies_rest
}

flowing() { # more copies than N
	[ "$(stat copies_out)" -gt "$1" ]
}

flows_on() { # the stream still reaches somebody
	wait_for 20 flowing "$(($(stat copies_out) + 40))" || fail "nothing flows after $*"
}

says() { # says STATUS PATTERN COMMAND...
	local wanted=$1 pattern=$2 said status=0
	shift 2
	said=$("$@" 2>&1) || status=$?
	echo "$said"
	expect "status of $*" "$status" -eq "$wanted"
	grep -qE -e "$pattern" <<<"$said" || fail "$* says: $said"
}

reloads() { # reloads PATTERN LINE...: a reload with these lines says so
	local pattern=$1
	shift
	conf "$@"
	says 0 "$pattern" ctl reload
	flows_on "$@"
}

state() { # what a reload that fails must not touch
	ctl --json status | jq -cS '[.addresses, .interfaces, .membership_interval]'
	bpftool -j map dump pinned "/sys/fs/bpf/amt/$instance/config" | jq -c '.[0].formatted.value |
		del(.lease_ns)'
	on relay ss -Hanu | sort
}

policy() { # policy MEMBER: of the packet path's configuration
	bpftool -j map dump pinned "/sys/fs/bpf/amt/$instance/config" |
		jq ".[0].formatted.value.$1 // .[0].value.$1"
}

interface_is() { # interface_is NAME JQ_CONDITION
	status_is ".interfaces[] | select(.interface == \"$1\") | $2"
}

# ---- what changes live ----

# Everything that can change does, while each of 16 gateways gets every packet.
live() {
	conf "${base[@]}"
	relay_start "$reload_conf"
	# shellcheck disable=SC2046
	gateways_start g 16 -n 16 -r "$relay4" -r "$relay6" $(outer_sources 4 4) $(outer_sources 6 4) \
		"${channels[@]}"
	stream_start
	flows_on the start
	reloads '^changed: query-interval, query-response-interval, robustness$' "${base[@]}" \
		'query-interval = 20' 'query-response-interval = 5' 'robustness = 3'
	status_is '.membership_interval == 260' || fail "a shorter interval holds at once"
	reloads '^changed: query-interval, query-response-interval, robustness$' "${base[@]}" \
		'query-interval = 200'
	status_is '.membership_interval == 410' || fail "a longer interval does not hold at once"
	reloads '^changed: .*ttl, dscp, outer-ttl, udp-checksum, tunnel-mtu' "${base[@]}" \
		'ttl = keep' 'dscp = 34' 'outer-ttl = 33' 'udp-checksum = true' 'tunnel-mtu = 1400'
	expect "outer TTL" "$(policy ttl)" -eq 33
	expect "flags TTL_KEEP, DSCP_FIXED, UDP4_CHECKSUM" $(($(policy flags) & 7)) -eq 7
	[ "$(ctl --json groups | jq -c '[.groups[].mtu] | unique')" = '[1400]' ] || fail "the MTU"
	reloads '^changed: permit-groups, permit-gateways, max-tunnels-per-address, requests-per' \
		"${base[@]}" 'ttl = keep' 'dscp = 34' 'outer-ttl = 33' 'udp-checksum = true' \
		'tunnel-mtu = 1400' 'permit-groups = {"232.1.0.0/16", "ff3e::/32"}' \
		'permit-gateways = {"10.2.0.0/16", "2001:db8:2::/64"}' \
		'max-tunnels-per-address = 5' 'requests-per-second = 7'
	reloads '^changed: ' "${base[@]}"
	expect "outer TTL" "$(policy ttl)" -eq 64
	says 0 'nothing has changed' ctl reload
	# addresses: one more, another order, one less
	reloads '^changed: address, discovery$' "address = {\"$relay6\", \"$relay4\"}" \
		'discovery = {10.9.0.1}' 'upstream = up0' 'uplink = down0'
	status_is '[.addresses[].address] | sort == ["10.2.0.1", "10.9.0.1", "2001:db8:2::1"]' ||
		fail "addresses: $(ctl status)"
	reloads '^changed: address, discovery$' "${base[@]}"
	status_is '.addresses | length == 2' || fail "addresses: $(ctl status)"
	reloads '^changed: address$' 'upstream = up0' 'uplink = down0' # those of the uplink
	wait_for 20 status_is '[.addresses[] | select(.interface == "down0")] | length == 2' ||
		fail "addresses: $(ctl status)"
	reloads '^changed: address$' "${base[@]}"
	# interfaces: one more, which is not there yet
	reloads '^changed: upstream, uplink$' "${base[0]}" 'upstream = {up0, late0}' \
		'uplink = {down0, late1}'
	interface_is late0 '.absent and .upstream' || fail "late0: $(ctl status)"
	stream_end
	gateways_signal g INT
	gateways_good g
	expect "flows" "$(figure g '[.each[].flows[]] | length')" -eq 32
	datapath_clean
	grep -q 'reload: changed: address' "$relay_log" || fail "the log says nothing"
}

by_signal() {
	conf "${base[@]}"
	relay_start "$reload_conf"
	conf "${base[@]}" 'outer-ttl = 9'
	echo 'log-level = debug' >>"$reload_conf"
	kill -HUP "$relay_pid"
	wait_for 10 grep -q 'reload: changed: log-level, outer-ttl' "$relay_log" ||
		fail "not reloaded by a signal"
	expect "outer TTL" "$(policy ttl)" -eq 9
	echo 'rubbish = 1' >"$reload_conf"
	kill -HUP "$relay_pid"
	wait_for 10 grep -q "$reload_conf:1: " "$relay_log" || fail "no error with its line"
	expect "outer TTL" "$(policy ttl)" -eq 9
}

# Gateways and groups that are no longer permitted end, others stay.
permits_less() {
	conf "${base[@]}"
	relay_start "$reload_conf"
	gateways_start a 2 -n 2 -r "$relay4" -S 10.2.1.1 "$source4,232.1.1.1" 239.1.1.1
	gateways_start b 4 -n 2 -r "$relay4" -S 10.2.1.2 "$source4,232.1.1.1"
	conf "${base[@]}" 'permit-gateways = {"10.2.1.1/32"}' 'permit-groups = {"232.0.0.0/8"}'
	ctl reload
	status_is '.tunnels == 2 and .channels == 1' || fail "$(ctl status)"
	expect tunnel_forbidden "$(stat tunnel_forbidden)" -eq 2
	send -g 232.1.1.1 -n 20
	copies_rest
	gateways_have a 1 20
	gateways_have b 0 0
}

# At no moment is a gateway missing that the list before and the one after permit, long as they are.
permits_at_once() {
	local list flood n
	list=$(for ((n = 0; n < 4000; n++)); do echo "\"172.16.$((n / 256)).$((n % 256))/32\","; done)
	conf "${base[@]}"
	relay_start "$reload_conf"
	# shellcheck disable=SC2046
	$(where gw) "$build/tests/e2e/mangle" "$relay4" 10.2.1.1 flood=100000000 &
	flood=$!
	for n in 1 2 3 4 5 6 7 8; do
		conf "${base[@]}" "permit-gateways = {$list \"10.2.1.0/24\"}"
		ctl reload
		conf "${base[@]}" "permit-gateways = {\"10.2.0.0/16\", $list \"172.16.$n.0/24\"}"
		ctl reload
		[ "$n" -lt 7 ] || conf "${base[@]}" # all, and back
		ctl reload
	done
	kill "$flood"
	wait "$flood" || true
	expect "Requests while it was reloaded" "$(stat request_received)" -gt 1000
	stats_zero gateway_not_permitted
}

# ---- what does not ----

needs_restart() {
	conf "${base[@]}"
	relay_start "$reload_conf"
	conf "${base[@]}" 'port = 3000' 'max-tunnels = 5' 'outer-ttl = 9'
	says 0 '^a restart of amtd is needed for: port, max-tunnels$' ctl reload
	expect "outer TTL" "$(policy ttl)" -eq 9
	status_is '.addresses[0].port == 2268' || fail "the port has changed"
	ctl --json reload | jq -e '.changed == [] and .restart == ["port", "max-tunnels"]'
	echo 'gateway { }' >"$reload_conf"
	says 0 '^a restart of amtd is needed for: role$' ctl reload
	status_is '.role == "relay" and (.interfaces | length == 2)' || fail "$(ctl status)"
}

# refused PATTERN LINE...: a reload with these lines says so in one line and changes nothing
refused() {
	local pattern=$1
	shift
	conf "$@"
	says 1 "$pattern" ctl reload
	state >"$net_dir/after"
	diff "$net_dir/before" "$net_dir/after" || fail "something has changed"
}

errors() {
	conf "${base[@]}"
	relay_start "$reload_conf"
	state >"$net_dir/before"
	refused "$reload_conf:5: unknown option 'query-intervall'" "${base[@]}" 'query-intervall = 3' \
		'outer-ttl = 9'
	refused "$reload_conf:5: .*1 more" "${base[@]}" 'robustness = 8' 'port = 0' 'outer-ttl = 9'
	# what only shows when it is tried: no such address, a foreign program's port, no native XDP
	refused 'cannot listen on 192.0.2.77:2268' "address = {10.9.0.1, 192.0.2.77}" \
		'upstream = up0' 'uplink = {down0, late0}' 'outer-ttl = 9'
	on relay ip link add name br9 type bridge
	refused 'br9' "${base[0]}" 'upstream = {up0, br9}' 'uplink = {down0, late0}' 'mode = xdp'
	on relay ip link del br9
	rm "$reload_conf"
	says 1 "$reload_conf: No such file" ctl reload
	state >"$net_dir/after"
	diff "$net_dir/before" "$net_dir/after" || fail "something has changed"
	expect "errors in one line" "$(ctl reload 2>&1 | wc -l)" -eq 1
}

# ---- interfaces that are not there ----

late_upstream() {
	net_link src src1 relay late0
	net_addr src src1 10.4.0.1/24
	net_addr relay late0 10.4.0.254/24
}

late_gone() {
	ip -n "$net_id-relay" link del late0
}

late_serves() { # a stream that comes in by late0
	wait_for 20 interface_is late0 '.absent == false and (.xdp or .tc)' || fail "$(ctl status)"
	gateways_start g 2 -n 2 -r "$relay4" 10.4.0.1,232.1.1.1
	wait_for 10 on relay grep -q 010101E8 /proc/net/igmp || fail "the group is not joined"
	on src "$build/amt-load" send -I src1 -S 10.4.0.1 --quiet -n 20 -g 232.1.1.1
	copies_rest
	gateways_have g 1 20
}

configured_appears() {
	conf "${base[0]}" 'upstream = late0' 'uplink = down0'
	relay_start "$reload_conf"
	grep -q 'late0 is not there; attached when it appears' "$relay_log" || fail "not said"
	ctl status | grep -E '^late0 .* absent: attached when it appears$' || fail "$(ctl status)"
	late_upstream
	late_serves
	late_gone
	wait_for 10 interface_is late0 '.absent' || fail "the loss is not noticed"
}

ends() { # ends SIGNAL: of amtd
	kill "-$1" "$relay_pid"
	wait "$relay_pid" 2>/dev/null || true
}

# Attached by amt-ctl, away when amtd starts again, and back before or after that.
attached_returns() { # attached_returns before|after
	relay_start
	ctl attach down0 --uplink
	late_upstream
	ctl attach late0 --upstream --mode tc
	ends KILL
	late_gone
	[ "$1" = after ] || late_upstream
	relay_start
	if [ "$1" = after ]; then
		interface_is late0 '.absent and .runtime and .upstream and .mode == "tc"' ||
			fail "forgotten: $(ctl status)"
		ends TERM # and once more
		relay_start
		interface_is late0 '.absent' || fail "forgotten the second time: $(ctl status)"
		late_upstream
	fi
	late_serves
	interface_is late0 '.mode == "tc" and .runtime' || fail "$(ctl status)"
	late_gone
	wait_for 10 interface_is late0 '.absent' || fail "the loss is not noticed"
	ctl detach late0
	ends KILL
	relay_start
	status_is '[.interfaces[].interface] == ["down0"]' || fail "not forgotten: $(ctl status)"
	says 1 'no interface late0' ctl attach late0
}

run_case "16 gateways get all while everything changes" live
run_case "SIGHUP" by_signal
run_case "what is no longer permitted ends" permits_less
run_case "who is permitted changes at once, and no gateway is missed" permits_at_once
run_case "what needs a restart is named" needs_restart
run_case "errors change nothing" errors
run_case "a configured interface appears" configured_appears
run_case "an attached interface returns before amtd" attached_returns before
run_case "an attached interface returns after amtd" attached_returns after
finish
