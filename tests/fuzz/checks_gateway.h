/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The same as checks.h for a sequence: a life of the gateway engine, in which messages, reports,
 * ICMP errors and the passing of time come in any order and of any content. The input is a row of
 * steps, an octet each with its arguments behind it; where it ends, the gateway is shut down.
 */
#ifndef AMT_TESTS_FUZZ_CHECKS_GATEWAY_H
#define AMT_TESTS_FUZZ_CHECKS_GATEWAY_H

#include <arpa/inet.h>
#include <errno.h>
#include "checks.h"
#include "gateway/gateway.h"

#define LIFE_PEERS   4
#define LIFE_MESSAGE 512
#define LIFE_TURNS   200 /* ticks in one instant: as many as there are addresses to try */
#define LIFE_END     (15 * NSEC_PER_SEC) /* all Teardowns are said by then */

/* Steps, by the low bits of the first octet. */
enum life_step {
	LIFE_PASS, /* time: quarter seconds, from 128 on 10 s each; 0: until something is due */
	LIFE_RAW,  /* flags, peer, length, a message */
	LIFE_ADVERTISE, /* flags, relay: an Advertisement for the last Discovery */
	LIFE_ANSWER,	/* flags, interval, MAC: a Query for the last Request of a protocol */
	LIFE_REPORT,	/* type, group, sources: a good report of the host */
	LIFE_DATAGRAM,	/* length, what else leaves the pseudo-interface */
	LIFE_NETWORK,	/* what: errors, changes, names, data */
	LIFE_RESTART,
};

#define LIFE_FLAG_PEER	   0x01 /* from another peer than was asked */
#define LIFE_FLAG_NONCE	   0x02 /* another nonce */
#define LIFE_FLAG_MLD	   0x04
#define LIFE_FLAG_PROTOCOL 0x08 /* of the other protocol than was asked for */
#define LIFE_FLAG_LIMIT	   0x10
#define LIFE_FLAG_GATEWAY  0x20
#define LIFE_FLAG_SOURCE   0x40 /* an MLD query from a global address */

struct life {
	struct gateway *gateway;
	struct gateway_options options;
	struct gateway_candidate candidates[4];
	uint64_t now, random;
	uint32_t discovery, request[2]; /* nonces of the last sent */
	struct amt_sockaddr asked;	/* where the last message went */
	int send_error;
	bool stopped, up;
	/* input */
	const uint8_t *at, *end;
};

static inline uint8_t life_octet(struct life *life)
{
	return life->at < life->end ? *life->at++ : 0;
}

static inline struct amt_addr life_peer(unsigned int which)
{
	static const char *const peers[LIFE_PEERS] = {"192.0.2.1", "2001:db8::1", "192.0.2.2",
						      "2001:db8::2"};
	struct amt_addr addr;

	assert(addr_parse(peers[which % LIFE_PEERS], &addr) == 0);
	return addr;
}

/* ---- what comes out ---- */

static inline void life_check_update(const struct amt_message *msg)
{
	static const struct report_options lenient = {0};
	struct report_record record;
	struct report report;

	assert(report_parse(msg->datagram, msg->datagram_len, &lenient, &report) == 0);
	assert(report.len == msg->datagram_len); /* nothing behind it */
	while (report_next(&report, &record, NULL))
		assert(!addr_is_multicast_local(&record.group));
}

static inline int life_send(void *arg, const struct amt_sockaddr *peer, const void *buf, size_t len)
{
	struct life *life = arg;
	struct amt_message msg;

	assert(addr_is_unicast_source(&peer->addr) && peer->port == htons(AMT_PORT));
	assert(message_parse(buf, len, &msg) == 0);
	switch (msg.type) {
	case AMT_DISCOVERY:
		assert(msg.nonce && !life->stopped);
		life->discovery = msg.nonce;
		break;
	case AMT_REQUEST:
		assert(msg.nonce && !life->stopped);
		assert(msg.want_mld ? life->options.ipv6_groups : life->options.ipv4_groups);
		life->request[msg.want_mld] = msg.nonce;
		break;
	case AMT_UPDATE:
		life_check_update(&msg);
		break;
	default:
		assert(msg.type == AMT_TEARDOWN);
	}
	life->asked = *peer;
	return life->send_error;
}

