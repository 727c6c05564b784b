# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# What the tests of this folder share; it has tests/e2e/lib.sh. AMT_VM_PLAN is the plan of
# tests/vm/plan; without one all of each test is run.
source "$(dirname "${BASH_SOURCE[0]}")/../e2e/lib.sh"

full_plan() {
	[ "${AMT_VM_PLAN:-full}" != short ]
}

# A stream that must stay in order: each packet waits at the CPU that sent it until that CPU has time,
# and a sender that the scheduler moves overtakes itself.
send_in_order() { # as send
	(
		taskset -cp 0 "$BASHPID" >/dev/null
		send "$@"
	)
}
