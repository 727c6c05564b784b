/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The text of amtd.conf(5), through libconfuse. libconfuse only splits it into keys and texts; the
 * table's types check the texts, so that one reading finds every error and knows its line. Used by
 * config.c only.
 */
#ifndef AMT_BASE_CONFIG_FILE_H
#define AMT_BASE_CONFIG_FILE_H

#include <stdbool.h>
#include <stdio.h>
#include "base/config.h"
#include "base/config_value.h"

#define CONFIG_FILE_MAX	   (1 << 20) /* octets */
#define CONFIG_KEYS_MAX	   64
#define CONFIG_UNKNOWN_MAX 32 /* unknown keys that are named before giving up */

struct config_finding {
	int line;
	char text[480];
};

enum config_section_id { CONFIG_RELAY_SECTION, CONFIG_GATEWAY_SECTION, CONFIG_SECTIONS };

struct config_section {
	const char *name;
	const struct config_key *keys;
	unsigned int nkeys;
	size_t offset;	   /* of its struct in struct config */
	const char *fixed; /* keys that hold until a restart, " a b " */
};

/* One reading of a file: what is known before, then what was found. */
struct config_file {
	struct config *config;
	const struct config_section *sections;	     /* CONFIG_SECTIONS of them */
	int lines[CONFIG_SECTIONS][CONFIG_KEYS_MAX]; /* where each key stands, 0: nowhere */
	int log_level_line;
	int last_line; /* where the text ends */
	bool ended;    /* libconfuse came to its end, and not in the middle of something */
	unsigned int seen[CONFIG_SECTIONS], sections_seen, errors;
	struct config_finding *findings;
	unsigned int nfindings;
	char *unknown[CONFIG_UNKNOWN_MAX];
	unsigned int nunknown;
	bool again; /* an unknown key stopped libconfuse: read once more, knowing it */
};

/* Reads all of it into config, over the defaults. 0; -EINVAL: libconfuse gave up, and the finding
 * says why; -EFBIG, -ENOMEM, or what reading the stream returned. */
int config_file_parse(struct config_file *file, FILE *stream);
/* Frees the findings, not config. */
void config_file_free(struct config_file *file);

void config_file_error(struct config_file *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void config_file_warning(struct config_file *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* All findings in the order of their lines, each as "NAME:LINE: text". */
void config_file_report(struct config_file *file, const char *name,
			void (*report)(const char *line));

#endif
