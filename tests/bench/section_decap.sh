# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154 # shared with tests/bench/run
# What a packet costs a gateway, by XDP, by TC, and by a plain userspace loop into a TUN interface.

section decap "what a packet costs a gateway: XDP, TC, and recvmmsg with a TUN interface"

# A relay's side and a gateway's for each path, and a network between them whose frames are as a
# driver's with native XDP; silent but for what is measured.
decap_make() {
	local path part mac
	for path in xdp tc tun sender; do
		net_add "decap-$path-relay" "decap-$path-net" "decap-$path-gw"
		net_link "decap-$path-relay" relay0 "decap-$path-net" in0
		net_link "decap-$path-net" out0 "decap-$path-gw" gw0
		net_addr "decap-$path-relay" relay0 10.2.0.1/16
		net_addr "decap-$path-gw" gw0 10.2.1.1/16
		for part in relay:relay0 net:in0 net:out0 gw:gw0; do
			on "decap-$path-${part%:*}" sysctl -q -w "net.ipv6.conf.${part#*:}.disable_ipv6=1"
		done
		mac=$(ip -n "$net_id-decap-$path-gw" -j link show gw0 | jq -r '.[0].address')
		ip -n "$net_id-decap-$path-relay" neigh add 10.2.1.1 lladdr "$mac" dev relay0
	done
}

decap_table() { # decap_table FILE
	jq -r '.rows as $rows | $rows[] | . as $r
		| ($rows[] | select(.path == "tun" and .payload == $r.payload) | .ns_per_packet) as $tun
		| [.payload, .path, .ns_per_packet, $tun / .ns_per_packet, .delivered * 100] | @tsv' \
		"$1" | sort -k1,1n -s |
		awk -F'\t' 'BEGIN { printf "%8s  %-6s %14s %10s %10s\n", "payload", "path",
			"ns per packet", "tun/this", "delivered" }
			{ printf "%8d  %-6s %14.1f %10.2f %9.2f%%\n", $1, $2, $3, $4, $5 }'
}

section_decap() {
	local plain
	decap_make
	# shellcheck disable=SC2046
	$(where decap-tun-gw) "$build/tests/bench/plain_gateway" tun0 10.2.1.1 40000 10.2.0.1 &
	plain=$!
	wait_for 10 on decap-tun-gw ip link show tun0 || net_die "plain_gateway does not start"
	echo "Cost of a packet for a gateway: CPU time, median; without the sender's share"
	"$build/tests/bench/measure_decap" -r "$rounds" -G "$plain" "$net_id-decap" \
		>"$net_dir/decap.json"
	kill "$plain"
	wait "$plain" || true
	decap_table "$net_dir/decap.json"
	# shellcheck disable=SC2016 # jq's own variable
	result '.decap = $new.rows' "$net_dir/decap.json"
}
