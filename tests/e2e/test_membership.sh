#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Who gets what: SSM, ASM with EXCLUDE lists, IGMPv2 and MLDv1, several sources of one group, NAT,
# joins and leaves under load, Teardown, expiry, upstream joins, listeners on the relay itself.
# Gateways ask over both outer families and join groups of both inner ones: all four combinations.
# shellcheck disable=SC2016,SC2046,SC2086 # words of our own, without blanks; awk programs
source "$(dirname "$0")/lib.sh"
topology

other4=10.1.0.2 other6=2001:db8:1::2 # the second sender
ssm4=232.1.1.1 ssm6=ff3e::8000:1 asm4=239.1.1.1 asm6=ff1e::1:1
groups=("$ssm4" "$ssm6" "$asm4" "$asm6")
both=(-r "$relay4" -r "$relay6")

# channels SOURCE4 SOURCE6: of all groups
channels() {
	echo "$1,$ssm4 $2,$ssm6 $1,$asm4 $2,$asm6"
}

send_groups() { # send_groups OPTION...: to all groups
	send "${groups[@]/#/-g}" -s 1000 "$@"
}

send_other() { # the same from the second sender
	on src "$build/amt-load" send -I src0 -S $other4 -S $other6 --quiet "${groups[@]/#/-g}" \
		-s 1000 "$@"
}

# ---- sources ----

# Tunnels that want the one source, the other, both, any, or any but one, all of the same groups.
sources() { # sources [CONF_LINE...]
	local outer mine theirs n=150 sender
	mine=$(channels $source4 $source6) theirs=$(channels $other4 $other6)
	relay_start "$(relay_conf "$@")"
	for outer in 4 6; do
		gateways_start "each$outer" 4 -r "$(outer_relay $outer)" -n 4 \
			$(outer_sources $outer 4) -k 4 $mine $theirs
	done
	gateways_start two 12 "${both[@]}" -n 4 $mine $theirs
	gateways_start any 16 "${both[@]}" -n 4 $asm4 $asm6
	gateways_start but 20 "${both[@]}" -n 4 -x $other4 -x $other6 $asm4 $asm6
	send_groups -n $n -r 1500k &
	sender=$!
	send_other -n $n -r 1500k
	wait $sender
	copies_rest
	gateways_have each4 4 $n
	gateways_have each6 4 $n
	gateways_have two 8 $n
	gateways_have any 4 $n
	gateways_have but 2 $n
	datapath_clean
	expect "copies" "$(stat copies_out)" -eq $((n * (8 * 4 + 4 * 8 + 4 * 4 + 4 * 2)))
	expect "tunnels left" "$(ctl --json status | jq .tunnels)" -eq 0
}

# R-149 .. R-152: nothing but (S,G) makes state in the SSM range; other records still count.
ssm_only() {
	relay_start "$(relay_conf)"
	gateways_start star 0 "${both[@]}" -n 2 $ssm4 $ssm6
	gateways_start old 0 "${both[@]}" -n 2 --old $ssm4 $ssm6
	gateways_start mixed 2 "${both[@]}" -n 2 $ssm4 $ssm6 $asm4 $asm6
	wait_for "$e2e_patience" at_least record_ssm_old 4 ||
		fail "record_ssm_old $(stat record_ssm_old)"
	expect record_ssm_exclude "$(stat record_ssm_exclude)" -ge 8
	expect tunnels "$(ctl --json status | jq .tunnels)" -eq 2
	send_groups -n 20 -r 1500k
	copies_rest
	expect no_group "$(stat no_group)" -eq 40
	gateways_have star 0 0
	gateways_have old 0 0
	gateways_have mixed 2 20
}

# ---- tunnels ----

# Two gateways behind one address are two tunnels (R-62), each with its own channels and end.
one_address() {
	local mine theirs
	mine=$(channels $source4 $source6) theirs=$(channels $other4 $other6)
	relay_start "$(relay_conf)"
	gateways_start a 2 "${both[@]}" -n 2 -S 10.2.1.1 -S 2001:db8:2::1:1 -P 4000 $mine
	gateways_start b 4 "${both[@]}" -n 2 -S 10.2.1.1 -S 2001:db8:2::1:1 -P 5000 $theirs
	expect "tunnels of the address" \
		"$(ctl --json tunnels 10.2.1.1 | jq '.tunnels | length')" -eq 2
	[ "$(ctl --json tunnels 10.2.1.1 | jq -c '[.tunnels[].port] | sort')" = "[4000,5000]" ] ||
		fail "not the ports 4000 and 5000"
	send_groups -n 30 -r 1500k
	send_other -n 30 -r 1500k
	copies_rest
	gateways_have a 4 30
	expect "tunnels left" "$(ctl --json status | jq .tunnels)" -eq 2
	send_other -n 30 -r 1500k
	copies_rest
	gateways_have b 8 30 # a stream each time
}

