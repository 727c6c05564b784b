#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A relay's whole life under valgrind: gateways join, get a stream, leave; amt-ctl asks for
# everything; the configuration is reloaded; amtd is stopped, killed, taken over, shut down.
# shellcheck disable=SC2046,SC2086,SC2317 # words of our own, without blanks; cases are called by name
AMT_BUILD=${AMT_BUILD:+${AMT_BUILD%/asan}} # valgrind and sanitizers do not go together
export AMT_BUILD AMT_TEST_VALGRIND=1
source "$(dirname "$0")/lib.sh"
topology

stream() { # stream GROUP...
	send -n 100 $(printf -- '-g %s ' "$@")
}

checked_ctl() { # as ctl, but under valgrind: an error ends it with status 99
	"${valgrind[@]}" "$build/amt-ctl" -i "$instance" "$@" >/dev/null
}

ask_everything() {
	local command
	for command in status tunnels "tunnels 10.2.1.1" groups stats maps; do
		checked_ctl $command
	done
	checked_ctl --json groups 232.1.1.1
	expect_fail 1 checked_ctl detach nowhere0
	expect_fail 2 checked_ctl no-such-command
}

started_again() { # started_again CONF
	relay_start "$1"
	status_is '.adopted and .tunnels == 4' || fail "tunnels are not taken over"
}

ended() { # amtd ended well: no error, no leak
	wait "$relay_pid" || fail "amtd ended with $?"
}

life() {
	local conf groups=(232.1.1.1 ff3e::8000:1 239.1.1.1 ff1e::1:1)
	conf=$(relay_conf)
	relay_start "$conf"
	gateways_start g 4 -n 4 -r "$relay4" -r "$relay6" -S 10.2.1.1 -S 2001:db8:2::1:1 \
		"$source4,${groups[0]}" "$source6,${groups[1]}" "${groups[@]:2}"
	stream "${groups[@]}"
	ask_everything
	kill -TERM "$relay_pid"
	ended
	started_again "$conf"
	stream "${groups[@]}"
	kill -KILL "$relay_pid"
	wait "$relay_pid" 2>/dev/null || true
	started_again "$conf"
	relay_conf 'permit-groups = {"232.0.0.0/8"}' >/dev/null
	checked_ctl reload
	wait_for 10 status_is '.upstream.groups == 1' || fail "reload: $(ctl groups)"
	stream "${groups[0]}"
	gateways_signal g INT
	gateways_good g
	wait_for 20 status_is '.tunnels == 0' || fail "tunnels do not end"
	checked_ctl detach up0
	checked_ctl attach up0 --upstream --mode tc
	checked_ctl shutdown
	ended
	wait_for 60 not pgrep -f -- "--hold-upstream $instance" || fail "the holder is still there"
}

hostile() {
	relay_start "$(relay_conf 'shield = false' 'requests-per-second = 0' 'teardown = on')"
	on gw "$build/tests/e2e/mangle" $relay4 10.2.1.1 ask4 lengths join mutate=1000 teardown
	on gw "$build/tests/e2e/mangle" $relay6 2001:db8:2::1:1 ask6 lengths join mutate=1000 teardown
	expect bad_type "$(stat bad_type)" -gt 0
	ctl shutdown
	ended
}

run_case "a relay's life" life
run_case "messages with every kind of fault" hostile
finish
