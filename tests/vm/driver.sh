# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154 # net_id and net_dir are of scripts/netns.sh
# The Linux kernel's own AMT driver, whose module AMT_DRIVER is: loaded, and as a relay with a
# multicast router (smcrouted) that brings it the streams, as on a real host. For the tests and the
# benchmark with it, after net_begin.

driver_load() {
	# modules that are loaded by name only, where the modules' aliases are not read
	modprobe -a nf_tables nft_chain_nat nft_masq nf_nat 2>/dev/null || true
	modprobe -a udp_tunnel ip6_udp_tunnel
	grep -q '^amt ' /proc/modules || insmod "$AMT_DRIVER"
}

# A relay between up0 and down0 of a namespace, for channels. driver_relay NAME ADDRESS SOURCE,GROUP...
driver_relay() {
	local name=$1 address=$2 channel
	shift 2
	on "$name" sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 \
		net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.up0.rp_filter=0
	ip -n "$net_id-$name" link add amtr type amt mode relay local "$address" dev down0 \
		relay_port 2268 max_tunnels 128
	ip -n "$net_id-$name" link set dev amtr up
	{
		printf 'phyint %s enable\n' up0 amtr
		for channel in "$@"; do
			echo "mroute from up0 source ${channel%,*} group ${channel#*,} to amtr"
		done
	} >"$net_dir/smcroute.conf"
	# shellcheck disable=SC2046
	$(where "$name") smcrouted -n -N -i "$net_id" -f "$net_dir/smcroute.conf" -l info \
		-P "$net_dir/smcroute.own.pid" -u "$net_dir/smcroute.sock" \
		>"$net_dir/smcroute.log" 2>&1 &
	echo $! >"$net_dir/smcrouted.pid"
	wait_for 60 driver_routes "$name" $# ||
		net_die "no multicast routes: $(cat "$net_dir/smcroute.log")"
}

driver_routes() { # driver_routes NAME N
	[ "$({
		ip -n "$net_id-$1" mroute
		ip -n "$net_id-$1" -6 mroute
	} | grep -c 'Oifs: amtr')" -eq "$2" ]
}

driver_relay_end() { # driver_relay_end NAME
	kill "$(cat "$net_dir/smcrouted.pid")" || true
	wait_for 60 not kill -0 "$(cat "$net_dir/smcrouted.pid")"
	ip -n "$net_id-$1" link del amtr 2>/dev/null || true
}
