#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Datagrams larger than a tunnel carries (R-87 to R-94): fragments inside, errors to sources, never
# a fragment outside. What gateways get is judged out of captures, reassembled by tshark.
# shellcheck disable=SC2317 # cases are called by their names
source "$(dirname "$0")/lib.sh"
topology

ssm4=232.1.1.1 asm4=239.1.1.1 ssm6=ff3e::8000:1 asm6=ff1e::1
payload=1400

mtu() { # mtu NAME IF OCTETS
	ip -n "$net_id-$1" link set dev "$2" mtu "$3"
}

# MTUs and routes are as at first, and senders may learn nothing from the case before.
restore() {
	mtu src src0 1500
	mtu relay up0 1500
	mtu relay down0 1500
	mtu gw gw0 1500
	ip -n "$net_id-relay" route flush proto static
	ip -n "$net_id-relay" -6 route flush proto static
	ip -n "$net_id-src" route flush cache
	ip -n "$net_id-src" -6 route flush cache
	sources_set_df 1
}

sources_set_df() { # sources_set_df 0|1: what senders' sockets do from now on
	on src sysctl -q -w net.ipv4.ip_no_pmtu_disc=$((1 - $1))
}

route_mtu() { # route_mtu GATEWAY OCTETS: that the route to a gateway has, less than the link
	local relay=$relay4 len=32
	[[ $1 != *:* ]] || relay=$relay6 len=128
	ip -n "$net_id-relay" route add "$1/$len" dev down0 src "$relay" mtu "$2" proto static
}

relay_of() { # relay_of 4|6
	if [ "$1" = 4 ]; then echo "$relay4"; else echo "$relay6"; fi
}

gateway() { # gateway 4|6 N: the address of the N-th
	if [ "$1" = 4 ]; then echo "10.2.1.$2"; else echo "2001:db8:2::1:$2"; fi
}

channel() { # channel GROUP: with a source in the SSM range
	case $1 in
	232.*) echo "$source4,$1" ;;
	ff3e:*) echo "$source6,$1" ;;
	*) echo "$1" ;;
	esac
}

# gateways NUMBER OUTER GROUP: each with an address of its own, and what reaches it captured
gateways() {
	local n options=()
	for ((n = 1; n <= $1; n++)); do
		options+=(-S "$(gateway "$2" "$n")")
		capture_start "c$n" gw gw0 "udp port 2268 and host $(gateway "$2" "$n")"
	done
	capture_start s src src0
	gateways_start g "$1" -n "$1" -r "$(relay_of "$2")" "${options[@]}" "$(channel "$3")"
	ip -n "$net_id-src" route flush cache
}

gateways_stop() { # gateways_stop NUMBER
	local n
	sleep 0.3
	gateways_signal g INT
	gateways_end g || true # fragments are nothing that it can judge
	for ((n = 1; n <= $1; n++)); do
		capture_stop "c$n"
	done
	capture_stop s
}

tunnel_mtu() { # tunnel_mtu GATEWAY OCTETS
	ctl --json tunnels "$1" | jq -e ".tunnels[0].mtu == $2" >/dev/null
}

mtu_is() { # mtu_is GATEWAY OCTETS
	wait_for 10 tunnel_mtu "$1" "$2" ||
		fail "the MTU of $1 is $(ctl --json tunnels "$1" | jq '.tunnels[0].mtu'), not $2"
}

contents() { # contents CAPTURE: of the stream's datagrams, reassembled
	capture_read "$1" -Y 'udp.dstport == 5001 && !icmp && !icmpv6' -T fields -E occurrence=l -e data.data | sort
}

whole() { # whole CAPTURE N: all that was sent is there, once, octet by octet
	contents s >"$net_dir/sent"
	contents "$1" >"$net_dir/got"
	expect "datagrams sent" "$(wc -l <"$net_dir/sent")" -eq "$2"
	cmp "$net_dir/sent" "$net_dir/got" || fail "$1: not what was sent: \
$(comm -23 "$net_dir/sent" "$net_dir/got" | wc -l) missing, \
$(comm -13 "$net_dir/sent" "$net_dir/got" | wc -l) others"
}

