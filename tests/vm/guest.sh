#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What `make test-vm` runs in a guest, as root, in the project's folder: the tests whose paths hold
# one of the patterns, then the lines that tests/vm/run reads: what this kernel is, how each case of
# tests/vm ended, and whether the kernel is tainted. Its messages go to the console (scripts/vm).
#   guest.sh DRIVER PATTERN...     DRIVER: the kernel's AMT driver, or nothing
#   guest.sh --complain            makes the kernel complain in every way that has to be noticed
set -uo pipefail
console=/dev/ttyS0

report() { # report STATUS
	echo "vm: kernel $(uname -r)"
	echo "vm: libbpf $(pkg-config --modversion libbpf)"
	grep -hE '^(ok|not ok|skip) ' build/test-logs/tests_vm_* 2>/dev/null | sed 's/^/vm: case /'
	echo "vm: tainted $(cat /proc/sys/kernel/tainted)"
	echo "vm: ended $1"
}

complain() {
	echo '<4>WARNING: as asked' >/dev/kmsg
	echo 512 >/proc/sys/kernel/tainted
	report 0
	sleep 1
	echo c >/proc/sysrq-trigger
}

# warnings and worse from now on at once, that a panic takes none along; and those so far
dmesg --console-level warn
dmesg --color=never --level emerg,alert,crit,err,warn >"$console"
[ "$1" != --complain ] || complain
export AMT_DRIVER=$1
shift
mountpoint -q /sys/fs/bpf || mount -t bpf bpf /sys/fs/bpf
mkdir -p /run/netns
sysctl -q -w net.core.netdev_max_backlog=10000 net.core.rmem_max=16777216

# one after the other: an emulated guest's CPUs are one, and there is one driver
status=0
AMT_TEST_JOBS=1 AMT_SCRIPTS='tests/e2e tests/vm' tests/run build "$@" || status=$?

# the whole log of what failed: the guest's files go with it
grep -lE '^not ok ' build/test-logs/* 2>/dev/null | while read -r log; do
	echo "---- $log"
	cut -c1-300 "$log" | tail -n 200
done
report "$status"
