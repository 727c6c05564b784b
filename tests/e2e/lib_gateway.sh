# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# What the end-to-end tests of a gateway have in common: a host that runs the gateway and programs
# behind it; in front of it two relays of one source and a NAT router (two_relays), or one relay and
# nothing in between (beside_relay). Sourced in place of lib.sh.
# shellcheck disable=SC2034,SC2119 # for those who source it; arguments are optional
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

#        +-- [up0] relay  [down0] --+
#  src --+                          +-- router (NAT) [inside] --- [gw0] gw
#        +-- [up0] relay2 [down0] --+
relay4b=10.3.0.1
ssm4=232.1.1.1 ssm6=ff3e::8000:1 asm4=239.1.1.1 asm6=ff1e::1:1
channels=("$source4,$ssm4" "$source6,$ssm6")

two_relays() {
	net_add src relay relay2 router gw
	net_link src src0 relay up0
	net_link src src1 relay2 up0
	ip -n "$net_id-src" link add br0 type bridge mcast_snooping 0
	ip -n "$net_id-src" link set src0 master br0
	ip -n "$net_id-src" link set src1 master br0
	ip -n "$net_id-src" link set br0 up
	net_link relay down0 router out0
	net_link relay2 down0 router out1
	net_addr src br0 $source4/24 $source6/64
	net_addr relay up0 10.1.0.254/24 2001:db8:1::fe/64
	net_addr relay2 up0 10.1.0.253/24 2001:db8:1::fd/64
	net_addr relay down0 $relay4/24 $relay6/64
	net_addr relay2 down0 $relay4b/24
	net_addr router out0 10.2.0.254/24 2001:db8:2::fe/64
	net_addr router out1 10.3.0.254/24
	inside_link
	net_masquerade router 'out*'
}

inside_link() {
	net_link router inside gw gw0
	net_addr router inside 192.168.7.1/24 fd00:7::1/64
	net_addr gw gw0 192.168.7.2/24 fd00:7::2/64
	ip -n "$net_id-gw" route add default via 192.168.7.1
	ip -n "$net_id-gw" -6 route add default via fd00:7::1
}

gctl() { # the gateway's amt-ctl
	"$build/amt-ctl" -i "$net_id-gw" "$@"
}

gateway_is() { # gateway_is JQ_CONDITION
	gctl --json status | jq -e "$1" >/dev/null
}

gateway_stat() { # gateway_stat COUNTER
	gctl --json stats | jq -e ".counters.$1"
}

relays_up() { # relays_up [LINE...]: the first relay, with LINEs in its section
	relay_start "$(relay_conf "$@")"
}

second_relay_up() { # second_relay_up [LINE...]
	{
		echo 'relay {'
		echo "    address = {\"$relay4b\"}"
		echo '    upstream = {"up0"}'
		echo '    uplink = {"down0"}'
		shield_line
		printf '    %s\n' "$@"
		echo '}'
	} >"$net_dir/relay2.conf"
	relay_start "$net_dir/relay2.conf" relay2
}

# A gateway by one line: gateway_up RELAY...
gateway_up() {
	local options=() relay
	for relay in "$@"; do
		options+=(--relay "$relay")
	done
	relay_start "" gw
	gctl attach gw0 --gateway "${options[@]}" >/dev/null
	wait_for 10 gateway_is '.state == "up"' || fail "the relay does not answer: $(gctl status)"
}

gateway_conf() { # gateway_conf LINE...
	{
		echo 'gateway {'
		printf '    %s\n' 'uplink = gw0' "$@"
		echo '}'
	} >"$net_dir/gateway.conf"
}

# A gateway by a configuration: gateway_up_by LINE...
gateway_up_by() {
	gateway_conf "$@"
	relay_start "$net_dir/gateway.conf" gw
	wait_for 20 gateway_is '.state == "up"' || fail "the relay does not answer: $(gctl status)"
}

