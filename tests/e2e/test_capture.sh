#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Whole sessions as they are on the wire, judged by tshark: signalling field by field, the headers of
# each copy, fragments. Both outer and both inner families, gateways with and without E.
# shellcheck disable=SC2016,SC2086 # awk programs; words of our own, without blanks
source "$(dirname "$0")/lib.sh"
topology

group4=232.1.1.1 group6=ff3e::8000:1
n=5 # packets of each kind

gateway() { # gateway e|p 4|6: address of the one with E, or the plain one
	local last=1
	[ "$1" = e ] || last=2
	if [ "$2" = 4 ]; then echo 10.2.1.$last; else echo 2001:db8:2::1:$last; fi
}

gateways_both() { # gateways_both NAME TUNNELS e|p OPTION...: one over IPv4, one over IPv6
	gateways_start "$1" "$2" -r "$relay4" -r "$relay6" -n 2 -S "$(gateway "$3" 4)" \
		-S "$(gateway "$3" 6)" "${@:4}" $source4,$group4 $source6,$group6
}

send_kinds() { # n packets each: TOS and TTL
	local tos ttl
	while read -r tos ttl; do
		send -g $group4 -g $group6 -n $n -s 300 -r 1M -T "$tos" -t "$ttl"
	done <<-END
		0 16
		0xb9 9
		0x03 2
		0x28 255
		0 1
	END
}

# ---- one line a copy ----

# Fields of all copies; each may have an outer and an inner value.
copies_read() {
	capture_read c -Y 'amt.type == 6' -T fields -E separator='|' -e ip.dst -e ipv6.dst \
		-e ip.dsfield -e ip.ttl -e ipv6.tclass -e ipv6.hlim -e ip.id -e ip.flags.df \
		-e ip.flags.mf -e ip.hdr_len -e udp.srcport -e udp.checksum \
		-e udp.checksum.status -e ipv6.flow >"$net_dir/copies"
}

# copies GATEWAY OUTER INNER AWK_EXPRESSION: its values, with how often each came. Known to the
# expression: outer and inner (TOS and TTL of each), first(FIELD)
copies() {
	awk -F'|' -v gateway="$1" -v outer="$2" -v inner="$3" '
		function first(s, a) { split(s, a, ","); return a[1] }
		function last(s, a) { return a[split(s, a, ",")] }
		function octet(s) { return substr(s, length(s) - 1) }
		function group() { return inner == 4 ? last($1) : last($2) }
		first(outer == 4 ? $1 : $2) != gateway { next }
		group() !~ (inner == 4 ? "^232" : "^ff3e") { next }
		{
			before = octet(first(outer == 4 ? $3 : $5)) " " first(outer == 4 ? $4 : $6)
			after = octet(last(inner == 4 ? $3 : $5)) " " last(inner == 4 ? $4 : $6)
			print '"$4"'
		}' "$net_dir/copies" | sort | uniq -c | sed 's/^ *//'
}

same() { # same WHAT GOT WANTED
	[ "$2" = "$3" ] || fail "$1: $2 instead of $3"
}

# R-94, R-95, R-103, R-108: outer DSCP is the inner one, ECN too with E and else not; TTLs
judge_tos_and_ttl() { # judge_tos_and_ttl e|p OUTER INNER
	local wanted
	if [ "$1" = e ]; then
		wanted=$(printf '%s\n' "$n 00 64 00 15" "$n 03 64 03 1" "$n 28 64 28 254" \
			"$n b9 64 b9 8")
	else
		wanted=$(printf '%s\n' "$n 00 64 00 15" "$n 00 64 03 1" "$n 28 64 28 254" \
			"$n b8 64 b9 8")
	fi
	same "TOS and TTL, IPv$3 over IPv$2, gateway $1" \
		"$(copies "$(gateway "$1" "$2")" "$2" "$3" 'before " " after')" "$wanted"
}