static inline void life_random(void *arg, void *buf, size_t len)
{
	struct life *life = arg;
	uint8_t *at = buf;

	while (len--) {
		life->random = life->random * 6364136223846793005ull + 1442695040888963407ull;
		*at++ = (uint8_t)(life->random >> 56);
	}
}

/* What the host is asked can be said in a general query. */
static inline void life_query(void *arg, bool mld, unsigned int robustness, unsigned int interval_s)
{
	assert(robustness >= 1 && robustness <= 7);
	assert(interval_s >= 1 && interval_s <= query_interval_seconds(UINT8_MAX));
}

static inline void life_relay_changed(void *arg, const struct gateway_relay *relay)
{
	const struct life *life = arg;

	assert(relay ? addr_is_unicast_source(&relay->relay.addr) && relay->relay.port &&
			       !life->stopped
		     : life->stopped);
}

static inline void life_resolve(void *arg, unsigned int candidate, const char *name)
{
	const struct life *life = arg;

	assert(life->candidates[candidate].kind == CANDIDATE_NAME && *name);
}

/* ---- steps ---- */

/* Acts on what is due, until nothing is. */
static inline uint64_t life_tick(struct life *life)
{
	struct gateway_status status;
	unsigned int turns = 0;
	uint64_t next;

	do
		next = gateway_tick(life->gateway, life->now);
	while (next <= life->now && ++turns < LIFE_TURNS);
	assert(turns < LIFE_TURNS);
	gateway_status(life->gateway, &status);
	life->up |= status.state == GATEWAY_UP;
	return next;
}

static inline void life_pass(struct life *life, uint64_t until)
{
	uint64_t next;

	while ((next = life_tick(life)) <= until)
		life->now = next;
	life->now = until;
	life_tick(life);
}

static inline void life_receive(struct life *life, const struct amt_sockaddr *peer,
				const uint8_t *buf, size_t len)
{
	uint8_t *exact = malloc(len ? len : 1); /* the sanitizer sees a read behind it */

	assert(exact);
	memcpy(exact, buf, len);
	gateway_receive(life->gateway, life->now, peer, exact, len);
	free(exact);
}

static inline struct amt_sockaddr life_from(const struct life *life, uint8_t flags, uint8_t which)
{
	if (flags & LIFE_FLAG_PEER)
		return (struct amt_sockaddr){life_peer(which),
					     htons(AMT_PORT + (which & LIFE_PEERS ? 1 : 0))};
	return life->asked;
}

static inline void life_raw(struct life *life)
{
	uint8_t flags = life_octet(life), which = life_octet(life), buf[LIFE_MESSAGE] = {0};
	struct amt_sockaddr peer = life_from(life, flags, which);
	size_t len = life_octet(life), i;
	uint32_t nonce = life->request[!!(flags & LIFE_FLAG_MLD)];

	for (i = 0; i < len; i++)
		buf[i] = life_octet(life);
	if (!(flags & LIFE_FLAG_NONCE) && len >= AMT_QUERY_DATAGRAM) {
		if (buf[0] == AMT_ADVERTISEMENT)
			memcpy(buf + AMT_ADVERTISEMENT_NONCE, &life->discovery, sizeof(nonce));
		else
			memcpy(buf + AMT_QUERY_NONCE, &nonce, sizeof(nonce));
		fuzz_repair_checksums(buf + AMT_QUERY_DATAGRAM, len - AMT_QUERY_DATAGRAM);
	}
	life_receive(life, &peer, buf, len);
}

