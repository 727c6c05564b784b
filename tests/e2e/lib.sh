# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# What every end-to-end test sources. A test makes its namespaces, then runs cases:
#
#   source "$(dirname "$0")/lib.sh"
#   topology
#   my_case() { ...; }            # fails by a failing command, or says why by `fail WHY`
#   run_case "what must hold" my_case ARG...
#   finish
#
# See tests/run for what is printed and the exit status. KEEP=1 keeps the logs of a failed run.
set -euo pipefail
e2e_top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=../../scripts/netns.sh
source "$e2e_top/scripts/netns.sh"
net_begin "${AMT_BUILD:-$e2e_top/build}"
e2e_patience=30 # seconds that a tool of the test may take to start
e2e_passed=0 e2e_failed=0 e2e_skipped=0
if [ -n "${AMT_TEST_VALGRIND:-}" ]; then
	# shellcheck source=lib_valgrind.sh
	source "$e2e_top/tests/e2e/lib_valgrind.sh"
	valgrind_begin
fi

if [ -n "${AMT_TEST_SESSIONS:-}" ]; then
	# shellcheck source=lib_sessions.sh
	source "$e2e_top/tests/e2e/lib_sessions.sh"
fi

for e2e_tool in jq tshark dumpcap; do
	command -v "$e2e_tool" >/dev/null || net_die "$e2e_tool is missing; run scripts/setup test"
done
for e2e_tool in amtd amt-ctl amt-load; do
	[ -x "$build/$e2e_tool" ] || net_die "$build/$e2e_tool is missing; run make"
done

# ---- cases ----

fail() { # fail WHY
	echo "FAIL: $*"
	exit 1
}

skip() { # skip WHY: this case cannot be tried here
	echo "SKIP: $*"
	exit 77
}

run_case() { # run_case NAME FUNCTION [ARG...]
	run_step "$@"
	case_end
}

# As run_case, but what runs is left to the next one: a relay that several cases share. The last one
# is a run_case, or case_end is called.
run_step() { # run_step NAME FUNCTION [ARG...]
	local name=$1 log=$net_dir/case.log status
	shift
	[ -z "${AMT_TEST_SESSIONS:-}" ] || sessions_begin
	: >"$relay_log"
	set +e # "if" would switch off errexit inside the case
	(
		set -e
		"$@"
	) >"$log" 2>&1
	status=$?
	set -e
	case $status in
	0)
		echo "ok $name"
		e2e_passed=$((e2e_passed + 1))
		;;
	77)
		echo "skip $name: $(sed -n 's/^SKIP: //p' "$log" | tail -n 1)"
		e2e_skipped=$((e2e_skipped + 1))
		;;
	*)
		echo "not ok $name: $(case_reason "$status" "$log")"
		sed 's/^/# /' "$log"
		[ ! -s "$relay_log" ] || tail -n 20 "$relay_log" | sed 's/^/# amtd: /'
		e2e_failed=$((e2e_failed + 1))
		;;
	esac
}

case_reason() { # case_reason STATUS LOG
	local why
	why=$(sed -n 's/^FAIL: //p' "$2" | tail -n 1)
	[ -n "$why" ] || why="ended with status $1: $(tail -n 1 "$2")"
	echo "$why"
}

# Whatever the case left behind: the next one starts with an empty relay.
case_end() {
	[ -z "${AMT_TEST_SESSIONS:-}" ] || sessions_end
	relays_end
	if [ -s "$relay_log" ] && grep -qE 'ERROR: AddressSanitizer|runtime error:|LeakSanitizer' \
		"$relay_log"; then
		echo "not ok amtd is clean under sanitizers: $(grep -m1 -E 'ERROR|runtime' "$relay_log")"
		e2e_failed=$((e2e_failed + 1))
	fi
	[ -z "${AMT_TEST_VALGRIND:-}" ] || valgrind_judge
}

not() { # not COMMAND...
	! "$@"
}

finish() {
	[ -z "${AMT_TEST_SESSIONS:-}" ] || sessions_write
	[ "$e2e_failed" -eq 0 ] || exit 1
	[ "$e2e_passed" -gt 0 ] || [ "$e2e_skipped" -eq 0 ] || exit 77
	exit 0
}

expect_fail() { # expect_fail STATUS COMMAND...
	local wanted=$1 status=0
	shift
	"$@" || status=$?
	[ "$status" -eq "$wanted" ] || fail "'$*' ended with $status instead of $wanted"
}

# expect WHAT ACTUAL OPERATOR VALUE: numbers, with test(1)'s operators
expect() {
	test "$2" "$3" "$4" || fail "$1 is $2, not $3 $4"
}

