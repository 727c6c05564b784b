# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154 # shared with tests/bench/run
# Signalling: Requests answered a second by the shield and by amtd, Updates, and how long after its
# join a gateway has its first packet.
#
# A flood of Requests, each from another address, is sent by one CPU, which also runs what XDP does
# with them. What it takes for as many frames that end in the barest XDP program is the sender's own
# share; the rest is the shield's, transmission of the answer included. amtd's is its CPU time; what
# the kernel does before a Request is in its socket is not counted, which is to its favour.

section signalling "Requests and Updates a second, by the shield and by amtd; joins to first packet"

signalling_requests=1000000 signalling_off_requests=300000 signalling_gateways=2000
signalling_rounds=5

# A flood's end of a link, and the far one: of a relay, or of nobody.
signalling_link() { # signalling_link NAME NUMBER
	net_add "sig-$1" "sig-$1-foe"
	net_link "sig-$1-foe" foe0 "sig-$1" down0
	net_addr "sig-$1" down0 "10.2.$2.1/24"
	ip -n "$net_id-sig-$1" neigh add "10.2.$2.2" lladdr 02:00:00:00:00:09 dev down0
	ip -n "$net_id-sig-$1" route add 100.64.0.0/10 via "10.2.$2.2"
	net_silence "sig-$1" down0
	net_silence "sig-$1-foe" foe0
}

net_silence() { # net_silence NAME IF: nothing but what is measured
	on "$1" sysctl -q -w "net.ipv6.conf.$2.disable_ipv6=1"
}

signalling_relay() { # signalling_relay NAME NUMBER SHIELD
	signalling_link "$1" "$2"
	cat >"$net_dir/$1.conf" <<-CONF
		relay {
		    address = {"10.2.$2.1"}
		    uplink = {"down0"}
		    upstream = {"up0"}
		    shield = $3
		}
	CONF
	relay_start "$net_dir/$1.conf" "sig-$1" || net_die "amtd does not start"
}

signalling_flood() { # signalling_flood NAME NUMBER REQUESTS: what tests/e2e/flood says
	local mac
	mac=$(ip -n "$net_id-sig-$1" -json link show down0 | jq -r '.[0].address')
	on "sig-$1-foe" "$build/tests/e2e/flood" foe0 "$mac" "10.2.$2.1" 100.64.0.1 200000 "$3"
}

signalling_stat() { # signalling_stat NAME COUNTER
	instance=$net_id-sig-$1 ctl --json stats | jq ".counters.$2"
}

# One line a round: ns of CPU time for a Request by the shield, and by amtd, and the answers that the
# flooding CPU got out of the shield in a second with all it does itself.
signalling_round() {
	local base with without answered before cpu
	base=$(signalling_flood base 1 $signalling_requests)
	before=$(signalling_stat on query_sent)
	with=$(signalling_flood on 2 $signalling_requests)
	answered=$(($(signalling_stat on query_sent) - before))
	before=$(signalling_stat off query_sent)
	cpu=$(cpu_ns "$signalling_off_pid")
	signalling_flood off 3 $signalling_off_requests >/dev/null
	sleep 0.3 # what is in the socket
	cpu=$(($(cpu_ns "$signalling_off_pid") - cpu))
	without=$(($(signalling_stat off query_sent) - before))
	jq -n --argjson base "$base" --argjson with "$with" --argjson answered "$answered" \
		--argjson cpu "$cpu" --argjson without "$without" '{
			shield_ns: (1e9 * ($with.seconds / $with.sent - $base.seconds / $base.sent)),
			shield_whole_ns: (1e9 * $with.seconds / $answered),
			answered: ($answered / $with.sent),
			amtd_ns: ($cpu / $without)}'
}

