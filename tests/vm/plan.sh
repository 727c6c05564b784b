# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Sourced by the tests of this folder, after tests/e2e/lib.sh. AMT_VM_PLAN=short is how
# `make test-vm` runs them; else all of each test is run.

full_plan() {
	[ "${AMT_VM_PLAN:-full}" = full ]
}
