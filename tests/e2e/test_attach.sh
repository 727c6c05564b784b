#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Attaching and detaching: beside programs of others, with changed roles, to one interface for all,
# to interfaces that vanish and return, and to an uplink that drops.
# shellcheck disable=SC2317 # cases are called by their names
source "$(dirname "$0")/lib.sh"
topology
command -v clang >/dev/null || net_die "clang is missing; run scripts/setup"

channels=("$source4,232.1.1.1" "$source6,ff3e::8000:1")
stream=(-g 232.1.1.1 -g ff3e::8000:1 -s 200 -r 400k)

# ---- programs of somebody else: both let everything pass ----

foreign_object() {
	clang -target bpf -O2 -c -x c - -o "$net_dir/foreign.o" <<-'END'
		__attribute__((section("xdp"), used)) int foreign_xdp(void *ctx) { return 2; }
		__attribute__((section("tc"), used)) int foreign_tc(void *ctx) { return -1; }
		char _license[] __attribute__((section("license"))) = "GPL";
	END
}

foreign_xdp() { # foreign_xdp IF
	ip -n "$net_id-relay" link set dev "$1" xdpdrv obj "$net_dir/foreign.o" sec xdp
}

foreign_tc() { # foreign_tc IF
	on relay tc qdisc add dev "$1" clsact
	on relay tc filter add dev "$1" ingress pref 10 bpf da obj "$net_dir/foreign.o" sec tc
}

foreign_off() {
	ip -n "$net_id-relay" link set dev up0 xdp off
	ip -n "$net_id-relay" link set dev down0 xdp off
	on relay tc qdisc del dev up0 clsact 2>/dev/null || true
}

# What is attached where: one line for each program, without that of the internal pair.
hooks() {
	on relay bpftool -j net show | jq -r '.[0] | (.xdp + .tc)[] |
		select(.devname | startswith("amtr-") | not) | "\(.devname) \(.id)"' | sort |
		while read -r interface id; do
			echo "$interface $id $(bpftool -j prog show id "$id" | jq -r .name)"
		done
}

ours() { # ours IF: how many of the programs there are of amtd
	hooks | grep -c "^$1 .* amt_" || true
}

# ---- streams ----

gateways() { # gateways NAME OPTION...: four, two of each family
	gateways_start "$1" 4 -n 4 -r "$relay4" -r "$relay6" -S 10.2.1.1 -S 10.2.1.2 \
		-S 2001:db8:2::1:1 -S 2001:db8:2::1:2 "${@:2}" "${channels[@]}"
}

flows() { # whole, to all of them
	gateways g --expect 100
	send -n 100 "${stream[@]}"
	gateways_good g
	datapath_clean
}

path_is() { # path_is PATTERN: of all groups
	ctl --json groups | jq -e --arg path "$1" '.groups | length > 0 and
		all(.path | test($path))' >/dev/null
}

one_line() { # one_line PATTERN STATUS COMMAND...: what is said by a command that fails
	local pattern=$1 wanted=$2 said status=0
	shift 2
	said=$("$@" 2>&1) || status=$?
	echo "$said"
	expect "status of '$*'" "$status" -eq "$wanted"
	expect "lines" "$(wc -l <<<"$said")" -eq 1
	grep -qE "$pattern" <<<"$said" || fail "says nothing of $pattern"
}

# ---- beside others ----

xdp_refused() { # xdp_refused IF ROLE
	local before
	foreign_xdp "$1"
	before=$(hooks)
	relay_start
	one_line 'another XDP program' 1 ctl attach "$1" "--$2" --mode xdp
	status_is '.interfaces == []' || fail "it is attached nevertheless"
	[ "$(hooks)" = "$before" ] || fail "half-attached: $(hooks)"
	not grep clsact < <(on relay tc qdisc show dev "$1") || fail "a clsact is left"
	ctl shutdown
	wait "$relay_pid" || true
	# shellcheck disable=SC2046 # the same by configuration
	one_line 'another XDP program' 1 $(where relay) "$build/amtd" -n -i "$instance" \
		-f "$(relay_conf 'mode = xdp')"
	not test -e "/sys/fs/bpf/amt/$instance" || fail "pins are left"
	[ "$(hooks)" = "$before" ] || fail "half-attached: $(hooks)"
}