# IGMPv2 and MLDv1 joins live as long as they are refreshed (R-146); gateways that vanish do not.
expiry() {
	local n=450 sender
	relay_start "$(relay_conf 'query-interval = 2' 'query-response-interval = 1')"
	expect "membership interval" "$(ctl --json status | jq .membership_interval)" -eq 5
	gateways_start old 4 "${both[@]}" -n 4 --old $asm4 $asm6
	gateways_start new 8 "${both[@]}" -n 4 $(channels $source4 $source6)
	gateways_start gone 12 "${both[@]}" -n 4 -S 10.2.1.9 -S 2001:db8:2::1:9 $asm4 $asm6
	gateways_start gone_old 14 "${both[@]}" -n 2 -S 10.2.1.9 -S 2001:db8:2::1:9 --old $asm4
	send_groups -n $n -r 400k & # 9 seconds
	sender=$!
	gateways_signal gone KILL
	gateways_signal gone_old KILL
	wait_for 30 status_is ".tunnels == 8" || fail "$(ctl --json status | jq .tunnels) tunnels"
	expect "tunnel_expired" "$(stat tunnel_expired)" -eq 6
	[ "$(ctl --json tunnels 10.2.1.9 | jq '.tunnels | length')" -eq 0 ] || fail "10.2.1.9 is there"
	wait $sender
	copies_rest
	gateways_have old 2 $n
	gateways_have new 4 $n
	expect "Updates of each gateway that stays" "$(figure old .updates)" -gt $((4 * 2 * 3))
}

# Teardown ends a tunnel before the next packet (R-78); others stay whole.
teardown() { # teardown SETTING [GATEWAY_OPTION]
	local sender mine
	mine=$(channels $source4 $source6)
	relay_start "$(relay_conf "teardown = $1")"
	gateways_start ends 6 "${both[@]}" -n 6 "${@:2}" $mine
	gateways_start stays 10 "${both[@]}" -n 4 $mine
	send_groups -n 5 -r 1500k
	copies_rest
	gateways_signal ends USR1
	wait_for 10 status_is ".tunnels == 4" || fail "$(ctl --json status | jq .tunnels) tunnels"
	expect teardown_accepted "$(stat teardown_accepted)" -eq 6
	expect tunnel_left "$(stat tunnel_left)" -eq 0
	send_groups -n 20 -r 1500k
	copies_rest
	expect "copies" "$(stat copies_out)" -eq $(((5 * 10 + 20 * 4) * 4))

	# the same while a stream runs, 4 packets a second
	gateways_signal ends USR2
	wait_for 10 status_is ".tunnels == 10" || fail "the gateways do not come back"
	send_groups -n 8 -r 32k &
	sender=$!
	sleep 1
	gateways_signal ends USR1
	wait $sender
	copies_rest
	gateways_signal stays INT
	gateways_good stays
	gateways_signal ends INT
	gateways_good ends
	expect "packets of those that stay" "$(figure stays .packets)" -eq $((33 * 4 * 4))
	expect "most packets after a Teardown" \
		"$(figure ends '[.each[].flows[].after_leave] | max')" -le 1
}

# Gateways that leave and join, by every kind of report, while others must not lose a packet.
churn() { # churn [CONF_LINE...]
	local n=900 sender mine
	mine=$(channels $source4 $source6)
	relay_start "$(relay_conf "$@")"
	gateways_start steady 8 "${both[@]}" -n 8 --in-order -E $n $mine
	gateways_start include 8 "${both[@]}" -n 16 --churn 16:0.3 $mine
	gateways_start exclude 8 "${both[@]}" -n 8 --churn 8:0.3 -x $other4 -x $other6 $asm4 $asm6
	gateways_start old 8 "${both[@]}" -n 8 --churn 8:0.3 --old $asm4 $asm6
	send_groups -n $n -r 2400k & # 3 seconds
	sender=$!
	wait $sender
	gateways_good steady
	for name in include exclude old; do
		gateways_signal $name INT
		gateways_end $name || true
		# missing: of what was sent from the first packet after a join to the last before the
		# leave that follows
		expect "missing, duplicate, foreign and damaged packets of $name" \
			"$(figure $name '.missing + .duplicate + .foreign + .damaged')" -eq 0
		expect "leaves of $name" "$(figure $name .leaves)" -gt 20
	done
	datapath_clean
	expect "tunnels left" "$(ctl --json status | jq .tunnels)" -eq 0
}

# ---- upstream ----

upstream_joined() { # upstream_joined: which of the ASM groups the relay's host has joined upstream
	local joined=""
	on relay awk '$2 == "up0" { on = 1; next } NF > 4 { on = 0 } on && $1 == "010101EF"' \
		/proc/net/igmp | grep -q . && joined+=" IPv4"
	on relay grep -q "up0 *ff1e0000000000000000000000010001 " /proc/net/igmp6 && joined+=" IPv6"
	echo "${joined# }"
}

