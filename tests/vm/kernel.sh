# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034 # used by the tests
# What the tests with the Linux kernel's own AMT driver share: streams, and one look of tshark at
# what was recorded. AMT_DRIVER is the module, as `scripts/vm module` builds it.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=driver.sh
source "$(dirname "${BASH_SOURCE[0]}")/driver.sh"

if [ -z "${AMT_DRIVER:-}" ]; then
	echo "skip the kernel's AMT driver: there is no module of it for this kernel"
	exit 77
fi
patience=30 # seconds
ssm4=232.1.1.1 ssm6=ff3e::8000:1 asm4=239.1.1.1 asm6=ff1e::1:1
long_seconds=60
[ "${AMT_VM_PLAN:-}" != long ] || long_seconds=600

channel() { # channel 4|6: source-specific
	if [ "$1" = 4 ]; then echo "$source4,$ssm4"; else echo "$source6,$ssm6"; fi
}

# A program that joins on amt0 of a namespace. listener_start NAME NAMESPACE OPTION... CHANNEL...
listener_start() {
	local name=$1 namespace=$2
	shift 2
	rm -f "$net_dir/$name.ready"
	# shellcheck disable=SC2046
	$(where "$namespace") "$build/amt-load" receive -I amt0 --json --list --in-order --idle 30 \
		--ready "$net_dir/$name.ready" "$@" \
		>"$net_dir/$name.json" 2>"$net_dir/$name.err" &
	echo $! >"$net_dir/$name.pid"
	wait_for $patience test -e "$net_dir/$name.ready" || fail "$name: $(cat "$net_dir/$name.err")"
}

listener_good() { # listener_good NAME: every packet once, in order, whole, and nothing else
	local status=0 pid
	pid=$(cat "$net_dir/$1.pid")
	wait_for $patience not kill -0 "$pid" || kill -TERM "$pid"
	wait "$pid" || status=$?
	[ "$status" -eq 0 ] || fail "$1: status $status: $(cat "$net_dir/$1".{err,json})"
}

file_make() { # file_make OCTETS: what is sent next
	head -c "$1" /dev/urandom >"$net_dir/file"
}

# The stream of a minute, or of ten: 20 packets a second to each of the groups.
long_packets=$((long_seconds * 20))
send_long() { # send_long GROUP...
	local options=() group
	for group in "$@"; do options+=(-g "$group"); done
	send_in_order "${options[@]}" -n $long_packets -s 200 -r 32k
}

# ---- what was recorded: one run of tshark, which takes long to start in a guest ----

# The packets of a capture as lines, in columns: 1 the message's type, 2 nonce, 3 second to fourth
# octet of the message, 4 lengths of the IP headers, 5 length of an IPv6 header's options, 6 IPv6
# source, 7 ICMPv6 type, 8 protocols, 9 what tshark says of the checksums (0: wrong).
capture_list() { # capture_list NAME
	local fields=() field
	for field in amt.type amt.request_nonce udp.payload ip.hdr_len ipv6.hopopts.len_oct ipv6.src \
		icmpv6.type frame.protocols ip.checksum.status udp.checksum.status \
		igmp.checksum.status icmpv6.checksum.status; do
		fields+=(-e "$field")
	done
	capture_read "$1" -T fields -E separator='|' "${fields[@]}" |
		awk -F'|' 'BEGIN { OFS = "|" } {
			print $1, $2, substr($3, 3, 6), $4, $5, $6, $7, $8, $9 "," $10 "," $11 "," $12
		}' >"$net_dir/list"
}

# Every type of message that both sides send is there, and tshark finds nothing wrong.
list_judge() {
	local bad type
	for type in 1 2 3 4 5 6; do
		listed "\$1 == $type" 1 | grep -q . || fail "no message of type $type was recorded"
	done
	bad=$(awk -F'|' '$8 ~ /_ws/ || ("," $9 ",") ~ /,(0|Bad),/' "$net_dir/list" | head -n 3)
	[ -z "$bad" ] || fail "tshark: $bad"
}

listed() { # listed CONDITION COLUMN: what is in a column, each once, in awk's terms
	awk -F'|' "$1 { print \$$2 }" "$net_dir/list" | sort -u | paste -sd ' '
}

listed_count() { # listed_count CONDITION
	awk -F'|' "$1" "$net_dir/list" | wc -l
}
