#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What make install puts where, and that make uninstall leaves none of it.
# shellcheck disable=SC2317 # cases are called by their names
source "$(dirname "$0")/lib.sh"
root=$net_dir/root

into_root() { # into_root TARGET PREFIX
	make --no-print-directory -C "$e2e_top" SANITIZE=0 "$1" DESTDIR="$root" PREFIX="$2" >/dev/null
}

files() { # that are there, sorted
	(cd "$root" && find . -type f -o -type l) | sort
}

wanted() { # wanted PREFIX
	local page
	for page in "$e2e_top"/man/*.[578]; do
		echo ".$1/share/man/man${page##*.}/${page##*/}"
	done
	printf ".$1/%s\n" sbin/amtd sbin/amt-ctl bin/amt-load lib/systemd/system/amtd@.service \
		share/bash-completion/completions/amt-ctl
}

installs() { # installs PREFIX
	local left
	into_root install "$1"
	diff <(wanted "$1" | sort) <(files) || fail "other files than these"
	[ -d "$root/etc/amt" ] || fail "no folder for configurations"
	"$root$1/sbin/amtd" -V
	grep -q "^ExecStart=$1/sbin/amtd " "$root$1/lib/systemd/system/amtd@.service" ||
		fail "the unit starts another amtd"
	into_root uninstall "$1"
	left=$(files)
	[ -z "$left" ] || fail "left: $left"
	[ ! -e "$root/etc/amt" ] || fail "the empty folder for configurations is left"
	into_root install "$1"
	touch "$root/etc/amt/main.conf"
	into_root uninstall "$1"
	[ "$(files)" = ./etc/amt/main.conf ] || fail "the configuration went: $(files)"
	rm "$root/etc/amt/main.conf"
}

run_case "make install and uninstall" installs /usr/local
run_case "the same with another prefix" installs /usr
finish
