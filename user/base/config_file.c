/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/config_file.h"

#include <confuse.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define END_KEY	 "\001end"
#define END_MARK "\n" END_KEY "=1\n"

/* libconfuse's callbacks carry no argument of ours. */
static struct config_file *reading;

static const char log_levels[][8] = {"error", "warning", "info", "debug"};

/* ---- findings ---- */

static void add_finding(struct config_file *file, int line, const char *prefix, const char *format,
			va_list args)
{
	struct config_finding *grown =
		reallocarray(file->findings, file->nfindings + 1, sizeof(*grown));
	int n;

	if (!grown)
		return;
	file->findings = grown;
	grown += file->nfindings++;
	grown->line = line < file->last_line ? line : file->last_line;
	n = snprintf(grown->text, sizeof(grown->text), "%s", prefix);
	vsnprintf(grown->text + n, sizeof(grown->text) - (size_t)n, format, args);
}

void config_file_error(struct config_file *file, int line, const char *format, ...)
{
	va_list args;

	file->errors++;
	va_start(args, format);
	add_finding(file, line, "", format, args);
	va_end(args);
}

void config_file_warning(struct config_file *file, int line, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add_finding(file, line, "warning: ", format, args);
	va_end(args);
}

static int by_line(const void *a, const void *b)
{
	return ((const struct config_finding *)a)->line - ((const struct config_finding *)b)->line;
}

void config_file_report(struct config_file *file, const char *name,
			void (*report)(const char *line))
{
	char line[1024];
	unsigned int i;

	if (file->nfindings)
		qsort(file->findings, file->nfindings, sizeof(*file->findings), by_line);
	for (i = 0; i < file->nfindings; i++) {
		snprintf(line, sizeof(line), "%s:%d: %s", name, file->findings[i].line,
			 file->findings[i].text);
		report(line);
	}
}

/* What stands in the file, fit for one line of a terminal. buf holds 64. */
static const char *shown(const char *text, char *buf)
{
	size_t i;

	for (i = 0; i < 60 && text[i]; i++)
		buf[i] = isprint((unsigned char)text[i]) ? text[i] : '?';
	strcpy(buf + i, text[i] ? "..." : "");
	return buf;
}

/* ---- unknown keys ---- */

