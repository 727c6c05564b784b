#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# amtd@.service under a systemd of its own: in a PID namespace, on an overlay of this host's root
# whose changes are memory, with nothing in it but what make install puts there.
# shellcheck disable=SC2317 # cases are called by their names
source "$(dirname "$0")/lib.sh"
topology
root=$net_dir/systemd/root
installed=$net_dir/installed
unit=amtd@$instance

if [ ! -x /lib/systemd/systemd ]; then
	echo "skip amtd under systemd: systemd is not installed"
	exit 77
fi

# ---- a systemd ----

cgroups() { # the mounts of them
	awk '$3 == "cgroup" || $3 == "cgroup2" { print $2 }' /proc/mounts
}

# A cgroup of this test's own, of which its systemd sees nothing outside. A cpuset of version 1 takes
# nobody before it is told more: this process stays where it is there.
cgroups_enter() {
	local mount
	for mount in $(cgroups); do
		mkdir "$mount/$net_id"
		echo $BASHPID >"$mount/$net_id/cgroup.procs" || true
	done 2>/dev/null
}

cgroups_leave() { # fails as long as something runs in them
	local mount
	for mount in $(cgroups); do
		[ ! -d "$mount/$net_id" ] || find "$mount/$net_id" -depth -type d -exec rmdir {} + || return
	done
}

installs() {
	make --no-print-directory -C "$e2e_top" SANITIZE=0 install DESTDIR="$installed" >/dev/null
	mkdir -p "$installed/etc/amt"
	cp "$(relay_conf "")" "$installed/etc/amt/$instance.conf"
}

# The kernel's settings are out of reach, and no unit is wanted but those that a test starts.
systemd_root() {
	mount --make-rprivate /
	mkdir "$net_dir/systemd"
	mount -t tmpfs tmpfs "$net_dir/systemd"
	mkdir "$root" "$net_dir"/systemd/{upper,work}
	mount -t overlay overlay "$root" \
		-o "lowerdir=/,upperdir=$net_dir/systemd/upper,workdir=$net_dir/systemd/work"
	rm -rf "$root"/{etc,lib}/systemd/system/*.target.wants
	cp -r "$installed/." "$root"
	mount -t proc proc "$root/proc"
	mount --bind "$root/proc/sys" "$root/proc/sys"
	mount -o remount,bind,ro "$root/proc/sys"
	mount --rbind /dev "$root/dev"
	mount --rbind /sys "$root/sys"
	mount -t tmpfs tmpfs "$root/run"
	mkdir "$root/run/amt" # amt-ctl of this test finds the socket
	mount --bind /run/amt "$root/run/amt"
}

systemd_main() { # PID 1 of its namespace
	systemd_root
	export container=test
	exec chroot "$root" /lib/systemd/systemd --unit=sysinit.target --log-target=console
}

in_systemd() { # in_systemd COMMAND...
	nsenter -t "$systemd" -m -p -r -w "$@"
}

systemd_works() {
	systemd=$(pgrep -P "$unshared") || return 1
	in_systemd systemctl is-system-running 2>/dev/null | grep -qE '^(running|degraded)$'
}

systemd_start() {
	mkdir -p /run/amt
	(
		cgroups_enter
		export -f systemd_main systemd_root
		export net_dir root installed
		# shellcheck disable=SC2046
		exec $(where relay) unshare --mount --pid --cgroup --fork --kill-child \
			bash -ec systemd_main
	) >"$net_dir/systemd.log" 2>&1 </dev/null &
	unshared=$!
	disown "$unshared" # so that the shell does not tell of its end
	wait_for "$e2e_patience" systemd_works && return
	echo "skip amtd under systemd: no systemd in a namespace here: $(tail -n 1 "$net_dir/systemd.log")"
	systemd_end
	exit 77
}

systemd_end() {
	kill -KILL "${systemd:-$unshared}" 2>/dev/null || true # with it goes its whole namespace
	net_kill
	wait_for 10 cgroups_leave || echo "$0: cgroups $net_id stay" >&2
}

# ---- cases ----

main_pid() { # amtd's, as systemd's namespace counts
	in_systemd systemctl show -p MainPID --value "$unit"
}

state_is() { # state_is STATE: of the unit
	[ "$(in_systemd systemctl is-active "$unit" || true)" = "$1" ]
}

served_by_another() { # served_by_another PID
	state_is active && [ "$(main_pid)" != "$1" ] && ctl status
}

starts() {
	in_systemd systemctl start "$unit"
	status_is '.role == "relay"' || fail "started, but no amtd answers"
}

# A stream goes on while the service is started anew, told to reload, and killed.
under_a_stream() {
	local before
	gateways_start g 10 -n 10 -r "$relay4" -S 10.2.1.1 "$source4,232.1.1.1"
	# shellcheck disable=SC2046
	$(where src) "$build/amt-load" send -I src0 -S "$source4" --quiet -g 232.1.1.1 -s 1000 -n 0 \
		-r 1200k &
	local sender=$!
	sleep 0.3
	before=$(main_pid)
	in_systemd systemctl restart "$unit"
	status_is .adopted || fail "nothing was adopted"
	[ "$(main_pid)" != "$before" ] || fail "no other amtd after the restart"
	in_systemd systemctl reload "$unit"
	before=$(main_pid)
	in_systemd kill -KILL "$before"
	wait_for "$e2e_patience" served_by_another "$before" || fail "killed, and not started again"
	status_is .adopted || fail "nothing was adopted after the kill"
	kill -INT "$sender"
	wait "$sender"
	gateways_signal g INT
	gateways_good g
	datapath_clean
}

reload_fails() { # of a file with an error: said, and the service goes on
	echo 'relay { port = 0 }' >"$net_dir/bad.conf"
	in_systemd cp "/etc/amt/$instance.conf" /etc/amt/good.conf
	in_systemd tee "/etc/amt/$instance.conf" <"$net_dir/bad.conf" >/dev/null
	expect_fail 1 in_systemd systemctl reload "$unit"
	in_systemd cp /etc/amt/good.conf "/etc/amt/$instance.conf"
	state_is active || fail "an error in the file ended the service"
}

stops() { # and what is attached stays, for the next start
	in_systemd systemctl stop "$unit"
	state_is inactive || fail "stopped, and not inactive"
	[ -d "/sys/fs/bpf/amt/$instance" ] || fail "a stop took the packet path away"
	in_systemd systemctl start "$unit"
	status_is .adopted || fail "nothing was adopted"
}

shutdown_is_the_end() { # and no failure, after which it would be started again
	ctl shutdown
	wait_for "$e2e_patience" state_is inactive || fail "shut down, and not inactive"
	sleep 2 # RestartSec
	state_is inactive || fail "started again after a shutdown"
	[ ! -e "/sys/fs/bpf/amt/$instance" ] || fail "a shutdown left the packet path"
}

# shellcheck disable=SC2154 # status is set there
trap 'status=$?; set +e; systemd_end; (exit "$status"); net_end' EXIT
installs
systemd_start
run_step "a start ends when amtd serves" starts
run_step "restart, reload and a kill under a stream" under_a_stream
run_step "a reload that fails" reload_fails
run_step "a stop, and the next start" stops
run_step "amt-ctl shutdown" shutdown_is_the_end
case_end
finish
