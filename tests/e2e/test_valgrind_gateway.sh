#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A gateway's whole life under valgrind: programs join, get a stream, leave; amtd is stopped, killed,
# taken over, reloaded, shut down. Its relay runs there as well.
# shellcheck disable=SC2119,SC2317 # arguments are optional; cases are called by name
AMT_BUILD=${AMT_BUILD:+${AMT_BUILD%/asan}} # valgrind and sanitizers do not go together
export AMT_BUILD AMT_TEST_VALGRIND=1
source "$(dirname "$0")/lib_gateway.sh"
beside_relay

up() {
	wait_for 60 gateway_is '.state == "up"' || fail "the relay does not answer: $(gctl status)"
	gateway_pid=$relay_pid
}

# A program joins, gets a stream of both families and leaves: watch NAME
watch() {
	listener_start "$1" --expect 50 "${channels[@]}"
	wait_for 60 forwards 2 || fail "$1: not joined at the relay"
	instance=$net_id
	send -g "$ssm4" -g "$ssm6" -n 50 -r 1M
	listener_good "$1"
	wait_for 60 no_tunnel || fail "$1: not left at the relay"
}

ask_everything() {
	local command
	for command in status relays groups stats maps; do
		gctl "$command" >/dev/null
	done
	gctl verify --source "$source4" --group "$ssm4" --timeout 1 >/dev/null || true
}

ended() { # amtd ended well: no error, no leak
	wait "$gateway_pid" || fail "amtd ended with $?"
}

life() { # life OUTER
	relay_start "$(relay_conf)"
	gateway_beside auto "$1"
	up
	watch first
	ask_everything
	kill -TERM "$gateway_pid"
	ended
	gateway_beside auto "$1"
	up
	kill -KILL "$gateway_pid"
	wait "$gateway_pid" 2>/dev/null || true
	gateway_beside tc "$1"
	up
	watch second
	gateway_conf 'relay = {"192.0.2.77"}' # nobody there
	gctl reload >/dev/null
	wait_for 60 gateway_is '.state == "discovery"' || fail "reload: $(gctl status)"
	gctl shutdown
	ended
}

run_case "a gateway's life over IPv6" life 6
finish
