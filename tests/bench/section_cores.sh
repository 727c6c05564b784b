# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154 # shared with tests/bench/run
# Two busy groups: on one core, and on a core each.

# shellcheck source=chains.sh
source tests/bench/chains.sh

section cores "copies a second of two groups on one core and on two"

cores_gateways=1024

group_core() { # group_core N: which core serves the group of N gateways: its id says
	"$(command -v bpftool || echo /usr/sbin/bpftool)" -j map dump pinned "/sys/fs/bpf/amt/$net_id-xdp-relay/groups" |
		jq --argjson low "$(($1 % 256))" --argjson high "$(($1 / 256))" --argjson cpus "$(nproc)" \
			'.[].formatted | select(.key.group.bytes[14:16] == [$high, $low])
			| .value.id % $cpus'
}

section_cores() {
	local first=$cores_gateways n core same='' apart=''
	chains_make
	if [ "$(nproc)" -lt 2 ]; then
		echo "Groups over cores: skipped, this machine has one"
		return
	fi
	join xdp $first
	core=$(group_core $first)
	for ((n = first + 1; n <= first + 2 * $(nproc); n++)); do
		join xdp $n
		if [ "$(group_core $n)" != "$core" ]; then apart=${apart:-$n}; else same=${same:-$n}; fi
		[ -z "$same" ] || [ -z "$apart" ] || break
	done
	"$build/tests/bench/measure_cores" -r "$rounds" "$net_id" $first "$same" "$apart" \
		>"$net_dir/cores.json"
	jq -r '"Two groups of \(.n) gateways, 1316 octets, by the wall clock:",
		(("one_core", "two_cores") as $way | "  \($way | sub("_"; " ")): " +
			"\(.[$way].copies_per_second | round) copies a second, " +
			"\(.[$way].delivered * 10000 | round / 100) % delivered"),
		"  two cores carry \(.two_cores.copies_per_second / .one_core.copies_per_second * 100
			| round / 100) times what one does"' "$net_dir/cores.json"
	# shellcheck disable=SC2016 # jq's own variable
	result '.cores = $new' "$net_dir/cores.json"
}
