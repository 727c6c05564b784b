#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A gateway behind a NAT, end to end: programs on its host join groups on amt0 and get the relay's
# stream, octet by octet. Both outer and inner families, restart, another relay, detach, verify.
# shellcheck disable=SC2086,SC2119,SC2317 # words of our own, without blanks; cases are called by name
source "$(dirname "$0")/lib_gateway.sh"

# ---- cases ----

carries() { # carries OUTER_RELAY
	relays_up
	gateway_up "$1"
	head -c 600000 /dev/urandom >"$net_dir/film"
	listener_start film --complete --compare "$net_dir/film" "${channels[@]}" $asm4 $asm6
	wait_for 10 forwards 4 || fail "not joined at the relay: $(gctl status; gctl groups)"
	stream -g $ssm4 -g $ssm6 -g $asm4 -g $asm6 -r 4M "$net_dir/film"
	listener_good film
	gateway_is '.nat == true' || fail "the NAT is not seen: $(gctl status)"
	gateway_is '.handshake > 0 and .next_query > 0 and .limit == false and .ecn'
	gateway_is '.pseudo_interface.interface == "amt0" and .traffic.slow_packets == 0'
	expect decap_packets "$(gateway_stat decap_packets)" -ge 1780
	expect decap_foreign "$(gateway_stat decap_foreign)" -eq 0
	expect decap_unwanted "$(gateway_stat decap_unwanted)" -le 4 # joins on their way
	datapath_clean_relay
}

# The gateway, which was started last; its successor finds nothing of it locked.
gateway_killed() {
	kill -KILL "$relay_pid"
	wait "$relay_pid" 2>/dev/null || true
}

survives_kill() {
	local ifindex sender
	relays_up
	gateway_up $relay4
	head -c 3000000 /dev/urandom >"$net_dir/film"
	listener_start film --complete --compare "$net_dir/film" "${channels[@]}"
	wait_for 10 forwards 2 || fail "not joined at the relay"
	ifindex=$(amt0_ifindex)
	stream -g $ssm4 -g $ssm6 -r 3M "$net_dir/film" &
	sender=$!
	sleep 1.5
	gateway_killed
	sleep 1
	relay_start "" gw
	gateway_is '.adopted and .role == "gateway"' || fail "not taken over: $(gctl status)"
	wait_for 10 gateway_is '.state == "up" and .groups == 2' || fail "$(gctl status)"
	[ "$ifindex" = "$(amt0_ifindex)" ] || fail "amt0 was made anew"
	[ "$(tunnels)" -eq 1 ] || fail "another tunnel at the relay"
	wait "$sender"
	listener_good film
	listener_start more --expect 300 "$source4,$ssm4" # and it does its work
	wait_for 10 forwards 1 || fail "not joined at the relay"
	stream -g $ssm4 -n 300 -r 4M
	listener_good more
}