# Outer IPv4 with DF and no fragment, outer IPv6 without a fragment header (R-93, R-94).
outer_whole() { # outer_whole CAPTURE OUTER
	local bad
	if [ "$2" = 4 ]; then
		bad=$(capture_read "$1" -Y 'amt.type == 6' -T fields -E occurrence=f -e ip.flags.df \
			-e ip.flags.mf -e ip.frag_offset | sort -u)
		[ "$bad" = $'1\t0\t0' ] || fail "outer DF, MF, offset: $bad"
	else
		bad=$(capture_read "$1" -Y 'amt.type == 6' -T fields -E occurrence=f -e ipv6.nxt |
			sort -u)
		[ "$bad" = 17 ] || fail "outer next header: $bad"
	fi
	capture_judge "$1"
}

# The longest inner IPv4 datagram of Multicast Data
longest() { # longest CAPTURE
	capture_read "$1" -Y 'amt.type == 6' -T fields -E occurrence=l -e ip.len | sort -n | tail -n 1
}

data_messages() { # data_messages CAPTURE
	capture_count "$1" 'amt.type == 6'
}

errors() { # each error to the source: MTU, to whom, about a datagram to whom
	capture_read s -Y '(icmp.type == 3 && icmp.code == 4) || icmpv6.type == 2' -T fields \
		-e icmp.mtu -e icmpv6.mtu -e ip.dst -e ipv6.dst | xargs -r -n 2 | tr ',' ' '
}

has_counted() { # has_counted COUNTER NUMBER
	[ "$(stat "$1")" -ge "$2" ]
}

# ---- cases ----

fragmented() { # fragmented OUTER TMTU [CONF_LINE...]: IPv4 with DF=0 (R-90)
	local outer=$1 tmtu=$2
	shift 2
	mtu relay down0 1300
	relay_start "$(relay_conf "$@")"
	gateways 1 "$outer" "$ssm4"
	mtu_is "$(gateway "$outer" 1)" "$tmtu"
	sources_set_df 0
	send -g "$ssm4" -n 20 -s "$payload" -r 1M
	wait_for 10 has_counted fragmented 20 || fail "$(stat fragmented) of 20 are fragmented"
	gateways_stop 1
	whole c1 20
	expect "messages" "$(data_messages c1)" -eq 40
	expect "longest inner datagram" "$(longest c1)" -le "$tmtu"
	expect "errors" "$(errors | wc -l)" -eq 0
	outer_whole c1 "$outer"
	expect too_big "$(stat too_big)" -eq 20
	stats_zero icmp_too_big_sent event_lost send_failed xmit_drops
}

fragments_fragmented() { # a fragment that is too big is fragmented further
	mtu relay down0 1300
	relay_start "$(relay_conf)"
	gateways 1 4 "$ssm4"
	sources_set_df 0
	send -g "$ssm4" -n 10 -s 4000 -r 1M # 1480, 1480, 1048 octets
	wait_for 10 has_counted fragmented 20 || fail "$(stat fragmented) of 20 are fragmented"
	gateways_stop 1
	whole c1 10
	expect "messages" "$(data_messages c1)" -eq 50
	expect "longest inner datagram" "$(longest c1)" -le 1270
	outer_whole c1 4
}

# As large as the tunnel carries, to the octet, is no matter for the slow path.
exactly() { # exactly OUTER TMTU [CONF_LINE...]
	local outer=$1 tmtu=$2
	shift 2
	mtu relay down0 1300
	relay_start "$(relay_conf "$@")"
	gateways_start g 1 -r "$(relay_of "$outer")" -S "$(gateway "$outer" 1)" \
		"$(channel "$ssm4")" "$(channel "$ssm6")"
	mtu_is "$(gateway "$outer" 1)" "$tmtu"
	send -g "$ssm4" -n 20 -s $((tmtu - 28)) -r 1M
	send -g "$ssm6" -n 20 -s $((tmtu - 48)) -r 1M
	wait_for 10 has_counted copies_out 40 || fail "copies_out is $(stat copies_out)"
	datapath_clean
	stats_zero fragmented icmp_too_big_sent
	send -g "$ssm4" -n 1 -s $((tmtu - 27))
	wait_for 10 has_counted too_big 1 || fail "one octet more is not too big"
	send -g "$ssm6" -n 1 -s $((tmtu - 47))
	wait_for 10 has_counted too_big 2 || fail "one octet more is not too big (IPv6)"
	gateways_signal g INT
	gateways_good g
	expect "datagrams" "$(figure g .packets)" -eq 40
}