static inline void life_advertise(struct life *life)
{
	uint8_t flags = life_octet(life), which = life_octet(life), buf[LIFE_MESSAGE];
	struct amt_sockaddr peer = life_from(life, flags, which);
	struct amt_message msg = {
		.type = AMT_ADVERTISEMENT,
		.nonce = life->discovery ^ (flags & LIFE_FLAG_NONCE ? htonl(1) : 0),
		.relay = life_peer(which),
	};
	int len = message_write(&msg, buf, sizeof(buf));

	assert(len > 0);
	life_receive(life, &peer, buf, (size_t)len);
}

static inline void life_answer(struct life *life)
{
	uint8_t flags = life_octet(life), interval = life_octet(life), mac = life_octet(life);
	bool mld = flags & LIFE_FLAG_MLD;
	struct amt_sockaddr peer = life_from(life, flags, mac);
	uint8_t datagram[QUERY_MLD_LEN], buf[LIFE_MESSAGE];
	struct query_params params = {.robustness = 1 + interval % 7,
				      .interval_s = query_interval_seconds(interval)};
	struct amt_message msg = {
		.type = AMT_QUERY,
		.nonce = life->request[mld] ^ (flags & LIFE_FLAG_NONCE ? htonl(1) : 0),
		.limit = flags & LIFE_FLAG_LIMIT,
		.gateway_present = flags & LIFE_FLAG_GATEWAY,
		.gateway = {life_peer(mac), htons(1024 + mac)},
		.datagram = datagram,
	};
	int len;

	if (mld != !!(flags & LIFE_FLAG_PROTOCOL))
		assert(addr_parse(flags & LIFE_FLAG_SOURCE ? "2001:db8::7" : "fe80::7",
				  &params.source) == 0);
	len = query_write(mld != !!(flags & LIFE_FLAG_PROTOCOL), &params, datagram,
			  sizeof(datagram));
	assert(len > 0);
	msg.datagram_len = (size_t)len;
	memset(msg.mac, mac, sizeof(msg.mac));
	len = message_write(&msg, buf, sizeof(buf));
	assert(len > 0);
	life_receive(life, &peer, buf, (size_t)len);
}

static inline void life_report(struct life *life)
{
	static const char *const groups[] = {"239.1.2.3", "ff35::4321", "232.1.2.3", "ff0e::1",
					     "224.0.0.9", "ff02::9",	"239.1.2.4", "ff1e::2"};
	uint8_t type = life_octet(life), which = life_octet(life), n = life_octet(life) % 4, i;
	struct amt_addr sources[4];
	struct report_build records[2] = {{.type = 1 + type % 6, .sources = sources},
					  {.type = 1 + type / 6 % 6, .sources = sources}};
	uint8_t buf[LIFE_MESSAGE];
	int len;

	/* two groups of one family */
	assert(addr_parse(groups[which % 8], &records[0].group) == 0);
	assert(addr_parse(groups[(which + 2 * (which / 8)) % 8], &records[1].group) == 0);
	for (i = 0; i < n; i++)
		sources[i] = life_peer(2 * i + which % 2);
	records[0].nsources = records[1].nsources = n;
	len = report_write(which % 2, NULL, records, 2, buf, sizeof(buf));
	assert(len > 0);
	gateway_report(life->gateway, life->now, buf, (size_t)len);
}

static inline void life_datagram(struct life *life)
{
	size_t len = life_octet(life), i;
	uint8_t *buf = malloc(len ? len : 1);

	assert(buf);
	for (i = 0; i < len; i++)
		buf[i] = life_octet(life);
	fuzz_repair_checksums(buf, len);
	gateway_report(life->gateway, life->now, buf, len);
	free(buf);
}

