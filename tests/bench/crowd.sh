# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154 # shared with tests/bench/run
# Very many gateways, each with an address of its own out of 10.64.0.0/10, played by as many
# amt-load as it takes: a process may have fewer files open than there are gateways. They are to be
# taken for other machines, so they leave the CPU to what is measured.

crowd_pids=() crowd_files=()

crowd_route() { # crowd_route GW_NAME GW_IF RELAY_NAME VIA: the addresses are in GW_NAME
	ip -n "$net_id-$1" route add local 10.64.0.0/10 dev "$2"
	ip -n "$net_id-$3" route add 10.64.0.0/10 via "$4"
}

# N gateways from the FIRST-th address on. They end, and write their summaries, at crowd_end.
crowd_start() { # crowd_start NAME FIRST N CHANNEL [OPTION...]
	local name=$1 at=$2 end=$(($2 + $3)) channel=$4 limit n
	shift 4
	limit=$(ulimit -Hn)
	[ "$limit" != unlimited ] || limit=100000
	limit=$((limit > 16100 ? 16000 : limit - 100))
	while [ "$at" -lt $end ]; do
		n=$((end - at < limit ? end - at : limit))
		crowd_files+=("$net_dir/crowd.$name.$at.json")
		# shellcheck disable=SC2046
		$(where "$name") nice -n 19 "$build/amt-load" gateways -r 10.2.0.1 -n "$n" -R 3600 --quiet --json \
			-S "10.$((64 + at / 65536)).$((at / 256 % 256)).$((at % 256))x$n" "$@" \
			"$channel" >"${crowd_files[-1]}" 2>/dev/null &
		crowd_pids+=($!)
		at=$((at + n))
	done
}

crowd_end() {
	kill -INT "${crowd_pids[@]}"
	wait "${crowd_pids[@]}" 2>/dev/null || true
	crowd_pids=()
}

# What a figure of the summaries comes to, of the files named: crowd_sum FIGURE FILE...
crowd_sum() {
	local figure=$1
	shift
	jq -s "map(.$figure) | add" "$@"
}