# ---- source - relay - gateways ----

source4=10.1.0.1 source6=2001:db8:1::1
relay4=10.2.0.1 relay6=2001:db8:2::1

#  src [src0] --- [up0] relay [down0] --- [gw0] gw
# The source has .1 and .2 (two senders of one group), gateways have 10.2.1.1 .. 10.2.1.32 and
# 2001:db8:2::1:1 .. ::1:32.
topology() {
	net_add src relay gw
	net_link src src0 relay up0
	net_link relay down0 gw gw0
	net_addr src src0 $source4/24 10.1.0.2/24 $source6/64 2001:db8:1::2/64
	net_addr relay up0 10.1.0.254/24 2001:db8:1::fe/64
	net_addr relay down0 $relay4/16 $relay6/64
	net_addrs gw gw0 10.2.1. 1 32 16
	net_addrs gw gw0 2001:db8:2::1: 1 32 64
}

outer_relay() { # outer_relay 4|6
	if [ "$1" = 4 ]; then echo "$relay4"; else echo "$relay6"; fi
}

outer_sources() { # outer_sources 4|6 N: N gateway addresses as options
	local n
	for ((n = 1; n <= $2; n++)); do
		if [ "$1" = 4 ]; then echo "-S 10.2.1.$n"; else echo "-S 2001:db8:2::1:$n"; fi
	done
}

# With AMT_TEST_SHIELD=off every relay of the tests is without the shield: a line of each
# configuration, and a configuration for the relay that is started without one.
shield_line() {
	[ "${AMT_TEST_SHIELD:-on}" = on ] || echo '    shield = false'
}

if [ "${AMT_TEST_SHIELD:-on}" != on ]; then
	relay_default=$net_dir/default.conf
	printf 'relay {\n%s\n}\n' "$(shield_line)" >"$relay_default"
fi

# relay_conf [LINE...]: a configuration for topology; LINEs go into the relay section.
relay_conf() {
	local conf=$net_dir/amtd.conf
	{
		echo 'relay {'
		echo "    address = {\"$relay4\", \"$relay6\"}"
		echo '    upstream = {"up0"}'
		echo '    uplink = {"down0"}'
		shield_line
		printf '    %s\n' "$@"
		echo '}'
	} >"$conf"
	echo "$conf"
}

stat() { # stat COUNTER
	ctl --json stats | jq -e ".counters.$1"
}

at_least() { # at_least COUNTER N
	[ "$(stat "$1")" -ge "$2" ]
}

status_is() { # status_is JQ_CONDITION
	ctl --json status | jq -e "$1" >/dev/null
}

stats_zero() { # stats_zero COUNTER...: none of them counted anything
	local counter value
	for counter in "$@"; do
		value=$(stat "$counter") || fail "there is no counter $counter"
		[ "$value" -eq 0 ] || fail "$counter is $value"
	done
}

# No packet lost on the way through the packet path.
datapath_clean() {
	stats_zero xmit_drops cursor_lost redirect_failed nexthop_unresolved endpoint_invalid \
		headroom malformed wrong_upstream clone_failed gso_refused event_lost ttl_expired \
		too_big
	# one checksum in 65,536 looks like an unfinished one
	expect checksum_unfinished "$(stat checksum_unfinished)" -le 4
}

group_path() { # group_path GROUP: xdp, xdp-recirculated or tc
	ctl --json groups "$1" | jq -r '.groups[0].path'
}

expect_path() { # expect_path GROUP PATTERN
	local path
	path=$(group_path "$1")
	# shellcheck disable=SC2053 # a pattern
	[[ $path == $2 ]] || fail "$1 goes by $path instead of $2: $(ctl groups)"
}

# ---- load ----

# Gateways in the background; returns when all have sent their joins and the relay has as many
# tunnels as expected. gateways_start NAME TUNNELS OPTION...
gateways_start() {
	local name=$1 tunnels=$2
	shift 2
	rm -f "$net_dir/$name.ready"
	# shellcheck disable=SC2046
	$(where gw) "$build/amt-load" gateways --quiet --json --list --ready "$net_dir/$name.ready" \
		"$@" >"$net_dir/$name.json" 2>"$net_dir/$name.err" &
	echo $! >"$net_dir/$name.pid"
	wait_for 30 test -e "$net_dir/$name.ready" ||
		fail "$name: gateways are not ready: $(cat "$net_dir/$name.err")"
	wait_for 10 status_is ".tunnels >= $tunnels" ||
		fail "$name: $(ctl --json status | jq .tunnels) tunnels instead of $tunnels"
}

