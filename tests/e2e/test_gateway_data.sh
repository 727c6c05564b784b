#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What a gateway does with data, over real interfaces and by both packet paths: forged streams,
# fragments, ECN, MTU, checksums, groups that were left, and everything that is not AMT.
# shellcheck disable=SC2046,SC2086,SC2119,SC2317 # words of our own, without blanks; cases are called by name
source "$(dirname "$0")/lib_gateway.sh"
[ -x "$build/tests/e2e/forge" ] || net_die "forge is missing; run make tests"
beside_relay

counted() { # counted COUNTER N: so many, or soon
	wait_for 20 counter_is "$1" "$2" || fail "$1 is $(gateway_stat "$1"), not $2"
}

counter_is() {
	[ "$(gateway_stat "$1")" -eq "$2" ]
}

# A relay, and a gateway of it. pair_up MODE OUTER [LINE...]: LINEs of the gateway's section
pair_up() {
	relay_start "$(relay_conf)"
	gateway_beside "$@"
	wait_for 20 gateway_is '.state == "up"' || fail "the relay does not answer: $(gctl status)"
	instance=$net_id
}

listen_both() { # listen_both NAME OPTION...: to both streams, which the relay forwards then
	listener_start "$@" "${channels[@]}"
	wait_for 20 status_is '.channels >= 2' || fail "not joined at the relay: $(ctl groups)"
}

# What came out of amt0, all headers right: the payloads' text. heard NAME [FIELD...]
heard() {
	local name=$1
	shift
	capture_read "$name" -Y 'udp.dstport == 5001' -T fields "$@" -e data.data
}

# ---- cases ----

# The stream comes whole, once, and nothing of the other two.
forged() { # forged MODE OUTER
	local other=$other4 sender
	[ "$2" = 4 ] || other=$other6
	pair_up "$1" "$2"
	listen_both film --expect 600
	send -g $ssm4 -g $ssm6 -n 600 -s 500 -r 2M &
	sender=$!
	forge_from "$other" "$2" 4 payload=forged send=500
	forge_from "$other" "$2" 6 payload=forged check=right send=500
	forge "$2" 4 port=2269 payload=forged send=500
	forge "$2" 6 port=$port payload=forged check=right send=500
	wait $sender
	listener_good film
	counted decap_foreign 2000
	expect decap_packets "$(gateway_stat decap_packets)" -eq 1200
}

# Datagrams in fragments, of the source and of the relay's own making.
fragments() { # fragments MODE
	pair_up "$1" 4
	listen_both large --expect 50
	on src sysctl -q -w net.ipv4.ip_no_pmtu_disc=1 # DF=0
	send -g $ssm4 -n 50 -s 4000 -r 2M
	ip -n "$net_id-src" link set dev src0 mtu 1400 # IPv6: only the source does it
	send -g $ssm6 -n 50 -s 4000 -r 2M
	ip -n "$net_id-src" link set dev src0 mtu 1500
	on src sysctl -q -w net.ipv4.ip_no_pmtu_disc=0
	listener_good large
	expect decap_packets "$(gateway_stat decap_packets)" -ge 300
	expect decap_malformed "$(gateway_stat decap_malformed)" -eq 0
}

# RFC 6040 4.2, Figure 4: "INNER OUTER RESULT", by codepoint. Inner 0 with outer 3 is dropped.
ecn_table='0 0 0
0 1 0
0 2 0
1 0 1
1 1 1
1 2 1
1 3 3
2 0 2
2 1 1
2 2 2
2 3 3
3 0 3
3 1 3
3 2 3
3 3 3'

# What came out, in the same form. An IPv4 datagram with a wrong header checksum is missing.
ecn_heard() { # ecn_heard CAPTURE
	heard "$1" -e ip.dsfield.ecn -e ipv6.tclass.ecn -e ip.checksum.status |
		awk '{ if ($2 == 1) print $1, $3; else if ($2 != 0) print $1, $2 }' |
		while read -r ecn hex; do
			printf '%b %s\n' "\\x${hex:0:2}\\x${hex:2:2}\\x${hex:4:2}" "$ecn"
		done | sort -u
}