# An ordinary program that joins on amt0. listener_start NAME OPTION... CHANNEL...
listener_start() {
	local name=$1
	shift
	rm -f "$net_dir/$name.ready"
	# shellcheck disable=SC2046
	$(where gw) "$build/amt-load" receive -I amt0 --json --list --ready "$net_dir/$name.ready" \
		"$@" >"$net_dir/$name.json" 2>"$net_dir/$name.err" &
	echo $! >"$net_dir/$name.pid"
	wait_for 10 test -e "$net_dir/$name.ready" || fail "$name: $(cat "$net_dir/$name.err")"
}

listener_good() { # listener_good NAME
	local status=0
	wait "$(cat "$net_dir/$1.pid")" || status=$?
	[ "$status" -eq 0 ] && return
	gctl stats --nonzero
	gctl groups
	fail "$1: status $status: $(cat "$net_dir/$1.json" "$net_dir/$1.err")"
}

# Ends a listener that waits for no end, and says what it has: listener_stop NAME
listener_stop() {
	kill -INT "$(cat "$net_dir/$1.pid")"
	wait "$(cat "$net_dir/$1.pid")" || true
	[ -s "$net_dir/$1.json" ] || fail "$1 says nothing: $(cat "$net_dir/$1.err")"
}

# Relays forward what the gateway joined. forwards CHANNELS [INSTANCE]
forwards() {
	"$build/amt-ctl" -i "${2:-$net_id}" --json status | jq -e ".channels >= $1"
}

stream() { # stream OPTION...: as `send`, which leaves by the bridge
	on src "$build/amt-load" send -I br0 -S $source4 -S $source6 --quiet "$@"
}

# A stream without end, until stream_stop. stream_start OPTION...
stream_start() {
	# shellcheck disable=SC2046
	$(where src) "$build/amt-load" send -I br0 -S $source4 -S $source6 --quiet -n 0 "$@" &
	stream_pid=$!
}

stream_stop() {
	kill -INT "$stream_pid"
	wait "$stream_pid" || true
}

packets_are() { # packets_are N: so many have come to amt0 at least
	gateway_is ".traffic.packets >= $1"
}

packets_come() { # packets_come N: so many more come
	local now
	now=$(gctl --json status | jq .traffic.packets)
	wait_for 60 packets_are $((now + $1)) || fail "no more packets come: $(gctl status)"
}

datapath_clean_relay() {
	instance=$net_id
	datapath_clean
}

amt0_ifindex() {
	on gw ip -o link show amt0 | cut -d: -f1
}

tunnels() { # of the first relay
	"$build/amt-ctl" -i "$net_id" --json status | jq .tunnels
}

no_tunnel() {
	[ "$(tunnels)" -eq 0 ]
}

# ---- a gateway at a known endpoint beside its relay, for what is forged ----

port=40000
local4=10.2.1.1 local6=2001:db8:2::1:1
other4=10.2.0.66 other6=2001:db8:2::66 # at the relay's host, but no relay

beside_relay() {
	topology
	net_addr relay down0 $other4/16 $other6/64
}

# gateway_beside MODE OUTER [LINE...]: LINEs of its section; comes back before the relay answers
gateway_beside() {
	local mode=$1 outer=$2
	shift 2
	gateway_conf "mode = $mode" "relay = {\"$(outer_relay "$outer")\"}" "local-port = $port" \
		"source-ipv4 = $local4" "source-ipv6 = $local6" "$@"
	relay_start "$net_dir/gateway.conf" gw
}

endpoint() { # endpoint 4|6: the gateway's address
	if [ "$1" = 4 ]; then echo "$local4"; else echo "$local6"; fi
}

inner() { # inner 4|6: the channel, for forge
	if [ "$1" = 4 ]; then
		echo "source=$source4 group=$ssm4"
	else
		echo "source=$source6 group=$ssm6"
	fi
}

# Data from the relay's own address and port. forge OUTER INNER STEP...
forge() {
	forge_from "$(outer_relay "$1")" "$@"
}

forge_from() { # forge_from ADDRESS OUTER INNER STEP...
	local from=$1 outer=$2 of=$3
	shift 3
	# shellcheck disable=SC2046 # words without blanks
	on relay "$build/tests/e2e/forge" "$(endpoint "$outer")" $port "$from" $(inner "$of") "$@"
}
