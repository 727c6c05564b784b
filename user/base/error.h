/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One line for the operator that says what is wrong, where, and what to do; it travels up beside
 * the negative errno and is printed once, by the program's edge.
 */
#ifndef AMT_BASE_ERROR_H
#define AMT_BASE_ERROR_H

struct error {
	char text[512];
};

/* Sets the text (err may be NULL) and returns code, a negative errno, so that callers can write
 * `return error_set(err, -ENODEV, "...")`. */
int error_set(struct error *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
