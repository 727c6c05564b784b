#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The shield over real interfaces: the same questions have the same answers with it and without, as
# they are on the wire, byte by byte, by the same secret; and the status says where it works.
source "$(dirname "$0")/lib.sh"
mangle=$build/tests/e2e/mangle
[ -x "$mangle" ] || net_die "$mangle is missing; run make tests"
topology

# What comes from the relay to the same questions, as it is on the wire: hexadecimal, from the MAC
# addresses to the end of the IP packet (a frame may be padded). asked NAME
asked() {
	capture_start c gw gw0 'udp src port 2268'
	on gw "$mangle" "$relay4" 10.2.1.1 replies >"$net_dir/$1.replies"
	on gw "$mangle" "$relay6" 2001:db8:2::1:1 replies >>"$net_dir/$1.replies"
	capture_stop c
	capture_judge c
	expect "answers" "$(grep -c . "$net_dir/$1.replies")" -eq 14
	capture_read c -x | awk '
		function number(s, i, n) {
			for (i = 1; i <= 4; i++)
				n = 16 * n + index("0123456789abcdef", substr(s, i, 1)) - 1
			return n
		}
		function frame() {
			if (hex == "") return
			if (substr(hex, 25, 4) == "0800") octets = number(substr(hex, 33, 4))
			else octets = 40 + number(substr(hex, 37, 4))
			print substr(hex, 1, 2 * (14 + octets))
			hex = ""
		}
		/^$/ { frame() }
		/^[0-9a-f]+ / { hex = hex substr($0, 7, 47); gsub(" ", "", hex) }
		END { frame() }' | sort -u >"$net_dir/$1" # one that was late is asked for again
	expect "different answers on the wire" "$(wc -l <"$net_dir/$1")" -eq 14
}

shield_says() { # shield_says WHAT: in the status of the uplink
	wait_for 20 status_is ".interfaces[] | select(.interface == \"down0\") | .shield == \"$1\"" ||
		fail "the shield is not '$1': $(ctl status)"
}

with_shield() { # with_shield LINE...
	relay_start "$(relay_conf 'shield = true' "$@")"
	shield_says on
}

without_shield() { # without_shield LINE...: another amtd, which takes over the secrets
	kill -TERM "$relay_pid"
	wait "$relay_pid" || true
	relay_start "$(relay_conf 'shield = false' "$@")"
	shield_says "off (shield = false)"
}

# After what was asked with the shield and without.
judge() {
	diff "$net_dir/with" "$net_dir/without" || fail "answers differ"
}

answered_in_xdp() {
	expect shield_answered "$(stat shield_answered)" -ge 14
	stats_zero shield_refused shield_passed headroom redirect_failed
}

same_answers() { # same_answers LINE...: of the configuration
	local answered
	with_shield "$@"
	asked with
	answered_in_xdp
	without_shield "$@"
	answered=$(stat shield_answered)
	asked without
	expect shield_answered "$(stat shield_answered)" -eq "$answered"
	stats_zero redirect_failed
	judge
}

# L for all who have no tunnel (R-36)
same_at_the_limit() {
	with_shield 'max-tunnels = 1'
	gateways_start g 1 -r "$relay4" -S 10.2.1.9 "$source4,232.1.1.1"
	asked with
	expect "Queries with L" "$(stat query_limit_set)" -ge 12
	without_shield 'max-tunnels = 1'
	asked without
	expect "Queries with L" "$(stat query_limit_set)" -ge 12
	judge
	gateways_signal g INT
	gateways_end g
}

# L for all (R-182)
same_while_draining() {
	local waiting
	with_shield
	ctl shutdown --drain 3600 &
	waiting=$!
	wait_for 10 status_is .draining || fail "$(ctl status)"
	asked with
	expect "Queries with L" "$(stat query_limit_set)" -ge 12
	kill -KILL "$relay_pid" # so that the secrets stay
	wait "$relay_pid" "$waiting" || true
	relay_start "$(relay_conf 'shield = false')"
	ctl shutdown --drain 3600 &
	waiting=$!
	wait_for 10 status_is .draining || fail "$(ctl status)"
	asked without
	kill -KILL "$relay_pid"
	wait "$relay_pid" "$waiting" || true
	judge
}

off_without_xdp() {
	relay_start "$(relay_conf 'mode = tc')"
	shield_says "off (no native XDP)"
	asked tc
	stats_zero shield_answered
}

unset AMT_TEST_SHIELD # the cases say themselves
run_case "the same answers with the shield and without" same_answers
run_case "the same with the gateway fields for all" same_answers 'teardown = on'
run_case "the same without Linux's P, another query interval" same_answers 'accept-linux-p = no' \
	'query-interval = 300' 'teardown = off'
run_case "the same at the limit of tunnels" same_at_the_limit
run_case "the same while draining" same_while_draining
run_case "a TC uplink has none, and says so" off_without_xdp
finish
