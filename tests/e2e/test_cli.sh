#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The command lines of amtd and amt-ctl: usage, exit status, checks of configuration. No relay runs.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${AMT_BUILD:-build}
amtd=$build/amtd
ctl=$build/amt-ctl
load=$build/amt-load
name=cli-test-$$
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failed=0

# expect NAME STATUS PATTERN COMMAND...: exit status, and a line of what it prints; wrong usage, and
# all that fails of amt-ctl, is told in one line
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
	elif { [ "$want" -eq 2 ] || { [ "$1" = "$ctl" ] && [ "$want" -ne 0 ]; }; } && [ "$(wc -l <<<"$said")" -ne 1 ]; then
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
	expect "unknown command" 2 "there is no command 'fly'; see amt-ctl help" "$ctl" -i "$name" fly
	expect "unknown option" 2 "there is no option '--fly' here; see amt-ctl help" "$ctl" --fly
	expect "unknown letter" 2 "there is no option '-z' here" "$ctl" -z
	expect "option without its value" 2 "-i wants a value" "$ctl" -i
	expect "no such instance name" 2 "is no name of an instance" "$ctl" -i ../x
	expect "status takes nothing" 2 "'x' is too much" "$ctl" -i "$name" status x
	expect "stats takes no word" 2 "'x' is too much" "$ctl" -i "$name" stats x
	expect "maps has no option" 2 "no option '--all'" "$ctl" -i "$name" maps --all
	expect "top count" 2 "'-1' is no number from 1 to" "$ctl" -i "$name" top --count -1
	expect "top never" 2 "'0' is no number from 1 to" "$ctl" -i "$name" top --count 0
	expect "shutdown drain" 2 "'soon' is no number from" "$ctl" -i "$name" shutdown --drain soon
	expect "drain too long" 2 "no number from 0 to 86400" "$ctl" -i "$name" shutdown --drain 86401
	expect "help" 0 "attach IFACE" "$ctl" help
	expect "help of one" 0 "example: amt-ctl attach" "$ctl" help attach
	expect "help by option" 0 "example: amt-ctl attach" "$ctl" -i "$name" attach --help
	expect "help of none" 2 "no command 'fly'" "$ctl" help fly
	expect "amt-ctl version" 0 "^amt-ctl [0-9]" "$ctl" -V
}

# What can never be is wrong usage, whether amtd runs or not.
amt_ctl_attach_usage() {
	local attach=("$ctl" -i "$name" attach)

	expect "attach without name" 2 "wants the name" "${attach[@]}"
	expect "attach two" 2 "one interface at a time" "${attach[@]}" a b
	expect "attach unknown option" 2 "no option '--up'" "${attach[@]}" a --up
	expect "attach, no name" 2 "'a/b' is no interface; write a name" "${attach[@]}" a/b
	expect "attach, long name" 2 "is no interface" "${attach[@]}" sixteen-or-more-x
	expect "mode" 2 "mode 'bogus' is none of auto, xdp, tc" "${attach[@]}" a --mode bogus
	expect "mode by =" 2 "mode 'bogus' is none of" "${attach[@]}" a --mode=bogus
	expect "mode without value" 2 "--mode wants a value" "${attach[@]}" a --mode
	expect "attach gateway" 3 "is not running" "${attach[@]}" a --gateway --relay b
	expect "relay without value" 2 "--relay wants a value" "${attach[@]}" a --relay
	expect "relay of none" 2 "'224.1.1.1' is no relay: write" "${attach[@]}" a --gateway \
		--relay 224.1.1.1
	expect "relays of a relay" 2 "named for a gateway" "${attach[@]}" a --relay 192.0.2.1
	expect "two kinds of role" 2 "roles of a relay's interface" "${attach[@]}" a --gateway --uplink
	expect "nine relays" 2 "9 relays are too many; name 8" "${attach[@]}" a --gateway \
		--relay a --relay b --relay c --relay d --relay e --relay f --relay g --relay h --relay i
	expect "detach without name" 2 "one interface, or --all" "$ctl" -i "$name" detach
	expect "detach both" 2 "one interface, or --all" "$ctl" -i "$name" detach a --all
	expect "detach, no name" 2 "is no interface" "$ctl" -i "$name" detach a/b
}

