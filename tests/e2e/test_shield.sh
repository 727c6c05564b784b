#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The shield over real interfaces: the same questions have the same answers with it and without, byte
# by byte, by the same secret, and the status says where it works.
source "$(dirname "$0")/lib.sh"
mangle=$build/tests/e2e/mangle
[ -x "$mangle" ] || net_die "$mangle is missing; run make tests"
topology

replies() { # replies NAME
	on gw "$mangle" "$relay4" 10.2.1.1 replies >"$net_dir/$1"
	on gw "$mangle" "$relay6" 2001:db8:2::1:1 replies >>"$net_dir/$1"
	expect "answers" "$(grep -c . "$net_dir/$1")" -eq 14
}

# Another amtd, which takes over the secrets. restart CONF
restart() {
	kill -TERM "$relay_pid"
	wait "$relay_pid" || true
	relay_start "$1"
}

shield_says() { # shield_says WHAT: in the status of the uplink
	wait_for 20 status_is ".interfaces[] | select(.interface == \"down0\") | .shield == \"$1\"" ||
		fail "the shield is not '$1': $(ctl status)"
}

same_answers() { # same_answers LINE...: of the configuration
	relay_start "$(relay_conf 'shield = true' "$@")"
	shield_says on
	replies with
	expect shield_answered "$(stat shield_answered)" -ge 14
	stats_zero shield_refused shield_passed headroom redirect_failed
	restart "$(relay_conf 'shield = false' "$@")"
	shield_says "off (shield = false)"
	replies without
	stats_zero redirect_failed
	cmp "$net_dir/with" "$net_dir/without" || fail "answers differ"
}

off_without_xdp() {
	relay_start "$(relay_conf 'mode = tc')"
	shield_says "off (no native XDP)"
	replies tc
	stats_zero shield_answered
}

unset AMT_TEST_SHIELD # the cases say themselves
run_case "the same answers with the shield and without" same_answers
run_case "the same with the gateway fields for all" same_answers 'teardown = on'
run_case "the same without Linux's P, another query interval" same_answers 'accept-linux-p = no' \
	'query-interval = 300' 'teardown = off'
run_case "a TC uplink has none, and says so" off_without_xdp
finish
