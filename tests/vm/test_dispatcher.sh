#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Our program and somebody else's on one interface: libxdp's dispatcher, which needs a kernel with
# freplace, runs both; a program without dispatcher is never evicted.
source "$(dirname "$0")/../e2e/lib.sh"
topology
port=6001 # packets for it are the other program's to drop

other_load() { # xdp-filter, which drops UDP to $port
	on relay xdp-filter load --mode native up0 || skip "xdp-filter does not load here"
	on relay xdp-filter port "$port" --mode dst --proto udp
}

# The other program's verdict, by its own statistics.
others_drops() {
	on relay xdp-filter status | awk '$1 == "XDP_DROP" { print $2 }'
}

in_dispatcher() { # in_dispatcher: the programs' names, sorted
	on relay xdp-loader status up0 | awk '$1 == "=>" { print $3 }' | sort | paste -sd ' '
}

expect_programs() { # expect_programs NAMES
	local names
	names=$(in_dispatcher)
	[ "$names" = "$1" ] || fail "on up0: '$names' instead of '$1': $(on relay xdp-loader status up0)"
}

# A kernel without freplace has no dispatcher: nothing to share. Since 6.12, kernels refuse a program
# that changes packets in place of a function that does not, as those of libxdp 1.3's dispatcher are.
dispatcher_needed() { # with ours alone on up0
	on relay xdp-loader status up0 | grep -q xdp_dispatcher && return
	skip "libxdp's dispatcher does not take our program on this kernel"
}

# Copies of what the other program passes on, and none of what it drops.
both_run() {
	local drops before
	drops=$(others_drops)
	gateways_start g 4 -r "$relay4" -n 4 -S 10.2.1.1 --in-order --expect 40 "$source4,232.1.1.1"
	expect_path 232.1.1.1 'xdp*'
	before=$(stat copies_out)
	send -g 232.1.1.1 -n 20 -r 1M -p "$port"
	wait_for 30 dropped $((drops + 20)) || fail "the other program dropped $(others_drops) packets"
	send -g 232.1.1.1 -n 40 -r 1M
	gateways_good g
	expect "copies out" "$(stat copies_out)" -eq $((before + 160))
}

dropped() { # dropped N
	[ "$(others_drops)" -ge "$1" ]
}

other_unload() {
	on relay xdp-filter unload up0 2>/dev/null || true
}

# It was there first; ours comes, is made anew, and goes.
beside_an_earlier_one() {
	trap other_unload EXIT
	relay_start "$(relay_conf 'mode = xdp')"
	dispatcher_needed
	relay_stop
	other_load
	relay_start "$(relay_conf 'mode = xdp')"
	expect_programs 'amt_ingress xdpfilt_alw_all'
	both_run
	kill -KILL "$relay_pid"
	wait "$relay_pid" || true
	relay_start "$(relay_conf 'mode = xdp')"
	expect_programs 'amt_ingress xdpfilt_alw_all'
	both_run
	ctl detach up0 >/dev/null
	expect_programs xdpfilt_alw_all
	relay_stop
	expect_programs xdpfilt_alw_all
	on relay xdp-loader status down0 | grep -q 'No XDP program' || fail "something stays on down0"
}

# Ours was there first; the other comes and goes.
beside_a_later_one() {
	trap other_unload EXIT
	relay_start "$(relay_conf 'mode = xdp')"
	dispatcher_needed
	expect_programs amt_ingress
	other_load
	expect_programs 'amt_ingress xdpfilt_alw_all'
	both_run
	on relay xdp-filter unload up0
	expect_programs amt_ingress
	gateways_start h 1 -r "$relay4" -S 10.2.1.9 --in-order --expect 40 "$source4,232.1.1.2"
	send -g 232.1.1.2 -n 40 -r 1M
	gateways_good h
}

program_on_up0() {
	ip -n "$net_id-relay" -j link show dev up0 | jq '.[0].xdp.prog.id'
}

# A program without the dispatcher: it stays. We say so, or serve by TC, where we may choose.
without_dispatcher() {
	local id out
	printf '__attribute__((section("xdp"))) int pass(void *context)\n{\n\treturn 2;\n}\n' |
		clang -target bpf -O2 -x c -c - -o "$net_dir/pass.o"
	on relay bpftool prog load "$net_dir/pass.o" "/sys/fs/bpf/$net_id-pass" type xdp
	trap 'rm -f /sys/fs/bpf/$net_id-pass; ip -n "$net_id-relay" link set dev up0 xdpdrv off' EXIT
	on relay bpftool net attach xdpdrv pinned "/sys/fs/bpf/$net_id-pass" dev up0
	id=$(program_on_up0)
	relay_start "$(relay_conf)"
	out=$(ctl attach up0 --mode xdp 2>&1) && fail "attached where another program is"
	grep -q 'up0 has another XDP program' <<<"$out" || fail "the error says: $out"
	expect "the other program" "$(program_on_up0)" -eq "$id"
	gateways_start g 4 -r "$relay4" -n 4 -S 10.2.1.1 --in-order --expect 40 "$source4,232.1.1.1"
	expect_path 232.1.1.1 tc
	send -g 232.1.1.1 -n 40 -r 1M
	gateways_good g
	datapath_clean
	relay_stop
	expect "the other program" "$(program_on_up0)" -eq "$id"
}

run_case "libxdp's dispatcher: a program is there, ours comes, restarts and goes" beside_an_earlier_one
run_case "libxdp's dispatcher: ours is there, another comes and goes" beside_a_later_one
run_case "a foreign XDP program without dispatcher stays" without_dispatcher
finish
