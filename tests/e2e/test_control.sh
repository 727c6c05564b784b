#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# amtd and amt-ctl together: start, stop, restart, crash, shutdown, hostile clients, long answers.
# One namespace for the relay, one for gateways; no packets of a stream.
# shellcheck disable=SC2317 # cases are called by their names
set -euo pipefail
cd "$(dirname "$0")/../.."
build=$PWD/${AMT_BUILD:-build}
[[ ${AMT_BUILD:-} != /* ]] || build=$AMT_BUILD
id=control$$
log=$(mktemp)
failed=0
# a daemon has no standard error to report to
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}log_path=$log.sanitizer

on_relay() { nsenter --net="/run/netns/$id-r" "$@"; }
on_gateways() { nsenter --net="/run/netns/$id-g" "$@"; }
ctl() { on_relay "$build/amt-ctl" -i "$id" "$@"; }
field() { ctl --json status | jq -r "$1"; }
raw() { on_relay socat -t 5 - "UNIX-CONNECT:/run/amt/$id.sock"; }
# not in the background: its exit status is the start's
amtd() { on_relay "$build/amtd" -i "$id" "$@" >>"$log" 2>&1 </dev/null; }

cleanup() {
	ctl shutdown >/dev/null 2>&1 || { amtd && ctl shutdown >/dev/null 2>&1; } || true
	ip netns del "$id-r" 2>/dev/null || true
	ip netns del "$id-g" 2>/dev/null || true
	rm -f "$log" "$log".*
}

set_up() {
	ip netns add "$id-r"
	ip netns add "$id-g"
	ip link add eth0 netns "$id-r" type veth peer name eth0 netns "$id-g"
	ip link add eth1 netns "$id-r" type veth peer name eth1 netns "$id-g"
	ip -n "$id-r" addr add 192.0.2.1/24 dev eth0
	ip -n "$id-r" link set lo up
	ip -n "$id-r" link set eth0 up
	ip -n "$id-r" link set eth1 up
	ip -n "$id-g" addr add 192.0.2.10/24 dev eth0
	ip -n "$id-g" addr add 192.0.2.11/24 dev eth0
	ip -n "$id-g" addr add 192.0.2.12/24 dev eth0
	ip -n "$id-g" addr add 192.0.2.13/24 dev eth0
	ip -n "$id-g" link set eth0 up
	ip -n "$id-g" link set eth1 up
	nsenter --net="/run/netns/$id-g" ethtool -K eth0 gro on >/dev/null
}

# run NAME FUNCTION: a case ends at its first command that fails
run() {
	local status=0
	set +e
	(
		set -e
		"$2"
	) >"$log.case" 2>&1
	status=$?
	set -e
	if [ $status -eq 0 ]; then
		echo "ok $1"
	else
		echo "not ok $1: $(tail -n 1 "$log.case")"
		sed 's/^/# /' "$log.case" "$log"
		failed=1
	fi
	rm -f "$log.case"
}

# same WANT GOT
same() { [ "$1" = "$2" ] || { echo "expected '$1', got '$2'" && return 1; }; }

# fails STATUS PATTERN COMMAND...
fails() {
	local want=$1 pattern=$2 status=0 said
	shift 2
	said=$("$@" 2>&1) || status=$?
	same "$want" "$status"
	grep -qE -e "$pattern" <<<"$said" || { echo "says: $said" && return 1; }
}

within() { # within SECONDS COMMAND...: until it succeeds
	local tries=$(($1 * 10))
	shift
	while ! "$@" >/dev/null 2>&1; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || { echo "not within time: $*" && return 1; }
		sleep 0.1
	done
}

gone() { ! kill -0 "$1" 2>/dev/null; }

# ---- cases ----

starts() {
	amtd
	same "$id" "$(field .instance)"
	same false "$(field .adopted)"
	same 600 "$(stat -c %a "/run/amt/$id.sock")"
}

refuses_second() {
	: >"$log"
	fails 1 "" amtd -n
	grep -q 'another amtd has instance' "$log"
	same "$id" "$(field .instance)"
}

drops_capabilities() {
	local pid
	pid=$(field .pid)
	# CAP_NET_ADMIN 12, CAP_NET_RAW 13, CAP_SYS_ADMIN 21, CAP_PERFMON 38, CAP_BPF 39
	same 000000c000203000 "$(awk '/CapPrm/ { print $2 }' "/proc/$pid/status")"
	same 000000c000203000 "$(awk '/CapBnd/ { print $2 }' "/proc/$pid/status")"
}

attaches() {
	ctl attach eth1 --upstream | grep -E '^eth1 +yes +no +no +auto'
	ctl attach eth0 --uplink --mode tc | grep -E '^eth0 +no +yes +no +tc'
	same "192.0.2.1 2268" "$(field '.addresses[] | "\(.address) \(.port)"')"
	same "eth1 eth0" "$(field '[.interfaces[].interface] | join(" ")')"
	same false "$(field '.interfaces[1].xdp')"
	ctl attach eth0 # roles and mode change
	same "true true auto" "$(field '.interfaces[1] | "\(.upstream) \(.uplink) \(.mode)"')"
	ctl attach eth0 --uplink
}

refuses_what_is_not_there() {
	fails 1 'no interface nope' ctl attach nope
	fails 1 'nope' ctl detach nope
	fails 1 '"error":.*nope' ctl --json detach nope
}

refused() { # refused PATTERN REQUEST: amtd itself answers so
	raw <<<"$2" | jq -r .error | grep -E -e "$1"
}

# amt-ctl does not even ask; other programs may.
refuses_what_cannot_be() {
	fails 2 "mode 'fast' is none of" ctl attach eth0 --mode fast
	refused "mode 'fast' is none of" '{"command":"attach","interface":"eth0","mode":"fast"}'
	refused "'a/b' is no interface" '{"command":"attach","interface":"a/b"}'
	refused "roles of a relay" '{"command":"attach","interface":"eth0","gateway":true,"uplink":true}'
	refused "for a gateway" '{"command":"attach","interface":"eth0","relay":["192.0.2.1"]}'
	refused "'224.1.1.1' is no relay" \
		'{"command":"attach","interface":"eth0","gateway":true,"relay":["224.1.1.1"]}'
	refused "'' is no relay" '{"command":"attach","interface":"eth0","gateway":true,"relay":[1]}'
	refused "9 relays are too many" '{"command":"attach","interface":"eth0","gateway":true,"relay":'"$(
		jq -cn '[range(9) | "relay\(.)"]'
	)}"
	refused "'x' is no address" '{"command":"tunnels","address":"x"}'
	refused "'192.0.2.1' is no group" '{"command":"groups","group":"192.0.2.1"}'
}

# columns_are_members FIRST FILTER COMMAND...: each column of the table that begins with FIRST is a
# member of the object that FILTER finds in the answer
columns_are_members() {
	local first=$1 filter=$2 columns
	shift 2
	columns=$(ctl "$@" | grep "^$first ")
	# shellcheck disable=SC2086 # a list of words
	same '[]' "$(ctl --json "$@" | jq -c "[\$ARGS.positional[]] - ($filter | keys)" --args $columns)"
}

same_names() {
	columns_are_members interface '.interfaces[0]' status
	columns_are_members address '.addresses[0]' status
	columns_are_members interface '.interfaces[0]' attach eth0 --uplink
	columns_are_members gateway '.tunnels[0]' tunnels
	columns_are_members group '.groups[0]' groups
	columns_are_members gateway '.groups[0].tunnels[0]' groups 239.1.1.1
	columns_are_members map '.maps[0]' maps
	same "$(ctl --json stats | jq -r '.counters | keys_unsorted[]')" \
		"$(ctl stats | awk '$1 == "loop:" { exit } NR > 1 { print $1 }')"
}

manual_names_members() { # amt-ctl(8) against every member of every answer
	local name missing="" words
	words=$(sed -n '/^.Ss Members/,/^.Sh/p' man/amt-ctl.8 | tr -c 'a-z_' ' ')
	for name in $(
		for command in status maps "tunnels 192.0.2.10" "groups 239.1.1.1"; do
			# shellcheck disable=SC2086 # a command and its argument
			ctl --json $command
		done | jq -r '[paths | .[] | strings] | unique[]'
	); do
		[[ " $words " == *" $name "* ]] || missing+=" $name"
	done
	same "" "$missing"
}

maps_are_pinned() {
	local path
	for path in $(ctl --json maps | jq -r '.maps[].path'); do
		[ -e "$path" ] || { echo "$path is not there" && return 1; }
	done
}

survives_rubbish() {
	head -c 100000 /dev/urandom | raw >/dev/null || true
	head -c 5000000 /dev/zero | raw >/dev/null || true
	head -c 100000 /dev/zero | raw >/dev/null || true
	same '{"error":"the request is longer than 4096 octets"}' "$(head -c 9000 /dev/zero | tr '\0' x | raw)"
	printf '{"command":"sta' | raw | grep 'not JSON'
	printf '{"command":"status"}' | raw | jq -e .pid
	printf '{"command":"status","x":1}\n' | raw | grep 'wrong arguments'
	printf '{"command":"attach","interface":7}\n' | raw | grep 'wrong arguments'
	printf '{"command":"shutdown","drain":-1}\n' | raw | grep 'from 0 to'
	for _ in $(seq 20); do
		on_relay timeout 3 socat -u "UNIX-CONNECT:/run/amt/$id.sock" - >/dev/null 2>&1 &
	done
	sleep 1
	fails 1 'too many clients' ctl status
	wait
	same "$id" "$(field .instance)"
}

restarts() {
	local pid tunnels
	on_gateways "$build/amt-load" gateways -q -r 192.0.2.1 -n 5 --end none -d 2 239.1.1.1 \
		>/dev/null || true
	same 5 "$(field .tunnels)"
	tunnels=$(ctl --json tunnels | jq -c '[.tunnels[] | [.gateway, .port]] | sort')
	pid=$(field .pid)
	: >"$log"
	kill -TERM "$pid"
	within 5 gone "$pid"
	fails 3 'is not running' ctl
	[ -e "/sys/fs/bpf/amt/$id/tunnels" ]
	amtd
	same true "$(field .adopted)"
	same "eth1 eth0" "$(field '[.interfaces[].interface] | join(" ")')"
	same "$tunnels" "$(ctl --json tunnels | jq -c '[.tunnels[] | [.gateway, .port]] | sort')"
	same 239.1.1.1 "$(ctl --json groups 239.1.1.1 | jq -r '.groups[].group')"
}

survives_crash() {
	local pid holder
	pid=$(field .pid)
	holder=$(field .upstream.holder_pid)
	kill -KILL "$pid"
	within 5 gone "$pid"
	[ -S "/run/amt/$id.sock" ] # a stale one
	fails 3 'is not running' ctl
	kill -0 "$holder"
	amtd
	same "$holder" "$(field .upstream.holder_pid)"
	same 5 "$(field .tunnels)"
}

ignores_hangup() {
	local pid
	pid=$(field .pid)
	kill -HUP "$pid"
	sleep 0.3
	same "$pid" "$(field .pid)"
}

detaches() {
	same "detached 1" "$(ctl detach eth1)"
	same "detached 1" "$(ctl detach --all)"
	same 0 "$(field '.interfaces | length')"
	ctl | grep 'no interface is attached: amt-ctl attach IFACE'
	ctl attach eth1 --upstream
	ctl attach eth0 --uplink
}

shows_top() {
	ctl top --count 2 | grep -E '^239.1.1.1 +\* +5 '
	fails 2 'for people' ctl top --json
}

# what is answered while the client is slow must not pile up in amtd, nor block it
answers_at_length() {
	on_gateways "$build/amt-load" gateways -q -r 192.0.2.1 -n 10000 --start-rate 2500 \
		-S 192.0.2.11 -S 192.0.2.12 -S 192.0.2.13 -b 8192 -d 12 --end none 239.1.1.1 \
		>/dev/null 2>&1 || true
	same 10005 "$(field .tunnels)"
	same 10005 "$(ctl --json tunnels | jq '.tunnels | map(.id) | unique | length')"
	same 10006 "$(ctl tunnels | wc -l)"
	same 10005 "$(ctl --json groups 239.1.1.1 | jq '.groups[0].tunnels | length')"
	echo '{"command":"tunnels"}' | raw | {
		sleep 1
		same 10005 "$(field .tunnels)"
		same 10005 "$(jq '.tunnels | length')"
	}
}

shuts_down() {
	local pid holder
	pid=$(field .pid)
	holder=$(field .upstream.holder_pid)
	ctl shutdown
	within 5 gone "$pid"
	within 5 gone "$holder"
	[ ! -e "/sys/fs/bpf/amt/$id" ]
	[ ! -e "/run/amt/$id.sock" ]
	[ ! -e "/run/amt/$id.upstream" ]
	same 3 "$(on_relay ip -o link | wc -l)" # lo, eth0, eth1: the internal pair is gone
	fails 3 'is not running' ctl
}

drains() {
	local waiting pid
	amtd
	pid=$(field .pid)
	ctl shutdown --drain 2 &
	waiting=$!
	sleep 0.5
	same true "$(field .draining)"
	wait "$waiting"
	within 5 gone "$pid"
}

starts_by_file() {
	cat >"$log.conf" <<-END
		relay {
			address = 192.0.2.1
			uplink = eth0
			upstream = {eth1}
			port = 3268
		}
	END
	amtd -f "$log.conf"
	same "192.0.2.1 3268 true" "$(field '.addresses[] | "\(.address) \(.port) \(.configured)"')"
	same "eth0 eth1" "$(field '[.interfaces[].interface] | sort | join(" ")')"
	ctl shutdown
	rm -f "$log.conf"
}

tells_failed_start() {
	echo 'relay { address = 203.0.113.250 }' >"$log.conf"
	: >"$log"
	fails 1 "" amtd -f "$log.conf"
	grep -q '203.0.113.250' "$log"
	fails 3 "" ctl
	rm -f "$log.conf"
}

sanitizers_are_silent() {
	cat "$log".sanitizer* 2>/dev/null || return 0
	return 1
}

trap cleanup EXIT
set_up || exit 99
run "start in the background" starts
run "a second amtd of the same name is refused" refuses_second
run "capabilities are dropped" drops_capabilities
run "attach" attaches
run "errors are one line and status 1" refuses_what_is_not_there
run "what cannot be is refused, by amtd too" refuses_what_cannot_be
run "maps are pinned where maps says" maps_are_pinned
run "rubbish and too many clients" survives_rubbish
run "SIGTERM and restart" restarts
run "tables and JSON share their names" same_names
run "amt-ctl(8) names every member" manual_names_members
run "SIGKILL and restart" survives_crash
run "SIGHUP" ignores_hangup
run "top" shows_top
run "10,000 tunnels are listed" answers_at_length
run "detach" detaches
run "shutdown leaves nothing" shuts_down
run "shutdown with drain" drains
run "interfaces and addresses of a file" starts_by_file
run "a start that fails says so" tells_failed_start
run "sanitizers have nothing to report" sanitizers_are_silent
exit $failed