auto_beside() { # auto_beside IF PATH: which path remains
	local before
	foreign_xdp "$1"
	before=$(hooks)
	relay_start "$(relay_conf)"
	gateways g --expect 100
	path_is "$2" || fail "path is $(ctl --json groups | jq -r '.groups[].path')"
	status_is '.interfaces[] | select(.interface == "'"$1"'") |
		.why | test("another XDP program")' || fail "status does not say why"
	send -n 100 "${stream[@]}"
	gateways_good g
	datapath_clean
	[ -z "$(comm -23 <(echo "$before") <(hooks))" ] || fail "evicted: $before; now $(hooks)"
	ctl shutdown
	[ "$(hooks)" = "$before" ] || fail "after the shutdown: $(hooks)"
}

detach_ours() {
	local before
	foreign_xdp down0
	foreign_tc up0
	before=$(hooks)
	relay_start "$(relay_conf)"
	expect "programs of ours on up0" "$(ours up0)" -eq 2
	flows
	ctl detach up0
	expect "programs of ours on up0" "$(ours up0)" -eq 0
	ctl detach --all
	[ "$(hooks)" = "$before" ] || fail "after detach: $(hooks)"
	one_line 'not attached' 1 ctl detach up0
	ctl attach up0 --upstream
	ctl attach down0 --uplink
	flows
}

# ---- roles ----

roles_are() { # roles_are IF UPSTREAM UPLINK
	status_is ".interfaces | length == 1 and .[0].interface == \"$1\" and
		.[0].upstream == $2 and .[0].uplink == $3" ||
		fail "roles are $(ctl --json status | jq -c '.interfaces')"
}

other_roles() {
	relay_start
	ctl attach down0 --upstream
	roles_are down0 true false
	expect "programs of ours" "$(ours down0)" -eq 2
	ctl attach down0 --uplink
	roles_are down0 false true
	expect "programs of ours" "$(ours down0)" -eq 1 # TC is for what comes in
	ctl attach down0
	roles_are down0 true true
	ctl attach down0 --uplink --mode tc
	roles_are down0 false true
	expect "programs of ours" "$(ours down0)" -eq 0
	ctl attach down0 --uplink --mode xdp
	ctl attach up0 --upstream
	ctl attach up0 --upstream
	expect "programs of ours on up0" "$(ours up0)" -eq 2
	expect "programs of ours on down0" "$(ours down0)" -eq 1
	flows
}

unknown() {
	relay_start
	one_line 'no interface nope' 1 ctl attach nope --uplink
	status_is '.interfaces == []' || fail "something is attached"
	expect "warnings" "$(grep -cE 'warning|error' "$relay_log" || true)" -eq 0
}

one_armed() { # one_armed MODE: source and gateways are behind the same interface
	relay_start
	ctl attach down0 --mode "$1"
	wait_for 10 status_is '.addresses | length == 2' || fail "no addresses"
	channels=("10.2.1.9,232.1.1.1" "2001:db8:2::1:9,ff3e::8000:1")
	gateways g --expect 100
	on gw "$build/amt-load" send -I gw0 -S 10.2.1.9 -S 2001:db8:2::1:9 --quiet -n 100 \
		"${stream[@]}"
	gateways_good g
	expect "copies out" "$(stat copies_out)" -eq 800
	expect "packets in" "$(stat packets_in)" -eq 200
	datapath_clean
}

# ---- interfaces that go and come ----

remake_uplink() {
	ip -n "$net_id-relay" link del down0
	wait_for 10 status_is '.interfaces[] | select(.interface == "down0") | .xdp == false' ||
		fail "the loss is not noticed"
	net_link relay down0 gw gw0
	net_addr relay down0 "$relay4/16" "$relay6/64"
	net_addrs gw gw0 10.2.1. 1 32 16
	net_addrs gw gw0 2001:db8:2::1: 1 32 64
}

remake_upstream() {
	ip -n "$net_id-relay" link del up0
	wait_for 10 status_is '.interfaces[] | select(.interface == "up0") | .xdp == false' ||
		fail "the loss is not noticed"
	net_link src src0 relay up0
	net_addr src src0 "$source4/24" 10.1.0.2/24 "$source6/64" 2001:db8:1::2/64
	net_addr relay up0 10.1.0.254/24 2001:db8:1::fe/64
}

joined_upstream() {
	on relay cat /proc/net/igmp | grep -q '010101E8' # 232.1.1.1
}

resolved() {
	ctl --json tunnels | jq -e '.tunnels | length == 4 and all(.mac != null)' >/dev/null
}

# The tunnels stay, and are served again without a word from the gateways.
made_anew() { # made_anew IF REMAKE MODE
	relay_start "$(relay_conf "mode = $3")"
	gateways g --expect 100 --idle 60
	joined_upstream || fail "the group is not joined"
	"$2"
	wait_for 15 status_is '.interfaces[] | select(.interface == "'"$1"'") | .xdp or .tc or
		.mode == "tc"' || fail "$1 is not attached again"
	wait_for 15 resolved || fail "the gateways are not reached again"
	wait_for 15 joined_upstream || fail "the group is not joined again"
	send -n 100 "${stream[@]}"
	gateways_good g
}

