/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the renderers share: members of an answer in the forms that people read, and tables of them.
 * For render.c and render_gateway.c only.
 */
#ifndef AMT_CONTROL_RENDER_ROWS_H
#define AMT_CONTROL_RENDER_ROWS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#define CELL_LEN 192

enum form { TEXT, NUMBER, OCTETS, DURATION, FLAG };

struct field {
	const char *name;
	enum form form;
};

/* buf holds CELL_LEN; null or missing is "-". */
const char *form_value(const json_t *value, enum form form, char *buf);
/* The member at a path such as "traffic.packets_in". */
const json_t *member(const json_t *object, const char *path);
const char *text_of(const json_t *object, const char *path);
long long number_of(const json_t *object, const char *path);
bool flag_of(const json_t *object, const char *path);

void render_loop(const json_t *answer, FILE *out);
void print_rows(const json_t *rows, const struct field *fields, unsigned int n, FILE *out);
#define PRINT_ROWS(rows, fields, out) \
	print_rows(rows, fields, sizeof(fields) / sizeof((fields)[0]), out)

#endif
