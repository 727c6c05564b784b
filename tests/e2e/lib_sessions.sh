# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154 # scripts/netns.sh has set these
# With AMT_TEST_SESSIONS=FILE lib.sh sources this: every namespace keeps what relays tell it in any
# case of the test, but for Multicast Data; each kind of message is then a line of FILE, as it was on
# the wire, without what differs from run to run: nonces, MACs, gateways' ports. tests/run compares
# what relays say with the shield and without.

sessions_pids=()

sessions_begin() { # at a case's begin; what was begun before goes on
	[ ${#sessions_pids[@]} -eq 0 ] || return 0
	local name file started=() filter='inbound and udp src port 2268 and
		((ip and udp[8] & 15 != 6) or (ip6 and ip6[48] & 15 != 6))'
	mkdir -p "$net_dir/sessions"
	for name in "${net_names[@]}"; do
		[ "$name" != relay ] || continue # nobody tells it, and some tests look who runs in it
		file=$(mktemp "$net_dir/sessions/$name.XXXXXX")
		# shellcheck disable=SC2046
		$(where "$name") dumpcap -q -i any -f "$filter" -w "$file" >/dev/null 2>"$file.log" &
		sessions_pids+=($!)
		started+=("$file")
	done
	for file in "${started[@]}"; do
		wait_for "$e2e_patience" grep -q '^File:' "$file.log" ||
			net_die "a session's capture does not start: $(cat "$file.log")"
	done
}

sessions_end() { # before a case's relays end
	local pid
	sleep 0.3 # what dumpcap has not been given yet
	for pid in "${sessions_pids[@]}"; do
		kill -INT "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	sessions_pids=()
}

# Outer addresses, TOS, TTL, DF, UDP length and checksum, and the message itself.
sessions_write() {
	local file
	for file in "$net_dir/sessions"/*; do
		[[ -f $file && $file != *.log ]] || continue
		tshark -n -r "$file" -Y amt -o udp.check_checksum:TRUE -T fields -E separator='|' \
			-E occurrence=f -e ip.src -e ipv6.src -e ip.dst -e ipv6.dst -e ip.dsfield \
			-e ip.ttl -e ip.flags.df -e ipv6.tclass -e ipv6.hlim -e udp.length \
			-e udp.checksum.status -e amt.type -e udp.payload 2>/dev/null || true
	done | awk -F'|' -v OFS=' ' '
		function mask(first, octets, dots) { # of the message
			for (dots = ""; length(dots) < 2 * octets; dots = dots "..")
				;
			message = substr(message, 1, 2 * first) dots \
				substr(message, 2 * (first + octets) + 1)
		}
		{
			message = $13
			if ($12 == 2) {
				mask(4, 4)
			} else if ($12 == 4) {
				mask(2, 10)
				# G: the port and address of the gateway at the end (RFC 7450 5.1.4)
				if (int(substr(message, 4, 1)) % 2) mask(length(message) / 2 - 18, 2)
			}
			print $1 "," $2, $3 "," $4, $5 "," $8, $6 "," $9, $7, $10, $11, message
		}' | sort -u >"$AMT_TEST_SESSIONS"
}
