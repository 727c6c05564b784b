/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every counter and drop reason, once: X(NAME, "help"). The lower-case name is what `amt-ctl
 * stats`, JSON and metrics show. The first list is counted by BPF programs in the pinned per-CPU
 * map `counters`; the second by amtd in its own memory.
 */
#ifndef AMT_COUNTERS_H
#define AMT_COUNTERS_H

/* Packets handled and refused by the packet path. */
#define AMT_DATA_COUNTERS(X)                                                                      \
	X(PACKETS_IN, "multicast packets accepted for fan-out")                                   \
	X(BYTES_IN, "inner octets of those")                                                      \
	X(COPIES_OUT, "encapsulated copies handed to the uplink")                                 \
	X(COPIES_BYTES, "inner octets of those")                                                  \
	X(PACKETS_DIRECT, "packets fanned out by one broadcast")                                  \
	X(PACKETS_RECIRCULATED, "packets fanned out through the internal veth pair")              \
	X(PACKETS_TC, "packets fanned out by the TC program")                                     \
	X(NO_GROUP, "multicast packets that no tunnel wants")                                     \
	X(NO_MEMBER, "packets of a known group without members")                                  \
	X(LEASE_EXPIRED, "packets refused because amtd has been gone for one GMI")                \
	X(WRONG_UPSTREAM, "packets of a group from another interface than its upstream")          \
	X(TTL_EXPIRED, "inner TTL or hop limit of 1 or less")                                     \
	X(LINK_LOCAL, "link-local scope destination")                                             \
	X(MALFORMED, "inner headers or lengths that contradict each other")                       \
	X(TOO_BIG, "inner datagrams over the group's smallest tunnel MTU")                        \
	X(EVENT_LOST, "events dropped: too many wait or over the rate limit")                     \
	X(HEADROOM, "no room in front of the packet for the outer header")                        \
	X(REDIRECT_FAILED, "the broadcast could not be started")                                  \
	X(CURSOR_LOST, "copies dropped because their packet's cursor was gone")                   \
	X(NEXTHOP_UNRESOLVED, "copies dropped because the next hop had no MAC address")           \
	X(BLOCKS_LATE, "blocks of copies dropped because the packet waited too long for a CPU")   \
	X(ENDPOINT_INVALID, "blocks dropped because their endpoint was gone")                     \
	X(CHECKSUM_UNFINISHED, "packets from a local sender whose UDP checksum was not finished") \
	X(GSO_REFUSED, "GSO or GRO packets that the TC path cannot split")                        \
	X(CLONE_FAILED, "copies that bpf_clone_redirect could not send")                          \
	X(RECIRCULATION_DROPS, "copies or parts that the internal pair or a CPU queue dropped")   \
	X(GROUP_RATE, "packets of groups over max-group-rate (R-181)")                            \
	X(XMIT_DROPS, "copies that the uplink driver dropped at transmit")                        \
	AMT_DECAP_COUNTERS(X)                                                                     \
	AMT_SHIELD_COUNTERS(X)                                                                    \
	AMT_SIGNAL_COUNTERS(X)

/* The gateway role's part of those. */
#define AMT_DECAP_COUNTERS(X)                                                                   \
	X(DECAP_PACKETS, "datagrams out of tunnels, put into the pseudo-interface")             \
	X(DECAP_BYTES, "octets of those")                                                       \
	X(DECAP_FOREIGN, "Multicast Data to our endpoint from no relay of ours (R-97)")         \
	X(DECAP_MALFORMED, "Multicast Data with lengths or headers that contradict each other") \
	X(DECAP_NOT_MULTICAST, "Multicast Data for a unicast address (R-97)")                   \
	X(DECAP_LINK_LOCAL, "Multicast Data of link-local scope")                               \
	X(DECAP_UNWANTED, "Multicast Data of groups or sources not joined now (R-98)")          \
	X(DECAP_ECN_DROPPED, "congestion marked outside, inner sender without ECN (R-105)")     \
	X(DECAP_ECN_SUSPICIOUS, "combinations of ECN fields that should not be (RFC 6040 4.2)") \
	X(DECAP_TOO_BIG, "datagrams over the pseudo-interface's MTU")                           \
	X(DECAP_NO_TARGET, "wanted datagrams while there was no pseudo-interface")              \
	X(DECAP_GSO, "GSO or GRO packets of Multicast Data, left to the socket")                \
	X(DECAP_FAILED, "datagrams that could not be stripped or handed over")                  \
	X(DECAP_XMIT_DROPS, "datagrams that the pseudo-interface's queue had no room for")

/* What the shield did, each counted among the messages below as well. */
#define AMT_SHIELD_COUNTERS(X)                                                               \
	X(SHIELD_ANSWERED, "Discovery messages and Requests that the shield answered")       \
	X(SHIELD_REFUSED, "Discovery messages and Requests that it left without an answer")  \
	X(SHIELD_BAD_MAC, "Updates and Teardowns with a wrong MAC that ended in the shield") \
	X(SHIELD_AUTHENTIC, "Updates and Teardowns with a right MAC that it handed to amtd") \
	X(SHIELD_PASSED, "other messages to the relay that it left to amtd")

