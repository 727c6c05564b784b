/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "load/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "load/payload.h"

/* A full packet's content, less only at the end: so content lies at sequence * source->content. */
static int read_ahead(struct source *source)
{
	source->ahead_len = fread(source->ahead, 1, source->content, source->file);
	return ferror(source->file) ? -EIO : 0;
}

static int open_file(struct source *source, const char *path, struct error *err)
{
	struct stat st;

	if (strcmp(path, "-") == 0)
		source->file = stdin;
	else
		source->file = fopen(path, "re");
	if (!source->file)
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	source->ahead = malloc(source->content);
	if (!source->ahead)
		return error_set(err, -ENOMEM, "no memory");
	if (fstat(fileno(source->file), &st) == 0 && S_ISREG(st.st_mode))
		source->total = ((uint64_t)st.st_size + source->content - 1) / source->content;
	if (read_ahead(source))
		return error_set(err, -EIO, "%s: %s", path, strerror(errno));
	if (source->ahead_len == 0)
		return error_set(err, -EINVAL, "%s: is empty; there is nothing to send", path);
	return 0;
}

int source_open(struct source *source, const char *path, uint32_t stream, size_t size,
		uint64_t packets, struct error *err)
{
	int ret;

	memset(source, 0, sizeof(*source));
	source->stream = stream;
	source->content = size - PAYLOAD_HEADER;
	source->packets = packets;
	if (!path) {
		source->total = packets;
		return 0;
	}
	ret = open_file(source, path, err);
	if (ret)
		source_close(source);
	return ret;
}

void source_close(struct source *source)
{
	if (source->file && source->file != stdin)
		fclose(source->file);
	free(source->ahead);
	source->file = NULL;
	source->ahead = NULL;
}

static int next_of_file(struct source *source, struct payload *payload, uint8_t *content)
{
	if (source->ahead_len == 0)
		return 0;
	memcpy(content, source->ahead, source->ahead_len);
	payload->content_len = source->ahead_len;
	if (read_ahead(source))
		return -EIO;
	if (source->ahead_len == 0) /* the last one says how many they were */
		payload->total = source->sequence + 1;
	return 1;
}

static int next_generated(struct source *source, struct payload *payload, uint8_t *content)
{
	if (source->packets > 0 && source->sequence >= source->packets)
		return 0;
	payload->content_len = source->content;
	payload_generate(source->stream, source->sequence, content, source->content);
	return 1;
}

int source_next(struct source *source, void *buf)
{
	uint8_t *content = (uint8_t *)buf + PAYLOAD_HEADER;
	struct payload payload = {
		.stream = source->stream,
		.sequence = source->sequence,
		.total = source->total,
		.chunk = (uint16_t)source->content,
	};
	int ret;

	if (source->file)
		ret = next_of_file(source, &payload, content);
	else
		ret = next_generated(source, &payload, content);
	if (ret <= 0)
		return ret;
	source->sequence++;
	return (int)payload_write(&payload, buf);
}
