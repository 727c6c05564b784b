// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the kernel's verifier has to do for our programs. amtd's start waits for it, and a program
 * near the verifier's limit of a million instructions is refused by the next kernel that looks at
 * one state more.
 */
#include "bpf/helper_path.h"

#include <stdlib.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#define VERIFIED_MOST 60000

static void check(const struct bpf_object *object)
{
	struct bpf_program *program;

	bpf_object__for_each_program(program, object)
	{
		struct bpf_prog_info info = {0};
		__u32 length = sizeof(info);

		assert_int_equal(bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &length),
				 0);
		print_message("%s: %u instructions verified\n", bpf_program__name(program),
			      info.verified_insns);
		assert_in_range(info.verified_insns, 1, VERIFIED_MOST);
	}
}

static void test_verified_instructions(void **state)
{
	static struct path path;

	path_open(&path);
	check(path.xdp->obj);
	check(path.tc->obj);
	path_close(&path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verified_instructions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
