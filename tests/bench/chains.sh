# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154 # shared with tests/bench/run
# The chains that the fan-out sections share: a source, a relay and gateways for each path.

gateway_base=10.2.1.
chains_up=0
declare -A relay_pids=()

make_chain() { # make_chain NAME
	net_add "$1-src" "$1-relay" "$1-gw"
	net_link "$1-src" src0 "$1-relay" up0
	net_link "$1-relay" down0 "$1-gw" gw0
	net_addr "$1-src" src0 10.1.0.1/24
	net_addr "$1-relay" up0 10.1.0.254/24
	net_addr "$1-relay" down0 10.2.0.1/16
	net_addrs "$1-gw" gw0 $gateway_base 1 4 16
	# silence: nothing but what is measured
	local part interface
	for part in src:src0 relay:up0 relay:down0 gw:gw0; do
		on "$1-${part%:*}" sysctl -q -w "net.ipv6.conf.${part#*:}.disable_ipv6=1"
	done
	# packets of the stack go through the host's backlog unless GRO polls: without it they
	# are cheaper, and XDP's transmit needs it (or XDP) on its receiver only
	case $1 in
	tc | sendmmsg | driver) for part in relay:up0 gw:gw0; do
		interface=${part#*:}
		on "$1-${part%:*}" ethtool -K "$interface" gro off
	done ;;
	esac
}

start_relay() { # start_relay NAME: amtd in a chain, with the chain's name as its mode
	cat >"$net_dir/$1.conf" <<-CONF
		relay {
		    address = {"10.2.0.1"}
		    upstream = {"up0"}
		    uplink = {"down0"}
		    mode = $1
		    max-groups-per-tunnel = 1000
		}
	CONF
	relay_start "$net_dir/$1.conf" "$1-relay" || net_die "amtd does not start in mode $1"
	relay_pids[$1]=$relay_pid
}

group_of() { # group_of N: N gateways want it; 232.9.x.y, N = x * 256 + y
	echo "232.9.$(($1 / 256)).$(($1 % 256))"
}

tunnels() { # tunnels NAME
	instance=$net_id-$1-relay ctl --json status | jq .tunnels
}

tunnels_are() { # tunnels_are NAME N
	[ "$(tunnels "$1")" -eq "$2" ]
}

# Gateways that join one group in a chain, and stay. join NAME N TUNNELS_AFTER
join() {
	# shellcheck disable=SC2046
	$(where "$1-gw") "$build/amt-load" gateways -r 10.2.0.1 -n "$2" -b 65536 -S ${gateway_base}1 \
		-R 3600 --quiet "10.1.0.1,$(group_of "$2")" >/dev/null 2>&1 &
	disown
	wait_for 30 tunnels_are "$1" "$3" ||
		net_die "$1: $(tunnels "$1") tunnels instead of $3"
}

measure() { # measure [OPTION...] PATH:N...
	# shellcheck disable=SC2046
	"$build/tests/bench/measure" -r "$rounds" -R "$plain_pid" "$net_id" "$@"
}

chains_make() { # once, by the first section that wants them
	local chain n all=0
	[ $chains_up -eq 0 ] || return 0
	chains_up=1
	for chain in xdp tc sendmmsg bound sender; do
		make_chain "$chain"
	done
	start_relay xdp
	start_relay tc
	# shellcheck disable=SC2046
	$(where sendmmsg-relay) "$build/tests/bench/plain_relay" up0 10.2.0.1 ${gateway_base}1 \
		40000 &
	plain_pid=$!
	for n in 1 3 4 8 64 256 1024; do
		all=$((all + n))
		join xdp $n $all
	done
	all=0
	for n in 1 8 64 256; do
		all=$((all + n))
		join tc $n $all
	done
}