amt_ctl_address_usage() {
	local verify=("$ctl" -i "$name" verify)

	expect "tunnels of no address" 2 "'x' is no address; write one such as" "$ctl" tunnels x
	expect "tunnels, mistyped" 2 "'192.0.2' is no address" "$ctl" tunnels 192.0.2
	expect "groups of no address" 2 "'x' is no address" "$ctl" groups x
	expect "groups of no group" 2 "'192.0.2.1' is no group that can be routed" "$ctl" groups 192.0.2.1
	expect "two groups" 2 "'232.1.1.2' is too much" "$ctl" groups 232.1.1.1 232.1.1.2
	expect "verify without group" 2 "wants --group" "${verify[@]}" --source 192.0.2.1
	expect "verify timeout" 2 "'x' is no number" "${verify[@]}" --group 232.1.1.1 --timeout x
	expect "verify without amtd" 3 "is not running" "${verify[@]}" --group 232.1.1.1
	expect "verify no group" 2 "no group that can be routed" "${verify[@]}" --group 224.0.0.1
	expect "verify no source" 2 "'x' is no address" "${verify[@]}" --group 232.1.1.1 --source x
	expect "verify, families" 2 "can be no source of this group" "${verify[@]}" \
		--group 232.1.1.1 --source 2001:db8::1
	expect "verify no relay" 2 "no relay: write" "${verify[@]}" --group 232.1.1.1 --relay '?'
	expect "verify a word" 2 "'232.1.1.1' is too much" "${verify[@]}" 232.1.1.1
}

amtd_usage() {
	expect "amtd help" 0 "usage: amtd" "$amtd" -h
	expect "amtd version" 0 "^amtd [0-9]" "$amtd" -V
	expect "amtd unknown option" 2 "no option '-x' here; see amtd -h" "$amtd" -tx
	expect "amtd unknown long option" 2 "no option '--fly' here" "$amtd" --fly
	expect "amtd option without its value" 2 "-f wants a value" "$amtd" -t -f
	expect "amtd too much" 2 "'x' is too much; see amtd -h" "$amtd" -t x
	expect "amtd instance name" 2 "'a/b' is no name of an instance" "$amtd" -i a/b -t
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

help_options() { # help_options COMMAND...: letters and names as mdoc(7) writes them: i, -json
	"$@" | grep -oE '(^|[[ ])--?[a-zA-Z][a-z-]*' | sed 's/^[[ ]*-//' | sort -u
}

manuals() {
	local maps names command
	mapfile -t maps < <(sed -n 's/^} \([a-z0-9_]*\) SEC(".maps").*/\1/p' bpf/maps.h)
	manual_names "amt-maps(7) names every map" man/amt-maps.7 '^\.It Va (.* )?%s( |$)' "${maps[@]}"
	mapfile -t names < <(help_options "$ctl" help)
	manual_names "amt-ctl(8) names every option" man/amt-ctl.8 'Fl (. , )?%s( |$)' "${names[@]}"
	mapfile -t names < <(help_options "$amtd" -h)
	manual_names "amtd(8) names every option" man/amtd.8 '^\.It Fl (. , )?%s( |$)' "${names[@]}"
	for command in gateways send receive; do
		mapfile -t names < <(help_options "$load" $command --help)
		manual_names "amt-load(8) names every option of $command" man/amt-load.8 \
			'Fl (. , )?%s( |$)' "${names[@]}"
	done
	mapfile -t names < <("$ctl" help | sed -n 's/^  \([a-z][a-z]*\) .*/\1/p')
	manual_names "amt-ctl(8) names every command" man/amt-ctl.8 '^\.It Ic %s' "${names[@]}"
	manual_names "completion names every command" scripts/completion/amt-ctl \
		'commands="(.* )?%s( |")' "${names[@]}"
}

amt_ctl_usage
amt_ctl_attach_usage
amt_ctl_address_usage
amtd_usage
amtd_check
amtd_without_root
manuals
exit $failed
