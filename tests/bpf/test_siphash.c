// SPDX-License-Identifier: GPL-2.0-or-later
/* SipHash-2-4 as BPF computes it, against its authors' vectors. */
#include "unit/siphash.h"
#include "unit/unit.h"

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <bpf/bpf.h>
#include "skel/siphash.skel.h"

static uint64_t little(const uint8_t *at)
{
	uint64_t word;

	memcpy(&word, at, sizeof(word));
	return le64toh(word);
}

static void vectors(void **state)
{
	uint8_t input[72] = {0}, octets[16], frame[64] = {0};
	struct siphash *bpf = siphash__open_and_load();
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame));

	assert_non_null(bpf);
	for (size_t i = 0; i < sizeof(octets); i++)
		octets[i] = i;
	bpf->bss->key[0] = little(octets);
	bpf->bss->key[1] = little(octets + 8);
	for (size_t length = 0; length < 64; length++) {
		char hex[17];

		for (size_t i = 0; i < 8; i++)
			bpf->bss->word[i] = little(input + 8 * i);
		bpf->bss->rest = little(input + length / 8 * 8); /* zeros behind the input */
		bpf->bss->length = length;
		assert_int_equal(bpf_prog_test_run_opts(bpf_program__fd(bpf->progs.siphash), &opts),
				 0);
		/* octets from the lowest on, as hex */
		snprintf(hex, sizeof(hex), "%016" PRIx64, __builtin_bswap64(bpf->bss->output));
		assert_string_equal(hex, siphash_outputs[length]);
		input[length] = length;
	}
	siphash__destroy(bpf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
