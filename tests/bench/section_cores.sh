# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154 # shared with tests/bench/run
# Two busy groups on one core and on a core each, and a large one on all cores.

# shellcheck source=chains.sh
source tests/bench/chains.sh

section cores "copies a second of two groups on one core and on two, of one group on all"

cores_gateways=1025 # groups of this section only
cores_hot=4095

group_core() { # group_core N: which core serves the group of N gateways: its id says
	"$(command -v bpftool || echo /usr/sbin/bpftool)" -j map dump pinned "/sys/fs/bpf/amt/$net_id-xdp-relay/groups" |
		jq --argjson low "$(($1 % 256))" --argjson high "$(($1 / 256))" --argjson cpus "$(nproc)" \
			'.[].formatted | select(.key.group.bytes[14:16] == [$high, $low])
			| .value.id % $cpus'
}

spread_groups() { # spread_groups true|false: of groups that are joined from now on
	sed -i "s/spread-groups = .*/spread-groups = $1/" "$net_dir/xdp.conf"
	instance=$net_id-xdp-relay ctl reload
}

section_cores() {
	local first=$cores_gateways n core same='' apart=''
	chains_make
	if [ "$(nproc)" -lt 2 ]; then
		echo "Groups over cores: skipped, this machine has one"
		return
	fi
	join xdp $cores_hot
	spread_groups false
	join xdp $first
	core=$(group_core $first)
	for ((n = first + 1; n <= first + 2 * $(nproc); n++)); do
		join xdp $n
		if [ "$(group_core $n)" != "$core" ]; then apart=${apart:-$n}; else same=${same:-$n}; fi
		[ -z "$same" ] || [ -z "$apart" ] || break
	done
	spread_groups true
	"$build/tests/bench/measure_cores" -r "$rounds" "$net_id" $first "$same" "$apart" $cores_hot \
		>"$net_dir/cores.json"
	# shellcheck disable=SC2016 # jq's own variables
	jq -r '. as $in | "1316 octets, copies a second by the wall clock:",
		(["one_core", "two groups of \(.n) gateways on one core"],
			["two_cores", "the same on two cores"],
			["hot", "one group of \(.hot_n) on all cores"]
			| . as [$way, $what] | "  \($what): \($in[$way].copies_per_second | round), " +
			"\($in[$way].delivered * 10000 | round / 100) % delivered"),
		"  against one core: two groups \(.two_cores.copies_per_second /
			.one_core.copies_per_second * 100 | round / 100), one group " +
			"\(.hot.copies_per_second / .one_core.copies_per_second * 100 | round / 100);" +
			" plain copying on all cores \(.cores_worth * 100 | round / 100)"' \
		"$net_dir/cores.json"
	# shellcheck disable=SC2016 # jq's own variable
	result '.cores = $new' "$net_dir/cores.json"
}
