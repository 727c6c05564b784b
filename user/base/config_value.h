/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The types of configuration values: one function turns the text of the file into the field of the
 * struct, and says what is wrong with it. Used by config.c only.
 */
#ifndef AMT_BASE_CONFIG_VALUE_H
#define AMT_BASE_CONFIG_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"

enum config_type {
	CONFIG_NUMBER,	  /* unsigned int, min..max */
	CONFIG_PORT,	  /* uint16_t, min..max */
	CONFIG_BOOLEAN,	  /* bool */
	CONFIG_WORD,	  /* char *, one of words */
	CONFIG_DSCP,	  /* char *, "copy" or min..max */
	CONFIG_IPV4,	  /* struct amt_addr, unicast or 0.0.0.0 */
	CONFIG_IPV6,	  /* struct amt_addr, unicast or :: */
	CONFIG_IPV6_LL,	  /* struct amt_addr, link-local */
	CONFIG_INTERFACE, /* char *, an interface's name */
	CONFIG_LISTS,	  /* from here on: lists, called once for each element */
	CONFIG_ADDRESSES, /* struct config_addresses, unicast */
	CONFIG_PREFIXES,  /* struct config_prefixes */
	CONFIG_GROUPS,	  /* struct config_prefixes, multicast */
	CONFIG_NAMES,	  /* struct config_names, interfaces */
	CONFIG_HOSTS,	  /* struct config_prefixes, addresses with host bits */
	CONFIG_RELAYS,	  /* struct config_names: addresses, DNS names, or "anycast" */
};

struct config_key {
	const char *name;
	enum config_type type;
	size_t offset; /* of the field in its struct */
	const char *default_value;
	unsigned long min, max;
	const char *words; /* "a b c" */
};

static inline bool config_is_list(const struct config_key *key)
{
	return key->type > CONFIG_LISTS;
}

/* Sets, or for a list appends to, the field in base. -EINVAL: err says what is wrong with text and
 * what may stand there; -ENOMEM. */
int config_value_set(const struct config_key *key, void *base, const char *text, struct error *err);
/* An address, a DNS name or "anycast": what can stand for a relay. */
bool config_is_relay(const char *text);
/* What the kernel takes as an interface's name; whether there is one is asked when it is used. */
bool config_is_interface(const char *text);
/* Frees what the field holds. */
void config_value_free(const struct config_key *key, void *base);

/* ---- config_pair.c ---- */

/* Whether the fields in both bases say the same; lists also in their order. */
bool config_value_equal(const struct config_key *key, const void *a, const void *b);
/* Exchanges the fields. */
void config_value_swap(const struct config_key *key, void *a, void *b);

#endif