# Source filters of both ASM groups at the upstream interface, as + included or - excluded sender.
upstream_filter() {
	on relay awk '
		function sender(s) { return s ~ /1$/ ? "first" : "other" }
		$2 == "up0" && ($3 == "0xef010101" || $3 == "ff1e0000000000000000000000010001") {
			print ($5 > 0 ? "+" : "-") sender($4)
		}' /proc/net/mcfilter /proc/net/mcfilter6 | sort | uniq -c | awk '{ print $2 "x" $1 }' |
		paste -sd " "
}

# expect_upstream FILTER [JOINED]: in the end, for both families
expect_upstream() {
	upstream_is() { [ "$(upstream_filter)|$(upstream_joined)" = "$1|$2" ]; }
	wait_for "$e2e_patience" upstream_is "$1" "${2-IPv4 IPv6}" ||
		fail "upstream: '$(upstream_filter)' '$(upstream_joined)' instead of '$1' '${2-both}'"
}

upstream_end() { # upstream_end NAME: gateways that leave
	gateways_signal "$1" INT
	gateways_good "$1"
}

# R-154: what is joined upstream is the merge of what all tunnels want.
upstream() {
	relay_start "$(relay_conf)"
	expect_upstream "" ""
	gateways_start two 2 "${both[@]}" -n 2 -x $source4 -x $source6 -x $other4 -x $other6 $asm4 $asm6
	expect_upstream "-firstx2 -otherx2"
	gateways_start one 4 "${both[@]}" -n 2 -x $other4 -x $other6 $asm4 $asm6
	expect_upstream "-otherx2" # the intersection of the excluded
	gateways_start wants 6 "${both[@]}" -n 2 $other4,$asm4 $other6,$asm6
	expect_upstream "" # without what someone includes
	upstream_end wants
	expect_upstream "-otherx2"
	upstream_end one
	expect_upstream "-firstx2 -otherx2"
	gateways_start wants 4 "${both[@]}" -n 2 $other4,$asm4 $other6,$asm6
	expect_upstream "-firstx2"
	upstream_end two
	expect_upstream "+otherx2" # INCLUDE now
	gateways_start mine 4 "${both[@]}" -n 2 $source4,$asm4 $source6,$asm6
	expect_upstream "+firstx2 +otherx2"
	upstream_end wants
	expect_upstream "+firstx2"
	upstream_end mine
	expect_upstream "" "" # left with the last tunnel
	stats_zero upstream_join_failed
}

# ---- a listener on the relay's host ----

paths() { # of all groups, each once
	ctl --json groups | jq -r '[.groups[].path] | unique | join(" ")'
}

paths_are() {
	[ "$(paths)" = "$1" ]
}

listen_start() { # listen_start OPTION...: a program on the relay's host that joins all groups
	rm -f "$net_dir/local.ready"
	$(where relay) "$build/amt-load" receive -I up0 --json --ready "$net_dir/local.ready" "$@" \
		$(channels $source4 $source6) >"$net_dir/local.json" 2>&1 &
	listener=$!
	wait_for 10 test -e "$net_dir/local.ready" || fail "the local program: $(cat "$net_dir/local.json")"
}

# A group that a local program wants too goes by TC, which hands the packets on to the host.
local_listener() {
	local listener sender before n=800
	relay_start "$(relay_conf)"
	gateways_start g 8 "${both[@]}" -n 8 $(channels $source4 $source6)
	before=$(paths)
	[[ $before != *tc* ]] || fail "path $before before the program listens"
	listen_start -E 200
	wait_for 10 paths_are tc || fail "path $(paths) while a program listens"
	send_groups -n 200 -r 1500k
	wait $listener || fail "the local program: $(cat "$net_dir/local.json")"
	wait_for 10 paths_are "$before" || fail "path $(paths) after the program has left"

	# it comes and goes while a stream runs
	send_groups -n $n -r 800k & # 8 seconds
	sender=$!
	listen_start
	wait_for 10 paths_are tc || fail "path $(paths) while a program listens again"
	sleep 0.5
	kill -INT $listener
	wait $listener || true # its part begins and ends somewhere
	wait_for 10 paths_are "$before" || fail "path $(paths) in the end"
	wait $sender
	copies_rest
	expect packets_tc "$(stat packets_tc)" -gt 800
	gateways_signal g INT
	gateways_good g
	expect "packets" "$(figure g .packets)" -eq $(((200 + n) * 4 * 8))
	datapath_clean
}

run_case "one source, the other, both, any, any but one" sources
run_case "the same by TC" sources 'mode = tc'
run_case "SSM groups take no (*,G), no IGMPv2, no MLDv1" ssm_only
run_case "two gateways behind one address" one_address
run_case "gateways that vanish expire, IGMPv2 and MLDv1 joins are refreshed" expiry
run_case "Teardown of gateways that set E" teardown auto -e
run_case "Teardown for all" teardown on
run_case "join and leave under load" churn
run_case "join and leave under load, by TC" churn 'mode = tc'
run_case "upstream joins are the merge of all tunnels" upstream
run_case "a program on the relay's host gets the stream too" local_listener
finish
