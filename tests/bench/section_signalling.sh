# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154 # shared with tests/bench/run
# Signalling: Requests answered a second by the shield and by amtd, Updates, and how long after its
# join a gateway has its first packet.
#
# A flood of Requests, each from another address, comes in by a veth whose receiver polls in a kernel
# thread: the CPU time of that thread is what a Request costs the relay in the kernel, from the driver
# to the answer's way out. amtd's own CPU time is added where the shield is off. `bare` is what as many
# frames cost that end in the barest XDP program: the driver's share, of which veth's is large.

section signalling "Requests and Updates a second, by the shield and by amtd; joins to first packet"

signalling_requests=200000 signalling_gateways=2000 signalling_rounds=5

# A flood's end of a link, and the far one, of a relay or of nobody, in an interface named NAME.
signalling_link() { # signalling_link NAME NUMBER
	net_add "$1" "$1-foe"
	net_link "$1-foe" foe0 "$1" "$1"
	net_addr "$1" "$1" "10.2.$2.1/24"
	ip -n "$net_id-$1" neigh add "10.2.$2.2" lladdr 02:00:00:00:00:09 dev "$1"
	ip -n "$net_id-$1" route add 100.64.0.0/10 via "10.2.$2.2"
	on "$1" sysctl -q -w "net.ipv6.conf.$1.disable_ipv6=1" # silence
	on "$1-foe" sysctl -q -w net.ipv6.conf.foe0.disable_ipv6=1
}

# "exec" shows the namespace's /sys.
signalling_threads() { # signalling_threads NAME
	ip netns exec "$net_id-$1" sh -c "echo 1 >/sys/class/net/$1/threaded"
	ip netns exec "$net_id-$1-foe" sh -c 'echo 1 >/sys/class/net/foe0/threaded'
	[ -n "$(pgrep "^napi/$1-")" ] || net_die "$1 does not poll in threads"
}

signalling_relay() { # signalling_relay NAME NUMBER SHIELD [UPLINK]: one more
	signalling_link "$1" "$2"
	cat >"$net_dir/$1.conf" <<-CONF
		relay {
		    address = {"10.2.$2.1"}
		    uplink = {"$1"${4:+, "$4"}}
		    upstream = {"up0"}
		    shield = $3
		}
	CONF
	relay_start "$net_dir/$1.conf" "$1" || net_die "amtd does not start"
	signalling_threads "$1"
}

signalling_flood() { # signalling_flood NAME NUMBER: sends signalling_requests
	local mac
	mac=$(ip -n "$net_id-$1" -json link show "$1" | jq -r '.[0].address')
	on "$1-foe" "$build/tests/e2e/flood" foe0 "$mac" "10.2.$2.1" 100.64.0.1 200000 \
		$signalling_requests >/dev/null
	sleep 0.3 # what is still in a ring or a socket
}

signalling_stat() { # signalling_stat NAME COUNTER
	instance=$net_id-$1 ctl --json stats | jq ".counters.$2"
}

run_ns() { # run_ns PID...: how long they ran
	local pid
	for pid in "$@"; do
		cat "/proc/$pid/schedstat"
	done | awk '{ sum += $1 } END { printf "%.0f\n", sum }'
}

polled_ns() { # polled_ns NAME
	# shellcheck disable=SC2046
	run_ns $(pgrep "^napi/$1-")
}

# One line a round: ns for a Request.
signalling_round() {
	local bare shield kernel amtd answered with
	bare=$(polled_ns bare)
	signalling_flood bare 1
	bare=$(($(polled_ns bare) - bare))
	answered=$(signalling_stat shield query_sent)
	shield=$(polled_ns shield)
	signalling_flood shield 2
	shield=$(($(polled_ns shield) - shield))
	with=$(($(signalling_stat shield query_sent) - answered))
	answered=$(signalling_stat plain query_sent)
	kernel=$(polled_ns plain)
	amtd=$(run_ns "$signalling_plain_pid")
	signalling_flood plain 3
	amtd=$(($(run_ns "$signalling_plain_pid") - amtd))
	kernel=$(($(polled_ns plain) - kernel))
	answered=$(($(signalling_stat plain query_sent) - answered))
	# the kernel's share is of all that came, amtd's of what found room in its socket
	jq -n "{bare: ($bare / $signalling_requests), shield: ($shield / $with),
		amtd: ($amtd / $answered), plain: ($kernel / $signalling_requests + $amtd / $answered)}"
}

