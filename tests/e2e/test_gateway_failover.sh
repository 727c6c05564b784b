#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A relay dies, sends nothing, or takes no new gateways: the next one takes over within the
# configured time, for the receiving programs the source stays the same, and amt-ctl says who is
# held down and why (R-46, R-122, R-192, R-193).
# shellcheck disable=SC2086,SC2119,SC2317 # words of our own, without blanks; cases are called by name
source "$(dirname "$0")/lib_gateway.sh"

rate=1M # 93 packets a second
per_second=$((1000000 / 8 / 1348 + 1))
# Longer than a relay that has died takes to be found out (3 s after the first silence): else it may
# as well be left for its silence, with "no data" as the reason.
data_timeout=5
# Seconds from the last packet of a relay that has died until the next is asked, at most, as
# amtd.conf(5) says: silence is looked for each second, and is noticed by the second look; then a
# Request, and one more after 1 s, whose answer is awaited for 1 or 2
dead_after=$((2 + data_timeout + 1 + 2))
# Of one that answers Requests, but sends nothing: silence twice
mute_after=$((2 + 2 * data_timeout + 1))
slack=4 # for handshakes and a busy machine

# Two relays, a gateway that prefers the first, and a stream of both families by it.
streaming() { # streaming [GATEWAY_LINE...]
	relays_up
	second_relay_up
	gateway_up_by "relay = {\"$relay4\", \"$relay4b\"}" "data-timeout = $data_timeout" \
		'request-retries = 1' 'discovery-retries = 1' "$@"
	gateway_is ".relay == \"$relay4\"" || fail "$(gctl status)"
	listener_start film "${channels[@]}"
	wait_for 10 forwards 2 || fail "not joined at the relay"
	stream_start -g $ssm4 -g $ssm6 -r $rate
	packets_come 100
}

takes_over() { # takes_over RELAY: it has the gateway, and its data comes
	wait_for 60 gateway_is ".relay == \"$1\" and .state == \"up\" and .leaving == null" ||
		fail "$1 does not take over: $(gctl relays)"
	packets_come 200
}

held() { # held RELAY WHY: at least that long: so the table and JSON say
	gctl --json relays | jq -e ".relays[] | select(.candidate == \"$1\") |
		.held > 0 and .why == \"$2\" and (.current | not)" >/dev/null ||
		fail "not held down: $(gctl relays)"
	gctl relays | grep -E "^$1 +address .*no +.*[0-9]s +$2\$" >/dev/null ||
		fail "the table does not say it: $(gctl relays)"
}

# Ends the stream: every stream is still the one of its source, nothing came twice, and no more is
# missing than SECONDS of it. seamless SECONDS
seamless() {
	stream_stop
	listener_stop film
	echo "missing of each: $(figure film '[.each[].flows[].missing] | map(tostring) |
		join(" ")'), of $(figure film .distinct)"
	[ "$(figure film '[.each[].flows[] | .source] | sort | join(" ")')" = \
		"$source4 $source6" ] || fail "not one stream of each source: $(cat "$net_dir/film.json")"
	expect "damaged and foreign packets" "$(figure film '.damaged + .foreign')" -eq 0
	expect "duplicates" "$(figure film .duplicate)" -eq 0
	expect "most packets lost of a stream" "$(figure film '[.each[].flows[].missing] | max')" \
		-le $((($1 + slack) * per_second))
}

# As seamless, where the relay that is left sends on until the next one does: nothing is lost, and
# what is on its way by both at the change may come twice.
unbroken() {
	stream_stop
	listener_stop film
	expect "packets" "$(figure film .distinct)" -ge 400
	expect "missing, damaged and foreign packets" \
		"$(figure film '.missing + .damaged + .foreign')" -eq 0
	expect "duplicates" "$(figure film .duplicate)" -le 4
}

