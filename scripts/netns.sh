# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Network namespaces with links between them and a relay inside, for the demo, the benchmark and
# the end-to-end tests, which source this. Every name belongs to this run; whatever was made is
# removed when the shell ends, however it ends.
#
#   net_begin BUILD          first of all; sets net_id, net_dir (scratch), instance, traps
#   net_add NAME...          makes namespaces
#   net_link A IF_A B IF_B   a veth pair between two of them
#   on NAME COMMAND...       runs a command in one
#   relay_start [CONF]       amtd in namespace `relay`; ctl asks it

net_begin() { # net_begin BUILD
	build=$1
	net_id=amt$$
	instance=$net_id
	net_names=()
	relay_pid=
	net_patience=20 # seconds that an amtd may take to start
	relay_default= # configuration of a relay that is started without one
	net_dir=$(mktemp -d "${TMPDIR:-/tmp}/$net_id.XXXXXX")
	relay_log=$net_dir/amtd.log
	trap net_end EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	[ "$(id -u)" -eq 0 ] || net_die "has to run as root: it makes network namespaces"
	local tool
	for tool in ip nsenter ethtool; do
		command -v "$tool" >/dev/null || net_die "$tool is missing; run scripts/setup"
	done
}

net_die() { # net_die WHY: the set-up is impossible
	echo "$0: $*" >&2
	exit 99
}

on() { # on NAME COMMAND...
	local name=$1
	shift
	nsenter --net="/run/netns/$net_id-$name" "$@"
}

# For commands in the background: `$(where NAME) COMMAND &` leaves the command's own pid in $!.
where() { # where NAME
	echo "nsenter --net=/run/netns/$net_id-$1"
}

net_add() { # net_add NAME...
	local name
	for name in "$@"; do
		ip netns add "$net_id-$name" || net_die "cannot make a network namespace"
		net_names+=("$name")
		ip -n "$net_id-$name" link set dev lo up
		# addresses are usable at once (no duplicate address detection), no router is awaited
		on "$name" sysctl -q -w net.ipv6.conf.all.accept_dad=0 \
			net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.accept_ra=0 \
			net.ipv6.conf.default.router_solicitations=0
	done
}

# A veth pair as the packet path wants it. Transmit checksums are finished by the sender: on veth
# nobody finishes them later, and a relay's copies would carry the unfinished ones. GRO on: a
# native XDP transmit reaches a veth only when its peer polls, and then nothing goes through the
# host-wide backlog either. Both ends are set before either is up: the kernel looks at the peer when
# an end comes up to say whether it takes XDP frames.
# Queues as a NIC has them: one for each CPU's XDP frames (the kernel takes that of the CPU's number)
# and one more for all that the stack sends. A queue that the stack uses too may be emptied by
# another CPU than the one that fills it, which then fills it faster than it is emptied.
net_link() { # net_link A IF_A B IF_B
	local queues=$(($(nproc --all) + 1))
	ip -n "$net_id-$1" link add dev "$2" numtxqueues $queues numrxqueues $queues type veth \
		peer name "$4" numtxqueues $queues numrxqueues $queues netns "$net_id-$3"
	net_tune "$1" "$2"
	net_tune "$3" "$4"
	ip -n "$net_id-$1" link set dev "$2" up
	ip -n "$net_id-$3" link set dev "$4" up
}

net_tune() { # net_tune NAME IF
	on "$1" ethtool -K "$2" tx off gro on >/dev/null ||
		net_die "ethtool cannot switch off transmit checksums of $2"
	on "$1" ethtool -k "$2" | grep -q '^tx-checksumming: off' ||
		net_die "transmit checksums of $2 stay on"
	net_stack_queue "$1" "$2"
}

# All CPUs' packets of the stack leave by the last queue (XPS). "exec" shows the namespace's /sys.
net_stack_queue() { # net_stack_queue NAME IF
	local cpus left mask=''
	cpus=$(nproc --all)
	for ((left = cpus; left > 0; left -= 32)); do # words of 32 bits, the partial one in front
		mask=$(printf '%x' $(((1 << (left < 32 ? left : 32)) - 1)))${mask:+,}$mask
	done
	ip netns exec "$net_id-$1" sh -c \
		"echo $mask >/sys/class/net/$2/queues/tx-$cpus/xps_cpus" 2>/dev/null || true
}

