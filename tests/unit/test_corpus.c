/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fuzz targets' corpus as a plain test: each file must be accepted, each truncation and
 * 100,000 mutations for each parser must do no harm, nor 10,000 for what lives. Every input stands
 * at the end of its own allocation, so that the address sanitizer sees a read behind it.
 */
#include "unit/unit.h"
#include "unit/bytes.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include "fuzz/checks.h"
#include "fuzz/checks_gateway.h"
#include "fuzz/checks_text.h"

#define CORPUS	   "tests/fuzz/corpus"
#define FILES_MAX  64
#define INPUT_MAX  512
#define MUTATIONS  100000
#define LIVES	   10000
#define GROWTH_MAX 32

typedef int (*check_fn)(const uint8_t *data, size_t len);

struct corpus {
	const char *name;
	check_fn check;
	unsigned int files;
	struct {
		char name[256];
		uint8_t data[INPUT_MAX];
		size_t len;
	} file[FILES_MAX];
};

static void corpus_read_file(struct corpus *corpus, const char *name)
{
	char path[512];
	FILE *in;

	snprintf(path, sizeof(path), CORPUS "/%s/%s", corpus->name, name);
	in = fopen(path, "rb");
	assert_non_null(in);
	assert_true(corpus->files < FILES_MAX);
	snprintf(corpus->file[corpus->files].name, sizeof(corpus->file[0].name), "%s", name);
	corpus->file[corpus->files].len = fread(corpus->file[corpus->files].data, 1, INPUT_MAX, in);
	assert_true(feof(in));
	corpus->files++;
	fclose(in);
}

/* In the order of their names, so that the mutations are the same everywhere. */
static void corpus_read(struct corpus *corpus)
{
	struct dirent **entries;
	char path[512];
	int i, n;

	snprintf(path, sizeof(path), CORPUS "/%s", corpus->name);
	n = scandir(path, &entries, NULL, alphasort);
	assert_true(n > 0);
	for (i = 0; i < n; i++) {
		if (entries[i]->d_name[0] != '.')
			corpus_read_file(corpus, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	assert_true(corpus->files > 0);
}

static int check_exact(check_fn check, const uint8_t *data, size_t len)
{
	struct exact exact = exact_copy(data, len);
	int result = check(exact.data, len);

	free_exact(&exact);
	return result;
}

static void accepted_and_truncated(const struct corpus *corpus)
{
	unsigned int i;
	size_t len;

	for (i = 0; i < corpus->files; i++) {
		if (check_exact(corpus->check, corpus->file[i].data, corpus->file[i].len))
			fail_msg("%s/%s was refused", corpus->name, corpus->file[i].name);
		for (len = 0; len < corpus->file[i].len; len++)
			check_exact(corpus->check, corpus->file[i].data, len);
	}
}

static uint32_t next_random(uint32_t *state) /* xorshift32 */
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/* One change: a bit, an octet, a length; returns the new length. */
static size_t mutate(uint8_t *data, size_t len, uint32_t *state)
{
	static const uint8_t edges[] = {0, 1, 2, 4, 0x40, 0x7f, 0x80, 0xfe, 0xff};
	uint32_t how = next_random(state), what = next_random(state);
	size_t at = len ? next_random(state) % len : 0, i, grow;

	if (how % 8 == 0)
		return len ? next_random(state) % len : 0;
	if (how % 8 == 1) {
		grow = 1 + what % GROWTH_MAX;
		for (i = 0; i < grow && len < INPUT_MAX; i++)
			data[len++] = (uint8_t)next_random(state);
		return len;
	}
	if (!len)
		return len;
	if (how % 8 < 5)
		data[at] ^= (uint8_t)(1 << what % 8);
	else if (how % 8 < 7)
		data[at] = edges[what % sizeof(edges)];
	else
		data[at] = (uint8_t)what;
	return len;
}

static void mutated(const struct corpus *corpus, unsigned int mutations, bool repair)
{
	uint32_t state = 0x7450;
	unsigned int i, changes, accepted = 0;
	uint8_t data[INPUT_MAX];

	for (i = 0; i < mutations; i++) {
		unsigned int pick = next_random(&state) % corpus->files;
		size_t len = corpus->file[pick].len;

		memcpy(data, corpus->file[pick].data, len);
		for (changes = 1 + next_random(&state) % 4; changes > 0; changes--)
			len = mutate(data, len, &state);
		if (repair && next_random(&state) % 4)
			fuzz_repair_checksums(data, len);
		accepted += check_exact(corpus->check, data, len) == 0;
	}
	/* both ways out of the parser were taken */
	assert_true(accepted > mutations / 100 && accepted < mutations);
}

static void run(const char *name, check_fn check, unsigned int mutations, bool repair)
{
	static struct corpus corpus;

	memset(&corpus, 0, sizeof(corpus));
	corpus.name = name;
	corpus.check = check;
	corpus_read(&corpus);
	accepted_and_truncated(&corpus);
	mutated(&corpus, mutations, repair);
}

static void messages(void **state)
{
	run("message", check_message, MUTATIONS, false);
}

static void reports(void **state)
{
	run("report", check_report, MUTATIONS, true);
}

static void queries(void **state)
{
	run("query", check_query, MUTATIONS, true);
}

static void configurations(void **state)
{
	run("config", check_config, MUTATIONS, false);
}

static void requests(void **state)
{
	run("control", check_control, MUTATIONS, false);
}

static void gateways(void **state)
{
	run("gateway", check_gateway, LIVES, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages), cmocka_unit_test(reports),
		cmocka_unit_test(queries),  cmocka_unit_test(configurations),
		cmocka_unit_test(requests), cmocka_unit_test(gateways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
