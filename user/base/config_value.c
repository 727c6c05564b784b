/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/config_value.h"

#include <ctype.h>
#include <errno.h>
#include <net/if.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/config.h"

static int number_parse(const struct config_key *key, const char *text, unsigned long *number,
			struct error *err)
{
	char *end;

	errno = 0;
	*number = strtoul(text, &end, 10);
	/* strtoul() takes a sign and leading blanks, a configuration does not */
	if (text[0] < '0' || text[0] > '9' || *end || errno || *number < key->min ||
	    *number > key->max)
		return error_set(err, -EINVAL, "write a number from %lu to %lu", key->min,
				 key->max);
	return 0;
}

static int set_number(const struct config_key *key, void *field, const char *text,
		      struct error *err)
{
	unsigned long number;
	int ret = number_parse(key, text, &number, err);

	if (ret)
		return ret;
	if (key->type == CONFIG_PORT)
		*(uint16_t *)field = (uint16_t)number;
	else
		*(unsigned int *)field = (unsigned int)number;
	return 0;
}

static int set_boolean(bool *field, const char *text, struct error *err)
{
	static const char *const yes[] = {"true", "yes", "on"};
	static const char *const no[] = {"false", "no", "off"};
	size_t i;

	for (i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		if (strcasecmp(text, yes[i]) == 0 || strcasecmp(text, no[i]) == 0) {
			*field = strcasecmp(text, yes[i]) == 0;
			return 0;
		}
	}
	return error_set(err, -EINVAL, "write true or false");
}

static int set_text(char **field, const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		return -ENOMEM;
	free(*field);
	*field = copy;
	return 0;
}

static int set_word(const struct config_key *key, char **field, const char *text, struct error *err)
{
	size_t length = strlen(text);
	const char *word = key->words;

	while (*word) {
		size_t n = strcspn(word, " ");

		if (n == length && memcmp(word, text, n) == 0)
			return set_text(field, text);
		word += n + (word[n] == ' ');
	}
	return error_set(err, -EINVAL, "write one of: %s", key->words);
}

static int set_dscp(const struct config_key *key, char **field, const char *text, struct error *err)
{
	unsigned long number;

	if (strcmp(text, "copy") != 0 && number_parse(key, text, &number, NULL))
		return error_set(err, -EINVAL, "write copy, or a number from %lu to %lu", key->min,
				 key->max);
	return set_text(field, text);
}

static bool is_link_local6(const struct amt_addr *addr)
{
	return addr->bytes[0] == 0xfe && (addr->bytes[1] & 0xc0) == 0x80;
}

static int set_ipv4(struct amt_addr *field, const char *text, struct error *err)
{
	struct amt_addr addr;

	if (addr_parse(text, &addr) || !addr_is_ipv4(&addr) || addr_is_multicast(&addr))
		return error_set(err, -EINVAL, "write a unicast IPv4 address, or 0.0.0.0");
	*field = addr;
	return 0;
}

static int set_ipv6(struct amt_addr *field, const char *text, struct error *err)
{
	struct amt_addr addr;

	if (addr_parse(text, &addr) || addr_is_ipv4(&addr) || addr_is_multicast(&addr))
		return error_set(err, -EINVAL, "write a unicast IPv6 address, or ::");
	*field = addr;
	return 0;
}

static int set_ipv6_link_local(struct amt_addr *field, const char *text, struct error *err)
{
	struct amt_addr addr;

	/* hosts take an MLD query only from a link-local source (RFC 3810 5.1.14, Q-8) */
	if (addr_parse(text, &addr) || !is_link_local6(&addr))
		return error_set(err, -EINVAL, "write a link-local IPv6 address (fe80::/10)");
	*field = addr;
	return 0;
}

/* Makes room for one element more; returns it, or NULL. */
static void *list_grow(void *list, unsigned int n, size_t size)
{
	void **array = list;
	void *grown = reallocarray(*array, n + 1, size);

	if (grown)
		*array = grown;
	return grown ? (char *)grown + n * size : NULL;
}

static int append_address(struct config_addresses *field, const char *text, struct error *err)
{
	struct amt_addr addr, *slot;
	unsigned int i;

	if (addr_parse(text, &addr))
		return error_set(err, -EINVAL, "write an IPv4 or IPv6 address");
	if (!addr_is_unicast_source(&addr))
		return error_set(err, -EINVAL, "write a unicast address that gateways can reach");
	if (is_link_local6(&addr))
		return error_set(err, -EINVAL,
				 "link-local addresses cannot be routed to; write a "
				 "global or unique local one");
	for (i = 0; i < field->n; i++)
		if (addr_equal(&field->list[i], &addr))
			return error_set(err, -EINVAL, "it is in the list already; remove it");
	slot = list_grow(&field->list, field->n, sizeof(*slot));
	if (!slot)
		return -ENOMEM;
	*slot = addr;
	field->n++;
	return 0;
}

static int append_prefix(const struct config_key *key, struct config_prefixes *field,
			 const char *text, struct error *err)
{
	struct amt_prefix prefix, *slot;
	bool v4;

	if (prefix_parse(text, &prefix))
		return error_set(err, -EINVAL,
				 "write a prefix such as 192.0.2.0/24 or 2001:db8::/32, with all "
				 "bits behind its length zero");
	v4 = addr_is_ipv4(&prefix.addr);
	/* multicast: IPv4 224.0.0.0/4 or longer (96 + 4 bits), IPv6 ff00::/8 or longer */
	if (key->type == CONFIG_GROUPS &&
	    (!addr_is_multicast(&prefix.addr) || prefix.bits < (v4 ? 100 : 8)))
		return error_set(err, -EINVAL,
				 "write a multicast prefix such as 232.0.0.0/8 or ff3e::/32");
	slot = list_grow(&field->list, field->n, sizeof(*slot));
	if (!slot)
		return -ENOMEM;
	*slot = prefix;
	field->n++;
	return 0;
}