# CPU time of amtd while gateways come, each a tunnel with one channel, and while they only refresh.
signalling_updates() {
	local pid=$signalling_on_pid cpu updates now
	cpu=$(cpu_ns "$pid")
	# shellcheck disable=SC2046
	$(where sig-on-foe) "$build/amt-load" gateways -r 10.2.2.1 -n $signalling_gateways -b 8192 \
		-S 10.2.2.2 -R 1 --start-rate 1000 --quiet 10.1.0.1,232.8.0.1 >/dev/null 2>&1 &
	signalling_load=$!
	wait_for 60 signalling_has $signalling_gateways || net_die "gateways do not come"
	signalling_join_ns=$((($(cpu_ns "$pid") - cpu) / signalling_gateways))
	sleep 2
	cpu=$(cpu_ns "$pid")
	updates=$(signalling_stat on update_accepted)
	sleep 8
	now=$(signalling_stat on update_accepted)
	signalling_update_ns=$((($(cpu_ns "$pid") - cpu) / (now - updates)))
	kill -INT $signalling_load
	wait $signalling_load || true
}

signalling_has() { # signalling_has TUNNELS
	[ "$(instance=$net_id-sig-on ctl --json status | jq .tunnels)" -ge "$1" ]
}

# Gateways that join a running stream of 1,000 packets a second, 100 of them a second.
signalling_joins() {
	local sender
	# shellcheck disable=SC2046
	$(where sig-src) "$build/amt-load" send -I src0 -S 10.1.0.1 --quiet -g 232.8.0.2 -s 200 \
		-r 1600k -n 0 &
	sender=$!
	# shellcheck disable=SC2046
	$(where sig-on-foe) "$build/amt-load" gateways -r 10.2.2.1 -n 500 -b 262144 -S 10.2.2.2 \
		--start-rate 100 -d 7 --quiet --json 232.8.0.2 >"$net_dir/joins.json" || true
	kill -INT $sender
	wait $sender || true
}

section_signalling() {
	local round
	[ -x "$build/tests/e2e/flood" ] || net_die "tests/e2e/flood is missing"
	signalling_link base 1
	signalling_relay on 2 true
	signalling_on_pid=$relay_pid
	signalling_relay off 3 false
	signalling_off_pid=$relay_pid
	net_add sig-src
	net_link sig-src src0 sig-on up0
	net_addr sig-src src0 10.1.0.1/24
	net_addr sig-on up0 10.1.0.254/24
	net_addr sig-on-foe foe0 10.2.2.2/24
	# shellcheck disable=SC2046
	$(where sig-base) "$build/tests/e2e/flood" sink down0 &
	for ((round = 0; round < signalling_rounds; round++)); do
		signalling_round
	done | jq -s 'def median(f): map(f) | sort | .[length / 2 | floor];
		{shield_ns: median(.shield_ns), shield_whole_ns: median(.shield_whole_ns),
		answered: median(.answered), amtd_ns: median(.amtd_ns)}' >"$net_dir/requests.json"
	ip -n "$net_id-sig-on" neigh del 10.2.2.2 dev down0
	signalling_joins
	signalling_updates
	jq --argjson join $signalling_join_ns --argjson update $signalling_update_ns \
		--slurpfile joins "$net_dir/joins.json" '. + {
			ratio: (.amtd_ns / .shield_ns), join_ns: $join, update_ns: $update,
			joined: $joins[0].established, first_packet_median_ns: $joins[0].data_median_ns,
			first_packet_p99_ns: $joins[0].data_p99_ns}' "$net_dir/requests.json" \
		>"$net_dir/signalling.json"
	signalling_print
	# shellcheck disable=SC2016 # jq's own variable
	result '.signalling = $new' "$net_dir/signalling.json"
}

signalling_print() {
	jq -r 'def thousands: 1e9 / . / 1e3 | round | "\(.),000";
		def us: . / 10 | round | . / 100;
		def ms: . / 1e4 | round | . / 100;
		"Requests answered in a second of CPU time:",
		"  shield  \(.shield_ns | thousands)  (\(.shield_ns | round) ns each; with the CPU that sends them \(.shield_whole_ns | thousands))",
		"  amtd    \(.amtd_ns | thousands)  (\(.amtd_ns | round) ns each)",
		"  ratio   \(.ratio * 10 | round / 10)",
		"Updates: \(.update_ns | us) us of amtd that change nothing, \(.join_ns | us) us with a new tunnel and its first join",
		"From join to first packet, \(.joined) gateways, 1,000 packets a second: \(.first_packet_median_ns | ms) ms in the median, 99 % in \(.first_packet_p99_ns | ms) ms"' \
		"$net_dir/signalling.json"
}