# ---- an interface whose driver has no XDP: generic XDP is never used ----

bridge_up0() {
	ip -n "$net_id-relay" link add br0 type bridge mcast_snooping 0
	ip -n "$net_id-relay" addr flush dev up0 scope global
	ip -n "$net_id-relay" link set up0 master br0
	ip -n "$net_id-relay" link set br0 up
	net_addr relay br0 10.1.0.254/24 2001:db8:1::fe/64
}

bridge_off() {
	ip -n "$net_id-relay" link del br0
	net_addr relay up0 10.1.0.254/24 2001:db8:1::fe/64
}

no_native_xdp() {
	local conf=$net_dir/bridge.conf
	relay_conf >/dev/null
	sed 's/up0/br0/' "$net_dir/amtd.conf" >"$conf"
	relay_start "$conf"
	gateways g --expect 100
	send -n 100 "${stream[@]}"
	path_is '^tc$' || fail "path is $(ctl --json groups | jq -r '.groups[].path')"
	status_is '.interfaces[] | select(.interface == "br0") | .tc and .xdp == false and
		(.why | test("native XDP"))' || fail "status does not say why: $(ctl status)"
	gateways_good g
	datapath_clean
	one_line 'native XDP' 1 ctl attach br0 --upstream --mode xdp
}

# ---- an uplink that drops ----

drops() {
	[ "$(stat xmit_drops)" -gt 0 ]
}

# The uplink's driver refuses copies: here because its peer takes less than its own MTU says.
uplink_drops() {
	relay_start "$(relay_conf)"
	status_is .xmit_drops_counted || skip "this kernel does not let amtd count them"
	gateways g
	ctl status | grep 'xmit_drops 0$' || fail "a hint without a reason"
	ip -n "$net_id-gw" link set dev gw0 mtu 1300
	send -n 50 -g 232.1.1.1 -s 1400
	wait_for 10 drops || fail "none is counted"
	sleep 0.3
	expect xmit_drops "$(stat xmit_drops)" -eq 200
	ctl status | grep -E 'xmit_drops 200 \(.*MTU' || fail "status does not say what to do"
	gateways_signal g INT
	gateways_end g || true
	ip -n "$net_id-gw" link set dev gw0 mtu 1500
}

# A veth takes frames of XDP only while its peer polls (GRO): when that is switched off TC carries
# the packets, which status says, and XDP again afterwards.
uplink_without_gro() {
	relay_start "$(relay_conf)"
	gateways g
	path_is '^xdp' || fail "the path is not XDP at first"
	on gw ethtool -K gw0 gro off
	wait_for 10 path_is '^tc$' || fail "it is not noticed"
	ctl status | grep -E 'down0.*GRO' || fail "status does not say what to do"
	send -n 100 -i 1 "${stream[@]}"
	sleep 0.3
	on gw ethtool -K gw0 gro on
	wait_for 10 path_is '^xdp' || fail "XDP is not used again"
	send -n 100 -i 2 "${stream[@]}"
	sleep 0.5
	gateways_signal g INT
	gateways_good g
	expect "whole streams" "$(figure g '[.each[].flows[] | select(.packets == 100)] | length')" \
		-eq 16
	datapath_clean
}

foreign_object
attach_case() {
	run_case "$@"
	foreign_off
}
attach_case "a foreign program upstream: mode xdp fails" xdp_refused up0 upstream
attach_case "a foreign program on the uplink: mode xdp fails" xdp_refused down0 uplink
attach_case "a foreign program upstream: auto takes TC" auto_beside up0 '^tc$'
attach_case "a foreign program on the uplink: copies pass it by" auto_beside down0 '^xdp'
attach_case "detach removes ours only" detach_ours
attach_case "attach again with other roles" other_roles
bridge_up0
attach_case "upstream is a bridge: TC, never generic XDP" no_native_xdp
bridge_off
attach_case "an unknown interface" unknown
for mode in xdp tc; do
	attach_case "$mode: one interface for all, no configuration" one_armed $mode
	attach_case "$mode: the uplink is made anew" made_anew down0 remake_uplink $mode
	attach_case "$mode: upstream is made anew" made_anew up0 remake_upstream $mode
done
attach_case "an uplink that drops" uplink_drops
attach_case "an uplink whose peer stops to poll" uplink_without_gro
finish
