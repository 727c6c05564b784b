#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Every pinned map as `bpftool map dump` shows it under a live relay: names and values of <amt/maps.h>
# against what is set up here, what amt-ctl says, and each other.
# shellcheck disable=SC2016,SC2086 # jq programs; words of our own, without blanks
source "$(dirname "$0")/lib.sh"
topology
bpftool=$(command -v bpftool || echo /usr/sbin/bpftool)
[ -x "$bpftool" ] || net_die "bpftool is missing; run scripts/setup"

ssm4=232.1.1.1 asm6=ff1e::1:1
small=('max-tunnels = 100' 'max-channels = 32' 'max-blocks = 64' 'max-nexthops = 64')
n=20 # packets of each group

# Definitions for all jq programs here. be16: numbers in network byte order are shown as stored.
defs='
	def address: if .[0:12] == [0,0,0,0,0,0,0,0,0,0,255,255] then .[12:] | map(tostring) | join(".")
		elif all(. == 0) then "*"
		else . as $b | [range(0; 16; 2) | ($b[.] * 256 + $b[. + 1])] |
			map([(. / 4096 | floor), (. / 256 | floor) % 16, (. / 16 | floor) % 16, . % 16] |
				map("0123456789abcdef"[.:. + 1]) | join("") | sub("^0{1,3}"; "")) |
			join(":") | sub("(^|:)0(:0)+(:|$)"; "::")
		end;
	def mac: map([(. / 16 | floor), . % 16] | map("0123456789abcdef"[.:. + 1]) | join("")) | join(":");
	def be16: (. % 256) * 256 + (. / 256 | floor);
	def flag(f): (. / f | floor) % 2 == 1;
'

# Everything that bpftool can dump, as one object: map -> [{key, value or values}].
dump() {
	local map type
	ctl --json maps >"$net_dir/listed.json"
	ctl --json stats >"$net_dir/stats.json"
	ctl --json tunnels >"$net_dir/tunnels.json"
	ctl --json status >"$net_dir/status.json"
	jq -n '{groups: [inputs.groups[]]}' <(ctl --json groups $ssm4) <(ctl --json groups $asm6) \
		>"$net_dir/groups.json"
	on relay ip -j link | jq 'map({key: .ifname, value: .}) | from_entries' >"$net_dir/links.json"
	find "/sys/fs/bpf/amt/$instance" -maxdepth 1 -type f -printf '%f\n' | jq -R . |
		jq -s . >"$net_dir/pinned.json"
	jq -r '.maps[] | "\(.map) \(.type)"' "$net_dir/listed.json" | while read -r map type; do
		[ "$type" != ringbuf ] || continue # nothing to look up in
		$bpftool -j map dump pinned "/sys/fs/bpf/amt/$instance/$map" >"$net_dir/dump.$map" ||
			fail "bpftool cannot dump $map"
		jq -e --arg map "$map" '{($map): map(.formatted // .)}' "$net_dir/dump.$map" ||
			fail "$map: no JSON"
	done | jq -s add >"$net_dir/maps.json"
}

# holds WHAT JQ: a condition on $maps, $pinned, $listed, $stats, $tunnels, $groups, $links, $status
holds() {
	local name files=()
	for name in maps pinned listed stats tunnels groups links status; do
		files+=(--slurpfile "_$name" "$net_dir/$name.json")
	done
	jq -ne "${files[@]}" --argjson cpus "$(nproc)" --argjson n $n \
		--argjson schema "$(awk '/define AMT_SCHEMA_VERSION/ { print $3 }' "$e2e_top/include/amt/maps.h")" \
		--argjson gw "$(ip -n "$net_id-gw" -j link show gw0 | jq '.[0].address')" \
		--argjson now "$(awk '{ printf "%.0f", $1 * 1e9 }' /proc/uptime)" \
		'$_maps[0] as $maps | $_pinned[0] as $pinned | $_listed[0] as $listed | $_stats[0].counters as $stats |
		$_tunnels[0].tunnels as $tunnels | $_groups[0].groups as $groups |
		$_links[0] as $links | $_status[0] as $status |'"$defs $2" >/dev/null ||
		fail "$1: not so in $(jq -c . "$net_dir/maps.json" | cut -c 1-800)"
}

users_written() { # next hops say their users a little later
	$bpftool -j map dump pinned "/sys/fs/bpf/amt/$instance/nexthops" |
		jq -e '[.[].formatted.value.users] | add == 43'
}