ecn() { # ecn MODE OUTER
	local of drops=0 suspicious=0
	pair_up "$1" "$2"
	listen_both film
	for of in 4 6; do
		capture_start ecn gw amt0 'udp port 5001'
		forge "$2" $of tos=$((0x48)) inner-tos=$((0xb8)) ecn
		drops=$((drops + 1)) suspicious=$((suspicious + 5))
		counted decap_packets $((drops * 15))
		capture_stop ecn
		[ "$(ecn_heard ecn)" = "$ecn_table" ] ||
			fail "IPv$of over IPv$2: $(diff <(echo "$ecn_table") <(ecn_heard ecn))"
		[ "$(heard ecn -e ip.dsfield.dscp -e ipv6.tclass.dscp | awk '{ print $1 }' |
			sort -u)" = 46 ] || fail "the inner DSCP is touched"
		# the same by way of the socket: too large for one outer packet
		capture_start ecn gw amt0 'udp port 5001'
		forge "$2" $of size=$((of == 4 ? 1460 : 1440)) tos=$((0x48)) inner-tos=$((0xb8)) ecn
		counted gateway_data_at_socket $((drops * 16))
		counted gateway_data_refused $drops
		capture_stop ecn
		[ "$(ecn_heard ecn)" = "$ecn_table" ] ||
			fail "at the socket: $(diff <(echo "$ecn_table") <(ecn_heard ecn))"
	done
	counted decap_ecn_dropped $drops
	counted decap_ecn_suspicious $suspicious
	listener_stop film
}

# A relay that was not asked for ECN leaves nothing of meaning there.
ecn_off() { # ecn_off MODE
	pair_up "$1" 4 'ecn = no'
	listen_both film
	capture_start ecn gw amt0 'udp port 5001'
	forge 4 4 ecn
	counted decap_packets 16
	capture_stop ecn
	[ -z "$(ecn_heard ecn | awk '$1 != $3')" ] || fail "changed: $(ecn_heard ecn)"
	counted decap_ecn_suspicious 0
	listener_stop film
}

# As large as the tunnel carries arrives; one octet more is the relay's to refuse (R-89, R-91); and
# what nobody should send is refused here.
mtu() { # mtu MODE OUTER TUNNEL_MTU
	local tmtu=$3
	pair_up "$1" "$2"
	expect "the MTU of amt0" "$(ip -n "$net_id-gw" -j link show amt0 | jq '.[0].mtu')" -eq 1500
	listen_both full --expect 20
	ip -n "$net_id-src" route flush cache
	ip -n "$net_id-src" -6 route flush cache
	send -g $ssm4 -n 20 -s $((tmtu - 28)) -r 1M
	send -g $ssm6 -n 20 -s $((tmtu - 48)) -r 1M
	listener_good full
	expect too_big "$(stat too_big)" -eq 0
	listen_both more
	send -g $ssm4 -n 1 -s $((tmtu - 27))
	wait_for 20 has_counted too_big 1 || fail "one octet more is not too big"
	ip -n "$net_id-src" route flush cache
	send -g $ssm6 -n 1 -s $((tmtu - 47))
	wait_for 20 has_counted too_big 2 || fail "one octet more is not too big (IPv6)"
	expect icmp_too_big_sent "$(stat icmp_too_big_sent)" -eq 2
	expect decap_packets "$(gateway_stat decap_packets)" -eq 40
	listener_stop more
	expect "datagrams of one octet more" "$(figure more .packets)" -eq 0
}

has_counted() { # has_counted COUNTER NUMBER
	[ "$(stat "$1")" -ge "$2" ]
}

# Zero is right (R-08); the packet path looks at none, the kernel at those that it leaves to it.
checksums() { # checksums MODE OUTER
	pair_up "$1" "$2"
	listen_both film
	capture_start sums gw amt0 'udp port 5001'
	forge "$2" 4 check=zero payload=zero send check=right payload=right send check=wrong \
		payload=wrong send
	counted decap_packets 3
	forge "$2" 6 size=1430 check=zero payload=ZERO send check=right payload=RIGHT send \
		check=wrong payload=WRONG send
	counted gateway_data_at_socket 2
	capture_stop sums
	expect gateway_data_refused "$(gateway_stat gateway_data_refused)" -eq 0
	heard sums | cut -c 1-8 | sort >"$net_dir/sums"
	# zero, wrong, right; ZERO, RIGH
	[ "$(xargs <"$net_dir/sums")" = '5249474 5a45524f 7a65726f' ] ||
		[ "$(sort <"$net_dir/sums" | xargs)" = '52494748 5a45524f 72696768 77726f6e 7a65726f' ] ||
		fail "heard: $(xargs <"$net_dir/sums")"
	listener_stop film
}

# R-98: what is still on its way after a leave, and what was never joined.
unwanted() { # unwanted MODE
	pair_up "$1" 4
	listen_both film
	forge 4 4 send=10
	counted decap_packets 10
	listener_stop film
	wait_for 20 gateway_is '.groups == 0' || fail "still joined: $(gctl groups)"
	capture_start stale gw amt0 'udp port 5001'
	forge 4 4 send=10
	forge 4 6 send=10
	forge 4 4 source=10.1.0.99 send=5 # nor of another source
	forge 4 4 group=239.9.9.9 send=5
	forge 4 4 size=1460 send=4 # at the socket
	counted decap_unwanted 30
	counted gateway_data_refused 4
	capture_stop stale
	expect "packets on amt0" "$(heard stale | wc -l)" -eq 0
	expect decap_packets "$(gateway_stat decap_packets)" -eq 10
}

