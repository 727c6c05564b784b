#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Gateways that are gone: their hosts answer data with ICMP port unreachable, and so many of those in
# a row end the tunnel (RFC 7450 5.3.3.6.4, R-95). Forged ones do not.
# shellcheck disable=SC2016,SC2046,SC2086,SC2317 # words of our own, without blanks; perl; cases are called by name
source "$(dirname "$0")/lib.sh"
topology
# as many errors as there is data
on gw sysctl -q -w net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0

group4=232.1.1.1 group6=ff3e::8000:1

gateways() { # gateways NAME TUNNELS OUTER LAST_OCTET
	local address=10.2.1.$4
	[ "$3" = 4 ] || address=2001:db8:2::1:$4
	gateways_start "$1" "$2" -n 2 -r "$(outer_relay "$3")" -S "$address" \
		"$source4,$group4" "$source6,$group6"
}

stream() { # until it is interrupted, 50 packets a second
	$(where src) "$build/amt-load" send -I src0 -S $source4 -S $source6 --quiet \
		-g $group4 -g $group6 -s 500 -r 200k -n 0 &
	sender=$!
}

stream_end() {
	kill -INT "$sender"
	wait "$sender"
}

gone() { # gone OUTER
	relay_start "$(relay_conf 'unreachable-limit = 3')"
	gateways stay 2 "$1" 1
	gateways leave 4 "$1" 2
	stream
	gateways_signal leave KILL
	wait_for 20 status_is '.tunnels == 2' || fail "tunnels stay: $(ctl stats --nonzero)"
	expect tunnel_unreachable "$(stat tunnel_unreachable)" -eq 2
	expect data_unreachable "$(stat data_unreachable)" -ge 6
	sleep 0.2 # what was on its way
	capture_start data gw gw0 "udp port 2268 or icmp or icmp6"
	sleep 1
	capture_stop data
	expect "ICMP errors after the end" \
		"$(capture_count data 'icmp.type == 3 || icmpv6.type == 1')" -eq 0
	expect "data of the others" "$(capture_count data 'amt.type == 6')" -gt 0
	stream_end
	copies_rest
	gateways_signal stay INT
	gateways_good stay
	datapath_clean
}

switched_off() {
	relay_start "$(relay_conf 'unreachable-limit = 0')"
	gateways leave 2 4 1
	stream
	gateways_signal leave KILL
	wait_for 20 at_least data_unreachable 100 || fail "no errors"
	sleep 2
	stream_end
	expect tunnels "$(ctl --json status | jq .tunnels)" -eq 2
	stats_zero tunnel_unreachable
}

# Errors out of nowhere that quote data from the relay to GATEWAY:PORT, at every length.
forge() { # forge GATEWAY PORT
	on gw perl -MSocket -e '
		my ($relay, $gateway, $port) = @ARGV;
		socket(my $raw, PF_INET, SOCK_RAW, 1) or die;
		my $quote = pack("CxnxxCxCCxx", 0x45, 1000, 0x40, 64, 17) .
			inet_aton($relay) . inet_aton($gateway) .
			pack("nnnxx", 2268, $port, 980) . pack("CxC", 6, 0x45) . "\0" x 30;
		for my $len (0 .. length $quote) {
			my $m = pack("CCxxN", 3, 3, 0) . substr($quote, 0, $len);
			my $sum = unpack("%32n*", $m . "\0" x (length($m) & 1));
			$sum = ($sum & 0xffff) + ($sum >> 16) for 1 .. 2;
			substr($m, 2, 2) = pack("n", ~$sum & 0xffff);
			send($raw, $m, 0, pack_sockaddr_in(0, inet_aton($relay))) or die;
		}' $relay4 "$1" "$2"
}

forged() {
	local port
	relay_start "$(relay_conf 'unreachable-limit = 3')"
	gateways stay 2 4 1
	port=$(ctl --json tunnels | jq '.tunnels[0].port')
	for _ in 1 2 3 4; do
		forge 10.2.1.1 $((port ^ 1)) # somebody else
		forge 10.2.1.9 "$port"
		sleep 1
	done
	wait_for "$e2e_patience" at_least unreachable_ignored 400 || fail "errors are not heard: $(ctl stats --nonzero)"
	stats_zero data_unreachable tunnel_unreachable
	forge 10.2.1.1 "$port" # who knows the port has to go on for as long as the limit says
	forge 10.2.1.1 "$port"
	wait_for "$e2e_patience" at_least data_unreachable 60 || fail "errors about a tunnel are not heard: $(ctl stats --nonzero)"
	expect tunnels "$(ctl --json status | jq .tunnels)" -eq 2
	send -n 50 -g $group4 -g $group6
	gateways_signal stay INT
	gateways_good stay
}

run_case "IPv4: who is gone gets nothing more" gone 4
run_case "IPv6: who is gone gets nothing more" gone 6
run_case "without a limit" switched_off
run_case "forged errors end nothing" forged
finish
