/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What every cmocka test includes first. */
#ifndef AMT_TESTS_UNIT_H
#define AMT_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#endif