# ---- what is not AMT ----

# Bulk over TCP, by packets as large as the host makes them.
tcp_whole() { # tcp_whole OUTER
	head -c 3000000 /dev/urandom >"$net_dir/bulk"
	$(where gw) socat -u "TCP6-LISTEN:7001,ipv6only=0,reuseaddr" "CREATE:$net_dir/bulk.got" &
	wait_for 20 on gw sh -c 'ss -Htln | grep -q :7001'
	on relay socat -u "OPEN:$net_dir/bulk" "TCP$1:[$(endpoint "$1")]:7001"
	wait_for 20 cmp "$net_dir/bulk" "$net_dir/bulk.got" || fail "TCP over IPv$1 is damaged"
	rm -f "$net_dir/bulk.got"
}

# UDP to another port, which is otherwise like Multicast Data of the relay; OCTETS of payload in all.
# udp_whole OUTER OCTETS STEP...
udp_whole() {
	local receiver outer=$1 octets=$2
	shift 2
	rm -f "$net_dir/udp.got"
	$(where gw) socat -u -b 65535 "UDP$outer-RECV:7002,rcvbuf=8000000" \
		"CREATE:$net_dir/udp.got" &
	receiver=$!
	wait_for 20 on gw sh -c 'ss -Huln | grep -q :7002'
	on relay "$build/tests/e2e/forge" "$(endpoint "$outer")" 7002 "$(outer_relay "$outer")" $(inner 4) \
		check=right "$@"
	wait_for 20 udp_arrived "$octets" ||
		fail "UDP over IPv$outer: $(stat_size "$net_dir/udp.got") octets of $octets"
	kill "$receiver" 2>/dev/null || true
	wait "$receiver" || true
}

stat_size() {
	wc -c <"$1" 2>/dev/null || echo 0
}

udp_arrived() {
	[ "$(stat_size "$net_dir/udp.got")" -eq "$1" ]
}

untouched() { # untouched MODE
	pair_up "$1" 4
	tcp_whole 4
	tcp_whole 6
	udp_whole 4 $((1471 * 1472 / 2)) size=1442 lengths # headers of 28 and 2 octets, and the rest
	udp_whole 6 $((1451 * 1452 / 2)) size=1422 lengths
	udp_whole 4 $((100 * 8030)) size=8000 send=100 # in outer fragments
	gctl --json stats | jq -e '[.counters | to_entries[] | select(.key | startswith("decap_")) |
		.value] | add == 0' || fail "$(gctl stats --nonzero)"
	gateway_is '.state == "up"'
}

# Frames as large as an Ethernet has them, and TCP's packets of many times that, which the link
# gets in one piece.
jumbo() { # jumbo MODE MTU
	local mode=$1
	for name in relay:down0 gw:gw0; do
		ip -n "$net_id-${name%:*}" link set dev "${name#*:}" mtu "$2"
		on "${name%:*}" ethtool -K "${name#*:}" tx on tso on gso on >/dev/null
	done
	pair_up "$mode" 4
	tcp_whole 4
	tcp_whole 6
	udp_whole 4 $((100 * ($2 - 28))) size=$(($2 - 58)) send=100
	gctl --json stats | jq -e '[.counters | to_entries[] | select(.key | startswith("decap_")) |
		.value] | add == 0' || fail "$(gctl stats --nonzero)"
	# and data of that size is for amt0, whose MTU follows
	listen_both large --expect 20
	forge_stream "$2"
	listener_stop large
}

jumbo_case() {
	run_case "$@"
	for name in relay:down0 gw:gw0; do
		ip -n "$net_id-${name%:*}" link set dev "${name#*:}" mtu 1500
		on "${name%:*}" ethtool -K "${name#*:}" tx off tso off gso on gro on >/dev/null
	done
}

forge_stream() { # forge_stream MTU: some datagrams as large as they get
	forge 4 4 size=$(($1 - 60)) send=20
	counted decap_packets 20
}

for mode in xdp tc; do
	for outer in 4 6; do
		run_case "$mode, over IPv$outer: a forged stream beside the true one" forged $mode $outer
		run_case "$mode, over IPv$outer: ECN, every row" ecn $mode $outer
		run_case "$mode, over IPv$outer: checksums" checksums $mode $outer
	done
	run_case "$mode: ECN that was not asked for" ecn_off $mode
	run_case "$mode: fragments inside" fragments $mode
	run_case "$mode: groups left and never joined" unwanted $mode
	run_case "$mode: what is not AMT" untouched $mode
done
run_case "to the octet" mtu auto 4 1470
run_case "to the octet, over IPv6" mtu auto 6 1450
jumbo_case "jumbo frames" jumbo auto 9000
finish
