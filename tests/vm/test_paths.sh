#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Every packet path of this kernel once, end to end, and what only a distribution's kernel has:
# libxdp's dispatcher, VLAN devices. Short: a guest without KVM is slow.
source "$(dirname "$0")/../e2e/lib.sh"
topology

# Before Linux 6.3 nobody says whether a veth takes XDP frames: `mode = xdp` does.
channel4=$source4,232.1.1.1

# stream PATH OUTER INNER GATEWAYS [CONF_LINE...]
stream() {
	local path=$1 outer=$2 channel=$source4,232.1.1.1 n=$4
	[ "$3" = 4 ] || channel=$source6,ff3e::8000:1
	shift 4
	relay_start "$(relay_conf "$@")"
	stream_pass "$path" "$outer" "$channel" "$n"
}

stream_pass() { # stream_pass PATH OUTER CHANNEL GATEWAYS: 60 packets to each
	# shellcheck disable=SC2046
	gateways_start g "$4" -r "$(outer_relay "$2")" -n "$4" $(outer_sources "$2" 32) \
		--in-order --expect 60 "$3"
	expect_path "${3#*,}" "$1"
	send -g "${3#*,}" -n 60 -r 1M
	gateways_good g
	expect "copies out" "$(stat copies_out)" -eq $((60 * $4))
	datapath_clean
}

# amtd goes, by a signal or without a word, and the next one adopts what flows.
restart() { # restart SIGNAL
	local sender
	relay_start "$(relay_conf 'mode = xdp')"
	gateways_start g 4 -r "$relay4" -n 4 -S 10.2.1.1 --in-order --expect 400 "$channel4"
	send -g 232.1.1.1 -n 400 -r 400k &
	sender=$!
	kill "-$1" "$relay_pid"
	wait "$relay_pid" || true
	relay_start "$(relay_conf 'mode = xdp')"
	status_is .adopted || fail "not adopted"
	expect_path 232.1.1.1 'xdp*'
	wait "$sender"
	gateways_good g
}

# Somebody else's program is on our upstream first: both run, and ours never evicts it.
dispatcher() {
	on relay xdp-filter load --mode native up0 >/dev/null || skip "xdp-filter does not load here"
	trap 'on relay xdp-filter unload up0 || true' EXIT
	on relay xdp-loader status up0 | grep -q xdp_dispatcher ||
		skip "this kernel has no freplace, which libxdp's dispatcher is made of"
	relay_start "$(relay_conf 'mode = xdp')"
	on relay xdp-loader status up0
	expect "programs in the dispatcher" "$(on relay xdp-loader status up0 |
		grep -cE '(xdpfilt|amt_ingress)')" -eq 2
	stream_pass 'xdp*' 4 "$channel4" 4
	relay_stop
	on relay xdp-loader status up0 | grep xdpfilt || fail "the other program is gone"
	not on relay sh -c 'xdp-loader status up0 | grep amt_'
}

# A program without the dispatcher: it stays, and packets go by TC.
foreign() {
	on relay ip link set dev up0 xdpdrv obj \
		"/usr/lib/$(gcc -print-multiarch)/bpf/xdpdump_xdp.o" sec xdp ||
		skip "no foreign program loads here"
	trap 'on relay ip link set dev up0 xdpdrv off' EXIT
	local id
	id=$(ip -n "$net_id-relay" -j link show dev up0 | jq .[0].xdp.prog.id)
	relay_start "$(relay_conf)"
	stream_pass tc 4 "$channel4" 4
	expect "the foreign program" \
		"$(ip -n "$net_id-relay" -j link show dev up0 | jq .[0].xdp.prog.id)" -eq "$id"
}

# Upstream and uplink are VLAN devices, which have no XDP of their own.
vlans() {
	modprobe 8021q 2>/dev/null || skip "this kernel has no VLAN devices"
	local name
	for name in 'src src0' 'relay up0' 'relay down0' 'gw gw0'; do
		# shellcheck disable=SC2086
		vlan_add $name
	done
	net_addr src src0.7 10.11.0.1/24
	net_addr relay up0.7 10.11.0.254/24
	net_addr relay down0.7 10.12.0.1/24
	net_addrs gw gw0.7 10.12.0. 11 14 24
	{
		echo 'relay { address = {"10.12.0.1"}'
		echo ' upstream = {"up0.7"}'
		echo ' uplink = {"down0.7"} }'
	} >"$net_dir/vlan.conf"
	relay_start "$net_dir/vlan.conf"
	gateways_start g 4 -r 10.12.0.1 -n 4 -S 10.12.0.11 -S 10.12.0.12 --in-order --expect 60 \
		10.11.0.1,232.1.1.1
	ctl groups
	on src "$build/amt-load" send -I src0.7 -S 10.11.0.1 --quiet -g 232.1.1.1 -n 60 -r 1M
	gateways_good g
	datapath_clean
}

vlan_add() { # vlan_add NAME IF
	ip -n "$net_id-$1" link add link "$2" name "$2.7" type vlan id 7
	ip -n "$net_id-$1" link set dev "$2.7" up
}

run_case "XDP: IPv4 over IPv4" stream xdp 4 4 2 'mode = xdp'
run_case "XDP: IPv6 over IPv6" stream 'xdp*' 6 6 4 'mode = xdp'
run_case "XDP: IPv4 over IPv6" stream 'xdp*' 6 4 4 'mode = xdp'
run_case "XDP: 100 gateways" stream xdp-recirculated 4 4 100 'mode = xdp'
run_case "TC: IPv4 over IPv4" stream tc 4 4 4 'mode = tc'
run_case "TC: IPv6 over IPv6, 40 gateways" stream tc 6 6 40 'mode = tc'
run_case "restart: amtd ends and is adopted, nothing is lost" restart TERM
run_case "restart: amtd is killed and is adopted, nothing is lost" restart KILL
run_case "XDP beside another program in libxdp's dispatcher" dispatcher
run_case "a foreign XDP program without dispatcher stays" foreign
run_case "VLAN devices as upstream and uplink" vlans
finish
