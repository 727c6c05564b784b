#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The command lines of amtd and amt-ctl: usage, exit status, checks of configuration. No relay runs.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${AMT_BUILD:-build}
amtd=$build/amtd
ctl=$build/amt-ctl
name=cli-test-$$
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failed=0

# expect NAME STATUS PATTERN COMMAND...: exit status, and a line of what it prints; of amt-ctl that
# is one line when it fails
expect() {
	local case=$1 want=$2 pattern=$3 status=0 said
	shift 3
	said=$("$@" 2>&1 </dev/null) || status=$?
	if [ "$status" -ne "$want" ]; then
		echo "not ok $case: status $status, not $want: $said"
		failed=1
	elif ! grep -qE -e "$pattern" <<<"$said"; then
		echo "not ok $case: says: $said"
		failed=1
	elif [ "$1" = "$ctl" ] && [ "$want" -ne 0 ] && [ "$(wc -l <<<"$said")" -ne 1 ]; then
		echo "not ok $case: not one line: $said"
		failed=1
	else
		echo "ok $case"
	fi
}

check_config() { # check_config NAME STATUS PATTERN TEXT: amtd -t on a file that holds TEXT
	printf '%s\n' "$4" >"$folder/t.conf"
	expect "$1" "$2" "$3" "$amtd" -t -f "$folder/t.conf"
}

amt_ctl_usage() {
	expect "no amtd" 3 "amtd '$name' is not running; start it" "$ctl" -i "$name"
	expect "no amtd, attach" 3 "is not running" "$ctl" -i "$name" attach eth0
	expect "no amtd, top" 3 "is not running" "$ctl" -i "$name" top
	expect "unknown command" 2 "there is no command 'fly'" "$ctl" -i "$name" fly
	expect "unknown option" 2 "'--fly' is not possible here; see amt-ctl help" "$ctl" --fly
	expect "unknown letter" 2 "'-z' is not possible here" "$ctl" -z
	expect "option without its value" 2 "'-i' is not possible here" "$ctl" -i
	expect "no such instance name" 2 "is no name of an instance" "$ctl" -i ../x
	expect "attach without name" 2 "wants the name" "$ctl" -i "$name" attach
	expect "attach two" 2 "one interface at a time" "$ctl" -i "$name" attach a b
	expect "attach unknown option" 2 "no option '--up'" "$ctl" -i "$name" attach a --up
	expect "attach gateway" 3 "is not running" "$ctl" -i "$name" attach a --gateway --relay b
	expect "relay without value" 2 "no option '--relay'" "$ctl" -i "$name" attach a --relay
	expect "verify without group" 2 "wants --group" "$ctl" -i "$name" verify --source 192.0.2.1
	expect "verify timeout" 2 "is no number" "$ctl" -i "$name" verify --group 232.1.1.1 --timeout x
	expect "verify without amtd" 3 "is not running" "$ctl" -i "$name" verify --group 232.1.1.1
	expect "verify no group" 1 "no group that can be routed" "$ctl" verify --group 224.0.0.1 \
		--relay 192.0.2.1
	expect "verify no relay" 1 "no relay's address" "$ctl" verify --group 232.1.1.1 --relay '?'
	expect "detach without name" 2 "one interface, or --all" "$ctl" -i "$name" detach
	expect "status takes nothing" 2 "'x' is too much" "$ctl" -i "$name" status x
	expect "top count" 2 "is no number" "$ctl" -i "$name" top --count -1
	expect "shutdown drain" 2 "is no number" "$ctl" -i "$name" shutdown --drain soon
	expect "help" 0 "attach IFACE" "$ctl" help
	expect "help of one" 0 "example: amt-ctl attach" "$ctl" help attach
	expect "help of none" 2 "no command 'fly'" "$ctl" help fly
	expect "amt-ctl version" 0 "^amt-ctl [0-9]" "$ctl" -V
}

amtd_usage() {
	expect "amtd help" 0 "usage: amtd" "$amtd" -h
	expect "amtd version" 0 "^amtd [0-9]" "$amtd" -V
	expect "amtd unknown option" 2 "usage: amtd" "$amtd" -x
	expect "amtd too much" 2 "usage: amtd" "$amtd" -t x
	expect "amtd instance name" 2 "usage: amtd" "$amtd" -i a/b -t
}

amtd_check() {
	check_config "good file" 0 "" 'relay { query-interval = 20 }'
	check_config "bad number" 1 "t.conf:1: query-interval: 'x' is not possible" \
		'relay { query-interval = x }'
	check_config "bad file, second line" 1 "t.conf:2: unknown option 'prot'; did you mean 'port'" \
		$'relay {\nprot = 1\nmode = quick\n}'
	check_config "bad file, third line" 1 "t.conf:3: mode: 'quick' is not possible" \
		$'relay {\nprot = 1\nmode = quick\n}'
	check_config "warning" 0 "t.conf:1: warning: query-interval 200" 'relay { query-interval = 200 }'
	check_config "gateway" 0 "" 'gateway { uplink = eth0 relay = {192.0.2.1, anycast} }'
	check_config "two roles" 1 "t.conf:2: a relay and a gateway section" $'relay { }\ngateway { }'
	expect "no such file" 1 "No such file or directory" "$amtd" -t -f "$folder/none"
	expect "folder" 1 "Is a directory" "$amtd" -t -f "$folder"
	echo 'relay { mode = quick }' >"$folder/t.conf"
	expect "bad file does not start" 1 "t.conf:1: mode" "$amtd" -n -i "$name" -f "$folder/t.conf"
	expect "no file, no instance's file" 0 "" "$amtd" -t -i "$name"
}

amtd_without_root() {
	if ! command -v setpriv >/dev/null; then
		echo "skip without root: setpriv is missing"
		return
	fi
	expect "without capabilities" 1 "capability .* is missing; run amtd as root" \
		setpriv --bounding-set=-all --inh-caps=-all "$amtd" -n -i "$name"
}

# Manual pages must not drift from the code: the maps, the commands.
manual_names() { # manual_names CASE PAGE PATTERN NAME...: each name stands in the page
	local case=$1 page=$2 pattern=$3 each missing=""
	shift 3
	for each in "$@"; do
		# shellcheck disable=SC2059 # the pattern is the caller's
		grep -qE -- "$(printf "$pattern" "$each")" "$page" || missing+=" $each"
	done
	if [ -n "$missing" ]; then
		echo "not ok $case: missing:$missing"
		failed=1
	else
		echo "ok $case"
	fi
}

manuals() {
	local maps names
	mapfile -t maps < <(sed -n 's/^} \([a-z0-9_]*\) SEC(".maps").*/\1/p' bpf/maps.h)
	manual_names "amt-maps(7) names every map" man/amt-maps.7 '^\.It Va (.* )?%s( |$)' "${maps[@]}"
	mapfile -t names < <("$ctl" help | sed -n 's/^  \([a-z][a-z]*\) .*/\1/p')
	manual_names "amt-ctl(8) names every command" man/amt-ctl.8 '^\.It Ic %s' "${names[@]}"
	manual_names "completion names every command" scripts/completion/amt-ctl \
		'commands="(.* )?%s( |")' "${names[@]}"
}

amt_ctl_usage
amtd_usage
amtd_check
amtd_without_root
manuals
exit $failed
