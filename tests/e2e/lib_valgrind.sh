# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154 # lib.sh has set these, or reads them
# With AMT_TEST_VALGRIND=1 lib.sh sources this: amtd and its upstream holder run under valgrind in any
# test, and a case fails for whatever valgrind has found. Not with sanitizers: AMT_BUILD=build, as the
# plain `make programs tests` has them.

valgrind_begin() {
	command -v valgrind >/dev/null || net_die "valgrind is missing; run scripts/setup test"
	mkdir "$net_dir/bin" "$net_dir/valgrind"
	valgrind=(valgrind --quiet --trace-children=yes --child-silent-after-fork=yes
		--leak-check=full --error-exitcode=99 --num-callers=24
		"--suppressions=$e2e_top/tests/valgrind.supp" "--log-file=$net_dir/valgrind/%p")
	ln -s "$build"/* "$net_dir/bin/"
	rm "$net_dir/bin/amtd"
	printf '#!/bin/sh\nexec %s "$@"\n' "${valgrind[*]} $build/amtd" >"$net_dir/bin/amtd"
	chmod +x "$net_dir/bin/amtd"
	build=$net_dir/bin
	net_patience=300 # on a machine that does much else a start takes a minute and more
}

# What has been found since the last call. (valgrind warns of commands of bpf(2) that it does not
# know; those lines begin with "--".)
valgrind_judge() {
	local log
	for log in "$net_dir/valgrind"/*; do
		if grep -q '^==' "$log" 2>/dev/null; then
			echo "not ok valgrind: $(grep -m1 '^==' "$log")"
			grep '^==' "$log" | sed 's/^/# /'
			e2e_failed=$((e2e_failed + 1))
		fi
		rm -f "$log"
	done
}