/* Messages that the shield or amtd deals with: the sums say the same with the shield on and off. */
#define AMT_SIGNAL_COUNTERS(X)                                                                   \
	X(DISCOVERY_RECEIVED, "Relay Discovery messages")                                        \
	X(ADVERTISEMENT_SENT, "Relay Advertisements sent")                                       \
	X(REQUEST_RECEIVED, "Request messages")                                                  \
	X(REQUEST_LINUX_P, "Requests with P where the Linux gateway puts it (Q-13)")             \
	X(REQUEST_RATE_LIMITED, "Discovery messages and Requests over the rate of their source") \
	X(AMPLIFICATION_LIMITED, "answers that were too large for what their source had sent")   \
	X(QUERY_SENT, "Membership Queries sent")                                                 \
	X(QUERY_LIMIT_SET, "Membership Queries sent with L set")                                 \
	X(UPDATE_RECEIVED, "Membership Updates")                                                 \
	X(TEARDOWN_RECEIVED, "Teardown messages")                                                \
	X(BAD_MAC, "Updates whose response MAC is wrong")                                        \
	X(TEARDOWN_BAD_MAC, "Teardowns whose response MAC is wrong")                             \
	X(ZERO_NONCE, "Discovery messages with nonce zero")                                      \
	X(GATEWAY_NOT_PERMITTED, "messages from gateways that the configuration does not permit")

/* What amtd counts: messages by type and verdict, limits, upstream, housekeeping. */
#define AMT_CONTROL_COUNTERS(X)                                                                 \
	X(UPDATE_ACCEPTED, "Membership Updates applied")                                        \
	X(UPDATE_PREVIOUS_SECRET, "Updates authenticated by the previous secret")               \
	X(UPDATE_REPEATED_MAC, "Updates accepted for a repeated MAC (Q-4)")                     \
	X(TEARDOWN_ACCEPTED, "Teardown messages that ended a tunnel")                           \
	X(SHORT_MESSAGE, "messages shorter than their type demands")                            \
	X(BAD_VERSION, "messages with a version other than 0")                                  \
	X(BAD_TYPE, "messages of a type that a relay does not take")                            \
	X(DATA_FROM_GATEWAY, "Multicast Data sent to the relay (R-179)")                        \
	X(TEARDOWN_UNKNOWN, "Teardowns for a tunnel that is not there")                         \
	X(INNER_SHORT, "inner datagram cut off or lengths that contradict each other")          \
	X(INNER_NOT_IP, "inner datagram that is neither IPv4 nor IPv6")                         \
	X(INNER_PROTOCOL, "inner datagram that is neither IGMP nor MLD")                        \
	X(INNER_TTL, "report with TTL or hop limit other than 1")                               \
	X(INNER_NO_ROUTER_ALERT, "report without router alert, in strict mode")                 \
	X(INNER_IP_CHECKSUM, "wrong inner IPv4 header checksum")                                \
	X(INNER_CHECKSUM, "wrong IGMP or ICMPv6 checksum")                                      \
	X(INNER_FRAGMENT, "report in an IP fragment")                                           \
	X(REPORT_TYPE, "IGMP or MLD message that is not a report a relay takes")                \
	X(REPORT_SHORT, "report shorter than its records say")                                  \
	X(RECORD_UNKNOWN, "group records of unknown type, skipped")                             \
	X(RECORD_BAD_GROUP, "records for addresses that are not multicast or are link-local")   \
	X(RECORD_BAD_SOURCE, "record sources that are no unicast address, skipped")             \
	X(RECORD_SSM_EXCLUDE, "EXCLUDE records in the SSM range, ignored (R-149)")              \
	X(RECORD_SSM_OLD, "IGMPv2 or MLDv1 messages in the SSM range, ignored (R-150)")         \
	X(GROUP_NOT_PERMITTED, "records for groups that the configuration does not permit")     \
	X(TUNNEL_LIMIT, "Updates refused at the tunnel limit")                                  \
	X(TUNNEL_PER_ADDRESS_LIMIT, "Updates refused at the limit of tunnels per address")      \
	X(GROUP_LIMIT, "joins refused at the limit of groups per tunnel")                       \
	X(SOURCE_LIMIT, "sources refused at the limit per group")                               \
	X(CHANNEL_LIMIT, "joins refused at the limit of channels")                              \
	X(TUNNEL_RATE, "joins refused because the tunnel would have more than max-tunnel-rate") \
	X(TUNNEL_CREATED, "tunnels made")                                                       \
	X(TUNNEL_EXPIRED, "tunnels ended by their timer")                                       \
	X(TUNNEL_LEFT, "tunnels ended because their last subscription went")                    \
	X(TUNNEL_FORBIDDEN, "tunnels ended because a reload no longer permits them")            \
	X(TUNNEL_UNREACHABLE, "tunnels ended by ICMP errors in a row (R-95)")                   \
	X(DATA_UNREACHABLE, "ICMP unreachable errors about Multicast Data to a tunnel")         \
	X(UNREACHABLE_IGNORED, "ICMP unreachable errors about nothing that went to a tunnel")   \
	X(MEMBERSHIP_EXPIRED, "subscriptions ended by their timer")                             \
	X(SECRET_ROTATED, "new secrets")                                                        \
	X(UPSTREAM_JOIN_FAILED, "upstream joins that the host stack refused")                   \
	X(UPSTREAM_JOIN_RETRIED, "upstream joins tried again")                                  \
	X(DATAPATH_FULL, "changes refused because a map is full")                               \
	X(NEXTHOP_CHANGED, "next hops that changed or were resolved")                           \
	X(ROUTE_UNREACHABLE, "tunnels without a route")                                         \
	X(FRAGMENTED, "too big datagrams sent as fragments (R-90)")                             \
	X(ICMP_TOO_BIG_SENT, "ICMP errors sent to sources of too big datagrams (R-89, R-91)")   \
	X(SEND_FAILED, "messages that the host stack would not send")                           \
	X(ADOPTED_TUNNELS, "tunnels taken up again after a restart")                            \
	AMT_GATEWAY_COUNTERS(X)