refused() { # refused OUTER TMTU GROUP ERROR [CONF_LINE...]: DF=1 or IPv6 (R-89, R-91)
	local outer=$1 tmtu=$2 group=$3 error=$4
	shift 4
	mtu relay down0 1300
	relay_start "$(relay_conf "$@")"
	gateways 1 "$outer" "$group"
	mtu_is "$(gateway "$outer" 1)" "$tmtu"
	send -g "$group" -n 1 -s "$payload"
	wait_for 10 has_counted too_big 1 || fail "too_big is $(stat too_big)"
	gateways_stop 1
	expect "messages" "$(data_messages c1)" -eq 0
	errors
	[ "$(errors)" = "$error" ] || fail "errors: '$(errors)', not '$error'"
	capture_judge s
	stats_zero fragmented send_failed
	expect icmp_too_big_sent "$(stat icmp_too_big_sent)" -eq "$([ -z "$error" ] && echo 0 || echo 1)"
}

# One group, one gateway that gets it whole, one by fragments, one by smaller ones.
mixed() { # mixed OUTER MTU2 MTU3 [CONF_LINE...]
	local outer=$1 mtu2=$2 mtu3=$3 header
	shift 3
	header=$([ "$outer" = 4 ] && echo 30 || echo 50)
	route_mtu "$(gateway "$outer" 2)" "$mtu2"
	route_mtu "$(gateway "$outer" 3)" "$mtu3"
	relay_start "$(relay_conf "$@")"
	gateways 3 "$outer" "$ssm4"
	mtu_is "$(gateway "$outer" 1)" $((1500 - header))
	mtu_is "$(gateway "$outer" 2)" $((mtu2 - header))
	mtu_is "$(gateway "$outer" 3)" $((mtu3 - header))
	sources_set_df 0
	send -g "$ssm4" -n 20 -s "$payload" -r 1M
	wait_for 10 has_counted fragmented 20 || fail "$(stat fragmented) of 20 are fragmented"
	gateways_stop 3
	whole c1 20
	whole c2 20
	whole c3 20
	expect "messages to the first" "$(data_messages c1)" -eq 20
	expect "messages to the second" "$(data_messages c2)" -eq 40
	expect "longest to the second" "$(longest c2)" -le $((mtu2 - header))
	expect "longest to the third" "$(longest c3)" -le $((mtu3 - header))
	outer_whole c2 "$outer"
}

# More of them than a turn of the loop has time for, and one that needs fragments.
many() {
	route_mtu 10.2.1.2 1400
	relay_start "$(relay_conf)"
	gateways_start few 1 -r "$relay4" -S 10.2.1.2 "$(channel "$ssm4")"
	gateways_start g 1101 -n 1100 -r "$relay4" -S 10.2.1.1 --start-rate 200 --expect 5 \
		"$(channel "$ssm4")"
	mtu_is 10.2.1.2 1370
	sources_set_df 0
	send -g "$ssm4" -n 5 -s "$payload" -r 1M
	wait_for 20 has_counted fragmented 5 || fail "$(stat fragmented) of 5 are fragmented"
	gateways_good g
	expect "datagrams" "$(figure g .packets)" -eq 5500
	gateways_signal few INT
	gateways_end few || true
	stats_zero event_lost send_failed
}

# The same with DF=1: who can have it gets it, the source hears of the smallest once (R-92).
mixed_refused() { # mixed_refused GROUP ERROR
	route_mtu 10.2.1.2 1350
	route_mtu 10.2.1.3 1310
	relay_start "$(relay_conf)"
	gateways 3 4 "$1"
	mtu_is 10.2.1.3 1280
	send -g "$1" -n 1 -s "$payload"
	wait_for 10 has_counted icmp_too_big_sent 1 || fail "no error is sent"
	gateways_stop 3
	whole c1 1
	expect "messages to the second" "$(data_messages c2)" -eq 0
	expect "messages to the third" "$(data_messages c3)" -eq 0
	[ "$(errors)" = "$2" ] || fail "errors: '$(errors)', not '$2'"
}

