# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154 # shared with tests/bench/run
# The chains that the fan-out sections share: a source, a relay and gateways for each path.

gateway_base=10.2.1.
chains_up=0
declare -A relay_pids=() plain_pids=() joined=() tunnels_of=()

make_chain() { # make_chain NAME: xdp6's gateways are on IPv6, all the rest is IPv4
	net_add "$1-src" "$1-relay" "$1-gw"
	net_link "$1-src" src0 "$1-relay" up0
	net_link "$1-relay" down0 "$1-gw" gw0
	net_addr "$1-src" src0 10.1.0.1/24
	net_addr "$1-relay" up0 10.1.0.254/24
	net_addr "$1-relay" down0 10.2.0.1/16
	net_addrs "$1-gw" gw0 $gateway_base 1 4 16
	# silence: nothing but what is measured
	local part interface parts=(src:src0 relay:up0 relay:down0 gw:gw0)
	if [ "$1" = xdp6 ]; then
		net_addr "$1-relay" down0 fd02::1/64
		net_addr "$1-gw" gw0 fd02::1:1/64
		parts=(src:src0 relay:up0)
	fi
	for part in "${parts[@]}"; do
		on "$1-${part%:*}" sysctl -q -w "net.ipv6.conf.${part#*:}.disable_ipv6=1"
	done
	# packets of the stack go through the host's backlog unless GRO polls: without it they
	# are cheaper, and XDP's transmit needs it (or XDP) on its receiver only
	case $1 in
	tc | sendmmsg | segment | driver) for part in relay:up0 gw:gw0; do
		interface=${part#*:}
		on "$1-${part%:*}" ethtool -K "$interface" gro off
	done ;;
	esac
}

start_relay() { # start_relay NAME: amtd in a chain, with the chain's name as its mode
	local address=10.2.0.1
	[ "$1" != xdp6 ] || address=fd02::1
	cat >"$net_dir/$1.conf" <<-CONF
		relay {
		    address = {"$address"}
		    upstream = {"up0"}
		    uplink = {"down0"}
		    mode = ${1%6}
		    spread-groups = true
		    max-groups-per-tunnel = 1000
		    max-tunnels-per-address = 10000
		    max-tunnels = 150000
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

# N gateways that join their group in a chain, and stay, for each N that has none yet. join NAME N...
join() {
	local name=$1 relay=10.2.0.1 n sources=()
	for n in 1 2 3 4; do # the relay bounds Requests and tunnels of an address
		sources+=(-S "$gateway_base$n")
	done
	[ "$name" != xdp6 ] || relay=fd02::1 sources=(-S fd02::1:1)
	for n in "${@:2}"; do
		[ -z "${joined[$name:$n]:-}" ] || continue
		joined[$name:$n]=1
		tunnels_of[$name]=$((${tunnels_of[$name]:-0} + n))
		# shellcheck disable=SC2046
		$(where "$name-gw") "$build/amt-load" gateways -r $relay -n "$n" -b 65536 \
			"${sources[@]}" -R 3600 --start-rate 2500 --quiet \
			"10.1.0.1,$(group_of "$n")" >/dev/null 2>&1 &
		disown
		wait_for 60 tunnels_are "$name" "${tunnels_of[$name]}" ||
			net_die "$name: $(tunnels "$name") tunnels instead of ${tunnels_of[$name]}"
	done
}

# The userspace relay in a chain, that is sendmmsg or segment. start_plain NAME
start_plain() {
	local segment=()
	[ "$1" != segment ] || segment=(segment)
	# shellcheck disable=SC2046
	$(where "$1-relay") "$build/tests/bench/plain_relay" up0 10.2.0.1 ${gateway_base}1 40000 \
		"${segment[@]}" &
	plain_pids[$1]=$!
}

measure() { # measure [OPTION...] PATH:N...
	local name pids=()
	for name in "${!plain_pids[@]}"; do
		pids+=(-R "$name=${plain_pids[$name]}")
	done
	"$build/tests/bench/measure" -r "$rounds" "${pids[@]}" "$net_id" "$@"
}

chains_make() { # once, by the first section that wants them
	local chain
	[ $chains_up -eq 0 ] || return 0
	chains_up=1
	for chain in xdp xdp6 tc sendmmsg segment bound sender; do
		make_chain "$chain"
	done
	# as a network card that computes checksums, and gets packets that are cut up already
	on segment-relay ethtool -K down0 tx on tx-udp-segmentation off >/dev/null
	start_relay xdp
	start_relay xdp6
	start_relay tc
	start_plain sendmmsg
	start_plain segment
}
