/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tables for people: a header line, columns as wide as their widest cell, numbers to the right; and
 * the forms that people read quantities in. Knows no answer of amtd.
 */
#ifndef AMT_CONTROL_TABLE_H
#define AMT_CONTROL_TABLE_H

#include <stdbool.h>
#include <stdio.h>

struct table_column {
	const char *name;
	bool right;
};

struct table;

/* columns is kept by reference. NULL: no memory. */
struct table *table_new(const struct table_column *columns, unsigned int n);
void table_free(struct table *table);
/* The next cell, row by row. What finds no memory is left out. */
void table_cell(struct table *table, const char *text);
/* The header is printed even when there is no row. Unfilled cells of the last row are empty. */
void table_print(const struct table *table, FILE *out);

#define HUMAN_LEN 32 /* what each buf holds; each returns buf */
/* "0.4s", "59s", "4m 10s", "2h 05m", "3d 04h" */
const char *human_duration(double seconds, char *buf);
/* "999", "1.00k", "12.3M": powers of 1000 */
const char *human_count(double count, char *buf);
/* "999 B", "1.00 KiB", "12.3 MiB" */
const char *human_octets(double octets, char *buf);

#endif