maps_of_relay() { # maps_of_relay PATHS [CONF_LINE...]: which numbers groups may have as path
	relay_start "$(relay_conf 'teardown = on' "${small[@]}" "${@:2}")"
	gateways_start e 3 -r "$relay4" -n 3 --ecn -S 10.2.1.1 -P 4000 $source4,$ssm4 $asm6
	gateways_start p 43 -r "$relay6" -n 40 -S 2001:db8:2::1:1 -S 2001:db8:2::1:2 -P 5100 \
		-x $source6 $source4,$ssm4 $asm6
	send -g $ssm4 -g $asm6 -n $n -s 100 -r 400k
	copies_rest
	wait_for 10 users_written || fail "next hops do not count 43 tunnels"
	dump

	holds "what is pinned and what is listed" \
		'($listed.maps | map(.map) | sort) == ($pinned | sort) and ($pinned | length) > 15'
	judge_fixed "$1"
	judge_tables
	judge_groups "$1"
	judge_counters
	gateways_have e 2 $n
	gateways_have p 1 $n
	copies_rest
	dump
	holds "no group, no tunnel when all have left" '$maps.groups == [] and
		($maps.tunnels | all(.value.flags == 0)) and
		($maps.nexthops | all(.value.users == 0))'
}

# What does not depend on gateways. $links: name -> interface
judge_fixed() {
	holds "the sizes: tunnels, channels, blocks, next hops" \
		'[$maps.tunnels, $maps.group_blocks, $maps.blocks, $maps.nexthops, $maps.fanout4,
		$maps.fanout6, $maps.endpoints, $maps.interfaces, $maps.secrets, $maps.config] |
		map(length) == [100, 32, 64, 64, 64 * 32, 64 * 32, 256, 32, 2, 1]'
	holds "config" '$maps.config[0].value | .schema == $schema and .ttl == 64 and .dscp == 0 and
		.cpus == $cpus and .events_per_second == 1000 and
		.lease_ns > $now and .lease_ns <= $now + 262e9 and
		([.recirculate_ifindex, .recirculate_peer] | sort) ==
			([$links[] | select(.ifname | startswith("amtr-")) | .ifindex] | sort)'
	holds "secrets" '$maps.secrets[0].value.installed_ns > 0 and
		($maps.secrets[0].value.key | length == 16 and unique != [0]) and
		$maps.secrets[1].value.installed_ns == 0'
	holds "interfaces" '[$maps.interfaces[].value | select(.ifindex != 0) | {ifindex,
			upstream: (.flags | flag(1)), uplink: (.flags | flag(2)),
			xdp: (.flags | flag(4)), tc: (.flags | flag(8)), ring}] ==
		[$status.interfaces[] | {ifindex, upstream, uplink, xdp, tc, ring}] and
		([$status.interfaces[].ifindex] | sort) ==
			([$links.up0.ifindex, $links.down0.ifindex] | sort)'
	[ "$1" = '[2]' ] || judge_clones
}

# Devmaps of n = 1..32 copies to the uplink, of 1..16 to the internal pair. Ids are shown as octets.
judge_clones() {
	holds "clones" '[$maps.clones[] | {key: .key[0], id: .value}] | length == 32 and
		(map(.key) | sort) == ([range(1; 33) | "0x" + ([.] | mac)] | sort) and
		(map(.id) | unique | length) == 32'
	holds "recirculate" '$maps.recirculate | length == 16'
	local id
	id=$(jq -r '.clones[] | select(.key[0] == "0x07") | .value |
		.[3][2:] + .[2][2:] + .[1][2:] + .[0][2:]' "$net_dir/maps.json")
	$bpftool -j map show id $((16#$id)) | jq -e '.type == "devmap" and .max_entries == 7' ||
		fail "clones[7] has not 7 entries"
	holds "cpus" '$maps.cpus | length == $cpus'
}

judge_tables() {
	holds "tunnels" '[$maps.tunnels[] | select(.value.flags | flag(1)) | .key as $id | .value |
			{id: $id, gateway: (.gateway.bytes | address), port: (.gateway_port | be16),
			relay: (.relay.bytes | address), relay_port: (.relay_port | be16),
			ecn: (.flags | flag(2)), mtu}] as $dumped | ($dumped | length) == 43 and
		($dumped | sort_by(.id)) == ([$tunnels[] |
			{id, gateway, port, relay, relay_port, ecn, mtu}] | sort_by(.id)) and
		([$dumped[] | select(.gateway == "10.2.1.1")] | sort_by(.port)) as $v4 |
		($v4 | map(.port)) == [4000, 4001, 4002] and
		all($v4[]; .ecn and .relay == "10.2.0.1" and .relay_port == 2268 and .mtu == 1470)'
	holds "times of tunnels" '[$maps.tunnels[].value | select(.flags | flag(1))] |
		all(.created_ns < $now + 1e9 and .created_ns > $now - 60e9 and
			.expires_ns > $now and .expires_ns < $now + 262e9)'
	holds "endpoints" '[$maps.endpoints[].value | select(.flags | flag(1)) |
		{relay: (.relay.bytes | address), port: (.port | be16), flags, vlan_proto,
		uplink_ifindex}] | sort_by(.flags) ==
		[{relay: "2001:db8:2::1", port: 2268, flags: 3, vlan_proto: 0,
			uplink_ifindex: $links.down0.ifindex},
		{relay: "10.2.0.1", port: 2268, flags: 5, vlan_proto: 0,
			uplink_ifindex: $links.down0.ifindex}]'
	holds "next hops" '[$maps.nexthops[].value | select(.users > 0) |
		{dmac: (.dmac | mac), smac: (.smac | mac), ifindex, flags, users,
		address: (.address.bytes | address)}] | sort_by(.address) ==
		([["10.2.1.1", 3], ["2001:db8:2::1:1", 20], ["2001:db8:2::1:2", 20]] |
			map({dmac: $gw, smac: $links.down0.address, ifindex: $links.down0.ifindex,
				flags: 1, users: .[1], address: .[0]}))'
}