# The configuration names another relay now.
moves() {
	streaming
	gateway_conf "relay = {\"$relay4b\"}"
	gctl reload >/dev/null
	takes_over "$relay4b"
	wait_for 10 no_tunnel || fail "the first relay was not told"
	unbroken
}

# Nothing comes from the relay any more, not even an error. It is taken again when the hold-down is
# over and the second one dies.
dies() {
	streaming 'hold-down = 4'
	ip -n "$net_id-relay" link set down0 down
	takes_over "$relay4b"
	held "$relay4" "no Query"
	ip -n "$net_id-relay" link set down0 up
	net_addr relay down0 $relay6/64
	seamless $dead_after
	listener_start film "${channels[@]}"
	wait_for 30 relay_free "$relay4" || fail "held down for ever: $(gctl relays)"
	gateway_is ".relay == \"$relay4b\"" || fail "went back without a reason: $(gctl status)"
	wait_for 10 forwards 2 "$net_id-relay2" || fail "not joined at the second relay"
	stream_start -g $ssm4 -g $ssm6 -r $rate
	packets_come 100
	"$build/amt-ctl" -i "$net_id-relay2" shutdown
	takes_over "$relay4"
	held "$relay4b" "unreachable"
	seamless $dead_after
}

relay_free() {
	gctl --json relays | jq -e ".relays[] | select(.candidate == \"$1\") | .held == null"
}

# It answers every Request, but no data comes: R-192
is_mute() {
	streaming
	on router nft -f - <<-NFT
		table inet mute {
			chain early {
				type filter hook prerouting priority raw
				ip saddr $relay4 udp sport 2268 @th,64,8 6 drop
			}
		}
	NFT
	takes_over "$relay4b"
	on router nft delete table inet mute
	held "$relay4" "no data"
	expect gateway_relay_no_data "$(gateway_stat gateway_relay_no_data)" -eq 1
	gctl --json relays | jq -e '.relays[0].held > 100' >/dev/null || fail "$(gctl relays)"
	wait_for 10 no_tunnel || fail "the mute relay was not told" # R-24
	seamless $mute_after
}

# The source pauses, and there is no better relay: all stay.
pauses() {
	streaming
	stream_stop
	wait_for 60 gateway_is ".relay == \"$relay4b\"" || fail "$(gctl relays)"
	wait_for 60 probed_again || fail "no further query cycle: $(gctl stats --nonzero)"
	gateway_is ".relay == \"$relay4b\" and .state == \"up\"" ||
		fail "left the last relay for a source that pauses: $(gctl relays)"
	stream_start -g $ssm4 -g $ssm6 -r $rate
	packets_come 200
	stream_stop
}

probed_again() { # the second relay was asked twice at least since it was taken
	[ "$("$build/amt-ctl" -i "$net_id-relay2" --json stats | jq .counters.request_received)" \
		-ge 4 ]
}

# It is about to end and says so in its Queries (L): the gateway goes in time.
is_limited() {
	relays_up 'query-interval = 4' 'query-response-interval = 2'
	second_relay_up
	gateway_up_by "relay = {\"$relay4\", \"$relay4b\"}"
	listener_start film "${channels[@]}"
	wait_for 10 forwards 2 || fail "not joined at the relay"
	stream_start -g $ssm4 -g $ssm6 -r $rate
	packets_come 100
	"$build/amt-ctl" -i "$net_id" shutdown --drain 60 >/dev/null &
	takes_over "$relay4b"
	held "$relay4" "relay at its limit"
	gctl --json relays | jq -e '.relays[0].held > 500' >/dev/null || fail "$(gctl relays)"
	unbroken
}

two_relays
run_case "a relay dies: the next one takes over in time, and the first when that dies" dies
run_case "a relay answers, but sends no data: the next one takes over in time" is_mute
run_case "the configuration names another relay: nothing is lost" moves
run_case "a source pauses: no relay is left when there is no other" pauses
run_case "a relay sets L: the next one takes over" is_limited
finish