# Links and routes change their MTU while tunnels are there.
followed() {
	relay_start "$(relay_conf)"
	gateways_start g 2 -n 2 -r "$relay4" -r "$relay6" -S 10.2.1.1 -S 2001:db8:2::1:1 \
		"$(channel "$ssm4")"
	mtu_is 10.2.1.1 1470
	mtu_is 2001:db8:2::1:1 1450
	mtu relay down0 1400
	mtu_is 10.2.1.1 1370
	mtu_is 2001:db8:2::1:1 1350
	route_mtu 10.2.1.1 1300
	route_mtu 2001:db8:2::1:1 1290
	mtu_is 10.2.1.1 1270
	mtu_is 2001:db8:2::1:1 1240
	ctl --json groups | jq -e '.groups[0].mtu == 1240' || fail "not the group's smallest"
	ip -n "$net_id-relay" route flush proto static
	ip -n "$net_id-relay" -6 route flush proto static
	mtu relay down0 1500
	mtu_is 10.2.1.1 1470
	mtu_is 2001:db8:2::1:1 1450
	gateways_signal g INT
	gateways_end g || true
}

by_configuration() { # R-88: a fixed one
	relay_start "$(relay_conf 'tunnel-mtu = 1000')"
	gateways 1 4 "$ssm4"
	mtu_is 10.2.1.1 1000
	sources_set_df 0
	send -g "$ssm4" -n 5 -s "$payload" -r 1M
	wait_for 10 has_counted fragmented 5 || fail "$(stat fragmented) of 5 are fragmented"
	gateways_stop 1
	whole c1 5
	expect "longest inner datagram" "$(longest c1)" -le 1000
}

jumbo() { # jumbo MTU PATH: what is larger than a page goes by TC
	# other groups: the source may remember what it was told of those before
	mtu src src0 "$1"
	mtu relay up0 "$1"
	mtu gw gw0 "$1"
	mtu relay down0 "$1"
	relay_start "$(relay_conf)"
	gateways_start g 4 -n 4 -r "$relay4" -r "$relay6" -S 10.2.1.1 -S 10.2.1.2 \
		-S 2001:db8:2::1:1 -S 2001:db8:2::1:2 --expect 100 "$(channel 232.1.1.9)" \
		"$(channel ff3e::8000:9)"
	ctl --json groups | jq -e "all(.groups[]; .path | test(\"$2\"))" ||
		fail "paths: $(ctl --json groups | jq -c '[.groups[] | [.path, .why]]')"
	send -g 232.1.1.9 -g ff3e::8000:9 -n 100 -s $(($1 - 100)) -r 5M
	gateways_good g
	datapath_clean
}

mtu_case() {
	run_case "$@"
	restore
}

restore
for mode in xdp tc; do
	mtu_case "$mode: DF=0 is fragmented inside" fragmented 4 1270 "mode = $mode"
	mtu_case "$mode: to the octet" exactly 4 1270 "mode = $mode"
	mtu_case "$mode: DF=1, SSM: the source is told" refused 4 1270 "$ssm4" \
		"1270 $source4 $ssm4" "mode = $mode"
	mtu_case "$mode: IPv6, SSM: the source is told" refused 6 1250 "$ssm6" \
		"1250 $source6 $ssm6" "mode = $mode"
	mtu_case "$mode: several MTUs in one group" mixed 4 1400 700 "mode = $mode"
done
mtu_case "DF=0 is fragmented inside, over IPv6" fragmented 6 1250
mtu_case "fragments are fragmented further" fragments_fragmented
mtu_case "to the octet, over IPv6" exactly 6 1250
mtu_case "DF=1, ASM: nobody is told" refused 4 1270 "$asm4" ""
mtu_case "IPv6, ASM: nobody is told" refused 4 1270 "$asm6" ""
mtu_case "several MTUs in one group over IPv6" mixed 6 1400 1290
mtu_case "several MTUs in a large group" many
mtu_case "several MTUs, DF=1: one error" mixed_refused "$ssm4" "1280 $source4 $ssm4"
mtu_case "several MTUs, IPv6: one error" mixed_refused "$ssm6" "1280 $source6 $ssm6"
mtu_case "links and routes change their MTU" followed
mtu_case "a fixed MTU" by_configuration
mtu_case "jumbo within a page" jumbo 3400 '^xdp'
mtu_case "jumbo" jumbo 9000 '^tc$'
finish