net_addr() { # net_addr NAME IF ADDRESS/LEN...
	local name=$1 interface=$2 address
	shift 2
	for address in "$@"; do
		ip -n "$net_id-$name" addr add "$address" dev "$interface"
	done
}

# Many addresses at once: net_addrs NAME IF PREFIX FIRST LAST LEN adds PREFIX<n>/LEN for each n.
net_addrs() {
	local n
	for ((n = $4; n <= $5; n++)); do
		echo "addr add $3$n/$6 dev $2"
	done | ip -n "$net_id-$1" -batch -
}

# Ends what still runs in our namespaces: processes that we started, by their ids.
net_kill() {
	local name pids
	for name in "${net_names[@]}"; do
		pids=$(ip netns pids "$net_id-$name" 2>/dev/null) || continue
		# shellcheck disable=SC2086
		[ -z "$pids" ] || kill -KILL $pids 2>/dev/null || true
	done
}

net_end() {
	local status=$? name
	trap - EXIT INT TERM HUP
	set +e
	disown -a # so that the shell does not tell of each that is killed
	relays_end
	net_kill
	for name in "${net_names[@]}"; do
		ip netns del "$net_id-$name"
	done
	if [ "$status" -ne 0 ] && [ -n "${KEEP:-}" ]; then
		echo "$0: logs are in $net_dir" >&2
	else
		rm -rf "$net_dir"
	fi
	exit "$status"
}

# AMT_TEST_SLOW: how many times as long, on a machine that is emulated.
wait_for() { # wait_for SECONDS COMMAND...: until it succeeds
	local end=$((SECONDS + $1 * ${AMT_TEST_SLOW:-1}))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.05
	done
}

# ---- the relay ----

# Ends every relay of this run, and removes what one that is gone left behind.
relays_end() {
	local socket name
	for socket in "/run/amt/$net_id.sock" "/run/amt/$net_id"-*.sock; do
		[ -S "$socket" ] || continue
		name=${socket##*/}
		timeout 10 "$build/amt-ctl" -i "${name%.sock}" shutdown >/dev/null 2>&1 || true
	done
	net_kill
	rm -rf "/sys/fs/bpf/amt/$net_id" "/sys/fs/bpf/amt/$net_id"-* \
		"/run/amt/$net_id".* "/run/amt/$net_id"-*
}

ctl() { # ctl COMMAND...
	"$build/amt-ctl" -i "$instance" "$@"
}

# relay_start [CONF [NAME]]: with a configuration file (or ""), in namespace NAME; each that is not
# `relay` is an instance of its own, which $instance says afterwards
relay_start() {
	local options=() name=${2:-relay} conf=${1:-}
	[ -n "$conf" ] || [ "$name" != relay ] || conf=$relay_default
	[ -z "$conf" ] || options=(-f "$conf")
	instance=$net_id
	[ "$name" = relay ] || instance=$net_id-$name
	# shellcheck disable=SC2046
	$(where "$name") "$build/amtd" -n -i "$instance" "${options[@]}" >>"$relay_log" 2>&1 &
	relay_pid=$!
	wait_for "$net_patience" ctl status && return 0
	echo "amtd did not start:" >&2
	tail -n 5 "$relay_log" >&2
	return 1
}

# What is between two of our namespaces rewrites addresses and ports: everything that leaves by IF
# has its address, of both families.
net_masquerade() { # net_masquerade NAME IF
	on "$1" sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	on "$1" nft -f - <<-NFT
		table inet nat {
			chain postrouting {
				type nat hook postrouting priority srcnat
				oifname "$2" masquerade random
			}
		}
	NFT
}

# Ends the relay: packet path, pins and upstream joins go too.
relay_stop() {
	[ -n "$relay_pid" ] || return 0
	ctl shutdown >/dev/null || kill -KILL "$relay_pid" 2>/dev/null || true
	wait "$relay_pid" 2>/dev/null || true
	relay_pid=
}