# Another configuration under a stream; the relay in use stays while it is named.
reloads() {
	local ifindex sender
	relays_up
	second_relay_up
	gateway_conf "relay = {\"$relay4\"}"
	relay_start "$net_dir/gateway.conf" gw
	wait_for 10 gateway_is '.state == "up"' || fail "the relay does not answer: $(gctl status)"
	head -c 2000000 /dev/urandom >"$net_dir/film"
	listener_start film --complete --compare "$net_dir/film" "${channels[@]}"
	wait_for 10 forwards 2 || fail "not joined at the relay"
	ifindex=$(amt0_ifindex)
	stream -g $ssm4 -g $ssm6 -r 3M "$net_dir/film" &
	sender=$!
	gateway_conf "relay = {\"$relay4b\", \"$relay4\"}" 'mtu = 1400' 'request-retries = 7' \
		'interface = amt7'
	gctl reload >"$net_dir/said"
	grep -q '^changed: relay, mtu, request-retries$' "$net_dir/said" || fail "$(cat "$net_dir/said")"
	grep -q 'restart .* for: interface$' "$net_dir/said" || fail "$(cat "$net_dir/said")"
	wait_for 10 gateway_is ".relay == \"$relay4\" and .state == \"up\" and
		.pseudo_interface.mtu == 1400" || fail "$(gctl status)"
	gateway_conf 'relay = {"224.1.1.1"}'
	refuses "gateway.conf:3: relay: '224.1.1.1'" gctl reload
	[ "$ifindex" = "$(amt0_ifindex)" ] || fail "amt0 was made anew"
	wait "$sender"
	listener_good film
	listener_start more "${channels[@]}"
	gateway_conf "relay = {\"$relay4b\"}" 'mtu = 1400' # the one in use is named no more
	gctl reload
	wait_for 10 gateway_is ".relay == \"$relay4b\" and .state == \"up\"" || fail "$(gctl status)"
	wait_for 10 forwards 2 "$net_id-relay2" || fail "not joined at the second relay"
	kill "$(cat "$net_dir/more.pid")"
}

# The uplink is away while amtd starts again: it is waited for, with the relays of the attach.
uplink_returns() {
	relays_up
	gateway_up $relay4
	gateway_killed
	ip -n "$net_id-router" link del inside
	relay_start "" gw
	gateway_is '.role == "gateway" and .interfaces[0].absent' || fail "forgotten: $(gctl status)"
	inside_link
	wait_for 20 gateway_is ".state == \"up\" and .relay == \"$relay4\"" || fail "$(gctl status)"
	listener_start film --expect 100 "$source4,$ssm4"
	wait_for 10 forwards 1 || fail "not joined at the relay"
	stream -g $ssm4 -n 100 -r 2M
	listener_good film
}

takes_next_relay() {
	relays_up
	second_relay_up
	gateway_up_by "relay = {\"$relay4\", \"$relay4b\"}" 'data-timeout = 2' 'request-retries = 1'
	gateway_is ".relay == \"$relay4\"" || fail "$(gctl status)"
	listener_start both "$source4,$ssm4"
	wait_for 10 forwards 1 || fail "not joined at the relay"
	stream -g $ssm4 -n 0 -r 1M &
	wait_for 10 gateway_is '.traffic.packets > 100' || fail "no data by the first relay"
	on router nft "add table inet cut; add chain inet cut early { type filter hook prerouting \
		priority raw; }; add rule inet cut early ip saddr $relay4 drop"
	wait_for 30 gateway_is ".relay == \"$relay4b\" and .state == \"up\"" || fail "$(gctl relays)"
	wait_for 10 forwards 1 "$net_id-relay2" || fail "not joined at the second relay"
	gctl --json relays | jq -e ".relays[0].held > 0" >/dev/null || fail "$(gctl relays)"
	gctl verify --source $source4 --group $ssm4 --timeout 10 >"$net_dir/said" ||
		fail "no data by the second relay: $(cat "$net_dir/said")"
	grep -q "^ok relay $relay4b " "$net_dir/said" || fail "$(cat "$net_dir/said")"
	on router nft delete table inet cut
}

# A program that knows nothing of us; and amt0 is made again when somebody removes it.
serves_any_program() {
	relays_up
	gateway_up $relay4
	on gw ip link delete amt0
	wait_for 10 on gw ip link show amt0 || fail "amt0 is not made again"
	stream -g $asm4 -n 0 -r 1M &
	on gw timeout 5 socat -u UDP4-RECV:5001,ip-add-membership=$asm4:amt0 - |
		head -c 50000 >"$net_dir/heard" || true
	expect "octets that socat heard" "$(wc -c <"$net_dir/heard")" -eq 50000
}