# The outer header's other fields: id 0, DF, no fragment, no options, the relay's port (R-86, R-93)
judge_outer() { # judge_outer e|p OUTER INNER SUM: SUM is awk's for a right outer UDP checksum
	local all=$((4 * n)) address
	address=$(gateway "$1" "$2")
	if [ "$2" = 4 ]; then
		same "outer IPv4 header" "$(copies "$address" 4 "$3" \
			'first($7) " " first($8) " " first($9) " " first($10)')" "$all 0x0000 1 0 20"
	else
		same "outer flow label" "$(copies "$address" 6 "$3" 'first($14)')" "$all 0x000000"
	fi
	same "outer source port and UDP checksum" \
		"$(copies "$address" "$2" "$3" 'first($11) " " ('"$4"')')" "$all 2268 1"
}

# ---- signalling ----

# Nonces and MACs come back to whom they belong, in the order of the messages.
judge_echoes() {
	local wrong
	wrong=$(capture_read c -Y 'amt && amt.type != 6' -T fields -E separator='|' -e amt.type \
		-e udp.srcport -e udp.dstport -e amt.discovery_nonce -e amt.request_nonce \
		-e amt.response_mac -e amt.gateway.port_number | awk -F'|' '
		{ seen[$1]++ }
		$1 == 1 { discovery[$2] = $4 }
		$1 == 2 && discovery[$3] != $4 { print "nonce of an Advertisement:", $0 }
		$1 == 3 { asked[$2, $5] = 1 }
		$1 == 4 && !(($3, $5) in asked) { print "nonce of a Query:", $0 }
		$1 == 4 { mac[$3, $5] = $6; if (macs[$6]++) print "MAC twice:", $0 }
		$1 == 4 && $7 != "" && $7 != $3 { print "gateway port of a Query:", $0 }
		$1 ~ /[57]/ && mac[$2, $5] != $6 { print "MAC of an Update or Teardown:", $0 }
		END {
			for (type = 1; type <= 7; type++)
				if (type != 6 && seen[type] < 2)
					print "only", seen[type] + 0, "messages of type", type
		}')
	[ -z "$wrong" ] || fail "$wrong"
}

fields() { # fields FILTER first|last FIELD...: distinct lines of them
	local filter=$1 which=$2 field list=()
	shift 2
	for field in "$@"; do
		list+=(-e "$field")
	done
	capture_read c -Y "$filter" -T fields -E separator=' ' -E occurrence=${which:0:1} \
		"${list[@]}" | sort -u
}

judge_signalling() {
	local from='(ip.src == 10.2.0.1 || ipv6.src == 2001:db8:2::1)' family
	judge_echoes
	same "Advertisement over IPv4" "$(fields 'amt.type == 2 && ip' first ip.src udp.srcport \
		udp.length amt.relay_address.ipv4)" "10.2.0.1 2268 20 10.2.0.1"
	same "Advertisement over IPv6" "$(fields 'amt.type == 2 && ipv6' first ipv6.src \
		udp.srcport udp.length amt.relay_address.ipv6)" "$relay6 2268 32 $relay6"
	# R-48 .. R-56: as configured, in whatever it is carried
	same "IGMP query" "$(fields 'amt.type == 4 && igmp' last igmp.type igmp.max_resp igmp.s \
		igmp.qrv igmp.qqic igmp.num_src igmp.maddr ip.src ip.dst ip.ttl ip.dsfield \
		ip.hdr_len ip.opt.ra)" "0x11 1 0 3 77 0 0.0.0.0 0.0.0.0 224.0.0.1 1 0xc0 24 0"
	same "MLD query" "$(fields 'amt.type == 4 && icmpv6' last icmpv6.type \
		icmpv6.mld.maximum_response_code icmpv6.mld.flag.s icmpv6.mld.flag.qrv \
		icmpv6.mld.qqi icmpv6.mld.nb_sources icmpv6.mld.multicast_address ipv6.src \
		ipv6.dst ipv6.hlim ipv6.opt.router_alert)" \
		"130 1 0 3 77 0 :: fe80::1 ff02::1 1 0"
	# without G 48 and 88 octets, with it 66 and 106 (RFC 7450 5.1.4), and UDP's 8
	for family in ip ipv6; do
		local e p
		e=$(gateway e "$([ $family = ip ] && echo 4 || echo 6)")
		p=$(gateway p "$([ $family = ip ] && echo 4 || echo 6)")
		same "Queries with G over $family" "$(fields "amt.type == 4 && $family.dst == $e" \
			first udp.length amt.membership_query.g amt.membership_query.l \
			amt.gateway.ip_address)" "$(printf '%s\n' "114 1 0 ${e/#10/::10}" \
				"74 1 0 ${e/#10/::10}")"
		same "Queries without G over $family" "$(fields \
			"amt.type == 4 && $family.dst == $p" first udp.length \
			amt.membership_query.g amt.membership_query.l)" "$(printf '%s\n' "56 0 0" \
				"96 0 0")"
	done
	# R-01, R-02, R-06
	expect "wrong version, reserved bits, no checksum" "$(capture_count c "amt && $from &&
		(amt.version != 0 || amt.membership_query.reserved > 0 ||
		(amt.type != 6 && udp.checksum == 0) ||
		(amt.type == 2 && amt.reserved != 00:00:00))")" -eq 0
}

# session CHECKSUM CONF_LINE...: CHECKSUM is what an outer IPv4 UDP checksum has to be, 0 or good
session() {
	local kind outer inner sum
	relay_start "$(relay_conf 'query-interval = 77' 'robustness = 3' "${@:2}")"
	capture_start c gw gw0
	gateways_both e 2 e --ecn --discover --source-port 4000
	gateways_both p 4 p --discover --source-port 6000
	send_kinds
	copies_rest
	gateways_have e 8 $n
	gateways_have p 8 $n
	capture_stop c
	capture_judge c
	expect ttl_expired "$(stat ttl_expired)" -eq $((2 * n))
	judge_signalling
	copies_read
	for outer in 4 6; do
		sum='first($12) != "0x0000" && first($13) == 1'
		[ "$outer$1" != 40 ] || sum='first($12) == "0x0000"'
		for inner in 4 6; do
			for kind in e p; do
				judge_tos_and_ttl $kind $outer $inner
				judge_outer $kind $outer $inner "$sum"
			done
		done
	done
}

# ---- fragments ----

fragments_of() { # fragments_of CAPTURE FILTER: each inner fragment of it, content and all
	capture_read "$1" -o ip.defragment:FALSE -o ipv6.defragment:FALSE -Y "$2 &&
		(ip.flags.mf == 1 || ip.frag_offset > 0 || ipv6.fraghdr)" -T fields \
		-E separator='|' -E occurrence=l -e ip.id -e ip.frag_offset -e ip.flags.mf \
		-e ipv6.fraghdr.ident -e ipv6.fraghdr.offset -e ipv6.fraghdr.more -e data.data |
		awk -F'|' '{ print $4 == "" ? $1 " " $2 " " $3 : $4 " " $5 " " $6, $7 }' | sort
}

# A fragmented datagram is carried fragment by fragment, as it is (R-109).
fragments() { # fragments [CONF_LINE...]
	local outer kind to field
	relay_start "$(relay_conf "$@")"
	ip -n "$net_id-src" link set dev src0 mtu 1400
	capture_start c gw gw0
	capture_start s src src0
	gateways_both e 2 e --ecn
	gateways_both p 4 p
	send -g $group4 -g $group6 -n $n -s 3000 -r 1M
	copies_rest
	gateways_signal e INT
	gateways_signal p INT
	gateways_good e
	gateways_good p
	ip -n "$net_id-src" link set dev src0 mtu 1500
	capture_stop c
	capture_stop s
	fragments_of s 'udp || data' >"$net_dir/sent"
	expect "fragments sent" "$(wc -l <"$net_dir/sent")" -eq $((2 * 3 * n))
	for outer in 4 6; do
		for kind in e p; do
			to=$(gateway $kind $outer) field=ipv6.dst
			[ $outer = 6 ] || field=ip.dst
			fragments_of c "amt.type == 6 && $field == $to" \
				>"$net_dir/carried"
			diff "$net_dir/sent" "$net_dir/carried" ||
				fail "not the fragments that were sent, gateway $kind over IPv$outer"
		done
	done
	datapath_clean
}

run_case "a session, copies by XDP" session 0
run_case "a session with UDP checksums everywhere" session good 'udp-checksum = yes'
run_case "a session, copies by TC" session 0 'mode = tc'
run_case "inner fragments" fragments
run_case "inner fragments by TC" fragments 'mode = tc'
finish