# CPU time of amtd while gateways come, each a tunnel with one channel, while they only refresh, and
# while they do so beside a flood: a share of one CPU then.
signalling_updates() {
	local pid=$signalling_shield_pid cpu updates now round
	cpu=$(cpu_ns "$pid")
	# shellcheck disable=SC2046
	$(where shield-foe) "$build/amt-load" gateways -r 10.2.2.1 -n $signalling_gateways -b 8192 \
		-S 10.2.4.2 -R 1 --start-rate 1000 --quiet 10.1.0.1,232.8.0.1 >/dev/null 2>&1 &
	signalling_load=$!
	wait_for 60 signalling_has $signalling_gateways || net_die "gateways do not come"
	signalling_join_ns=$((($(cpu_ns "$pid") - cpu) / signalling_gateways))
	sleep 2
	cpu=$(cpu_ns "$pid")
	updates=$(signalling_stat shield update_accepted)
	sleep 8
	now=$(signalling_stat shield update_accepted)
	signalling_update_ns=$((($(cpu_ns "$pid") - cpu) / (now - updates)))
	cpu=$(run_ns "$pid") now=$(date +%s%N)
	for ((round = 0; round < signalling_rounds; round++)); do
		signalling_flood shield 2
	done
	signalling_flood_share=$(jq -n "($(run_ns "$pid") - $cpu) / ($(date +%s%N) - $now)")
	kill -INT $signalling_load
	wait $signalling_load || true
}

signalling_has() { # signalling_has TUNNELS
	[ "$(instance=$net_id-shield ctl --json status | jq .tunnels)" -ge "$1" ]
}

# Gateways that join a running stream of 1,000 packets a second, 25 of them a second: few, so that
# what they receive keeps nobody busy.
signalling_joins() {
	local sender
	# shellcheck disable=SC2046
	$(where signalling-src) "$build/amt-load" send -I src0 -S 10.1.0.1 --quiet -g 232.8.0.2 -s 200 \
		-r 1600k -n 0 &
	sender=$!
	sleep 1 # it runs
	# shellcheck disable=SC2046
	$(where shield-foe) "$build/amt-load" gateways -r 10.2.2.1 -n 100 -b 262144 -S 10.2.4.2 \
		--start-rate 25 -d 6 --quiet --json 10.1.0.1,232.8.0.2 >"$net_dir/joins.json" || true
	kill -INT $sender
	wait $sender || true
}

section_signalling() {
	local round
	[ -x "$build/tests/e2e/flood" ] || net_die "tests/e2e/flood is missing"
	signalling_link bare 1
	signalling_relay shield 2 true calm
	signalling_shield_pid=$relay_pid
	# genuine gateways come by a ring that the flood does not fill
	net_link shield-foe calm0 shield calm
	net_addr shield calm 10.2.4.1/24
	net_addr shield-foe calm0 10.2.4.2/24
	ip -n "$net_id-shield-foe" route add 10.2.2.1 via 10.2.4.1
	signalling_relay plain 3 false
	signalling_plain_pid=$relay_pid
	net_add signalling-src
	net_link signalling-src src0 shield up0
	net_addr signalling-src src0 10.1.0.1/24
	net_addr shield up0 10.1.0.254/24
	# shellcheck disable=SC2046
	$(where bare) "$build/tests/e2e/flood" sink bare &
	disown
	signalling_threads bare
	for ((round = 0; round < signalling_rounds; round++)); do
		signalling_round
	done | jq -s 'def median(f): map(f) | sort | .[length / 2 | floor];
		{bare_ns: median(.bare), shield_ns: median(.shield), amtd_ns: median(.amtd),
		plain_ns: median(.plain)}' >"$net_dir/requests.json"
	signalling_joins
	signalling_updates
	jq --argjson join $signalling_join_ns --argjson update $signalling_update_ns \
		--argjson gateways $signalling_gateways --argjson share "$signalling_flood_share" \
		--slurpfile joins "$net_dir/joins.json" '. + {
			ratio: (.plain_ns / .shield_ns),
			ratio_without_driver: ((.plain_ns - .bare_ns) / (.shield_ns - .bare_ns)),
			update_ns: $update, join_ns: $join, gateways: $gateways,
			flood_share: $share, joined: $joins[0].established,
			first_packet_median_ns: $joins[0].data_median_ns,
			first_packet_p99_ns: $joins[0].data_p99_ns}' "$net_dir/requests.json" \
		>"$net_dir/signalling.json"
	signalling_print
	# shellcheck disable=SC2016 # jq's own variable
	result '.signalling = $new' "$net_dir/signalling.json"
}

signalling_print() {
	jq -r 'def rate: 1e6 / . | round | "\(.),000";
		def us: . / 10 | round | . / 100;
		def ms: . / 1e4 | round | . / 100;
		"Requests answered in a second of CPU time, all of the relay counted:",
		"  shield  \(.shield_ns | rate) (\(.shield_ns | us) us each, \(.bare_ns | us) of them the driver alone)",
		"  amtd    \(.plain_ns | rate) (\(.plain_ns | us) us each; amtd alone \(.amtd_ns | us) us, \(.amtd_ns | rate))",
		"  shield/amtd \(.ratio * 10 | round / 10), without the driver \(.ratio_without_driver * 10 | round / 10)",
		"Updates: \(.update_ns | us) us of amtd that change nothing, \(.join_ns | us) us with a new tunnel and its join",
		"amtd in a flood with the shield, beside \(.gateways) gateways that refresh each second: \(.flood_share * 1000 | round / 10) % of a CPU",
		"From join to first packet, \(.joined) gateways, 1,000 packets a second: \(.first_packet_median_ns | ms) ms in the median, 99 % in \(.first_packet_p99_ns | ms) ms"' \
		"$net_dir/signalling.json"
}