detaches() {
	relays_up
	gateway_up $relay4
	listener_start film "$source4,$ssm4"
	wait_for 10 forwards 1 || fail "not joined at the relay"
	gctl detach gw0 | grep -q 'detached 1'
	! on gw ip link show amt0 2>/dev/null || fail "amt0 is still there"
	wait_for "$e2e_patience" no_tunnel || fail "the relay was not told"
	gateway_is '.state == "detached"'
	kill "$(cat "$net_dir/film.pid")"
	gctl attach gw0 --gateway --relay $relay6 >/dev/null # another relay now
	wait_for 10 gateway_is ".state == \"up\" and .relay == \"$relay6\"" || fail "$(gctl status)"
	gctl shutdown
	! on gw ip link show amt0 2>/dev/null || fail "amt0 is still there after shutdown"
	[ ! -e "/sys/fs/bpf/amt/$net_id-gw" ] || fail "pins are left"
}

# The relay is there, and sends nothing of this group: verify_fails COMMAND...
verify_fails() {
	local status=0
	"$@" >"$net_dir/said" || status=$?
	expect "status of $*" $status -eq 1
	grep -qx "failed relay $relay6 joined, but no data after 1 s" "$net_dir/said" ||
		fail "$*: $(cat "$net_dir/said")"
	{ "$@" --json || true; } | jq -e '.state == "up" and (.ok | not)' >/dev/null || fail "$* --json"
}

verifies() {
	relays_up
	gateway_up $relay6
	# the same words, whoever asks the relay
	verify_fails gctl verify --source $source4 --group 232.9.9.9 --timeout 1
	verify_fails on gw "$build/amt-ctl" verify --source $source4 --group 232.9.9.9 --timeout 1 \
		--relay $relay6
	stream -g $ssm4 -g $ssm6 -n 0 -r 1M &
	gctl verify --source $source4 --group $ssm4 >"$net_dir/said" || fail "$(cat "$net_dir/said")"
	grep -E "^ok relay $relay6 first packet after [0-9]+ ms, [0-9]+ packets, loss unknown" \
		"$net_dir/said" || fail "$(cat "$net_dir/said")"
	gctl --json verify --group $ssm6 --source $source6 | jq -e '.ok and .packets > 10'
	wait_for "$e2e_patience" gateway_is '.groups == 0' || fail "it did not leave: $(gctl groups)"
	on gw "$build/amt-ctl" verify --relay $relay4 --group $ssm4 --source $source4 ||
		fail "not by itself"
	expect_fail 2 gctl verify --group 10.1.1.1
}

refuses() { # refuses PATTERN COMMAND...: status 1, and says so
	local said status=0 pattern=$1
	shift
	said=$("$@" 2>&1) || status=$?
	expect "status of $*" $status -eq 1
	grep -q "$pattern" <<<"$said" || fail "$*: $said"
}

one_role() {
	relay_start "" gw
	gctl attach gw0 --uplink >/dev/null
	refuses 'attached in the role of a relay; detach them' gctl attach gw0 --gateway
	gctl detach --all
	refuses 'no interface nope' gctl attach nope --gateway
	gctl attach gw0 --gateway --relay 192.0.2.77 >/dev/null
	refuses 'attached in the role of a gateway' gctl attach gw0 --upstream
	refuses 'is a gateway; its relays' gctl tunnels
	gateway_is '.state == "discovery"' || fail "$(gctl status)"
	gctl top --count 1 >"$net_dir/top"
	grep -q 'state discovery' "$net_dir/top" || fail "$(cat "$net_dir/top")"
	gctl maps >"$net_dir/maps"
	grep -q decap_wanted "$net_dir/maps" || fail "$(cat "$net_dir/maps")"
	gctl detach gw0
	gctl attach gw0 --uplink >/dev/null # and back
	gctl --json status | jq -e '.role == "relay"' >/dev/null || fail "$(gctl status)"
}

amt0_is_there() {
	on gw ip link show amt0
}

