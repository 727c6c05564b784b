#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The Linux kernel's own AMT driver as gateway, an implementation that is not ours, with our relay.
# AMT_DRIVER is its module, as `scripts/vm module` builds it. Its quirks are tested by their numbers.
source "$(dirname "$0")/../e2e/lib.sh"

if [ -z "${AMT_DRIVER:-}" ]; then
	echo "skip the kernel's AMT driver: there is no module of it for this kernel"
	exit 77
fi
# modules that are loaded by name only, where the modules' aliases are not read
modprobe -a nf_tables nft_chain_nat nft_masq nf_nat 2>/dev/null || true
modprobe -a udp_tunnel ip6_udp_tunnel
insmod "$AMT_DRIVER"
topology

# kernel_gateway NAME IF LOCAL: a gateway device amt0, with its first Query of each family taken
kernel_gateway() {
	ip -n "$net_id-$1" link add amt0 type amt mode gateway local "$3" dev "$2" \
		discovery "$relay4" relay_port 2268 gateway_port 2268
	ip -n "$net_id-$1" addr add 172.16.0.1/24 dev amt0
	ip -n "$net_id-$1" link set dev amt0 up
	ip -n "$net_id-$1" route add default dev amt0 2>/dev/null || true
	ip -n "$net_id-$1" -6 route add default dev amt0 2>/dev/null || true
	ip -n "$net_id-$1" addr show dev amt0
}

gateway_begin() { # relay and kernel gateway of a case
	trap 'ip -n "$net_id-gw" link del amt0 2>/dev/null || true' EXIT
	relay_start "$(relay_conf 'query-interval = 10' 'query-response-interval = 2')"
	kernel_gateway gw gw0 10.2.1.1
}

# join NAME NAMESPACE OPTION... CHANNEL: a receiver on amt0, joined as the relay sees it
join() {
	local name=$1 namespace=$2 group=${!#}
	shift 2
	rm -f "$net_dir/$name.ready"
	# shellcheck disable=SC2046
	$(where "$namespace") "$build/amt-load" receive -I amt0 --json --list \
		--ready "$net_dir/$name.ready" "$@" \
		>"$net_dir/$name.json" 2>"$net_dir/$name.err" &
	echo $! >"$net_dir/$name.pid"
	wait_for 10 test -e "$net_dir/$name.ready" || fail "$name: $(cat "$net_dir/$name.err")"
	wait_for 60 has_members "${group#*,}" "${MEMBERS:-1}" ||
		fail "the relay has no member of ${group#*,}: $(ctl stats --nonzero)"
}

has_members() { # has_members GROUP N
	ctl --json groups "$1" | jq -e ".groups[0].members == $2"
}

no_groups() {
	ctl --json groups | jq -e '.groups | length == 0'
}

channel() { # channel 4|6
	if [ "$1" = 4 ]; then echo "$source4,232.1.1.1"; else echo "$source6,ff3e::8000:1"; fi
}

file_through() { # file_through FAMILY: joins, compares octet by octet, leaves
	local there
	there=$(channel "$1")
	join r gw --in-order --complete --compare "$net_dir/file" --output "$net_dir/out" "$there"
	send -g "${there#*,}" -s 1200 -r 2M "$net_dir/file"
	gateways_good r
	cmp "$net_dir/file" "$net_dir/out" || fail "the file is another one"
	wait_for 60 no_groups || fail "no leave: $(ctl groups)"
}

# Join, data, leave, join again.
stream() { # stream FAMILY
	gateway_begin
	head -c 100001 /dev/urandom >"$net_dir/file"
	file_through "$1"
	file_through "$1"
	datapath_clean
}

# The device goes down and comes up again.
gateway_restart() {
	gateway_begin
	head -c 50001 /dev/urandom >"$net_dir/file"
	file_through 4
	ip -n "$net_id-gw" link del amt0
	kernel_gateway gw gw0 10.2.1.1
	file_through 4
}

# amtd is killed and adopted while the stream flows.
relay_restart() {
	local sender
	gateway_begin
	join r gw --in-order --expect 200 "$(channel 4)"
	send -g 232.1.1.1 -n 200 -r 200k -s 1200 &
	sender=$!
	kill -KILL "$relay_pid"
	wait "$relay_pid" || true
	relay_start "$(relay_conf 'query-interval = 10' 'query-response-interval = 2')"
	wait "$sender"
	gateways_good r
}

# Three kernel gateways that share one address towards the relay.
nat() {
	local n
	relay_start "$(relay_conf)"
	on gw sysctl -q -w net.ipv4.ip_forward=1
	on gw nft 'table ip amt { chain post { type nat hook postrouting priority 100;
		oifname "gw0" snat to 10.2.1.1 } }' || skip "no NAT in this kernel"
	for n in 1 2 3; do
		net_add "k$n"
		net_link gw "in$n" "k$n" eth0
		net_addr gw "in$n" "10.9.$n.1/24"
		net_addr "k$n" eth0 "10.9.$n.2/24"
		ip -n "$net_id-k$n" route add 10.2.0.0/16 via "10.9.$n.1"
		kernel_gateway "k$n" eth0 "10.9.$n.2"
	done
	for n in 1 2 3; do
		MEMBERS=$n join "r$n" "k$n" --in-order --expect 60 "$(channel 4)"
	done
	expect "addresses" "$(ctl --json tunnels | jq '[.tunnels[].gateway] | unique | length')" -eq 1
	expect "tunnels" "$(ctl --json tunnels | jq '.tunnels | length')" -eq 3
	send -g 232.1.1.1 -n 60 -s 1200 -r 1M
	for n in 1 2 3; do
		gateways_good "r$n"
	done
}