/* Levenshtein's distance, to a key of less than 32 characters. */
static unsigned int distance(const char *text, const char *key)
{
	unsigned int row[32], i, j, n = (unsigned int)strlen(key);

	for (j = 0; j <= n; j++)
		row[j] = j;
	for (i = 0; text[i]; i++) {
		unsigned int diagonal = row[0];

		row[0] = i + 1;
		for (j = 1; j <= n; j++) {
			unsigned int best = diagonal + (text[i] != key[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[n];
}

static const struct config_key *find_key(const struct config_section *section, const char *name)
{
	unsigned int i;

	for (i = 0; i < section->nkeys; i++)
		if (strcmp(section->keys[i].name, name) == 0)
			return &section->keys[i];
	return NULL;
}

/* The section that libconfuse is in, or NULL: in none. */
static const struct config_section *find_section(const struct config_file *file, const char *name)
{
	unsigned int i;

	for (i = 0; i < CONFIG_SECTIONS; i++)
		if (strcmp(file->sections[i].name, name) == 0)
			return &file->sections[i];
	return NULL;
}

struct nearest {
	unsigned int distance;
	const char *name;
};

static void compare(struct nearest *nearest, const char *text, const char *name)
{
	unsigned int d = distance(text, name);

	if (d < nearest->distance)
		*nearest = (struct nearest){d, name};
}

/* Of this section; outside of sections of all, and of their names. */
static const char *nearest_key(const struct config_file *file, const struct config_section *within,
			       const char *name)
{
	unsigned int i, j, length = (unsigned int)strlen(name);
	/* further than that, or wholly another, is no typing error */
	struct nearest nearest = {.distance = length < 4 ? length : 4};

	for (i = 0; i < CONFIG_SECTIONS; i++) {
		const struct config_section *section = &file->sections[i];

		if (!within)
			compare(&nearest, name, section->name);
		for (j = 0; j < section->nkeys && (!within || within == section); j++)
			compare(&nearest, name, section->keys[j].name);
	}
	return nearest.name;
}

/* Where a known key would belong. */
static const char *home_of(const struct config_file *file, const char *name)
{
	bool relay = find_key(&file->sections[CONFIG_RELAY_SECTION], name);
	bool gateway = find_key(&file->sections[CONFIG_GATEWAY_SECTION], name);

	if (relay && gateway)
		return "relay or gateway";
	return relay ? "relay" : gateway ? "gateway" : NULL;
}

static void unknown_error(struct config_file *file, const struct config_section *within, int line,
			  const char *name)
{
	const char *near = nearest_key(file, within, name), *home = home_of(file, name);
	char buf[64];

	shown(name, buf);
	if (home)
		config_file_error(file, line, "option '%s' belongs into the %s section", buf, home);
	else if (strcmp(name, "log-level") == 0)
		config_file_error(file, line, "option '%s' belongs outside of sections", buf);
	else if (near)
		config_file_error(file, line, "unknown option '%s'; did you mean '%s'?", buf, near);
	else
		config_file_error(file, line, "unknown option '%s'; amtd.conf(5) lists all", buf);
}

/* ---- libconfuse's callbacks ---- */

static int on_value(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	struct error err = {""};
	const struct config_section *section = find_section(reading, cfg_name(cfg));
	const struct config_key *key = find_key(section, opt->name);
	int *line = &reading->lines[section - reading->sections][key - section->keys], ret;
	char buf[64];

	*(const char **)result = value;
	/* the elements of a list come one by one; the first of an assignment is alone */
	if (*line && (!config_is_list(key) || opt->nvalues == 1)) {
		config_file_error(reading, cfg->line,
				  "%s is set twice, first in line %d; remove one", opt->name,
				  *line);
		return 0;
	}
	*line = cfg->line;
	ret = config_value_set(key, (char *)reading->config + section->offset, value, &err);
	if (ret)
		config_file_error(reading, cfg->line, "%s: '%s' is not possible: %s", key->name,
				  shown(value, buf), ret == -ENOMEM ? "no memory" : err.text);
	return 0;
}

static int on_log_level(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	unsigned int i;
	char buf[64];

	*(const char **)result = value;
	if (reading->log_level_line)
		config_file_error(reading, cfg->line,
				  "log-level is set twice, first in line %d; remove one",
				  reading->log_level_line);
	reading->log_level_line = cfg->line;
	for (i = 0; i < 4; i++) {
		if (strcmp(value, log_levels[i]) == 0) {
			reading->config->log_level = (enum log_level)i;
			return 0;
		}
	}
	config_file_error(reading, cfg->line,
			  "log-level: '%s' is not possible: write one of: error warning info debug",
			  shown(value, buf));
	return 0;
}

static int on_unknown(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	*(const char **)result = value;
	if (opt->nvalues == 1)
		unknown_error(reading, find_section(reading, cfg_name(cfg)), cfg->line, opt->name);
	return 0;
}

static int on_section(cfg_t *cfg, cfg_opt_t *opt)
{
	const struct config_section *section = find_section(reading, opt->name);

	reading->sections_seen++;
	if (++reading->seen[section - reading->sections] == 2)
		config_file_error(reading, cfg->line,
				  "a second %s section ends here; join both into one", opt->name);
	else if (reading->sections_seen == 2)
		config_file_error(reading, cfg->line,
				  "a relay and a gateway section: an amtd has one role; give each "
				  "a file and an instance of its own (amtd -i NAME)");
	return 0;
}

/* libconfuse takes the end of the file for the end of a section. The end is marked therefore, with
 * an option that is an error inside of one. */
static int on_end(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	*(const char **)result = value;
	reading->ended = true;
	if (find_section(reading, cfg_name(cfg)))
		config_file_error(reading, cfg->line,
				  "the %s section does not end; write a closing brace",
				  cfg_name(cfg));
	return 0;
}

static bool is_unknown(const struct config_file *file, const char *key)
{
	unsigned int i;

	for (i = 0; i < file->nunknown; i++)
		if (strcmp(file->unknown[i], key) == 0)
			return true;
	return false;
}

/* What libconfuse says of the syntax, where it does not say what to do. */
static void syntax_error(cfg_t *cfg, const char *format, const char *text, const char *word)
{
	char buf[64];

	if (strstr(format, "missing equal sign") && is_unknown(reading, word))
		unknown_error(reading, find_section(reading, cfg_name(cfg)), cfg->line, word);
	else if (strstr(text, END_KEY))
		config_file_error(reading, cfg->line, "a list does not end; write a closing brace");
	else if (strstr(format, "unterminated") || strstr(format, "premature end"))
		config_file_error(reading, cfg->line, "a text does not end; write a closing quote");
	else
		config_file_error(reading, cfg->line, "%s; see amtd.conf(5) for the syntax",
				  shown(text, buf));
}

static void on_error(cfg_t *cfg, const char *format, va_list args)
{
	const char *word = "";
	char text[256];
	va_list copy;

	/* libconfuse stops at an unknown key; it is read again, with that key known as one to
	 * complain about, so that whatever comes behind is checked as well */
	if (strstr(format, "no such option") && reading->nunknown < CONFIG_UNKNOWN_MAX) {
		char *key = strdup(va_arg(args, const char *));

		reading->again = key != NULL;
		if (key)
			reading->unknown[reading->nunknown++] = key;
		return;
	}
	va_copy(copy, args);
	if (strstr(format, "%s"))
		word = va_arg(copy, const char *);
	va_end(copy);
	vsnprintf(text, sizeof(text), format, args);
	syntax_error(cfg, format, text, word);
}

/* ---- reading ---- */

/* Unknown keys are known in both places, since where they stood was not told, but not twice. A list
 * takes one value as well as {several}. */
static void add_others(const struct config_file *file, cfg_opt_t *opts, unsigned int n)
{
	unsigned int i, j, known = n;

	for (i = 0; i < file->nunknown; i++) {
		for (j = 0; j < known && strcmp(opts[j].name, file->unknown[i]) != 0; j++)
			;
		if (j == known)
			opts[n++] = (cfg_opt_t)CFG_STR_LIST_CB(file->unknown[i], NULL,
							       CFGF_NODEFAULT, on_unknown);
	}
	opts[n++] = (cfg_opt_t)CFG_STR_CB(END_KEY, NULL, CFGF_NODEFAULT, on_end);
	opts[n] = (cfg_opt_t)CFG_END();
}

static void section_options(const struct config_file *file, const struct config_section *section,
			    cfg_opt_t *opts)
{
	unsigned int i;

	for (i = 0; i < section->nkeys; i++)
		opts[i] = (cfg_opt_t)CFG_STR_CB(
			section->keys[i].name, NULL,
			CFGF_NODEFAULT | (config_is_list(&section->keys[i]) ? CFGF_LIST : 0),
			on_value);
	add_others(file, opts, section->nkeys);
}

static int parse_once(struct config_file *file, char *text, size_t length)
{
	FILE *stream = fmemopen(text, length, "r");
	cfg_opt_t opts[CONFIG_SECTIONS][CONFIG_KEYS_MAX + CONFIG_UNKNOWN_MAX + 2];
	cfg_opt_t top[1 + CONFIG_SECTIONS + CONFIG_UNKNOWN_MAX + 2];
	unsigned int i;
	cfg_t *cfg;
	int ret;

	if (!stream)
		return -ENOMEM;
	top[0] = (cfg_opt_t)CFG_STR_CB("log-level", NULL, CFGF_NODEFAULT, on_log_level);
	for (i = 0; i < CONFIG_SECTIONS; i++) {
		section_options(file, &file->sections[i], opts[i]);
		top[1 + i] = (cfg_opt_t)CFG_SEC(file->sections[i].name, opts[i], CFGF_NONE);
	}
	add_others(file, top, 1 + CONFIG_SECTIONS);
	cfg = cfg_init(top, CFGF_NONE);
	if (!cfg) {
		fclose(stream);
		return -ENOMEM;
	}
	cfg_set_error_function(cfg, on_error);
	for (i = 0; i < CONFIG_SECTIONS; i++)
		cfg_set_validate_func(cfg, file->sections[i].name, on_section);
	ret = cfg_parse_fp(cfg, stream);
	if (ret == CFG_SUCCESS && !file->ended)
		config_file_error(file, file->last_line, "a comment does not end; write */");
	cfg_free(cfg);
	fclose(stream);
	return ret == CFG_SUCCESS ? 0 : -EINVAL;
}

static void forget_findings(struct config_file *file)
{
	free(file->findings);
	file->findings = NULL;
	file->nfindings = file->errors = file->sections_seen = 0;
	file->log_level_line = 0;
	file->ended = false;
	memset(file->lines, 0, sizeof(file->lines));
	memset(file->seen, 0, sizeof(file->seen));
}

static int count_lines(const char *text, size_t length)
{
	size_t i;
	int lines = 1;

	for (i = 0; i + 1 < length; i++) /* one at the very end begins no other */
		lines += text[i] == '\n';
	return lines;
}

/* The whole text with the mark behind it; how many lines it has. */
static int slurp(FILE *stream, char **text, size_t *length, int *lines)
{
	char *buf = malloc(CONFIG_FILE_MAX + sizeof(END_MARK));

	if (!buf)
		return -ENOMEM;
	*text = buf;
	*length = fread(buf, 1, CONFIG_FILE_MAX, stream);
	if (ferror(stream))
		return -errno;
	if (!feof(stream) && fgetc(stream) != EOF)
		return -EFBIG;
	*lines = count_lines(buf, *length);
	memcpy(buf + *length, END_MARK, sizeof(END_MARK) - 1);
	*length += sizeof(END_MARK) - 1;
	return 0;
}

int config_file_parse(struct config_file *file, FILE *stream)
{
	char *text = NULL;
	size_t length;
	int ret = slurp(stream, &text, &length, &file->last_line);

	reading = file;
	while (!ret) { /* at most CONFIG_UNKNOWN_MAX times */
		file->again = false;
		forget_findings(file);
		config_free(file->config);
		ret = config_default(file->config);
		if (!ret)
			ret = parse_once(file, text, length);
		if (!file->again)
			break;
		ret = 0;
	}
	reading = NULL;
	free(text);
	return ret;
}

void config_file_free(struct config_file *file)
{
	forget_findings(file);
	while (file->nunknown)
		free(file->unknown[--file->nunknown]);
}