# The way of a packet: group, its blocks, their members, whose next hops: to whom amt-ctl says.
judge_groups() { # judge_groups PATHS
	holds "groups" '[$maps.groups[] | {source: (.key.source.bytes | address),
			group: (.key.group.bytes | address), mtu: .value.mtu,
			path: (["xdp", "xdp-recirculated", "tc"][.value.path])}] as $dumped |
		($dumped | sort_by(.group, .source)) ==
			([$groups[] | {source, group, mtu, path}] | sort_by(.group, .source)) and
		([$dumped[] | [.source, .group]] | sort) == ([["10.1.0.1", "232.1.1.1"],
			["2001:db8:1::1", "ff1e::1:1"], ["*", "ff1e::1:1"]] | sort) and
		all($maps.groups[]; .value.path as $path | '"$1"' | index($path) != null)'
	holds "members of groups" '(reduce $maps.groups[] as $g ({};
			.[($g.key.source.bytes | address) + "," + ($g.key.group.bytes | address)] = ([
				$maps.group_blocks[$g.value.id].value |
				range(.first; .first + .count) |
				$maps.block_list[.].value.block as $b |
				$maps.blocks[$b].value as $block |
				$maps.endpoints[$block.endpoint].value as $ep |
				range($b * 32; $b * 32 + $block.count) |
				if $ep.flags | flag(2) then $maps.fanout6[.].value |
					{gateway: (.gateway | address), port: (.port | be16), nexthop}
				else $maps.fanout4[.].value |
					{gateway: (.gateway | map(tostring) | join(".")),
					port: (.port | be16), nexthop} end |
				if ($maps.nexthops[.nexthop].value.address.bytes | address) == .gateway
				then "\(.gateway) \(.port)" else "\(.gateway) \(.port) elsewhere" end
			] | sort))) as $dumped |
		(reduce $groups[] as $g ({}; .["\($g.source),\($g.group)"] =
			([$g.tunnels[] | "\(.gateway) \(.port)"] | sort))) as $said |
		$dumped == $said and ($dumped | map_values(length)) ==
			{"10.1.0.1,232.1.1.1": 43, "2001:db8:1::1,ff1e::1:1": 3, "*,ff1e::1:1": 43}'
}

judge_counters() {
	# Gateways go on talking while the maps are read, so messages are compared by their names only.
	holds "counters" '($stats | keys_unsorted) as $names | ($names | index("shield_answered")) as $data |
		[$maps.counters[] | [.values[].value] | add] as $dumped |
		$data > 20 and $dumped[:$data] == [$stats[]][:$data] and
		$names[($dumped | length) - 1] == "gateway_not_permitted" and
		$stats.packets_in == 2 * $n and $stats.copies_out == (43 + 3) * $n'
	holds "group counters" '[$maps.groups[] | .value.id as $id | {
			group: (.key.group.bytes | address), source: (.key.source.bytes | address),
			packets: ([$maps.group_counters[$id].values[].value.packets] | add),
			bytes: ([$maps.group_counters[$id].values[].value.bytes] | add)}] as $dumped |
		($dumped | sort_by(.group, .source)) == ([$groups[] |
			{group, source, packets, bytes}] | sort_by(.group, .source)) and
		any($dumped[]; .group == "232.1.1.1" and .packets == $n and .bytes == $n * 128)'
}

run_case "all pinned maps, XDP" maps_of_relay '[0, 1]'
run_case "all pinned maps, TC" maps_of_relay '[2]' 'mode = tc'
finish