# ---- one session with both families, recorded; each quirk is judged by the capture ----

session() {
	capture_start c gw gw0 'udp port 2268'
	gateway_begin
	join r4 gw --in-order --expect 40 "$(channel 4)"
	join r6 gw --in-order --expect 40 "$(channel 6)"
	send -g 232.1.1.1 -g ff3e::8000:1 -n 40 -s 1200 -r 500k
	gateways_good r4
	gateways_good r6
	ctl --json stats | jq .counters >"$net_dir/session.stats"
	capture_stop c
	capture_judge c
	cp "$net_dir/c.pcapng" "$net_dir/session.pcapng"
}

recorded() { # recorded FILTER FIELD...: of the session
	local filter=$1 field fields=()
	shift
	for field in "$@"; do fields+=(-e "$field"); done
	capture_read session -Y "$filter" -T fields "${fields[@]}"
}

q5() { # Requests of both families with one nonce, one MAC for both
	local nonces
	[ -s "$net_dir/session.stats" ] || fail "there is no session"
	nonces=$(recorded 'amt.type == 3' amt.request_nonce | sort -u | wc -l)
	expect "Requests for each nonce" "$(recorded 'amt.type == 3' frame.number | wc -l)" \
		-ge $((2 * nonces))
	expect "MACs refused" "$(jq '.bad_mac' "$net_dir/session.stats")" -eq 0
}

q6() { # frequent Requests are no flood
	[ -s "$net_dir/session.stats" ] || fail "there is no session"
	expect "Requests refused" "$(jq .request_rate_limited "$net_dir/session.stats")" -eq 0
}

q7() { # router alert exactly as it wants it
	local lengths
	lengths=$(recorded 'amt.type == 4 && igmp' ip.hdr_len | sort -u)
	[ "$lengths" = 20,24 ] || fail "IP header lengths of IGMP Queries: $lengths"
	expect "MLD Queries with hop-by-hop options of another length" \
		"$(recorded 'amt.type == 4 && icmpv6 && ipv6.hopopts.len_oct != 8' frame.number | wc -l)" -eq 0
}

q8() { # a link-local source, or the host's stack does not take the MLD Query
	local sources
	sources=$(recorded 'amt.type == 4 && icmpv6.type == 130' ipv6.src | sort -u)
	[[ $sources == fe80:* ]] || fail "MLD Queries come from $sources"
}

q11() { # reserved bits of Advertisements are zero
	local octets
	octets=$(recorded 'amt.type == 2' udp.payload | cut -c3-8 | sort -u)
	[ "$octets" = 000000 ] || fail "octets 1 to 3 of Advertisements: $octets"
}

q13() { # its P is 0x80
	local octets
	octets=$(recorded 'amt.type == 3' udp.payload | cut -c3-4 | sort -u | paste -sd ' ')
	[ "$octets" = "00 80" ] || fail "octet 1 of Requests: $octets"
	expect request_linux_p "$(jq .request_linux_p "$net_dir/session.stats")" -gt 0
	recorded 'amt.type == 4 && icmpv6.type == 130' frame.number | grep -q . ||
		fail "no MLD Query was sent"
}

q14() { # no G, no L for a gateway that did not set E
	local octets
	octets=$(recorded 'amt.type == 4' udp.payload | cut -c3-4 | sort -u)
	[ "$octets" = 00 ] || fail "octet 1 of Queries: $octets"
}

for family in 4 6; do
	run_case "kernel gateway: IPv$family group: join, data, leave, join again" stream $family
done
run_case "kernel gateway: restart of the gateway" gateway_restart
run_case "kernel gateway: restart of the relay" relay_restart
run_case "kernel gateway: both families in one tunnel, tshark finds nothing wrong" session
run_case "Q-5: one nonce for both families" q5
run_case "Q-6: a Request every 2 s" q6
run_case "Q-7: router alert" q7
run_case "Q-8: MLD Query from a link-local address" q8
run_case "Q-11: reserved bits" q11
run_case "Q-13: P at 0x80" q13
run_case "Q-14: neither L nor G" q14
run_case "kernel gateways: three behind one NAT address" nat
kernel_relay() {
	skip "our gateway is not there yet"
}
run_case "kernel relay with our gateway, Q-15" kernel_relay
finish
