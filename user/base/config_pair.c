/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two values of one key, of the configuration in force and of the file read again: whether they are
 * the same, and how they change places.
 */
#include <string.h>
#include "base/config.h"
#include "base/config_value.h"

static size_t size_of(enum config_type type)
{
	switch (type) {
	case CONFIG_NUMBER:
		return sizeof(unsigned int);
	case CONFIG_PORT:
		return sizeof(uint16_t);
	case CONFIG_BOOLEAN:
		return sizeof(bool);
	case CONFIG_WORD:
	case CONFIG_DSCP:
	case CONFIG_INTERFACE:
		return sizeof(char *);
	case CONFIG_IPV4:
	case CONFIG_IPV6:
	case CONFIG_IPV6_LL:
		return sizeof(struct amt_addr);
	case CONFIG_LISTS:
		break;
	case CONFIG_ADDRESSES:
		return sizeof(struct config_addresses);
	case CONFIG_PREFIXES:
	case CONFIG_GROUPS:
	case CONFIG_HOSTS:
		return sizeof(struct config_prefixes);
	case CONFIG_NAMES:
	case CONFIG_RELAYS:
		return sizeof(struct config_names);
	}
	return 0;
}

static bool addresses_equal(const struct config_addresses *a, const struct config_addresses *b)
{
	unsigned int i;

	for (i = 0; i < a->n && i < b->n; i++)
		if (!addr_equal(&a->list[i], &b->list[i]))
			return false;
	return a->n == b->n;
}

static bool prefixes_equal(const struct config_prefixes *a, const struct config_prefixes *b)
{
	unsigned int i;

	for (i = 0; i < a->n && i < b->n; i++)
		if (a->list[i].bits != b->list[i].bits ||
		    !addr_equal(&a->list[i].addr, &b->list[i].addr))
			return false;
	return a->n == b->n;
}

static bool names_equal(const struct config_names *a, const struct config_names *b)
{
	unsigned int i;

	for (i = 0; i < a->n && i < b->n; i++)
		if (strcmp(a->list[i], b->list[i]) != 0)
			return false;
	return a->n == b->n;
}

bool config_value_equal(const struct config_key *key, const void *a, const void *b)
{
	const void *x = (const char *)a + key->offset, *y = (const char *)b + key->offset;

	switch (key->type) {
	case CONFIG_WORD:
	case CONFIG_DSCP:
	case CONFIG_INTERFACE:
		return strcmp(*(char *const *)x, *(char *const *)y) == 0;
	case CONFIG_ADDRESSES:
		return addresses_equal(x, y);
	case CONFIG_PREFIXES:
	case CONFIG_GROUPS:
	case CONFIG_HOSTS:
		return prefixes_equal(x, y);
	case CONFIG_NAMES:
	case CONFIG_RELAYS:
		return names_equal(x, y);
	default:
		return memcmp(x, y, size_of(key->type)) == 0;
	}
}

void config_value_swap(const struct config_key *key, void *a, void *b)
{
	char *x = (char *)a + key->offset, *y = (char *)b + key->offset;
	size_t size = size_of(key->type);
	char held[sizeof(struct amt_addr)];

	_Static_assert(sizeof(held) >= sizeof(struct config_names), "the largest field");
	memcpy(held, x, size);
	memcpy(x, y, size);
	memcpy(y, held, size);
}
