#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What `make test-vm` runs in a guest, as root, in the project's folder: the tests whose paths hold
# one of the patterns, then the lines that tests/vm/run reads: what this kernel is, and what it
# complained about.
#   guest.sh DRIVER PATTERN...     DRIVER: the kernel's AMT driver, or nothing
set -uo pipefail
export AMT_DRIVER=$1
shift
mountpoint -q /sys/fs/bpf || mount -t bpf bpf /sys/fs/bpf
mkdir -p /run/netns
sysctl -q -w net.core.netdev_max_backlog=10000 net.core.rmem_max=16777216

status=0
AMT_SCRIPTS='tests/e2e tests/vm' tests/run build "$@" || status=$?

# the whole log of what failed: the guest's files go with it
grep -lE '^not ok ' build/test-logs/* 2>/dev/null | while read -r log; do
	echo "---- $log"
	cut -c1-300 "$log" | tail -n 120
done
echo "vm: kernel $(uname -r)"
echo "vm: libbpf $(pkg-config --modversion libbpf)"
dmesg | grep -E 'WARNING: |BUG: |Oops|Kernel panic|possible .*deadlock|suspicious RCU|corruption|general protection|unable to handle|refcount_t:|rcu.*(stall|detected)|soft lockup' |
	sed 's/^/vm: complaint /' || true
echo "vm: ended $status"