static inline void life_network(struct life *life)
{
	static const int errors[] = {0, -ENETUNREACH, -ECONNREFUSED, -EPERM};
	uint8_t what = life_octet(life), value = life_octet(life);
	struct amt_addr addrs[3] = {life_peer(value), life_peer(value >> 2), life_peer(value >> 4)};

	switch (what % 6) {
	case 0:
		gateway_unreachable(life->gateway, life->now, &life->asked.addr);
		break;
	case 1:
		gateway_unreachable(life->gateway, life->now, &addrs[0]);
		break;
	case 2:
		gateway_network_changed(life->gateway, life->now);
		break;
	case 3:
		life->send_error = errors[value % 4];
		break;
	case 4:
		gateway_resolved(life->gateway, life->now, what / 6 % 5, addrs, value % 4);
		break;
	case 5:
		gateway_data_seen(life->gateway, life->now, value);
		break;
	}
}

static inline void life_start(struct life *life)
{
	const struct gateway_edge edge = {
		.arg = life,
		.send = life_send,
		.random = life_random,
		.query = life_query,
		.relay_changed = life_relay_changed,
		.resolve = life_resolve,
	};

	life->gateway = gateway_new(&life->options, &edge, life->now);
	assert(life->gateway);
}

static inline void life_restart(struct life *life)
{
	struct gateway_saved saved;
	bool was_up = gateway_save(life->gateway, &saved);
	int rc;

	gateway_free(life->gateway);
	life_start(life);
	if (!was_up)
		return;
	rc = gateway_restore(life->gateway, life->now, &saved);
	assert(rc == 0 || rc == -ENOENT);
}

static inline void life_step(struct life *life)
{
	uint8_t step = life_octet(life), value;
	uint64_t next;

	switch (step % 8) {
	case LIFE_PASS:
		value = life_octet(life);
		next = life_tick(life);
		if (!value && next != TIME_NEVER)
			life_pass(life, next);
		else
			life_pass(life, life->now + (value < 128 ? value * (NSEC_PER_SEC / 4)
								 : value * 10 * NSEC_PER_SEC));
		break;
	case LIFE_RAW:
		life_raw(life);
		break;
	case LIFE_ADVERTISE:
		life_advertise(life);
		break;
	case LIFE_ANSWER:
		life_answer(life);
		break;
	case LIFE_REPORT:
		life_report(life);
		break;
	case LIFE_DATAGRAM:
		life_datagram(life);
		break;
	case LIFE_NETWORK:
		life_network(life);
		break;
	default:
		life_restart(life);
	}
	life_tick(life);
}

static inline void life_configure(struct life *life)
{
	uint8_t flags = life_octet(life);

	life->candidates[0] = (struct gateway_candidate){CANDIDATE_ADDRESS, life_peer(flags), ""};
	life->candidates[1] =
		(struct gateway_candidate){CANDIDATE_ANYCAST, life_peer(flags + 1), ""};
	life->candidates[2] = (struct gateway_candidate){CANDIDATE_NAME, {{0}}, "relay.example"};
	life->candidates[3] =
		(struct gateway_candidate){CANDIDATE_ADDRESS, life_peer(flags + 2), ""};
	gateway_options_default(&life->options);
	life->options.candidates = life->candidates;
	life->options.ncandidates = 1 + (flags >> 2) % 4;
	life->options.ecn = flags & 0x10;
	life->options.ipv4_groups = !(flags & 0x40) || flags & 0x20;
	life->options.ipv6_groups = !(flags & 0x20);
	life->options.keepalive = flags & 0x80 ? 20 : 0;
}

/* 0 when a relay was found on the way. */
static inline int check_gateway(const uint8_t *data, size_t len)
{
	struct life life = {.now = NSEC_PER_SEC, .random = 7, .at = data, .end = data + len};
	uint64_t end, next;

	life_configure(&life);
	life_start(&life);
	life_tick(&life);
	while (life.at < life.end)
		life_step(&life);
	life.stopped = true;
	gateway_shutdown(life.gateway, life.now);
	end = life.now + LIFE_END;
	while ((next = life_tick(&life)) != TIME_NEVER) {
		assert(next <= end);
		life.now = next;
	}
	gateway_free(life.gateway);
	return life.up ? 0 : -1;
}

#endif