/* The gateway role's part of those. */
#define AMT_GATEWAY_COUNTERS(X)                                                                  \
	X(DISCOVERY_SENT, "Relay Discovery messages sent, with repeats")                         \
	X(ADVERTISEMENT_RECEIVED, "Relay Advertisements")                                        \
	X(REQUEST_SENT, "Requests sent, with repeats")                                           \
	X(QUERY_RECEIVED, "Membership Queries")                                                  \
	X(QUERY_ACCEPTED, "Membership Queries that were right and awaited")                      \
	X(UPDATE_SENT, "Membership Updates sent")                                                \
	X(TEARDOWN_SENT, "Teardowns sent, with repeats")                                         \
	X(GATEWAY_RETRANSMITTED, "Discoveries and Requests sent again for want of an answer")    \
	X(GATEWAY_WITHOUT_ECN, "Requests sent without E after none with it was answered (Q-15)") \
	X(GATEWAY_LINUX_P, "Requests with P where a Linux relay wants it (Q-15)")                \
	X(GATEWAY_BAD_TYPE, "messages of a type that a gateway does not take (R-04)")            \
	X(GATEWAY_DATA_AT_SOCKET, "Multicast Data that the packet path left to the socket")      \
	X(GATEWAY_DATA_REFUSED, "of that, what is not whole, not wanted, or that ECN drops")     \
	X(GATEWAY_WRONG_PEER, "answers from another address or port than was asked")             \
	X(GATEWAY_NOT_AWAITED, "answers that are late or come again")                            \
	X(GATEWAY_WRONG_NONCE, "answers with another nonce than was asked with")                 \
	X(GATEWAY_BAD_RELAY, "Advertisements of an address that no relay can have")              \
	X(GATEWAY_BAD_QUERY, "Queries that carry no good IGMPv3 or MLDv2 general query")         \
	X(GATEWAY_WRONG_PROTOCOL, "Queries for the other protocol than P asked for")             \
	X(GATEWAY_LIMIT, "Queries with L set")                                                   \
	X(GATEWAY_ENDPOINT_CHANGED, "times that a relay saw us at another address or port")      \
	X(GATEWAY_RELAY_FAILED, "relays and candidates given up for want of an answer")          \
	X(GATEWAY_RELAY_NO_DATA, "relays given up because no data came (R-192)")                 \
	X(GATEWAY_RELAY_HELD, "Advertisements of a relay that is held down (R-122)")             \
	X(GATEWAY_UNREACHABLE, "ICMP errors about messages to the relay (R-169)")                \
	X(GATEWAY_REPORT_EARLY, "reports discarded before the first Query (R-73)")               \
	X(GATEWAY_REPORT_IGNORED, "packets out of the pseudo-interface that are no report")      \
	X(GATEWAY_REPORT_SPLIT, "large reports, carried in several Updates")                     \
	X(GATEWAY_RECORD_LOCAL, "records of link-local groups, cut out of reports")

enum amt_counter {
#define AMT_COUNTER_ENUM(name, help) AMT_COUNT_##name,
	AMT_DATA_COUNTERS(AMT_COUNTER_ENUM) AMT_DATA_COUNTERS_NUM,
	AMT_CONTROL_COUNTERS_BEFORE = AMT_DATA_COUNTERS_NUM - 1,
	AMT_CONTROL_COUNTERS(AMT_COUNTER_ENUM) AMT_COUNTERS_NUM
#undef AMT_COUNTER_ENUM
};

#endif
