#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A kernel with PREEMPT_RT: XDP is refused, with the reason, and TC serves.
# shellcheck disable=SC2119 # relay_conf takes lines of its own only
source "$(dirname "$0")/../e2e/lib.sh"

if ! uname -v | grep -q PREEMPT_RT; then
	echo "skip PREEMPT_RT: this kernel is none"
	exit 77
fi
topology
why='PREEMPT_RT kernel'

refused() {
	local out
	relay_start "$(relay_conf)"
	out=$(ctl attach up0 --mode xdp 2>&1) && fail "XDP is attached"
	grep -q "$why" <<<"$out" || fail "the error says: $out"
	ip -n "$net_id-relay" -j link show dev up0 | jq -e '.[0].xdp == null' ||
		fail "an XDP program is on up0"
}

served() { # served 4|6
	local channel=$source4,232.1.1.1
	[ "$1" = 4 ] || channel=$source6,ff3e::8000:1
	relay_start "$(relay_conf)"
	# shellcheck disable=SC2046
	gateways_start g 8 -r "$(outer_relay "$1")" -n 8 $(outer_sources "$1" 8) \
		--in-order --expect 60 "$channel"
	expect_path "${channel#*,}" tc
	ctl groups | grep -q "$why" || fail "the reason is not shown: $(ctl groups)"
	send -g "${channel#*,}" -n 60 -r 1M
	gateways_good g
	datapath_clean
}

run_case "PREEMPT_RT: mode xdp is refused" refused
run_case "TC: PREEMPT_RT, IPv4 over IPv4" served 4
run_case "TC: PREEMPT_RT, IPv6 over IPv6" served 6
finish
