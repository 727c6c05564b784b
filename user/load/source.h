/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The stream source: content from a file, standard input or a generator, cut into payloads and
 * paced. Used by `amt-load send` only; content is separate from sending so that it can be tested.
 */
#ifndef AMT_LOAD_SOURCE_H
#define AMT_LOAD_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "base/error.h"

struct source {
	FILE *file;	  /* NULL: generated */
	uint64_t packets; /* generated: how many; 0: without end */
	uint64_t total;	  /* as announced in every packet; 0: not known yet */
	uint64_t sequence;
	uint32_t stream;
	size_t content; /* octets of a full packet */
	uint8_t *ahead; /* of standard input: the next packet's content, read one ahead */
	size_t ahead_len;
};

/* path: a file, "-" for standard input, or NULL for generated packets. size: of the UDP
 * payload, header included. */
int source_open(struct source *source, const char *path, uint32_t stream, size_t size,
		uint64_t packets, struct error *err);
void source_close(struct source *source);

/* Writes the next payload to buf (of size octets). Returns its length, 0 at the end, or a negative
 * errno when reading fails. */
int source_next(struct source *source, void *buf);

#endif