# amtd starts again with another file: nothing of the gateway is left, whether the relay takes over
# the maps, which needs tables as small as a gateway's, or makes them anew.
role_changes_by_file() { # role_changes_by_file LINE...
	relays_up
	gateway_up $relay4
	listener_start left "$source4,$ssm4"
	wait_for 10 gateway_is '.groups == 1' || fail "$(gctl groups)"
	expect "what the gateway has in its maps" "$(decap_entries)" -gt 1
	stop_gateway
	kill "$(cat "$net_dir/left.pid")"
	{
		echo 'relay {'
		printf '    %s\n' 'uplink = {"gw0"}' "$@"
		echo '}'
	} >"$net_dir/role.conf"
	relay_start "$net_dir/role.conf" gw
	gateway_is '.role == "relay"' || fail "$(gctl status)"
	not amt0_is_there || fail "amt0 is still there"
	expect "what is left in its maps" "$(decap_entries)" -eq 0
	stop_gateway
	relay_start "" gw
	gateway_is '.role == "relay"' || fail "a gateway again: $(gctl status)"
	stop_gateway
	gateway_conf 'relay = {"192.0.2.77"}'
	relay_start "$net_dir/gateway.conf" gw
	gateway_is '.role == "gateway"' || fail "$(gctl status)"
	amt0_is_there || fail "amt0 is not made again"
}

decap_entries() { # relays that data is taken from, and groups that are wanted
	local map entries=0
	for map in decap_relays decap_wanted; do
		entries=$((entries + $(bpftool -j map dump pinned "/sys/fs/bpf/amt/$net_id-gw/$map" |
			jq length)))
	done
	echo $entries
}

stop_gateway() {
	kill -TERM "$relay_pid"
	wait "$relay_pid" || fail "amtd ended with $?"
}

names() { # tables and amt-ctl(8) have the JSON's names
	local column name words missing=''
	relays_up
	gateway_up $relay4
	listener_start film "$source4,$ssm4"
	wait_for 10 gateway_is '.groups == 1' || fail "$(gctl groups)"
	for column in $(gctl groups | head -n 1); do
		gctl --json groups | jq -e ".groups[0] | has(\"$column\")" >/dev/null || fail "$column"
	done
	for column in $(gctl relays | head -n 1); do
		gctl --json relays | jq -e ".relays[0] | has(\"$column\")" >/dev/null || fail "$column"
	done
	words=$(sed -n '/^.Ss Members/,/^.Sh/p' "$e2e_top/man/amt-ctl.8" | tr -c 'a-z_' ' ')
	for name in $(
		for column in status groups relays "verify --group $asm4 --timeout 0"; do
			# shellcheck disable=SC2086 # a command and its arguments
			gctl --json $column || true
		done | jq -r '[paths | .[] | strings] | unique[]'
	); do
		[[ " $words " == *" $name "* ]] || missing+=" $name"
	done
	[ -z "$missing" ] || fail "amt-ctl(8) does not name:$missing"
	kill "$(cat "$net_dir/film.pid")"
}

two_relays
run_case "by IPv4 through a NAT: IPv4 and IPv6 streams, SSM and ASM" carries $relay4
run_case "by IPv6 through a NAT: IPv4 and IPv6 streams, SSM and ASM" carries $relay6
run_case "amtd killed and started under a stream: nothing lost" survives_kill
run_case "reload under a stream: other relays, another MTU" reloads
run_case "the uplink is away while amtd starts again" uplink_returns
run_case "the relay is cut off: the next one takes over" takes_next_relay
run_case "any program receives, also by an amt0 made again" serves_any_program
run_case "detach tells the relay and removes amt0" detaches
run_case "verify" verifies
run_case "one role at a time" one_role
run_case "from gateway to relay by another file" role_changes_by_file
run_case "the same where the relay takes over the maps" role_changes_by_file \
	'max-tunnels = 64' 'max-channels = 64' 'max-blocks = 64' 'max-nexthops = 64'
run_case "names of members" names
finish
