/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/table.h"

#include <stdlib.h>
#include <string.h>

struct table {
	const struct table_column *columns;
	unsigned int ncolumns;
	char **cells;
	size_t ncells, room;
};

struct table *table_new(const struct table_column *columns, unsigned int n)
{
	struct table *table = calloc(1, sizeof(*table));

	if (table) {
		table->columns = columns;
		table->ncolumns = n;
	}
	return table;
}

void table_free(struct table *table)
{
	size_t i;

	if (!table)
		return;
	for (i = 0; i < table->ncells; i++)
		free(table->cells[i]);
	free(table->cells);
	free(table);
}

void table_cell(struct table *table, const char *text)
{
	if (table->ncells == table->room) {
		size_t room = table->room ? table->room * 2 : 256;
		char **grown = reallocarray(table->cells, room, sizeof(*grown));

		if (!grown)
			return;
		table->cells = grown;
		table->room = room;
	}
	table->cells[table->ncells++] = strdup(text);
}

static size_t width_of(const struct table *table, unsigned int column)
{
	size_t i, width = strlen(table->columns[column].name);

	for (i = column; i < table->ncells; i += table->ncolumns)
		if (table->cells[i] && strlen(table->cells[i]) > width)
			width = strlen(table->cells[i]);
	return width;
}

static const char *cell_at(const struct table *table, size_t i)
{
	return i < table->ncells && table->cells[i] ? table->cells[i] : "";
}

static void print_row(const struct table *table, const char *const text[], const size_t *width,
		      FILE *out)
{
	unsigned int i, n = table->ncolumns;

	/* no blanks at the end of a line */
	while (n > 1 && !text[n - 1][0])
		n--;
	for (i = 0; i < n; i++) {
		if (i)
			fputs("  ", out);
		if (table->columns[i].right)
			fprintf(out, "%*s", (int)width[i], text[i]);
		else
			fprintf(out, "%-*s", i + 1 < n ? (int)width[i] : 0, text[i]);
	}
	fputc('\n', out);
}

void table_print(const struct table *table, FILE *out)
{
	size_t *width = calloc(table->ncolumns, sizeof(*width)), i;
	const char **text = calloc(table->ncolumns, sizeof(*text));
	unsigned int column;

	for (column = 0; width && text && column < table->ncolumns; column++) {
		width[column] = width_of(table, column);
		text[column] = table->columns[column].name;
	}
	if (width && text)
		print_row(table, text, width, out);
	for (i = 0; width && text && i < table->ncells; i += table->ncolumns) {
		for (column = 0; column < table->ncolumns; column++)
			text[column] = cell_at(table, i + column);
		print_row(table, text, width, out);
	}
	free(width);
	free(text);
}

const char *human_duration(double seconds, char *buf)
{
	unsigned long s = seconds > 0 ? (unsigned long)seconds : 0;

	if (seconds < 10)
		snprintf(buf, HUMAN_LEN, "%.1fs", seconds > 0 ? seconds : 0);
	else if (s < 60)
		snprintf(buf, HUMAN_LEN, "%lus", s);
	else if (s < 3600)
		snprintf(buf, HUMAN_LEN, "%lum %02lus", s / 60, s % 60);
	else if (s < 86400)
		snprintf(buf, HUMAN_LEN, "%luh %02lum", s / 3600, s / 60 % 60);
	else
		snprintf(buf, HUMAN_LEN, "%lud %02luh", s / 86400, s / 3600 % 24);
	return buf;
}

/* Three digits and the unit that they are of. */
static const char *scaled(double value, double step, const char *const units[], char *buf)
{
	unsigned int i = 0;

	while (value >= 999.5 && units[i + 1]) {
		value /= step;
		i++;
	}
	if (i == 0)
		snprintf(buf, HUMAN_LEN, "%.0f%s", value, units[i]);
	else
		snprintf(buf, HUMAN_LEN, "%.*f%s",
			 value < 9.995	 ? 2
			 : value < 99.95 ? 1
					 : 0,
			 value, units[i]);
	return buf;
}

const char *human_count(double count, char *buf)
{
	static const char *const units[] = {"", "k", "M", "G", "T", "P", NULL};

	return scaled(count, 1000, units, buf);
}

const char *human_octets(double octets, char *buf)
{
	static const char *const units[] = {" B", " KiB", " MiB", " GiB", " TiB", " PiB", NULL};

	return scaled(octets, 1024, units, buf);
}