static int append_host(struct config_prefixes *field, const char *text, struct error *err)
{
	struct amt_prefix prefix, *slot;

	if (prefix_parse_host(text, &prefix))
		return error_set(err, -EINVAL,
				 "write an interface's address such as 192.0.2.5/24 or "
				 "2001:db8::5/64");
	slot = list_grow(&field->list, field->n, sizeof(*slot));
	if (!slot)
		return -ENOMEM;
	*slot = prefix;
	field->n++;
	return 0;
}

static int append_text(struct config_names *field, const char *text, struct error *err)
{
	char **slot, *copy;
	unsigned int i;

	for (i = 0; i < field->n; i++)
		if (strcmp(field->list[i], text) == 0)
			return error_set(err, -EINVAL, "it is in the list already; remove it");
	copy = strdup(text);
	slot = copy ? list_grow(&field->list, field->n, sizeof(*slot)) : NULL;
	if (!slot) {
		free(copy);
		return -ENOMEM;
	}
	*slot = copy;
	field->n++;
	return 0;
}

/* As the kernel's dev_valid_name() */
bool config_is_interface(const char *text)
{
	return text[0] && strlen(text) < IFNAMSIZ && !strpbrk(text, "/: \t\r\n\v\f") &&
	       strcmp(text, ".") != 0 && strcmp(text, "..") != 0;
}

static int check_interface(const char *text, struct error *err)
{
	if (config_is_interface(text))
		return 0;
	return error_set(err, -EINVAL, "write an interface name of 1 to %d characters",
			 IFNAMSIZ - 1);
}

static int append_name(struct config_names *field, const char *text, struct error *err)
{
	int ret = check_interface(text, err);

	return ret ? ret : append_text(field, text, err);
}

static int set_interface(char **field, const char *text, struct error *err)
{
	int ret = check_interface(text, err);

	/* "all" and "default" are no interfaces in /proc/sys/net */
	if (!ret && (strcmp(text, "all") == 0 || strcmp(text, "default") == 0))
		ret = error_set(err, -EINVAL, "no interface can have this name");
	return ret ? ret : set_text(field, text);
}

/* RFC 1123 2.1: letters, digits and dashes between dots; what looks like an address is none. */
static bool is_host_name(const char *text)
{
	size_t i, label = 0, length = strlen(text);
	bool letter = false;

	for (i = 0; i < length; i++) {
		if (text[i] == '.' ? !label : !isalnum((unsigned char)text[i]) && text[i] != '-')
			return false;
		label = text[i] == '.' ? 0 : label + 1;
		letter |= isalpha((unsigned char)text[i]) != 0;
		if (label > 63)
			return false;
	}
	return letter && length < 254 && text[0] != '-';
}

bool config_is_relay(const char *text)
{
	struct amt_addr addr;

	if (!addr_parse(text, &addr))
		return addr_is_unicast_source(&addr) && !is_link_local6(&addr);
	return is_host_name(text);
}

static int append_relay(struct config_names *field, const char *text, struct error *err)
{
	if (!config_is_relay(text))
		return error_set(err, -EINVAL,
				 "write a relay's unicast address, a DNS name, or anycast");
	return append_text(field, text, err);
}

int config_value_set(const struct config_key *key, void *base, const char *text, struct error *err)
{
	void *field = (char *)base + key->offset;

	switch (key->type) {
	case CONFIG_NUMBER:
	case CONFIG_PORT:
		return set_number(key, field, text, err);
	case CONFIG_BOOLEAN:
		return set_boolean(field, text, err);
	case CONFIG_WORD:
		return set_word(key, field, text, err);
	case CONFIG_DSCP:
		return set_dscp(key, field, text, err);
	case CONFIG_IPV4:
		return set_ipv4(field, text, err);
	case CONFIG_IPV6:
		return set_ipv6(field, text, err);
	case CONFIG_IPV6_LL:
		return set_ipv6_link_local(field, text, err);
	case CONFIG_INTERFACE:
		return set_interface(field, text, err);
	case CONFIG_ADDRESSES:
		return append_address(field, text, err);
	case CONFIG_PREFIXES:
	case CONFIG_GROUPS:
		return append_prefix(key, field, text, err);
	case CONFIG_NAMES:
		return append_name(field, text, err);
	case CONFIG_HOSTS:
		return append_host(field, text, err);
	case CONFIG_RELAYS:
		return append_relay(field, text, err);
	case CONFIG_LISTS:
		break;
	}
	return -EINVAL;
}

void config_value_free(const struct config_key *key, void *base)
{
	void *field = (char *)base + key->offset;
	struct config_names *names = field;
	unsigned int i;

	switch (key->type) {
	case CONFIG_WORD:
	case CONFIG_DSCP:
	case CONFIG_INTERFACE:
		free(*(char **)field);
		break;
	case CONFIG_ADDRESSES:
		free(((struct config_addresses *)field)->list);
		break;
	case CONFIG_PREFIXES:
	case CONFIG_GROUPS:
	case CONFIG_HOSTS:
		free(((struct config_prefixes *)field)->list);
		break;
	case CONFIG_NAMES:
	case CONFIG_RELAYS:
		for (i = 0; i < names->n; i++)
			free(names->list[i]);
		free(names->list);
		break;
	default:
		break;
	}
}