gateways_signal() { # gateways_signal NAME SIGNAL
	kill "-$2" "$(cat "$net_dir/$1.pid")"
}

# Everything that was sent is on its way to the gateways: no more copies come.
copies_rest() {
	local before=-1 now
	while now=$(stat copies_out) && [ "$now" != "$before" ]; do
		before=$now
		sleep 0.3
	done
}

# Ends gateways after streams of PACKETS: each has FLOWS streams, and every packet of each once.
# gateways_have NAME FLOWS PACKETS
gateways_have() {
	local wrong
	gateways_signal "$1" INT
	gateways_good "$1"
	wrong=$(figure "$1" "[.each[] | select((.flows | length) != $2 or
		any(.flows[]; .packets != $3)) | \"\(.name): \([.flows[] |
		\"\(.source),\(.group) \(.packets)\"] | join(\" \"))\"] | join(\"; \")")
	[ -z "$wrong" ] || fail "$1: not $2 streams of $3 packets: $wrong"
}

# Waits for the end; the exit status is amt-load's. Those to whom nothing comes wait for ever: a
# minute after the stream they are told to judge what they have. gateways_end NAME
gateways_end() {
	local status=0 pid
	pid=$(cat "$net_dir/$1.pid")
	wait_for 60 not kill -0 "$pid" || kill -TERM "$pid"
	wait "$pid" || status=$?
	cat "$net_dir/$1.err"
	return $status
}

figure() { # figure NAME JQ: out of the summary
	jq -r "$2" "$net_dir/$1.json"
}

# Every packet of every stream once, in order, whole, and nothing else. gateways_good NAME
gateways_good() {
	local status=0
	gateways_end "$1" || status=$?
	[ "$status" -eq 0 ] && return
	ctl stats --nonzero
	fail "$1: status $status, $(figure "$1" '[to_entries[] |
		select(.key | IN("missing", "duplicate", "foreign", "damaged", "different", "silent",
			"reordered", "stale", "socket_drops", "established", "gateways", "packets")) |
		"\(.key) \(.value)"] | join(", ")')"
}

send() { # send OPTION...: a stream from the source
	on src "$build/amt-load" send -I src0 -S $source4 -S $source6 --quiet "$@"
}

# ---- captures ----

# capture_start NAME NAMESPACE INTERFACE [FILTER]
capture_start() {
	rm -f "$net_dir/$1.capture" # an earlier case's says that a capture runs
	# shellcheck disable=SC2046
	$(where "$2") dumpcap -q -i "$3" -s 0 -B 64 -f "${4:-}" -w "$net_dir/$1.pcapng" \
		>/dev/null 2>"$net_dir/$1.capture" &
	echo $! >"$net_dir/$1.pid"
	wait_for $e2e_patience grep -q '^File:' "$net_dir/$1.capture" ||
		fail "capture does not start: $(cat "$net_dir/$1.capture")"
}

capture_stop() { # capture_stop NAME
	sleep 0.3 # dumpcap gets its ring in blocks; it runs, or waits to, while there is one
	wait_for 20 capture_rests "$(cat "$net_dir/$1.pid")" || true
	kill -INT "$(cat "$net_dir/$1.pid")"
	wait "$(cat "$net_dir/$1.pid")" || true
}

capture_rests() { # capture_rests PID
	[ "$(awk '{ print $3 }' "/proc/$1/stat")" = S ]
}

capture_read() { # capture_read NAME TSHARK_OPTION...
	local name=$1
	shift
	# the streams' own content is no protocol, whatever tshark's heuristics find in it
	tshark -n -r "$net_dir/$name.pcapng" -o ip.check_checksum:TRUE -o udp.check_checksum:TRUE \
		-d udp.port==5001,data "$@" 2>/dev/null
}

capture_count() { # capture_count NAME DISPLAY_FILTER
	capture_read "$1" -Y "$2" -T fields -e frame.number | wc -l
}

# tshark finds nothing wrong: no malformed packet, every IP, UDP, IGMP and ICMPv6 checksum right.
capture_judge() { # capture_judge NAME
	local bad
	[ "$(capture_count "$1" frame)" -gt 0 ] || fail "capture $1 is empty"
	bad=$(capture_read "$1" -Y '_ws.malformed || _ws.short || ip.checksum.status == 0 ||
		udp.checksum.status == 0 || igmp.checksum.status == 0 ||
		icmpv6.checksum.status == 0' | head -n 3)
	[ -z "$bad" ] || fail "tshark: $bad"
}
