/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A world for the gateway engine without sockets, kernel and clock: what it sends is kept in order,
 * time is a number. Relays are played message by message, or are the real relay engine.
 */
#ifndef AMT_TESTS_HELPER_GATEWAY_H
#define AMT_TESTS_HELPER_GATEWAY_H

#include "gateway/gateway.h"
#include "proto/message.h"
#include "unit/helper_relay.h"

#define POST_MAX  64
#define ANYCAST4  "192.52.193.1"
#define RELAY_A	  "192.0.2.1"
#define RELAY_B	  "192.0.2.2"
#define GROUP_ANY "239.1.2.3"
#define GROUP_SSM "232.1.2.3"
#define GROUP6	  "ff35::4321"
#define IGMP	  false
#define MLD	  true

struct letter {
	struct amt_sockaddr to;
	uint64_t at;
	uint8_t buf[2048];
	size_t len;
	struct amt_message msg; /* its datagram is in buf */
};

struct house {
	struct gateway *gateway;
	struct gateway_options options;
	struct gateway_candidate candidates[4];
	uint64_t now;
	uint64_t random;
	struct letter post[POST_MAX]; /* sent and not yet looked at */
	unsigned int nsent;	      /* in post */
	int send_error;		      /* negative errno: nothing goes */
	/* times that the host was asked, and what the last one said */
	unsigned int queries[2], robustness[2], interval_s[2];
	/* data is taken from */
	bool tapped;
	struct gateway_relay tap;
	unsigned int taps; /* times it was told */
	unsigned int resolves;
	unsigned int wanted;
};

/* Defaults, without candidates, IPv4 groups only; house_start() makes the gateway. */
struct house *house_new(void);
void house_candidate(struct house *h, enum gateway_candidate_kind kind, const char *addr);
void house_start(struct house *h);
void house_free(struct house *h);

/* Lets time pass; every timer fires on its own deadline. */
void house_pass(struct house *h, uint64_t ns);
/* The next letter, taken out; fails the test when there is none. */
struct letter house_letter(struct house *h);
/* The same, and of this type to that address. */
struct letter house_expect(struct house *h, enum amt_type type, const char *to);
void house_expect_none(struct house *h);
/* Passes time until a letter is there (at most 10 min), and takes it out. */
struct letter house_wait(struct house *h, enum amt_type type, const char *to);
enum gateway_state house_state(const struct house *h);
struct gateway_status house_status(const struct house *h);

/* What comes in, from port 2268. */
void house_receive(struct house *h, const char *from, const void *buf, size_t len);
void house_advertise(struct house *h, const struct letter *discovery, const char *relay);

struct reply {
	const char *from; /* NULL: who was asked */
	bool limit, mld_source_global, other_protocol;
	const char *endpoint; /* NULL: no G */
	uint16_t port;
	unsigned int interval_s; /* 0: 125 */
	uint8_t mac;		 /* all octets of it */
};
/* The octets of a Query that answers a Request. */
size_t query_message(const struct letter *request, const struct reply *reply, uint8_t *buf,
		     size_t size);
void house_answer(struct house *h, const struct letter *request, const struct reply *reply);

/* The host reports one group; sources by spaces. */
void house_report(struct house *h, enum record_type type, const char *group, const char *sources);
/* From nothing to a relay that is up, joined to GROUP_ANY, with one Update taken out. */
void house_up(struct house *h, const char *relay, const struct reply *reply);

#endif
